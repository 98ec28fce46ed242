"""Load a CSV that has the canonical columns, in any order, as raw rows.

The file is read by DuckDB as text, every cell is judged by a declared rule, and only a file
without a fault is written, in one Delta commit. A refused file changes nothing; the error names
the file, the lines, the columns and the values.
"""

from __future__ import annotations

import csv
import difflib
import glob
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
from deltalake import write_deltalake

RAW_TABLE = "raw_marketing_delivery"
MAX_SHOWN = 10  # faults that an error message lists; it counts the rest

_COUNT = r"^[0-9]+(\.0+)?$"
_MONEY = r"^-?[0-9]+(\.[0-9]+)?$"


@dataclass(frozen=True)
class Column:
    """One canonical column: whether it must be there, and when a cell is wrong.

    Attributes:
        required: the header must name it.
        fault: SQL condition over `cell` (text, never null here) that is true for a bad cell.
        expected: what a good cell looks like, for the error message.
        filled: an empty cell is a fault too.
    """

    required: bool
    fault: str
    expected: str
    filled: bool = False


_TEXT = "false"
_BAD_COUNT = (
    f"not regexp_matches(cell, '{_COUNT}') or try_cast(try_cast(cell as decimal(38, 1)) as bigint) "
    "is null"
)
# decimal(18, 4) holds 14 digits before the point; anything longer is a slip, not money.
_BAD_MONEY = f"not regexp_matches(cell, '{_MONEY}') or try_cast(cell as decimal(18, 4)) is null"

COLUMNS: dict[str, Column] = {
    "campaign_id": Column(True, _TEXT, "text", filled=True),
    "campaign_name": Column(False, _TEXT, "text"),
    "channel": Column(True, _TEXT, "text", filled=True),
    "segment": Column(True, _TEXT, "text", filled=True),
    "date": Column(
        True,
        "not regexp_matches(cell, '^[0-9]{4}-[0-9]{2}-[0-9]{2}$') or "
        "try_cast(cell as date) is null or "
        "try_cast(cell as date) not between date '1990-01-01' and date '2100-12-31'",
        "an existing date between 1990 and 2100 as yyyy-mm-dd",
        filled=True,
    ),
    "impressions": Column(True, _BAD_COUNT, "a whole number, 0 or more"),
    "clicks": Column(True, _BAD_COUNT, "a whole number, 0 or more"),
    "leads": Column(False, _BAD_COUNT, "a whole number, 0 or more"),
    "conversions": Column(True, _BAD_COUNT, "a whole number, 0 or more"),
    "cost": Column(
        True,
        f"{_BAD_MONEY} or try_cast(cell as decimal(18, 4)) < 0",
        "an amount of 0 or more with a decimal point and no thousands sign",
    ),
    "revenue": Column(False, _BAD_MONEY, "an amount with a decimal point and no thousands sign"),
}
KEY = ("campaign_id", "channel", "segment", "date")


class FileRefusedError(ValueError):
    """The file has a fault; nothing of it was taken over."""


@dataclass(frozen=True)
class LoadReport:
    """What was loaded.

    Attributes:
        file: the file's name.
        sha256: its content's hash.
        rows: number of data rows, all of them taken over.
        absent: optional columns that the file doesn't have.
        ignored: columns of the file that are not ours.
        empty: number of empty cells by column, for measures that have any.
    """

    file: str
    sha256: str
    rows: int
    absent: tuple[str, ...]
    ignored: tuple[str, ...]
    empty: dict[str, int]


def load_canonical(path: Path, lake: Path, schema: str = "marketing") -> LoadReport:
    """Check `path` and replace the raw delivery by its rows.

    Args:
        path: CSV file, UTF-8 with or without a byte order mark, comma separated, with a header.
        lake: folder of the lake; the caller holds its writer lock.
        schema: schema of the raw table.

    Raises:
        FileRefusedError: the file is absent, empty, not UTF-8, has a wrong header, a row with too
            few or too many cells, a cell that breaks its column's rule, or a repeated key.
    """
    if not path.is_file():
        raise FileRefusedError(f"{path}: there is no such file")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    header = _read_header(path)
    absent, ignored = _check_header(path, header)
    with duckdb.connect() as connection:
        try:
            rows = _read_rows(connection, path, header)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise FileRefusedError(
                f"{path}: the rows cannot be told apart ({reason}). Often the file mixes two kinds "
                "of line ends or leaves a quote open; save it anew as 'CSV UTF-8'"
            ) from error
        _check_cells(connection, path, absent)
        _check_keys(connection, path)
        empty = _count_empty(connection, absent)
        selected = ", ".join(
            f'null::varchar as "{name}"' if name in absent else f'{_stored(name)} as "{name}"'
            for name in COLUMNS
        )
        table = connection.sql(
            f"select {selected}, ? as source_file, ? as source_sha256, source_line "  # noqa: S608
            "from delivery order by source_line",
            params=[path.name, digest],
        ).to_arrow_table()
    write_deltalake(
        str(lake / f"{schema}.db" / RAW_TABLE), table, mode="overwrite", schema_mode="overwrite"
    )
    return LoadReport(path.name, digest, rows, tuple(absent), tuple(ignored), empty)


def _stored(name: str) -> str:
    """Text as stored: empty as null, and counts without a trailing `.0`."""
    cell = f"nullif(\"{name}\", '')"
    if COLUMNS[name].fault == _BAD_COUNT:
        return f"regexp_replace({cell}, '\\.0+$', '')"
    return cell


def _lines(path: Path) -> Iterator[str]:
    # newline="" leaves line ends to the csv module, which knows quoted ones.
    with path.open(encoding="utf-8-sig", newline="") as handle:
        number = 1
        try:
            for line in handle:
                if "\0" in line:
                    raise FileRefusedError(f"{path}, line {number}: holds a NUL character")
                yield line
                number += 1
        except UnicodeDecodeError as error:
            raise FileRefusedError(
                f"{path}, near line {number}: not UTF-8 ({error.reason}); "
                "save the file as 'CSV UTF-8' and load it again"
            ) from None


def _read_header(path: Path) -> list[str]:
    if path.stat().st_size == 0:
        raise FileRefusedError(f"{path}: the file is empty")
    lines = _lines(path)
    try:
        header = [cell.strip() for cell in next(csv.reader(lines), [])]
    except csv.Error as error:
        raise FileRefusedError(f"{path}, line 1: this is no header ({error})") from error
    # The whole file is UTF-8 without NUL, or an error says where it isn't.
    if not sum(1 for line in lines if line.strip()):
        raise FileRefusedError(f"{path}: there is a header and no row below it")
    return header


def _check_header(path: Path, header: list[str]) -> tuple[list[str], list[str]]:
    folded = [name.casefold() for name in header]
    twice = [name for name in header if name and folded.count(name.casefold()) > 1]
    if twice:
        raise FileRefusedError(f"{path}, line 1: the header has the column '{twice[0]}' twice")
    missing = [name for name, column in COLUMNS.items() if column.required and name not in header]
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        advice = "rename the columns of the file"
        if any(name.casefold() in missing for name in header):
            advice = "the names are in lower case, as written here"
        if len(header) == 1 and header[0]:
            advice = "the file has one column only: is it separated by something else than a comma?"
        raise FileRefusedError(
            f"{path}, line 1: missing column {names}; the header has "
            f"{', '.join(header) or 'nothing'}. Required are "
            f"{', '.join(n for n, c in COLUMNS.items() if c.required)}; {advice}"
        )
    absent = [name for name in COLUMNS if name not in header]
    ignored = [name for name in header if name and name not in COLUMNS]
    for name in ignored:
        # A misspelt optional column would vanish without a word.
        if near := difflib.get_close_matches(name.lower(), absent, n=1, cutoff=0.8):
            raise FileRefusedError(
                f"{path}, line 1: column '{name}' is unknown; is it '{near[0]}'? "
                "Rename it, or remove it from the file"
            )
    return absent, ignored


def _read_rows(connection: duckdb.DuckDBPyConnection, path: Path, header: list[str]) -> int:
    # Columns have names of our own until they are known: a header may hold anything.
    names = [f"column{number}" for number in range(len(header))]
    columns = ", ".join(f"{name}: 'varchar'" for name in names)
    newlines = " + ".join(
        f"coalesce(length({name}) - length(replace({name}, chr(10), '')), 0)" for name in names
    )
    cells = ", ".join(
        f'{_clean(name)} as "{title}"'
        for name, title in zip(names, header, strict=True)
        if title in COLUMNS
    )
    connection.execute(
        f"""
        create table delivery as
        select {cells}, 1 + record + coalesce(sum({newlines}) over (
            order by record rows between unbounded preceding and 1 preceding
        ), 0)::bigint as source_line
        from (
            select *, row_number() over () as record
            from read_csv(
                ?, columns = {{{columns}}}, header = true, auto_detect = false, delim = ',',
                quote = '"', escape = '"', strict_mode = true, null_padding = false,
                compression = 'none', store_rejects = true, rejects_limit = 0
            )
        )
        """,  # noqa: S608
        [glob.escape(str(path))],  # DuckDB takes a name with brackets for a pattern
    )
    rejects = connection.execute(
        """
        select byte_position, error_type, any_value(csv_line)
        from reject_errors group by all order by 1
        """
    ).fetchall()
    if rejects:
        content = path.read_bytes()
        faults = []
        for position, kind, text in rejects:
            line = content.count(b"\n", 0, max(position - 1, 0)) + 1
            faults.append(f"line {line}: {kind.lower().replace('_', ' ')}: {text!r}")
        raise _refusal(path, faults)
    ((count,),) = connection.execute("select count(*) from delivery").fetchall()
    return int(count)


def _check_cells(connection: duckdb.DuckDBPyConnection, path: Path, absent: list[str]) -> None:
    parts = [
        f"""
        select source_line, {number} as position, '{name}' as name, cell
        from (select source_line, "{name}" as cell from delivery)
        where {"coalesce(cell, '') = ''" if column.filled else "false"}
            or (cell <> '' and ({column.fault}))
        """  # noqa: S608
        for number, (name, column) in enumerate(COLUMNS.items())
        if name not in absent
    ]
    faults = connection.execute(
        f"select * from ({' union all '.join(parts)}) order by source_line, position"  # noqa: S608
    ).fetchall()
    if faults:
        raise _refusal(
            path,
            [
                f"line {line}, column {name}: "
                + (f"'{cell}' is not {COLUMNS[name].expected}" if cell else "the cell is empty")
                for line, _, name, cell in faults
            ],
        )


def _check_keys(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    keys = ", ".join(KEY)
    repeated = connection.execute(
        f"""
        select list_sort(list(source_line))
        from delivery group by {keys} having count(*) > 1 order by min(source_line)
        """  # noqa: S608
    ).fetchall()
    if repeated:
        raise _refusal(
            path,
            [
                f"lines {' and '.join(map(str, lines[:3]))}: the same "
                f"{', '.join(KEY)} more than once; add the rows up, or tell them apart"
                for (lines,) in repeated
            ],
        )


def _refusal(path: Path, faults: list[str]) -> FileRefusedError:
    shown = "\n".join(f"  {fault}" for fault in faults[:MAX_SHOWN])
    more = f"\n  … and {len(faults) - MAX_SHOWN} more" if len(faults) > MAX_SHOWN else ""
    number = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    return FileRefusedError(f"{path}: {number}, nothing was taken over\n{shown}{more}")


def _clean(name: str) -> str:
    """A cell without blanks and control characters around it, in one Unicode form."""
    return f"nfc_normalize(regexp_replace({name}, '^[\\s\\pZ\\pC]+|[\\s\\pZ\\pC]+$', '', 'g'))"


def _count_empty(connection: duckdb.DuckDBPyConnection, absent: list[str]) -> dict[str, int]:
    names = [n for n, c in COLUMNS.items() if n not in absent and c.fault != _TEXT and not c.filled]
    (counts,) = connection.execute(
        "select "  # noqa: S608
        + ", ".join(f"count(*) filter (coalesce(\"{name}\", '') = '')" for name in names)
        + " from delivery"
    ).fetchall()
    return {name: n for name, n in zip(names, counts, strict=True) if n}
