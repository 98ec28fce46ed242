"""Has the world left the data that the model was tested on?"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import metrics
from .accuracy import Units
from .panel import Panel

ERROR_RATIO = 1.5  # the last two weeks' error against the earlier weeks'
COVERAGE = 0.65  # an 80 % interval that held less often than this in the last two weeks
PSI = 0.25  # the usual mark of a changed distribution
NEW_SHARE = 0.05  # share of spend of channels that were not there before


def check(panel: Panel, units: Units | None) -> dict[str, Any]:
    """Drift columns of model_runs.

    Args:
        panel: everything known.
        units: campaign-weeks of the backtest with intervals, or None.
    """
    out: dict[str, Any] = {}
    flags = []
    if units is not None:
        first = units.where(units.horizon == 1)
        origins = np.unique(first.origin)
        if len(origins) >= 4:
            new = first.origin >= origins[-2]
            late = metrics.scores(first.actual[new], first.predicted["published"][new])["wape"]
            early = metrics.scores(first.actual[~new], first.predicted["published"][~new])["wape"]
            if late is not None and early:
                out["drift_error_ratio"] = late / early
                if late / early > ERROR_RATIO:
                    flags.append("error_grew")
            known = new & np.isfinite(first.lower)
            if known.sum() >= 20:
                inside = (first.actual >= first.lower) & (first.actual <= first.upper)
                out["drift_coverage"] = float(inside[known].mean())
                if out["drift_coverage"] < COVERAGE:
                    flags.append("interval_too_narrow")
    days = panel.n_days
    if days >= 56:
        now, before = slice(days - 28, days), slice(max(0, days - 112), days - 28)
        cost_now = panel.cost[:, now].sum(axis=1)
        cost_before = panel.cost[:, before].sum(axis=1)
        channels = panel.keys["channel"].to_numpy()
        labels = sorted(set(channels))
        mix_now = np.array([cost_now[channels == c].sum() for c in labels])
        mix_before = np.array([cost_before[channels == c].sum() for c in labels])
        if cost_now.sum() > 0 and cost_before.sum() > 0:
            out["drift_psi_channel"] = metrics.psi(mix_before, mix_now)
            if out["drift_psi_channel"] > PSI:
                flags.append("channel_mix_changed")
            new_share = float(mix_now[mix_before == 0].sum() / cost_now.sum())
            if new_share > NEW_SHARE:
                flags.append("new_channel")
            out |= _roas_psi(panel, now, before, cost_now, cost_before, flags)
    out["drift_flags"] = ", ".join(flags)
    out["drift_status"] = (
        "drift" if flags else ("ok" if out.get("drift_error_ratio") else "unknown")
    )
    return out


def _roas_psi(
    panel: Panel,
    now: slice,
    before: slice,
    cost_now: np.ndarray,
    cost_before: np.ndarray,
    flags: list[str],
) -> dict[str, float]:
    """PSI of the series' ROAS over quintiles of the earlier period."""
    both = (cost_now > 0) & (cost_before > 0)
    # quintiles of fewer than 50 series would call sampling noise a change
    if both.sum() < 50:
        return {}
    old = panel.revenue_fit[:, before].sum(axis=1)[both] / cost_before[both]
    new = panel.revenue_fit[:, now].sum(axis=1)[both] / cost_now[both]
    edges = np.unique(np.quantile(old, [0.2, 0.4, 0.6, 0.8]))
    bins = len(edges) + 1
    expected = np.bincount(np.searchsorted(edges, old, side="right"), minlength=bins)
    observed = np.bincount(np.searchsorted(edges, new, side="right"), minlength=bins)
    value = metrics.psi(expected.astype(float), observed.astype(float))
    if value > PSI:
        flags.append("efficiency_changed")
    return {"drift_psi_roas": value}
