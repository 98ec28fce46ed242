"""kill -9 in the middle of a load; `make faults` does it at 18 points, this at the four worst."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from marketing_ai.load import ledger
from marketing_ai.load.landing import load_file
from marketing_ai.paths import find_paths
from tests.faults.test_killed import KILLED_LOAD

ROOT = Path(__file__).resolve().parents[3]
HEADER = "campaign_id,channel,segment,date,impressions,clicks,conversions,cost"


@pytest.mark.parametrize(
    ("step", "left"),
    [
        ("landing.write_deltalake before", 0),
        ("landing.write_deltalake after", 5),
        ("ledger.write_deltalake before", 5),
        ("ledger.write_deltalake after", 5),
    ],
)
def test_a_killed_load_has_happened_once_or_not_at_all(tmp_path, step, left):
    paths = replace(find_paths(ROOT), lake=tmp_path / "lake", schema="s")
    raw = ledger.table_path(paths, ledger.RAW_TABLE)
    files = []
    for number in (1, 2):
        rows = [f"c{n},Search,New,2025-01-{number:02},10,5,1,2.50" for n in range(5)]
        files.append(tmp_path / f"{number}.csv")
        files[-1].write_text("\n".join([HEADER, *rows, ""]))
    load_file(files[0], paths, None, source="own")
    done = subprocess.run(
        [sys.executable, "-c", KILLED_LOAD, step, str(files[1])],
        env=os.environ | {"MARKETING_LAKE": str(paths.lake), "MARKETING_SCHEMA": "s"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    assert pl.read_delta(str(raw)).height == 5 + left
    again = load_file(files[1], paths, None, source="own")
    assert again.already == (step == "ledger.write_deltalake after")
    found = pl.read_delta(str(raw))
    assert found.group_by("date").len().sort("date")["len"].to_list() == [5, 5]
    assert ledger.read_ledger(paths)["load_no"].to_list() == [1, 2]
    assert set(found["load_no"]) == {1, 2}
