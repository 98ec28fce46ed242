"""The verifier: recomputes what a sentence claims from the rows before anybody sees it.

A sentence may hold no digit of its own and no comparing word without a claim on the number beside
it; each claim is computed anew from the result's cells. A number must also stand beside the name,
metric and period of its own cell, so a right number of the wrong campaign is refused as surely as
a wrong digit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from marketing_ai.assistant.catalog import vocabulary
from marketing_ai.assistant.facts import Fact, entity_of
from marketing_ai.assistant.narrate import SLOT, Claim, Sentence
from marketing_ai.assistant.warehouse import Result

_DIGIT = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twice|double|half|dozen|hundred|"
    r"thousand|million|percent)\b|%",
    re.IGNORECASE,
)
# A word, and the claims of which one must stand behind it.
_COMPARING: dict[str, frozenset[str]] = {
    r"highest|most|best|largest|top": frozenset({"max"}),
    r"lowest|least|worst|smallest": frozenset({"min"}),
    r"rose|rises|grew|increased|up": frozenset({"rises"}),
    r"fell|falls|dropped|decreased|declined|down": frozenset({"falls"}),
    r"higher|more than|above|exceeds": frozenset({"above"}),
    r"lower|less than|below|under": frozenset({"below"}),
}
_HOW_OF_A_COLUMN = re.compile(
    r"^(?:delta|base|current|predicted|planned)_|_(?:before|change|share|whole)$|_(?:lower|upper)_80$"
)
_BASE = re.compile(r"^(?:base|current)_")
# What a change is of, and words that stand for it beside the names of metrics.
_SAME = {"change": {"budget", "cost"}, "budget": {"budget", "cost"}, "cost": {"budget", "cost"}}
_BEFORE_A_BASE = re.compile(
    r"\b(?:instead of|rather than|compared with|compared to|against|versus|baseline|planned|"
    r"current|currently|today)\b",
    re.IGNORECASE,
)
_INSTEAD = re.compile(r"\b(?:instead of|rather than)\b", re.IGNORECASE)
_REASON = re.compile(r"^reason(\d+)$")


class ClaimError(ValueError):
    """A sentence says something that the rows do not."""


def verify(
    sentence: Sentence,
    facts: Mapping[str, Fact],
    context: Mapping[str, str],
    result: Result,
    metric: str | None = None,
) -> str | None:
    """Check one sentence against the rows.

    Args:
        sentence: template and claims.
        facts: facts of the result by id.
        context: words that code gives, by slot.
        result: the rows.
        metric: metric that the sentence before named last, which this one may go on about.

    Returns:
        The metric that is named last.

    Raises:
        ClaimError: says what does not hold.
    """
    words = SLOT.sub(" ", sentence.template)
    if "{" in words or "}" in words:
        raise ClaimError("a brace that is no slot")
    if found := _DIGIT.search(words):
        raise ClaimError(f"a number outside a slot: {found[0]}")
    for name, _part in SLOT.findall(sentence.template):
        if name in context:
            if name in ("baseline", "scope") and not context[name]:
                raise ClaimError(f"there is no {name} here")
            continue
        if name not in facts:
            raise ClaimError(f"no fact {name}")
        _check_cell(facts[name], result)
    shown = _shown(sentence.template, facts)
    _check_comparing(sentence, shown)
    for claim in sentence.claims:
        _check_claim(claim, facts, context, result, sentence.template)
    _check_signs(shown)
    _check_names(sentence.template, shown, facts)
    metric = _check_metrics(sentence.template, shown, context, metric)
    _check_shares(sentence.template, shown)
    _check_periods(sentence.template, shown)
    _check_baselines(sentence.template, shown)
    _check_intervals(sentence.template, shown)
    return metric


def verify_all(
    sentences: Sequence[Sentence],
    facts: Mapping[str, Fact],
    context: Mapping[str, str],
    result: Result,
) -> None:
    """Check an answer: each sentence, and that it says of which part of the data it speaks.

    Raises:
        ClaimError: says what does not hold.
    """
    metric: str | None = None
    for sentence in sentences:
        metric = verify(sentence, facts, context, result, metric)
    said = " ".join(sentence.template for sentence in sentences)
    if context.get("scope") and "{scope" not in said:
        raise ClaimError("the answer is about a part of the data, and does not say {scope}")


@dataclass(frozen=True)
class _Shown:
    """A value slot: its fact, whether it shows a sign, and its place in the template."""

    fact: Fact
    signed: bool
    start: int
    end: int


def _shown(template: str, facts: Mapping[str, Fact]) -> list[_Shown]:
    return [
        _Shown(facts[m[1]], m[2] == "signed", m.start(), m.end())
        for m in SLOT.finditer(template)
        if m[1] in facts and m[2] != "entity"
    ]


def _subject(column: str) -> str:
    """What a column is about: revenue for base_revenue and for revenue_change."""
    previous = ""
    while column != previous:
        previous, column = column, _HOW_OF_A_COLUMN.sub("", column)
    return column


def _check_comparing(sentence: Sentence, shown: Sequence[_Shown]) -> None:
    """A comparing word needs a claim on the number that follows it, or that it follows."""
    template = sentence.template
    for pattern, needed in _COMPARING.items():
        for word in re.finditer(rf"(?<![-{{.\w])(?:{pattern})\b(?![-}}])", template, re.IGNORECASE):
            after = [s for s in shown if s.start >= word.end()]
            nearest = after[0] if after else shown[-1] if shown else None
            claimed = {
                other
                for claim in sentence.claims
                if claim.kind in needed
                for other in (claim.fact, claim.other)
            }
            if nearest is None or nearest.fact.id not in claimed:
                raise ClaimError(f"'{word[0]}' without a claim on the number beside it")


def _check_signs(shown: Sequence[_Shown]) -> None:
    for slot in shown:
        column = slot.fact.column
        is_change = column.startswith("delta_") or column.endswith("change")
        if is_change != slot.signed:
            form = "with its sign" if is_change else "without a sign"
            raise ClaimError(f"{slot.fact.id} ({column}) is shown {form}")


def _check_names(template: str, shown: Sequence[_Shown], facts: Mapping[str, Fact]) -> None:
    """A number belongs to the name before it; where the sentence begins with one, after it."""
    names = [
        (m.start(), facts[m[1]].row)
        for m in SLOT.finditer(template)
        if m[1] in facts and m[2] == "entity"
    ]
    if names and shown:
        leads = names[0][0] < shown[0].start
        for slot in shown:
            before = [row for at, row in names if at < slot.start]
            after = [row for at, row in names if at > slot.start]
            row = (before[-1] if leads else after[0]) if (before if leads else after) else None
            if row is not None and row != slot.fact.row:
                raise ClaimError(f"{slot.fact.id} is not of the name beside it")
            if row is None:
                raise ClaimError(f"{slot.fact.id} has no name beside it")
    for reason in SLOT.finditer(template):
        if (found := _REASON.match(reason[1])) and not any(
            row == int(found[1]) for at, row in names[-1:] + names if at < reason.start()
        ):
            raise ClaimError("a reason without its campaign")
    rows = [slot.fact.row for slot in shown]
    if re.match(r"\s*next\b", template, re.IGNORECASE) and rows != sorted(rows):
        raise ClaimError("'next' is not in the order of the rows")


@cache
def _metric_words() -> tuple[re.Pattern[str], dict[str, str]]:
    """All words for metrics as one pattern, the longest first, and the metric of each."""
    of_word = {"budget": "budget", "budgets": "budget"}
    for metric, entry in vocabulary()["metrics"].items():
        for word in (metric, *entry["words"]):
            of_word.setdefault(word, metric)
    alternatives = "|".join(map(re.escape, sorted(of_word, key=len, reverse=True)))
    return re.compile(rf"(?<![\w{{.])(?:{alternatives})(?![\w}}])", re.IGNORECASE), of_word


def _check_metrics(
    template: str, shown: Sequence[_Shown], context: Mapping[str, str], last: str | None
) -> str | None:
    """A number belongs to the metric named before it; where none is, to the one after it."""
    pattern, of_word = _metric_words()
    named = [(m.start(), of_word[m[0].lower()]) for m in pattern.finditer(template)]
    named += [
        (m.start(), m[1].removeprefix("m_"))
        for m in SLOT.finditer(template)
        if m[1].startswith("m_") and m[1] in context
    ]
    named.sort()
    for slot in shown:
        subject = _subject(slot.fact.column)
        before = [metric for at, metric in named if at < slot.start]
        after = [metric for at, metric in named if at > slot.start]
        metric = before[-1] if before else last or (after[0] if after else None)
        if metric is not None and metric not in _SAME.get(subject, {subject}):
            raise ClaimError(f"{slot.fact.id} is {slot.fact.column}, not {metric}")
    return named[-1][1] if named else last


def _check_shares(template: str, shown: Sequence[_Shown]) -> None:
    """A share is called one, and "of" stands between a share and its whole only."""
    before: _Shown | None = None
    for slot in shown:
        column = slot.fact.column
        if column.endswith("_share") and not re.search(r"\bshares?\b|\} of \{", template, re.I):
            raise ClaimError(f"{slot.fact.id} is a share, and the words do not say so")
        is_of = before is not None and template[before.end : slot.start].strip() == "of"
        if is_of != column.endswith("_whole"):
            raise ClaimError(f"{slot.fact.id} is {column}")
        if is_of and before is not None and not before.fact.column.endswith("_share"):
            raise ClaimError(f"{before.fact.id} is no share")
        before = slot


def _check_periods(template: str, shown: Sequence[_Shown]) -> None:
    """Beside {baseline} stands the value before, beside {period} the value now."""
    if "{baseline}" not in template:
        if any(slot.fact.column.endswith("_before") for slot in shown):
            raise ClaimError("a value of the {baseline} that does not say so")
        return
    named = [(m.start(), m[1]) for m in SLOT.finditer(template) if m[1] in ("period", "baseline")]
    for slot in shown:
        if slot.fact.column.endswith("_change"):
            continue
        before = [name for at, name in named if at < slot.start]
        name = before[-1] if before else named[0][1]
        if (name == "baseline") != slot.fact.column.endswith("_before"):
            raise ClaimError(f"{slot.fact.id} is not of the {name}")


def _check_baselines(template: str, shown: Sequence[_Shown]) -> None:
    """A number without the change of budget is called so, and only that one."""
    columns = {_subject(s.fact.column) for s in shown if _BASE.match(s.fact.column)}
    end = 0
    for slot in shown:
        called = bool(_BEFORE_A_BASE.search(template[end : slot.start]))
        is_base = bool(_BASE.match(slot.fact.column))
        if _INSTEAD.search(template[end : slot.start]) and not is_base:
            raise ClaimError(f"{slot.fact.id} ({slot.fact.column}) is not what was planned")
        if (is_base or _subject(slot.fact.column) in columns) and called != is_base:
            raise ClaimError(f"{slot.fact.id} is {slot.fact.column}")
        end = slot.end


def _check_intervals(template: str, shown: Sequence[_Shown]) -> None:
    """Bounds come in pairs, the lower one first, and the words call them an interval."""
    place = 0
    while place < len(shown):
        column = shown[place].fact.column
        upper = column.replace("_lower_80", "_upper_80")
        if "_upper_80" in column:
            raise ClaimError(f"{shown[place].fact.id} is an upper bound without its lower one")
        if upper != column:
            following = shown[place + 1].fact.column if place + 1 < len(shown) else ""
            if following != upper or not re.search(r"interval|between", template):
                raise ClaimError(f"{shown[place].fact.id} is a bound without its other one")
            place += 1
        place += 1


def _check_cell(fact: Fact, result: Result) -> None:
    if not 0 <= fact.row < len(result.rows) or fact.column not in result.columns:
        raise ClaimError(f"{fact.id}: no such cell")
    if result.cell(fact.row, fact.column) != fact.value:
        raise ClaimError(f"{fact.id}: the cell has another value")
    if entity_of(result, fact.row) != fact.entity:
        raise ClaimError(f"{fact.id}: the row is about somebody else")


def _known(result: Result, column: str) -> Sequence[float]:
    return [float(v) for r in range(len(result.rows)) if (v := result.cell(r, column)) is not None]


def _check_claim(
    claim: Claim,
    facts: Mapping[str, Fact],
    context: Mapping[str, str],
    result: Result,
    template: str,
) -> None:
    if claim.kind == "count":
        if f"{{{claim.fact}}}" not in template:
            raise ClaimError("a count that the sentence does not show")
        if context.get(claim.fact) != f"{result.total_rows:,}":
            raise ClaimError("the number of rows is another")
        return
    fact = facts.get(claim.fact)
    if fact is None or not re.search(rf"{{{claim.fact}(?:\.signed)?}}", template):
        raise ClaimError(f"a claim on {claim.fact}, which the sentence does not show")
    _check_cell(fact, result)
    if fact.value is None:
        raise ClaimError(f"{fact.id}: not known, so nothing can be claimed of it")
    value = float(fact.value)
    if claim.kind == "rises" or claim.kind == "falls":
        if not fact.column.endswith("_change") or (value > 0) != (claim.kind == "rises"):
            raise ClaimError(f"{fact.id} does not say that it {claim.kind}")
        return
    if claim.kind == "max" or claim.kind == "min":
        # Of a ranking that was cut, only the leading end can be claimed.
        cut = result.total_rows > len(result.rows)
        if cut and context.get("_order") != f"{claim.kind} {fact.column}":
            raise ClaimError(f"{fact.id}: the rows that would tell the {claim.kind} are not here")
        ends = _known(result, fact.column)
        end = max(ends) if claim.kind == "max" else min(ends)
        if value != end or (cut and fact.row != 0):
            raise ClaimError(f"{fact.id} is not the {claim.kind} of {fact.column}")
        return
    if claim.kind in ("above", "below"):
        other = facts.get(claim.other or "")
        if other is None or other.value is None or other.column != fact.column:
            raise ClaimError(f"{fact.id}: nothing to compare with")
        if (value > float(other.value)) != (claim.kind == "above") or value == float(other.value):
            raise ClaimError(f"{fact.id} is not {claim.kind} {other.id}")
