"""Bad input: what the user is told, and that nothing changed."""

from __future__ import annotations

import os
import subprocess
import sys

import polars as pl
import pytest

from marketing_ai.load.canonical import RAW_TABLE, FileRefusedError, load_canonical

HEADER = "campaign_id,date,channel,segment,impressions,clicks,conversions,cost,revenue,leads"
GOOD = "c1,2025-01-01,search,new,100,10,2,5.50,20,4"


def load(tmp_path, text: str | bytes, name: str = "file.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_canonical(path, tmp_path / "lake")


def raw(tmp_path) -> pl.DataFrame:
    return pl.read_delta(str(tmp_path / "lake" / "marketing.db" / RAW_TABLE)).sort("source_line")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        (HEADER + "\n", "there is a header and no row below it"),
        (
            f"{HEADER.replace('cost,', '')}\nx",
            "line 1: missing column 'cost'; the header has campaign_id,",
        ),
        (f"{HEADER},cost\n{GOOD},1", "line 1: the header has the column 'cost' twice"),
        (HEADER.replace(",", ";") + "\n1;2", "is it separated by something else than a comma?"),
        (f"{HEADER.replace('leads', 'lead')}\n{GOOD}", "column 'lead' is unknown; is it 'leads'?"),
        (
            f"{HEADER}\n{GOOD}\n{GOOD.replace('c1', 'c2').replace('100', 'abc')}",
            "line 3, column impressions: 'abc' is not a whole number",
        ),
        (
            f"{HEADER}\n{GOOD.replace('2025-01-01', '2025-02-30')}",
            "line 2, column date: '2025-02-30' is not an existing date",
        ),
        (
            f"{HEADER}\n{GOOD.replace('2025-01-01', '01/02/2025')}",
            "line 2, column date: '01/02/2025' is not an existing date",
        ),
        (
            f"{HEADER}\n{GOOD.replace('2025-01-01', '0025-01-01')}",
            "line 2, column date: '0025-01-01' is not an existing date",
        ),
        (f"{HEADER}\n{GOOD.replace('5.50', '-5.50')}", "line 2, column cost: '-5.50' is not"),
        (
            f"{HEADER}\n{GOOD.replace('5.50', chr(34) + '5,50' + chr(34))}",
            "line 2, column cost: '5,50' is not an amount",
        ),
        (f"{HEADER}\n{GOOD.replace('5.50', '1e400')}", "line 2, column cost: '1e400' is not"),
        (f"{HEADER}\n{GOOD.replace('5.50', 'NaN')}", "line 2, column cost: 'NaN' is not"),
        (
            f"{HEADER}\n{GOOD.replace('100', '99999999999999999999')}",
            "column impressions: '99999999999999999999' is not",
        ),
        (f"{HEADER}\n{GOOD.replace('c1', ' ')}", "line 2, column campaign_id: the cell is empty"),
        (f"{HEADER}\n{GOOD}\n{GOOD},7", "line 3: too many columns"),
        (f"{HEADER}\n{GOOD}\nc2,2025-01-01", "line 3: missing columns"),
        (f"{HEADER}\n{GOOD}\n{GOOD}", "lines 2 and 3: the same campaign_id, channel"),
        (
            f'{HEADER}\n"c\n1"{GOOD[2:]}\n{GOOD.replace("100", "x")}',
            "line 4, column impressions: 'x' is not",
        ),
        (f"{HEADER}\n{GOOD}".encode("utf-16"), "not UTF-8"),
        (f"{HEADER}\n{GOOD.replace('search', 'caf' + chr(233))}".encode("latin-1"), "not UTF-8"),
        (f"{HEADER}\n{GOOD.replace('new', 'n' + chr(0))}", "line 2: holds a NUL character"),
        (f'{HEADER}\n"c1{GOOD[2:]}\n{GOOD}', "line 2: "),
        (f"{HEADER}\n\n\n", "there is a header and no row below it"),
        (f"{HEADER.upper()}\n{GOOD}", "the names are in lower case"),
        (f"{HEADER},Campaign_ID\n{GOOD},x", "the header has the column 'campaign_id' twice"),
        (f"{HEADER}\n{GOOD}\r\n{GOOD.replace('c1', 'c2')}\n", "two kinds of line ends"),
        (f"{'x' * 200_000}\n1", "line 1: this is no header"),
        (f"{HEADER}\n{GOOD.replace('c1', chr(0x200B))}", "column campaign_id: the cell is empty"),
        (f"{HEADER}\n{GOOD}\n{GOOD.replace('c1', 'c1' + chr(9))}", "lines 2 and 3: the same"),
    ],
)
def test_a_bad_file_is_refused_whole_with_its_place(tmp_path, text, said):
    load(tmp_path, f"{HEADER}\n{GOOD}\n", "good.csv")
    before = raw(tmp_path)
    with pytest.raises(FileRefusedError) as refusal:
        load(tmp_path, text)
    assert str(refusal.value).startswith(str(tmp_path / "file.csv"))
    assert said in str(refusal.value)
    assert raw(tmp_path).equals(before)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileRefusedError, match=r"nowhere\.csv: there is no such file"):
        load_canonical(tmp_path / "nowhere.csv", tmp_path / "lake")


def test_many_faults_are_counted_and_the_first_are_shown(tmp_path):
    rows = [GOOD.replace("c1", f"c{i}").replace("5.50", "x") for i in range(25)]
    with pytest.raises(FileRefusedError) as refusal:
        load(tmp_path, "\n".join([HEADER, *rows]))
    assert "25 faults" in str(refusal.value)
    assert "… and 15 more" in str(refusal.value)


def test_cells_arrive_as_text_with_their_line(tmp_path):
    columns = HEADER.split(",")
    order = columns[::-1]
    cells = dict(
        zip(
            columns,
            [
                "O'Brien\\",
                "2025-01-01",
                "a, b",
                "né",
                "9007199254740993",
                "10.0",
                "",
                "5.5",
                "",
                "4",
            ],
            strict=True,
        )
    )
    quoted = ",".join(f'"{cells[c]}"' for c in order)
    report = load(tmp_path, "\ufeff" + ",".join([*order, "roas"]) + "\n" + quoted + ",3.1\n")
    assert (report.rows, report.ignored, report.absent) == (1, ("roas",), ("campaign_name",))
    row = raw(tmp_path).row(0, named=True)
    assert row["campaign_id"] == "O'Brien\\"
    assert row["channel"] == "a, b"
    assert row["segment"] == "né"
    assert row["impressions"] == "9007199254740993"
    assert row["clicks"] == "10"
    assert row["conversions"] is None
    assert row["revenue"] is None
    assert (row["source_file"], row["source_line"]) == ("file.csv", 2)


def test_a_nameless_last_column_and_any_other_name_are_left_out(tmp_path):
    report = load(tmp_path, f"{HEADER},record,\n{GOOD},1,\n")
    assert (report.rows, report.ignored) == (1, ("record",))


def test_brackets_in_the_files_name_are_no_pattern(tmp_path):
    for name, campaign in (("a1.csv", "other1"), ("a2.csv", "other2"), ("a[12].csv", "own")):
        load(tmp_path, f"{HEADER}\n{GOOD.replace('c1', campaign)}\n", name)
    assert raw(tmp_path)["campaign_id"].to_list() == ["own"]


def test_empty_cells_are_counted(tmp_path):
    report = load(tmp_path, f"{HEADER}\n{GOOD}\n{GOOD.replace('c1', 'c2').replace(',20,', ',,')}")
    assert report.empty == {"revenue": 1}


def test_the_same_file_twice_is_the_same_delivery(tmp_path):
    load(tmp_path, f"{HEADER}\n{GOOD}\n")
    first = raw(tmp_path)
    load(tmp_path, f"{HEADER}\n{GOOD}\n")
    assert raw(tmp_path).equals(first)


def test_the_command_says_why_and_exits_with_2(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text(f"{HEADER}\n{GOOD.replace('5.50', 'five')}\n")
    done = subprocess.run(
        [sys.executable, "-m", "marketing_ai.cli", "build", "--input", str(path)],
        env=os.environ | {"MARKETING_LAKE": str(tmp_path / "lake")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "line 2, column cost: 'five' is not an amount" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not list(tmp_path.glob("lake/**/_delta_log"))
