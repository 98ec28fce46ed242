"""Load a table of a database: what is new since the last load, and what may have been restated.

dlt reads the table as Arrow; the rows go to a temporary Parquet file, and from there the way of
any file. How far a source has been read is in our ledger, entered with the very load that brought
the rows, so a run that breaks off leaves nothing behind and the next one begins where it did.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from marketing_ai.load.landing import LoadResult, load_file
from marketing_ai.load.ledger import read_ledger
from marketing_ai.load.mapping import Mapping
from marketing_ai.load.reading import FileRefusedError
from marketing_ai.paths import Paths

if TYPE_CHECKING:
    from sqlalchemy import Column, Engine, Table
    from sqlalchemy.engine import URL

URL_VARIABLE = "MARKETING_DATABASE_URL"
DEFAULT_LOOKBACK = 28  # days, as long as platforms restate
WAITS = (1.0, 4.0)  # seconds before the second and the third attempt
CHUNK = 50_000  # rows that are held at once

_FORM = "postgresql://user:password@host:5432/database"
_URL = re.compile(
    r"postgres(ql)?(\+psycopg)?://([^:/@?#\s]+(:[^:/@?#\s]*)?@)?([^:/@?#\s]+|\[[0-9a-fA-F:]+\])?"
    r"(:[0-9]+)?/[^:/@?#\s]+(\?[^@#\s]*)?"
)
# The server says these about what it will not do the next time either.
_NOT_FOR_NOW = ("starting up", "shutting down", "too many", "remaining connection slots")


class DatabaseError(RuntimeError):
    """The database cannot be read as asked; nothing was loaded."""


@dataclass(frozen=True)
class Position:
    """How far a source has been read, as the ledger keeps it.

    Attributes:
        column: cursor column; None: the whole table was read.
        value: newest value of the cursor, as text.
        window: fingerprint of the rows that the next run reads again.
    """

    column: str | None
    value: str | None
    window: str


@dataclass(frozen=True)
class _Request:
    """What is to be read."""

    url: URL
    schema: str
    name: str
    mapping: Mapping | None
    cursor: str | None
    lookback: int | None

    @property
    def where(self) -> str:
        """The table, without user and password, in messages and in the ledger."""
        host = self.url.host or self.url.query.get("host") or "localhost"
        port = self.url.port or self.url.query.get("port") or 5432
        return (
            f"postgresql://{host}:{port}/{self.url.database}/{self.schema or 'public'}.{self.name}"
        )


def find_url(given: str | None) -> URL:
    """The address of the database, from the command line or the environment.

    Args:
        given: an address, `env:NAME` for the variable that has it, or None for
            `MARKETING_DATABASE_URL`.

    Raises:
        DatabaseError: there is none, or it is not of the expected form; what is in it is not shown.
    """
    from sqlalchemy.engine import make_url

    name = given.removeprefix("env:") if given and given.startswith("env:") else URL_VARIABLE
    text = os.environ.get(name, "") if not given or given.startswith("env:") else given
    if not text:
        raise DatabaseError(f"no database: set {name} to {_FORM}")
    if not _URL.fullmatch(text):
        raise DatabaseError(
            f"the database's address is not of the form {_FORM} (it isn't shown, it may hold a "
            "password). Characters such as @ : / ? # in a password are written as %40 %3A %2F …"
        )
    url = make_url(text).set(drivername="postgresql+psycopg")
    if secret := {"password", "sslpassword", "passfile"} & set(url.query):
        raise DatabaseError(f"{secret.pop()} after the ? is not taken; write {_FORM}")
    return url


def load_table(
    url: URL,
    table: str,
    paths: Paths,
    mapping: Mapping | None,
    *,
    source: str,
    cursor: str | None = None,
    lookback: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> LoadResult | None:
    """Load what is new in a table; the caller holds the lake's writer lock.

    Args:
        url: of the database, see `find_url`.
        table: name of a table or view, with its schema or without.
        paths: folders of the project and the lake.
        mapping: of the source; None: the table has our own column names.
        source: name of the source.
        cursor: column of dates, times or numbers that grows with new rows; None: read everything.
        lookback: how far before the newest value rows are read again: days, or units of a number.
            None: 28 days, 0 units.
        say: told about an attempt that is repeated.

    Returns:
        What the load did, None when nothing is new.

    Raises:
        DatabaseError: the database cannot be reached or read as asked.
        marketing_ai.load.reading.FileRefusedError: too many rows would be refused.
    """
    _check_request(mapping, cursor, lookback)
    schema, _, name = table.rpartition(".")
    request = _Request(url, schema, name, mapping, cursor, lookback)
    with tempfile.TemporaryDirectory(prefix="marketing_load_") as folder:
        file = Path(folder) / "rows.parquet"
        before = _position(paths, source, request)
        token = str(read_ledger(paths)["load_no"].max() or 0)
        position = _read_with_retries(request, before, file, token, say)
        if position is None or (before and before.window == fingerprint(file)):
            return None
        try:
            return load_file(
                file,
                paths,
                mapping,
                source=source,
                named=request.where,
                cursor_value=json.dumps(position.__dict__),
            )
        except FileRefusedError as error:
            raise FileRefusedError(str(error).replace(str(file), request.where)) from None


def _check_request(mapping: Mapping | None, cursor: str | None, lookback: int | None) -> None:
    if cursor is None and lookback is not None:
        raise DatabaseError("--lookback says how far before --cursor to read: name that column")
    if mapping is None or mapping.repeated_keys == "refuse":
        return
    if mapping.repeated_keys == "last" and cursor is None:
        raise DatabaseError(
            "repeated_keys: last keeps the last row of a key, and a table has no order: "
            "name the column that tells which row is newer with --cursor"
        )
    days = mapping.columns.get("date")
    by_day = bool(
        cursor and days and [name.casefold() for name in days.sources] == [cursor.casefold()]
    )
    unpivoted = any("date" in block for block in mapping.unpivot)
    if mapping.repeated_keys == "sum" and cursor and (not by_day or unpivoted):
        raise DatabaseError(
            f"repeated_keys: sum adds up all rows of a day, and --cursor {cursor} would bring some "
            "of them only, which then replace the whole: use the column that `date` is mapped "
            "from as the cursor, or no cursor"
        )


def _position(paths: Paths, source: str, request: _Request) -> Position | None:
    """Where the last load of this table ended, if it had the same cursor."""
    loads = read_ledger(paths).filter(
        (pl.col("source") == source)
        & (pl.col("source_file") == request.where)
        & pl.col("cursor_value").is_not_null()
    )
    if loads.is_empty():
        return None
    position = Position(**json.loads(loads["cursor_value"][-1]))
    return position if position.column == request.cursor else None


def _read_with_retries(
    request: _Request, before: Position | None, file: Path, token: str, say: Callable[[str], None]
) -> Position | None:
    """Write the new rows to `file`, each attempt from its beginning; None where there is none."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine(
        request.url,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={
            "connect_timeout": 10,
            "application_name": "marketing-ai",
            # We only read, whatever the user may do; a dead network is noticed within a minute.
            "options": "-c default_transaction_read_only=on",
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        },
    )
    for wait in (*WAITS, None):
        file.unlink(missing_ok=True)
        try:
            return _read(engine, request, before, file, token)
        except DatabaseError:
            raise
        except Exception as error:
            reason, lost = _explained(error, request.url)
            if not lost:
                raise DatabaseError(f"{request.where}: {reason}. Nothing was loaded") from None
            if wait is None:
                raise DatabaseError(
                    f"{request.where}: {reason}. Tried {len(WAITS) + 1} times, nothing was loaded; "
                    "the next run begins where this one did"
                ) from None
        say(f"{request.where}: {reason}; once more in {wait:g} s")
        time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _read(
    engine: Engine, request: _Request, before: Position | None, file: Path, token: str
) -> Position | None:
    table = _reflect(engine, request)
    wanted, cursor = _columns(table, request)
    start = None
    if cursor is not None:
        _check_cursor(cursor, request)
        if before and before.value is not None:
            start = _begin(cursor, _parsed(cursor, before.value), request.lookback)
    newest = _write(_chunks(engine, table, wanted, cursor, start), cursor, file, token)
    if not file.is_file():
        return None
    if cursor is None or newest is None:
        return Position(request.cursor, None, fingerprint(file))
    next_start = _begin(cursor, newest, request.lookback)
    return Position(request.cursor, str(newest), fingerprint(file, cursor.name, next_start))


def _reflect(engine: Engine, request: _Request) -> Table:
    from sqlalchemy import MetaData, Table, inspect
    from sqlalchemy.exc import NoSuchTableError, SAWarning

    schema = request.schema or None
    try:
        with warnings.catch_warnings(category=SAWarning, action="ignore"):  # of types unknown to it
            metadata = MetaData(schema=schema)
            return Table(request.name, metadata, autoload_with=engine, resolve_fks=False)
    except NoSuchTableError:
        found = inspect(engine)
        names = [*found.get_table_names(schema=schema), *found.get_view_names(schema=schema)]
        near = difflib.get_close_matches(request.name, names, n=1)
        there = f"there are {', '.join(sorted(names)[:10]) or 'none'}"
        if near:
            there = f"is it {near[0]}?"
        raise DatabaseError(f"{request.where}: there is no such table; {there}") from None


def _columns(table: Table, request: _Request) -> tuple[list[str], Column[Any] | None]:
    """What to read: with a mapping only what it names, so that nothing else leaves the database."""
    mapping, cursor = request.mapping, request.cursor
    by_name = {column.name.casefold(): column for column in table.columns}
    needed = [*(mapping.sources if mapping else by_name), *([cursor] if cursor else [])]
    missing = [name for name in needed if name.casefold() not in by_name]
    if missing:
        raise DatabaseError(
            f"{request.where}: there is no column {', '.join(missing)}; "
            f"there are {', '.join(column.name for column in table.columns)}"
        )
    wanted = dict.fromkeys(by_name[name.casefold()].name for name in needed)
    return list(wanted), by_name[cursor.casefold()] if cursor else None


def _kind(cursor: Column[Any]) -> type:
    try:
        return cursor.type.python_type
    except NotImplementedError:
        return object


def _has_arrow_type(column: Column[Any]) -> bool:
    """Whether Arrow holds every value; a numeric without a scale has any number of digits."""
    if _kind(column) is Decimal:
        return getattr(column.type, "scale", None) is not None
    return _kind(column) in (date, datetime, int, bool, float, str)


def _check_cursor(cursor: Column[Any], request: _Request) -> None:
    if _kind(cursor) not in (date, datetime, int, Decimal):
        raise DatabaseError(
            f"{request.where}: column {cursor.name} is of type {cursor.type}; a cursor is a date, "
            "a time or a number that grows with new rows"
        )


def _parsed(cursor: Column[Any], text: str) -> Any:
    kind: Any = _kind(cursor)
    return kind.fromisoformat(text) if kind in (date, datetime) else kind(text)


def _begin(cursor: Column[Any], newest: Any, lookback: int | None) -> Any:
    """Where the next run begins to read."""
    if _kind(cursor) not in (date, datetime):
        return newest - (lookback or 0)
    first = newest - timedelta(days=DEFAULT_LOOKBACK if lookback is None else lookback)
    if isinstance(first, datetime):
        # Whole days: half a day would replace the sum of the whole one.
        return first.replace(hour=0, minute=0, second=0, microsecond=0)
    return first


def _write(chunks: Iterator[pa.Table], cursor: Column[Any] | None, file: Path, token: str) -> Any:
    """Write the rows to `file`, none for no row; returns the newest value of the cursor."""
    newest = None
    writer: pq.ParquetWriter | None = None
    try:
        for chunk in chunks:
            if writer is None:
                # The token tells two deliveries of the same rows apart: restated, and back again.
                metadata = {**(chunk.schema.metadata or {}), b"after_load": token.encode()}
                schema = chunk.schema.with_metadata(metadata)
                writer = pq.ParquetWriter(file, schema, compression="zstd")
            writer.write_table(chunk.cast(writer.schema))
            if cursor is not None:
                found = _newest(chunk[cursor.name], cursor)
                if found is not None and (newest is None or found > newest):
                    newest = found
    finally:
        if writer is not None:
            writer.close()
    return newest


def _newest(values: pa.ChunkedArray, cursor: Column[Any]) -> Any:
    if _kind(cursor) in (date, datetime):
        # A slip into the future must not make the cursor skip what comes until then.
        limit = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
        values = values.filter(pc.less(values.cast(pa.timestamp("us")), pa.scalar(limit)))
    found = pc.max(values).as_py()
    if isinstance(found, datetime) and not getattr(cursor.type, "timezone", False):
        return found.replace(tzinfo=None)
    return found


def _chunks(
    engine: Engine,
    table: Table,
    wanted: list[str],
    cursor: Column[Any] | None,
    start: Any,
) -> Iterator[pa.Table]:
    # dlt reads its settings when it is imported; what it would log ends in our messages.
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"
    import dlt
    from dlt.sources.sql_database import sql_table
    from sqlalchemy import Text, cast

    order = [
        *([cursor.asc().nulls_first()] if cursor is not None else []),
        *(column for column in table.primary_key.columns if column is not cursor),
    ]
    selected: list[Any] = []
    for name in wanted:
        column = table.c[name]
        plain = column is cursor or _has_arrow_type(column)
        selected.append(column if plain else cast(column, Text).label(name))
        if not plain:
            column.type = Text()
    incremental = None
    if cursor is not None:
        incremental = dlt.sources.incremental(
            cursor.name,
            initial_value=start,
            range_start="closed",
            # A row without a value comes every time, rather than once or never.
            on_cursor_value_missing="include",
            primary_key=(),
        )
    yield from sql_table(
        engine,
        table=table.name,
        schema=table.schema,
        metadata=table.metadata,
        incremental=incremental,
        chunk_size=CHUNK,
        backend="pyarrow",
        reflection_level="full_with_precision",
        included_columns=wanted,
        query_adapter_callback=lambda query, _: query.with_only_columns(*selected).order_by(*order),
    )


def fingerprint(file: Path, cursor: str | None = None, start: Any = None) -> str:
    """What tells whether rows have changed: of those from `start` on, in whatever order."""
    where = "true"
    parameters: list[Any] = [str(file)]
    if cursor is not None and start is not None:
        name = 'row."' + cursor.replace('"', '""') + '"'
        where = f"{name} >= ? or {name} is null"
        parameters.append(start)
    with duckdb.connect() as connection:
        ((count, total, mixed),) = connection.execute(
            f"""
            select count(*), sum(hash(row)), bit_xor(hash(row, 1))
            from read_parquet(?) as row where {where}
            """,  # noqa: S608
            parameters,
        ).fetchall()
    return hashlib.sha256(f"{count} {total} {mixed}".encode()).hexdigest()


def _explained(error: BaseException, url: URL) -> tuple[str, bool]:
    """What the database said, without secrets, and whether trying again may help."""
    from psycopg import Error, OperationalError

    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    said = next((link for link in reversed(chain) if isinstance(link, Error)), error)
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    # Of a failed connection, the last line that the server or the system said.
    fatal = [line for line in lines if "FATAL:" in line] or lines
    text = fatal[0].split("FATAL:")[-1].strip() if fatal else type(said).__name__
    for secret in {url.password, quote(str(url.password or ""), safe="")} - {None, ""}:
        text = text.replace(str(secret), "***")
    for_now = any(words in text for words in _NOT_FOR_NOW)
    in_session = getattr(said, "sqlstate", None) is not None
    refused = "FATAL:" in str(said) and not in_session and not for_now
    return text, isinstance(said, OperationalError) and not refused
