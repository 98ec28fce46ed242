"""The verifier: recomputes what a sentence claims from the rows before anybody sees it.

A sentence may hold no digit of its own and no comparing word without a claim; each claim is
computed anew from the result's cells, so a right number of the wrong campaign, a swapped metric or
a turned direction is refused as surely as a wrong digit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

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


class ClaimError(ValueError):
    """A sentence says something that the rows do not."""


def verify(
    sentence: Sentence, facts: Mapping[str, Fact], context: Mapping[str, str], result: Result
) -> None:
    """Check one sentence against the rows.

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
            continue
        if name not in facts:
            raise ClaimError(f"no fact {name}")
        _check_cell(facts[name], result)
    kinds = {claim.kind for claim in sentence.claims}
    for pattern, needed in _COMPARING.items():
        comparing = re.search(rf"(?<!-)\b(?:{pattern})\b(?!-)", words, re.IGNORECASE)
        if comparing and not kinds & needed:
            raise ClaimError(f"'{comparing[0]}' without a claim")
    for claim in sentence.claims:
        _check_claim(claim, facts, context, result, sentence.template)


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
        if context.get(claim.fact) != f"{result.total_rows:,}":
            raise ClaimError("the number of rows is another")
        return
    fact = facts.get(claim.fact)
    if fact is None or f"{{{claim.fact}" not in template:
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
