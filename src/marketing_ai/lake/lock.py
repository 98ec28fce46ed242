"""One writer per lake.

Delta's mutual exclusion on a local disk holds within one JVM only, so a second build would
race the first. The operating system frees the lock when its holder dies, however it dies.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from filelock import FileLock, Timeout

EXIT_BUSY = 75  # EX_TEMPFAIL of sysexits.h: try again later

_held: dict[Path, FileLock] = {}


class LakeBusyError(RuntimeError):
    """Another process is writing to the lake."""


def acquire_writer(lake: Path, what: str) -> None:
    """Take the lake's writer lock for the life of this process; asking again is free.

    Args:
        lake: folder of the lake; made when absent.
        what: what this process does, shown to whoever is refused.

    Raises:
        LakeBusyError: at once, naming the holder's command, process and start.
    """
    lake = lake.resolve()
    if lake in _held:
        return
    lake.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lake / ".writer.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LakeBusyError(_refusal(lake)) from None
    (lake / ".writer.json").write_text(
        json.dumps({"what": what, "pid": os.getpid(), "since": time.strftime("%H:%M:%S")})
    )
    _held[lake] = lock


def release_writer(lake: Path) -> None:
    """Give the lock back; without it this is a no-op."""
    lock = _held.pop(lake.resolve(), None)
    if lock is not None:
        (lake / ".writer.json").unlink(missing_ok=True)
        lock.release()


def current_holder(lake: Path) -> str | None:
    """Who is writing to the lake now, in words; None where nobody is."""
    if not (lake / ".writer.lock").is_file():
        return None
    probe = FileLock(lake / ".writer.lock", thread_local=False)
    try:
        probe.acquire(timeout=0)
    except Timeout:
        return last_holder(lake) or "another process"
    probe.release()
    return None


def last_holder(lake: Path) -> str | None:
    """Who took the lock last, in words, whether or not that process still runs."""
    try:
        holder = json.loads((lake / ".writer.json").read_text())
        return f"`{holder['what']}` (process {holder['pid']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _refusal(lake: Path) -> str:
    who = last_holder(lake) or "another process"
    return (
        f"the lake {lake} is being written by {who}. "
        "Wait until it has ended and run the command again; "
        "the published tables stay readable meanwhile."
    )
