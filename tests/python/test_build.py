"""What a build promises: published tables, equal however often and however it is run."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

KPI = "marketing_kpi"
EXPECTED_TABLES = {
    "budget_reallocation",
    "budget_scenarios",
    "campaign_segments",
    "feature_importance",
    "forecast_accuracy",
    "marketing_clean",
    "marketing_kpi",
    "marketing_kpi_campaign",
    "marketing_kpi_channel",
    "marketing_kpi_channel_daily",
    "marketing_kpi_monthly",
    "marketing_loads",
    "marketing_rejects",
    "model_runs",
    "response_curves",
    "revenue_forecast",
    "segment_profiles",
    "segment_quality",
}


def by_all(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort(frame.columns, nulls_last=True)


def write_csv(path, rows: list[dict], columns: list[str] | None = None):
    pl.DataFrame(rows).select(columns or pl.all()).write_csv(path)
    return path


def campaign_days(days: int, *, factor: float = 1.0, start: date = date(2025, 1, 1)) -> list[dict]:
    """Rows of two campaigns over some days; `factor` scales their money."""
    return [
        {
            "campaign_id": campaign,
            "date": start + timedelta(days=day),
            "channel": "search" if campaign == "a" else "social",
            "segment": "all",
            "impressions": 1000 + day,
            "clicks": 100,
            "conversions": 5,
            "cost": round((50 + day) * factor, 2),
            "revenue": round((90 + 2 * day) * factor, 2),
            "leads": 10,
        }
        for day in range(days)
        for campaign in ("a", "b")
    ]


def spark_sql_of(demo, table: str, test: str) -> str:
    """The compiled SQL of a data test, as the build ran it; rows are failures."""
    manifest = json.loads((demo.target / "manifest.json").read_text())
    (node,) = (
        node
        for node in manifest["nodes"].values()
        if node["name"].startswith(test) and node.get("attached_node", "").endswith(f".{table}")
    )
    folder = demo.target / "run" / node["package_name"] / node["original_file_path"]
    return (folder / node["path"]).read_text()


def test_demo_publishes_every_mart(demo):
    publication = demo.publication()
    assert set(publication.versions) == EXPECTED_TABLES
    for name, rows in publication.row_counts.items():
        assert publication.read(name).height == rows
        # the demo was never loaded, so nothing of it was refused
        assert (rows > 0) == (name not in {"marketing_loads", "marketing_rejects"}), name


def test_building_twice_is_building_once(demo):
    publication = demo.publication()
    for name, before in demo.first_build.items():
        assert_frame_equal(by_all(publication.read(name)), by_all(before))


def test_rollups_equal_their_source_computed_apart(demo):
    kpi = demo.table(KPI)
    seed = pl.read_csv("seeds/marketing_clean.csv")
    measures = ["impressions", "clicks", "leads", "conversions", "cost", "revenue"]
    for name in (KPI, "marketing_kpi_campaign", "marketing_kpi_channel_daily"):
        table = demo.table(name)
        for measure in measures:
            assert float(table[measure].sum()) == pytest.approx(seed[measure].sum(), rel=1e-12)
    channel = demo.table("marketing_kpi_channel").sort("channel")
    own = (
        kpi.group_by("channel")
        .agg(pl.col(measures).cast(pl.Float64).sum())
        .sort("channel")
        .with_columns(
            roi=(pl.col("revenue") - pl.col("cost")) / pl.col("cost"),
            cpl=pl.col("cost") / pl.col("leads"),
            ctr=pl.col("clicks") / pl.col("impressions"),
        )
    )
    for kpi_name in ("roi", "cpl", "ctr"):
        assert channel[kpi_name].to_list() == pytest.approx(own[kpi_name].to_list())


def test_planted_underperformers_are_flagged_with_reasons(demo):
    campaigns = demo.table("marketing_kpi_campaign")
    flagged = campaigns.filter(pl.col("is_underperforming"))
    # planted by the generator (see data/README.md and marketing_ai.simulate)
    assert {"C004", "C007", "C019", "C028"} <= set(flagged["campaign_id"])
    assert flagged["underperformance_reasons"].null_count() == 0
    stopped = campaigns.filter(pl.col("campaign_id") == "C011")
    assert stopped["underperformance_reasons"][0].startswith("not judged: 0 days")


def test_own_file_equals_the_oracle(project, shared):
    folder = shared / "marketing_2021feb"
    tables = "+marketing_kpi +marketing_kpi_channel"
    result = project.build_file(folder / "mapped_marketing_clean.csv", select=tables)
    assert result.success, result.failures
    oracle = json.loads((shared / "expected_kpis.json").read_text())["marketing_2021feb"]

    kpi = project.table(KPI)
    assert kpi.height == oracle["rows"]
    assert kpi["campaign_id"].n_unique() == oracle["campaigns"]
    assert str(kpi["date"].min()) == oracle["date_min"]
    totals = {m: float(kpi[m].sum()) for m in oracle["totals"]}
    assert totals == pytest.approx(oracle["totals"], rel=1e-12)
    assert kpi["leads"].sum() == oracle["total_leads"]
    assert totals["cost"] / kpi["leads"].sum() == pytest.approx(oracle["cost_per_lead"])
    for name, statistics in oracle["rowwise"].items():
        assert kpi[name].count() == statistics["count"]
        assert kpi[name].mean() == pytest.approx(statistics["mean"], abs=1e-6)
        assert kpi[name].max() == pytest.approx(statistics["max"], abs=1e-6)
    channels = project.table("marketing_kpi_channel")
    for row in channels.iter_rows(named=True):
        expected = oracle["by_channel"][row["channel"]]
        assert row["roi"] == pytest.approx(expected["roi"], abs=1e-6)
        assert row["cpl"] == pytest.approx(expected["cost"] / expected["leads"], rel=1e-9)
        assert float(row["revenue"]) == pytest.approx(expected["revenue"])


def test_without_leads_and_revenue_it_still_builds(project, tmp_path):
    columns = [c for c in campaign_days(1)[0] if c not in {"leads", "revenue"}]
    file = write_csv(tmp_path / "poor.csv", campaign_days(40), columns[::-1])
    result = project.build_file(file)
    assert result.success, result.failures
    kpi = project.publication().read(KPI)
    assert kpi["leads"].to_list() == kpi["conversions"].to_list()
    assert not kpi["is_leads_reported"].any()
    assert kpi["cpl"].null_count() == 0
    for unknown in ("revenue", "roi", "roas", "aov"):
        assert kpi[unknown].null_count() == kpi.height
    runs = project.publication().read("model_runs").filter(pl.col("run_model") == "revenue")
    assert "revenue" in runs["reason"][0]
    forecast = project.publication().read("revenue_forecast")
    assert forecast.height == forecast["predicted_revenue"].null_count()


def test_part_of_a_build_publishes_nothing(demo):
    before = demo.publication()
    for command in (["run"], ["build", "--select", "publication"]):
        refused = demo.dbt(*command, "--exclude", "tag:ml")
        assert not refused.success
        assert any("nothing is published" in message for _, message in refused.failures)
        assert demo.publication() == before


def test_the_readmes_selection_works_on_an_empty_lake(project):
    assert project.dbt("build", "--select", "+marketing_kpi").success


@pytest.mark.parametrize(
    ("table", "tamper", "test"),
    [
        ("marketing_kpi_channel", "delete from {t} where channel = 'email'", "rollup_matches"),
        (
            "marketing_kpi_channel",
            "update {t} set revenue = null where channel = 'email'",
            "rollup_matches",
        ),
        (
            "marketing_kpi_channel",
            "update {t} set clicks = clicks + 1 where channel = 'email'",
            "rollup_matches",
        ),
        (
            "marketing_kpi_channel",
            "insert into {t} select * from {t} where channel = 'email'",
            "unique_grain",
        ),
        (
            "marketing_kpi_campaign",
            "update {t} set underperformance_reasons = null where campaign_id = 'C004'",
            "reasons_match_flag",
        ),
        (
            "marketing_kpi",
            "update {t} set cost = -1 where campaign_id = 'C001'",
            "not_negative_marketing_kpi_cost",
        ),
        (
            "marketing_kpi",
            "update {t} set campaign_id = null where campaign_id = 'C001'",
            "unique_grain",
        ),
    ],
)
def test_each_check_fails_on_broken_data(demo, spark, table, tamper, test):
    relation = f"demo.{table}"
    check = spark_sql_of(demo, table, test)
    version = spark.sql(f"describe history {relation} limit 1").first()["version"]
    assert spark.sql(check).first()["failures"] == 0
    spark.sql(tamper.format(t=relation))
    try:
        assert spark.sql(check).first()["failures"] > 0
    finally:
        spark.sql(f"restore table {relation} to version as of {version}")


def test_every_table_stays_readable_by_old_readers(demo):
    """Fabric and Databricks read Delta reader 1 / writer 2 without any table feature."""
    from deltalake import DeltaTable

    for name in demo.publication().versions:
        table = DeltaTable(str(demo.lake / "demo.db" / name))
        protocol = table.protocol()
        assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2), name
        assert "timestamp_ntz" not in table.schema().to_json(), name


def test_comments_reach_the_tables(demo, spark):
    columns = {
        r["col_name"]: r["comment"] for r in spark.sql("describe demo.marketing_kpi").collect()
    }
    assert columns["cpl"].startswith("Cost per lead: cost / leads")
    assert all(columns[c] for c in demo.table(KPI).columns)
    seed = {
        r["col_name"]: r["comment"] for r in spark.sql("describe demo.marketing_clean").collect()
    }
    assert seed["segment"].startswith("The **audience** segment")


def test_analyses_answer_their_question(demo, spark):
    assert demo.dbt("compile", "--select", "resource_type:analysis").success
    compiled = demo.target / "compiled" / "marketing_ai" / "analyses"
    answers = {
        path.stem: spark.sql(path.read_text()).toPandas() for path in sorted(compiled.glob("*.sql"))
    }
    assert len(answers) >= 4
    assert answers["channel_efficiency"]["channel"][0] == "email"
    assert answers["channel_efficiency"]["cost_share"].sum() == pytest.approx(1)
    flagged = demo.table("marketing_kpi_campaign").filter(pl.col("is_underperforming"))
    assert set(answers["underperforming_campaigns"]["campaign_id"]) == set(flagged["campaign_id"])
    months = answers["monthly_trend"]
    assert len(months) == 12
    assert float(months["cost"].sum()) == pytest.approx(float(demo.table(KPI)["cost"].sum()))
    assert set(answers["audience_by_channel"]["segment"]) == set(demo.table(KPI)["segment"])


def test_metric_definitions_give_the_columns_of_the_marts(demo):
    """semantic_manifest.json is the interchange: its formulas must be those of the KPI macro."""
    manifest = json.loads((demo.target / "semantic_manifest.json").read_text())
    metrics = {m["name"]: m for m in manifest["metrics"]}
    channel = demo.table("marketing_kpi_channel").with_columns(
        pl.col("cost", "revenue").cast(pl.Float64)
    )
    kpis = ["ctr", "cvr", "cpl", "cpa", "cpc", "cpm", "roi", "roas", "aov"]
    assert set(kpis) < set(metrics)
    for name in kpis:
        parameters = metrics[name]["type_params"]
        if metrics[name]["type"] == "ratio":
            over, under = (parameters[part]["name"] for part in ("numerator", "denominator"))
            expression = f"{over} / nullif({under}, 0)"
        else:
            expression = parameters["expr"]
        rows = duckdb.sql(f"select {expression} as value from channel order by channel").fetchall()
        expected = channel.sort("channel")[name].to_list()
        assert [value for (value,) in rows] == pytest.approx(expected, rel=1e-12), name


def test_the_lineage_site_is_one_page_without_the_network(demo):
    assert demo.dbt("docs", "generate", "--static").success
    page = (demo.target / "static_index.html").read_text()
    assert "model.marketing_ai.marketing_kpi" in page
    assert "exposure.marketing_ai.power_bi" in page
    assert "Cost per lead: cost / leads" in page
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=[\"']https?:", page)
