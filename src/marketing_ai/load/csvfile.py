"""Read delimited text: every line of the file ends in a row or in a record that cannot be split.

Where no quote occurs, a line is a record, and DuckDB splits all lines on all cores. Everywhere
else Python's csv module reads record by record; a record that breaks off is given up line by
line, so that no line behind a stray quote is lost. Both ways are held to the count of lines.
"""

from __future__ import annotations

import csv
import glob
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa

from marketing_ai.load.gate import MAX_COLUMNS, MAX_LINE, Text, refusal

HEADER_EMPTY = "the header is empty; read.header_row says which line it is"
BATCH = 10_000  # records that go to DuckDB at once; larger lists cost the garbage collector more
MAX_RAW = 10_000  # characters of a broken record that are kept
MAX_REREAD = 256 * 2**20  # characters that are read anew behind quotes left open


class Broken(NamedTuple):
    """A record that has no cells for the header: line, rule, what is wrong, its text."""

    line: int
    rule: str
    value: str
    raw_text: str


class _Lines:
    """The file's lines, with a way to put some back and to read them anew."""

    def __init__(self, handle: Iterable[str]) -> None:
        self._lines = iter(handle)
        self._ahead: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else next(self._lines)
        self.taken.append(line)
        return line

    def put_back(self, lines: list[str]) -> None:
        self._ahead.extendleft(reversed(lines))


def tidy(cell: str) -> str:
    """A name without blanks and invisible characters around it, in one Unicode form."""
    marks = "".join(sign for sign in set(cell) if unicodedata.category(sign)[0] in "ZC")
    return unicodedata.normalize("NFC", cell.strip(marks))


def checked_header(name: Path, cells: Iterable[str], line: int | None) -> tuple[str, ...]:
    """The header's names: a column without one is called by its place.

    Args:
        name: what errors call the file.
        cells: the header as delivered.
        line: where it stands.

    Raises:
        FileRefusedError: no name at all, a name twice, too many columns.
    """
    names = [tidy(cell) for cell in cells]
    if not any(names):
        raise refusal(name, HEADER_EMPTY, line)
    if len(names) > MAX_COLUMNS:
        raise refusal(name, f"{len(names):,} columns; up to {MAX_COLUMNS:,} are read", line)
    seen: set[str] = set()
    for column in filter(None, names):
        if column.casefold() in seen:
            raise refusal(
                name, f"the header has the column '{column}' twice; rename one of them", line
            )
        seen.add(column.casefold())
    return tuple(column or _place(number, seen) for number, column in enumerate(names, 1))


def _place(number: int, taken: set[str]) -> str:
    name = f"column_{number}"
    while name in taken:
        name += "_"
    return name


def dialect(name: Path, delimiter: str, quote: str) -> dict[str, object]:
    """Arguments of Python's csv module.

    Raises:
        FileRefusedError: a delimiter or quote that is not one character.
    """
    for setting, value, most in (("delimiter", delimiter, 1), ("quote", quote, 1)):
        if (
            len(value) > most
            or value in {"\n", "\r", "\0"}
            or (setting == "delimiter" and not value)
        ):
            raise refusal(name, f"read.{setting} {value!r} is not one character")
    if delimiter == quote:
        raise refusal(name, f"read.delimiter and read.quote are both {quote!r}")
    rules: dict[str, object] = {"delimiter": delimiter, "strict": True}
    if quote:
        return {**rules, "quotechar": quote, "doublequote": True}
    return {**rules, "quoting": csv.QUOTE_NONE, "quotechar": None}


def read_header(
    path: Path, name: Path, header_row: int, rules: dict[str, object]
) -> tuple[tuple[str, ...], int]:
    """The header's names and the line that the records begin at.

    Raises:
        FileRefusedError: there is no such line, or it is no header.
    """
    csv.field_size_limit(MAX_LINE)
    with path.open(encoding="utf-8-sig", newline="\n") as handle:
        lines = _Lines(islice(handle, header_row - 1, None))
        try:
            cells = next(csv.reader(lines, **rules))  # type: ignore[arg-type]
        except StopIteration:
            raise refusal(
                name, f"read.header_row is {header_row}, and the file ends before"
            ) from None
        except csv.Error as error:
            raise refusal(name, f"this is no header ({error})", header_row) from None
        return checked_header(name, cells, header_row), header_row + len(lines.taken)


def read_lines(
    connection: duckdb.DuckDBPyConnection, text: Text, width: int, first: int, delimiter: str
) -> bool:
    """Split a text without quotes by lines, on all cores, into `delivered` and `broken`.

    Args:
        connection: where the tables are made.
        text: what the gate found.
        width: number of cells that a record has.
        first: line of the first record.
        delimiter: between cells.

    Returns:
        False where DuckDB tells the lines apart differently; nothing was made then.
    """
    assert text.unused is not None  # noqa: S101
    try:
        connection.execute(
            """
            create or replace temp table physical as
            select cell
            from read_csv(
                ?, columns = {cell: 'varchar'}, header = false, auto_detect = false, delim = ?,
                quote = '', escape = '', compression = 'none', new_line = ?
            )
            """,
            # DuckDB takes a name with brackets for a pattern.
            [
                glob.escape(str(text.path)),
                text.unused.decode(),
                "\\r\\n" if text.returns else "\\n",
            ],
        )
    except duckdb.Error:
        return False
    ((lines,),) = connection.execute("select count(*) from physical").fetchall()
    if lines != text.lines:
        connection.execute("drop table physical")
        return False
    source = f"""
        select 1 + rowid as line, cell, string_split(cell, ?) as cells
        from physical where rowid >= {first - 1} and trim(cell) <> ''
    """  # noqa: S608
    cells = ", ".join(f"cells[{number + 1}] as c{number}" for number in range(width))
    connection.execute(
        f"create or replace table delivered as "  # noqa: S608
        f"select line, {cells} from ({source}) where len(cells) = {width}",
        [delimiter],
    )
    make_broken(connection)
    connection.execute(
        f"""
        insert into broken
        select
            line, if(len(cells) < {width}, 'too_few_cells', 'too_many_cells'),
            len(cells) || ' cells instead of {width}', cell[:{MAX_RAW}]
        from ({source}) where len(cells) <> {width}
        """,  # noqa: S608
        [delimiter],
    )
    connection.execute("drop table physical")
    return True


def make_delivered(connection: duckdb.DuckDBPyConnection, width: int) -> None:
    """An empty table for rows."""
    columns = ", ".join(["line bigint", *(f"c{number} varchar" for number in range(width))])
    connection.execute(f"create or replace table delivered ({columns})")


def make_broken(connection: duckdb.DuckDBPyConnection) -> None:
    """An empty table for records that cannot be split."""
    connection.execute(
        "create or replace table broken "
        "(line bigint, rule varchar, value varchar, raw_text varchar)"
    )


def insert_rows(
    connection: duckdb.DuckDBPyConnection, lines: list[int], rows: list[list[str | None]]
) -> None:
    """Append rows of equal width to `delivered`."""
    if rows:
        columns = [pa.array(cells, pa.string()) for cells in zip(*rows, strict=True)]
        names = ["line", *(f"c{number}" for number in range(len(columns)))]
        batch = pa.table([pa.array(lines, pa.int64()), *columns], names=names)
        connection.register("batch", batch)
        connection.execute("insert into delivered select * from batch")
        connection.unregister("batch")


def insert_broken(connection: duckdb.DuckDBPyConnection, records: list[Broken]) -> None:
    """Append records to `broken`."""
    if records:
        columns = [list(column) for column in zip(*records, strict=True)]
        types = [pa.int64(), pa.string(), pa.string(), pa.string()]
        arrays = [pa.array(c, t) for c, t in zip(columns, types, strict=True)]
        connection.register("batch", pa.table(arrays, names=list(Broken._fields)))
        connection.execute("insert into broken select * from batch")
        connection.unregister("batch")


def read_records(
    connection: duckdb.DuckDBPyConnection,
    text: Text,
    name: Path,
    width: int,
    first: int,
    rules: dict[str, object],
) -> None:
    """Read record by record, quotes and all, into `delivered` and `broken`.

    Args:
        connection: where the tables are made.
        text: what the gate found.
        name: what errors call the file.
        width: number of cells that a record has.
        first: line of the first record.
        rules: of Python's csv module.

    Raises:
        FileRefusedError: a quote that is never closed, or lines that went astray.
    """
    make_delivered(connection, width)
    make_broken(connection)
    numbers: list[int] = []
    rows: list[list[str | None]] = []
    broken: list[Broken] = []
    seen = blank = 0
    with text.path.open(encoding="utf-8-sig", newline="\n") as handle:
        before = list(islice(handle, first - 1))
        blank += sum(not line.strip(" \r\n") for line in before)
        seen += len(before)
        for line, length, record in _records(handle, name, first, width, rules):
            seen += length
            if record is None:
                blank += 1
            elif isinstance(record, Broken):
                broken.append(record)
            else:
                numbers.append(line)
                rows.append(record)
                if len(rows) == BATCH:
                    insert_rows(connection, numbers, rows)
                    numbers, rows = [], []
    insert_rows(connection, numbers, rows)
    insert_broken(connection, broken)
    # Blank lines inside quotes belong to their record.
    if seen != text.lines or blank > text.blank:
        raise refusal(
            name,
            f"{text.lines:,} lines in the file, {seen:,} told apart ({blank:,} of "
            f"{text.blank:,} blank); save it anew as 'CSV UTF-8'",
        )


def _records(
    handle: Iterable[str], name: Path, first: int, width: int, rules: dict[str, object]
) -> Iterator[tuple[int, int, list[str | None] | Broken | None]]:
    """Line, number of lines, and cells of each record; None for a blank line."""
    csv.field_size_limit(MAX_LINE)
    lines = _Lines(handle)
    reader = csv.reader(lines, **rules)  # type: ignore[arg-type]
    number = first
    reread = 0
    while True:
        lines.taken.clear()
        fault = ""
        cells: list[str] = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = str(error)
        taken = lines.taken
        length = len(taken)
        if length == 1 and not taken[0].strip(" \r\n"):
            yield number, 1, None
        elif not fault and len(cells) == width:
            yield number, length, cells  # type: ignore[misc]
        elif "unexpected end" in fault or "field larger" in fault:
            raise refusal(
                name, "a quote is opened and never closed; close it or take it away", number
            )
        elif length > 1:
            # The quote was closed by chance, lines later: this line is lost, they are not.
            reread += sum(map(len, taken))
            if reread > MAX_REREAD:
                raise refusal(name, "too many quotes are left open; is read.quote right?", number)
            lines.put_back(taken[1:])
            length = 1
            yield number, 1, _broken(number, "bad_quote", "a quote is left open", taken[0])
        elif fault:
            rule, value = "bad_quote", "a quote inside a cell that is not doubled"
            if "new-line" in fault:
                rule, value = "stray_carriage_return", "a carriage return inside the line"
            yield number, 1, _broken(number, rule, value, taken[0])
        else:
            rule = "too_few_cells" if len(cells) < width else "too_many_cells"
            value = f"{len(cells)} cells instead of {width}"
            yield number, 1, _broken(number, rule, value, taken[0])
        number += length


def _broken(line: int, rule: str, value: str, text: str) -> Broken:
    return Broken(line, rule, value, text.rstrip("\r\n")[:MAX_RAW])
