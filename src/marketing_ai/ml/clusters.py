"""Clustering pieces: k-means for the checks, MLlib's KMeans for what is published, and scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Array = np.ndarray
MAX_SILHOUETTE_ROWS = 2000  # distances are n x n; beyond this an even sample is scored


def distances(x: Array, centres: Array) -> Array:
    """Euclidean distances n x k."""
    return np.sqrt(np.maximum(((x[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2), 0.0))


def assign(x: Array, centres: Array) -> Array:
    """Nearest centre, the first one on a tie."""
    return distances(x, centres).argmin(axis=1)


def cost_of(x: Array, centres: Array) -> float:
    """Sum of squared distances to the nearest centre."""
    return float((distances(x, centres).min(axis=1) ** 2).sum())


def kmeans(x: Array, k: int, rng: np.random.Generator, restarts: int) -> Array:
    """Centres k x p by Lloyd's algorithm from k-means++ starts; the cheapest of the restarts."""
    best, best_cost = x[:1].repeat(k, axis=0), np.inf
    for _ in range(restarts):
        centres = x[[rng.integers(len(x))]]
        while len(centres) < k:
            near = distances(x, centres).min(axis=1) ** 2
            if near.sum() <= 0:
                centres = np.vstack([centres, x[[rng.integers(len(x))]]])
                continue
            edge = np.cumsum(near) / near.sum()
            pick = min(int(np.searchsorted(edge, rng.random())), len(x) - 1)
            centres = np.vstack([centres, x[[pick]]])
        label = np.full(len(x), -1)
        for _ in range(50):
            new = assign(x, centres)
            if (new == label).all():
                break
            label = new
            for j in range(k):
                if (label == j).any():
                    centres[j] = x[label == j].mean(axis=0)
        cost = cost_of(x, centres)
        if cost < best_cost - 1e-12:
            best, best_cost = centres, cost
    return best


def mllib_kmeans(spark: SparkSession, x: Array, k: int, seed: int, target: float) -> Array:
    """Centres by Spark MLlib; up to five seeds until as cheap as the best known clustering.

    Args:
        spark: session.
        x: n x p in a fixed order; one partition, because MLlib's start depends on partitions.
        k: number of clusters.
        seed: first seed.
        target: cost to reach within 1 %; the cheapest fit is returned anyway.
    """
    from pyspark.ml.clustering import KMeans
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql.functions import col

    rows = spark.createDataFrame(pd.DataFrame({"x": list(x)}), "x array<double>").coalesce(1)
    rows = rows.select(array_to_vector(col("x")).alias("features")).cache()
    best, best_cost = None, np.inf
    try:
        for attempt in range(5):
            model = KMeans(k=k, seed=seed + attempt, maxIter=50, tol=1e-6).fit(rows)
            centres = np.array(model.clusterCenters())
            cost = cost_of(x, centres)
            if cost < best_cost:
                best, best_cost = centres, cost
            if best_cost <= 1.01 * target + 1e-12:
                break
    finally:
        rows.unpersist()
    if best is None:
        raise ValueError("MLlib returned no clustering")
    return best


def silhouette(x: Array, label: Array) -> float:
    """Mean silhouette (Euclidean), 0 for a single cluster."""
    if len(x) > MAX_SILHOUETTE_ROWS:
        keep = np.linspace(0, len(x) - 1, MAX_SILHOUETTE_ROWS).astype(int)
        x, label = x[keep], label[keep]
    found, label = np.unique(label, return_inverse=True)
    if len(found) < 2:
        return 0.0
    square = (x**2).sum(axis=1)
    product = np.einsum("ip,jp->ij", x, x, optimize=False)
    gap = np.sqrt(np.maximum(square[:, None] + square[None, :] - 2 * product, 0.0))
    size = np.bincount(label)
    total = np.column_stack([gap[:, label == j].sum(axis=1) for j in range(len(found))])
    own = total[np.arange(len(x)), label] / np.maximum(size[label] - 1, 1)
    other = total / size[None, :]
    other[np.arange(len(x)), label] = np.inf
    nearest = other.min(axis=1)
    top = np.maximum(own, nearest)
    value = np.where((size[label] > 1) & (top > 0), (nearest - own) / np.where(top > 0, top, 1), 0)
    return float(value.mean())


def adjusted_rand(a: Array, b: Array) -> float:
    """Agreement of two labellings: 1 the same, 0 chance."""
    a, b = np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)

    def pairs(counts: Array) -> float:
        return float((counts * (counts - 1) / 2).sum())

    both, rows, cols = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    everything = pairs(np.array([float(len(a))]))
    chance = rows * cols / everything if everything else 0.0
    most = (rows + cols) / 2
    return (both - chance) / (most - chance) if most != chance else 1.0
