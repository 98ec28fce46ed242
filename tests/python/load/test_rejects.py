"""Refused rows leave the lake as data: a spreadsheet must not run them."""

from __future__ import annotations

import io

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from marketing_ai.load.rejects import escape_formulas, print_rejects, write_csv

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")


@given(st.lists(st.text(max_size=12), min_size=1, max_size=8))
def test_no_cell_begins_like_a_formula_and_nothing_else_changes(cells):
    cells = [sign + cell for sign in DANGEROUS for cell in cells] + cells
    frame = pl.DataFrame({"value": cells, "number": [-1.5] * len(cells)})
    escaped = escape_formulas(frame)
    assert escaped["number"].to_list() == frame["number"].to_list()
    for before, after in zip(cells, escaped["value"], strict=True):
        assert not after.startswith(DANGEROUS)
        assert after == ("'" + before if before.startswith(DANGEROUS) else before)


def test_the_written_file_reads_back(tmp_path):
    rows = pl.DataFrame({"value": ["=1+1", 'a "quoted", cell', None, "-5"], "line": [2, 3, 4, 5]})
    write_csv(rows, tmp_path / "rejects.csv")
    back = pl.read_csv(tmp_path / "rejects.csv")
    assert back["value"].to_list() == ["'=1+1", 'a "quoted", cell', None, "'-5"]


def test_markup_in_a_cell_is_shown_as_it_is():
    console = Console(width=120, record=True, file=io.StringIO())
    names = ("source_file", "column_name", "rule", "value")
    rows = pl.DataFrame({name: ["[red]x[/red]"] for name in names} | {"source_line": [2]})
    print_rejects(console, rows, 5)
    assert "[red]x[/red]" in console.export_text()
