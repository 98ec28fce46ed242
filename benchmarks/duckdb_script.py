"""The KPI tables by a script without Spark or dbt: DuckDB for the SQL, delta-rs for the files.

    python -m benchmarks.duckdb_script load FILE FOLDER
    python -m benchmarks.duckdb_script build FOLDER

What one would write in a day: the same tables, the rows as text with their fault first, the same
business rules and the check for repeated keys; one spelling of a file only, no ledger, no
increments, no docs and no tests.
"""

from __future__ import annotations

import hashlib
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
    """File to the raw table: text with file, line and what is wrong with the row."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    connection = duckdb.connect()
    with file.open() as handle:
        header = handle.readline().strip().split(",")
    columns = ", ".join(f"'{name}': 'varchar'" for name in header)
    connection.execute(
        f"""
        create table delivered as
        select row_number() over () + 1 as line, *
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
    bad_cell = " or ".join(
        f"({name} is not null and try_cast({name} as {kind}) is null)"
        for name, kind in TYPES.items()
        if kind != "varchar" and name in header
    )
    fault = f"""
        case
            when {bad_cell} then 'type'
            when cost::decimal(18, 4) < 0 then 'negative_cost'
            when clicks::bigint > impressions::bigint then 'clicks_above_impressions'
            when date::date > current_date or date::date < date '1990-01-01' then 'date'
            when impressions::bigint > 1000000000000 then 'huge_value'
            when r.campaign_id is not null then 'repeated_key'
        end
    """
    write(
        connection,
        f"""
        select d.*, '{digest[:12]}' as file, {fault} as fault
        from delivered d left join repeated r using (campaign_id, channel, segment, date)
        union all by name
        select line::bigint as line, csv_line as campaign_id, error_type::varchar as fault
        from reject_errors
        """,
        folder / "raw_marketing_delivery",
    )


def build(folder: Path) -> None:
    """The raw table to marketing_clean, marketing_rejects and the KPI tables."""
    connection = duckdb.connect()
    files = str(folder / "raw_marketing_delivery" / "*.parquet")
    connection.execute(f"create view raw as from read_parquet('{files}')")
    write(connection, "from raw where fault is not null", folder / "marketing_rejects")
    typed = ", ".join(f"{name}::{kind} as {name}" for name, kind in TYPES.items())
    write(
        connection,
        f"""
        select *, date_trunc('month', date)::date as month
        from (select {typed} from raw where fault is null)
        """,
        folder / "marketing_clean",
    )
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
