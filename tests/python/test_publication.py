"""What readers and second writers see while a build runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace

import polars as pl
import pytest

from marketing_ai.lake import NotPublishedError, current_publication
from marketing_ai.lake.lock import EXIT_BUSY, LakeBusyError, acquire_writer, release_writer
from marketing_ai.load.landing import load_file
from marketing_ai.paths import find_paths
from tests.python.test_build import campaign_days, write_csv

MARTS = ("marketing_kpi", "marketing_kpi_campaign", "marketing_kpi_channel")


def test_a_reader_sees_only_whole_publications(project, tmp_path):
    """Two rebuilds with other money each time, while a reader loops."""
    files = [
        write_csv(tmp_path / f"{factor}.csv", campaign_days(40, factor=factor))
        for factor in (1, 2, 3)
    ]
    truth = {
        factor: round(sum(r["cost"] for r in campaign_days(40, factor=factor)), 2)
        for factor in (1, 2, 3)
    }
    assert project.build_file(files[0]).success
    seen: list[tuple[int, float]] = []
    problems: list[str] = []
    stop = threading.Event()

    def read_in_a_loop() -> None:
        while not stop.is_set():
            try:
                publication = project.publication()
                costs = {name: float(publication.read(name)["cost"].sum()) for name in MARTS}
            except Exception as error:
                problems.append(repr(error))
                return
            if len({round(cost, 2) for cost in costs.values()}) != 1:
                problems.append(f"mixed versions: {costs}")
            seen.append((publication.version, round(costs["marketing_kpi"], 2)))

    reader = threading.Thread(target=read_in_a_loop)
    reader.start()
    try:
        for file in files[1:]:
            # The KPI path only: the forecast adds half a minute and no other kind of table.
            load_file(file, project.paths, None, source="input")
            result = project.dbt(
                *("run", "--exclude", "tag:ml", "--full-refresh"), data="own", publish_untested=True
            )
            assert result.success, result.failures
    finally:
        stop.set()
        reader.join()
    assert not problems
    assert {cost for _, cost in seen} <= set(truth.values())
    assert len({version for version, _ in seen}) >= 2  # the guard: it did see several of them
    assert seen == sorted(seen, key=lambda pair: pair[0])


def test_no_publication_says_what_to_run(tmp_path):
    with pytest.raises(NotPublishedError, match=r"nothing is published in .*: run `make build`"):
        current_publication(replace(find_paths(), lake=tmp_path))


def test_a_table_that_is_not_published_is_named(demo):
    with pytest.raises(NotPublishedError, match=r"table marketing_kpis is not published; .*_kpi,"):
        demo.publication().scan("marketing_kpis")


def test_reading_needs_no_jvm():
    code = (
        "import marketing_ai.lake, sys; "
        "assert not [m for m in sys.modules if m.startswith(('pyspark', 'py4j', 'dbt'))]"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path):
    lake = tmp_path / "lake"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, pathlib; from marketing_ai.lake.lock import acquire_writer; "
            "acquire_writer(pathlib.Path(sys.argv[1]), 'make build'); print('held', flush=True); "
            "sys.stdin.read()",
            str(lake),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(LakeBusyError, match=f"make build` .process {holder.pid}, since"):
            acquire_writer(lake, "test")
        second = subprocess.run(
            [sys.executable, "-m", "marketing_ai.cli", "build"],
            env=os.environ | {"MARKETING_LAKE": str(lake)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == EXIT_BUSY
        assert f"process {holder.pid}" in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        holder.kill()
        holder.wait()
    acquire_writer(lake, "test")  # the system freed it, though its holder was killed
    release_writer(lake)


def test_published_tables_read_the_same_with_polars_and_spark(demo, spark):
    for name, version in demo.publication().versions.items():
        ours = demo.publication().read(name)
        theirs = spark.sql(f"select count(*) as n from demo.{name} version as of {version}").first()
        assert ours.height == theirs["n"]
    cost = demo.publication().scan("marketing_kpi").select(pl.col("cost").sum()).collect().item()
    assert cost == spark.sql("select sum(cost) as c from demo.marketing_kpi").first()["c"]
