"""The whole demo build on a standalone Spark cluster, compared with a local build.

    python -m benchmarks.cluster

A master and two workers are started on this machine from the installed pyspark, each build writes
a lake of its own, and every published table must hold the same rows. Only processes that were
started here are stopped.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyspark
from rich.console import Console
from rich.table import Table

from marketing_ai.lake.publication import Publication, current_publication
from marketing_ai.paths import find_paths

ROOT = Path(__file__).resolve().parents[1]
SPARK_CLASS = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
WORKERS = 2


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Start a master and its workers; yields the master's address and stops them at the end."""
    port = free_port()
    address = f"spark://127.0.0.1:{port}"
    environment = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"}
    with contextlib.ExitStack() as running:

        def start(name: str, *arguments: str) -> None:
            output = running.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [SPARK_CLASS, *arguments], env=environment, stdout=output, stderr=output
            )
            running.callback(process.wait)
            running.callback(process.terminate)

        deploy = "org.apache.spark.deploy"
        listening = ("--host", "127.0.0.1", "--webui-port", "0")
        start("master", f"{deploy}.master.Master", *listening, "--port", str(port))
        for number in range(WORKERS):
            room = ("--cores", "1", "--memory", "2g", "--work-dir", str(folder / f"work{number}"))
            start(f"worker{number}", f"{deploy}.worker.Worker", *listening, *room, address)
        wait_for(folder / "master.log", "Registering worker", WORKERS)
        yield address


def wait_for(log: Path, text: str, times: int) -> None:
    """Wait until a log says `text` that often.

    Raises:
        SystemExit: it did not within a minute; the log's end is shown.
    """
    for _ in range(120):
        if log.read_text().count(text) >= times:
            return
        time.sleep(0.5)
    raise SystemExit(f"{log.name} did not say '{text}' {times} times:\n{log.read_text()[-2000:]}")


def build(folder: Path, **environment: str) -> tuple[Publication, float]:
    """Run `marketing build` on an empty lake; return what it published, and the seconds.

    Raises:
        SystemExit: the build failed; its output is shown.
    """
    folder.mkdir()
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "marketing_ai.cli", "build"],
        cwd=ROOT,
        env=os.environ
        | {
            "MARKETING_HOME": str(ROOT),
            "DBT_PROFILES_DIR": str(ROOT),
            "MARKETING_LAKE": str(folder),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
        }
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the build in {folder} failed:\n{done.stdout[-3000:]}{done.stderr}")
    schema = environment.get("MARKETING_SCHEMA", "marketing")
    published = current_publication(replace(find_paths(ROOT), lake=folder, schema=schema))
    return published, time.monotonic() - begun


def main() -> None:
    """Build on both, print a line a table, and fail unless all are equal."""
    console = Console(width=100, highlight=False)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        local, local_seconds = build(folder / "local")
        with cluster(folder) as address:
            remote, remote_seconds = build(
                folder / "cluster",
                DBT_TARGET="spark",
                MARKETING_SCHEMA="cluster",
                MARKETING_SPARK_MASTER=address,
                MARKETING_SPARK_EXECUTOR_MEMORY="1g",
            )
            # The proof that the work was done there: each worker ran an executor with tasks.
            tasks = [
                sum(log.read_text().count("Running task") for log in work.glob("app-*/*/stderr"))
                for work in sorted(folder.glob("work*"))
                if work.is_dir()
            ]
        console.print(f"local {local_seconds:.0f} s, cluster at {address} {remote_seconds:.0f} s")
        console.print(f"tasks run by each worker: {tasks}")
        table = Table("table", "rows", "same", title="Published tables", title_justify="left")
        same = {}
        for name in sorted(local.versions | remote.versions):
            ours, theirs = local.read(name).sort(pl.all()), remote.read(name).sort(pl.all())
            same[name] = ours.equals(theirs)
            table.add_row(name, f"{ours.height:,}", "yes" if same[name] else "NO")
        console.print(table)
    if not all(same.values()) or len(tasks) != WORKERS or not all(tasks):
        raise SystemExit("the cluster's build is not the local one")


if __name__ == "__main__":
    main()
