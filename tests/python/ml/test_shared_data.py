"""Real data beside the repository; skipped, saying so, where it is absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import odd
import pandas as pd
import pytest

from marketing_ai.ml import accuracy, backtest, revenue
from marketing_ai.ml.panel import COUNTS, build_panel
from marketing_ai.ml.settings import ForecastSettings


def read(folder: Path, name: str) -> pd.DataFrame:
    path = folder / name / "mapped_marketing_clean.csv"
    frame = pd.read_csv(path, dtype={"campaign_id": str}, parse_dates=["date"])
    for column in [*COUNTS, "campaign_name"]:
        if column not in frame:
            frame[column] = np.nan if column in COUNTS else None
    return frame


def test_a_week_whose_spend_collapsed_is_followed(shared: Path) -> None:
    panel = build_panel(read(shared, "marketing_2021feb"))
    blocks = backtest.run(None, panel, ForecastSettings()).blocks
    week = max((b for b in blocks if b.horizon == 1), key=lambda b: b.origin)
    actual = week.actual.sum(axis=1)
    error = {
        name: float(np.abs(actual - values.sum(axis=1)).sum() / actual.sum())
        for name, values in week.predicted.items()
    }
    name = backtest.gate(blocks, week.origin, 0.02)
    assert error[name] <= min(error[model] for model in accuracy.BASELINES)
    assert error["seasonal_naive"] > 5


@pytest.mark.parametrize("name", ["marketing_2021feb", "global_ads", "marketing_roi_messy"])
def test_every_file_gives_an_honest_table(shared: Path, name: str) -> None:
    made = revenue.forecast_tables(None, odd.snapshot(read(shared, name)), ForecastSettings())
    run = made[made["output"] == "model_runs"].iloc[0]
    assert run["reason"]
    if name == "global_ads":
        assert run["verdict"] == "beats_baselines"
