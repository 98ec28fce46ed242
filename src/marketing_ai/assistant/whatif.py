"""What-ifs: revenue at another budget, from the published response curves.

The same function as the forecast's own scenarios, for any change and any scope. The interval of
the difference comes from the elasticities' intervals; that of the revenue also from the stored
forecast's, where its scope has one; beyond 1.5 times the largest spend ever seen there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from marketing_ai.ml.response import revenue_at
from marketing_ai.ml.scenarios import SUPPORT_NAMES, Curves, support

EVIDENCE = ("experiment", "estimated", "assumed", "confounded", "no_signal")
MONEY_SHARE = 0.9


class NoBudgetError(LookupError):
    """Nothing is planned in the scope, so there is nothing to scale."""


@dataclass(frozen=True)
class Scenario:
    """Revenue of the horizon at a changed budget; money, None where nothing can be said."""

    change: float
    base_cost: float
    cost: float
    base_revenue: float
    revenue: float | None
    revenue_lower_80: float | None
    revenue_upper_80: float | None
    delta_revenue: float | None
    delta_revenue_lower_80: float | None
    delta_revenue_upper_80: float | None
    support: str
    evidence: str


def simulate(
    rows: list[dict[str, Any]],
    change: float | None,
    amount: float | None,
    stored: dict[str, Any] | None = None,
) -> Scenario:
    """Scale the planned budget of some response curves.

    Args:
        rows: rows of `response_curves`.
        change: fraction of the planned cost, or None.
        amount: money on top of the planned cost of the horizon, or None.
        stored: the plan's own row of `budget_scenarios` (multiplier 1), if the scope has one.

    Raises:
        NoBudgetError: no cost is planned.
        ValueError: the budget would be below 0 or above ten times the plan.
    """
    base_cost = float(sum(r["base_cost"] or 0 for r in rows))
    base_revenue = float(sum(r["base_revenue"] or 0 for r in rows))
    if base_cost <= 0:
        raise NoBudgetError("no budget is planned there")
    multiplier = 1 + (change if change is not None else (amount or 0) / base_cost)
    if not 0 <= multiplier <= 10:
        raise ValueError("the budget would be below 0 or above ten times the plan")
    column = {
        name: np.array([np.nan if r[name] is None else float(r[name]) for r in rows])
        for name in rows[0]
        if name
        not in ("campaign_id", "campaign_name", "channel", "segment", "evidence", "as_of_date")
    }
    money = np.nan_to_num(column["base_cost"])
    evidence = _worst([EVIDENCE.index(r["evidence"]) for r in rows], money)
    silent = bool(np.isnan(column["elasticity"]).all())

    def revenue(elasticity: np.ndarray) -> float:
        values = revenue_at(
            multiplier,
            np.nan_to_num(column["base_revenue"]),
            np.nan_to_num(column["planned_daily_cost"]),
            np.nan_to_num(column["reference_daily_cost"]),
            np.nan_to_num(elasticity, nan=1.0),
        )
        return float(values.sum())

    low, high = column["elasticity_lower_80"], column["elasticity_upper_80"]
    curves = Curves(
        base_revenue=column["base_revenue"], base_cost=money,
        daily_cost=column["planned_daily_cost"], ref=column["reference_daily_cost"],
        beta=column["elasticity"], beta_lo=low, beta_hi=high,
        cost_p95=column["daily_cost_p95"], cost_max=column["daily_cost_max"],
    )  # fmt: skip
    supported = SUPPORT_NAMES[_worst(list(support(curves, multiplier)), money)]
    expected = revenue(column["elasticity"])
    ends = sorted((revenue(low), revenue(high)))
    unsure = supported == "extrapolated"
    scale = None
    if stored and stored["revenue"] and stored["revenue_lower_80"] is not None:
        scale = (
            stored["revenue_lower_80"] / stored["revenue"],
            stored["revenue_upper_80"] / stored["revenue"],
        )
    known = not silent
    return Scenario(
        change=multiplier - 1,
        base_cost=base_cost,
        cost=base_cost * multiplier,
        base_revenue=base_revenue,
        revenue=expected if known else None,
        revenue_lower_80=scale[0] * ends[0] if scale and known and not unsure else None,
        revenue_upper_80=scale[1] * ends[1] if scale and known and not unsure else None,
        delta_revenue=expected - base_revenue if known else None,
        delta_revenue_lower_80=ends[0] - base_revenue if known and not unsure else None,
        delta_revenue_upper_80=ends[1] - base_revenue if known and not unsure else None,
        support=supported,
        evidence=EVIDENCE[evidence] if known else "no_signal",
    )


def _worst(ranks: list[int], money: np.ndarray) -> int:
    """Smallest rank that holds 90 % of the money: a tenth of it does not decide."""
    order = np.array(ranks)
    for level in sorted(set(ranks)):
        if money[order <= level].sum() >= MONEY_SHARE * money.sum():
            return int(level)
    return int(order.max())
