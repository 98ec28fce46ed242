"""The level of each series: revenue per effective spend, smoothed as the past weeks advise.

Exponential weights with a half-life, pulled to the channel x segment level by pseudo-days. Both
are chosen by the one-week-ahead error of the last twelve known weeks: a portfolio that drifts gets
a short memory, a sparse or noisy one leans on its channel.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from . import response
from .panel import Panel

Array = np.ndarray

HALF_LIVES = (3.5, 7.0, 14.0, 28.0, 56.0, 112.0)
PSEUDO_DAYS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
TUNING_WEEKS = 12  # a quarter: long enough to rank the choices, short enough to follow a change
WINDOW = 364


@dataclasses.dataclass(frozen=True)
class Smoothing:
    """Half-life of the channel and segment levels, half-life of a series, pull in days."""

    prior_half_life: float = 28.0
    own_half_life: float = 14.0
    pseudo_days: float = 1.0


@dataclasses.dataclass(frozen=True)
class Groups:
    """Integer codes of channel and segment, S each."""

    channel: Array
    segment: Array


def groups_of(panel: Panel) -> Groups:
    """Codes in sorted order of the labels."""
    return Groups(
        pd.factorize(panel.keys["channel"], sort=True)[0],
        pd.factorize(panel.keys["segment"], sort=True)[0],
    )


def by(code: Array, values: Array) -> Array:
    """Group sum, repeated for each member."""
    return np.bincount(code, values, minlength=int(code.max()) + 1)[code]


def ratio(top: Array, bottom: Array, fallback: Array | float) -> Array:
    """Top / bottom where the denominator is above 0, else the fallback."""
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), fallback)


@dataclasses.dataclass(frozen=True)
class Sums:
    """Decayed revenue and effective spend per half-life: each H x S, in the order of HALF_LIVES."""

    revenue: Array
    effective: Array


def decayed(panel: Panel, origin: int, ref: Array, beta: Array, weekday: Array) -> Sums:
    """Sums known at an origin.

    Args:
        panel: any panel that contains the origin; later days are not read.
        origin: last known day.
        ref: S reference costs.
        beta: S elasticities.
        weekday: seven multipliers, Monday first.
    """
    first = max(0, origin + 1 - WINDOW)
    cost = panel.cost[:, first : origin + 1]
    revenue = np.where(cost > 0, panel.revenue_fit[:, first : origin + 1], 0.0)
    dow = weekday[panel.dates.dayofweek.to_numpy()[first : origin + 1]]
    effective = response.units(cost, ref[:, None], beta[:, None]) * dow[None, :]
    age = np.arange(cost.shape[1])[::-1]
    weights = np.stack([0.5 ** (age / half) for half in HALF_LIVES])
    # not a matrix product: BLAS threads could change the last digits
    return Sums(
        np.stack([(revenue * w).sum(axis=1) for w in weights]),
        np.stack([(effective * w).sum(axis=1) for w in weights]),
    )


def prior_level(sums: Sums, groups: Groups, ref: Array, half_life: float) -> Array:
    """Level of channel x segment: each shrunk to the whole by one day of a member's spend."""
    h = HALF_LIVES.index(half_life)
    revenue, effective = sums.revenue[h], sums.effective[h]
    total = float(ratio(revenue.sum(), effective.sum(), 0.0))
    channel = group_level(revenue, effective, ref, groups.channel, total)
    segment = group_level(revenue, effective, ref, groups.segment, total)
    return np.asarray(channel * (segment / total if total > 0 else 1.0))


def group_level(revenue: Array, effective: Array, ref: Array, code: Array, total: float) -> Array:
    """Revenue per effective spend of each group, shrunk to the total by a day's spend."""
    pull = by(code, ref)
    return ratio(by(code, revenue) + total * pull, by(code, effective) + pull, total)


def own_level(sums: Sums, prior: Array, ref: Array, half_life: float, pseudo_days: float) -> Array:
    """Level of each series, pulled to the prior by pseudo-days of its own spend."""
    h = HALF_LIVES.index(half_life)
    pull = pseudo_days * ref
    return ratio(sums.revenue[h] + pull * prior, sums.effective[h] + pull, prior)


def tune(cases: list[tuple[Sums, Array, Array, Array]], groups: Groups) -> Smoothing:
    """Choose the smoothing by the weekly error of past origins.

    Args:
        cases: per origin: sums known then, reference costs S, effective spend of the week after S,
            its revenue S.
        groups: channel and segment codes.

    Returns:
        The default with fewer than four origins: on simulated months of eleven campaigns, choosing
        by two weeks was worse than two weeks of memory and one pseudo-day.
    """
    if len(cases) < 4:
        return Smoothing()
    default = Smoothing()

    def error(levels: list[Array]) -> float:
        return sum(
            float(np.abs(revenue - level * effective).sum())
            for level, (_, _, effective, revenue) in zip(levels, cases, strict=True)
        )

    best, least = default, np.inf
    for prior_half in HALF_LIVES[1:]:
        priors = [prior_level(sums, groups, ref, prior_half) for sums, ref, _, _ in cases]
        for half in HALF_LIVES:
            for days in PSEUDO_DAYS:
                value = error(
                    [
                        own_level(case[0], prior, case[1], half, days)
                        for case, prior in zip(cases, priors, strict=True)
                    ]
                )
                if value < least * (1 - 1e-9):
                    best, least = Smoothing(prior_half, half, days), value
    return best
