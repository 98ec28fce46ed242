"""A full disk: load and build say so, what is published stays, and space is all that is needed."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.conftest import Lake, assert_same, first_line

SPARE = 60_000  # bytes left free: less than a load or a build writes


@pytest.fixture
def small_disk(tmp_path, base):
    """The base lake on a tmpfs with little room; skips where mounting is not permitted."""
    size = sum(file.stat().st_size for file in base.folder.rglob("*") if file.is_file())
    place = tmp_path / "disk"
    place.mkdir()
    options = f"size={2 * size + 30_000_000}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"NOT RUN on a full disk, mounting is not permitted: {mounted.stderr.strip()}")
    try:
        yield base.copy(place / "lake")
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(lake: Lake, spare: int = SPARE) -> Path:
    """Leave only `spare` bytes free."""
    filler = lake.folder.parent / "filler"
    filler.write_bytes(b"\0" * (shutil.disk_usage(lake.folder).free - spare))
    assert shutil.disk_usage(lake.folder).free <= spare + 4096
    return filler


def test_a_full_disk_stops_a_load_and_a_build_and_harms_nothing(
    small_disk, base, tmp_path, deliveries, report
):
    lake = small_disk
    # dbt's own files go elsewhere, as they do with a lake on a disk of its own.
    elsewhere = {
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
    }
    published = lake.published()
    before = lake.raw().height, lake.ledger().height
    file = deliveries[0].with_name("large.csv")
    file.write_text(deliveries[0].read_text().replace("C0", "D0"))
    filler = fill(lake, 0)
    code, output = lake.run("load", str(file), "--source", "own")
    assert code == 1, output
    said_load = first_line(output, "No space left on device")
    assert (lake.raw().height, lake.ledger().height) == before
    assert_same(lake.published(), published)
    code, output = lake.run("doctor")
    said_doctor = first_line(output, "disk" if code == 0 else "cannot be written")
    filler.unlink()
    lake.load(file)

    filler = fill(lake)
    code, output = lake.run("build", **elsewhere)
    assert code == 1, output
    said_build = first_line(output, "No space left on device")
    assert_same(lake.published(), published)
    filler.unlink()
    lake.succeed("build", **elsewhere)
    reference = base.copy(tmp_path / "reference")
    reference.load(file)
    reference.succeed("build")
    assert_same(lake.published(), reference.published())
    report(
        "disk full (tmpfs)",
        "no byte free at the load, 60 kB at the build",
        f"load: {said_load}\nbuild: {said_build}\ndoctor: {said_doctor}",
        "room, then the same command; tables as in a run without the fault",
    )


def test_a_file_that_may_not_grow_stops_a_load(lake, deliveries, report):
    """The same without a mount: the system refuses to write more than so many bytes a file."""
    limit = 3_000
    published, before = lake.published(), lake.raw().height
    file = deliveries[0].with_name("limited.csv")
    file.write_text(deliveries[0].read_text().replace("C0", "E0"))
    done = subprocess.run(
        [sys.executable, "-m", "marketing_ai.cli", "load", str(file), "--source", "own"],
        env=lake.environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    said = first_line(done.stdout + done.stderr, "File too large")
    assert os.path.getsize(file) > limit
    assert lake.raw().height == before
    assert_same(lake.published(), published)
    assert "rows delivered" in lake.load(file)
    report("file size limit", f"RLIMIT_FSIZE of {limit} bytes", said, "the same command again")
