"""Settings from dbt vars."""

from __future__ import annotations

import datetime as dt

import pytest

from marketing_ai.ml.settings import ForecastSettings, SegmentSettings, as_json, read_settings


def test_text_is_read_and_blanks_keep_the_default() -> None:
    got = read_settings(
        ForecastSettings,
        {
            "as_of_date": "2025-03-01",
            "trees": "12",
            "multipliers": "1.5, 0.5",
            "seed": "",
            "depth": None,
        },
    )
    assert got.as_of_date == dt.date(2025, 3, 1)
    assert (got.trees, got.seed, got.depth) == (12, 7, 6)
    assert got.multipliers == (0.5, 1.0, 1.5)
    assert read_settings(SegmentSettings, {"target_roas": "None"}).target_roas is None
    assert read_settings(SegmentSettings, {"target_roas": 2}).target_roas == 2.0


@pytest.mark.parametrize(
    "values",
    [{"trees": "many"}, {"multipliers": "1,-2"}, {"as_of_date": "yesterday"}, {"horizon_days": 90}],
)
def test_nonsense_names_the_setting(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        read_settings(ForecastSettings, values)


def test_every_setting_is_in_the_run_id() -> None:
    assert as_json(ForecastSettings()) != as_json(ForecastSettings(seed=8))
