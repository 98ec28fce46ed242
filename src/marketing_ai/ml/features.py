"""What is known at a weekly origin, and what came of it in the weeks after.

An origin is a day index; features read days up to and including it. Of the days after it only the
planned cost and the calendar are used (tested by permuting everything else).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from . import response
from .elasticity import Elasticity
from .panel import Panel
from .smoothing import (
    HALF_LIVES,
    TUNING_WEEKS,
    Smoothing,
    by,
    decayed,
    group_level,
    groups_of,
    own_level,
    prior_level,
    ratio,
    tune,
)

Array = np.ndarray

WEEK = 7
MAX_LABELS = 20  # one-hot columns per variable; more would drown the other features
NAMES: dict[str, str] = {
    "log_reference_cost": "recent daily spend of the series",
    "log_efficiency_7": "own revenue per effective spend, last 7 days, shrunk",
    "log_efficiency_28": "own revenue per effective spend, last 28 days, shrunk",
    "log_channel_efficiency": "efficiency of the channel, last 28 days",
    "log_segment_efficiency": "efficiency of the audience segment, last 28 days",
    "momentum_own": "own efficiency, last 7 days against 28",
    "momentum_channel": "efficiency of the channel, last 7 days against 28",
    "momentum_portfolio": "efficiency of everything, last 7 days against 28",
    "log_cpc": "cost per click, last 28 days, shrunk",
    "log_ctr": "clicks per impression, last 28 days, shrunk",
    "log_cvr": "conversions per click, last 28 days, shrunk",
    "active_days": "days with spend in the last 28",
    "age_weeks": "weeks since the first spend",
    "spend_trend": "own spend, last 7 days against 28",
    "horizon_weeks": "weeks ahead",
}


@dataclasses.dataclass(frozen=True)
class State:
    """Everything known about each series at one origin; all arrays have length S.

    ``level`` is revenue per unit of effective spend; ``ref`` the recent spend of an active day.
    """

    origin: int
    beta: Array
    ref: Array
    plan_rate: Array
    level_own: Array
    level_channel: Array
    weekday: Array
    x: Array
    names: tuple[str, ...]
    active: Array
    age_days: Array
    mean_revenue: Array
    channel_roas: Array
    own_roas: Array


def _trail(values: Array, origin: int, days: int) -> Array:
    """Sum over the last ``days`` days up to the origin."""
    return np.asarray(values[:, max(0, origin + 1 - days) : origin + 1].sum(axis=1))


def _log(values: Array | float) -> Array:
    """Log with a floor, so that a zero is very small and not minus infinity."""
    return np.asarray(np.log(np.maximum(values, 1e-6)))


def reference_cost(cost: Array, origin: int, channel: Array) -> Array:
    """Recent spend of an active day: 7 days shrunk to 28, else of all days with spend.

    Args:
        cost: S x D.
        origin: last known day.
        channel: S codes; a series without any spend gets its channel's median.
    """
    past = cost[:, : origin + 1]
    spent = past > 0
    week, month = _trail(past, origin, 7), _trail(past, origin, 28)
    n_week, n_month = _trail(spent, origin, 7), _trail(spent, origin, 28)
    mean_month = ratio(month, n_month, 0.0)
    # three pseudo-days of the month: one odd day in a week must not set the level
    recent = ratio(week + 3.0 * mean_month, n_week + 3.0, 0.0)
    ever = ratio(past.sum(axis=1), spent.sum(axis=1), 0.0)
    ref = np.where(n_month > 0, recent, ever)
    out = ref.copy()
    for code in np.unique(channel):
        members = channel == code
        known = ref[members & (ref > 0)]
        fill = np.median(known) if len(known) else 0.0
        out[members & (ref <= 0)] = fill
    return out


def weekday_profile(panel: Panel, origin: int, days: int = 84) -> Array:
    """Seven multipliers (Monday first, mean 1) of revenue per cost, shrunk to 1 by their noise."""
    first = max(0, origin + 1 - days)
    if origin + 1 - first < 14:
        return np.ones(7)
    weekday = panel.dates.dayofweek.to_numpy()[first : origin + 1]
    cost = panel.cost[:, first : origin + 1]
    revenue = np.where(cost > 0, panel.revenue_fit[:, first : origin + 1], 0.0)
    whole = len(weekday) // WEEK
    spend, paid = cost.sum(axis=0)[-whole * WEEK :], revenue.sum(axis=0)[-whole * WEEK :]
    weekday = weekday[-whole * WEEK :].reshape(whole, WEEK)
    spend, paid = spend.reshape(whole, WEEK), paid.reshape(whole, WEEK)
    roas = ratio(paid.sum(axis=1), spend.sum(axis=1), 0.0)[:, None]
    value = np.where(roas > 0, ratio(paid, spend * np.where(roas > 0, roas, 1.0), 1.0), 1.0)
    ratios = np.take_along_axis(value, np.argsort(weekday, axis=1, kind="stable"), axis=1)
    if len(ratios) < 2:
        return np.ones(7)
    mean = ratios.mean(axis=0)
    noise = ratios.var(axis=0, ddof=1).mean() / len(ratios)
    signal = max(0.0, float(((mean - 1.0) ** 2).mean() - noise))
    profile = 1.0 + (mean - 1.0) * signal / max(signal + noise, 1e-12)
    profile = np.maximum(profile, 0.1)
    return np.asarray(profile / profile.mean())


def state_at(
    panel: Panel, origin: int, elasticity: Elasticity, smoothing: Smoothing | None = None
) -> State:
    """Features and levels of every series at one origin.

    Args:
        panel: any panel that contains the origin; later days are not read.
        origin: last known day index.
        elasticity: estimated on data known at (or before) the origin.
        smoothing: tuned on data known at (or before) the origin.
    """
    smoothing = smoothing or Smoothing()
    keys = panel.keys
    groups = groups_of(panel)
    channel, segment = groups.channel, groups.segment
    beta = elasticity.beta_of(keys["channel"])
    ref = reference_cost(panel.cost, origin, channel)
    weekday = weekday_profile(panel, origin)
    sums = decayed(panel, origin, ref, beta, weekday)
    prior = prior_level(sums, groups, ref, smoothing.prior_half_life)
    own = own_level(sums, prior, ref, smoothing.own_half_life, smoothing.pseudo_days)

    h7, h28 = HALF_LIVES.index(7.0), HALF_LIVES.index(28.0)
    days = smoothing.pseudo_days
    own28 = own_level(sums, prior, ref, 28.0, days)
    own7 = own_level(sums, own28, ref, 7.0, days)
    total28 = float(ratio(sums.revenue[h28].sum(), sums.effective[h28].sum(), 0.0))
    total7 = float(ratio(sums.revenue[h7].sum(), sums.effective[h7].sum(), total28))
    channel28 = group_level(sums.revenue[h28], sums.effective[h28], ref, channel, total28)
    channel7 = group_level(sums.revenue[h7], sums.effective[h7], ref, channel, total7)
    segment28 = group_level(sums.revenue[h28], sums.effective[h28], ref, segment, total28)

    spend7, spend28 = _trail(panel.cost, origin, 7), _trail(panel.cost, origin, 28)
    clicks = _trail(panel.counts["clicks"], origin, 28)
    shown = _trail(panel.counts["impressions"], origin, 28)
    bought = _trail(panel.counts["conversions"], origin, 28)
    spent = panel.cost[:, : origin + 1] > 0
    age = np.where(spent.any(axis=1), origin - spent.argmax(axis=1) + 1, 0)
    active = _trail(spent, origin, 28)
    values = {
        "log_reference_cost": _log(ref),
        "log_efficiency_7": _log(own7),
        "log_efficiency_28": _log(own28),
        "log_channel_efficiency": _log(channel28),
        "log_segment_efficiency": _log(segment28),
        "momentum_own": _log(own7) - _log(own28),
        "momentum_channel": _log(channel7) - _log(channel28),
        "momentum_portfolio": np.full(len(keys), _log(total7) - _log(total28)),
        "log_cpc": _log_rate(spend28, clicks, channel),
        "log_ctr": _log_rate(clicks, shown, channel),
        "log_cvr": _log_rate(bought, clicks, channel),
        "active_days": active,
        "age_weeks": age / 7.0,
        "spend_trend": _log(ratio(spend7 + ref, spend28 / 4.0 + ref, 1.0)),
    }
    names = [name for name in NAMES if name != "horizon_weeks"]
    columns = [np.asarray(values[name], dtype=float) for name in names]
    for kind, code in (("channel", channel), ("segment", segment)):
        labels = sorted(keys[kind].unique())
        if 2 <= len(labels) <= MAX_LABELS:
            for index, label in enumerate(labels):
                columns.append((code == index).astype(float))
                names.append(f"{kind}={label}")
    money = np.where(panel.cost > 0, panel.revenue_fit, 0.0)
    rev7, rev28 = _trail(money, origin, 7), _trail(money, origin, 28)
    portfolio_roas = float(ratio(rev28.sum(), spend28.sum(), 0.0))
    channel_roas = ratio(by(channel, rev28), by(channel, spend28), portfolio_roas)
    window = np.minimum(np.maximum(age, 1), 28)
    running = _trail(panel.cost, origin, 14) > 0
    return State(
        origin=origin,
        beta=beta,
        ref=ref,
        plan_rate=np.where(running, spend28 / window, 0.0),
        level_own=own,
        level_channel=prior,
        weekday=weekday,
        x=np.column_stack(columns),
        names=tuple(names),
        active=active,
        age_days=age,
        mean_revenue=ratio(by(channel, rev28), by(channel, active), 0.0),
        channel_roas=channel_roas,
        # the marketer's own rule: last week's ROAS, three of its days leaning on the channel
        own_roas=ratio(rev7 + 3.0 * ref * channel_roas, spend7 + 3.0 * ref, channel_roas),
    )


def _log_rate(top: Array, bottom: Array, code: Array) -> Array:
    """Log of a rate, pulled to its group's by a tenth of a mean member's denominator."""
    rate = ratio(by(code, top), by(code, bottom), 0.0)
    pull = 0.1 * by(code, bottom) / by(code, np.ones(len(code)))
    return _log(ratio(top + pull * rate, bottom + pull, 0.0))


def tune_smoothing(panel: Panel, last: int, elasticity: Elasticity) -> Smoothing:
    """Smoothing for forecasts from day ``last``, by the last weeks that had ended by then."""
    groups = groups_of(panel)
    weekday_index = panel.dates.dayofweek.to_numpy()
    beta = elasticity.beta_of(panel.keys["channel"])
    cases = []
    for back in range(1, TUNING_WEEKS + 1):
        origin = last - WEEK * back
        if origin + 1 < WEEK:
            break
        ref = reference_cost(panel.cost, origin, groups.channel)
        weekday = weekday_profile(panel, origin)
        ahead = np.arange(origin + 1, origin + 1 + WEEK)
        plan = panel.cost[:, ahead]
        effective = (
            response.units(plan, ref[:, None], beta[:, None]) * weekday[weekday_index[ahead]]
        )
        actual = np.where(plan > 0, panel.revenue_fit[:, ahead], 0.0).sum(axis=1)
        sums = decayed(panel, origin, ref, beta, weekday)
        cases.append((sums, ref, effective.sum(axis=1), actual))
    return tune(cases, groups)


def effective_plan(state: State, cost: Array, weekday_index: Array) -> Array:
    """Effective spend of planned days: S x d from planned cost S x d and the calendar."""
    dow = state.weekday[np.asarray(weekday_index)]
    return response.units(cost, state.ref[:, None], state.beta[:, None]) * dow[None, :]
