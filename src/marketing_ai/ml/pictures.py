"""Draws the published forecast and segments: ``python -m marketing_ai.ml.pictures [folder]``.

Reads published tables only (no Spark, no model), so a picture cannot show what was not published.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .response import revenue_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, BLUE, ORANGE = "#222222", "#bbbbbb", "#1f6fb2", "#d9730d"
COLOURS = ["#1f6fb2", "#2e9e5b", "#d9730d", "#8a4fbf", "#c23b4b", "#7a7a7a", "#1aa6a6"]
Reader = Callable[[str], pd.DataFrame]


def _axes(width: float = 8.0, height: float = 4.5) -> tuple[Any, Axes]:
    """A figure with one quiet pair of axes."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    return figure, axes


def forecast_picture(read: Reader) -> Any:
    """Daily revenue of all campaigns: what was, what is expected, and the weekly error band."""
    past = read("marketing_kpi").groupby("date")["revenue"].sum().astype(float).sort_index()
    future = read("revenue_forecast").groupby("date")["predicted_revenue"].sum().sort_index()
    scenarios = read("budget_scenarios")
    whole = scenarios[(scenarios["scope"] == "portfolio") & (scenarios["budget_multiplier"] == 1)]
    figure, axes = _axes()
    recent = past.iloc[-84:]
    axes.plot(pd.to_datetime(recent.index), recent.to_numpy(), color=INK, lw=1, label="actual")
    days = pd.to_datetime(future.index)
    axes.plot(days, future.to_numpy(), color=BLUE, lw=2, label="expected")
    title = "Expected revenue, next 28 days"
    if len(whole) and pd.notna(whole["revenue_lower_80"].iloc[0]):
        low, high = whole["revenue_lower_80"].iloc[0], whole["revenue_upper_80"].iloc[0]
        total = whole["revenue"].iloc[0]
        axes.fill_between(
            days,
            future * low / total,
            future * high / total,
            color=BLUE,
            alpha=0.15,
            lw=0,
            label="80 % interval of the 28-day total",
        )
        title += f": {total:,.0f} ({low:,.0f} to {high:,.0f})"
    axes.set_ylim(bottom=0)
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_ylabel("revenue per day")
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    return figure


def backtest_picture(read: Reader) -> Any:
    """Error per origin: the published forecast beside the best baseline."""
    table = read("forecast_accuracy")
    rows = table[(table["slice"] == "origin") & (table["unit"] == "campaign_week")]
    figure, axes = _axes()
    pooled = table[(table["slice"] == "all") & (table["unit"] == "campaign_week")]
    best = pooled[pooled["horizon_weeks"] == 1]["best_baseline"].iloc[0]
    for model, colour in (("published", BLUE), (best, ORANGE), ("channel_mean", SOFT)):
        part = rows[rows["model"] == model].sort_values("origin_date")
        axes.plot(
            pd.to_datetime(part["origin_date"]),
            part["wape"],
            color=colour,
            marker="o",
            ms=4,
            label=f"best baseline: {model}" if model == best else model.replace("_", " "),
        )
    axes.set_ylim(bottom=0)
    axes.set_title("Error of one week ahead, by origin (campaign-weeks)", loc="left", fontsize=11)
    axes.set_ylabel("WAPE")
    axes.legend(frameon=False, fontsize=9)
    return figure


def actual_picture(read: Reader) -> Any:
    """The newest tested week, campaign by campaign: forecast with its interval, and what came."""
    table = read("forecast_accuracy")
    rows = table[table["slice"] == "campaign"].sort_values("predicted_revenue").iloc[-40:]
    figure, axes = _axes(8.0, max(3.5, 0.2 * len(rows) + 1.2))
    y = np.arange(len(rows))
    low = rows["revenue_lower_80"].fillna(rows["predicted_revenue"]).to_numpy(dtype=float)
    high = rows["revenue_upper_80"].fillna(rows["predicted_revenue"]).to_numpy(dtype=float)
    # a log axis has no zero: the interval then runs to the left edge
    floor = 0.3 * float(rows[["predicted_revenue", "actual_revenue"]].clip(lower=1e-9).min().min())
    axes.hlines(y, np.maximum(low, floor), high, color="#8fb8d9", lw=5, label="80 % interval")
    axes.plot(rows["predicted_revenue"], y, "|", color=BLUE, ms=10, mew=2, label="forecast")
    axes.plot(rows["actual_revenue"], y, "o", color=INK, ms=4, label="actual")
    axes.set_xscale("log")
    axes.set_yticks(y, rows["slice_value"], fontsize=8)
    day = pd.Timestamp(rows["origin_date"].iloc[0]).date()
    inside = ((rows["actual_revenue"] >= low) & (rows["actual_revenue"] <= high)).mean()
    axes.set_title(
        f"The week after {day}: forecast and actual by campaign ({inside:.0%} inside)",
        loc="left",
        fontsize=11,
    )
    axes.set_xlabel("revenue of the week")
    axes.legend(frameon=False, fontsize=9)
    return figure


def leaderboard_picture(read: Reader) -> Any:
    """Leaderboard: every model's pooled error."""
    table = read("forecast_accuracy")
    rows = table[
        (table["slice"] == "all")
        & (table["unit"] == "campaign_week")
        & (table["horizon_weeks"] == 1)
    ].sort_values("wape", ascending=False)
    figure, axes = _axes()
    colours = {"published": BLUE, "candidate": "#8fb8d9", "baseline": ORANGE, "reference": SOFT}
    axes.barh(
        [name.replace("_", " ") for name in rows["model"]],
        rows["wape"],
        color=[colours[kind] for kind in rows["model_kind"]],
    )
    for y, value in enumerate(rows["wape"]):
        axes.text(value, y, f" {value:.3f}", va="center", fontsize=9, color=INK)
    title = "Error on campaign-weeks, rolling weekly origins (lower is better)"
    covered = rows.loc[rows["model"] == "published", "coverage_80"]
    if len(covered) and pd.notna(covered.iloc[0]):
        title += f"\n80 % interval of the published forecast held {covered.iloc[0]:.0%}"
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("WAPE")
    return figure


def curves_picture(read: Reader) -> Any:
    """Revenue at half to double the budget, by channel, with where budgets were seen."""
    curves = read("response_curves")
    grid = read("budget_scenarios")
    figure, axes = _axes()
    steps = np.linspace(0.5, 2.0, 61)
    columns = ["base_revenue", "planned_daily_cost", "reference_daily_cost", "elasticity"]
    curves = curves.dropna(subset=columns)
    for number, (channel, part) in enumerate(curves.groupby("channel")):
        base = part["base_revenue"].sum()
        if not base > 0:
            continue
        arrays = [part[name].to_numpy(dtype=float) for name in columns]
        total = np.array([revenue_at(m, *arrays).sum() for m in steps]) / base
        seen = grid[(grid["scope"] == "channel") & (grid["scope_id"] == channel)]
        known = seen[seen["support"] == "observed"]["budget_multiplier"].max()
        known = 1.0 if pd.isna(known) else known
        colour = COLOURS[number % len(COLOURS)]
        inside = steps <= known + 1e-9
        axes.plot(steps[inside], total[inside], color=colour, lw=2, label=str(channel))
        axes.plot(steps[~inside], total[~inside], color=colour, lw=1.5, ls=":")
    axes.plot(steps, steps, color=SOFT, lw=1, label="double budget, double revenue")
    axes.set_title(
        "Revenue against budget by channel (dotted: beyond what was seen)", loc="left", fontsize=11
    )
    axes.set_xlabel("budget, 1 = plan")
    axes.set_ylabel("revenue, 1 = plan")
    axes.legend(frameon=False, fontsize=9)
    return figure


def segments_picture(read: Reader) -> Any:
    """Campaigns on return x spend, coloured by segment."""
    rows = read("campaign_segments")
    rows = rows[(rows["status"] == "assigned") & (rows["roas"] > 0)]
    figure, axes = _axes(8.0, 5.5)
    for number, (name, part) in enumerate(rows.groupby("performance_segment")):
        axes.scatter(
            part["daily_cost"],
            part["roas"],
            s=45,
            color=COLOURS[number % len(COLOURS)],
            label=f"{name} ({len(part)})",
        )
    for row in rows.itertuples():
        axes.annotate(
            str(row.campaign_name or row.campaign_id),
            (row.daily_cost, row.roas),
            textcoords="offset points",
            xytext=(5, 3),
            fontsize=7,
            color="#666666",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
    axes.axhline(rows["revenue"].sum() / rows["cost"].sum(), color=SOFT, lw=1)
    axes.axvline(rows["daily_cost"].median(), color=SOFT, lw=1)
    axes.set_xlabel("cost per active day")
    axes.set_ylabel("return on spend (revenue / cost)")
    axes.set_title(
        "Performance segments (lines: target return, median spend)", loc="left", fontsize=11
    )
    axes.legend(frameon=False, fontsize=9)
    return figure


PICTURES: dict[str, Callable[[Reader], Any]] = {
    "forecast_next_28_days": forecast_picture,
    "forecast_error_by_origin": backtest_picture,
    "forecast_against_actual": actual_picture,
    "forecast_leaderboard": leaderboard_picture,
    "response_curves": curves_picture,
    "performance_segments": segments_picture,
}


def draw(read: Reader, folder: Path) -> list[Path]:
    """Write every picture that the tables allow.

    Args:
        read: table name -> frame.
        folder: where the PNG files go; made if absent.

    Returns:
        Paths written; a picture whose table is empty is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, make in PICTURES.items():
        try:
            figure = make(read)
        except (IndexError, ValueError, KeyError):
            continue
        path = folder / f"{name}.png"
        # no software tag or date: the same tables give the same file
        figure.savefig(path, dpi=110, metadata={"Software": None})
        written.append(path)
    return written


def main() -> None:
    """Draw the current publication into screenshots/, or into the folder given."""
    from marketing_ai.lake import current_publication
    from marketing_ai.paths import find_paths

    publication = current_publication()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else find_paths().root / "screenshots"

    def read(table: str) -> pd.DataFrame:
        return pd.DataFrame(publication.read(table).to_dict(as_series=False))

    for path in draw(read, folder):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
