"""Elasticity against simulators whose truth is known, and what the data cannot tell."""

from __future__ import annotations

import numpy as np
import odd
import pandas as pd
import pytest

from marketing_ai.ml import elasticity
from marketing_ai.ml.panel import KEYS, build_panel
from marketing_ai.simulate import SimulationConfig, simulate

SEEDS = (1, 2)


def errors(
    response: str, budgets: str = "exogenous", seed: int = 1
) -> tuple[float, float, pd.DataFrame]:
    """Mean error of the elasticity by channel, of the x2 uplift by series, and the table."""
    made = simulate(SimulationConfig(response=response, budgets=budgets, seed=seed))
    panel = build_panel(made.frame)
    learned = elasticity.estimate(panel)
    truth = made.truth.groupby("channel")["elasticity"].mean()
    table = learned.table.set_index("channel")
    once = made.expected_revenue(1.0).groupby(KEYS)["revenue"].sum()
    twice = made.expected_revenue(2.0).groupby(KEYS)["revenue"].sum()
    uplift = (twice / once - 1).reindex(pd.MultiIndex.from_frame(panel.keys[KEYS])).to_numpy()
    beta = learned.for_channels(panel.keys["channel"])["beta"].to_numpy(dtype=float)
    return (
        float((table["beta"] - truth).abs().mean()),
        float(np.abs(2**beta - 1 - uplift).mean()),
        table,
    )


@pytest.mark.parametrize(
    ("response", "reach"), [("power", 0.07), ("hill", 0.12), ("adstock", 0.12)]
)
def test_planted_elasticities_are_found(response: str, reach: float) -> None:
    got = [errors(response, seed=seed) for seed in SEEDS]
    assert np.mean([error for error, _, _ in got]) <= 0.06
    assert np.mean([uplift for _, uplift, _ in got]) <= reach
    assert all((table["evidence"] == "estimated").all() for _, _, table in got)


def test_carry_over_is_found_only_where_it_is() -> None:
    found = {}
    for response in ("power", "adstock"):
        made = simulate(SimulationConfig(response=response, seed=1))
        found[response] = elasticity.estimate(build_panel(made.frame)).carryover
    assert found["power"] == 0.0
    assert 0.3 <= found["adstock"] <= 0.7


def test_budgets_that_follow_demand_are_called_confounded() -> None:
    _, _, table = errors("power", "confounded")
    assert (table["evidence"] == "confounded").mean() >= 0.8
    doubtful = table[table["evidence"] == "confounded"]
    assert (doubtful["beta"] <= 0.7).all()
    assert (doubtful["beta_lo"] <= 0.3).all()
    assert (doubtful["beta_hi"] >= 1.0).all()


def test_constant_budgets_give_the_prior_and_say_so() -> None:
    _, _, table = errors("power", "constant")
    assert (table["evidence"] == "assumed").all()
    assert (table["beta"] == 0.7).all()
    assert table["beta_raw"].isna().all()


def test_noise_gives_the_floor_not_the_prior() -> None:
    table = elasticity.estimate(build_panel(odd.noise())).table
    assert (table["beta"] < 0.2).all()


def test_a_channel_without_history_gets_the_pooled_value() -> None:
    learned = elasticity.estimate(build_panel(odd.rows(days=120)))
    got = learned.for_channels(pd.Series(["channel 0", "new"]))
    assert got["evidence"].tolist() == ["estimated", "assumed"]
    assert got["beta"].iloc[1] == learned.pooled


def test_lift_tests_override_and_the_campaigns_own_wins() -> None:
    table = pd.DataFrame(
        {
            "campaign_id": ["a", "b", "c"],
            "channel": ["search", "search", "email"],
            "beta": 0.7,
            "beta_lo": 0.3,
            "beta_hi": 1.0,
            "evidence": "assumed",
        }
    )
    lift = pd.DataFrame(
        {
            "campaign_id": ["a", None, None],
            "channel": ["search", "search", "fax"],
            "elasticity": [0.2, 0.4, 0.9],
            "lower": [0.1, None, 0.8],
            "upper": [0.3, None, 1.0],
        }
    )
    got = elasticity.apply_lift_tests(table, lift)
    assert got["beta"].tolist() == [0.2, 0.4, 0.7]
    assert got["evidence"].tolist() == ["experiment", "experiment", "assumed"]
    assert got["beta_lo"].tolist() == [0.1, 0.4, 0.3]
    nonsense = lift.assign(elasticity=[-1.0, 0.0, float("nan")])
    assert elasticity.apply_lift_tests(table, nonsense).equals(table)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_budgets_that_half_follow_demand_are_given_away_by_coming_budgets(seed: int) -> None:
    made = simulate(
        SimulationConfig(
            budgets="confounded", confounding=0.6, confounded_sd=0.25, demand_sd=0.2, seed=seed
        )
    )
    table = elasticity.estimate(build_panel(made.frame)).table
    # some slopes alone look plausible
    assert (table["beta_raw"] <= 1.0).any()
    assert (table["evidence"] == "confounded").all()
