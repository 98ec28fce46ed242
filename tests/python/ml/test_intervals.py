"""Conformal intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketing_ai.ml import intervals


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    predicted = np.exp(rng.normal(5, 1.5, n))
    return predicted, predicted * np.exp(rng.normal(0, 0.4, n))


def test_coverage_holds_for_all_and_for_the_biggest() -> None:
    rule = intervals.calibrate(*draw(600, 1))
    assert rule is not None
    predicted, actual = draw(5000, 2)
    lower, upper = rule.bounds(predicted)
    inside = (actual >= lower) & (actual <= upper)
    assert 0.75 <= inside.mean() <= 0.85
    assert inside[predicted > np.quantile(predicted, 2 / 3)].mean() >= 0.75


def test_too_few_residuals_give_no_interval() -> None:
    assert intervals.calibrate(*draw(19, 1)) is None
    assert intervals.calibrate(*draw(20, 1)) is not None
    assert intervals.calibrate(np.full(50, np.nan), np.ones(50)) is None


@given(st.floats(0, 1e9), st.integers(0, 50))
def test_bounds_hold_the_forecast_and_stay_above_zero(value: float, seed: int) -> None:
    rule = intervals.calibrate(*draw(90, seed))
    assert rule is not None
    lower, upper = rule.bounds(np.array([value]))
    assert 0 <= lower[0] <= value <= upper[0]


def test_the_limit_is_the_finite_sample_rank() -> None:
    scores = np.arange(1, 10, dtype=float)
    assert intervals._limit(scores, 0.8) == 8.0
    assert intervals._limit(scores[:3], 0.8) == pytest.approx(3.0)
