"""Damaged tables, jars and deliveries: the doctor names each, and the command it names mends it."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from marketing_ai.lake import jars
from marketing_ai.load import ledger
from tests.faults.conftest import ROOT, assert_same, content, first_line

# The doctor names make targets; these are the commands behind them.
COMMANDS = {
    "make doctor ARGS=--repair && make build": [("doctor", "--repair"), ("build",)],
    "make build ARGS=--full-refresh": [("build", "--full-refresh")],
}


def mend(lake, table: str) -> tuple[str, str]:
    """Ask the doctor about `table` and do what it says; what it said, and the command."""
    code, output = lake.run("doctor")
    assert code == 1, output
    lines = output.splitlines()
    (number,) = [n for n, line in enumerate(lines) if line.startswith(f"✗ {table}: ")]
    command = lines[number + 1].strip()
    for step in COMMANDS[command]:
        # After a repair something may be left to do, which the doctor's exit code says.
        code, output = lake.run(*step)
        assert code == 0 or step[0] == "doctor", output
    code, output = lake.run("doctor")
    assert code == 0, output
    return lines[number], command


def newest_commit(lake, table: str) -> Path:
    version = DeltaTable(str(lake.tables / table)).version()
    return lake.tables / table / "_delta_log" / f"{version:020}.json"


def data_file(lake, table: str) -> Path:
    files = pl.DataFrame(DeltaTable(str(lake.tables / table)).get_add_actions())
    return lake.tables / table / files["path"][0]


@pytest.mark.parametrize("table", ["marketing_kpi", "revenue_forecast"])
def test_a_truncated_log_of_a_built_table(lake, table, report):
    published = lake.published()
    commit = newest_commit(lake, table)
    commit.write_bytes(commit.read_bytes()[:100])
    with pytest.raises(DeltaError):
        DeltaTable(str(lake.tables / table))
    code, output = lake.run("build")
    assert code == 1, output
    saw, command = mend(lake, table)
    assert_same(lake.published(), published)
    report(f"truncated Delta log of {table}", "delta-rs cannot open the table", saw, command)


@pytest.mark.parametrize("table", ["marketing_kpi", "marketing_clean"])
def test_a_missing_data_file_of_a_built_table(lake, table, report):
    published = lake.published()
    data_file(lake, table).unlink()
    assert DeltaTable(str(lake.tables / table)).count() == published[table].height
    with pytest.raises((OSError, pl.exceptions.PolarsError)):
        pl.read_delta(str(lake.tables / table))
    saw, command = mend(lake, table)
    assert_same(lake.published(), published)
    report(f"missing Parquet file of {table}", "count(*) still answers, a read fails", saw, command)


def unnumbered(lake) -> dict[str, pl.DataFrame]:
    """What is published, without the numbers of the loads."""
    return {
        name: content(table.drop("load_no", strict=False))
        for name, table in lake.published().items()
    }


def lost_rows(lake, before: int) -> str:
    """Prove that delivered rows are gone: the table can't be read, or is short of them.

    delta-rs takes an empty commit for one that changes nothing.
    """
    try:
        left = lake.raw().height
    except (DeltaError, OSError, pl.exceptions.PolarsError):
        return "the rows cannot be read"
    assert left < before
    return f"{left} of {before} rows are left, and delta-rs says nothing"


@pytest.mark.parametrize("what", ["truncated log", "missing Parquet file"])
def test_what_was_loaded_is_named_and_loaded_again(lake, deliveries, what, report):
    lake.load(deliveries[1])
    lake.succeed("build")
    published, before = unnumbered(lake), lake.raw().height
    if what == "truncated log":
        newest_commit(lake, ledger.RAW_TABLE).write_bytes(b"")
    else:
        data_file(lake, ledger.RAW_TABLE).unlink()
    guard = lost_rows(lake, before)
    code, output = lake.run("doctor", "--repair")
    assert code == 0, output
    saw = first_line(output, "is taken back: load", ".csv again")
    again = [line.split(": load ")[1].split(" again")[0] for line in output.splitlines()
             if "is taken back" in line]  # fmt: skip
    for name in again:
        lake.load(deliveries[0].with_name(name))
    lake.succeed("build")
    # A load that is repeated may have another number; what was delivered is the same.
    assert_same(unnumbered(lake), published)
    report(
        f"{what} of {ledger.RAW_TABLE}",
        guard,
        saw,
        f"make doctor ARGS=--repair, marketing load {' '.join(again)}, make build",
    )


def test_a_tampered_jar_starts_nothing(lake, tmp_path, report):
    cache = tmp_path / "cache" / "marketing-ai"
    shutil.copytree(jars.folder(lake.paths.cache), jars.folder(cache))
    victim = sorted(jars.folder(cache).glob("*.jar"))[0]
    content = bytearray(victim.read_bytes())
    content[1000] ^= 1
    victim.write_bytes(content)
    published = lake.published()
    code, output = lake.run("build", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert code == 1, output
    saw = first_line(output, "is not the pinned jar")
    assert_same(lake.published(), published)
    code, output = lake.run("doctor", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert code == 1
    command = first_line(output, "rm -rf", "make setup")
    shutil.rmtree(jars.folder(cache))
    shutil.copytree(jars.folder(lake.paths.cache), jars.folder(cache))
    assert "7 files match" in lake.run("doctor", XDG_CACHE_HOME=str(tmp_path / "cache"))[1]
    report("tampered jar", "one bit of one jar flipped", saw, f"{command} (here: copied anew)")


def test_a_file_that_grows_while_it_is_read(lake, deliveries, tmp_path, report):
    file = tmp_path / "growing.csv"
    header, _, rows = deliveries[0].read_text().partition("\n")
    body = "".join(rows.replace("C0", f"G{number}x") for number in range(400))
    file.write_text(f"{header}\n{body}")
    size, stop = file.stat().st_size, threading.Event()

    def append() -> None:
        with file.open("a") as handle:
            while not stop.wait(0.001):
                handle.write(rows.splitlines()[0].replace("C0", "H0") + "\n")
                handle.flush()

    before = lake.raw().height
    writer = threading.Thread(target=append)
    writer.start()
    try:
        code, output = lake.run("load", str(file), "--source", "own")
    finally:
        stop.set()
        writer.join()
    assert code == 2, output
    saw = first_line(output, "was changed while it was read")
    grown = file.stat().st_size - size
    assert grown > 0
    assert lake.raw().height == before
    report("file grows while it is read", f"it grew by {grown:,} bytes", saw, "a complete file")


def test_a_second_writer_is_refused_by_name(lake, deliveries, report):
    holder = lake.start("build")
    lake.wait_for_lock(holder)
    assert holder.poll() is None
    begun = time.monotonic()
    code, output = lake.run("load", str(deliveries[1]), "--source", "own")
    seconds = time.monotonic() - begun
    assert holder.poll() is None
    assert code == 75, output
    saw = first_line(output, "is being written by `make build`", f"process {holder.pid}")
    report(
        "second writer", f"refused after {seconds:.1f} s, the first still at work", saw, "waiting"
    )
    output, _ = holder.communicate()
    assert holder.returncode == 0, output


def test_there_is_no_metastore_to_lose(lake, deliveries, tmp_path, report):
    places = [ROOT, lake.folder, lake.tables, Path.cwd()]
    leftovers = ("metastore_db", "spark-warehouse", "derby.log")
    assert not [place / name for place in places for name in leftovers if (place / name).exists()]
    for name in leftovers[:2]:
        (lake.folder / name).mkdir()
        shutil.rmtree(lake.folder / name)
    # All that Spark knows of the tables is gone with its process: a new one finds them by path.
    lake.load(deliveries[1])
    before = lake.published()["marketing_kpi"].height
    lake.succeed("build")
    assert lake.published()["marketing_kpi"].height > before
    saw = first_line(lake.succeed("doctor"), "metastore")
    report("lost metastore", "no metastore_db, spark-warehouse or derby.log", saw, "nothing to do")
