"""The warehouse: guarded statements, run read-only on one publication, without a JVM.

The tables that questions may read are opened at their published version and held by an embedded
DuckDB that can reach neither files nor network. A newer publication gives a new warehouse; the one
in use stays whole until its last question is answered.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from marketing_ai.assistant import guard
from marketing_ai.assistant.compile import TOTAL_ROWS, Statement
from marketing_ai.lake.publication import Publication

TABLES = (
    "marketing_kpi",
    "marketing_kpi_campaign",
    "segment_profiles",
    "campaign_segments",
    "revenue_forecast",
    "response_curves",
    "budget_scenarios",
    "budget_reallocation",
)
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "threads": 2,
}


class QueryTimeoutError(TimeoutError):
    """The statement took longer than a question may take."""


@dataclass(frozen=True)
class Result:
    """Rows of a statement.

    Attributes:
        sql: the text that ran.
        parameters: values of its parameters.
        columns: column names, without the count of rows.
        rows: at most the statement's limit.
        total_rows: rows before the limit.
    """

    sql: str
    parameters: dict[str, Any]
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total_rows: int

    def cell(self, row: int, column: str) -> Any:
        """Value of a cell."""
        return self.rows[row][self.columns.index(column)]

    def records(self) -> list[dict[str, Any]]:
        """Rows by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Warehouse:
    """Answers guarded statements from one publication; safe to use from several threads."""

    def __init__(self, publication: Publication, timeout_seconds: float = 10) -> None:
        """Open the published tables.

        Raises:
            NotPublishedError: marketing_kpi is not published, or its files are gone.
        """
        self.publication = publication
        self._timeout = timeout_seconds
        self._database = duckdb.connect(":memory:", config=_SETTINGS)
        columns: dict[str, frozenset[str]] = {}
        for table in TABLES:
            if table not in publication.versions and table != "marketing_kpi":
                continue
            frame = publication.read(table).to_arrow()
            self._database.register("arriving", frame)
            self._database.table("arriving").create(table)
            self._database.unregister("arriving")
            columns[table] = frozenset(frame.column_names)
        self._database.execute("set lock_configuration = true")
        self.columns: Mapping[str, frozenset[str]] = columns

    def run(self, statement: Statement) -> Result:
        """Check a statement and run it.

        Raises:
            guard.GuardError: the statement is not one that may run.
            QueryTimeoutError: it took too long.
        """
        sql = guard.check(statement.tree, self.columns).sql(dialect="duckdb")
        cursor = self._database.cursor()
        timer = threading.Timer(self._timeout, cursor.interrupt)
        timer.start()
        try:
            rows = cursor.execute(sql, statement.parameters).fetchall()
            names = [column[0] for column in cursor.description]
        except duckdb.InterruptException:
            raise QueryTimeoutError(f"stopped after {self._timeout:g} seconds") from None
        finally:
            timer.cancel()
            cursor.close()
        place = names.index(TOTAL_ROWS)
        return Result(
            sql=sql,
            parameters=statement.parameters,
            columns=tuple(n for n in names if n != TOTAL_ROWS),
            rows=tuple(row[:place] + row[place + 1 :] for row in rows),
            total_rows=rows[0][place] if rows else 0,
        )
