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

Array = np.ndarray

WEEK = 7
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


def _by(code: Array, values: Array) -> Array:
    """Group sum, repeated for each member."""
    return np.bincount(code, values, minlength=int(code.max()) + 1)[code]


def _ratio(top: Array, bottom: Array, fallback: Array | float) -> Array:
    """top / bottom where the denominator is above 0, else the fallback."""
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), fallback)


def _log(values: Array) -> Array:
    """Log with a floor, so that a zero is very small and not minus infinity."""
    return np.log(np.maximum(values, 1e-6))


def reference_cost(cost: Array, origin: int, channel: Array) -> Array:
    """Recent spend of an active day: last 7 days shrunk to 28, else the series' last 28 active days.

    Args:
        cost: S x D.
        origin: last known day.
        channel: S codes; a series without any spend gets its channel's median.
    """
    past = cost[:, : origin + 1]
    spent = past > 0
    week, month = _trail(past, origin, 7), _trail(past, origin, 28)
    n_week, n_month = _trail(spent, origin, 7), _trail(spent, origin, 28)
    mean_month = _ratio(month, n_month, 0.0)
    # three pseudo-days of the month: one odd day in a week must not set the level
    recent = _ratio(week + 3.0 * mean_month, n_week + 3.0, 0.0)
    ever = _ratio(past.sum(axis=1), spent.sum(axis=1), 0.0)
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
    weeks = (np.arange(len(weekday)) // WEEK).astype(int)
    ratios = []
    for week in np.unique(weeks):
        inside = weeks == week
        if inside.sum() < WEEK:
            continue
        roas = revenue[:, inside].sum() / max(cost[:, inside].sum(), 1e-9)
        row = np.ones(7)
        for day in range(7):
            at = inside & (weekday == day)
            spend = cost[:, at].sum()
            row[day] = revenue[:, at].sum() / spend / roas if spend > 0 and roas > 0 else 1.0
        ratios.append(row)
    if len(ratios) < 2:
        return np.ones(7)
    table = np.array(ratios)
    mean = table.mean(axis=0)
    noise = table.var(axis=0, ddof=1).mean() / len(ratios)
    signal = max(0.0, float(((mean - 1.0) ** 2).mean() - noise))
    profile = 1.0 + (mean - 1.0) * signal / max(signal + noise, 1e-12)
    profile = np.maximum(profile, 0.1)
    return np.asarray(profile / profile.mean())


def shrink_days(revenue: Array, effective: Array, prior: Array) -> float:
    """Pseudo-days of the prior that the noise of the data asks for (method of moments).

    Args:
        revenue: S x d of one window, ``effective`` the same shape, ``prior`` S levels.

    Returns:
        Between 0.5 and 28 days: the noise of one day over the spread between series.
    """
    active = effective > 0
    n = active.sum(axis=1)
    expected = prior[:, None] * effective
    ratio = np.where(active & (expected > 0), revenue / np.where(expected > 0, expected, 1.0), 0.0)
    enough = n >= 2
    if enough.sum() < 3:
        return 7.0
    mean = ratio.sum(axis=1) / np.maximum(n, 1)
    within = (np.where(active, (ratio - mean[:, None]) ** 2, 0.0)).sum(axis=1) / np.maximum(n - 1, 1)
    noise = float(np.median(within[enough]))
    spread = float(np.var(mean[enough], ddof=1) - np.mean(within[enough] / n[enough]))
    if spread <= 0:
        return 28.0
    return float(np.clip(noise / spread, 0.5, 28.0))


def state_at(panel: Panel, origin: int, elasticity: Elasticity) -> State:
    """Features and levels of every series at one origin.

    Args:
        panel: any panel that contains the origin; later days are not read.
        origin: last known day index.
        elasticity: estimated on data known at (or before) the origin.
    """
    import pandas as pd

    keys = panel.keys
    channel = pd.factorize(keys["channel"], sort=True)[0]
    segment = pd.factorize(keys["segment"], sort=True)[0]
    whole = np.zeros(len(keys), dtype=int)
    known = elasticity.for_channels(keys["channel"])
    beta = known["beta"].to_numpy(dtype=float)
    ref = reference_cost(panel.cost, origin, channel)
    weekday = weekday_profile(panel, origin)

    first = max(0, origin + 1 - 28)
    dow = weekday[panel.dates.dayofweek.to_numpy()[first : origin + 1]]
    cost = panel.cost[:, first : origin + 1]
    revenue = np.where(cost > 0, panel.revenue_fit[:, first : origin + 1], 0.0)
    effective = response.units(cost, ref[:, None], beta[:, None]) * dow[None, :]
    n = cost.shape[1]
    rev7, eff7 = revenue[:, max(0, n - 7) :].sum(axis=1), effective[:, max(0, n - 7) :].sum(axis=1)
    rev28, eff28 = revenue.sum(axis=1), effective.sum(axis=1)
    # a long memory for series that were silent for a month
    old = max(0, origin + 1 - 182)
    all_rev = np.where(panel.cost[:, old : origin + 1] > 0, panel.revenue_fit[:, old : origin + 1], 0)
    total_level = float(
        _ratio(rev28.sum(), eff28.sum(), _ratio(all_rev.sum(), panel.cost[:, old : origin + 1].sum(), 0.0))
    )
    level_channel = _ratio(
        _by(channel, rev28) + total_level * _by(channel, ref),
        _by(channel, eff28) + _by(channel, ref),
        total_level,
    )
    level_segment = _ratio(
        _by(segment, rev28) + total_level * _by(segment, ref),
        _by(segment, eff28) + _by(segment, ref),
        total_level,
    )
    prior = level_channel * _ratio(level_segment, np.full(len(keys), total_level), 1.0)
    days = shrink_days(revenue, effective, prior)
    own28 = _ratio(rev28 + days * ref * prior, eff28 + days * ref, prior)
    own7 = _ratio(rev7 + days * ref * own28, eff7 + days * ref, own28)
    channel7 = _ratio(
        _by(channel, rev7) + level_channel * _by(channel, ref),
        _by(channel, eff7) + _by(channel, ref),
        level_channel,
    )
    total7 = float(_ratio(rev7.sum() + total_level * ref.sum(), eff7.sum() + ref.sum(), total_level))

    def smooth(top: str, bottom: Array) -> Array:
        count = _trail(panel.counts[top], origin, 28)
        rate = _ratio(_by(channel, count), _by(channel, bottom), 0.0)
        extra = _by(channel, bottom) / np.maximum(_by(channel, np.ones(len(keys))), 1.0) * 0.1
        return _ratio(count + extra * rate, bottom + extra, 0.0)

    spend28 = _trail(panel.cost, origin, 28)
    clicks28 = _trail(panel.counts["clicks"], origin, 28)
    shown28 = _trail(panel.counts["impressions"], origin, 28)
    spend7 = _trail(panel.cost, origin, 7)
    spent = panel.cost[:, : origin + 1] > 0
    age = np.where(spent.any(axis=1), origin - spent.argmax(axis=1) + 1, 0)
    cpc = _ratio(_by(channel, spend28), _by(channel, clicks28), 0.0)
    own_cpc = _ratio(spend28 + 0.1 * cpc, clicks28 + 0.1, 0.0)
    values = {
        "log_reference_cost": _log(ref),
        "log_efficiency_7": _log(own7),
        "log_efficiency_28": _log(own28),
        "log_channel_efficiency": _log(level_channel),
        "log_segment_efficiency": _log(level_segment),
        "momentum_own": _log(own7) - _log(own28),
        "momentum_channel": _log(channel7) - _log(level_channel),
        "momentum_portfolio": np.full(len(keys), np.log(max(total7, 1e-6) / max(total_level, 1e-6))),
        "log_cpc": _log(own_cpc),
        "log_ctr": _log(smooth("clicks", shown28)),
        "log_cvr": _log(smooth("conversions", clicks28)),
        "active_days": _trail(spent, origin, 28),
        "age_weeks": age / 7.0,
        "spend_trend": _log(_ratio(spend7 + ref, spend28 / 4.0 + ref, 1.0)),
    }
    columns = [np.asarray(values[name], dtype=float) for name in NAMES if name != "horizon_weeks"]
    names = [name for name in NAMES if name != "horizon_weeks"]
    for kind, code in (("channel", channel), ("segment", segment)):
        labels = sorted(keys[kind].unique())
        if 2 <= len(labels) <= 20:
            for index, label in enumerate(labels):
                columns.append((code == index).astype(float))
                names.append(f"{kind}={label}")
    spend7n, rev7n = spend7, _trail(np.where(panel.cost > 0, panel.revenue_fit, 0.0), origin, 7)
    rev28n = _trail(np.where(panel.cost > 0, panel.revenue_fit, 0.0), origin, 28)
    portfolio_roas = float(_ratio(rev28n.sum(), spend28.sum(), 0.0))
    channel_roas = _ratio(_by(channel, rev28n), _by(channel, spend28), portfolio_roas)
    # the marketer's own rule: last week's ROAS, three of its days leaning on the channel
    own_roas = _ratio(rev7n + 3.0 * ref * channel_roas, spend7n + 3.0 * ref, channel_roas)
    active_days = _trail(spent, origin, 28)
    mean_revenue = _ratio(_by(channel, rev28n), _by(channel, active_days), 0.0)
    window = np.minimum(np.maximum(age, 1), 28)
    running = _trail(panel.cost, origin, 14) > 0
    return State(
        origin=origin,
        beta=beta,
        ref=ref,
        plan_rate=np.where(running, spend28 / window, 0.0),
        level_own=own28,
        level_channel=prior,
        weekday=weekday,
        x=np.column_stack(columns),
        names=tuple(names),
        active=active_days,
        age_days=age,
        mean_revenue=mean_revenue,
        channel_roas=channel_roas,
        own_roas=own_roas,
    )


def effective_plan(state: State, cost: Array, weekday_index: Array) -> Array:
    """Effective spend of planned days: S x d from planned cost S x d and the calendar."""
    dow = state.weekday[np.asarray(weekday_index)]
    return response.units(cost, state.ref[:, None], state.beta[:, None]) * dow[None, :]
