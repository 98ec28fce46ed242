"""Seeded faults: the evaluation of the assistant must notice each of them.

A fault is one change of the source, made in a copy of the package; the evaluation then runs on the
copy. It is caught when the run ends with an error, fails a bar, or has fewer right answers than
without the fault. A fault whose text is no longer in the source is an error, so none goes stale.
`python -m evaluation.assistant.faults` takes some minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from marketing_ai.paths import find_paths

CAUGHT = 0.95


@dataclass(frozen=True)
class Fault:
    """One change of one file."""

    name: str
    file: str
    old: str
    new: str


FAULTS = (
    Fault("rankings upside down", "compile",
          "desc=descending, nulls", "desc=not descending, nulls"),
    Fault("ratios averaged", "compile", "return exp.Sum(this=value)", "return exp.Avg(this=value)"),
    Fault("the last day left out", "compile", "high=bind.bind(period.end)",
          "high=bind.bind(max(period.start, period.end.replace(day=max(1, period.end.day - 1))))"),
    Fault("exclusions included", "compile",
          "exp.Not(this=inside) if exclude else inside", "inside"),
    Fault("filters dropped", "compile", "for f in filters]\n    if channels",
          "for f in filters[:0]]\n    if channels"),
    Fault("only the first filter", "compile", "for f in filters]\n    if channels",
          "for f in filters[:1]]\n    if channels"),
    Fault("row policy lost", "compile", "    if channels is not None:\n        conditions.append",
          "    if False:\n        conditions.append"),
    Fault("above is below", "compile", '"above": exp.GT', '"above": exp.LT'),
    Fault("limit ignored", "compile",
          "tree.limit(limit, copy=False)", "tree.limit(LIMIT, copy=False)"),
    Fault("thresholds dropped", "compile",
          "    if having:\n        tree", "    if False:\n        tree"),
    Fault("the whole of a share is the part", "compile", "whole = _metric(name, catalog)",
          "whole = _metric(name, catalog, current)"),
    Fault("change turned round", "compile",
          "this=exp.paren(now.copy()), expression=exp.paren(old.copy())",
          "this=exp.paren(old.copy()), expression=exp.paren(now.copy())"),
    Fault("rows counted, not names", "compile",
          "exp.Count(this=exp.Distinct(expressions=[exp.column(COLUMNS[plan.of])]))",
          "exp.Count(this=exp.column(COLUMNS[plan.of]))"),
    Fault("what-ifs start at the stored plan times two", "compile",
          "expression=exp.Literal.number(1)),", "expression=exp.Literal.number(2)),"),
    Fault("forecast of cost for revenue", "compile",
          'exp.alias_(exp.Sum(this=exp.column("predicted_revenue")), "predicted_revenue")',
          'exp.alias_(exp.Sum(this=exp.column("planned_cost")), "predicted_revenue")'),
    Fault("weeks start on Sunday", "periods", "days=day.weekday())", "days=day.weekday() + 1)"),
    Fault("last month is this one", "periods",
          "    if end > days.last:", "    if end >= days.last:"),
    Fault("quarters are a month late", "periods",
          "month = 3 * number - 2", "month = 3 * number - 1"),
    Fault("before is two days early", "periods", "last = period.start - dt.timedelta(days=1)",
          "last = period.start - dt.timedelta(days=40)"),
    Fault("months end on the 28th", "periods", "calendar.monthrange(year, month)[1])", "28)"),
    Fault("what-if turned round", "whatif", "multiplier = 1 + (change", "multiplier = 1 - (change"),
    Fault("what-if linear", "whatif", "np.nan_to_num(elasticity, nan=1.0)",
          "np.ones_like(elasticity)"),
    Fault("what-if cost as planned", "whatif", "cost=base_cost * multiplier", "cost=base_cost"),
    Fault("what-if interval turned round", "whatif", "ends = sorted((revenue(low), revenue(high)))",
          "ends = sorted((revenue(low), revenue(high)), reverse=True)"),
    Fault("unknown words skipped", "parse", "    if linked.residual:\n", "    if False:\n"),
    Fault("orders to write are read", "parse",
          'if linked.has("write") and not', "if False and not"),
    Fault("the best is the worst", "parse", "descending=descending,\n            limit=limit if",
          "descending=not descending,\n            limit=limit if"),
    Fault("periods forgotten", "parse", "having=having,\n            period=period,\n",
          "having=having,\n            period=None,\n"),
    Fault("shares forgotten", "parse", "            share=share,\n", "            share=False,\n"),
    Fault("similar names taken for the name", "link", "SIMILAR = 78", "SIMILAR = 30"),
    Fault("names take our words", "link",
          "and not _is_ours(phrase, catalog, dimension)", "and True"),
    Fault("revenue is cost", "vocabulary.yml", "turnover, ", ""),
    Fault("the hidden days are shown", "catalog",
          'kpi = kpi.filter(pl.col("channel").is_in(sorted(channels)))', "pass"),
    Fault("shared campaigns are shown", "ask", "filters\": (*plan.filters, *hidden)",
          "filters\": plan.filters"),
    Fault("unknown metrics are let through", "ask", "if name not in catalog.metrics:", "if False:"),
    Fault("per cent are fractions", "facts",
          "float(value) * 100:{sign},.1f}", "float(value):{sign},.1f}"),
    Fault("money without cents below ten thousand", "facts", "abs(float(value)) < 1000 else 0",
          "abs(float(value)) < 1 else 0"),
    Fault("minus signs lost", "facts", '.1f} %".replace("-", "−")', '.1f} %".replace("-", "")'),
    Fault("names of other rows", "facts", "entity = entity_of(result, row)",
          "entity = entity_of(result, 0)"),
    Fault("braces of names kept", "facts", '.replace("{", "(").replace("}", ")")', ""),
    Fault("cells not checked", "verify", "        _check_cell(facts[name], result)\n    shown",
          "        pass\n    shown"),
    Fault("claims not checked", "verify", "    for claim in sentence.claims:\n        _check_claim",
          "    for claim in ():\n        _check_claim"),
    Fault("names beside numbers not checked", "verify",
          "    _check_names(sentence.template, shown, facts)\n", ""),
    Fault("signs not checked", "verify", "    _check_signs(shown)\n", ""),
    Fault("digits in prose allowed", "verify", "if found := _DIGIT.search(words):",
          "if found := None:"),
    Fault("functions not checked", "guard", "if type(node) not in _NODES:", "if False:"),
    Fault("tables not checked", "guard", "    if columns is None:\n", "    if False:\n"),
)  # fmt: skip


def _evaluated(
    source: Path, folder: Path, root: Path, attacks: bool = False
) -> dict[str, Any] | None:
    """The report of an evaluation on this copy of the package; None where it broke."""
    environment = os.environ | {
        "PYTHONPATH": f"{source}{os.pathsep}{root}",
        "MARKETING_HOME": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "evaluation.assistant", "--report", str(folder)]
    # The attacks take longer than all the rest, and only a fault of the guard can change them.
    command += [] if attacks else ["--no-attacks"]
    subprocess.run(command, env=environment, cwd=root, capture_output=True, check=False)
    report = folder / "report.json"
    if not report.is_file():
        return None
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    report.unlink()
    return found


def _noticed(found: dict[str, Any] | None, sound: dict[str, Any]) -> str | None:
    """What is worse than in the run without a fault."""
    if found is None:
        return "the run broke"
    for suite, right in zip(found["suites"], sound["suites"], strict=True):
        if suite["right"] != right["right"]:
            return str(suite["suite"])
    for bar in found["bars"]:
        if not bar["held"]:
            return str(bar["name"])
    return None


def main(
    only: Annotated[str, typer.Option(help="Faults whose name holds this.")] = "",
) -> None:
    """Seed every fault and say which ones the evaluation caught."""
    console = Console(width=120)
    root = find_paths().root
    missed = []
    table = Table("fault", "file", "caught by")
    chosen = [fault for fault in FAULTS if only in fault.name]
    with tempfile.TemporaryDirectory() as name:
        folder, source = Path(name), Path(name) / "src"
        package = source / "marketing_ai"
        shutil.copytree(root / "src" / "marketing_ai", package)
        sound = _evaluated(source, folder, root)
        if sound is None or not all(bar["held"] for bar in sound["bars"]):
            raise SystemExit("the evaluation does not pass without a fault: mend that first")
        for fault in chosen:
            file = package / "assistant" / fault.file
            file = file if file.suffix else file.with_suffix(".py")
            text = file.read_text(encoding="utf-8")
            if fault.old not in text:
                raise SystemExit(f"fault '{fault.name}': its text is no longer in {file.name}")
            file.write_text(text.replace(fault.old, fault.new, 1), encoding="utf-8")
            by = _noticed(_evaluated(source, folder, root, fault.file == "guard"), sound)
            file.write_text(text, encoding="utf-8")
            table.add_row(fault.name, file.name, by or "nothing")
            missed += [fault.name] if by is None else []
            console.print(f"{fault.name}: {by or 'NOT CAUGHT'}")
    console.print(table)
    caught = len(chosen) - len(missed)
    console.print(f"caught {caught} of {len(chosen)}; bar {CAUGHT:.0%}")
    sys.exit(caught < CAUGHT * len(chosen))


if __name__ == "__main__":
    typer.run(main)
