"""The main job: run dbt on the demo or on what was loaded, show progress, report the outcome.

dbt runs in this process with its console output off; its events become one line a table, and
everything it says is in logs/dbt.log. A failed test or model ends the build before the
publication, so that readers stay on the last good state.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.status import Status

from marketing_ai.lake.lock import acquire_writer
from marketing_ai.lake.session import is_large
from marketing_ai.load.account import print_load
from marketing_ai.load.changes import unpublished_changes
from marketing_ai.load.landing import LoadResult, forget_build, load_file
from marketing_ai.load.ledger import read_ledger, remove
from marketing_ai.paths import Paths

INPUT = "input"  # source of `make build INPUT=file`
_MARKER = ".data_source"


@dataclass
class BuildResult:
    """What dbt did.

    Attributes:
        success: every model was built and every test passed.
        own_data: built from what was loaded, not from the demo.
        seconds: wall time of dbt.
        model_seconds: wall time by table.
        tests: number of tests by status.
        failures: node name and message of whatever failed.
    """

    success: bool = False
    own_data: bool = False
    seconds: float = 0.0
    model_seconds: dict[str, float] = field(default_factory=dict)
    tests: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)


def build(
    paths: Paths,
    console: Console,
    *,
    input_file: Path | None = None,
    demo: bool = False,
    full_refresh: bool = False,
    select: str | None = None,
) -> BuildResult:
    """Run the main job.

    Args:
        paths: folders of the project.
        console: where progress goes.
        input_file: a canonical CSV, which replaces what was given here before.
        demo: build the demo although something has been loaded.
        full_refresh: rebuild incremental tables from scratch.
        select: dbt selection; None: everything.

    Raises:
        marketing_ai.lake.lock.LakeBusyError: another process is writing.
        marketing_ai.load.reading.FileRefusedError: the file has a fault.
    """
    acquire_writer(paths.lake, "make build")
    arguments = ["build", "--project-dir", str(paths.root), "--profiles-dir", str(paths.root)]
    if input_file:
        print_load(console, _replace_input(paths, input_file))
    own = not demo and not read_ledger(paths).is_empty()
    seed = paths.root / "seeds" / "marketing_clean.csv"
    source = "own" if own else f"demo:{hashlib.sha256(seed.read_bytes()).hexdigest()}"
    if own:
        arguments += ["--vars", json.dumps({"marketing_data": "own"})]
    # Rows of two sources must not be merged into one incremental table.
    marker = paths.lake / f"{paths.schema}.db" / _MARKER
    known = marker.read_text() if marker.is_file() else None
    full_refresh = full_refresh or known != source
    if full_refresh:
        arguments.append("--full-refresh")
    if select:
        arguments += ["--select", select]
    settings = {} if full_refresh or not own else unpublished_changes(paths)
    if full_refresh:
        settings["MARKETING_SPARK_SIZE"] = "large" if is_large(paths, everything=True) else "small"
    with _environment(settings):
        result = run_dbt(arguments, console)
    result.own_data = own
    if result.success and not select:
        # Only now: a run that broke off may have left rows of the other source.
        marker.write_text(source)
    return result


def _replace_input(paths: Paths, file: Path) -> LoadResult:
    """Load a file that stands for all of the source `input`, instead of what it was before."""
    result = load_file(file, paths, None, source=INPUT)
    former = read_ledger(paths).filter(
        (pl.col("source") == INPUT) & (pl.col("load_no") != result.load_no)
    )
    if not former.is_empty():
        remove(paths, former["load_no"].to_list())
        forget_build(paths)
    return result


@contextlib.contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def run_dbt(arguments: list[str], console: Console) -> BuildResult:
    """Run one dbt command in this process and turn its events into progress lines."""
    # dbt takes a second to import: not at the start of every `marketing` command.
    from dbt.cli.main import dbtRunner

    result = BuildResult()
    begun = time.monotonic()
    with console.status("reading the project …", spinner="dots") as status:
        listener = _Listener(console, status)
        outcome = dbtRunner(callbacks=[listener]).invoke(
            ["--log-level", "none", "--log-level-file", "debug", *arguments]
        )
    result.seconds = time.monotonic() - begun
    if outcome.exception is not None:
        result.failures.append(("dbt", str(outcome.exception)))
    for node in getattr(outcome.result, "results", None) or []:
        unique_id = node.node.unique_id
        name = getattr(node.node, "alias", node.node.name)
        if unique_id.startswith(("test.", "unit_test.")):
            result.tests[str(node.status)] += 1
        elif str(node.status) == "success":
            result.model_seconds[name] = node.execution_time
        if str(node.status) in {"error", "fail"}:
            where = node.node.original_file_path
            result.failures.append((f"{node.node.name} ({where})", node.message or ""))
    result.success = bool(outcome.success) and not result.failures
    return result


class _Listener:
    """Turns dbt's events into one printed line a table and a live line of what runs."""

    def __init__(self, console: Console, status: Status) -> None:
        self.console = console
        self.status = status
        self.running: dict[str, str] = {}
        self.passed = 0

    def __call__(self, event: Any) -> None:
        name = event.info.name
        if name == "LogStartLine":
            node = event.data.node_info
            self.running[node.unique_id] = node.node_name
            self._show()
        elif name in {"NodeFinished"}:
            node = event.data.node_info
            self.running.pop(node.unique_id, None)
            if node.materialized == "ephemeral":
                return
            if node.resource_type in {"model", "seed"} and node.node_status == "success":
                seconds = event.data.run_result.execution_time
                relation = node.node_relation.alias or node.node_name
                self.console.print(f"[green]✓[/] {relation}  [dim]{seconds:.1f} s[/]")
            elif node.node_status == "pass":
                self.passed += 1
            elif node.node_status in {"error", "fail"}:
                self.console.print(f"[red]✗[/] {node.node_name}")

    def _show(self) -> None:
        now = ", ".join(sorted(self.running.values())[:2])
        more = f" and {len(self.running) - 2} more" if len(self.running) > 2 else ""
        self.status.update(f"{now}{more}  [dim]{self.passed} tests passed[/]")
