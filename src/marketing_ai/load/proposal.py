"""Write a proposal down: as YAML for the project, and on the terminal for the reader."""

from __future__ import annotations

import re

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from marketing_ai.load.inspect import Proposal
from marketing_ai.load.mapping import CANONICAL
from marketing_ai.load.presets import preset_text
from marketing_ai.load.wording import line_of, scalar, shown

MAX_IGNORED = 40  # columns that are listed with their reason
_ORDER = ("campaign_id", "campaign_name", "channel", "segment", "date")


def to_yaml(proposal: Proposal) -> str:
    """The mapping as YAML whose comments carry the reasons.

    Args:
        proposal: what `propose` found.

    Returns:
        Text that `read_mapping` takes as soon as the questions are answered.
    """
    source = proposal.settings["source"]
    file = shown(proposal.path.name)
    head = [
        f"# Proposed by `marketing inspect` from {file}.",
        f"# Read it, correct it, then: marketing load {file} --source {source}",
    ]
    if proposal.preset:
        text = re.sub(r"(?m)^source: .*$", f"source: {source}", preset_text(proposal.preset))
        lines = [*head, *text.rstrip().splitlines()]
        if "read" in proposal.settings:
            lines += ["read:", *_read(proposal)]
    else:
        lines = [*head, f"source: {source}"]
        if "read" in proposal.settings or _options(proposal, "dates", "signs"):
            lines += ["read:", *_read(proposal)]
        lines += ["columns:", *_columns(proposal)]
        for setting in ("currency", "version", "repeated_keys", "channels"):
            if setting in proposal.settings:
                value = proposal.settings[setting]
                lines.append(_commented(proposal, setting, line_of(setting, value)))
        if "unpivot" in proposal.settings:
            lines.append(_commented(proposal, "unpivot", "unpivot:"))
            for block in proposal.settings["unpivot"]:
                first, *rest = (line_of(ours, cell) for ours, cell in block.items())
                lines += [f"  - {first}", *(f"    {line}" for line in rest)]
    if proposal.personal:
        listed = scalar(list(proposal.personal))
        lines += [
            "# These columns look like personal data, and the file is refused because of them.",
            "# Take them out of the file; or take the # away below, and they are never stored.",
            f"# personal_data: {listed}",
        ]
    if proposal.questions:
        lines += ["# Nothing loads before each question is answered and deleted.", "questions:"]
        lines += [f"  - {scalar(question.text)}" for question in proposal.questions]
    lines += [f"# note: {note}" for note in proposal.notes]
    if proposal.ignored:
        lines.append("# not read:")
        ignored = list(proposal.ignored.items())
        lines += [f"#   {shown(name)}: {why}" for name, why in ignored[:MAX_IGNORED]]
        if len(ignored) > MAX_IGNORED:
            lines.append(f"#   and {len(ignored) - MAX_IGNORED} more")
    return "\n".join(lines) + "\n"


def _commented(proposal: Proposal, setting: str, line: str) -> str:
    reason = proposal.reasons.get(setting)
    return f"{line}  # {reason}" if reason else line


def _options(proposal: Proposal, *settings: str) -> list[str]:
    """The lines of open questions, one of which is to be chosen."""
    return [
        f"  # {part}  # {why}"
        for question in proposal.questions
        if question.setting in settings
        for line, why in question.options
        for part in (line.split("; ") if question.setting == "signs" else [line])
    ]


def _read(proposal: Proposal) -> list[str]:
    settings = proposal.settings.get("read", {})
    lines = [f"  {_commented(proposal, name, line_of(name, v))}" for name, v in settings.items()]
    return lines + _options(proposal, "dates", "signs")


def _columns(proposal: Proposal) -> list[str]:
    columns = proposal.settings["columns"]
    lines = []
    for ours in CANONICAL:
        if ours in columns:
            lines.append(f"  {_commented(proposal, ours, line_of(ours, columns[ours]))}")
        lines += _options(proposal, ours)
    return lines


def print_proposal(console: Console, proposal: Proposal) -> None:
    """Show what was found, what would be taken for what, and the first rows.

    Args:
        console: where to print.
        proposal: what `propose` found.
    """
    delivery = proposal.delivery
    read = proposal.settings.get("read", {})
    sniffed = ", ".join(line_of(name, value) for name, value in read.items())
    console.print(
        f"[bold]{escape(shown(proposal.path.name))}[/]: {proposal.format}, "
        f"{delivery.rows + delivery.broken:,} records, {len(delivery.header)} columns"
        f"{escape(f' ({sniffed})' if sniffed else '')}",
        soft_wrap=True,
    )
    for setting in read:
        if setting in proposal.reasons:
            console.print(f"  {setting}: {escape(proposal.reasons[setting])}", soft_wrap=True)
    table = Table("ours", "theirs", "why", box=None, header_style="bold", pad_edge=False)
    blocks = proposal.settings.get("unpivot", [])
    for block in (proposal.settings["columns"], *blocks):
        for ours, cell in block.items():
            why = proposal.reasons.get(ours, "") if block is proposal.settings["columns"] else ""
            table.add_row(ours, escape(_origin(cell)), escape(why))
    for setting in ("currency", "version", "repeated_keys", "channels", "unpivot"):
        if setting in proposal.settings:
            value = proposal.settings[setting]
            told = _origin(value) if isinstance(value, dict) else shown(str(value))
            told = f"{len(value)} groups" if setting == "unpivot" else told
            table.add_row(setting, escape(told), escape(proposal.reasons.get(setting, "")))
    console.print(table)
    if proposal.ignored:
        by_reason: dict[str, list[str]] = {}
        for name, why in proposal.ignored.items():
            by_reason.setdefault(why, []).append(shown(name))
        console.print("[bold]not read[/]")
        for why, found in by_reason.items():
            listed = ", ".join(found[:12]) + (
                f" and {len(found) - 12} more" if len(found) > 12 else ""
            )
            console.print(f"  {escape(listed)}: {escape(why)}", soft_wrap=True)
    for note in proposal.notes:
        console.print(f"[yellow]note[/] {escape(note)}", soft_wrap=True)
    if proposal.personal:
        console.print(
            f"[red]personal data[/] {escape(', '.join(map(shown, proposal.personal)))}: the file "
            "is refused unless these are taken out of it, or listed under personal_data",
            soft_wrap=True,
        )
    for question in proposal.questions:
        console.print(f"[red]question[/] {escape(question.text)}", soft_wrap=True)
        for line, why in question.options:
            console.print(f"  {escape(line)}  [dim]{escape(why)}[/]", soft_wrap=True)
    if proposal.rows:
        _print_rows(console, proposal)


def _origin(cell: dict[str, object]) -> str:
    """Where a column of ours comes from, in words."""
    if "constant" in cell:
        return f"always '{shown(str(cell['constant']))}'"
    origin = cell["from"]
    told = shown(origin) if isinstance(origin, str) else " + ".join(map(shown, origin))  # type: ignore[call-overload]
    if "divide_by" in cell:
        told += f" / {cell['divide_by']:,}"
    return told + (", rounded" if cell.get("round") else "")


def _print_rows(console: Console, proposal: Proposal) -> None:
    rows = proposal.rows
    names = [n for n in CANONICAL if any(row[n] is not None for row in rows)]
    table = Table("line", *names, "fault", box=None, header_style="bold", pad_edge=False)
    for row in rows:
        cells = ["" if row[n] is None else shown(str(row[n])) for n in names]
        fault = (
            f"{row['fault_column']}: '{shown(str(row['fault_value']))}'"
            if row["fault_column"]
            else ""
        )
        table.add_row(str(row["line"]), *map(escape, cells), escape(fault))
    console.print("[bold]the first rows would come out as[/]")
    console.print(table)
