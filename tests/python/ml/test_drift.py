"""Drift flags fire on planted changes and stay quiet without."""

from __future__ import annotations

import numpy as np
import odd
import pandas as pd

from marketing_ai.ml import metrics, revenue
from marketing_ai.ml.settings import ForecastSettings


def run(frame: pd.DataFrame) -> pd.Series:
    made = revenue.forecast_tables(None, odd.snapshot(frame), ForecastSettings())
    return made[made["output"] == "model_runs"].iloc[0]


def test_a_calm_world_has_no_flags() -> None:
    got = run(odd.rows(days=140))
    assert got["drift_status"] == "ok"
    assert not got["drift_flags"]


def test_a_collapse_of_revenue_is_flagged() -> None:
    frame = odd.rows(days=140)
    frame.loc[frame["date"] > frame["date"].max() - pd.Timedelta(days=10), "revenue"] *= 0.2
    got = run(frame)
    assert got["drift_status"] == "drift"
    assert "error_grew" in got["drift_flags"]


def test_a_new_channel_is_flagged() -> None:
    frame = odd.rows(days=140)
    late = (frame["campaign_id"] == "c00") & (frame["date"] > "2025-05-01")
    frame = frame[(frame["campaign_id"] != "c00") | late].copy()
    frame.loc[frame["campaign_id"] == "c00", "channel"] = "brand new"
    frame.loc[frame["campaign_id"] == "c00", "cost"] *= 20
    got = run(frame)
    assert "new_channel" in got["drift_flags"]


def test_little_history_is_unknown() -> None:
    assert run(odd.rows(days=20))["drift_status"] == "unknown"


def test_psi_of_equal_shares_is_zero() -> None:
    assert metrics.psi(np.array([2.0, 3.0]), np.array([4.0, 6.0])) == 0.0
    assert metrics.psi(np.array([9.0, 1.0]), np.array([1.0, 9.0])) > 0.25
