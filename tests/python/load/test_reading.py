"""What a file delivers: every record once, as it stands there, or the file is refused whole."""

from __future__ import annotations

import gzip
import os
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
import xlsxwriter

from marketing_ai.load import csvfile, gate, typedfile
from marketing_ai.load.mapping import Reading
from marketing_ai.load.reading import FileRefusedError, personal_columns, read_delivery


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def read(tmp_path, connection):
    """Read bytes as a file: rows with their lines, and broken records as (line, rule)."""

    def read(content: bytes | str, name: str = "file.csv", **reading):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tables(connection, path, **reading)

    return read


def tables(connection, path: Path, used=None, **reading):
    delivery = read_delivery(connection, path, Reading(**reading), used)
    rows = connection.execute("select * from delivered order by line").fetchall()
    broken = connection.execute("select line, rule from broken order by line").fetchall()
    assert (delivery.rows, delivery.broken) == (len(rows), len(broken))
    return delivery, rows, broken


REFUSED = {
    "empty": ("", {}, "the file is empty"),
    "blank": ("\n\n", {}, "line 1: the header is empty"),
    "header only": ("a,b\n", {}, "there is a header and no row below it"),
    "header without names": (",,\n1,2,3\n", {}, "line 1: the header is empty"),
    "column twice": ("a,b, A\n1,2,3\n", {}, "line 1: the header has the column 'A' twice"),
    "one column": ("a\n1\n", {}, "what separates the columns can't be told"),
    "two delimiters": ("a,b;c\n1,2;3\n", {}, "semicolon and comma divide it alike"),
    "NUL": ("a,b\n1,2\n3,\0\n", {}, "line 3: holds a NUL character"),
    "latin-1": ("a,b\n1,é\n".encode("latin-1"), {}, "line 2: not UTF-8"),
    "UTF-16": ("a,b\n1,é\n".encode("utf-16"), {}, "say `encoding: utf-16`"),
    "not the encoding": (b"a,b\n1,\x81\n", {"encoding": "cp1252"}, "line 2: not cp1252"),
    "no encoding": ("a,b\n1,2\n", {"encoding": "klingon"}, "read.encoding 'klingon' is unknown"),
    "no text encoding": ("a,b\n1,2\n", {"encoding": "hex"}, "read.encoding 'hex' is unknown"),
    "cut line": ("a,b\n1,2\n3", {}, "line 3: the file breaks off in the middle of a line"),
    "cut in a quote": ('a,b\n1,2\n3,"4', {}, "line 3: a quote is opened and never closed"),
    "open quote": ('a,b\n"1,2\n3,4\n', {}, "line 2: a quote is opened and never closed"),
    "header too far down": ("a,b\n1,2\n", {"header_row": 9}, "the file has 2 lines"),
    "long delimiter": ("a,b\n1,2\n", {"delimiter": "||"}, "read.delimiter '||' is not one"),
    "one sign for two": ("a,b\n1,2\n", {"delimiter": '"'}, "read.quote are both"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "reading", "said"), REFUSED.values(), ids=REFUSED)
def test_a_fault_of_the_file_refuses_it_whole(read, tmp_path, content, reading, said):
    with pytest.raises(FileRefusedError) as refused:
        read(content, **reading)
    assert str(refused.value).startswith(str(tmp_path / "file.csv"))
    assert said in str(refused.value)


READ = {
    "plain": ("a,b\n1,2\n3,4", {}, [(2, "1", "2"), (3, "3", "4")], []),
    "CR LF and blank lines": (
        "a,b\r\n\r\n1,2\r\n  \r\n3,4\r\n", {}, [(3, "1", "2"), (5, "3", "4")], [],
    ),
    "mixed line ends": ("a,b\n1,2\r\n3,4\n", {}, [(2, "1", "2"), (3, "3", "4")], []),
    "old Mac": ("a,b\r1,2\r3,4\r", {}, [(2, "1", "2"), (3, "3", "4")], []),
    "BOM": ("\ufeffa,b\n1,2\n", {}, [(2, "1", "2")], []),
    "blanks and spellings stay": (
        "a,b\n 1 ,NULL\n,-\n", {}, [(2, " 1 ", "NULL"), (3, "", "-")], [],
    ),
    "wrong number of cells": (
        "a,b\n1\n1,2\n1,2,3\n", {}, [(3, "1", "2")], [(2, "too_few_cells"), (4, "too_many_cells")],
    ),
    "wrong number of quoted cells": (
        'a,b\n"1"\n"1","2"\n1,2,"3"\n', {},
        [(3, "1", "2")], [(2, "too_few_cells"), (4, "too_many_cells")],
    ),
    "blank lines between quotes": (
        'a,b\n  \r\n"1","2"\n \n\n', {}, [(3, "1", "2")], [],
    ),
    "line feed in quotes": ('a,b\n"1\n\n2",3\n4,5\n', {}, [(2, "1\n\n2", "3"), (5, "4", "5")], []),
    "doubled quotes": ('a,b\n"say ""hi""",2\n5" pipe,\\\n', {},
                       [(2, 'say "hi"', "2"), (3, '5" pipe', "\\")], []),
    "quote closed lines later": (
        'a,b\n"1,2\n3,4\n"5",6\n', {}, [(3, "3", "4"), (4, "5", "6")], [(2, "bad_quote")],
    ),
    "quote inside a quoted cell": ('a,b\n"x"y,2\n3,4\n', {}, [(3, "3", "4")], [(2, "bad_quote")]),
    "CR inside a line": ("a,b\n1\r2,3\n4,5\n", {}, [(3, "4", "5")], [(2, "stray_carriage_return")]),
    "semicolon, decimal comma": ("a;b\n1,5;2,5\n", {}, [(2, "1,5", "2,5")], []),
    "comma in the header too": ("Cost, EUR;b;c\n1,5;2;3\n", {}, [(2, "1,5", "2", "3")], []),
    "tab": ("a\tb\n1,5\t\n", {}, [(2, "1,5", "")], []),
    "bar": ("a|b\n1|2\n", {}, [(2, "1", "2")], []),
    "declared delimiter": ("a:b\n1:2\n", {"delimiter": ":"}, [(2, "1", "2")], []),
    "other quote": ("a,b\n'x,y',2\n", {"quote": "'"}, [(2, "x,y", "2")], []),
    "no quote": ('a,b\n"x,2\n', {"quote": ""}, [(2, '"x', "2")], []),
    "lines above the header": (
        'Report "x\n\na,b\n1,2\n', {"header_row": 3}, [(4, "1", "2")], [],
    ),
    "cp1252": ("a,b\n1,€\n".encode("cp1252"), {"encoding": "cp1252"}, [(2, "1", "€")], []),
    "UTF-16": ("a,b\n1,é\n".encode("utf-16"), {"encoding": "utf-16"}, [(2, "1", "é")], []),
    "gzip": (gzip.compress(b"a,b\n1,2\n"), {}, [(2, "1", "2")], []),
    "control characters": (
        "a,b\n1,\x01\x02\x1d\x1e\x1f\n", {}, [(2, "1", "\x01\x02\x1d\x1e\x1f")], [],
    ),
    "separators of Unicode": ("a,b\n1,x\u2028\x85\x0by\n", {}, [(2, "1", "x\u2028\x85\x0by")], []),
}  # fmt: skip


@pytest.mark.parametrize("block", [gate.BLOCK, 3])
@pytest.mark.parametrize(("content", "reading", "rows", "broken"), READ.values(), ids=READ)
def test_every_record_is_a_row_or_broken(read, monkeypatch, block, content, reading, rows, broken):
    monkeypatch.setattr(gate, "BLOCK", block)
    delivery, found_rows, found_broken = read(content, **reading)
    assert found_rows == rows
    assert found_broken == broken
    assert delivery.as_text


def test_a_broken_record_keeps_what_it_says(read, connection):
    read("a,b\n1,2\n1,2,3\n")
    assert connection.execute("select * from broken").fetchall() == [
        (3, "too_many_cells", "3 cells instead of 2", "1,2,3")
    ]


def test_names_of_columns(read):
    delivery, _, _ = read("\ufeff Cost (EUR)\u200b ,,column_2,O'Brien\"\n1,2,3,4\n")
    assert delivery.header == ("Cost (EUR)", "column_2_", "column_2", "O'Brien\"")
    assert delivery.columns["column_2"] == "c2"
    assert delivery.file == "file.csv"


def test_the_hash_is_of_the_delivered_bytes(read):
    first, _, _ = read(gzip.compress(b"a,b\n1,2\n", mtime=1), "one.csv.gz")
    second, _, _ = read(gzip.compress(b"a,b\n1,2\n", mtime=2), "two.csv.gz")
    assert first.sha256 != second.sha256


def test_a_name_with_brackets_is_a_name(read):
    assert read("a,b\n1,2\n", "file[1]*.csv")[1] == [(2, "1", "2")]


def test_both_ways_of_reading_agree(read, monkeypatch):
    lines = ["a,b,c", *(f"{n},x{n},é" for n in range(300)), "", "1,2", *("1,2,3" for _ in range(9))]
    for end in ("\n", "\r\n"):
        fast = read(end.join(lines) + end)
        with monkeypatch.context() as patch:
            patch.setattr(csvfile, "read_lines", lambda *_: False)
            patch.setattr(csvfile, "BATCH", 7)
            slow = read(end.join(lines) + end)
        assert fast == slow


def test_lines_that_go_astray_refuse_the_file(read, monkeypatch):
    monkeypatch.setattr(csvfile, "read_lines", lambda *_: False)
    records = csvfile._records

    def loses_one(*arguments):
        kept = list(records(*arguments))
        return iter(kept[:1] + kept[2:])

    monkeypatch.setattr(csvfile, "_records", loses_one)
    with pytest.raises(FileRefusedError, match="4 lines in the file, 3 told apart"):
        read("a,b\n1,2\n3,4\n5,6\n")


def test_what_is_no_file_is_refused(tmp_path, connection):
    plain = tmp_path / "plain.csv"
    plain.write_text("a,b\n1,2\n")
    link = tmp_path / "link.csv"
    link.symlink_to(plain)
    os.mkfifo(tmp_path / "pipe.csv")
    for path, said in (
        (tmp_path / "none.csv", "there is no such file"),
        (plain / "file.csv", "there is no such file"),
        (link, "is a symbolic link"),
        (tmp_path, "is a folder or a device"),
        (tmp_path / "pipe.csv", "is a folder or a device"),
        (tmp_path / "a\0b.csv", "this is no file name"),
    ):
        with pytest.raises(FileRefusedError, match=said):
            read_delivery(connection, path, Reading())


def test_a_file_that_changes_meanwhile_is_refused(read, monkeypatch, tmp_path):
    hashed = gate.sha256

    def hash_and_append(path):
        digest = hashed(path)
        with path.open("a") as handle:
            handle.write("5,6\n")
        return digest

    monkeypatch.setattr(gate, "sha256", hash_and_append)
    with pytest.raises(FileRefusedError, match="was changed while it was read"):
        read("a,b\n1,2\n")
    assert (tmp_path / "file.csv").read_text().endswith("5,6\n")


def test_limits_hold_before_memory_grows(read, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(gate, "MAX_LINE", 1_000)
        patch.setattr(gate, "BLOCK", 100)
        with pytest.raises(FileRefusedError, match="line 2: the line is longer than"):
            read("a,b\n" + "x" * 1_200 + ",1\n")
        patch.setattr(gate, "BLOCK", 1_800)
        with pytest.raises(FileRefusedError, match="line 3: the line is longer than"):
            read("a,b\n1,2\n" + "x" * 2_000 + ",1\n")
    with pytest.raises(FileRefusedError, match="line 1: 2,001 columns"):
        read(",".join(map(str, range(2_001))) + "\n1\n")
    monkeypatch.setattr(gate, "SMALL", 10_000)
    with pytest.raises(FileRefusedError, match="over 200 times its size"):
        read(gzip.compress(b"a,b\n" + b"1,2\n" * 100_000), "bomb.csv.gz")


@pytest.mark.parametrize("cut", [1, 9, 40])
def test_a_cut_gzip_is_refused(read, cut):
    packed = gzip.compress(os.urandom(200).hex().encode() + b",b\n1,2\n")
    with pytest.raises(FileRefusedError, match="the gzip is damaged"):
        read(packed[:-cut], "file.csv.gz")


def workbook(path: Path, **sheets) -> Path:
    with xlsxwriter.Workbook(path) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for row, cells in rows.items():
                for column, cell in enumerate(cells):
                    if isinstance(cell, date):
                        sheet.write_datetime(row - 1, column, cell, day)
                    elif str(cell).startswith("="):
                        sheet.write_formula(row - 1, column, cell, None, "#DIV/0!")
                    else:
                        sheet.write(row - 1, column, cell)
    return path


def test_excel(connection, tmp_path):
    path = workbook(
        tmp_path / "book.xlsx",
        Notes={1: ["nothing"]},
        Data={
            1: ["Report"],
            3: ["day", "cost", "clicks", "name", "ctr"],
            4: [date(2024, 1, 2), 16300.200000000001, 12.0, "ä, \n", "=1/0"],
            6: [datetime(2024, 1, 2, 3, 4), 1e-7, 1e20, True, 0.5],
        },
    )  # fmt: skip
    delivery, rows, broken = tables(
        connection, path, used=["day", "COST"], sheet="Data", header_row=3
    )
    assert rows == [
        (4, "2024-01-02", "16300.2", "12", "ä, \n", "#DIV/0!"),
        (6, "2024-01-02 03:04:00", "0.0000001", "100000000000000000000", "true", "0.5"),
    ]
    assert (broken, delivery.as_text) == ([], False)
    _, rows, broken = tables(connection, path, used=["ctr"], sheet="Data", header_row=3)
    assert [row[0] for row in rows] == [6]
    assert broken == [(4, "error_cell")]
    assert connection.execute("select value from broken").fetchall() == [("#DIV/0!",)]


def test_excel_that_cannot_be_read(connection, tmp_path, monkeypatch):
    path = workbook(tmp_path / "book.xlsx", One={1: ["a"]}, Two={1: ["a", "b"], 900: [1, 2]})
    with pytest.raises(FileRefusedError, match=r"no sheet 'Three'; read\.sheet is one of One, Two"):
        tables(connection, path, sheet="Three")
    with pytest.raises(FileRefusedError, match="a header and no row below it"):
        tables(connection, path)
    monkeypatch.setattr(typedfile, "MAX_CELLS", 1_000)
    with pytest.raises(FileRefusedError, match="reaches to column 2 and row 900"):
        tables(connection, path, sheet="Two")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileRefusedError, match="no readable Excel workbook"):
        tables(connection, path)


def test_parquet(connection, tmp_path):
    path = tmp_path / "file.parquet"
    connection.execute(
        f"""
        copy (
            select 'x' as "Name", 12.0::double as n, 0.1::double as f, 1e-7::double as small,
                1e20::double as large, timestamp '2024-01-02' as day,
                timestamp '2024-01-02 03:04:05' as moment,
                timestamptz '2024-01-02 00:00:00+02' as zoned, true as flag, [1, 2] as list
            union all select null, null, null, null, null, null, null, null, null, null
        ) to '{path}'
        """
    )
    delivery, rows, _ = tables(connection, path)
    assert delivery.header[:2] == ("Name", "n")
    assert not delivery.as_text
    assert rows[0] == (
        1, "x", "12", "0.1", "0.0000001", "100000000000000000000", "2024-01-02",
        "2024-01-02 03:04:05", "2024-01-01 22:00:00", "true", "[1, 2]",
    )  # fmt: skip
    assert rows[1] == (2, *[None] * 10)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FileRefusedError, match="no readable Parquet file"):
        tables(connection, path)


def test_json_lines(read, monkeypatch):
    monkeypatch.setattr(typedfile, "BATCH", 1)
    content = (
        '{"a": 1, "b": 1.50, "long": 12345678901234567890}\n\n{"a": "x", "c": {"d": [1, 2.5]}}\n'
        '[1]\nno\n{"a": 1, "a": 2}\n{"b": true, "c": null, "a": 1e-7}\n{"a": "\\u0000"}\n'
        '{"a": "\\ud800"}\n'
    )
    delivery, rows, broken = read(content, "file.jsonl")
    assert delivery.header == ("a", "b", "long", "c")
    assert rows == [
        (1, "1", "1.50", "12345678901234567890", None),
        (3, "x", None, None, '{"d": [1, 2.5]}'),
        (7, "0.0000001", "true", None, None),
    ]
    assert broken == [
        (4, "not_an_object"), (5, "not_json"), (6, "repeated_key_in_object"),
        (8, "nul_character"), (9, "not_json"),
    ]  # fmt: skip
    # A number of JSON has a decimal point, whatever sign the text of the source has.
    assert read('{"a": 1.234}\n', "file.jsonl", decimal=",", thousands=".")[1] == [(1, "1,234")]
    with pytest.raises(FileRefusedError, match="breaks off in the middle of a line"):
        read('{"a": 1}\n{"a"', "file.jsonl")
    with pytest.raises(FileRefusedError, match="is it JSON lines"):
        read('[{"a": 1}]', "file.json")


def test_the_ending_may_lie(connection, tmp_path):
    book = workbook(tmp_path / "book.xlsx", One={1: ["a", "b"], 2: [1, 2]})
    path = book.rename(tmp_path / "book.csv")
    assert tables(connection, path)[1] == [(2, "1", "2")]
    for name, content, said in (
        ("file.zip", b"PK\x03\x04", "unpack it"),
        ("file.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileRefusedError, match=said):
            tables(connection, tmp_path / name)


def test_personal_data_is_found_by_name_and_by_content(read, connection):
    delivery, _, _ = read(
        "E-Mail,CustomerPhone,contact,reach,emails,campaign_name,campaign_id,day,budget,host\n"
        ",x,a@b.example,+49 170 1234567,12,Sale,120210000000000000,2024-01-02,1234567890,10.0.0.1\n"
    )
    assert personal_columns(connection, delivery) == [
        "E-Mail", "CustomerPhone", "contact", "reach", "host",
    ]  # fmt: skip


def test_real_exports_hold_no_personal_data_but_one(shared, connection):
    found = {}
    for path in sorted(shared.glob("platform_exports/*campaign*.csv")):
        delivery = read_delivery(connection, path, Reading())
        assert delivery.broken == 0
        if names := personal_columns(connection, delivery):
            found[path.name] = names
    assert set(found) <= {
        "apple_search_campaign_history_data.csv", "tiktok_campaign_history_data.csv"
    }  # fmt: skip
    assert found["apple_search_campaign_history_data.csv"] == ["loc_invoice_detail_buyer_email"]
