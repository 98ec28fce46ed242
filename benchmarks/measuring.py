"""Run a command cold and measure it: wall time, and peak memory of its whole process tree."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]


def measure(
    command: list[str], folder: Path, settings: Mapping[str, str] | None = None
) -> tuple[float, float]:
    """Run `command` with `folder` as its lake; return seconds and peak memory in GB.

    Args:
        command: what to run, from the project folder.
        folder: lake, logs and target of the run.
        settings: environment variables on top.

    Raises:
        SystemExit: the command failed; the end of its output is shown.
    """
    environment = {
        **os.environ,
        "MARKETING_HOME": str(ROOT),
        "MARKETING_LAKE": str(folder),
        "DBT_PROFILES_DIR": str(ROOT),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        **(settings or {}),
    }
    log = folder / "output.log"
    begun, peak = time.monotonic(), 0
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, _memory(tree))
            time.sleep(0.1)
    seconds = time.monotonic() - begun
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-3000:]}")
    return seconds, peak / 1e9


def _memory(tree: psutil.Process) -> int:
    total = 0
    try:
        for process in (tree, *tree.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total
