"""Read the published tables: one consistent, tested state, without a JVM.

`publication` names the Delta version of each table that passed every test. A reader opens those
versions, so a build that runs meanwhile, or one that failed, is invisible to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from marketing_ai.paths import Paths, find_paths


class NotPublishedError(LookupError):
    """There is no publication, or it doesn't name the table that was asked for."""


@dataclass(frozen=True)
class Publication:
    """One publication: which version of each table counts.

    Attributes:
        schema_folder: folder of the tables.
        versions: Delta version by table name.
        row_counts: number of rows by table name.
        published_at: time of the publication, UTC.
        version: Delta version of the publication itself; grows with every build.
    """

    schema_folder: Path
    versions: dict[str, int]
    row_counts: dict[str, int]
    published_at: datetime
    version: int

    def scan(self, table: str) -> pl.LazyFrame:
        """Open the published version of `table`, lazily.

        Raises:
            NotPublishedError: the publication doesn't name that table, or its files are gone.
        """
        if table not in self.versions:
            raise NotPublishedError(
                f"table {table} is not published; published are {', '.join(sorted(self.versions))}"
            )
        path = self.schema_folder / table
        try:
            return pl.scan_delta(str(path), version=self.versions[table])
        except (TableNotFoundError, DeltaError) as error:
            raise NotPublishedError(
                f"version {self.versions[table]} of {table} cannot be read from {path}: {error}. "
                "Run `make build` to write and publish it again."
            ) from error

    def read(self, table: str) -> pl.DataFrame:
        """Read the published version of `table` whole; errors as `scan`."""
        return self.scan(table).collect()


def current_publication(paths: Paths | None = None) -> Publication:
    """Return the newest publication of a lake.

    Args:
        paths: folders and schema; default: the project at or above the working directory.

    Raises:
        NotPublishedError: nothing has been published there.
    """
    paths = paths or find_paths()
    folder = paths.lake / f"{paths.schema}.db"
    try:
        table = DeltaTable(str(folder / "publication"))
    except (TableNotFoundError, DeltaError) as error:
        raise NotPublishedError(
            f"nothing is published in {folder}: run `make build`; "
            "if a build failed, its report says which test refused the data"
        ) from error
    # By version, not "newest" again: a build may publish between the two calls.
    rows = pl.scan_delta(str(folder / "publication"), version=table.version()).collect()
    return Publication(
        schema_folder=folder,
        versions=dict(zip(rows["table_name"], rows["delta_version"], strict=True)),
        row_counts=dict(zip(rows["table_name"], rows["row_count"], strict=True)),
        published_at=_utc(rows["published_at"][0]),
        version=table.version(),
    )


def _utc(time: datetime) -> datetime:
    # Spark writes it with a zone or without one, by the type of the column.
    return time if time.tzinfo else time.replace(tzinfo=UTC)
