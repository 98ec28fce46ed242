"""Read a delivery: every record as text, as delivered, with its line.

Whatever the format, the result is two tables, `delivered` and `broken`, and each record of the
file is in exactly one of them. Nothing is trimmed, parsed or judged here; a file that cannot be
told apart is refused whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import duckdb

from marketing_ai.load import csvfile, gate, typedfile
from marketing_ai.load.delimiter import sniff_delimiter
from marketing_ai.load.gate import FileRefusedError, Text, refusal
from marketing_ai.load.mapping import Reading
from marketing_ai.load.personal import personal_columns

__all__ = ["Delivery", "FileRefusedError", "format_of", "personal_columns", "read_delivery"]

_ENDINGS = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".tab": "csv", ".xlsx": "excel", ".xlsm": "excel",
    ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".json": "jsonl",
}  # fmt: skip


@dataclass(frozen=True)
class Delivery:
    """What a file delivered.

    Attributes:
        file: its name without the folder.
        sha256: hash of the bytes as delivered, packed if they were.
        header: names of the columns, stripped; one without a name is called column_N.
        columns: name in the header -> column of table `delivered`.
        rows: number of rows in `delivered`.
        broken: number of records in `broken`.
        as_text: numbers and days are text as somebody wrote them; False: the format has types
            (Excel, Parquet), and text has a decimal point and ISO days.
    """

    file: str
    sha256: str
    header: tuple[str, ...]
    columns: dict[str, str]
    rows: int
    broken: int
    as_text: bool


def read_delivery(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    reading: Reading,
    used: Collection[str] | None = None,
) -> Delivery:
    """Read a file into the tables `delivered` and `broken` of `connection`.

    `delivered` has `line` (bigint: line of the text file, row of the sheet, number of the Parquet
    record, from 1) and c0, c1 …, the cells as delivered. `broken` has `line`, `rule`, `value` and
    `raw_text` of the records that have no cells for the header.

    Args:
        connection: where the tables are made.
        path: the file.
        reading: how its bytes become cells.
        used: columns of an Excel sheet in which an error such as #DIV/0! breaks the row; None:
            all of them.

    Raises:
        FileRefusedError: the file has a structural fault; nothing of it is to be taken over.
    """
    before = gate.stamp(path)
    try:
        digest = gate.sha256(path)
        try:
            with tempfile.TemporaryDirectory(prefix="marketing_load_") as folder:
                header, as_text = _read(connection, path, reading, Path(folder), used)
        finally:
            # Before any other fault: a file that somebody is still writing has them all.
            if gate.stamp(path) != before:
                raise refusal(
                    path, "was changed while it was read; load it again when it is complete"
                ) from None
    except OSError as error:
        raise refusal(path, f"cannot be read ({error.strerror or error})") from None
    ((rows,),) = connection.execute("select count(*) from delivered").fetchall()
    ((broken,),) = connection.execute("select count(*) from broken").fetchall()
    if rows + broken == 0:
        raise refusal(path, "there is a header and no row below it")
    columns = {name: f"c{number}" for number, name in enumerate(header)}
    return Delivery(path.name, digest, header, columns, rows, broken, as_text)


def format_of(path: Path, reading: Reading) -> str:
    """csv, excel, parquet or jsonl, by the setting, the file's ending, or its first bytes.

    Raises:
        FileRefusedError: the file is of a kind that is not read.
    """
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] == ".gz":
        endings.pop()
    start = gate.first_bytes(path)
    by_bytes = "csv"
    if start.startswith(b"PK\x03\x04"):
        by_bytes = "excel"
    elif start.startswith(b"PAR1"):
        by_bytes = "parquet"
    elif start.startswith(b"\xd0\xcf\x11\xe0"):
        raise refusal(path, "this is the old Excel format .xls; save it as .xlsx")
    if reading.format != "auto":
        return reading.format
    if endings and endings[-1] == ".zip":
        raise refusal(path, "this is a zip archive; unpack it and load the files in it")
    by_ending = _ENDINGS.get(endings[-1] if endings else "", by_bytes)
    if by_ending in {"csv", "jsonl"} and by_bytes != "csv":
        return by_bytes
    return by_ending


def _read(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    reading: Reading,
    folder: Path,
    used: Collection[str] | None,
) -> tuple[tuple[str, ...], bool]:
    """The header, and whether its cells are text."""
    kind = format_of(path, reading)
    if kind == "excel":
        return typedfile.read_excel(
            connection, path, reading.sheet, reading.header_row, used
        ), False
    if kind == "parquet":
        return typedfile.read_parquet(connection, path), False
    text = plain_text(path, reading, folder)
    if kind == "jsonl":
        header = typedfile.read_json_lines(connection, text, path, reading.decimal)
    else:
        header = _read_csv(connection, path, reading, text)
    _check_end(connection, path, text)
    return header, True


def plain_text(path: Path, reading: Reading, folder: Path) -> Text:
    """The delivery as checked UTF-8 text; copies go to `folder`.

    Raises:
        FileRefusedError: damaged gzip, another encoding, NUL characters, endless lines.
    """
    encoding = gate.encoding_of(path, reading.encoding)
    plain = gate.as_utf8(gate.unpack(path, folder), path, encoding, folder)
    text = gate.look_through(plain, path, reading.quote)
    if text.returns and not text.line_feeds:
        # Lines as the old Mac ended them.
        unix = folder / "unix"
        unix.write_bytes(plain.read_bytes().replace(b"\r", b"\n"))
        text = gate.look_through(unix, path, reading.quote)
    return text


def _read_csv(
    connection: duckdb.DuckDBPyConnection, path: Path, reading: Reading, text: Text
) -> tuple[str, ...]:
    if text.lines < reading.header_row:
        raise refusal(
            path, f"read.header_row is {reading.header_row}, and the file has {text.lines} lines"
        )
    delimiter = reading.delimiter
    if delimiter == "auto":
        csvfile.dialect(path, ",", reading.quote)
        delimiter = sniff_delimiter(text.path, path, reading.header_row, reading.quote)
    rules = csvfile.dialect(path, delimiter, reading.quote)
    header, first = csvfile.read_header(text.path, path, reading.header_row, rules)
    plain = text.even and not text.quoted and text.unused is not None
    if not (plain and csvfile.read_lines(connection, text, len(header), first, delimiter)):
        csvfile.read_records(connection, text, path, len(header), first, rules)
    return header


def _check_end(connection: duckdb.DuckDBPyConnection, path: Path, text: Text) -> None:
    """A last line that is neither ended nor whole says that the rest of the file is missing."""
    if not text.final_newline:
        found = connection.execute(
            "select line from broken where line = ?", [text.lines]
        ).fetchall()
        if found:
            raise refusal(
                path, "the file breaks off in the middle of a line; get it again", text.lines
            )
