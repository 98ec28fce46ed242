"""What is broken in the folder of one Delta table, and how to get back to its last good version.

Spark and delta-rs notice a damaged log only when they open the table, and a missing data file
only when they read it: counting rows does not. Here the log's files and the data files are looked
at themselves, without a JVM. Nothing is ever deleted: what is in the way is moved aside.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

LOG = "_delta_log"


@dataclass(frozen=True)
class Damage:
    """What is wrong with a table.

    Attributes:
        text: which file, and what is the matter with it.
        in_log: the log is damaged; False: a data file.
        version: the newest version that is whole; None: not one can be read.
    """

    text: str
    in_log: bool
    version: int | None


def find_damage(table: Path, published: int | None = None) -> Damage | None:
    """Look at the current and the published version of a table; None where all is well.

    Args:
        table: folder of the table.
        published: version that readers open.
    """
    good, fault = _readable_until(table / LOG)
    if fault is None:
        fault = _unreadable(table, good)
    if fault is not None:
        # The commits may be fine and the checkpoint below them not.
        whole = good is not None and _unreadable(table, good) is None
        return Damage(fault, in_log=True, version=good if whole else None)
    for version in sorted({good, published} - {None}, reverse=True):  # type: ignore[type-var]
        if fault := _unreadable(table, version) or _incomplete(table, version):
            return Damage(fault, in_log=False, version=_last_complete(table, good or 0))
    return None


def _readable_until(log: Path) -> tuple[int | None, str | None]:
    """The newest version before the first damaged commit, and what is wrong with that commit."""
    commits = {int(file.stem): file for file in log.glob("*.json") if file.stem.isdigit()}
    checkpoints = [
        int(file.name.split(".")[0])
        for file in log.glob("*.checkpoint*.parquet")
        if file.name.split(".")[0].isdigit()
    ]
    version = max(checkpoints, default=-1)
    good = None if version < 0 else version
    newest = max(commits, default=version)
    if newest < 0:
        return None, f"{log}: there is no commit"
    for number in range(version + 1, newest + 1):
        if number not in commits:
            return good, f"{log}: commit {number} is missing, {newest} is there"
        if fault := _broken_commit(commits[number]):
            return good, f"{commits[number]}: {fault}"
        good = number
    return good, None


def _broken_commit(file: Path) -> str | None:
    lines = [line for line in file.read_bytes().splitlines() if line.strip()]
    if not lines:
        return "the commit is empty"
    try:
        whole = all(isinstance(json.loads(line), dict) for line in lines)
    except ValueError:
        whole = False
    return None if whole else "the commit is cut off or overwritten"


def _unreadable(table: Path, version: int | None) -> str | None:
    try:
        DeltaTable(str(table), version=version)
    except (DeltaError, OSError, ValueError) as error:
        return f"{table / LOG}: version {version} cannot be opened ({str(error).splitlines()[0]})"
    return None


def _incomplete(table: Path, version: int | None) -> str | None:
    """The first data file of a version that is missing or has another size than its commit says."""
    files = pa.table(DeltaTable(str(table), version=version).get_add_actions())
    for name, size in zip(files["path"].to_pylist(), files["size_bytes"].to_pylist(), strict=True):
        file = table / unquote(name)
        if not file.is_file():
            return f"{file}: the data file is missing"
        if file.stat().st_size != size:
            return f"{file}: has {file.stat().st_size:,} bytes instead of {size:,}"
    return None


def _last_complete(table: Path, newest: int) -> int | None:
    for version in range(newest, -1, -1):
        if _unreadable(table, version) is not None:
            return None
        if _incomplete(table, version) is None:
            return version
    return None


def set_aside(path: Path, lake: Path) -> Path:
    """Move a folder or file to `<lake>/.broken/<name>-<number>`; returns its new place."""
    number = 1
    while (target := lake / ".broken" / f"{path.name}-{number}").exists():
        number += 1
    target.parent.mkdir(exist_ok=True)
    shutil.move(path, target)
    return target


def go_back(table: Path, version: int, lake: Path) -> Path:
    """Make `version` the newest one: what the log says after it is set aside.

    Returns:
        The folder that has the later log files now.
    """
    log = table / LOG
    aside = set_aside(log, lake)
    log.mkdir()
    for file in aside.iterdir():
        number = file.name.lstrip(".").split(".")[0]
        if number.isdigit() and int(number) <= version:
            shutil.copy2(file, log)
    return aside


def drop_missing(table: Path, lake: Path) -> None:
    """Take data files that are missing or of a wrong size out of the table, in one commit."""
    files = pa.table(DeltaTable(str(table)).get_add_actions())
    for name, size in zip(files["path"].to_pylist(), files["size_bytes"].to_pylist(), strict=True):
        file = table / unquote(name)
        if file.is_file() and file.stat().st_size != size:
            set_aside(file, lake)
    DeltaTable(str(table)).repair()
