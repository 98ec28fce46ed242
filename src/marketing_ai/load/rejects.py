"""Show refused rows and write them to a file that a spreadsheet cannot be tricked by."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from marketing_ai.lake.publication import current_publication
from marketing_ai.paths import Paths

# A spreadsheet runs a cell that begins with one of these, full-width forms included.
_FORMULA = "^[=+\\-@\t\r\n\0＝＋－＠]"


def escape_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Put an apostrophe before every text cell that a spreadsheet would take for a formula.

    Numbers stay numbers; only text columns are touched.
    """
    return frame.with_columns(
        pl.when(pl.col(pl.String).str.contains(_FORMULA))
        .then(pl.lit("'") + pl.col(pl.String))
        .otherwise(pl.col(pl.String))
        .name.keep()
    )


def published_rejects(paths: Paths, source: str | None = None) -> pl.DataFrame:
    """Refused rows of the published state, in the order of loads and lines.

    Raises:
        marketing_ai.lake.publication.NotPublishedError: nothing is published.
    """
    rows = current_publication(paths).read("marketing_rejects")
    if source is not None:
        rows = rows.filter(pl.col("source") == source)
    return rows.sort("load_no", "source_line", "part")


def print_rejects(console: Console, rows: pl.DataFrame, limit: int) -> None:
    """Print the first `limit` refused rows, and their number by rule."""
    if rows.is_empty():
        console.print("No row was refused.")
        return
    table = Table(title=f"{rows.height:,} refused rows", title_justify="left")
    for heading in ("file", "line", "column", "rule", "value"):
        table.add_column(heading, justify="right" if heading == "line" else "left")
    for row in rows.head(limit).iter_rows(named=True):
        names = ("source_file", "source_line", "column_name", "rule", "value")
        table.add_row(*(Text(str(row[name] if row[name] is not None else "")) for name in names))
    console.print(table)
    if rows.height > limit:
        console.print(f"… and {rows.height - limit:,} more; --csv FILE writes them all")


def write_csv(rows: pl.DataFrame, file: Path) -> None:
    """Write the rows as CSV in UTF-8, formulas escaped."""
    escape_formulas(rows).write_csv(file)
