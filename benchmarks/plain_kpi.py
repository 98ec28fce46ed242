"""The KPI tables by a hand-written PySpark script, from the file on.

    python -m benchmarks.plain_kpi FILE FOLDER

Spark as a script usually starts it, with Delta. It writes the curated table, the rejects and the
same KPI tables with the same business rules; no ledger, no text as delivered, no tests.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import functions as f

from benchmarks.plain_pyspark import KEY, campaigns, kpis, stock_session, sums


def run(file: Path, folder: Path) -> None:
    """Write every table."""
    spark = stock_session(folder)
    spark.sql("create schema if not exists marketing")

    def write(frame, name: str):
        frame.write.format("delta").mode("overwrite").saveAsTable(f"marketing.{name}")
        return spark.table(f"marketing.{name}")

    schema = (
        "campaign_id string, campaign_name string, channel string, segment string, date date, "
        "impressions bigint, clicks bigint, leads bigint, conversions bigint, "
        "cost decimal(18,4), revenue decimal(18,4), corrupt string"
    )
    with file.open() as handle:
        header = handle.readline().strip().split(",")
    types = dict(column.split(" ", 1) for column in schema.split(", "))
    ordered = ", ".join(f"{name} {types[name]}" for name in [*header, "corrupt"])
    delivered = spark.read.csv(
        str(file), header=True, schema=ordered, columnNameOfCorruptRecord="corrupt"
    )
    bad = (
        f.col("corrupt").isNotNull()
        | f.coalesce(f.col("cost") < 0, f.lit(False))
        | f.coalesce(f.col("clicks") > f.col("impressions"), f.lit(False))
        | f.coalesce(f.col("date") > f.current_date(), f.lit(False))
        | f.coalesce(f.col("impressions") > 10**12, f.lit(False))
    )
    write(delivered.where(bad), "marketing_rejects")
    clean = write(
        delivered.where(~bad).drop("corrupt").dropDuplicates(KEY)
        .withColumn("month", f.trunc("date", "MM")),
        "marketing_clean",
    )  # fmt: skip
    kpi = write(kpis(clean), "marketing_kpi")
    campaigns_of = f.countDistinct("campaign_id").alias("campaigns")
    days = [f.min("date").alias("first_date"), f.max("date").alias("last_date")]
    name_of = f.max_by("campaign_name", "date").alias("campaign_name")
    for name, by, extra in (
        ("marketing_kpi_channel", ["channel"], [campaigns_of, *days]),
        ("marketing_kpi_channel_daily", ["channel", "date"], [campaigns_of]),
        ("marketing_kpi_monthly", ["campaign_id", "channel", "segment", "month"], [name_of, *days]),
    ):
        write(kpis(kpi.groupBy(*by).agg(*sums(), *extra)), name)
    write(campaigns(kpi), "marketing_kpi_campaign")


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
