"""The budget curve: monotone, concave, path-independent, and the same in SQL."""

from __future__ import annotations

from pathlib import Path

import jinja2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketing_ai.ml import response

ELASTICITY = st.floats(0.05, 1.0)
MONEY = st.floats(1e-3, 1e9)
MULTIPLIER = st.floats(0.0, 10.0)
MACRO = Path(__file__).parents[3] / "macros" / "forecasting" / "revenue_at_budget.sql"


@given(ELASTICITY, MULTIPLIER, MULTIPLIER)
def test_more_budget_never_brings_less(beta: float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert response.shape(low, beta) <= response.shape(high, beta) * (1 + 1e-12)


@given(ELASTICITY, MULTIPLIER, MULTIPLIER, st.floats(0, 1))
def test_each_further_unit_brings_no_more(beta: float, a: float, b: float, t: float) -> None:
    between = response.shape(t * a + (1 - t) * b, beta)
    chord = t * response.shape(a, beta) + (1 - t) * response.shape(b, beta)
    assert between >= chord - 1e-9 * (1 + chord)


@given(ELASTICITY, MONEY, MONEY, MONEY)
def test_no_change_is_the_baseline(beta: float, base: float, daily: float, ref: float) -> None:
    assert response.revenue_at(1.0, base, daily, ref, beta) == pytest.approx(base, rel=1e-12)


@given(ELASTICITY, MONEY, st.floats(0.1, 10), st.floats(0.2, 5), st.floats(0.2, 5))
def test_two_steps_are_one_step(beta: float, base: float, m: float, a: float, b: float) -> None:
    once = response.revenue_at(a * b, base, m, 1.0, beta)
    half = response.revenue_at(a, base, m, 1.0, beta)
    twice = response.revenue_at(b, half, m * a, 1.0, beta)
    assert float(twice) == pytest.approx(float(once), rel=1e-9)


@given(ELASTICITY, st.floats(0.0, 5.0))
def test_the_slope_is_the_derivative(beta: float, m: float) -> None:
    step = 1e-6
    right = (response.shape(m + step, beta) - response.shape(m, beta)) / step
    assert float(response.slope(m, beta)) == pytest.approx(float(right), rel=1e-3, abs=1e-4)


def test_twenty_per_cent_always_moves_revenue() -> None:
    for beta in (0.05, 0.3, 1.0):
        for now in (0.1, 0.5, 1.0, 3.0):
            assert response.revenue_at(1.2, 100.0, now, 1.0, beta) > 100.5


def test_no_budget_and_no_reference_give_zero() -> None:
    got = response.revenue_at(
        2.0, np.array([5.0, 5.0]), np.array([0.0, 1.0]), np.array([1.0, 0.0]), 0.7
    )
    assert got.tolist() == [0.0, 0.0]


def test_the_macro_gives_the_same_numbers(spark) -> None:
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    text = MACRO.read_text() + "{{ default__revenue_at_budget(multiplier) }}"

    def render(multiplier: str) -> str:
        return environment.from_string(text).render(multiplier=multiplier)

    rows = [
        (base, daily, ref, beta)
        for base in (0.0, 1234.5)
        for daily in (0.0, 0.2, 40.0, 300.0)
        for ref in (0.0, 50.0)
        for beta in (0.05, 0.7, 1.0)
    ]
    names = (
        "base_revenue double, planned_daily_cost double, reference_daily_cost double, "
        "elasticity double"
    )
    frame = spark.createDataFrame(rows, names)
    for multiplier in (0.0, 0.3, 1.0, 1.37, 4.0):
        sql = render(str(multiplier))
        got = [row[0] for row in frame.selectExpr(f"{sql} as r").collect()]
        want = response.revenue_at(multiplier, *np.array(rows).T)
        assert got == pytest.approx(want.tolist(), rel=1e-12)
    unknown = spark.createDataFrame([(1.0, 1.0, 1.0, None)], names)
    assert unknown.selectExpr(f"{render('1.2')} as r").collect()[0][0] is None
