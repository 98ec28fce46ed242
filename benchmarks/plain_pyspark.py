"""The demo's tables by hand: what one would write without dbt, tests or docs.

    python -m benchmarks.plain_pyspark FOLDER [--stock]

`--stock` starts Spark as a script usually does, with Delta and nothing else set; without it, the
project's own session settings are used, so that the two differ in dbt alone. The forecast and the
segmentation call the same functions as the dbt models. It writes no column comments, no time spine,
no publication and shorter reasons: what is left out is to its advantage.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from marketing_ai.lake import jars
from marketing_ai.lake.session import spark_session
from marketing_ai.ml.revenue import forecast
from marketing_ai.ml.segments import segment
from marketing_ai.ml.settings import ForecastSettings, SegmentSettings
from marketing_ai.paths import find_paths

ROOT = Path(__file__).resolve().parents[1]
KEY = ["campaign_id", "channel", "segment", "date"]
MEASURES = ["impressions", "clicks", "leads", "conversions", "cost", "revenue"]
WINDOW = 28


def stock_session(folder: Path) -> SparkSession:
    """Spark with Delta, as the Delta documentation starts it; the jars come from the cache."""
    delta = ",".join(str(jar) for jar in jars.verified(find_paths(ROOT).cache, ROOT))
    return (
        SparkSession.builder.master("local[*]")
        .config("spark.jars", delta)
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config(
            "spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog"
        )
        .config("spark.sql.warehouse.dir", str(folder))
        .getOrCreate()
    )


def sums(prefix: str = "", when=None) -> list:
    """The additive measures of a group."""
    columns = []
    for name in MEASURES:
        value = f.col(name) if when is None else f.when(when, f.col(name))
        total = f.sum(value)
        if name in {"cost", "revenue"}:
            total = total.cast("decimal(18,4)")
        columns.append(total.alias(prefix + name))
    return columns


def kpis(frame: DataFrame, prefix: str = "") -> DataFrame:
    """The nine ratios, null when the denominator is 0."""

    def ratio(over, under):
        return f.when(under != 0, over.cast("double") / under.cast("double"))

    c = {name: f.col(prefix + name) for name in MEASURES}
    for name, value in {
        "ctr": ratio(c["clicks"], c["impressions"]),
        "cvr": ratio(c["conversions"], c["clicks"]),
        "cpl": ratio(c["cost"], c["leads"]),
        "cpa": ratio(c["cost"], c["conversions"]),
        "cpc": ratio(c["cost"], c["clicks"]),
        "cpm": ratio(1000 * c["cost"], c["impressions"]),
        "roi": ratio(c["revenue"] - c["cost"], c["cost"]),
        "roas": ratio(c["revenue"], c["cost"]),
        "aov": ratio(c["revenue"], c["conversions"]),
    }.items():
        frame = frame.withColumn(prefix + name, value)
    return frame


def campaigns(kpi: DataFrame) -> DataFrame:
    """One row per campaign, with its last window against the one before."""
    as_of = kpi.agg(f.max("date")).first()[0]
    age = f.datediff(f.lit(as_of), f.col("date"))
    current, previous = age < WINDOW, (age >= WINDOW) & (age < 2 * WINDOW)
    main = (
        kpi.groupBy("campaign_id", "channel")
        .agg(f.sum("cost").alias("cost"))
        .groupBy("campaign_id")
        .agg(f.max_by("channel", f.struct("cost", "channel")).alias("main_channel"))
    )
    channel = kpis(kpi.groupBy("channel").agg(*sums("channel_", current)), "channel_").select(
        f.col("channel").alias("main_channel"), "channel_cpl"
    )
    totals = kpi.groupBy("campaign_id").agg(
        f.max_by("campaign_name", "date").alias("campaign_name"),
        *sums(),
        *sums("current_", current),
        *sums("previous_", previous),
    )
    for prefix in ("", "current_", "previous_"):
        totals = kpis(totals, prefix)
    reasons = f.concat_ws(
        "; ",
        f.when(f.col("current_roi") < 0, "loses money"),
        f.when(f.col("current_cpl") > 1.5 * f.col("channel_cpl"), "leads are dear"),
        f.when(f.col("current_roas") < 0.7 * f.col("previous_roas"), "ROAS fell"),
    )
    return (
        totals.join(main, "campaign_id")
        .join(channel, "main_channel", "left")
        .withColumn("underperformance_reasons", reasons)
    )


def run(spark: SparkSession) -> None:
    """Write every table of the demo."""
    spark.sql("create schema if not exists marketing")

    def write(frame: DataFrame, name: str) -> DataFrame:
        frame.write.format("delta").mode("overwrite").saveAsTable(f"marketing.{name}")
        return spark.table(f"marketing.{name}")

    schema = (
        "campaign_id string, campaign_name string, channel string, segment string, date date, "
        "impressions bigint, clicks bigint, leads bigint, conversions bigint, "
        "cost decimal(18,4), revenue decimal(18,4)"
    )
    seed = spark.read.csv(str(ROOT / "seeds/marketing_clean.csv"), header=True, schema=schema)
    clean = write(seed, "marketing_clean")
    kpi = write(
        kpis(clean.groupBy(*KEY).agg(f.max("campaign_name").alias("campaign_name"), *sums())),
        "marketing_kpi",
    )
    for name, by in (
        ("marketing_kpi_channel", ["channel"]),
        ("marketing_kpi_channel_daily", ["channel", "date"]),
    ):
        write(kpis(kpi.groupBy(*by).agg(*sums())), name)
    write(campaigns(kpi), "marketing_kpi_campaign")

    outputs = write(forecast(spark, kpi, ForecastSettings()), "ml_revenue")
    for name in (
        "revenue_forecast",
        "response_curves",
        "budget_scenarios",
        "budget_reallocation",
        "forecast_accuracy",
        "feature_importance",
        "model_runs",
    ):
        write(outputs.where(f.col("output") == name), name)
    outputs = write(segment(spark, kpi, SegmentSettings()), "ml_segments")
    for name in ("campaign_segments", "segment_profiles", "segment_quality"):
        write(outputs.where(f.col("output") == name), name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stock", action="store_true")
    chosen = parser.parse_args()
    run(stock_session(chosen.folder) if chosen.stock else spark_session())
