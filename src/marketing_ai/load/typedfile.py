"""Read Excel, Parquet and JSON lines as text, one row of text a record.

Values that have a type are written in one way whatever the format: whole numbers without a
decimal point, days as yyyy-mm-dd. What a spreadsheet could not compute is no value, and its row
is kept as a broken record.
"""

from __future__ import annotations

import datetime as dt
import glob
import html
import json
import posixpath
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from python_calamine import CalamineError, CalamineWorkbook

from marketing_ai.load.csvfile import (
    BATCH,
    MAX_RAW,
    Broken,
    checked_header,
    insert_broken,
    insert_rows,
    make_broken,
    make_delivered,
)
from marketing_ai.load.gate import BLOCK, MAX_COLUMNS, MAX_GROWTH, SMALL, Text, refusal

MAX_CELLS = 50_000_000  # of a sheet, which is held in memory
MAX_RECORDS = 200_000_000  # of a Parquet file, which may promise more than memory holds

# XML of a workbook; a prefix before the names is allowed and rare.
_SHEET = re.compile(r'<(?:\w+:)?sheet\s[^>]*?name="([^"]*)"[^>]*?\w+:id="([^"]*)"')
_RELATION = re.compile(r"<(?:\w+:)?Relationship\s[^>]*>")
_COLUMNS = re.compile(rb'\br="([A-Z]{1,8})[0-9]+"')
_ROWS = re.compile(rb'\br="[A-Z]{0,8}([0-9]{1,9})"')
_ERROR = re.compile(
    rb'<(?:\w+:)?c\s[^>]*?\br="([A-Z]+)([0-9]+)"[^>]*?\bt="e"[^>]*>(?:(?!</(?:\w+:)?c>).)*?'
    rb"<(?:\w+:)?v>([^<]*)<",
    re.DOTALL,
)


def read_excel(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    sheet: str | None,
    header_row: int,
    used: Collection[str] | None,
) -> tuple[str, ...]:
    """Read one sheet into `delivered` and `broken`; a record's line is its row in the sheet.

    Args:
        connection: where the tables are made.
        path: an .xlsx file.
        sheet: its name; None: the first.
        header_row: row of the header.
        used: columns whose errors matter, None for all.

    Returns:
        The header.

    Raises:
        FileRefusedError: no workbook, no such sheet, or more cells than memory should hold.
    """
    unreadable = (CalamineError, zipfile.BadZipFile, zlib.error, OSError, EOFError)
    try:
        with CalamineWorkbook.from_path(str(path)) as book, zipfile.ZipFile(path) as archive:
            names = book.sheet_names
            wanted = sheet if sheet is not None else (names or [""])[0]
            if wanted not in names:
                raise refusal(
                    path, f"there is no sheet '{wanted}'; read.sheet is one of {', '.join(names)}"
                )
            errors = _error_cells(path, archive, _sheet_part(path, archive, wanted))
            rows = book.get_sheet_by_name(wanted).to_python(skip_empty_area=False)
    except unreadable as error:
        raise refusal(
            path, f"this is no readable Excel workbook ({error}); save it anew as .xlsx"
        ) from None
    if len(rows) < header_row:
        raise refusal(path, f"read.header_row is {header_row}, and sheet '{wanted}' ends before")
    header = checked_header(path, map(_text, rows[header_row - 1]), header_row)
    folded = {name.casefold() for name in used} if used is not None else None
    matter = [folded is None or name.casefold() in folded for name in header]
    make_delivered(connection, len(header))
    make_broken(connection)
    lines: list[int] = []
    good: list[list[str | None]] = []
    broken: list[Broken] = []
    for line, values in enumerate(rows[header_row:], header_row + 1):
        cells = [_text(value) for value in values]
        failed = [value for column, value in errors.get(line, []) if matter[column]]
        for column, value in errors.get(line, []):
            cells[column] = value
        if failed:
            broken.append(Broken(line, "error_cell", failed[0], "\t".join(cells)[:MAX_RAW]))
        elif any("\0" in cell for cell in cells):
            broken.append(Broken(line, "nul_character", "", "\t".join(cells)[:MAX_RAW]))
        elif any(cell.strip(" ") for cell in cells):
            lines.append(line)
            good.append(list(cells))
        if len(good) == BATCH:
            insert_rows(connection, lines, good)
            lines, good = [], []
    insert_rows(connection, lines, good)
    insert_broken(connection, broken)
    return header


def _text(value: Any) -> str:
    """A cell of a sheet as text; an empty one is empty text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _number(repr(value))
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ")
    return str(value)


def _number(text: str) -> str:
    """A number without an exponent and without decimals that say nothing."""
    if "e" in text.lower():
        number = Decimal(text)
        # A number of a million digits is left in its short form, which no rule will take.
        text = format(number, "f") if abs(number.adjusted()) < 40 else text
    return text.removesuffix(".0")


def _sheet_part(path: Path, archive: zipfile.ZipFile, sheet: str) -> str:
    """Where in the archive the sheet is."""
    try:
        book = archive.read("xl/workbook.xml").decode()
        relations = archive.read("xl/_rels/workbook.xml.rels").decode()
        wanted = {html.unescape(name): number for name, number in _SHEET.findall(book)}[sheet]
        for relation in _RELATION.findall(relations):
            if f'Id="{wanted}"' in relation and (
                target := re.search(r'Target="([^"]+)"', relation)
            ):
                part = posixpath.normpath(posixpath.join("/xl", target[1])).lstrip("/")
                archive.getinfo(part)
                return part
    except (KeyError, UnicodeDecodeError):
        pass
    raise refusal(path, f"sheet '{sheet}' is not where .xlsx files keep it; save it anew as .xlsx")


def _error_cells(
    path: Path, archive: zipfile.ZipFile, part: str
) -> dict[int, list[tuple[int, str]]]:
    """Cells such as #DIV/0!, by row: column from 0 and value; calamine would call them empty.

    Raises:
        FileRefusedError: the workbook unpacks to more than memory should hold.
    """
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > max(SMALL, path.stat().st_size * MAX_GROWTH):
        raise refusal(
            path, f"{unpacked >> 20:,} MB come out of it, over {MAX_GROWTH} times its size"
        )
    errors: dict[int, list[tuple[int, str]]] = {}
    columns: set[bytes] = set()
    last = 0
    rest = b""
    with archive.open(part) as xml:
        while block := xml.read(BLOCK):
            block = rest + block
            end = block.rfind(b"row>") + 4
            if end < 4:
                end = 0
            rest, block = block[end:], block[:end]
            columns |= set(_COLUMNS.findall(block))
            last = max([last, *map(int, set(_ROWS.findall(block)))])
            for column, row, value in _ERROR.findall(block):
                errors.setdefault(int(row), []).append(
                    (_position(column), value.decode(errors="replace"))
                )
    width = max(map(_position, columns), default=0) + 1
    if width > MAX_COLUMNS or width * last > MAX_CELLS:
        raise refusal(
            path,
            f"the sheet reaches to column {width:,} and row {last:,}; up to {MAX_COLUMNS:,} "
            f"columns and {MAX_CELLS:,} cells are read. Delete the empty part, or save it as CSV",
        )
    return errors


def _position(letters: bytes) -> int:
    """A -> 0, Z -> 25, AA -> 26."""
    position = 0
    for letter in letters:
        position = position * 26 + letter - 64
    return position - 1


def read_parquet(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[str, ...]:
    """Read a Parquet file into `delivered`; a record's line is its number, from 1.

    Args:
        connection: where the tables are made.
        path: the file.

    Returns:
        The header.

    Raises:
        FileRefusedError: the file is damaged, or promises more rows than are read.
    """
    try:
        with pq.ParquetFile(path) as file:
            names, rows = file.schema_arrow.names, file.metadata.num_rows
        header = checked_header(path, names, None)
        if rows > MAX_RECORDS:
            raise refusal(path, f"{rows:,} rows; up to {MAX_RECORDS:,} are read from one file")
        columns = ", ".join(f"c{number}" for number in range(len(header)))
        source = f"read_parquet(?, file_row_number = true) as t({columns}, line)"
        pattern = [glob.escape(str(path))]  # DuckDB takes a name with brackets for a pattern
        types = connection.execute(f"describe from {source}", pattern).fetchall()
        cells = ", ".join(_as_text(name, kind) for name, kind, *_ in types[:-1])
        connection.execute(
            f"create or replace table delivered as select line + 1 as line, {cells} from {source}",  # noqa: S608
            pattern,
        )
    except (pa.ArrowException, duckdb.Error, OSError) as error:
        reason = str(error).splitlines()[0]
        raise refusal(path, f"this is no readable Parquet file ({reason})") from None
    make_broken(connection)
    ((taken,),) = connection.execute("select count(*) from delivered").fetchall()
    if taken != rows:
        raise refusal(path, f"{rows:,} records in the file, {taken:,} told apart")
    return header


def _as_text(column: str, kind: str) -> str:
    """SQL of a typed column as text."""
    if kind in {"DOUBLE", "FLOAT"}:
        # Text of a very large or small number has an exponent; as a decimal it has none.
        exact = f"rtrim(try_cast({column} as decimal(38, 12))::varchar, '0')"
        text = (
            f"case when {column} = trunc({column}) and abs({column}) < 1e37 "
            f"then {column}::hugeint::varchar "
            f"when contains({column}::varchar, 'e') then coalesce(rtrim({exact}, '.'), "
            f"{column}::varchar) else {column}::varchar end"
        )
        return f"{text} as {column}"
    if kind.startswith("TIMESTAMP"):
        # A point in time is shown in UTC, whatever the zone of this machine.
        moment = f"make_timestamp(epoch_us({column}))" if "TIME ZONE" in kind else column
        return f"regexp_replace({moment}::varchar, ' 00:00:00$', '') as {column}"
    return f"{column}::varchar as {column}"


def read_json_lines(
    connection: duckdb.DuckDBPyConnection, text: Text, name: Path, decimal: str
) -> tuple[str, ...]:
    """Read one JSON object a line into `delivered` and `broken`; the columns are all keys.

    Args:
        connection: where the tables are made.
        text: what the gate found.
        name: what errors call the file.
        decimal: decimal sign of numbers in the source's text; JSON's own numbers follow it.

    Returns:
        The header.

    Raises:
        FileRefusedError: not one line is an object, or lines went astray.
    """
    make_delivered(connection, 0)
    make_broken(connection)
    places: dict[str, int] = {}
    made = seen = 0
    lines: list[int] = []
    rows: list[dict[str, str | None]] = []
    broken: list[Broken] = []

    def flush() -> None:
        nonlocal made, lines, rows
        if len(places) > MAX_COLUMNS:
            raise refusal(name, f"more than {MAX_COLUMNS:,} keys; up to {MAX_COLUMNS:,} are read")
        for number in range(made, len(places)):
            connection.execute(f"alter table delivered add column c{number} varchar")
        made = len(places)
        insert_rows(connection, lines, [[row.get(key) for key in places] for row in rows])
        lines, rows = [], []

    for line, content in _json_lines(text.path):
        seen += 1
        try:
            record = _object(content, decimal)
        except _NotAnObjectError as error:
            broken.append(Broken(line, error.rule, str(error), content[:MAX_RAW]))
            continue
        for key in record:
            places.setdefault(key, len(places))
        lines.append(line)
        rows.append(record)
        if len(rows) == BATCH or len(places) > MAX_COLUMNS:
            flush()
    if not places:
        raise refusal(name, "not one line is a JSON object with keys; is it JSON lines?", 1)
    flush()
    insert_broken(connection, broken)
    if seen != text.lines - text.blank:
        raise refusal(name, f"{text.lines - text.blank:,} records in the file, {seen:,} told apart")
    return checked_header(name, places, None)


def _json_lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8-sig", newline="\n") as handle:
        for line, content in enumerate(handle, 1):
            content = content.rstrip("\r\n")
            if content.strip(" "):
                yield line, content


class _NotAnObjectError(ValueError):
    """The line is no record; `rule` says why."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _NotAnObjectError("repeated_key_in_object", "a key occurs twice")
    return found


def _object(line: str, decimal: str) -> dict[str, str | None]:
    """Keys and texts of one line."""

    def number(text: str) -> str:
        return _number(text).replace(".", decimal)

    try:
        record = json.loads(
            line,
            parse_int=str,
            parse_float=number,
            parse_constant=str,
            object_pairs_hook=_unique,
        )
        if not isinstance(record, dict):
            raise _NotAnObjectError("not_an_object", "the line is no JSON object")
        cells: dict[str, str | None] = {}
        for key, value in record.items():
            if isinstance(value, bool):
                value = str(value).lower()
            elif isinstance(value, dict | list):
                value = json.dumps(json.loads(line)[key], ensure_ascii=False)
            if not (value or "").isascii() or not key.isascii():
                f"{key}{value}".encode()  # half a surrogate pair is no text
            if "\0" in (value or "") or "\0" in key:
                raise _NotAnObjectError("nul_character", "holds a NUL character")
            cells[key] = value
    except UnicodeEncodeError:
        raise _NotAnObjectError("not_json", "half of a character") from None
    except _NotAnObjectError:
        raise
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise _NotAnObjectError("not_json", str(error)) from None
    return cells
