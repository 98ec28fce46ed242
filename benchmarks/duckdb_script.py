"""The KPI tables by a script without Spark or dbt: DuckDB for the SQL, delta-rs for the files.

    python -m benchmarks.duckdb_script load FILE FOLDER
    python -m benchmarks.duckdb_script build FOLDER

What one would write in an afternoon: typed reading, rows that cannot be read kept aside, the same
business rules and the check for repeated keys; no ledger, no text as delivered, no tests.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
from deltalake import write_deltalake

TYPES = {
    "campaign_id": "varchar",
    "campaign_name": "varchar",
    "channel": "varchar",
    "segment": "varchar",
    "date": "date",
    "impressions": "bigint",
    "clicks": "bigint",
    "leads": "bigint",
    "conversions": "bigint",
    "cost": "decimal(18,4)",
    "revenue": "decimal(18,4)",
}
SUMS = ", ".join(
    [f"sum({name})::bigint as {name}" for name in ("impressions", "clicks", "leads", "conversions")]
    + [f"sum({name})::decimal(18,4) as {name}" for name in ("cost", "revenue")]
)
KPIS = """
    clicks / nullif(impressions, 0) as ctr, conversions / nullif(clicks, 0) as cvr,
    cost::double / nullif(leads, 0) as cpl, cost::double / nullif(conversions, 0) as cpa,
    cost::double / nullif(clicks, 0) as cpc, 1000 * cost::double / nullif(impressions, 0) as cpm,
    (revenue - cost)::double / nullif(cost::double, 0) as roi,
    revenue::double / nullif(cost::double, 0) as roas,
    revenue::double / nullif(conversions, 0) as aov
"""


def write(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write a query as a Delta table."""
    write_deltalake(str(path), connection.sql(query).to_arrow_reader(100_000), mode="overwrite")


def load(file: Path, folder: Path) -> None:
    """File to marketing_clean and marketing_rejects."""
    connection = duckdb.connect()
    header = file.open().readline().strip().split(",")
    columns = ", ".join(f"'{name}': '{TYPES[name]}'" for name in header)
    connection.execute(
        f"""
        create table delivered as
        from read_csv('{file}', columns = {{{columns}}}, header = true, auto_detect = false,
            delim = ',', quote = '"', escape = '"', store_rejects = true)
        """
    )
    connection.execute(
        """
        create table repeated as
        select campaign_id, channel, segment, date
        from delivered group by all having count(*) > 1
        """
    )
    bad = """
        cost < 0 or clicks > impressions or date > current_date or date < date '1990-01-01'
        or impressions > 1000000000000 or cost > 10000000000
    """
    write(
        connection,
        f"""
        select *, date_trunc('month', date)::date as month from delivered
        anti join repeated using (campaign_id, channel, segment, date) where not ({bad})
        """,
        folder / "marketing_clean",
    )
    write(
        connection,
        f"""
        select line::bigint as line, column_name, error_type::varchar as rule, csv_line
        from reject_errors
        union all select null, null, 'rule', delivered::varchar from delivered where {bad}
        union all select null, null, 'repeated', delivered::varchar
        from delivered semi join repeated using (campaign_id, channel, segment, date)
        """,
        folder / "marketing_rejects",
    )


def build(folder: Path) -> None:
    """marketing_clean to the KPI tables."""
    connection = duckdb.connect()
    files = str(folder / "marketing_clean" / "*.parquet")
    connection.execute(f"create view clean as from read_parquet('{files}')")
    write(connection, f"select *, {KPIS} from clean", folder / "marketing_kpi")
    for name, keys in (
        ("marketing_kpi_channel", "channel"),
        ("marketing_kpi_channel_daily", "channel, date"),
        ("marketing_kpi_monthly", "campaign_id, channel, segment, month"),
        ("marketing_kpi_campaign", "campaign_id"),
    ):
        query = f"""
            select *, {KPIS} from (
                select {keys}, {SUMS}, count(distinct date) as days,
                    max(campaign_name) as campaign_name
                from clean group by {keys}
            )
        """
        write(connection, query, folder / name)


if __name__ == "__main__":
    if sys.argv[1] == "load":
        load(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        build(Path(sys.argv[2]))
