"""`marketing doctor` finds what is broken without a JVM, and its repair loses nothing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from marketing_ai import doctor
from marketing_ai.lake import current_publication, lock
from marketing_ai.load import ledger
from marketing_ai.paths import find_paths

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def paths(tmp_path):
    """A lake with three loads, a derived table of two versions and a publication of the first."""
    paths = replace(find_paths(ROOT), lake=tmp_path / "lake", schema="s")
    folder = paths.lake / "s.db"
    for number in (1, 2, 3):
        rows = pl.DataFrame(
            {"load_no": [number] * 10, "cell": [f"{number}-{n}" for n in range(10)]}
        )
        write_deltalake(folder / ledger.RAW_TABLE, rows, mode="append")
        ledger.enter(
            paths,
            {
                "load_no": number,
                "source": "ads",
                "source_file": f"{number}.csv",
                "first_date": date(2025, number, 1),
                "last_date": date(2025, number, 28),
                "delivered": 10,
                "months": "",
            },
        )
    for value in (1, 2):
        write_deltalake(folder / "kpi", pl.DataFrame({"x": [value]}), mode="overwrite")
    published = {
        "table_name": ["kpi"],
        "delta_version": [0],
        "row_count": [1],
        "published_at": [datetime.now(UTC)],
    }
    for _ in range(2):
        write_deltalake(folder / "publication", pl.DataFrame(published), mode="overwrite")
    return paths


def broken(paths) -> dict[str, doctor.Finding]:
    return {f.what: f for f in doctor.examine(paths) if f.state == "broken"}


def commit(paths, table: str, version: int) -> Path:
    return paths.lake / "s.db" / table / "_delta_log" / f"{version:020}.json"


def data_file(paths, table: str, version: int | None = None) -> Path:
    table_path = paths.lake / "s.db" / table
    dataset = DeltaTable(str(table_path), version=version).get_add_actions()
    return table_path / pl.DataFrame(dataset)["path"][0]


def test_a_sound_lake_is_called_sound(paths):
    findings = list(doctor.examine(paths))
    assert {f.state for f in findings if f.what not in {"class archive", "disk"}} == {"ok"}
    said = {f.what: f.text for f in findings}
    assert said["tables"] == "4 have a whole log and all data files"
    assert said["loads"] == "all rows of 3 loads are there"
    assert "none to lose" in said["metastore"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "the commit is empty"), (b'{"commitInfo": {"timest', "cut off or overwritten")],
)
def test_a_damaged_commit_of_a_derived_table_is_set_aside(paths, content, said):
    commit(paths, "kpi", 1).write_bytes(content)
    found = broken(paths)["kpi"]
    assert said in found.text
    assert "00001.json" in found.text
    assert found.mend == "make doctor ARGS=--repair && make build"
    (done,) = doctor.repair(paths)
    assert done.startswith("kpi: set aside")
    assert not (paths.lake / "s.db" / "kpi").exists()
    assert (paths.lake / ".broken" / "kpi-1" / "_delta_log").is_dir()
    assert broken(paths)["publication"].text == "names kpi, which is not in the lake"


def test_a_missing_commit_in_between_is_found(paths):
    commit(paths, "publication", 0).unlink()
    assert "commit 0 is missing, 1 is there" in broken(paths)["publication"].text


@pytest.mark.parametrize("version", [None, 0])
def test_a_missing_data_file_is_found_in_the_current_and_the_published_version(paths, version):
    file = data_file(paths, "kpi", version)
    file.unlink()
    # What makes this fault nasty: a count is answered from the log.
    assert DeltaTable(str(paths.lake / "s.db" / "kpi"), version=version).count() == 1
    found = broken(paths)["kpi"]
    assert found.text.startswith(f"{file}: the data file is missing")
    assert found.mend == "make build ARGS=--full-refresh"


def test_a_data_file_of_another_size_is_found(paths):
    file = data_file(paths, "kpi")
    file.write_bytes(file.read_bytes()[:-1])
    assert "bytes instead of" in broken(paths)["kpi"].text


def test_a_damaged_publication_goes_back_to_the_last_good_one(paths):
    commit(paths, "publication", 1).write_bytes(b"{")
    assert "publication" in broken(paths)
    (done,) = doctor.repair(paths)
    assert "publication: back at version 0" in done
    assert not broken(paths)
    assert current_publication(paths).read("kpi")["x"].to_list() == [1]


def test_a_load_whose_rows_are_lost_is_taken_back_and_named(paths):
    commit(paths, ledger.RAW_TABLE, 2).write_bytes(b"")
    assert ledger.RAW_TABLE in broken(paths)
    first, second = doctor.repair(paths)
    assert "back at version 1" in first
    assert "load 3 is taken back: load 3.csv again, in this order (marketing load" in second
    assert not broken(paths)
    assert ledger.read_ledger(paths)["load_no"].to_list() == [1, 2]


def test_a_load_whose_data_file_is_lost_is_taken_back_and_the_others_stay(paths):
    data_file(paths, ledger.RAW_TABLE, 0).unlink()
    assert "data file is missing" in broken(paths)[ledger.RAW_TABLE].text
    done = doctor.repair(paths)
    assert any("load 1 is taken back" in line for line in done)
    assert not broken(paths)
    kept = pl.read_delta(str(paths.lake / "s.db" / ledger.RAW_TABLE))
    assert sorted(set(kept["load_no"])) == [2, 3]
    assert kept.height == 20


def test_a_damaged_ledger_goes_back_and_says_what_to_load(paths):
    commit(paths, ledger.LEDGER_TABLE, 2).write_bytes(b"{}{")
    (done,) = doctor.repair(paths)
    assert "back at version 1" in done
    assert "load again what came after 20" in done
    assert ledger.read_ledger(paths)["load_no"].to_list() == [1, 2]
    (beyond,) = [f for f in doctor.examine(paths) if f.what == "loads"]
    assert beyond.state == "warn"
    assert "10 rows are of loads that broke off" in beyond.text


def test_rows_that_are_fewer_than_the_ledger_says_are_found(paths):
    DeltaTable(str(paths.lake / "s.db" / ledger.RAW_TABLE)).delete("cell = '2-5'")
    found = broken(paths)["load 2"]
    assert "2.csv of ads brought 10 rows, 9 are there" in found.text
    doctor.repair(paths)
    assert ledger.read_ledger(paths)["load_no"].to_list() == [1, 3]
    assert not broken(paths)


def test_loads_that_restate_the_days_of_a_lost_one_are_loaded_again_after_it(paths):
    for number, source, month in ((4, "ads", 2), (5, "crm", 2), (6, "ads", 5)):
        rows = pl.DataFrame({"load_no": [number], "cell": ["x"]})
        write_deltalake(paths.lake / "s.db" / ledger.RAW_TABLE, rows, mode="append")
        entry = {"load_no": number, "source": source, "source_file": f"{number}.csv"}
        days = {"first_date": date(2025, month, 5), "last_date": date(2025, month, 6)}
        ledger.enter(paths, entry | days | {"delivered": 1, "months": ""})
    DeltaTable(str(paths.lake / "s.db" / ledger.RAW_TABLE)).delete("cell = '2-5'")
    assert list(broken(paths)) == ["load 2"]
    again = [line.split("load ")[2].split(" again")[0] for line in doctor.repair(paths)]
    assert again == ["2.csv", "4.csv"]
    assert ledger.read_ledger(paths)["load_no"].to_list() == [1, 3, 5, 6]
    assert not broken(paths)


def test_a_lost_load_of_a_table_takes_the_cursor_back(paths):
    for number in (4, 5):
        rows = pl.DataFrame({"load_no": [number] * 2, "cell": [f"{number}-1", f"{number}-2"]})
        write_deltalake(paths.lake / "s.db" / ledger.RAW_TABLE, rows, mode="append")
        day = {name: date(2025, number, 1) for name in ("first_date", "last_date")}
        entry = {"load_no": number, "source": "crm", "source_file": "postgresql://h/d/s.t"}
        ledger.enter(paths, entry | day | {"delivered": 2, "months": "", "cursor_value": "{}"})
    DeltaTable(str(paths.lake / "s.db" / ledger.RAW_TABLE)).delete("cell = '4-1'")
    assert list(broken(paths)) == ["load 4"]
    doctor.repair(paths)
    assert ledger.read_ledger(paths)["load_no"].to_list() == [1, 2, 3]


def test_what_a_broken_write_left_is_set_aside(paths):
    leftover = paths.lake / "s.db" / "half"
    leftover.mkdir()
    (leftover / "part-0.parquet").write_bytes(b"PAR1")
    (finding,) = [f for f in doctor.examine(paths) if f.what == "half"]
    assert finding.state == "warn"
    doctor.repair(paths)
    assert not leftover.exists()
    assert (paths.lake / ".broken" / "half-1" / "part-0.parquet").is_file()


def test_a_repair_makes_the_next_build_start_from_scratch(paths):
    marker = paths.lake / "s.db" / ".data_source"
    marker.write_text("own")
    assert doctor.repair(paths) == []
    assert marker.is_file()
    commit(paths, "kpi", 1).write_bytes(b"")
    doctor.repair(paths)
    assert not marker.exists()


def test_the_writer_is_named_and_a_repair_waits_for_nobody(paths):
    holding = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from marketing_ai.lake.lock import *; "
            "acquire_writer(Path(sys.argv[1]), 'marketing load'); print(1, flush=True); "
            "time.sleep(60)",
            str(paths.lake),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holding.stdout.readline()
        (held,) = [f for f in doctor.examine(paths) if f.what == "writer lock"]
        assert f"held by `marketing load` (process {holding.pid}" in held.text
        with pytest.raises(lock.LakeBusyError, match=f"process {holding.pid}"):
            doctor.repair(paths)
    finally:
        holding.kill()
        holding.wait()
    (free,) = [f for f in doctor.examine(paths) if f.what == "writer lock"]
    assert free.state == "ok"
    assert f"process {holding.pid}" in free.text


def test_a_tampered_jar_is_named_with_the_command_that_mends_it(paths, tmp_path):
    from marketing_ai.lake import jars

    copy = replace(paths, cache=tmp_path / "cache")
    jars.folder(copy.cache).mkdir(parents=True)
    for jar in jars.folder(paths.cache).glob("*.jar"):
        (jars.folder(copy.cache) / jar.name).write_bytes(jar.read_bytes()[:-1] + b"!")
    found = broken(copy)["Delta jars"]
    assert "is not the pinned jar" in found.text
    assert found.mend == f"rm -rf {jars.folder(copy.cache)} && make setup"


def test_a_package_that_is_not_as_locked_is_named(paths, tmp_path):
    root = tmp_path / "project"
    (root / "requirements").mkdir(parents=True)
    (root / "requirements" / "build.txt").write_text("rich==0.1 \\\n    --hash=x\nabsent-one==2\n")
    found = broken(replace(paths, root=root))
    assert "rich is " in found["environment"].text
    assert "absent-one is missing, locked ==2" in found["environment"].text
    assert found["profiles.yml"].mend == "make setup"


def test_no_java_is_broken_and_none_is_started(paths, tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert "apt install openjdk-17" in broken(paths)["Java"].mend
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\ntouch started\n")
    java.chmod(0o755)
    (tmp_path / "release").write_text('JAVA_VERSION="11.0.2"\n')
    monkeypatch.chdir(tmp_path)
    assert "is Java 11" in broken(paths)["Java"].text
    assert not Path("started").exists()


def test_an_unknown_target_is_named(paths, monkeypatch):
    monkeypatch.setenv("DBT_TARGET", "nowhere")
    assert "has no target 'nowhere'" in broken(paths)["profiles.yml"].text


@pytest.mark.parametrize(("damage", "code"), [(False, 0), (True, 1)])
def test_the_exit_code_tells_whether_something_is_broken(paths, monkeypatch, damage, code):
    from typer.testing import CliRunner

    from marketing_ai.cli import app

    if damage:
        data_file(paths, "kpi").unlink()
    monkeypatch.setenv("MARKETING_LAKE", str(paths.lake))
    monkeypatch.setenv("MARKETING_SCHEMA", "s")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == code, result.output
    assert ("1 broken: kpi." in result.output) == damage
