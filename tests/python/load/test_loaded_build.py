"""From delivered files to the tables: nothing lost, nothing doubled, in whatever order it came."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal
from rich.console import Console

from marketing_ai.build import build
from marketing_ai.load.changes import unpublished_changes
from marketing_ai.load.landing import load_file, unload
from marketing_ai.load.mapping import Mapping
from tests.python.conftest import Project

KPI_LAYER = (
    "+marketing_kpi_campaign +marketing_kpi_channel +marketing_kpi_channel_daily +marketing_loads"
)
TABLES = (
    "marketing_clean",
    "marketing_kpi",
    "marketing_kpi_campaign",
    "marketing_kpi_channel",
    "marketing_kpi_channel_daily",
    "marketing_kpi_monthly",
)
# They tell which load brought a row, so they follow the order of the loads.
OF_THE_ORDER = ["load_no", "delivered_version"]

COLUMNS = (
    "campaign_id", "channel", "segment", "date", "impressions", "clicks", "leads", "conversions",
    "cost", "revenue",
)  # fmt: skip
DAILY = Mapping.model_validate(
    {
        "source": "shop",
        "columns": {name: {"from": name} for name in COLUMNS},
        "version": {"from": "updated_at"},
        "max_refused_share": 0.2,
    }
)
UNDATED = Mapping.model_validate(
    {
        "source": "partners",
        "columns": {
            "campaign_id": {"from": "partner"},
            "channel": {"constant": "affiliate"},
            "cost": {"from": "paid"},
        },
    }
)
BEGIN = date(2024, 12, 25)  # so that later deliveries leave December alone


def daily_file(folder, end: int, *, revenue: int):
    """A delivery of the 14 days before day `end`, restated, with two rows that are refused."""
    lines = [",".join([*COLUMNS, "updated_at"])]
    stamp = f"{BEGIN + timedelta(days=end)} 06:00:00"
    for day in range(max(0, end - 14), end):
        for campaign in ("a", "b"):
            when = BEGIN + timedelta(days=day)
            lines.append(f"{campaign},search,new,{when},100,10,3,2,5.25,{revenue + day},{stamp}")
    lines.append(f"late,search,new,{BEGIN + timedelta(days=end)},100,500,3,2,5.25,9,{stamp}")
    lines.append(f"odd,search,new,{BEGIN},100,many,3,2,5.25,9,{stamp}")
    path = folder / f"days_until_{end}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def make(project: Project, **options):
    """What `make build` runs, in this test's schema."""
    project._enter()
    return build(project.paths, Console(quiet=True), **options)


def run(project: Project) -> None:
    """The same tables without their tests."""
    no_tests = ("--exclude", "resource_type:test", "resource_type:unit_test")
    result = project.dbt("build", "--select", *KPI_LAYER.split(), *no_tests, data="own")
    assert result.success, result.failures


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deliveries")
    return [daily_file(folder, end, revenue=10 * end) for end in (14, 24, 34, 44)]


@pytest.fixture(scope="module")
def own(spark, lake, files, tmp_path_factory) -> Project:
    """Two deliveries and a source without days, built and published; nothing else was asked for."""
    project = Project(lake, "own")
    for file in files[:2]:
        load_file(file, project.paths, DAILY)
    partners = tmp_path_factory.mktemp("partners") / "partners.csv"
    partners.write_text("partner,paid\nx,100\ny,50.5\n")
    load_file(partners, project.paths, UNDATED)
    result = make(project)
    assert result.success, result.failures
    assert result.own_data
    return project


def test_every_delivered_row_is_in_clean_or_in_rejects(own, files):
    delivered = sum(len(file.read_text().splitlines()) - 1 for file in files[:2]) + 2
    publication = own.publication()
    loads, rejects = publication.read("marketing_loads"), publication.read("marketing_rejects")
    clean = publication.read("marketing_clean")
    assert loads["delivered"].sum() == delivered
    assert loads["refused"].sum() == rejects.height == 4
    # the second delivery restates four days of both campaigns
    assert clean["delivered_rows"].sum() == delivered - rejects.height - 8
    row = rejects.filter(pl.col("rule") == "clicks_above_impressions").sort("load_no")
    assert row.select("source", "source_file", "source_line", "column_name", "value").row(0) == (
        "shop", "days_until_14.csv", 30, "clicks", "500",
    )  # fmt: skip
    assert '"campaign_id":"late"' in row["raw_text"][0]
    assert rejects.filter(pl.col("rule") == "not_a_count")["value"].to_list() == ["many", "many"]


def test_only_merges_spare_tests(own, tmp_path):
    assert unpublished_changes(own.paths)["MARKETING_CHANGED_MONTHS"] == ""
    result = make(own, select="marketing_clean_loaded")
    assert result.success, result.failures  # a build without news
    lake = tmp_path / "lake"
    shutil.copytree(own.lake / "own.db", lake / "own.db")
    copied = replace(own.paths, lake=lake)
    assert unpublished_changes(copied) == unpublished_changes(own.paths)
    DeltaTable(str(lake / "own.db" / "marketing_kpi_monthly")).update({"clicks": "clicks + 1"})
    assert unpublished_changes(copied) == {}  # so everything is tested


def test_a_source_without_days_has_nulls_and_never_zeros(own):
    kpi = own.publication().read("marketing_kpi").filter(pl.col("channel") == "affiliate")
    assert kpi["cost"].sum() == pytest.approx(150.5)
    for unknown in ("date", "month", "impressions", "revenue", "leads", "roi", "ctr", "cpl"):
        assert kpi[unknown].null_count() == 2
    campaign = own.publication().read("marketing_kpi_campaign").filter(campaign_id="x")
    assert campaign["is_underperforming"].to_list() == [None]
    assert float(campaign["cost"][0]) == 100


def test_shuffled_arrivals_give_the_tables_of_ordered_ones(own, spark, lake, files):
    published = own.publication()
    for file in files[2:]:
        load_file(file, own.paths, DAILY)
    changes = unpublished_changes(own.paths)
    assert changes["MARKETING_CHANGED_MONTHS"] == "2025-01-01,2025-02-01"
    assert changes["MARKETING_TESTED_FROM_LOAD"] == "4"
    result = make(own, select=KPI_LAYER)
    assert result.success, result.failures
    merges = spark.sql("describe history own.marketing_kpi").collect()
    assert sum(commit["operation"] == "MERGE" for commit in merges) == 1  # the guard: no rebuild

    shuffled = Project(lake, "shuffled")
    for file in (files[3], files[0], files[2]):
        load_file(file, shuffled.paths, DAILY)
    run(shuffled)
    load_file(files[1], shuffled.paths, DAILY)  # an older version arrives last
    run(shuffled)
    for name in TABLES:
        ours = without_partners(own.table(name))
        theirs = without_partners(shuffled.table(name))
        assert_frame_equal(ours, theirs, check_row_order=False)
    assert own.publication() == published


def test_the_same_file_again_builds_the_same_tables(own, files):
    before = {name: own.table(name) for name in TABLES}
    assert load_file(files[0], own.paths, DAILY).already
    run(own)
    for name, frame in before.items():
        assert_frame_equal(frame, own.table(name), check_row_order=False)


def test_the_same_keys_from_two_sources_are_not_added_up(own, files):
    """They are found by a test, nothing is published, and the way back is one command."""
    published = own.publication()
    twice = files[0].with_name("copy.csv")
    twice.write_text(files[0].read_text().replace("5.25", "5.26"))
    agency = DAILY.model_copy(update={"source": "agency"})
    load_file(twice, own.paths, agency)
    broken = make(own, select=KPI_LAYER)
    assert any("unique_grain_marketing_clean" in name for name, _ in broken.failures)
    assert own.publication() == published
    assert unload(own.paths, "agency") == 1
    result = make(own, select=KPI_LAYER)
    assert result.success, result.failures
    assert "agency" not in own.table("marketing_clean")["source"]


def without_partners(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of the daily source, without what follows the order of the loads."""
    if "channel" in frame.columns:
        frame = frame.filter(pl.col("channel") == "search")
    if "main_channel" in frame.columns:
        frame = frame.filter(pl.col("main_channel") == "search")
    return frame.drop(OF_THE_ORDER, strict=False)
