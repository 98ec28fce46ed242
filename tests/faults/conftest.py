"""Faults on a lake of its own: each is injected, proved to have happened, and recovered from.

`make faults` runs these; they start real commands, kill them and break files, which takes minutes.
At the end one table tells for each fault what proved it, what the user saw and what mended it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import psutil
import pytest
from rich.console import Console
from rich.table import Table

from marketing_ai.lake import current_publication
from marketing_ai.load import ledger
from marketing_ai.paths import find_paths

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = "faults"
DELIVERIES = 40
_REPORT: list[tuple[str, str, str, str]] = []


@dataclass(frozen=True)
class Lake:
    """A lake that commands of this project work on."""

    folder: Path

    @property
    def paths(self):
        return replace(find_paths(ROOT), lake=self.folder, schema=SCHEMA)

    @property
    def tables(self) -> Path:
        return self.folder / f"{SCHEMA}.db"

    def environment(self, **more: str) -> dict[str, str]:
        return (
            os.environ
            | {
                "MARKETING_HOME": str(ROOT),
                "DBT_PROFILES_DIR": str(ROOT),
                "MARKETING_LAKE": str(self.folder),
                "MARKETING_SCHEMA": SCHEMA,
                "DBT_TARGET_PATH": str(self.folder.with_name(f"{self.folder.name}_target")),
                "DBT_LOG_PATH": str(self.folder.with_name(f"{self.folder.name}_logs")),
                "MARKETING_SPARK_MASTER": "local[2]",
                "COLUMNS": "200",
            }
            | more
        )

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start `marketing …` (or a given program) in a process group of its own."""
        program = [] if command[0] == sys.executable else [sys.executable, "-m", "marketing_ai.cli"]
        return subprocess.Popen(
            [*program, *command],
            cwd=ROOT,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, **environment: str) -> tuple[int, str]:
        """Run `marketing …`; exit code and output, in which there is never a stack trace."""
        process = self.start(*command, **environment)
        output, _ = process.communicate()
        assert "Traceback" not in output, output
        return process.returncode, output

    def succeed(self, *command: str, **environment: str) -> str:
        code, output = self.run(*command, **environment)
        assert code == 0, output
        return output

    def load(self, file: Path) -> str:
        return self.succeed("load", str(file), "--source", "own")

    def wait_for_lock(self, process: subprocess.Popen[str]) -> None:
        """Wait until `process` holds the writer lock; it may end before."""
        holder = self.folder / ".writer.json"
        while process.poll() is None:
            if holder.is_file() and f'"pid": {process.pid}' in holder.read_text():
                return
            time.sleep(0.005)

    def published(self) -> dict[str, pl.DataFrame]:
        """Every published table, read whole."""
        publication = current_publication(self.paths)
        return {name: content(publication.read(name)) for name in publication.versions}

    def raw(self) -> pl.DataFrame:
        return content(pl.read_delta(str(self.tables / ledger.RAW_TABLE)))

    def ledger(self) -> pl.DataFrame:
        return content(ledger.read_ledger(self.paths))

    def copy(self, folder: Path) -> Lake:
        shutil.copytree(self.folder, folder)
        return Lake(folder)


def content(table: pl.DataFrame) -> pl.DataFrame:
    """What a table says, in whatever order and at whatever time it was written."""
    kept = table.drop([name for name in ("loaded_at", "loaded_on") if name in table.columns])
    return kept.sort(pl.all())


def assert_same(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> None:
    assert sorted(found) == sorted(expected)
    different = [name for name in expected if not found[name].equals(expected[name])]
    assert not different, different


def kill(process: subprocess.Popen[str], *, group: bool) -> bool:
    """kill -9 a command we started, with its JVM or alone; whether it was still running."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    except (psutil.NoSuchProcess, ProcessLookupError):
        children = []
    process.communicate()
    # A JVM without its Python ends by itself; the next command must not meet it.
    psutil.wait_procs(children, timeout=60)
    return process.returncode == -signal.SIGKILL


@pytest.fixture(scope="session")
def deliveries(tmp_path_factory) -> list[Path]:
    """The first brings 100 days of six campaigns; each other a new day and three restated ones."""
    folder = tmp_path_factory.mktemp("deliveries")
    rows = pl.read_csv(ROOT / "seeds" / "marketing_clean.csv", infer_schema=False)
    campaigns = rows["campaign_id"].unique(maintain_order=True)[:6]
    rows = rows.filter(pl.col("campaign_id").is_in(campaigns.implode()))
    days = rows["date"].unique().sort()[: 100 + DELIVERIES]
    files = []
    for number in range(DELIVERIES):
        wanted = days[:100] if number == 0 else days[96 + number : 100 + number]
        part = rows.filter(pl.col("date").is_in(wanted.implode()))
        if number:
            # Restated: the days before the new one now cost more.
            restated = (pl.col("cost").cast(pl.Float64) + number).round(2).cast(pl.String)
            part = part.with_columns(
                pl.when(pl.col("date") < wanted[-1]).then(restated).otherwise("cost").alias("cost")
            )
        files.append(folder / f"day{number:02}.csv")
        part.write_csv(files[-1])
    return files


@pytest.fixture(scope="session")
def base(tmp_path_factory, deliveries) -> Lake:
    """A lake with the first delivery, built and published."""
    lake = Lake(tmp_path_factory.mktemp("faults") / "base")
    lake.load(deliveries[0])
    lake.succeed("build")
    return lake


@pytest.fixture
def lake(base, tmp_path) -> Lake:
    """A copy of the base for one test."""
    return base.copy(tmp_path / "lake")


@pytest.fixture
def report():
    """Adds a line to the table: fault, guard, what the user saw, what mended it."""

    def add(fault: str, guard: str, saw: str, recovered: str) -> None:
        _REPORT.append((fault, guard, saw, recovered))

    return add


def first_line(output: str, *words: str) -> str:
    """The first line of what the user saw that has all words."""
    for line in output.splitlines():
        if all(word in line for word in words):
            return line.strip()
    raise AssertionError(f"{words} are not in:\n{output}")


def pytest_terminal_summary(terminalreporter):
    if not _REPORT:
        return
    table = Table("fault", "guard", "what the user saw", "recovered by", show_lines=True)
    for row in _REPORT:
        table.add_row(*row)
    Console(width=160).print(table)
