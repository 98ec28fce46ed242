"""The recipe that this project exists to avoid, measured so that nobody wonders.

A random forest on the funnel counts of the same day, split at random: it looks excellent, needs
numbers that nobody has before the day is over, and hardly reacts to budget.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

FEATURES = ["impressions", "clicks", "leads", "conversions", "cost", "ctr", "cvr", "cpc", "roi"]


@dataclasses.dataclass(frozen=True)
class Original:
    """R2 and MAPE on a random split, WAPE on the last week, change of revenue at +20 % cost."""

    r2: float
    mape: float
    wape_time: float
    response: float


def measure(spark: Any, frame: pd.DataFrame, seed: int = 42) -> Original:
    """Fit the recipe with MLlib's defaults of 100 trees and score it both ways.

    Args:
        spark: session.
        frame: daily rows with the canonical columns.
        seed: of the split and the forest.
    """
    from pyspark.ml.feature import VectorAssembler
    from pyspark.ml.regression import RandomForestRegressor

    data = frame.dropna(subset=["revenue", "cost"]).copy()
    data = data[data["cost"] > 0].sort_values([*["campaign_id", "date"]]).reset_index(drop=True)
    for name in ("impressions", "clicks", "leads", "conversions"):
        data[name] = data[name].fillna(0.0).astype(float)
    data["ctr"] = data["clicks"] / data["impressions"].clip(lower=1)
    data["cvr"] = data["conversions"] / data["clicks"].clip(lower=1)
    data["cpc"] = data["cost"] / data["clicks"].clip(lower=1)
    data["roi"] = data["revenue"] / data["cost"] - 1
    rng = np.random.default_rng(seed)
    random_test = rng.random(len(data)) < 0.2
    time_test = (data["date"] > data["date"].max() - pd.Timedelta(days=7)).to_numpy()
    assemble = VectorAssembler(inputCols=FEATURES, outputCol="features")

    def predict(train: np.ndarray, *tests: pd.DataFrame) -> list[np.ndarray]:
        rows = spark.createDataFrame(data.loc[train, [*FEATURES, "revenue"]]).coalesce(1)
        model = RandomForestRegressor(labelCol="revenue", numTrees=100, maxDepth=5, seed=seed).fit(
            assemble.transform(rows)
        )
        out = []
        for test in tests:
            scored = model.transform(assemble.transform(spark.createDataFrame(test).coalesce(1)))
            out.append(np.array([row[0] for row in scored.select("prediction").collect()]))
        return out

    test = data.loc[random_test, FEATURES]
    now, more = predict(~random_test, test, test.assign(cost=test["cost"] * 1.2))
    actual = data.loc[random_test, "revenue"].to_numpy()
    paid = actual > 0
    (week,) = predict(~time_test, data.loc[time_test, FEATURES])
    late = data.loc[time_test, "revenue"].to_numpy()
    return Original(
        r2=float(1 - ((actual - now) ** 2).sum() / ((actual - actual.mean()) ** 2).sum()),
        mape=float(np.abs(now[paid] / actual[paid] - 1).mean()),
        wape_time=float(np.abs(late - week).sum() / np.abs(late).sum()),
        response=float(more.sum() / now.sum() - 1),
    )
