"""Spark MLlib's random forest, fitted once and evaluated anywhere.

The fit is MLlib's; the fitted trees are read out as arrays so that backtests, permutation
importance and scenarios need no Spark job each (tested equal to ``model.transform``).
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Array = np.ndarray
LEAF_SHARE = 0.02  # a leaf averages at least 2 % of the rows: money is too noisy for less
_SPLIT = re.compile(r"^\s*If \(feature (\d+) <= (\S+)\)$")
_LEAF = re.compile(r"^\s*Predict: (\S+)$")


@dataclasses.dataclass(frozen=True)
class Forest:
    """Trees as arrays: T x N nodes; a leaf points to itself.

    Attributes:
        importance: MLlib's impurity importance per feature.
    """

    feature: Array
    threshold: Array
    left: Array
    right: Array
    value: Array
    depth: int
    importance: Array

    def predict(self, x: Array) -> Array:
        """Mean over the trees for n x p features."""
        total = np.zeros(len(x))
        index = np.arange(len(x))
        for tree in range(len(self.feature)):
            node = np.zeros(len(x), dtype=int)
            for _ in range(self.depth):
                go_left = x[index, self.feature[tree, node]] <= self.threshold[tree, node]
                node = np.where(go_left, self.left[tree, node], self.right[tree, node])
            total += self.value[tree, node]
        return np.asarray(total / max(1, len(self.feature)))


def parse_trees(text: str, importance: Array) -> Forest:
    """Read MLlib's ``toDebugString`` (numeric features only).

    Raises:
        ValueError: the text holds a split that is not ``<=``.
    """
    trees: list[list[list[float]]] = []
    stack: list[tuple[int, int]] = []
    levels: list[int] = []
    deepest = 1
    for line in text.splitlines()[1:]:
        if re.match(r"^\s*Tree \d+", line):
            trees.append([])
            stack, levels = [], []
            continue
        split, leaf = _SPLIT.match(line), _LEAF.match(line)
        if "Else (" in line or not line.strip():
            continue
        if split is None and leaf is None:
            raise ValueError(f"cannot read the tree line {line!r}")
        nodes = trees[-1]
        number = len(nodes)
        levels.append(0)
        if stack:
            parent, side = stack.pop()
            nodes[parent][2 + side] = number
            levels[number] = levels[parent] + 1
        deepest = max(deepest, levels[number])
        if split is not None:
            nodes.append([float(split[1]), float(split[2]), 0, 0, 0.0])
            # the left branch is written first, so it must be popped first
            stack.extend([(number, 1), (number, 0)])
        elif leaf is not None:
            nodes.append([0.0, 0.0, number, number, float(leaf[1])])
    width = max(len(nodes) for nodes in trees)
    table = np.zeros((len(trees), width, 5))
    for index, nodes in enumerate(trees):
        table[index, : len(nodes)] = nodes
    return Forest(
        feature=table[:, :, 0].astype(int),
        threshold=table[:, :, 1],
        left=table[:, :, 2].astype(int),
        right=table[:, :, 3].astype(int),
        value=table[:, :, 4],
        depth=deepest,
        importance=importance,
    )


def fit(
    spark: SparkSession,
    x: Array,
    y: Array,
    weight: Array,
    trees: int,
    depth: int,
    seed: int,
) -> Forest:
    """Fit MLlib's RandomForestRegressor on rows in the given order.

    One partition: MLlib seeds its bootstrap by partition, so the number of cores must not decide.

    Args:
        spark: session.
        x: n x p, finite.
        y: n.
        weight: n, > 0.
        trees: number of trees.
        depth: largest depth of a tree.
        seed: of the bootstrap and the feature choice.
    """
    from pyspark.ml.functions import array_to_vector
    from pyspark.ml.regression import RandomForestRegressor
    from pyspark.sql.functions import col

    frame = pd.DataFrame({"x": list(x), "label": y, "weight": weight})
    rows = spark.createDataFrame(frame, "x array<double>, label double, weight double").coalesce(1)
    rows = rows.select(array_to_vector(col("x")).alias("features"), "label", "weight")
    model = RandomForestRegressor(
        numTrees=trees,
        maxDepth=depth,
        minInstancesPerNode=max(5, int(LEAF_SHARE * len(y))),
        maxBins=max(2, min(64, len(y))),
        featureSubsetStrategy="onethird",
        seed=seed,
        weightCol="weight",
    ).fit(rows)
    return parse_trees(model.toDebugString, np.asarray(model.featureImportances.toArray()))
