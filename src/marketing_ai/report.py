"""What a build ends with: tables, KPIs per channel, forecast accuracy, segments, what to do next.

Everything shown is read from the published tables; nothing is computed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.table import Table

from marketing_ai.lake.publication import Publication, current_publication
from marketing_ai.paths import Paths

if TYPE_CHECKING:
    from marketing_ai.build import BuildResult


def print_report(
    console: Console, paths: Paths, result: BuildResult | None = None, *, own_data: bool = False
) -> None:
    """Print the report of the current publication.

    Args:
        console: where to print.
        paths: folders of the project.
        result: what dbt did just now, for the seconds; None when nothing was built.
        own_data: the build used the user's file, which later plain dbt commands must be told.

    Raises:
        marketing_ai.lake.publication.NotPublishedError: nothing is published.
    """
    publication = current_publication(paths)
    console.print()
    _print_tables(console, publication, result)
    _print_channels(console, publication)
    _print_forecast(console, publication)
    _print_segments(console, publication)
    if result is not None:
        tests = result.tests
        console.print(
            f"{tests['pass']} tests passed"
            + (f", [yellow]{tests['warn']} warned[/]" if tests["warn"] else "")
            + f" in {result.seconds:.0f} s with dbt. "
            f"Published {publication.published_at:%Y-%m-%d %H:%M:%S} UTC."
        )
    _print_next(console, own_data)


def _print_tables(console: Console, publication: Publication, result: BuildResult | None) -> None:
    table = Table(title="Published tables", title_justify="left")
    table.add_column("table")
    table.add_column("rows", justify="right")
    table.add_column("Delta version", justify="right")
    if result is not None:
        table.add_column("seconds", justify="right")
    for name in sorted(publication.versions):
        cells = [name, f"{publication.row_counts[name]:,}", str(publication.versions[name])]
        if result is not None:
            seconds = result.model_seconds.get(name)
            cells.append("" if seconds is None else f"{seconds:.1f}")
        table.add_row(*cells)
    console.print(table)


def _print_channels(console: Console, publication: Publication) -> None:
    channels = publication.read("marketing_kpi_channel").sort("cost", descending=True)
    table = Table(title="KPIs per channel", title_justify="left")
    table.add_column("channel")
    for heading in ("cost", "revenue", "CTR", "CVR", "CPL", "ROI"):
        table.add_column(heading, justify="right")
    for row in channels.iter_rows(named=True):
        table.add_row(
            row["channel"],
            _number(row["cost"], "{:,.0f}"),
            _number(row["revenue"], "{:,.0f}"),
            _number(row["ctr"], "{:.2%}"),
            _number(row["cvr"], "{:.2%}"),
            _number(row["cpl"], "{:,.2f}"),
            _number(row["roi"], "{:+.1%}"),
        )
    console.print(table)


def _print_forecast(console: Console, publication: Publication) -> None:
    runs = publication.read("model_runs").filter(pl.col("run_model") == "revenue")
    for run in runs.iter_rows(named=True):
        console.print("[bold]Revenue forecast[/]")
        if run["wape"] is None:
            console.print(f"  none: {run['reason']}", markup=False)
            continue
        console.print(
            f"  error per campaign-week (WAPE) {run['wape']:.1%} against "
            f"{run['wape'] / run['wape_against_best_baseline']:.1%} of the best baseline "
            f"({run['best_baseline']}): {run['verdict'].replace('_', ' ')}"
        )
        if run["verdict"] != "beats_baselines" and run["reason"]:
            console.print(f"  {run['reason']}", markup=False)
    scenario = publication.read("budget_scenarios").filter(
        (pl.col("scope") == "portfolio") & (pl.col("budget_multiplier") == 1.2)
    )
    for row in scenario.iter_rows(named=True):
        if row["delta_revenue"] is None or row["incremental_roi"] is None:
            continue
        console.print(
            f"  budget +20 %: revenue {row['delta_revenue']:+,.0f}, ROI of the extra budget "
            f"{row['incremental_roi']:+.0%} ({row['support']}, {row['evidence']})"
        )


def _print_segments(console: Console, publication: Publication) -> None:
    profiles = publication.read("segment_profiles").sort("roi_rank", nulls_last=True)
    table = Table(title="Performance segments", title_justify="left")
    table.add_column("segment")
    for heading in ("campaigns", "cost", "ROI"):
        table.add_column(heading, justify="right")
    table.add_column("suggested action")
    for row in profiles.iter_rows(named=True):
        table.add_row(
            row["performance_segment"],
            str(row["n_campaigns"]),
            _number(row["cost"], "{:,.0f}"),
            _number(row["roi"], "{:+.1%}"),
            row["suggested_action"],
        )
    console.print(table)


def _number(value: object, pattern: str) -> str:
    """Format a number; a dash where there is none, which is not the same as 0."""
    return "–" if value is None else pattern.format(value)


def _print_next(console: Console, own_data: bool) -> None:
    console.print("\n[bold]Next[/]")
    if own_data:
        console.print(
            "  plain dbt commands on this data: set marketing_data: own under vars: in "
            "dbt_project.yml"
        )
    else:
        console.print("  marketing inspect your.csv   your own data: see docs/load.md")
    console.print("  make docs                    the lineage site")
    console.print("  make test                    lint, every test, twice")
