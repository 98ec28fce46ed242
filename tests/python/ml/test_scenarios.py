"""What-if and reallocation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketing_ai.ml import revenue, scenarios


def curves(seed: int, n: int = 6) -> scenarios.Curves:
    rng = np.random.default_rng(seed)
    daily = np.exp(rng.normal(4, 1, n))
    beta = rng.uniform(0.2, 1.0, n)
    return scenarios.Curves(
        base_revenue=daily * 28 * np.exp(rng.normal(1, 0.5, n)),
        base_cost=daily * 28,
        daily_cost=daily,
        ref=daily * np.exp(rng.normal(0, 0.3, n)),
        beta=beta,
        beta_lo=np.maximum(beta - 0.1, 0.05),
        beta_hi=np.minimum(beta + 0.1, 1.0),
        cost_p95=daily * 1.3,
        cost_max=daily * 1.5,
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.9))
def test_reallocation_keeps_the_total_and_the_limits(seed: int, change: float) -> None:
    made = curves(seed)
    best = scenarios.reallocate(made, np.arange(6), 6, change, None, 1)
    assert (best.multiplier * made.base_cost).sum() == pytest.approx(made.base_cost.sum(), rel=1e-6)
    assert (best.multiplier >= 1 - change - 1e-9).all()
    assert (best.multiplier <= 1 + change + 1e-9).all()
    assert best.revenue_best.sum() >= best.revenue_now.sum() * (1 - 1e-9)


def test_reallocation_is_the_best_of_a_fine_grid() -> None:
    made = curves(3, n=3)
    best = scenarios.reallocate(made, np.arange(3), 3, 0.3, None, 1)
    steps = np.linspace(0.7, 1.3, 61)
    grid = 0.0
    for a, b in itertools.product(steps, steps):
        spent = a * made.base_cost[0] + b * made.base_cost[1]
        c = (made.base_cost.sum() - spent) / made.base_cost[2]
        if 0.7 <= c <= 1.3:
            grid = max(grid, float(made.revenue(np.array([a, b, c])).sum()))
    assert best.revenue_best.sum() >= grid * (1 - 1e-9)
    assert best.revenue_best.sum() <= grid * 1.01


def test_linear_campaigns_share_a_tie() -> None:
    made = curves(5, n=4)
    same = scenarios.Curves(
        **{**made.__dict__, "beta": np.ones(4), "base_revenue": 2 * made.base_cost}
    )
    best = scenarios.reallocate(same, np.arange(4), 4, 0.3, None, 1)
    assert best.revenue_best.sum() == pytest.approx(same.base_revenue.sum())
    assert (best.multiplier * made.base_cost).sum() == pytest.approx(made.base_cost.sum())


def test_the_gain_has_an_interval_that_a_seed_repeats() -> None:
    made = curves(7)
    one = scenarios.reallocate(made, np.arange(6), 6, 0.3, 0.2, 1)
    two = scenarios.reallocate(made, np.arange(6), 6, 0.3, 0.2, 1)
    assert one.gain_lo is not None
    assert one.gain_hi is not None
    assert one.gain_lo < one.revenue_best.sum() - one.revenue_now.sum() < one.gain_hi
    assert (one.gain_lo, one.gain_hi) == (two.gain_lo, two.gain_hi)


def test_support_follows_what_was_spent() -> None:
    made = curves(1, n=1)
    names = [scenarios.SUPPORT_NAMES[int(scenarios.support(made, m)[0])] for m in (1.0, 2.0, 2.5)]
    assert names == ["observed", "stretch", "extrapolated"]


def test_notes_say_what_the_numbers_say() -> None:
    more = revenue.scenario_note(1.2, 100.0, 150.0, "stretch", "estimated")
    assert more.startswith("20 % more budget brings 1.50 of revenue per unit of money moved.")
    assert "beyond the budgets" in more
    assert "not proven cause" in more
    less = revenue.scenario_note(0.5, -100.0, -80.0, "observed", "assumed")
    assert "50 % less budget gives up 0.80" in less
    assert "assumption" in less
    assert "no scenario" in revenue.scenario_note(1.2, 1.0, float("nan"), "observed", "no_signal")
