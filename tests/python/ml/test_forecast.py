"""The forecast end to end without Spark (no forest): honest on odd data, blind to the future."""

from __future__ import annotations

import dataclasses

import numpy as np
import odd
import pandas as pd
import pytest

from marketing_ai.ml import backtest, elasticity, features, revenue, schema
from marketing_ai.ml.panel import COUNTS, KEYS, build_panel
from marketing_ai.ml.settings import ForecastSettings

SETTINGS = ForecastSettings()
CASES = odd.cases()


def tables(frame: pd.DataFrame, **more: object) -> dict[str, pd.DataFrame]:
    settings = more.pop("settings", SETTINGS)
    made = revenue.forecast_tables(None, odd.snapshot(frame), settings, **more)
    return {name: part.dropna(axis=1, how="all") for name, part in made.groupby("output")}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", list(CASES))
def test_odd_data_give_an_honest_table(name: str) -> None:
    made = tables(CASES[name])
    run = made["model_runs"].iloc[0]
    assert run["reason"]
    assert run["verdict"] in {
        "beats_baselines",
        "behind_baseline",
        "no_signal",
        "insufficient_data",
    }
    if run["tier"] == "none":
        assert list(made) == ["model_runs"]
        return
    forecast = made["revenue_forecast"]
    assert len(forecast) == SETTINGS.horizon_days * run["n_series"]
    assert np.isfinite(forecast["predicted_revenue"].astype(float)).all()
    assert (forecast["predicted_revenue"] >= 0).all()
    # nothing is promised far beyond what was ever seen
    seen = pd.to_numeric(odd.snapshot(CASES[name]).frame["revenue"], errors="coerce")
    seen = seen.replace(np.inf, np.nan).max()
    assert forecast["predicted_revenue"].max() <= 3 * seen
    if "revenue_lower_80" in forecast:
        known = forecast.dropna(subset=["revenue_lower_80"])
        assert (known["revenue_lower_80"] <= known["predicted_revenue"]).all()
        assert (known["revenue_upper_80"] >= known["predicted_revenue"]).all()


@pytest.mark.parametrize(
    "name", ["no dates", "no revenue", "revenue all zero", "cost all zero", "empty"]
)
def test_what_cannot_be_forecast_says_why(name: str) -> None:
    made = tables(CASES[name])
    words = {
        "no dates": "no row has a date",
        "no revenue": "no revenue",
        "revenue all zero": "revenue is zero",
        "cost all zero": "no row has a cost",
        "empty": "empty",
    }
    assert list(made) == ["model_runs"]
    assert words[name] in made["model_runs"]["reason"].iloc[0]
    assert made["model_runs"]["verdict"].iloc[0] == "insufficient_data"


def test_scenarios_are_monotone_and_concave_and_the_plan_is_the_forecast() -> None:
    made = tables(odd.rows(days=140))
    scenarios = made["budget_scenarios"]
    assert set(scenarios["scope"]) == {"campaign", "channel", "segment", "portfolio"}
    for _, part in scenarios.groupby(["scope", "scope_id"]):
        part = part.sort_values("budget_multiplier")
        m, r = part["budget_multiplier"].to_numpy(float), part["revenue"].to_numpy(float)
        steps = np.diff(r) / np.diff(m)
        assert (steps > 0).all()
        assert (np.diff(steps) <= 1e-6 * r.max()).all()
        base, more = r[m == 1.0][0], r[m == 1.2][0]
        assert 1.005 < more / base <= 1.2 + 1e-9
    whole = scenarios[scenarios["scope"] == "portfolio"].set_index("budget_multiplier")
    total = made["revenue_forecast"]["predicted_revenue"].sum()
    assert whole.loc[1.0, "revenue"] == pytest.approx(total, rel=1e-8)
    assert whole.loc[1.0, "delta_revenue"] == 0
    up = whole.loc[1.2]
    assert up["incremental_roi"] == pytest.approx(up["delta_revenue"] / up["delta_cost"] - 1)
    by_channel = (
        scenarios[scenarios["scope"] == "channel"].groupby("budget_multiplier")["revenue"].sum()
    )
    assert np.allclose(by_channel.astype(float), whole["revenue"].astype(float), rtol=1e-8)


def test_far_budgets_are_extrapolated_and_have_no_interval() -> None:
    settings = ForecastSettings(multipliers=(1.0, 1.2, 9.0))
    scenarios = tables(odd.rows(days=140), settings=settings)["budget_scenarios"]
    far = scenarios[scenarios["budget_multiplier"] == 9.0]
    assert (far["support"] == "extrapolated").all()
    assert far["revenue_lower_80"].isna().all()
    assert far["delta_revenue_lower_80"].isna().all()
    near = scenarios[(scenarios["budget_multiplier"] == 1.0) & (scenarios["scope"] == "campaign")]
    assert (near["support"] == "observed").mean() > 0.9
    assert near["revenue_lower_80"].notna().all()


def test_a_small_panel_has_no_interval() -> None:
    made = tables(odd.rows(campaigns=3, days=21))
    assert "revenue_lower_80" not in made["revenue_forecast"]
    assert made["model_runs"]["verdict"].iloc[0] == "insufficient_data"


def test_noise_is_called_noise_and_gives_no_scenario() -> None:
    made = tables(odd.noise())
    run = made["model_runs"].iloc[0]
    assert run["verdict"] == "no_signal"
    assert run["model_used"] == "channel_mean"
    assert (made["revenue_forecast"]["status"] == "no_signal").all()
    scenarios = made["budget_scenarios"]
    assert "revenue" not in scenarios
    assert "incremental_roi" not in scenarios
    assert scenarios["note"].str.contains("no scenario").any()
    assert "elasticity" not in made["response_curves"]
    assert "budget_reallocation" not in made


def test_a_signal_is_not_called_noise() -> None:
    assert tables(odd.rows(days=140))["model_runs"]["verdict"].iloc[0] == "beats_baselines"


def test_the_future_cannot_leak() -> None:
    frame = odd.rows(days=84)
    panel = build_panel(frame)
    origin = panel.n_days - 15
    rng = np.random.default_rng(0)

    def disturbed(values: np.ndarray) -> np.ndarray:
        out = values.copy()
        ahead = out[:, origin + 1 :]
        out[:, origin + 1 :] = rng.permutation(ahead.ravel()).reshape(ahead.shape) * 7 + 1
        return out

    other = dataclasses.replace(
        panel,
        revenue=disturbed(panel.revenue),
        revenue_fit=disturbed(panel.revenue_fit),
        counts={name: disturbed(panel.counts[name]) for name in COUNTS},
    )
    blocks = []
    for which in (panel, other):
        made = backtest.run(None, which, SETTINGS).blocks
        blocks.append({(b.origin, b.horizon): b for b in made if b.origin <= origin})
    assert len(blocks[0]) > 8
    for key, one in blocks[0].items():
        two = blocks[1][key]
        assert set(one.predicted) == set(two.predicted)
        for name, values in one.predicted.items():
            assert np.array_equal(values, two.predicted[name]), (key, name)
    chosen = [backtest.gate(list(made.values()), origin, 0.02) for made in blocks]
    assert chosen[0] == chosen[1]


def test_features_do_not_read_the_planned_days_but_the_plan_moves_the_forecast() -> None:
    panel = build_panel(odd.rows(days=84))
    learned = elasticity.estimate(panel.until(60))
    state = features.state_at(panel, 60, learned)
    known = features.state_at(panel.until(60), 60, learned)
    assert np.array_equal(state.x, known.x)
    assert np.array_equal(state.level_own, known.level_own)
    plan = panel.cost[:, 61:68]
    effective = features.effective_plan(state, plan, np.arange(7))
    more = features.effective_plan(state, plan * 2, np.arange(7))
    assert (more > effective).all()
    assert (more <= 2 * effective * (1 + 1e-12)).all()


def test_the_order_of_rows_does_not_matter() -> None:
    frame = odd.rows(days=84)
    first = revenue.forecast_tables(None, odd.snapshot(frame), SETTINGS)
    again = revenue.forecast_tables(
        None, odd.snapshot(frame.sample(frac=1, random_state=3)), SETTINGS
    )
    pd.testing.assert_frame_equal(first, again)


def test_a_plan_replaces_the_days_that_it_names() -> None:
    frame = odd.rows(days=84)
    last = frame["date"].max()
    plan = pd.DataFrame(
        {
            "campaign_id": ["c00", "c00", "new", "c01"],
            "channel": ["channel 0", "channel 0", "new channel", "channel 1"],
            "segment": ["segment 0", "segment 0", "segment 0", "segment 1"],
            "date": [last + pd.Timedelta(days=d) for d in (1, 2, 1, 99)],
            "planned_cost": [500.0, 0.0, 80.0, 1e9],
        }
    )
    made = tables(frame, plan=plan)
    forecast = made["revenue_forecast"].set_index(["campaign_id", "horizon_days"])
    assert forecast.loc[("c00", 1), "planned_cost"] == 500
    assert forecast.loc[("c00", 2), "predicted_revenue"] == 0
    assert forecast.loc[("c00", 3), "planned_cost"] > 0
    assert forecast["planned_cost"].max() < 1e6
    new = forecast.loc[("new", 1)]
    assert new["status"] == "cold_start"
    assert new["evidence"] == "assumed"
    assert 0 < new["predicted_revenue"] < 80 * 20
    assert forecast.loc[("new", 2), "planned_cost"] == 0
    plain = tables(frame)
    assert made["model_runs"]["run_id"].iloc[0] != plain["model_runs"]["run_id"].iloc[0]


def test_a_lift_test_changes_the_curve_and_not_todays_forecast() -> None:
    frame = odd.rows(days=140)
    lift = pd.DataFrame(
        {
            "channel": ["channel 0"],
            "campaign_id": [None],
            "elasticity": [0.2],
            "lower": [0.1],
            "upper": [0.3],
        }
    )
    one, two = tables(frame), tables(frame, lift=lift)
    curves = two["response_curves"]
    tested = curves["channel"] == "channel 0"
    assert (curves.loc[tested, "evidence"] == "experiment").all()
    assert (curves.loc[tested, "elasticity"].astype(float) == 0.2).all()
    assert (curves.loc[~tested, "evidence"] == "estimated").all()
    before, after = one["revenue_forecast"], two["revenue_forecast"]
    ratio = after["predicted_revenue"].sum() / before["predicted_revenue"].sum()
    assert 0.9 < ratio < 1.1


def test_the_as_of_date_hides_what_came_later_and_fills_the_actuals() -> None:
    frame = odd.rows(days=100)
    as_of = (frame["date"].max() - pd.Timedelta(days=14)).date()
    made = tables(frame, settings=ForecastSettings(as_of_date=as_of))
    known = tables(frame[frame["date"] <= pd.Timestamp(as_of)])
    left, right = made["revenue_forecast"], known["revenue_forecast"]
    assert left["predicted_revenue"].tolist() == right["predicted_revenue"].tolist()
    assert "actual_revenue" not in right
    done = left[left["horizon_days"] <= 14]
    assert done["actual_revenue"].notna().all()
    assert left[left["horizon_days"] > 14]["actual_revenue"].isna().all()


def test_a_stopped_campaign_is_forecast_to_stay_stopped() -> None:
    frame = odd.rows(days=100)
    stop = (frame["campaign_id"] == "c04") & (frame["date"] > "2025-03-01")
    forecast = tables(frame[~stop])["revenue_forecast"]
    part = forecast[forecast["campaign_id"] == "c04"]
    assert (part["status"] == "stopped").all()
    assert (part["predicted_revenue"] == 0).all()


def test_accuracy_holds_every_model_and_the_published_one_is_a_candidate() -> None:
    accuracy = tables(odd.rows(days=140))["forecast_accuracy"]
    head = accuracy[
        (accuracy["unit"] == "campaign_week")
        & (accuracy["slice"] == "all")
        & (accuracy["horizon_weeks"] == 1)
    ].set_index("model")
    for name in (
        "last_value",
        "seasonal_naive",
        "channel_roi",
        "own_roi",
        "loglog_ridge",
        "channel_mean",
    ):
        assert head.loc[name, "wape"] > 0
    assert head.loc["published", "is_published"]
    assert head.loc["published", "wape"] <= head.loc[head.loc["published", "best_baseline"], "wape"]
    assert 0.7 <= head.loc["published", "coverage_80"] <= 0.9
    assert not accuracy.duplicated(["model", "unit", "slice", "slice_value", "horizon_weeks"]).any()


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(KeyError, match="without a type"):
        schema.tidy([pd.DataFrame({"nonsense": [1]})], schema.REVENUE_COLUMNS)


def test_keys_of_the_forecast_are_those_of_the_data() -> None:
    frame = odd.rows(days=60)
    made = tables(frame)["revenue_forecast"]
    assert set(map(tuple, made[KEYS].drop_duplicates().to_numpy())) == set(
        map(tuple, frame[KEYS].drop_duplicates().to_numpy())
    )
    assert not made.duplicated([*KEYS, "date"]).any()
