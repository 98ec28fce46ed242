"""Generated dirty files: every line of each is accounted for, whatever is in it.

`make test` tries 50 files; MARKETING_DIRTY_FILES=1000 tries as many as that.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketing_ai.load import gate, ledger
from marketing_ai.load.landing import load_file
from marketing_ai.load.mapping import Mapping, MappingError, Reading
from marketing_ai.load.reading import FileRefusedError, read_delivery
from marketing_ai.paths import find_paths

FILES = int(os.environ.get("MARKETING_DIRTY_FILES", "50"))
HEADER = ["campaign_id", "channel", "segment", "date", "impressions", "clicks", "cost"]
TOKEN = re.compile(r"id\d+z")

CELLS = [
    "",
    " ",
    "0",
    "12",
    "007",
    "-5",
    "1,234",
    "1.234,56",
    "1 234",
    "12.",
    ".5",
    "1e3",
    "1e400",
    "NaN",
    "inf",
    "99999999999999999999",
    "9" * 40,
    "$12.50",
    "12.50 €",
    "(3.00)",
    "12%",
    "NULL",
    "N/A",
    "--",
    "#DIV/0!",
    "2025-01-05",
    "2025-02-30",
    "05/01/2025",
    "2025-1-5",
    "0024-01-05",
    "45296",
    "2199-01-01",
    "Google Ads",
    "google ads ",
    "Café",
    "Cafe\u0301",
    "😀",
    "\u200b",
    "\u202e",
    "\ufeff",
    "\u2028",
    "\x85",
    "\x0b",
    "\x1c",
    "\x01",
    "\x1f",
    "a\\",
    "\\N",
    "it's",
    "'; drop table delivered; --",
    "=1+1",
    "<b>",
    'say "hi"',
    '"',
    "two\nlines",
    "two\r\nlines",
    "\r",
    "a,b",
    "a;b",
    "a\tb",
    "x" * 300,
]


@dataclass(frozen=True)
class Dirty:
    """A generated file: its bytes, how it would be declared, and whether it must be read."""

    content: bytes
    reading: dict[str, object]
    sound: bool


@st.composite
def dirty_files(draw) -> Dirty:
    # One seed in place of a draw a cell: thousands of files in a minute, and still reproducible.
    chance = random.Random(draw(st.integers(0, 2**32)))
    delimiter = chance.choice([",", ";", "\t", "|"])
    dirt = chance.choice([0.0, 0.02, 0.2, 0.7])
    quotes = chance.choice(["none", "needed", "all", "broken"])
    ends = chance.choice([["\n"], ["\n"], ["\r\n"], ["\r"], ["\n", "\r\n"], ["\n", "\r", "\r\n"]])

    def cell(column: int, number: int) -> str:
        good = [f"id{number}z", "search", "new", "2025-01-05", "100", "10", "5.50"]
        text = good[column]
        if column and chance.random() < dirt:
            text = chance.choice(CELLS)
        if quotes == "none":
            return re.sub(f'[\n\r"{re.escape(delimiter)}]', " ", text)
        if quotes == "broken" and chance.random() < dirt:
            return chance.choice(['"' + text, text + '"', f'"{text}"x', f' "{text}"'])
        if quotes == "all" or any(sign in text for sign in f'\n\r"{delimiter}'):
            return '"' + text.replace('"', '""') + '"'
        return text

    lines = [delimiter.join(HEADER)]
    rows = chance.choice([0, 1, 3, 30])
    sound = rows > 0 and quotes != "broken" and "\r" not in ends
    for number in range(rows):
        line = [cell(column, number) for column in range(len(HEADER))]
        if chance.random() < dirt / 2:
            line = chance.choice([line[:-1], line[:1], [*line, "x"], [""] * len(HEADER)])
        lines.append(delimiter.join(line))
        if chance.random() < dirt / 2:
            lines.append(chance.choice(["", "  ", lines[-1], "\x1a", "Total", "# comment"]))
    text = "".join(line + chance.choice(ends) for line in lines)
    if chance.random() < 0.3:
        text, sound = text[: -chance.randint(1, 20)], False
    reading: dict[str, object] = {"delimiter": chance.choice([delimiter, "auto"])}
    if chance.random() < 0.1:
        text, reading["header_row"] = "Report\n\n" + text, 3
    encoding = chance.choice(["utf-8"] * 5 + ["utf-8-sig", "utf-16", "cp1252"])
    content = text.encode(encoding, "replace")
    if encoding in {"utf-16", "cp1252"} and chance.random() < 0.8:
        reading["encoding"] = encoding
    elif encoding in {"utf-16", "cp1252"}:
        sound = False
    if chance.random() < 0.1:
        place = chance.randrange(len(content) + 1)
        junk = chance.choice([b"\0", b"\xff", b'"', b"\n", b"\r", b"\xf0\x9f", delimiter.encode()])
        content, sound = content[:place] + junk + content[place:], False
    return Dirty(content, reading, sound)


def text_of(dirty: Dirty) -> str:
    """The text as the test reads it, without the code under test."""
    text = dirty.content.decode(str(dirty.reading.get("encoding", "utf-8")))
    text = text.removeprefix("\ufeff")
    return text if "\n" in text else text.replace("\r", "\n")


@settings(max_examples=FILES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(dirty=dirty_files(), block=st.sampled_from([7, 64, gate.BLOCK]))
def test_no_line_of_a_dirty_file_is_lost_or_told_twice(dirty, block):
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        duckdb.connect() as connection,
    ):
        patch.setattr(gate, "BLOCK", block)
        path = Path(folder) / "file.csv"
        path.write_bytes(dirty.content)
        try:
            delivery = read_delivery(connection, path, Reading.model_validate(dirty.reading))
        except FileRefusedError as refused:
            assert str(refused).startswith(str(path))  # noqa: PT017
            assert not dirty.sound
            return
        rows = connection.execute("select * from delivered").fetchall()
        broken = connection.execute("select line, raw_text from broken").fetchall()
        text = text_of(dirty)
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        # A row covers its line and one more for each line feed in its cells.
        covered = Counter(
            line + more for line, *cells in rows for more in range(1 + "".join(cells).count("\n"))
        )
        covered.update(line for line, _ in broken)
        first = int(str(dirty.reading.get("header_row", 1))) + 1
        expected = {
            number for number in range(first, len(lines) + 1) if lines[number - 1].strip(" \r")
        }
        blank = set(range(first, len(lines) + 1)) - expected
        assert set(covered.values()) == {1}
        assert expected <= set(covered) <= expected | blank
        # And what stands there is what was delivered: the id of each line, once.
        told = TOKEN.findall("\n".join("\t".join(map(str, row)) for row in [*rows, *broken]))
        assert Counter(told) == Counter(TOKEN.findall("\n".join(lines[first - 1 :])))
        assert len(rows) + len(broken) == delivery.rows + delivery.broken


@settings(max_examples=max(10, FILES // 5), deadline=None, suppress_health_check=list(HealthCheck))
@given(dirty=dirty_files(), repeated=st.sampled_from(["refuse", "sum", "last"]))
def test_what_a_dirty_file_delivers_is_accepted_or_refused(dirty, repeated):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.csv"
        path.write_bytes(dirty.content)
        paths = replace(find_paths(), lake=Path(folder) / "lake")
        table = ledger.table_path(paths, ledger.RAW_TABLE)
        mapping = Mapping.model_validate(
            {
                "source": "dirty",
                "read": dirty.reading,
                "columns": {name: {"from": name} for name in HEADER},
                "repeated_keys": repeated,
                "max_refused_share": 1,
            }
        )
        try:
            result = load_file(path, paths, mapping)
        except (FileRefusedError, MappingError) as refused:
            assert str(refused).startswith(str(path))  # noqa: PT017
            assert not table.exists()
            return
        text = text_of(dirty)
        first = int(str(dirty.reading.get("header_row", 1)))
        below = "\n".join(text.split("\n")[first:])
        assert result.delivered == result.accepted + result.refused
        raw = pl.read_delta(str(table))
        assert raw.height == result.delivered
        if '"' not in below:
            records = sum(bool(line.strip(" \r")) for line in below.split("\n"))
            assert result.delivered == records
        ids = Counter(
            token
            for campaign, whole in raw.select("campaign_id", "raw_text").iter_rows()
            for token in TOKEN.findall(campaign or whole or "")
        )
        assert {token: ids[token] for token in TOKEN.findall(below)} == Counter(
            TOKEN.findall(below)
        )
