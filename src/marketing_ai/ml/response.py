"""Revenue as a function of budget: monotone, concave, path-independent by construction.

A day's revenue at cost ``b`` is ``level * ref * g(b / ref)`` with ``g(m) = m ** beta`` from half
of the recent spend upwards, and a straight line to zero below (``reference/ml.md`` §3).
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray
# Below half of the recent spend nothing was observed; a straight line to 0 promises least.
KINK = 0.5


def shape(m: Array | float, beta: Array | float) -> Array:
    """g(m): response relative to recent spend; arrays broadcast; g(0) = 0 and g(1) = 1.

    Args:
        m: cost / reference cost, >= 0.
        beta: elasticity in (0, 1].
    """
    ratio = np.asarray(m, dtype=float)
    power = np.power(np.maximum(ratio, KINK), beta)
    return np.where(ratio >= KINK, power, np.power(KINK, beta) * ratio / KINK)


def slope(m: Array | float, beta: Array | float) -> Array:
    """Right-hand derivative of :func:`shape` in m."""
    ratio = np.asarray(m, dtype=float)
    above = np.asarray(beta) * np.power(np.maximum(ratio, KINK), np.asarray(beta) - 1.0)
    return np.where(ratio >= KINK, above, np.power(KINK, beta) / KINK)


def units(cost: Array, ref: Array, beta: Array) -> Array:
    """Cost in effective money: ``ref * g(cost / ref)``, 0 where the reference is 0."""
    safe = np.where(ref > 0, ref, 1.0)
    return np.where(ref > 0, safe * shape(cost / safe, beta), 0.0)


def revenue_at(
    multiplier: Array | float,
    base_revenue: Array,
    planned_daily_cost: Array,
    reference_daily_cost: Array,
    elasticity: Array,
) -> Array:
    """Revenue when the planned cost is multiplied, from a row of ``response_curves``.

    The dbt macro ``revenue_at_budget`` is the same expression in SQL (tested to agree).

    Args:
        multiplier: >= 0; 1 gives ``base_revenue`` exactly.
        base_revenue: expected revenue at the planned cost.
        planned_daily_cost: planned cost of a day; 0 gives 0.
        reference_daily_cost: recent spend of a day.
        elasticity: per cent of revenue per per cent of budget, in (0, 1].
    """
    ref = np.where(np.asarray(reference_daily_cost) > 0, reference_daily_cost, 1.0)
    now = np.asarray(planned_daily_cost, dtype=float) / ref
    base = shape(now, elasticity)
    scale = shape(np.asarray(multiplier) * now, elasticity) / np.where(base > 0, base, 1.0)
    known = (base > 0) & (np.asarray(reference_daily_cost) > 0)
    return np.where(known, np.asarray(base_revenue) * scale, 0.0)
