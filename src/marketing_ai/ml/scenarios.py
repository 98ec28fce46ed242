"""What-if: revenue at other budgets, and the same budget split better."""

from __future__ import annotations

import dataclasses

import numpy as np

from . import response

Array = np.ndarray

STRETCH = 1.5  # beyond 1.5 x the largest daily spend ever seen, a curve is only an assumption


@dataclasses.dataclass(frozen=True)
class Curves:
    """Per series: base revenue and cost over the horizon, and the curve around them (length S)."""

    base_revenue: Array
    base_cost: Array
    daily_cost: Array
    ref: Array
    beta: Array
    beta_lo: Array
    beta_hi: Array
    cost_p95: Array
    cost_max: Array

    def revenue(self, multiplier: Array | float, beta: Array | None = None) -> Array:
        """Revenue of each series when its planned cost is multiplied."""
        return response.revenue_at(
            multiplier,
            self.base_revenue,
            self.daily_cost,
            self.ref,
            self.beta if beta is None else beta,
        )


def support(curves: Curves, multiplier: float) -> Array:
    """0 observed, 1 stretch, 2 extrapolated for each series."""
    cost = multiplier * curves.daily_cost
    observed = cost <= curves.cost_p95 * (1 + 1e-9)
    stretch = cost <= STRETCH * curves.cost_max * (1 + 1e-9)
    return np.where(observed, 0, np.where(stretch, 1, 2))


SUPPORT_NAMES = ("observed", "stretch", "extrapolated")


def _allocate(curves: Curves, campaign: Array, n: int, change: float, beta: Array) -> Array:
    """Multiplier per campaign with the same total cost and the largest expected revenue.

    Revenue is concave in every campaign's multiplier, so the best split has one common marginal
    revenue: found by bisection on it, ties shared.
    """
    lo, hi = 1.0 - change, 1.0 + change
    cost = np.bincount(campaign, curves.base_cost, minlength=n)
    total = cost.sum()

    def marginal(m: Array) -> Array:
        """Revenue of one more unit of money in each campaign."""
        ref = np.where(curves.ref > 0, curves.ref, 1.0)
        now = curves.daily_cost / ref
        base = response.shape(now, beta)
        rate = response.slope(m[campaign] * now, beta) * now
        rate = np.where(base > 0, curves.base_revenue * rate / np.where(base > 0, base, 1.0), 0.0)
        sums = np.bincount(campaign, rate, minlength=n)
        return np.where(cost > 0, sums / np.where(cost > 0, cost, 1.0), 0.0)

    def at_price(price: float) -> Array:
        """Largest multiplier whose marginal revenue is still at least the price."""
        low, high = np.full(n, lo), np.full(n, hi)
        for _ in range(50):
            middle = (low + high) / 2
            worth = marginal(middle) >= price
            low, high = np.where(worth, middle, low), np.where(worth, high, middle)
        return np.where(marginal(np.full(n, lo)) < price, lo, low)

    cheap, dear = 0.0, float(marginal(np.full(n, lo)).max(initial=0.0)) + 1.0
    for _ in range(60):
        price = (cheap + dear) / 2
        if (at_price(price) * cost).sum() > total:
            cheap = price
        else:
            dear = price
    more, less = at_price(cheap), at_price(dear)
    gap = ((more - less) * cost).sum()
    share = ((total - (less * cost).sum()) / gap) if gap > 0 else 0.0
    out = less + np.clip(share, 0.0, 1.0) * (more - less)
    return np.where(cost > 0, out, 1.0)


@dataclasses.dataclass(frozen=True)
class Reallocation:
    """Same budget, better split; arrays per campaign."""

    multiplier: Array
    revenue_now: Array
    revenue_best: Array
    gain_lo: float | None
    gain_hi: float | None


def reallocate(
    curves: Curves,
    campaign: Array,
    n: int,
    change: float,
    level_sd: float | None,
    seed: int,
    draws: int = 200,
) -> Reallocation:
    """Best split within +-change per campaign, with an 80 % interval of the gain.

    Args:
        curves: series curves.
        campaign: series -> campaign number.
        n: number of campaigns.
        change: largest change of a campaign's budget, e.g. 0.3.
        level_sd: sd of the log error of a campaign's forecast; None: no interval.
        seed: of the draws of elasticities and levels.
        draws: number of draws.
    """
    m = _allocate(curves, campaign, n, change, curves.beta)
    now = np.bincount(campaign, curves.base_revenue, minlength=n)
    best = np.bincount(campaign, curves.revenue(m[campaign]), minlength=n)
    if level_sd is None or not now.sum() > 0:
        return Reallocation(m, now, best, None, None)
    rng = np.random.default_rng(seed)
    sd = (curves.beta_hi - curves.beta_lo) / 2 / 1.2816
    gains = np.empty(draws)
    for draw in range(draws):
        beta = np.clip(curves.beta + sd * rng.standard_normal(len(sd)), 0.05, 1.0)
        factor = np.exp(level_sd * rng.standard_normal(n) - level_sd**2 / 2)[campaign]
        changed = curves.revenue(m[campaign], beta) - curves.base_revenue
        gains[draw] = float((changed * factor).sum())
    lo, hi = np.quantile(gains, [0.1, 0.9])
    return Reallocation(m, now, best, float(lo), float(hi))
