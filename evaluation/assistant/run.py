"""The evaluation: every question to the assistant, its rows against hand-written SQL.

A question is right when the answer's rows equal the truth's, value by value (1e-9, in order where
order was asked); silently wrong when it is answered with other rows; and refused or asked back
where that is right or where it is not. Columns are matched by their role, never by their values.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import duckdb

from evaluation.assistant.truth import Questions, Truth, run_truth
from marketing_ai.assistant.ask import Answer, Assistant

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
