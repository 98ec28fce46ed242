"""The ledger of loads: one row for each file that was taken over.

It is what makes a load happen once: rows of `raw_marketing_delivery` count only when the ledger
names their load, so a load that broke off between the two commits has happened not at all.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from marketing_ai.paths import Paths

RAW_TABLE = "raw_marketing_delivery"
LEDGER_TABLE = "raw_marketing_load"

SCHEMA = pa.schema(
    [
        pa.field("load_no", pa.int64(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("source_file", pa.string()),
        pa.field("source_sha256", pa.string()),
        pa.field("loaded_at", pa.timestamp("us", tz="UTC")),
        pa.field("loaded_on", pa.date32()),
        pa.field("delivered", pa.int64()),
        pa.field("accepted", pa.int64()),
        pa.field("refused", pa.int64()),
        pa.field("warned", pa.int64()),
        pa.field("converted", pa.int64()),
        pa.field("rules_md5", pa.string()),
        pa.field("refusing_rules", pa.string()),
        pa.field("repeated_keys", pa.string()),
        pa.field("late_before", pa.date32()),
        pa.field("first_date", pa.date32()),
        pa.field("last_date", pa.date32()),
        pa.field("months", pa.string()),
        pa.field("cursor_value", pa.string()),
    ]
)


def table_path(paths: Paths, name: str) -> Path:
    """Folder of a table of this lake."""
    return paths.lake / f"{paths.schema}.db" / name


def read_ledger(paths: Paths) -> pl.DataFrame:
    """All loads in order, with the columns of `SCHEMA`; no row before the first."""
    path = table_path(paths, LEDGER_TABLE)
    if not (path / "_delta_log").is_dir():
        return pl.DataFrame(SCHEMA.empty_table())
    return pl.read_delta(str(path)).sort("load_no")


def newest_date(ledger: pl.DataFrame, source: str) -> date | None:
    """The last day that a source has delivered."""
    return ledger.filter(pl.col("source") == source)["last_date"].max()  # type: ignore[return-value]


def drop_unfinished(paths: Paths, ledger: pl.DataFrame) -> int:
    """Remove raw rows of loads that broke off before their ledger row; returns their number."""
    path = table_path(paths, RAW_TABLE)
    if not (path / "_delta_log").is_dir():
        return 0
    last = int(ledger["load_no"].max() or 0)  # type: ignore[arg-type]
    removed = DeltaTable(str(path)).delete(f"load_no > {last}")
    return int(removed["num_deleted_rows"] or 0)


def enter(paths: Paths, row: dict[str, object]) -> None:
    """Write one ledger row; with it the load has happened."""
    now = datetime.now(UTC)
    entry = {"loaded_at": now, **row}
    table = pa.Table.from_pylist([entry], schema=SCHEMA)
    write_deltalake(str(table_path(paths, LEDGER_TABLE)), table, mode="append")


def remove(paths: Paths, loads: list[int]) -> None:
    """Take loads back: their rows and their ledger rows.

    The ledger goes first, so that a break in between leaves rows that nobody counts.
    """
    listed = ", ".join(str(number) for number in loads)
    for name in (LEDGER_TABLE, RAW_TABLE):
        DeltaTable(str(table_path(paths, name))).delete(f"load_no in ({listed})")
