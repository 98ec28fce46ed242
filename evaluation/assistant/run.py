"""The evaluation: every question to the assistant, its rows against hand-written SQL.

A question is right when the answer's rows equal the truth's, value by value (1e-9, in order where
order was asked); silently wrong when it is answered with other rows; and refused or asked back
where that is right or where it is not. Columns are matched by their role, never by their values.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import duckdb
import pandas as pd

from evaluation.assistant.truth import Questions, Truth, WhatIf, run_truth
from marketing_ai.assistant.ask import Answer, Assistant
from marketing_ai.simulate import Simulation

# Columns of an answer that a role of the truth may stand in.
ALIASES = {
    "month": ("period_start",),
    "week": ("period_start",),
    "date": ("period_start",),
    "quarter": ("period_start",),
    "campaign": ("campaign_name", "campaign_id"),
    "segment": ("segment",),
    "campaigns": ("number", "n_campaigns"),
}


@dataclass
class Score:
    """Counts of one suite, and what went wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, outcome: str, question: str, detail: str = "") -> None:
        """Count an outcome; anything but `right` is kept for the report."""
        self.counts[outcome] += 1
        if outcome != "right":
            self.failures.append((outcome, question, detail))


def _candidates(role: str) -> tuple[str, ...]:
    if role.startswith("baseline_"):
        return (f"{role.removeprefix('baseline_')}_before",)
    if role.startswith("delta_"):
        return (role, f"{role.removeprefix('delta_')}_change")
    if role.startswith("share_"):
        return (f"{role.removeprefix('share_')}_share", role)
    if role.startswith("forecast_"):
        return (f"predicted_{role.removeprefix('forecast_')}", role.removeprefix("forecast_"))
    return (*ALIASES.get(role, ()), role, f"current_{role}")


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date | str | bool) or value is None:
        return value
    return float(value)


def _same(found: Any, wanted: Any) -> bool:
    found, wanted = _plain(found), _plain(wanted)
    if isinstance(found, float) and isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-9)
    return bool(found == wanted)


def _key(row: tuple[Any, ...]) -> str:
    return repr([f"{v:.6g}" if isinstance(v, float) else str(v) for v in map(_plain, row)])


def compare(answer: Answer, truth: Truth, expected: list[dict[str, Any]]) -> str | None:
    """What differs between an answer's rows and the truth's; None where nothing does."""
    columns = []
    for role in truth.columns:
        match = next((c for c in _candidates(role) if c in answer.columns), None)
        if match is None:
            return f"no column for {role}: {', '.join(answer.columns)}"
        columns.append(answer.columns.index(match))
    rows = list(answer.rows)
    if "campaign" in truth.columns and "scope" in answer.columns:
        # A table of campaigns with a line of totals above them.
        rows = [row for row in rows if row[answer.columns.index("scope")] == "campaign"]
    found = [tuple(row[c] for c in columns) for row in rows]
    wanted = [tuple(row.values()) for row in expected]
    if truth.match == "first":
        found, wanted = found[:1], wanted[:1]
    if len(found) != len(wanted):
        return f"{len(found)} rows instead of {len(wanted)}"
    if not truth.ordered:
        found, wanted = sorted(found, key=_key), sorted(wanted, key=_key)
    for one, other in zip(found, wanted, strict=True):
        if not all(map(_same, one, other)):
            return f"{one} instead of {other}"
    return None


def golden(
    questions: Questions,
    assistant: Assistant,
    connection: duckdb.DuckDBPyConnection,
    split: str,
) -> Score:
    """Questions with a truth: right, wrong (silently), or not answered."""
    score = Score()
    for intent in questions.golden:
        expected = run_truth(intent.truth, connection) if intent.truth else []
        for phrasing in intent.phrasings:
            if phrasing.split != split:
                continue
            answer = assistant.ask(phrasing.text)
            if intent.truth is None:
                right = answer.plan is not None and answer.plan.kind == "define"
                score.add("right" if right else answer.status, phrasing.text, intent.id)
            elif answer.status != "answered":
                empty = intent.truth.empty and answer.code == "no_data"
                score.add("right" if empty else answer.status, phrasing.text, answer.text)
            else:
                difference = compare(answer, intent.truth, expected)
                outcome = "right" if difference is None else "wrong"
                score.add(outcome, phrasing.text, f"{intent.id}: {difference}")
    return score


def refusals(questions: Questions, assistant: Assistant) -> Score:
    """Questions that must not be answered."""
    score = Score()
    for entry in questions.unanswerable:
        answer = assistant.ask(entry.q)
        status = {"refused": "refuse", "answered": "answer"}.get(answer.status, answer.status)
        score.add("right" if status in entry.accept else answer.status, entry.q, answer.text)
    return score


def clarifications(questions: Questions, assistant: Assistant) -> Score:
    """Questions that must be asked back."""
    score = Score()
    for entry in questions.ambiguous:
        answer = assistant.ask(entry.q)
        score.add("right" if answer.status == "clarify" else answer.status, entry.q, answer.text)
    return score


def dialogues(
    questions: Questions, assistant: Assistant, connection: duckdb.DuckDBPyConnection
) -> Score:
    """Every turn of every dialogue, each with the last answered plan."""
    score = Score()
    for dialogue in questions.dialogues:
        last, options = None, ()
        said: list[str] = []
        for turn in dialogue.turns:
            said.append(turn.q)
            answer = assistant.ask(turn.q, last=last, options=options)
            shown = " > ".join(said)
            if turn.truth is None:
                status = {"refused": "refuse", "answered": "answer"}.get(
                    answer.status, answer.status
                )
                # Asked back or refused: either keeps a wrong number from being read.
                score.add("right" if status != "answer" else "answered", shown, answer.text)
            elif answer.status != "answered":
                empty = turn.truth.empty and answer.code == "no_data"
                score.add("right" if empty else answer.status, shown, answer.text)
            else:
                difference = compare(answer, turn.truth, run_truth(turn.truth, connection))
                score.add("right" if difference is None else "wrong", shown, str(difference))
            last, options = answer.plan or last, answer.options
    return score


_CURVES = """
    with curves as (
        select
            *,
            planned_daily_cost / reference_daily_cost as now,
            (1 + $change) * planned_daily_cost / reference_daily_cost as later,
            planned_daily_cost > 0 and reference_daily_cost > 0 as is_spent
        from response_curves
        where {scope}
    )
    select
        sum(base_revenue),
        sum(case when not is_spent then 0 else base_revenue end
            * case when not is_spent then 0 when later >= 0.5 then later ** elasticity
                else 0.5 ** elasticity * later / 0.5 end
            / case when not is_spent then 1 when now >= 0.5 then now ** elasticity
                else 0.5 ** elasticity * now / 0.5 end)
    from curves
"""
_SCOPES = {"channel": "channel", "campaign": "campaign_name", "segment": "segment"}


def _scope(entry: WhatIf) -> str:
    parts = [f"{_SCOPES[name]} = '{value}'" for name, value in entry.scope.items()]
    return " and ".join(parts) or "true"


def what_ifs(
    questions: Questions, assistant: Assistant, connection: duckdb.DuckDBPyConnection
) -> Score:
    """What-ifs: the revenue that hand-written SQL computes from the response curves."""
    score = Score()
    for entry in questions.whatif:
        scope = _scope(entry)
        planned = connection.sql(
            f"select sum(base_cost) from response_curves where {scope}"  # noqa: S608
        ).fetchall()[0][0]
        change = (entry.change_pct or 0) / 100
        if entry.change_abs is not None:
            change = entry.change_abs / planned
        base, revenue = connection.execute(
            _CURVES.format(scope=scope), {"change": change}
        ).fetchall()[0]
        answer = assistant.ask(entry.q)
        if answer.status != "answered" or answer.plan is None or answer.plan.kind != "what_if":
            outcome = "wrong" if answer.status == "answered" else answer.status
            score.add(outcome, entry.q, answer.text)
            continue
        found = dict(zip(answer.columns, answer.rows[0], strict=True))
        wanted = {"cost": planned * (1 + change), "revenue": revenue, "base_revenue": base}
        wrong = [
            f"{name} {found[name]} instead of {value}"
            for name, value in wanted.items()
            if not math.isclose(found[name], value, rel_tol=1e-6, abs_tol=1e-6)
        ]
        score.add("wrong" if wrong else "right", entry.q, "; ".join(wrong))
    return score


@dataclass(frozen=True)
class Reality:
    """What-ifs against the simulator that made the demo: it knows what would have happened.

    Attributes:
        asked: what-ifs with an interval.
        right_way: those whose expected revenue moves the way that the truth moves.
        held: those whose 80 % interval of the change holds the true change.
        error: mean absolute error of revenue after the change, relative to the true one.
    """

    asked: int
    right_way: int
    held: int
    error: float


def simulator_truth(questions: Questions, assistant: Assistant, made: Simulation) -> Reality:
    """Compare every answered what-if with the simulator's own response, as relative changes."""
    names = made.frame.drop_duplicates("campaign_id").set_index("campaign_id")["campaign_name"]
    now = _named(made.expected_revenue(1.0), names)
    asked = right_way = held = 0
    errors = []
    for entry in questions.whatif:
        answer = assistant.ask(entry.q)
        if answer.status != "answered" or not answer.rows or "change" not in answer.columns:
            continue
        found = dict(zip(answer.columns, answer.rows[0], strict=True))
        if not found["change"] or found["delta_revenue_lower_80"] is None:
            continue
        later = _named(made.expected_revenue(1 + found["change"]), names)
        for name, value in entry.scope.items():
            column = _SCOPES[name]
            now_part, later = now[now[column] == value], later[later[column] == value]
        if not entry.scope:
            now_part = now
        elif len(entry.scope) > 1:
            now_part = now.merge(later[["campaign_id", "channel", "segment"]].drop_duplicates())
        true = later["revenue"].sum() / now_part["revenue"].sum() - 1
        base = found["base_revenue"]
        asked += 1
        right_way += (found["delta_revenue"] > 0) == (true > 0)
        low, high = (found[f"delta_revenue_{end}_80"] / base for end in ("lower", "upper"))
        held += low <= true <= high
        errors.append(abs((1 + found["delta_revenue"] / base) / (1 + true) - 1))
    return Reality(asked, right_way, held, sum(errors) / max(len(errors), 1))


def _named(frame: pd.DataFrame, names: pd.Series) -> pd.DataFrame:
    return frame.assign(campaign_name=frame["campaign_id"].map(names))


def injections(
    questions: Questions, assistant: Assistant, connection: duckdb.DuckDBPyConnection
) -> Score:
    """Instructions within a question: the honest answer, a question back, or a refusal."""
    score = Score()
    truths = {intent.id: intent.truth for intent in questions.golden}
    for entry in questions.injections:
        answer = assistant.ask(entry.q)
        if answer.status != "answered":
            score.add("right", entry.q)
            continue
        truth = truths.get(entry.base or "")
        if truth is None:
            score.add("answered", entry.q, answer.text)
            continue
        difference = compare(answer, truth, run_truth(truth, connection))
        score.add("right" if difference is None else "wrong", entry.q, str(difference))
    return score


_NO_CELLS = re.compile(r"\d{4}-\d{2}-\d{2}|Q\d \d{4}|80 % interval|\([^()]*target[^()]*\)")
_NUMBER = re.compile(r"(?<![\w.])([−+]?)(\d[\d,]*(?:\.\d+)?)( %)?")


def written(questions: Questions, assistant: Assistant) -> Score:
    """Numbers of the text, read back from it: each is a cell, a limit or a count, as rounded."""
    score = Score()
    for intent in questions.golden:
        for phrasing in intent.select("visible")[:3]:
            answer = assistant.ask(phrasing.text)
            if answer.status != "answered" or not answer.rows:
                continue
            text = _NO_CELLS.sub("", answer.text)
            for period in (
                getattr(answer.plan, "period", None),
                getattr(answer.plan, "baseline", None),
            ):
                text = text.replace(period.label, "") if period else text
            # Reasons are a text of the table, written by the model that made it.
            if answer.plan is not None and answer.plan.kind == "underperforming":
                text = text.split(".")[0]
            values = [v for row in answer.rows for v in row if not isinstance(v, bool)]
            cells = [float(v) for v in values if isinstance(v, int | float | Decimal)]
            cells += [limit.value for limit in getattr(answer.plan, "having", ())]
            cells.append(float(answer.total_rows))
            wrong = [found[0] for found in _NUMBER.finditer(text) if not _is_cell(found, cells)]
            score.add("wrong" if wrong else "right", phrasing.text, f"{wrong} in {answer.text}")
    return score


def _is_cell(found: re.Match[str], cells: list[float]) -> bool:
    sign, digits, percent = found.groups()
    number = float(digits.replace(",", "")) * (-1 if sign == "−" else 1)
    places = len(digits.partition(".")[2])
    if percent and places != 1:
        return False
    # Below a thousand, what is no whole number is written with its decimals.
    least = 0.5 * 10.0**-places
    return any(
        abs((cell * 100 if percent else cell) - number) <= least * 1.0001
        and (percent or places or cell == int(cell) or abs(cell) >= 1000)
        for cell in cells
    )
