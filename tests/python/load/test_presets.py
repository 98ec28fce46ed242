"""The platforms' reports: recognised by their header, and loaded by their own mapping."""

from __future__ import annotations

import csv
from dataclasses import replace

import duckdb
import polars as pl
import pytest

from marketing_ai.load import ledger, presets
from marketing_ai.load.inspect import propose
from marketing_ai.load.landing import load_file, preview
from marketing_ai.load.mapping import MappingError, Reading, read_mapping
from marketing_ai.load.presets import find_preset, load_preset
from marketing_ai.load.proposal import to_yaml
from marketing_ai.load.reading import read_delivery
from marketing_ai.paths import find_paths

# What stands in a cell that our column reads; millionths where the preset divides.
CELLS = {
    "campaign_id": "77", "campaign_name": "Spring", "segment": "SEARCH", "date": "2025-01-05",
    "impressions": "1000", "clicks": "10", "leads": "3", "conversions": "2", "cost": "12.5",
    "revenue": "40.25",
}  # fmt: skip

# The report of each platform: rows, and totals added up without any code of this project.
REPORTS = {
    "google_ads": "google_ads_campaign_stats_data",
    "meta_ads": "facebook_ads_basic_ad_data",
    "microsoft_ads": "microsoft_ads_campaign_performance_daily_report_data",
    "linkedin_ads": "linkedin_ad_analytics_by_campaign_data",
    "tiktok_ads": "tiktok_campaign_report_hourly_data",
    "pinterest_ads": "pinterest_campaign_report_data",
    "snapchat_ads": "snapchat_campaign_hourly_report_data",
    "x_ads": "twitter_campaign_report_data",
    "reddit_ads": "reddit_ads_campaign_report_data",
    "amazon_ads": "amazon_ads_campaign_level_report_data",
    "apple_search_ads": "apple_search_campaign_report_data",
}
COST = {
    "google_ads": ("cost_micros", 1_000_000),
    "meta_ads": ("spend", 1),
    "microsoft_ads": ("spend", 1),
    "linkedin_ads": ("cost_in_local_currency", 1),
    "tiktok_ads": ("SPEND", 1),
    "pinterest_ads": ("spend_in_micro_dollar", 1_000_000),
    "snapchat_ads": ("spend", 1_000_000),
    "x_ads": ("billed_charge_local_micro", 1_000_000),
    "reddit_ads": ("spend", 1_000_000),
    "amazon_ads": ("cost", 1),
    "apple_search_ads": ("local_spend_amount", 1),
}


def synthetic(name: str, folder):
    """A report of one row, made from the preset's own column names."""
    mapping = load_preset(name)
    row = dict.fromkeys(presets._REPORTS[name][1], "x")
    for ours, cell in mapping.columns.items():
        for source in cell.sources:
            value = CELLS[ours]
            row[source] = str(int(float(value) * cell.divide_by)) if cell.divide_by > 1 else value
    for cell, value in ((mapping.currency, "EUR"), (mapping.version, "2025-01-06 10:00:00")):
        row |= dict.fromkeys(cell.sources if cell else (), value)
    path = folder / f"{name}.csv"
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([row.keys(), row.values()])
    return path, mapping


@pytest.mark.parametrize("name", presets.NAMES)
def test_a_report_is_recognised_and_read(tmp_path, name):
    path, mapping = synthetic(name, tmp_path)
    with duckdb.connect() as connection:
        delivery = read_delivery(connection, path, Reading())
        assert find_preset(delivery.header) == name
        assert find_preset(n.upper() for n in delivery.header) == name
        (row,) = preview(connection, delivery, mapping)
    assert row["fault_column"] is None
    assert row["channel"] == mapping.columns["channel"].constant
    for ours, cell in mapping.columns.items():
        if ours in {"cost", "revenue"}:
            assert float(str(row[ours])) == float(CELLS[ours])
        elif len(cell.sources) == 1:
            assert row[ours] == CELLS[ours]
    assert row["campaign_id"]
    for ours in {"leads", "conversions", "revenue"} - set(mapping.columns):
        assert row[ours] is None


def test_every_preset_has_a_file_and_no_two_take_one_header(tmp_path):
    assert {path.stem for path in presets.FOLDER.glob("*.yml")} == set(presets.NAMES)
    for name in presets.NAMES:
        path, mapping = synthetic(name, tmp_path)
        assert mapping.source == name
        header = path.read_text().splitlines()[0].split(",")
        # Without the columns that mark the report, nobody guesses that money is in millionths.
        assert find_preset(set(header) - presets._REPORTS[name][1]) is None
    plain = ["campaign_id", "date", "impressions", "clicks", "spend", "_fivetran_synced"]
    assert find_preset(plain) is None


def test_an_unknown_preset_is_named():
    with pytest.raises(MappingError, match="there is no preset 'myspace'; presets are google_ads"):
        load_preset("myspace")


def test_inspect_takes_the_preset_of_a_known_report(tmp_path):
    path, _ = synthetic("google_ads", tmp_path)
    proposal = propose(path, "my_google")
    assert proposal.preset == "google_ads"
    assert "these are the columns of the Google Ads campaign report" in proposal.notes[0]
    assert proposal.rows[0]["cost"] == "12.5000"
    (tmp_path / "my_google.yml").write_text(to_yaml(proposal))
    written = read_mapping(tmp_path / "my_google.yml")
    assert written.model_dump(exclude={"source"}) == load_preset("google_ads").model_dump(
        exclude={"source"}
    )
    assert written.source == "my_google"
    other = tmp_path / "other.csv"
    other.write_text("campaign,day,spend\nx,2024-01-02,3\n")
    wrong = propose(other, "x", preset="google_ads")
    assert "does not have: id, ad_network_type" in wrong.notes[0]


@pytest.mark.parametrize("name", presets.NAMES)
def test_the_real_report_loads(shared, tmp_path, name):
    path = shared / "platform_exports" / f"{REPORTS[name]}.csv"
    with path.open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert find_preset(rows[0]) == name
    # Rates of exchange are the project's own matter; here the amounts stay as they are.
    mapping = load_preset(name).model_copy(update={"currency": None, "max_refused_share": 0.1})
    paths = replace(find_paths(), lake=tmp_path / "lake")
    result = load_file(path, paths, mapping)
    assert result.delivered == len(rows)
    assert result.refused <= 1
    raw = pl.read_delta(str(ledger.table_path(paths, ledger.RAW_TABLE)))
    column, divisor = COST[name]
    refused = raw.filter(pl.col("cost").is_null())["source_line"].to_list()
    total = sum(float(row[column] or 0) for n, row in enumerate(rows, 2) if n not in refused)
    assert raw["cost"].cast(pl.Float64).sum() == pytest.approx(total / divisor, rel=1e-4)
    assert raw["channel"].drop_nulls().unique().to_list() == [mapping.columns["channel"].constant]
    assert raw["date"].drop_nulls().str.len_chars().unique().to_list() == [10]
