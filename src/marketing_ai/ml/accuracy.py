"""forecast_accuracy: every model, every slice, every origin, on campaigns and weeks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from . import backtest, intervals, metrics
from .backtest import Block
from .features import WEEK
from .panel import Panel

Array = np.ndarray

BASELINES = ("last_value", "seasonal_naive", "channel_roi", "own_roi", "loglog_ridge")
MODELS = ("published", *backtest.CANDIDATES, *BASELINES, "channel_mean")
CALIBRATION_ORIGINS = 8  # two months: enough scores per third, young enough to follow a change
MIN_CALIBRATION = 4
REFERENCE_SCALES = tuple(np.round(np.arange(0.5, 1.21, 0.05), 2).tolist())
BUDGET_CHANGED = 0.30  # a week whose cost differs by more than 30 % from the week before


@dataclasses.dataclass(frozen=True)
class Units:
    """Forecasts of one unit kind, one row per unit, block and day or week.

    Attributes:
        origin, horizon, campaign: n codes.
        actual: n.
        cost: n.
        predicted: model -> n (NaN where the model did not exist).
        lower, upper: n interval of the published forecast (NaN where none).
    """

    origin: Array
    horizon: Array
    code: Array
    actual: Array
    cost: Array
    predicted: dict[str, Array]
    lower: Array
    upper: Array

    def where(self, mask: Array) -> Units:
        """Only the rows of the mask."""
        return Units(
            self.origin[mask],
            self.horizon[mask],
            self.code[mask],
            self.actual[mask],
            self.cost[mask],
            {name: values[mask] for name, values in self.predicted.items()},
            self.lower[mask],
            self.upper[mask],
        )


def published_models(blocks: list[Block], gain: float) -> dict[int, str]:
    """Origin -> the model that the gate would have published then."""
    origins = sorted({block.origin for block in blocks})
    return {origin: backtest.gate(blocks, origin, gain) for origin in origins}


def units_of(
    blocks: list[Block], chosen: dict[int, str], code: Array, n: int, daily: bool
) -> Units:
    """Sum series into units (campaigns, channels, ...) per week, or per day.

    Units without planned cost are left out: nothing is forecast without a budget.
    """
    pieces: list[tuple[Array, ...]] = []
    for block in blocks:

        def total(values: Array) -> Array:
            if not daily:
                return metrics.group_sum(values, code, n)
            out = np.zeros((n, values.shape[1]))
            np.add.at(out, code, values)
            return out.ravel()

        cost, actual = total(block.cost), total(block.actual)
        keep = cost > 0
        unit = np.arange(n) if not daily else np.repeat(np.arange(n), block.cost.shape[1])
        row = [np.full(int(keep.sum()), block.origin), np.full(int(keep.sum()), block.horizon)]
        row += [unit[keep], actual[keep], cost[keep]]
        for model in MODELS:
            name = chosen[block.origin] if model == "published" else model
            if name in block.predicted:
                row.append(total(block.predicted[name])[keep])
            else:
                row.append(np.full(int(keep.sum()), np.nan))
        pieces.append(tuple(row))
    columns = [np.concatenate(column) for column in zip(*pieces, strict=True)]
    empty = np.full(len(columns[0]), np.nan)
    return Units(
        columns[0],
        columns[1],
        columns[2],
        columns[3],
        columns[4],
        dict(zip(MODELS, columns[5:], strict=True)),
        empty,
        empty.copy(),
    )


def with_intervals(units: Units) -> Units:
    """Interval of the published forecast from origins whose weeks had ended before each origin."""
    lower, upper = units.lower.copy(), units.upper.copy()
    for horizon in np.unique(units.horizon):
        at_horizon = units.horizon == horizon
        for origin in np.unique(units.origin[at_horizon]):
            calibration = calibration_at(units, int(origin), int(horizon))
            if calibration is None:
                continue
            now = at_horizon & (units.origin == origin)
            low, high = calibration.bounds(units.predicted["published"][now])
            lower[now], upper[now] = low, high
    return dataclasses.replace(units, lower=lower, upper=upper)


def calibration_at(units: Units, origin: int, horizon: int) -> intervals.Calibration | None:
    """Interval rule known at an origin for forecasts of a horizon (weeks)."""
    known = (units.horizon == horizon) & (units.origin + WEEK * units.horizon <= origin)
    origins = np.unique(units.origin[known])
    if len(origins) < MIN_CALIBRATION:
        return None
    recent = known & (units.origin >= origins[-CALIBRATION_ORIGINS:][0])
    return intervals.calibrate(units.predicted["published"][recent], units.actual[recent])


def _row(units: Units, model: str, **more: Any) -> dict[str, Any] | None:
    """One row of forecast_accuracy; None where the model made no forecast."""
    predicted = units.predicted[model]
    use = np.isfinite(predicted)
    if not use.any():
        return None
    row: dict[str, Any] = {
        "model": model,
        "n_units": int(use.sum()),
        "actual_revenue": float(units.actual[use].sum()),
        "predicted_revenue": float(predicted[use].sum()),
        **metrics.scores(units.actual[use], predicted[use]),
        **more,
    }
    known = use & np.isfinite(units.lower)
    if model == "published" and known.sum() >= 5:
        inside = (units.actual >= units.lower) & (units.actual <= units.upper)
        row["coverage_80"] = float(inside[known].mean())
        big = known & (predicted >= np.quantile(predicted[known], 2 / 3))
        row["coverage_80_biggest_third"] = float(inside[big].mean())
        width = (units.upper - units.lower)[known].sum()
        row["interval_width"] = float(width / max(predicted[known].sum(), 1e-9))
    return row


def table(
    panel: Panel, blocks: list[Block], chosen: dict[int, str]
) -> tuple[pd.DataFrame, Units | None]:
    """Rows of forecast_accuracy without run columns, and the campaign-week units behind them."""
    if not blocks:
        return pd.DataFrame(), None
    keys = panel.keys
    campaign = pd.factorize(keys["campaign_id"], sort=True)[0]
    n = int(campaign.max()) + 1
    series = np.arange(len(keys))
    weekly = with_intervals(units_of(blocks, chosen, campaign, n, daily=False))
    daily = with_intervals(units_of(blocks, chosen, series, len(keys), daily=True))
    whole = units_of(blocks, chosen, np.zeros(len(keys), dtype=int), 1, daily=False)
    rows: list[dict[str, Any] | None] = []

    def add(units: Units, unit: str, name: str, value: str, horizon: int, **more: Any) -> None:
        if not len(units.actual):
            return
        part = [
            _row(
                units,
                model,
                unit=unit,
                slice=name,
                slice_value=value,
                horizon_weeks=horizon,
                **more,
            )
            for model in MODELS
        ]
        reached = {row["model"]: row["wape"] for row in part if row and row["wape"] is not None}
        simple = {name: reached[name] for name in BASELINES if name in reached}
        best = min(simple, key=lambda name: (simple[name], name)) if simple else None
        for row in part:
            if row is None:
                continue
            row["best_baseline"] = best
            if best is not None and row["wape"] is not None and simple[best] > 0:
                row["wape_against_best_baseline"] = row["wape"] / simple[best]
            rows.append(row)

    for horizon in sorted({int(h) for h in weekly.horizon}):
        add(weekly.where(weekly.horizon == horizon), "campaign_week", "all", "all", horizon)
        add(daily.where(daily.horizon == horizon), "series_day", "all", "all", horizon)
        add(whole.where(whole.horizon == horizon), "portfolio_week", "all", "all", horizon)
    first = weekly.where(weekly.horizon == 1)
    for origin in np.unique(first.origin):
        date = panel.dates[int(origin)].date()
        add(
            first.where(first.origin == origin),
            "campaign_week",
            "origin",
            date.isoformat(),
            1,
            origin_date=date,
        )
    rows += _newest_week(panel, first)
    expected = first.predicted["published"]
    edges = np.quantile(expected, [1 / 3, 2 / 3])
    third = np.searchsorted(edges, expected, side="right")
    for index, label in enumerate(("smallest third", "middle third", "biggest third")):
        add(first.where(third == index), "campaign_week", "size", label, 1)
    add(first.where(_changed(panel, first, campaign, n)), "campaign_week", "budget", "changed", 1)
    one = [block for block in blocks if block.horizon == 1]
    for channel in sorted(keys["channel"].unique()):
        inside = (keys["channel"] == channel).to_numpy()
        part = [
            dataclasses.replace(
                block,
                cost=block.cost[inside],
                actual=block.actual[inside],
                predicted={name: values[inside] for name, values in block.predicted.items()},
            )
            for block in one
        ]
        units = units_of(part, chosen, campaign[inside], n, daily=False)
        add(units, "campaign_week", "channel", channel, 1)
    return pd.DataFrame([row for row in rows if row is not None]), weekly


def _newest_week(panel: Panel, units: Units) -> list[dict[str, Any] | None]:
    """The published forecast of the newest tested week, campaign by campaign, with its interval."""
    origin = int(units.origin.max())
    names = sorted(panel.keys["campaign_id"].unique())
    out: list[dict[str, Any] | None] = []
    for index in np.flatnonzero(units.origin == origin):
        row = _row(
            units.where(np.arange(len(units.actual)) == index),
            "published",
            unit="campaign_week",
            slice="campaign",
            slice_value=names[int(units.code[index])],
            horizon_weeks=1,
            origin_date=panel.dates[origin].date(),
        )
        if row is not None:
            row["revenue_lower_80"], row["revenue_upper_80"] = (
                units.lower[index],
                units.upper[index],
            )
        out.append(row)
    return out


def _changed(panel: Panel, units: Units, campaign: Array, n: int) -> Array:
    """Campaign-weeks whose cost moved by more than 30 % against the week before."""
    before = np.zeros(len(units.actual))
    for origin in np.unique(units.origin):
        past = panel.cost[:, max(0, int(origin) - 6) : int(origin) + 1]
        cost = metrics.group_sum(past, campaign, n)
        at = units.origin == origin
        before[at] = cost[units.code[at]]
    return np.asarray((before > 0) & (np.abs(units.cost - before) > BUDGET_CHANGED * before))


def verdict(units: Units | None, n_origins: int) -> tuple[str, str]:
    """What the backtest allows to say, and why.

    ``no_signal`` needs the published forecast not to beat the channel's mean revenue per active
    day, a forecast that knows neither campaign nor budget, by 2 % and by more than chance.
    """
    if units is None or n_origins < 4:
        return "insufficient_data", f"{n_origins} weekly origins to test on, 4 are needed"
    first = units.where(units.horizon == 1)
    if len(first.actual) < MIN_CALIBRATION * 5 or not np.abs(first.actual).sum() > 0:
        return "insufficient_data", f"{len(first.actual)} campaign-weeks to test on"
    wape = {
        name: metrics.scores(first.actual, first.predicted[name])["wape"] or 0.0
        for name in ("published", *BASELINES)
    }
    # heavy tails favour any low guess: the reference may choose its scale with hindsight
    plain = first.predicted["channel_mean"]
    reference = min(
        (scale * plain for scale in REFERENCE_SCALES),
        key=lambda values: float(np.abs(first.actual - values).sum()),
    )
    gain = np.abs(first.actual - reference) - np.abs(first.actual - first.predicted["published"])
    t_value = float(gain.mean() / max(gain.std(ddof=1) / np.sqrt(len(gain)), 1e-12))
    own, mean = wape["published"], metrics.scores(first.actual, reference)["wape"] or 0.0
    if own > 0.98 * mean or t_value < 1.64:
        return (
            "no_signal",
            f"error {own:.3f} against {mean:.3f} of the channel's mean day: "
            "campaign and budget explain nothing",
        )
    best = min(BASELINES, key=lambda name: (wape[name], name))
    other = wape[best]
    text = f"error {own:.3f} against {other:.3f} of the best baseline ({best})"
    return ("beats_baselines" if own <= other else "behind_baseline"), text
