"""Real deliveries, as different people send them, end in the numbers that an outsider computed."""

from __future__ import annotations

import json

import polars as pl
import pytest

from marketing_ai.load import ledger
from marketing_ai.load.landing import load_file
from marketing_ai.load.mapping import Mapping
from marketing_ai.load.sources import find_mapping
from marketing_ai.paths import find_paths
from tests.python.conftest import Project

FEBRUARY = {
    "campaign_id": {"from": "campaign_id"},
    "campaign_name": {"from": "campaign_name"},
    "channel": {"from": "category"},
    "date": {"from": "c_date"},
    "impressions": {"from": "impressions"},
    "clicks": {"from": "clicks"},
    "leads": {"from": "leads"},
    "conversions": {"from": "orders"},
    "cost": {"from": "mark_spent"},
    "revenue": {"from": "revenue"},
}
TITLES = {name: {"from": cell["from"].replace("_", " ").title()} for name, cell in FEBRUARY.items()}
TITLES["campaign_id"] = {"from": "Campaign ID"}
US = {"dates": ["%m/%d/%y"]}
DELIVERIES = {
    "Marketing.csv": (FEBRUARY, {}),
    "copies/semicolon_decimal_comma.csv": (FEBRUARY, {"decimal": ","}),
    "copies/title_case_headers.csv": (TITLES, {}),
    "copies/us_dates.csv": (FEBRUARY | {"cost": {"from": "campaign_cost"}}, US),
    "copies/bom_us_dates_rounded.csv": (FEBRUARY, US),
}
GLOBAL_ADS = {
    "source": "global_ads",
    "repeated_keys": "sum",
    "columns": {
        "campaign_id": {"from": ["platform", "campaign_type", "industry", "country"]},
        "channel": {"from": "platform"},
        "segment": {"from": "industry"},
        "date": {"from": "date"},
        "impressions": {"from": "impressions"},
        "clicks": {"from": "clicks"},
        "conversions": {"from": "conversions"},
        "cost": {"from": "ad_spend"},
        "revenue": {"from": "revenue"},
    },
}
CHANNELS = ["Affiliate", "Email", "Facebook Ads", "Google Ads", "Instagram", "LinkedIn", "TikTok",
            "YouTube"]  # fmt: skip
MESSY = {
    "source": "roi",
    "repeated_keys": "sum",
    "channels": CHANNELS,
    "columns": {
        "campaign_id": {"from": "campaign_id"},
        "campaign_name": {"from": "campaign_name"},
        "channel": {"from": "channel"},
        "segment": {"from": "region"},
        "date": {"from": "campaign_date"},
        "cost": {"from": "ad_spend"},
        "revenue": {"from": "revenue_generated"},
    },
}


def landed(paths) -> pl.DataFrame:
    path = ledger.table_path(paths, ledger.RAW_TABLE)
    return pl.read_delta(str(path)).sort("load_no", "source_line")


def test_five_people_deliver_the_same_month(shared, tmp_path):
    from dataclasses import replace

    months = {}
    for name, (columns, read) in DELIVERIES.items():
        paths = replace(find_paths(), lake=tmp_path / name.replace("/", "_"))
        mapping = Mapping.model_validate({"source": "feb", "columns": columns, "read": read})
        result = load_file(shared / "marketing_2021feb" / name, paths, mapping)
        assert (result.delivered, result.refused) == (308, 0)
        rows = landed(paths).select("source_line", *columns)
        months[name] = rows.with_columns(pl.col("cost", "revenue").cast(pl.Decimal(18, 4)))
    truth = months["Marketing.csv"]
    for name, month in months.items():
        if "rounded" in name:  # up to what this one rounded
            assert month.drop("cost", "revenue").equals(truth.drop("cost", "revenue"))
            assert (month["cost"] - truth["cost"]).abs().max() <= 0.5
        else:
            assert month.equals(truth), name


def test_sources_of_any_kind_reach_the_kpi_table_with_their_totals(spark, lake, shared):
    """Five sources in one lake; the totals are those of expected_kpis.json."""
    project = Project(lake, "deliveries")
    oracle = json.loads((shared / "expected_kpis.json").read_text())
    exports = shared / "platform_exports"
    february = Mapping.model_validate({"source": "feb", "columns": FEBRUARY})
    for file, mapping, rows in (
        (shared / "marketing_2021feb" / "Marketing.csv", february, 308),
        (shared / "global_ads" / "global_ads_performance_dataset.csv",
         Mapping.model_validate(GLOBAL_ADS), 1800),
        (shared / "marketing_roi_messy" / "Marketing.csv", Mapping.model_validate(MESSY), 5000),
        (exports / "google_ads_campaign_stats_data.csv",
         find_mapping(project.paths.root, "google_ads"), 16),
        (exports / "tiktok_campaign_report_hourly_data.csv",
         find_mapping(project.paths.root, "tiktok_ads"), 4),
    ):  # fmt: skip
        result = load_file(file, project.paths, mapping)
        assert (result.delivered, result.refused) == (rows, 0), result
    result = project.dbt("build", "--select", "+marketing_kpi", "+marketing_loads", data="own")
    assert result.success, result.failures
    kpi = project.table("marketing_kpi")
    sources = project.table("marketing_clean").select(
        "campaign_id", "channel", "segment", "date", "source", "delivered_rows"
    )
    keys = ["campaign_id", "channel", "segment", "date"]
    kpi = kpi.join(sources, on=keys, nulls_equal=True)
    for source, name in (
        ("feb", "marketing_2021feb"), ("global_ads", "global_ads"), ("roi", "marketing_roi_messy"),
    ):  # fmt: skip
        ours, theirs = kpi.filter(pl.col("source") == source), oracle[name]
        assert ours["campaign_id"].n_unique() == theirs["campaigns"]
        assert (str(ours["date"].min()), str(ours["date"].max())) == (
            theirs["date_min"], theirs["date_max"],
        )  # fmt: skip
        assert ours["delivered_rows"].sum() == theirs["rows"]
        for measure, total in theirs["totals"].items():
            if total is None:
                assert ours[measure].null_count() == ours.height
            else:
                assert float(ours[measure].sum()) == pytest.approx(total, rel=1e-12)
    google = pl.read_csv(exports / "google_ads_campaign_stats_data.csv")
    spent = float(kpi.filter(pl.col("source") == "google_ads")["cost"].sum())
    assert spent == pytest.approx(google["cost_micros"].sum() / 1e6)
    assert set(kpi.filter(pl.col("source") == "roi")["channel"]) == set(CHANNELS)
