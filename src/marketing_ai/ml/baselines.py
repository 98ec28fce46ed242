"""Five forecasts that need no machine learning, and the mean that a forecast must beat.

Each returns S x d revenue for planned days, from what was known at the origin.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .features import State
from .panel import Panel
from .smoothing import ratio

Array = np.ndarray
BASELINES = ("last_value", "seasonal_naive", "channel_roi", "own_roi", "loglog_ridge")
REFERENCE = "channel_mean"


def last_value(panel: Panel, origin: int, plan: Array) -> Array:
    """Revenue of the last day with spend, on every planned day."""
    past = panel.cost[:, : origin + 1] > 0
    last = past.shape[1] - 1 - past[:, ::-1].argmax(axis=1)
    value = np.where(past.any(axis=1), panel.revenue[np.arange(len(past)), last], 0.0)
    return np.where(plan > 0, value[:, None], 0.0)


def seasonal_naive(panel: Panel, origin: int, plan: Array) -> Array:
    """Revenue of the same weekday in the last known week, whatever the budget."""
    days = plan.shape[1]
    source = origin - 6 + np.arange(days) % 7
    known = panel.revenue[:, np.maximum(source, 0)]
    return np.where(source[None, :] >= 0, known, 0.0)


def channel_roi(state: State, plan: Array) -> Array:
    """ROAS of the channel in the last 28 days x planned cost."""
    return np.asarray(state.channel_roas[:, None] * plan)


def own_roi(state: State, plan: Array) -> Array:
    """Own ROAS of the last 7 days, shrunk to the channel, x planned cost."""
    return np.asarray(state.own_roas[:, None] * plan)


def channel_mean(state: State, plan: Array) -> Array:
    """Mean revenue of an active day of the channel: knows neither budget nor campaign."""
    return np.where(plan > 0, state.mean_revenue[:, None], 0.0)


def loglog_ridge(panel: Panel, origin: int, plan: Array, weekday: Array, days: int = 84) -> Array:
    """Ridge regression of log revenue on log cost, channel, segment and weekday; smeared back.

    Args:
        panel: any panel that contains the origin; later days are not read.
        origin: last known day.
        plan: S x d planned cost.
        weekday: d numbers, Monday 0.
        days: length of the history used.
    """
    first = max(0, origin + 1 - days)
    cost = panel.cost[:, first : origin + 1]
    revenue = panel.revenue_fit[:, first : origin + 1]
    rows, cols = np.nonzero(cost > 0)
    if len(rows) < 10:
        return np.zeros_like(plan)
    channel = pd.get_dummies(panel.keys["channel"]).to_numpy(dtype=float)
    segment = pd.get_dummies(panel.keys["segment"]).to_numpy(dtype=float)
    past_weekday = panel.dates.dayofweek.to_numpy()[first : origin + 1]

    def design(series: Array, money: Array, day: Array) -> Array:
        return np.column_stack(
            [
                np.log1p(money),
                channel[series],
                segment[series],
                day[:, None] == np.arange(7)[None, :],
                np.ones(len(series)),
            ]
        ).astype(float)

    x, y = design(rows, cost[rows, cols], past_weekday[cols]), np.log1p(revenue[rows, cols])
    centre = x.mean(axis=0)
    centre[-1] = 0.0
    x = x - centre
    penalty = np.ones(x.shape[1])
    penalty[-1] = 1e-6
    gram = np.einsum("ni,nj->ij", x, x, optimize=False) + np.diag(penalty)
    coef = np.linalg.solve(gram, np.einsum("ni,n->i", x, y))
    fitted = np.expm1(np.clip(np.einsum("ni,i->n", x, coef), -10, 40))
    fitted = np.maximum(fitted, 0.0)
    # the mean of a log model is too low for money: one factor puts the total right
    smear = float(ratio(revenue[rows, cols].sum(), fitted.sum(), 1.0))
    grid_row, grid_col = np.indices(plan.shape)
    ahead = design(grid_row.ravel(), plan.ravel(), np.asarray(weekday)[grid_col.ravel()]) - centre
    out = np.expm1(np.clip(np.einsum("ni,i->n", ahead, coef), -10, 40)).reshape(plan.shape)
    return np.where(plan > 0, np.maximum(out, 0.0) * smear, 0.0)
