"""`marketing doctor`: what is broken here, what it means, and the one command that mends it.

It looks at the machine, the environment, the jars, the writer lock and every table of the lake,
and starts no JVM, so that it works where Spark does not. With repair, damaged tables are set
aside or taken back to their last good version; what can be computed is left to the next build.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import polars as pl
import yaml
from deltalake.exceptions import DeltaError
from packaging.requirements import Requirement
from rich.console import Console
from rich.markup import escape

from marketing_ai.lake import damage, jars
from marketing_ai.lake.lock import acquire_writer, current_holder, last_holder
from marketing_ai.lake.publication import NotPublishedError, current_publication
from marketing_ai.load.ledger import LEDGER_TABLE, RAW_TABLE, read_ledger
from marketing_ai.paths import Paths
from marketing_ai.setup import MINIMUM_JAVA

PUBLICATION = "publication"
# These hold what no build can compute again.
KEPT = frozenset({RAW_TABLE, LEDGER_TABLE, PUBLICATION})
LITTLE_SPACE = 1_000_000_000  # bytes

REPAIR = "make doctor ARGS=--repair && make build"
REINSTALL = "rm -f .venv/*.stamp && make setup"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: ok, warn (works, but read it) or broken.
        what: the thing.
        text: what was found, and what it means.
        mend: the command that mends it, empty where nothing has to be done.
    """

    state: Literal["ok", "warn", "broken"]
    what: str
    text: str
    mend: str = ""


def examine(paths: Paths) -> Iterator[Finding]:
    """Look at everything, one finding after the other; nothing is changed."""
    yield _java()
    yield _environment(paths)
    yield _profile(paths)
    yield from _jars(paths)
    yield _lock(paths)
    yield from _disk(paths)
    yield from _tables(paths)
    yield Finding("ok", "metastore", "there is none to lose: the lake's folders are the catalogue")


def _java() -> Finding:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    mend = f"install Java {MINIMUM_JAVA} (Debian: apt install openjdk-17-jre-headless)"
    if not java or not os.access(java, os.X_OK):
        return Finding("broken", "Java", f"not found{f' at {java}' if java else ''}", mend)
    # Beside the program, so that no JVM has to start to tell its version.
    release = Path(os.path.realpath(java)).parent.parent / "release"
    found = re.search(r'JAVA_VERSION="(\d+)', release.read_text() if release.is_file() else "")
    if not found:
        return Finding("warn", "Java", f"{java} doesn't tell its version", "java -version")
    if int(found[1]) < MINIMUM_JAVA:
        return Finding("broken", "Java", f"{java} is Java {found[1]}", mend)
    return Finding("ok", "Java", f"version {found[1]}")


def _environment(paths: Paths) -> Finding:
    lock = paths.root / "requirements" / "build.txt"
    if not lock.is_file():
        return Finding(
            "broken", "environment", f"{lock} is missing", "git checkout requirements/build.txt"
        )
    differing, number = [], 0
    for line in lock.read_text().splitlines():
        if not re.match(r"[A-Za-z0-9]", line):
            continue
        wanted = Requirement(line.rstrip(" \\"))
        if wanted.marker and not wanted.marker.evaluate():
            continue
        number += 1
        try:
            installed = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            installed = "missing"
        if not wanted.specifier.contains(installed if installed != "missing" else "0"):
            differing.append(f"{wanted.name} is {installed}, locked {wanted.specifier}")
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        return Finding("broken", "environment", f"{'; '.join(differing[:3])}{more}", REINSTALL)
    stamp = Path(sys.prefix) / "build.stamp"
    if stamp.is_file() and stamp.stat().st_mtime < lock.stat().st_mtime:
        return Finding("warn", "environment", "older than requirements/build.txt", "make setup")
    return Finding("ok", "environment", f"{number} packages as locked")


def _profile(paths: Paths) -> Finding:
    profile = paths.root / "profiles.yml"
    if not profile.is_file():
        return Finding("broken", "profiles.yml", "missing: dbt finds no target", "make setup")
    anew = "mv profiles.yml profiles.yml.old && make setup"
    try:
        outputs = yaml.safe_load(profile.read_text(encoding="utf-8"))["marketing_ai"]["outputs"]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        said = str(error).splitlines()[0]
        return Finding("broken", "profiles.yml", f"has no outputs of marketing_ai ({said})", anew)
    target = os.environ.get("DBT_TARGET", "local")
    if target not in outputs:
        return Finding("broken", "profiles.yml", f"has no target '{target}' (DBT_TARGET)", anew)
    return Finding("ok", "profiles.yml", f"target {target}")


def _jars(paths: Paths) -> Iterator[Finding]:
    try:
        files = jars.verified(paths.cache, paths.root)
    except jars.JarError as error:
        mend = f"rm -rf {jars.folder(paths.cache)} && make setup"
        if str(paths.root / jars.MANIFEST) in str(error):
            mend = f"git checkout {jars.MANIFEST}"
        yield Finding("broken", "Delta jars", str(error), mend)
        return
    yield Finding("ok", "Delta jars", f"{len(files)} files match {jars.MANIFEST}")
    archive = jars.class_archive(paths.cache)
    if not archive.is_file():
        yield Finding(
            "warn", "class archive", "absent: every start of Spark is slower", "make setup"
        )
    elif archive.stat().st_mtime < max(file.stat().st_mtime for file in files):
        yield Finding("warn", "class archive", "older than the jars: it is ignored", "make setup")
    else:
        yield Finding("ok", "class archive", "in place")


def _lock(paths: Paths) -> Finding:
    if holder := current_holder(paths.lake):
        return Finding("warn", "writer lock", f"held by {holder}: wait until it has ended")
    last = last_holder(paths.lake)
    return Finding("ok", "writer lock", f"free{f', last held by {last}' if last else ''}")


def _disk(paths: Paths) -> Iterator[Finding]:
    if not paths.lake.is_dir():
        return
    try:
        with tempfile.TemporaryFile(dir=paths.lake) as probe:
            probe.write(b"x" * 4096)
            probe.flush()
        yield Finding("ok", "lake", f"{paths.lake} can be written")
    except OSError as error:
        text = f"{paths.lake} cannot be written: {error.strerror}"
        mend = f"df -h {paths.lake}" if error.errno == 28 else f"chmod -R u+rwX {paths.lake}"
        yield Finding("broken", "lake", text, mend)
    free = shutil.disk_usage(paths.lake).free
    used = sum(file.stat().st_size for file in paths.lake.rglob("*") if file.is_file())
    text = f"{free / 1e9:.1f} GB free, the lake has {used / 1e9:.2f} GB"
    if free < max(LITTLE_SPACE, 2 * used):
        mend = f"df -h {paths.lake}"
        yield Finding("warn", "disk", f"{text}: a build may run out of it; make room", mend)
    else:
        yield Finding("ok", "disk", text)


def _folders(paths: Paths) -> list[Path]:
    folder = paths.lake / f"{paths.schema}.db"
    return sorted(path for path in folder.glob("*") if path.is_dir())


def _is_leftover(table: Path) -> bool:
    return table.name.endswith("__dbt_tmp") or not (table / damage.LOG).is_dir()


def _published_versions(paths: Paths) -> dict[str, int]:
    try:
        return {**current_publication(paths).versions}
    except (NotPublishedError, DeltaError, OSError):
        return {}


def _tables(paths: Paths) -> Iterator[Finding]:
    published = _published_versions(paths)
    broken = set()
    whole = 0
    for table in _folders(paths):
        if _is_leftover(table):
            if not current_holder(paths.lake):
                text = f"{table}: what a write left that broke off; no table, in nobody's way"
                yield Finding("warn", table.name, text, "make doctor ARGS=--repair")
            continue
        found = damage.find_damage(table, published.get(table.name))
        if found is None:
            whole += 1
            continue
        broken.add(table.name)
        yield Finding("broken", table.name, _consequence(table.name, found), _mend(table, found))
    yield Finding("ok", "tables", f"{whole} have a whole log and all data files")
    yield _publication(paths, published, broken)
    if not broken & {RAW_TABLE, LEDGER_TABLE}:
        yield from _loads(paths)


def _consequence(name: str, found: damage.Damage) -> str:
    if name not in KEPT:
        return f"{found.text}. A build makes this table anew"
    if name == PUBLICATION:
        return f"{found.text}. Readers find nothing published"
    return f"{found.text}. This table holds what was loaded; the repair says what to load again"


def _mend(table: Path, found: damage.Damage) -> str:
    return REPAIR if found.in_log or table.name in KEPT else "make build ARGS=--full-refresh"


def _publication(paths: Paths, published: dict[str, int], broken: set[str]) -> Finding:
    folder = paths.lake / f"{paths.schema}.db"
    absent = [name for name in published if not (folder / name).is_dir()]
    if absent:
        text = f"names {', '.join(absent)}, which is not in the lake"
        return Finding("broken", PUBLICATION, text, "make build ARGS=--full-refresh")
    if published:
        unreadable = sorted(broken & set(published))
        text = f"{len(published)} tables"
        if unreadable:
            text += f"; not to be read whole: {', '.join(unreadable)}"
        return Finding("ok" if not unreadable else "warn", PUBLICATION, text)
    return Finding("warn", PUBLICATION, "nothing is published yet", "make build")


def _rows_by_load(paths: Paths) -> dict[int, int]:
    table = paths.lake / f"{paths.schema}.db" / RAW_TABLE
    if not (table / damage.LOG).is_dir():
        return {}
    rows = pl.scan_delta(str(table))
    if "load_no" not in rows.collect_schema():
        return {}
    counted = rows.group_by("load_no").len().collect()
    return dict(counted.iter_rows())


def _short_loads(paths: Paths) -> pl.DataFrame:
    """Ledger rows whose raw rows are not all there, with column `found`."""
    found = _rows_by_load(paths)
    ledger = read_ledger(paths)
    counts = pl.Series("found", [found.get(n, 0) for n in ledger["load_no"]], dtype=pl.Int64)
    return ledger.with_columns(counts).filter(pl.col("found") != pl.col("delivered"))


def _lost_loads(paths: Paths) -> list[dict[str, Any]]:
    """Loads with missing rows, and later ones that have to come after them again."""
    short = set(_short_loads(paths)["load_no"])
    lost: list[dict[str, Any]] = []
    for row in read_ledger(paths).iter_rows(named=True):
        if row["load_no"] in short or any(_comes_after(row, earlier) for earlier in lost):
            lost.append(row)
    return lost


def _comes_after(row: dict[str, Any], lost: dict[str, Any]) -> bool:
    """Whether a load may restate rows of a lost one, or has moved a cursor beyond them."""
    if row["source"] != lost["source"]:
        return False
    days = (row["first_date"], row["last_date"], lost["first_date"], lost["last_date"])
    overlap = None in days or (days[0] <= days[3] and days[2] <= days[1])
    read_on = lost["cursor_value"] and row["source_file"] == lost["source_file"]
    return bool(overlap or read_on)


def _loads(paths: Paths) -> Iterator[Finding]:
    ledger = read_ledger(paths)
    short = _short_loads(paths)
    for row in short.iter_rows(named=True):
        yield Finding(
            "broken",
            f"load {row['load_no']}",
            f"{row['source_file']} of {row['source']} brought {row['delivered']:,} rows, "
            f"{row['found']:,} are there; the repair takes it back and says what to load again",
            REPAIR,
        )
    known = set(ledger["load_no"])
    beyond = sum(rows for number, rows in _rows_by_load(paths).items() if number not in known)
    if beyond:
        text = f"{beyond:,} rows are of loads that broke off, and count nowhere"
        yield Finding("warn", "loads", text, "marketing load FILE --source NAME, once more")
    elif short.is_empty() and not ledger.is_empty():
        yield Finding("ok", "loads", f"all rows of {ledger.height} loads are there")


def repair(paths: Paths) -> list[str]:
    """Mend the tables; nothing is deleted, what is in the way goes to `<lake>/.broken`.

    Returns:
        What was done, a line each, and what to load again.

    Raises:
        marketing_ai.lake.lock.LakeBusyError: another process is writing.
    """
    from marketing_ai.load.landing import forget_build
    from marketing_ai.load.ledger import remove

    acquire_writer(paths.lake, "marketing doctor --repair")
    published = _published_versions(paths)
    done = []
    for table in _folders(paths):
        if _is_leftover(table):
            done.append(f"{table.name}: set aside in {damage.set_aside(table, paths.lake)}")
        elif found := damage.find_damage(table, published.get(table.name)):
            done.append(f"{table.name}: {_mend_table(table, found, paths)}")
    if lost := _lost_loads(paths):
        remove(paths, [row["load_no"] for row in lost])
        done += [
            f"load {row['load_no']} is taken back: load {row['source_file']} again, in this order "
            f"(marketing load FILE --source {row['source']})"
            for row in lost
        ]
    if done:
        forget_build(paths)
    return done


def _mend_table(table: Path, found: damage.Damage, paths: Paths) -> str:
    if table.name not in KEPT and not found.in_log:
        return "the next build makes it anew"
    if table.name != PUBLICATION and not found.in_log:
        damage.drop_missing(table, paths.lake)
        return "the data files that are gone were taken out"
    if table.name not in KEPT or found.version is None:
        return f"set aside in {damage.set_aside(table, paths.lake)}"
    aside = damage.go_back(table, found.version, paths.lake)
    if table.name != PUBLICATION and damage.find_damage(table):
        damage.drop_missing(table, paths.lake)
    said = f"back at version {found.version}; the log as it was is {aside}"
    if table.name == LEDGER_TABLE:
        last = read_ledger(paths)["loaded_at"].max()
        said += f"; load again what came after {str(last)[:16]} UTC"
    return said


def print_examination(console: Console, paths: Paths) -> bool:
    """Print every finding with what mends it; returns whether nothing is broken."""
    signs = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "broken": "[red]✗[/]"}
    broken = []
    for finding in examine(paths):
        line = f"{signs[finding.state]} {finding.what}: {escape(finding.text)}"
        console.print(line, soft_wrap=True)
        if finding.mend:
            console.print(f"    {escape(finding.mend)}", style="bold", soft_wrap=True)
        if finding.state == "broken":
            broken.append(finding.what)
    if broken:
        console.print(f"\n{len(broken)} broken: {', '.join(broken)}.", style="red", soft_wrap=True)
    return not broken
