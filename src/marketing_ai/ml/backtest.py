"""Rolling weekly origins: what each model would have said, and what happened.

A forest used at an origin was fitted on target weeks that had ended by then. One fit serves
``refit_every`` origins, which is honest (older knowledge) and saves most of the time.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from . import baselines, elasticity, features, forest
from .features import WEEK, State
from .panel import Panel
from .settings import ForecastSettings
from .smoothing import Smoothing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Array = np.ndarray
CANDIDATES = ("own_efficiency", "channel_efficiency", "blend", "forest")
MIN_HISTORY = 14  # days before the first origin: two of each weekday
MIN_TRAIN_ROWS = 60  # below this a tree with leaves of 5 has nothing to average
MIN_REVENUE_ROWS = 10
MIN_GATE_ORIGINS = 4  # a month of weeks before anything but the simplest is published
CAP = 0.995  # top share of training ratios cut: one stray week must not own a leaf
HORIZONS = (1, 2, 3, 4)
FITS_AT_ONCE = 2  # a laptop's two cores; more would only share them


@dataclasses.dataclass(frozen=True)
class Block:
    """One week of one origin: predictions of every model beside the truth, all S x 7."""

    origin: int
    horizon: int
    cost: Array
    actual: Array
    predicted: dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Fit:
    """What one training learned: elasticity and (where the data suffice) a forest."""

    elasticity: elasticity.Elasticity
    smoothing: Smoothing
    forest: forest.Forest | None
    names: tuple[str, ...]
    n_rows: int


@dataclasses.dataclass(frozen=True)
class Tested:
    """A backtest: its blocks, the newest fit and state behind them, and the fit on all days."""

    blocks: list[Block]
    fit: Fit | None
    state: State | None
    final: Fit


def training_rows(
    panel: Panel, last: int, learned: elasticity.Elasticity, smoothing: Smoothing, weeks: int
) -> tuple[Array, Array, Array, tuple[str, ...]]:
    """Features, ratio of a week's revenue to its own-efficiency forecast, and weights.

    Only weeks that had ended at day ``last`` are targets. One week ahead always, and one of two
    to four weeks ahead in turn, so that the horizon costs one extra row and not three.
    """
    xs, ys, ws = [], [], []
    names: tuple[str, ...] = ()
    weekday = panel.dates.dayofweek.to_numpy()
    for back in range(1, weeks + 1):
        origin = last - WEEK * back
        if origin + 1 < MIN_HISTORY:
            break
        state = features.state_at(panel, origin, learned, smoothing)
        names = (*state.names, "horizon_weeks")
        for horizon in (1, 2 + back % 3):
            start = origin + 1 + WEEK * (horizon - 1)
            days = np.arange(start, start + WEEK)
            if days[-1] > last:
                continue
            plan = panel.cost[:, days]
            expected = state.level_own * features.effective_plan(state, plan, weekday[days]).sum(
                axis=1
            )
            actual = np.where(plan > 0, panel.revenue_fit[:, days], 0.0).sum(axis=1)
            use = expected > 0
            if use.any():
                xs.append(np.column_stack([state.x[use], np.full(int(use.sum()), float(horizon))]))
                ys.append(actual[use] / expected[use])
                ws.append(expected[use])
    if not xs:
        return np.zeros((0, 0)), np.zeros(0), np.zeros(0), names
    x, y, w = np.vstack(xs), np.concatenate(ys), np.concatenate(ws)
    return x, np.minimum(y, np.quantile(y, CAP)), w, names


def learn(spark: SparkSession | None, panel: Panel, last: int, settings: ForecastSettings) -> Fit:
    """Elasticity and forest from what was known at the end of day ``last``."""
    known = panel.until(last)
    learned = elasticity.estimate(known, settings.prior_elasticity)
    smoothing = features.tune_smoothing(known, last, learned)
    if spark is None:
        return Fit(learned, smoothing, None, (), 0)
    x, y, w, names = training_rows(known, last, learned, smoothing, settings.train_weeks)
    enough = len(y) >= MIN_TRAIN_ROWS and int((y > 0).sum()) >= MIN_REVENUE_ROWS
    if not enough:
        return Fit(learned, smoothing, None, names, len(y))
    # square root: noise shrinks with size, but not all the way
    weight = np.sqrt(w / w.mean())
    grown = forest.fit(spark, x, y, weight, settings.trees, settings.depth, settings.seed)
    return Fit(learned, smoothing, grown, names, len(y))


def correction(fit: Fit, state: State, horizon: int) -> Array:
    """The forest's factor on the own efficiency, S values; ones without a forest."""
    if fit.forest is None:
        return np.ones(len(state.x))
    x = np.column_stack([state.x, np.full(len(state.x), float(horizon))])
    return np.maximum(fit.forest.predict(x), 0.0)


def levels(fit: Fit, state: State, horizon: int) -> dict[str, Array]:
    """Revenue per effective spend by candidate model."""
    factor = correction(fit, state, horizon)
    out = {
        "own_efficiency": state.level_own,
        "channel_efficiency": state.level_channel,
    }
    if fit.forest is not None:
        out["blend"] = state.level_own * (1.0 + factor) / 2.0
        out["forest"] = state.level_own * factor
    return out


def predict_block(
    panel: Panel, fit: Fit, state: State, horizon: int, plan: Array, weekday: Array
) -> dict[str, Array]:
    """Every model's S x 7 forecast of one week, given its planned cost."""
    effective = features.effective_plan(state, plan, weekday)
    out = {name: level[:, None] * effective for name, level in levels(fit, state, horizon).items()}
    origin = state.origin
    out["last_value"] = baselines.last_value(panel, origin, plan)
    out["seasonal_naive"] = baselines.seasonal_naive(panel, origin, plan)
    out["channel_roi"] = baselines.channel_roi(state, plan)
    out["own_roi"] = baselines.own_roi(state, plan)
    out["loglog_ridge"] = baselines.loglog_ridge(panel, origin, plan, weekday)
    out["channel_mean"] = baselines.channel_mean(state, plan)
    return out


def learn_all(
    spark: SparkSession | None, panel: Panel, days: list[int], settings: ForecastSettings
) -> dict[int, Fit]:
    """Fits at several days, side by side: each uses one core, because it has one partition."""
    if spark is None or len(days) < 2:
        return {day: learn(spark, panel, day, settings) for day in days}
    from pyspark import inheritable_thread_target

    # the threads inherit tags and properties, so that a timeout of the model stops them too
    task = inheritable_thread_target(spark)(lambda day: learn(spark, panel, day, settings))
    with ThreadPoolExecutor(max_workers=FITS_AT_ONCE) as pool:
        return dict(zip(days, pool.map(task, days), strict=True))


def run(spark: SparkSession | None, panel: Panel, settings: ForecastSettings) -> Tested:
    """Blocks of all origins, oldest first; the plan of a past week is what was really spent."""
    weekday = panel.dates.dayofweek.to_numpy()
    last = panel.n_days - 1
    origins = [
        last - WEEK * back
        for back in range(1, settings.backtest_origins + 1)
        if panel.n_days - WEEK * back >= MIN_HISTORY
    ][::-1]
    # groups are counted from the newest origin, so one more week of data shifts all alike
    due = [
        origin
        for index, origin in enumerate(origins)
        if index == 0 or (len(origins) - index) % settings.refit_every == 0
    ]
    fits = learn_all(spark, panel, [*due, last], settings)
    blocks: list[Block] = []
    fit: Fit | None = None
    state: State | None = None
    for origin in origins:
        if origin in fits:
            fit = fits[origin]
        elif fit is None or fit.forest is None:
            # without a forest a new fit costs next to nothing
            fit = learn(None, panel, origin, settings)
        state = features.state_at(panel, origin, fit.elasticity, fit.smoothing)
        for horizon in HORIZONS:
            start = origin + 1 + WEEK * (horizon - 1)
            days = np.arange(start, start + WEEK)
            if days[-1] > last:
                break
            plan = panel.cost[:, days]
            blocks.append(
                Block(
                    origin=origin,
                    horizon=horizon,
                    cost=plan,
                    actual=panel.revenue[:, days],
                    predicted=predict_block(panel, fit, state, horizon, plan, weekday[days]),
                )
            )
    return Tested(blocks, fit, state, fits[last])


def gate(blocks: list[Block], known_until: int, gain: float) -> str:
    """Model to publish, from one-week-ahead blocks whose weeks had ended at day ``known_until``.

    The simplest model stays unless another one is better by ``gain`` (the blend, half a forest,
    by half of it) and by more than one standard error over the origins: a lucky week is no reason
    to switch.

    Args:
        blocks: any blocks; later ones are not read.
        known_until: last known day.
        gain: share of the error, e.g. 0.02.
    """
    past = [b for b in blocks if b.horizon == 1 and b.origin + WEEK <= known_until]
    if len(past) < MIN_GATE_ORIGINS:
        return "own_efficiency"
    error = {
        name: np.array([np.abs((b.actual - b.predicted[name]).sum(axis=1)).sum() for b in past])
        for name in CANDIDATES
        if all(name in b.predicted for b in past)
    }
    chosen = "own_efficiency"
    for name, margin in (("channel_efficiency", gain), ("blend", gain / 2), ("forest", gain)):
        if name not in error:
            continue
        better = error[chosen] - error[name]
        noise = better.std(ddof=1) * np.sqrt(len(better))
        if better.sum() > max(margin * error[chosen].sum(), noise):
            chosen = name
    return chosen
