"""kill -9 at 30 points of load and build: nothing published changes, nothing is lost or doubled."""

from __future__ import annotations

import random
import sys
import time

from tests.faults.conftest import assert_same, content, kill

SEED = 20261123
# Where a load is killed: before or after a step, in the attempts one after the other.
STEPS = [
    ["landing.write_deltalake before"],
    ["landing.write_deltalake after"],
    ["ledger.enter before"],
    ["ledger.write_deltalake before"],
    ["ledger.write_deltalake after"],
    ["landing._judge after"],
    ["landing.write_deltalake after", "ledger.drop_unfinished before"],
    ["landing.write_deltalake after", "ledger.drop_unfinished after"],
]
RANDOM_LOADS = 8
RANDOM_BUILDS = 12
KPI = "+marketing_kpi_campaign +marketing_kpi_channel +marketing_kpi_channel_daily"

KILLED_LOAD = """
import os, signal, sys
from marketing_ai.load import landing, ledger
step, when = sys.argv[1].split()
module, name = step.split(".")
module = {"landing": landing, "ledger": ledger}[module]
original = getattr(module, name)
def killed(*arguments, **options):
    if when == "after":
        original(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(module, name, killed)
from marketing_ai.cli import app
app(["load", sys.argv[2], "--source", "own"])
"""


def test_a_killed_load_has_happened_once_or_not_at_all(base, lake, tmp_path, deliveries, report):
    reference = base.copy(tmp_path / "reference")
    published = lake.published()
    waiting = iter(deliveries[1:])
    loaded, kills = [], 0

    def recover(file):
        assert_same(lake.published(), published)
        lake.load(file)
        assert lake.raw().height == sum(lake.ledger()["delivered"])
        loaded.append(file)

    for steps in STEPS:
        file = next(waiting)
        for step in steps:
            process = lake.start(sys.executable, "-c", KILLED_LOAD, step, str(file))
            output, _ = process.communicate()
            assert process.returncode == -9, output
            kills += 1
        recover(file)
    # How long a load works with the lock in its hands.
    file = next(waiting)
    process = lake.start("load", str(file), "--source", "own")
    lake.wait_for_lock(process)
    begun = time.monotonic()
    process.communicate()
    longest = time.monotonic() - begun
    loaded.append(file)
    draw = random.Random(SEED)
    while kills < RANDOM_LOADS + 10:
        file = next(waiting)
        process = lake.start("load", str(file), "--source", "own")
        lake.wait_for_lock(process)
        time.sleep(draw.uniform(0, longest))
        kills += kill(process, group=False)
        recover(file)
    for file in loaded:
        reference.load(file)
    assert lake.raw().equals(reference.raw())
    assert lake.ledger().equals(reference.ledger())
    report(
        f"kill -9 of a load, {kills} times",
        "the process ended by signal 9 each time",
        "nothing; readers stay on the publication, which was read whole after each kill",
        f"the same command again; {lake.raw().height:,} rows as in a run without kills",
    )


def test_a_killed_build_publishes_nothing_and_the_next_one_finishes(
    base, lake, tmp_path, deliveries, report
):
    draw = random.Random(SEED)
    published = lake.published()
    waiting = iter(deliveries[1:])
    lake.load(next(waiting))
    begun = time.monotonic()
    lake.succeed("build", "--select", KPI)
    longest = time.monotonic() - begun
    kills, loaded, points = 0, 1, []
    while kills < RANDOM_BUILDS:
        lake.load(next(waiting))
        loaded += 1
        process = lake.start("build", "--select", KPI)
        lake.wait_for_lock(process)
        began = time.monotonic()
        # From the start of the JVM to the end of the last table.
        time.sleep(draw.uniform(0.2, 0.9) * longest)
        if kill(process, group=kills % 2 == 0):
            kills += 1
            points.append(time.monotonic() - began)
        assert_same(lake.published(), published)
        # Half of the kills meet what the kill before has left.
        if kills % 2 == 0:
            lake.succeed("build", "--select", KPI)
    lake.succeed("build")
    reference = base.copy(tmp_path / "reference")
    for file in deliveries[1 : loaded + 1]:
        reference.load(file)
    reference.succeed("build")
    assert lake.raw().equals(reference.raw())
    assert_same(lake.published(), reference.published())
    clean = content(lake.published()["marketing_clean"])
    report(
        f"kill -9 of a build, {kills} times, {min(points):.0f} to {max(points):.0f} s after its "
        f"start (it takes {longest:.0f} s)",
        "the process ended by signal 9 each time, every second time with its JVM",
        "nothing; readers stay on the publication, which was read whole after each kill",
        f"the same command again; all published tables, {clean.height:,} rows of marketing_clean "
        "among them, as in a run without kills",
    )
