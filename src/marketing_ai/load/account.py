"""Tell the user what a load did: every delivered row is accepted or refused, and why."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from marketing_ai.load.landing import LoadResult, meaning

_CONSEQUENCE = {
    "leads": "conversions stand in for leads, and is_leads_reported says so",
    "revenue": "ROI, ROAS and AOV are null, and the forecast says why it cannot predict",
    "campaign_name": "the identifier is shown instead",
    "date": "rows have no day: no trend, no windows, no forecast of them",
    "impressions": "CTR and CPM are null",
    "clicks": "CTR, CVR and CPC are null",
    "conversions": "CVR, CPA and AOV are null",
    "cost": "CPL, CPA, CPC, CPM, ROI and ROAS are null",
    "channel": "every row is in channel unmapped",
    "segment": "every row is in segment unmapped",
}


def print_load(console: Console, result: LoadResult) -> None:
    """Print the account of one load.

    Args:
        console: where to print.
        result: what `load_file` returned.
    """
    if result.already:
        console.print(
            f"[green]✓[/] {result.file} was loaded before (load {result.load_no}): "
            "the same bytes change nothing",
            soft_wrap=True,
        )
        return
    days = f", {result.dates[0]} to {result.dates[1]}" if result.dates else ", without dates"
    console.print(
        f"[green]✓[/] {result.file} into {result.source} (load {result.load_no}): "
        f"{result.delivered:,} rows delivered = {result.accepted:,} accepted "
        f"+ {result.refused:,} refused{days}",
        soft_wrap=True,
    )
    lines = []
    for name in result.absent:
        lines.append(f"no column {name}: {_CONSEQUENCE[name]}")
    for rule, number in result.refused_by.items():
        lines.append(f"{number:,} refused, {rule}: {meaning(rule)}")
    for rule, number in result.warned_by.items():
        lines.append(f"{number:,} kept with a warning, {rule}: {meaning(rule)}")
    for channel, number in result.unmapped.items():
        lines.append(
            f"{number:,} rows of channel '{channel}', which the mapping doesn't know: "
            "kept as unmapped"
        )
    for name, number in result.empty.items():
        lines.append(f"{number:,} empty cells in {name}: they stay unknown, sums leave them out")
    for line in lines:
        # Names from files are data: no markup of theirs is read.
        console.print(Text(f"  {line}", style="yellow"), soft_wrap=True)
    for fault in result.faults:
        console.print(Text(f"    {fault}"), soft_wrap=True)
    if result.ignored:
        console.print(Text(f"  ignored, not ours: {', '.join(result.ignored)}"), soft_wrap=True)
