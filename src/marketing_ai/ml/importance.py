"""Which features the forest uses, and which it would miss."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .backtest import Fit, Tested
from .features import NAMES
from .panel import Panel

Array = np.ndarray
REPEATS = 5  # shuffles per feature, averaged


def _group(name: str) -> str:
    """One-hot columns belong to their variable."""
    return name.split("=", 1)[0]


def table(panel: Panel, tested: Tested, final: Fit, seed: int) -> pd.DataFrame:
    """feature_importance rows; empty without a forest.

    MLlib's impurity importance favours features with many values, so the permutation importance
    stands beside it: the rise of the campaign-week error on the newest origin when a feature is
    shuffled, with a forest that had not seen that week.
    """
    if final.forest is None:
        return pd.DataFrame()
    groups = [_group(name) for name in final.names]
    order = list(dict.fromkeys(groups))
    mllib = {
        g: float(
            sum(v for v, name in zip(final.forest.importance, groups, strict=True) if name == g)
        )
        for g in order
    }
    rises = _permutation(panel, tested, groups, order, seed)
    frame = pd.DataFrame(
        {
            "output": "feature_importance",
            "feature": order,
            "meaning": [NAMES.get(name, f"which {name}") for name in order],
            "importance_mllib": [mllib[g] for g in order],
            "importance_permutation": [rises.get(g, np.nan) for g in order],
        }
    )
    key = frame["importance_permutation"].fillna(-9.0)
    frame = frame.assign(_key=key).sort_values(
        ["_key", "importance_mllib", "feature"], ascending=[False, False, True], kind="stable"
    )
    frame["rank"] = np.arange(1, len(frame) + 1)
    return frame.drop(columns="_key")


def _permutation(
    panel: Panel, tested: Tested, groups: list[str], order: list[str], seed: int
) -> dict[str, float]:
    """Rise of the error per feature on the newest origin; empty where it cannot be measured."""
    fit, state = tested.fit, tested.state
    if fit is None or state is None or fit.forest is None or fit.names is None:
        return {}
    block = next((b for b in tested.blocks if b.origin == state.origin and b.horizon == 1), None)
    if block is None or list(map(_group, fit.names)) != groups:
        return {}
    effective = block.predicted["own_efficiency"].sum(axis=1)
    use = effective > 0
    total = np.abs(block.actual[use]).sum()
    if use.sum() < 5 or not total > 0:
        return {}
    x = np.column_stack([state.x, np.ones(len(state.x))])[use]
    campaign = pd.factorize(panel.keys["campaign_id"], sort=True)[0][use]
    actual = np.bincount(campaign, block.actual[use].sum(axis=1))

    def error(columns: Array) -> float:
        factor = fit.forest.predict(columns) if fit.forest is not None else 1.0
        predicted = np.bincount(campaign, effective[use] * factor)
        return float(np.abs(actual - predicted).sum() / total)

    rng = np.random.default_rng(seed)
    plain = error(x)
    out = {}
    for name in order:
        at = [i for i, g in enumerate(groups) if g == name]
        rises = []
        for _ in range(REPEATS):
            shuffled = x.copy()
            shuffled[:, at] = x[rng.permutation(len(x))][:, at]
            rises.append(error(shuffled) - plain)
        out[name] = float(np.mean(rises))
    return out
