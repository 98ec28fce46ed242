"""What needs Spark: the forest, exact sums, and bytes that no core count or order changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import odd
import pandas as pd
import pytest

from marketing_ai.ml import clusters, forest, panel, revenue, schema, segments
from marketing_ai.ml.settings import ForecastSettings, SegmentSettings

ROOT = Path(__file__).parents[3]
SCHEMA = (
    "campaign_id string, channel string, segment string, campaign_name string, date date, "
    "impressions bigint, clicks bigint, leads bigint, conversions bigint, "
    "cost decimal(18,4), revenue decimal(18,4)"
)


def to_kpi(spark, frame: pd.DataFrame):
    names = [part.strip().split(" ")[0] for part in SCHEMA.replace("(18,4)", "").split(", ")]
    data = frame[names].copy()
    data["date"] = [None if pd.isna(d) else pd.Timestamp(d).date() for d in data["date"]]
    loose = SCHEMA.replace("decimal(18,4)", "double")
    rows = [
        tuple(None if pd.isna(v) else (v.item() if hasattr(v, "item") else v) for v in row)
        for row in data.itertuples(index=False)
    ]
    return spark.createDataFrame(rows, loose)


def test_the_parsed_forest_is_mllibs_forest(spark) -> None:
    from pyspark.ml.functions import array_to_vector
    from pyspark.ml.regression import RandomForestRegressor

    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 5))
    x[:, 4] = x[:, 4] > 0
    y = x[:, 0] * 3 + (x[:, 1] > 0) + rng.normal(size=400) * 0.1
    w = rng.uniform(0.5, 2, 400)
    grown = forest.fit(spark, x, y, w, trees=9, depth=5, seed=3)
    rows = spark.createDataFrame(
        pd.DataFrame({"x": list(x), "label": y, "weight": w}),
        "x array<double>, label double, weight double",
    ).coalesce(1)
    rows = rows.select(array_to_vector("x").alias("features"), "label", "weight")
    model = RandomForestRegressor(
        numTrees=9,
        maxDepth=5,
        minInstancesPerNode=8,
        maxBins=64,
        featureSubsetStrategy="onethird",
        seed=3,
        weightCol="weight",
    ).fit(rows)
    want = np.array([row[0] for row in model.transform(rows).select("prediction").collect()])
    assert np.allclose(grown.predict(x), want, rtol=0, atol=1e-12)
    assert grown.importance.sum() == pytest.approx(1.0)
    assert grown.importance[0] == grown.importance.max()


def test_text_that_is_no_tree_is_refused() -> None:
    text = "model\n  Tree 0 (weight 1.0):\n    If (feature 0 in {0.0,1.0})\n     Predict: 1.0"
    with pytest.raises(ValueError, match="cannot read"):
        forest.parse_trees(text, np.ones(1))


def test_mllib_kmeans_is_as_good_as_the_checks(spark) -> None:
    rng = np.random.default_rng(0)
    x = np.vstack([rng.normal(c, 0.3, (15, 2)) for c in (0, 4, 8)])
    own = clusters.kmeans(x, 3, rng, 5)
    got = clusters.mllib_kmeans(spark, x, 3, 7, clusters.cost_of(x, own))
    assert clusters.cost_of(x, got) <= 1.01 * clusters.cost_of(x, own)


def test_the_snapshot_is_exact_and_blind_to_order(spark) -> None:
    frame = odd.rows(campaigns=3, days=20)
    twice = pd.concat([frame, frame.iloc[[0]].assign(cost=0.1, revenue=0.2)])
    one = panel.read_snapshot(to_kpi(spark, twice), 10**6)
    mixed = to_kpi(spark, twice.sample(frac=1, random_state=1)).repartition(5)
    two = panel.read_snapshot(mixed, 10**6)
    pd.testing.assert_frame_equal(one.frame, two.frame)
    assert one.data_hash == two.data_hash
    assert one.frame["cost"].iloc[0] == float(f"{frame['cost'].iloc[0] + 0.1:.4f}")
    other = panel.read_snapshot(to_kpi(spark, frame), 10**6)
    assert other.data_hash != one.data_hash


def test_at_most_max_rows_are_collected_the_newest(spark) -> None:
    frame = odd.rows(campaigns=4, days=30)
    got = panel.read_snapshot(to_kpi(spark, frame), 40)
    assert len(got.frame) == 40
    assert got.frame["date"].max() == frame["date"].max()
    assert got.n_rows == 120


@pytest.mark.parametrize(
    "name", ["empty", "no dates", "no revenue", "huge", "one day", "no counts"]
)
def test_odd_tables_in_spark(spark, name: str) -> None:
    kpi = to_kpi(spark, odd.cases()[name])
    made = revenue.forecast(spark, kpi, ForecastSettings(trees=5))
    assert made.columns == list(schema.REVENUE_COLUMNS)
    run = made.where("output = 'model_runs'").collect()
    assert len(run) == 1
    assert run[0]["reason"]
    parts = segments.segment(spark, kpi, SegmentSettings(resamples=5))
    assert parts.columns == list(schema.SEGMENT_COLUMNS)
    assert parts.where("output = 'model_runs'").count() == 1


def test_nan_in_a_double_column_is_unknown(spark) -> None:
    kpi = to_kpi(spark, odd.rows(campaigns=2, days=5))
    from pyspark.sql.functions import col, lit, when

    nan = when(col("campaign_id") == "c00", lit(float("nan"))).otherwise(col("revenue"))
    broken = kpi.withColumn("revenue", nan)
    got = panel.read_snapshot(broken, 10**6)
    assert got.n_without_revenue == 5
    assert got.frame["revenue"].isna().sum() == 5


JOB = """
import hashlib, sys
sys.path[:0] = [{src!r}, {here!r}]
from pyspark.sql import SparkSession
import odd, test_spark
from marketing_ai.ml import revenue, segments
from marketing_ai.ml.settings import ForecastSettings, SegmentSettings
spark = (SparkSession.builder.master({master!r}).config("spark.ui.enabled", "false")
    .config("spark.ui.showConsoleProgress", "false").getOrCreate())
frame = odd.rows(campaigns=24, days=120, noise=0.4)
kpi = test_spark.to_kpi(spark, frame.sample(frac=1, random_state={seed}))
if {parts}:
    kpi = kpi.repartition({parts})
one = revenue.forecast(spark, kpi, ForecastSettings(trees=10)).toPandas()
two = segments.segment(spark, kpi, SegmentSettings(resamples=5)).toPandas()
assert (one["output"] == "feature_importance").any(), "no forest was fitted"
text = one.to_csv() + two.to_csv()
print("HASH", hashlib.sha256(text.encode()).hexdigest())
"""


def test_cores_order_and_partitions_change_no_byte(tmp_path: Path) -> None:
    hashes = []
    for number, (master, seed, parts) in enumerate((("local[1]", 1, 0), ("local[4]", 2, 7))):
        script = tmp_path / f"job{number}.py"
        script.write_text(
            JOB.format(
                src=str(ROOT / "src"),
                here=str(Path(__file__).parent),
                master=master,
                seed=seed,
                parts=parts,
            )
        )
        done = subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"},
        )
        assert done.returncode == 0, done.stderr[-2000:]
        hashes.append(next(line for line in done.stdout.splitlines() if line.startswith("HASH")))
    assert hashes[0] == hashes[1]
