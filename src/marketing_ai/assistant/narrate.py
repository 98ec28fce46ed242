"""Sentences made of facts: templates with slots, and the claims that they make.

A template holds words only; digits come from facts and names from the data, put in by `render`
after `verify` has recomputed each claim. A language model's prose goes the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from marketing_ai.assistant.catalog import DIMENSION_LABELS, Catalog
from marketing_ai.assistant.facts import Fact, safe_name, write
from marketing_ai.assistant.plan import (
    Count,
    Forecast,
    Plan,
    Query,
    Reallocation,
    SegmentMembers,
    SegmentProfiles,
    Underperforming,
    WhatIf,
)
from marketing_ai.assistant.warehouse import Result

At = Callable[[int, str], Fact]
ClaimKind = Literal["value", "max", "min", "rises", "falls", "above", "below", "count"]
SLOT = re.compile(r"\{([a-z]\w*)(?:\.(entity|signed))?\}")
SHOWN = 5
_SUPPORT = {
    "observed": "Budgets of this size were seen.",
    "stretch": "That is somewhat beyond the budgets that were seen.",
    "extrapolated": "That is far beyond the budgets that were seen: no interval is given.",
}
_EVIDENCE = {
    "experiment": "It rests on a lift test.",
    "estimated": "It rests on past budget changes: association, not proven cause.",
    "assumed": "Budgets hardly changed in the past: the response is an assumption.",
    "confounded": "Budgets seem to have followed demand: the response is an assumption.",
    "no_signal": "",
}


@dataclass(frozen=True)
class Claim:
    """What a sentence says of a fact beyond its value.

    Attributes:
        kind: `max` and `min` over the fact's column, `rises` and `falls` of a change,
            `above` and `below` another fact, `count` of the result's rows.
        fact: id of the fact.
        other: id of the other fact of a comparison.
    """

    kind: ClaimKind
    fact: str
    other: str | None = None


@dataclass(frozen=True)
class Sentence:
    """A template with slots `{f1}`, `{f1.entity}`, `{f1.signed}`, and its claims."""

    template: str
    claims: tuple[Claim, ...] = field(default=())


def render(
    sentence: Sentence, facts: Mapping[str, Fact], context: Mapping[str, str], currency: str
) -> str:
    """Fill the slots of a verified sentence."""

    def fill(match: re.Match[str]) -> str:
        name, part = match.groups()
        if name in context:
            return context[name]
        fact = facts[name]
        if part == "entity":
            return fact.entity
        return write(fact.value, fact.unit, currency, signed=part == "signed")

    return SLOT.sub(fill, sentence.template)


class _Facts:
    """Facts of a result by row and column."""

    def __init__(self, facts: list[Fact]) -> None:
        self._by_place = {(f.row, f.column): f for f in facts}

    def at(self, row: int, column: str) -> Fact:
        return self._by_place[row, column]


def context_of(plan: Plan, catalog: Catalog, result: Result) -> dict[str, str]:
    """Words and numbers of a template that come from the plan: period, scope, limits, counts."""
    words = {
        "scope": _scope(plan, catalog),
        "rows": f"{result.total_rows:,}",
    }
    words |= {f"m_{name}": metric.label for name, metric in catalog.metrics.items()}
    if isinstance(plan, Query | SegmentProfiles):
        # No slot begins with an underscore: for the verifier alone.
        words["_order"] = f"{'max' if plan.descending else 'min'} {plan.metrics[0]}"
    record = result.records()[0] if result.rows else {}
    if isinstance(plan, WhatIf):
        words["scope_or_all"] = words["scope"] or "all campaigns"
        words["support"] = _SUPPORT[record["support"]]
        words["evidence"] = _EVIDENCE[record["evidence"]]
    if isinstance(plan, WhatIf | Reallocation):
        words["interval"] = "80 %"
    if isinstance(plan, Forecast):
        days = (write(record[name], None, "") for name in ("first_day", "last_day"))
        words["days"] = " to ".join(days)
    if isinstance(plan, Underperforming) and not plan.count:
        for number, row in enumerate(result.records()[:SHOWN]):
            words[f"reason{number}"] = safe_name(row["underperformance_reasons"])
    if isinstance(plan, Query | Count):
        words["period"] = plan.period.label if plan.period else _whole(catalog)
    if isinstance(plan, Query):
        words["baseline"] = plan.baseline.label if plan.baseline else ""
        words["limits"] = " and ".join(
            f"{catalog.metrics[h.metric].label} {h.operator.replace('_', ' ')} "
            f"{write(h.value, catalog.metrics[h.metric].unit, catalog.currency)}"
            for h in plan.having
        )
    return words


def _whole(catalog: Catalog) -> str:
    if catalog.first_day is None or catalog.last_day is None:
        return "all data"
    return f"{catalog.first_day.isoformat()} to {catalog.last_day.isoformat()}"


def _scope(plan: Plan, catalog: Catalog) -> str:
    filters = getattr(plan, "filters", ())
    parts = []
    for rule in filters:
        values = [
            catalog.campaign_label(v) if rule.dimension == "campaign" else v for v in rule.values
        ]
        word = "without " if rule.exclude else ""
        parts.append(f"{word}{DIMENSION_LABELS[rule.dimension]} {' and '.join(values)}")
    return ", ".join(parts)


def narrate(plan: Plan, result: Result, facts: list[Fact]) -> list[Sentence]:
    """Sentences for the rows of a plan, none of them empty of facts."""
    at = _Facts(facts).at
    if isinstance(plan, Query):
        return _query(plan, result, at)
    if isinstance(plan, Count):
        counted = f"{{{at(0, 'number').id}}} {DIMENSION_LABELS[plan.of]}s"
        return [Sentence(f"{{period}}: {counted} with data{_of(plan)}.")]
    if isinstance(plan, Underperforming):
        if plan.count:
            text = f"Under-performing campaigns{_of(plan)}: {{{at(0, 'number').id}}}."
            return [Sentence(text)]
        return _underperforming(plan, result, at)
    if isinstance(plan, SegmentProfiles):
        first = at(0, plan.metrics[0])
        label = _label(plan.metrics[0])
        if plan.share:
            return [Sentence(f"Share of {label}: {_shares(result, at, plan.metrics[0])}.")]
        if len(result.rows) == 1 and result.total_rows == 1:
            text = f"Performance segment {{{first.id}.entity}}: {label} {{{first.id}}}."
            return [Sentence(text)]
        kind: ClaimKind = "max" if plan.descending else "min"
        word = "highest" if plan.descending else "lowest"
        text = f"Performance segment {{{first.id}.entity}} has the {word} {label}: {{{first.id}}}."
        return [Sentence(text, (Claim(kind, first.id),)), *_others(result, at, plan.metrics[0])]
    if isinstance(plan, SegmentMembers):
        text = f"Campaigns{_of(plan)}: {{rows}}, in the table."
        return [Sentence(text, (Claim("count", "rows"),))]
    if isinstance(plan, Forecast):
        return _forecast(plan, result, at)
    if isinstance(plan, WhatIf):
        return _what_if(at)
    if isinstance(plan, Reallocation):
        return _reallocation(result, at)
    return []


def _label(metric: str) -> str:
    """Slot of a metric's label: "Cost per thousand impressions" is no number."""
    return f"{{m_{metric}}}"


def _of(plan: Plan) -> str:
    return " ({scope})" if getattr(plan, "filters", ()) else ""


def _others(result: Result, at: At, column: str) -> list[Sentence]:
    rest = [at(row, column).id for row in range(1, min(len(result.rows), SHOWN))]
    if not rest:
        return []
    listed = "; ".join(f"{{{name}.entity}} {{{name}}}" for name in rest)
    return [Sentence(f"Next: {listed}.")]


def _shares(result: Result, at: At, name: str) -> str:
    parts = []
    for row in range(min(len(result.rows), SHOWN)):
        value, part = at(row, name).id, at(row, f"{name}_share").id
        parts.append(f"{{{value}.entity}} {{{part}}} ({{{value}}})")
    return "; ".join(parts)


def _query(plan: Query, result: Result, at: At) -> list[Sentence]:
    name = plan.metrics[0]
    label = _label(name)
    if not plan.by and not plan.grain:
        sentences = []
        for metric in plan.metrics:
            value, text = at(0, metric).id, _label(metric)
            if plan.share:
                part = at(0, f"{metric}_share").id
                whole = at(0, f"{metric}_whole").id
                said = f"{text}{_of(plan)}, {{period}}: {{{value}}}, {{{part}}} of {{{whole}}}."
                sentences.append(Sentence(said))
            elif plan.baseline:
                sentences.append(_change(at, 0, metric, f"{text}{_of(plan)}"))
            else:
                sentences.append(Sentence(f"{text}{_of(plan)}, {{period}}: {{{value}}}."))
        return sentences
    if plan.grain and not (plan.order_by and not plan.by):
        first, last = at(0, name), at(len(result.rows) - 1, name)
        text = f"{label}{_of(plan)} by {plan.grain}, {{period}}: "
        if plan.by:
            return [Sentence(f"{text}{{rows}} rows, in the table.", (Claim("count", "rows"),))]
        if result.total_rows > len(result.rows) or first.value is None or last.value is None:
            # Not all periods are here, or an end is not known: no word about the extremes.
            listed = f"from {{{first.id}}} ({{{first.id}.entity}}) to {{{last.id}}} "
            return [Sentence(f"{text}{listed}({{{last.id}.entity}}).")]
        top = _extreme(result, at, name, highest=True)
        low = _extreme(result, at, name, highest=False)
        text += (
            f"from {{{first.id}}} ({{{first.id}.entity}}) to {{{last.id}}} ({{{last.id}.entity}})"
        )
        text += f"; highest {{{top}}} ({{{top}.entity}}), lowest {{{low}}} ({{{low}.entity}})."
        return [Sentence(text, (Claim("max", top), Claim("min", low)))]
    if plan.having:
        found = []
        for row in range(min(len(result.rows), SHOWN)):
            values = [f"{_label(m)} {{{at(row, m).id}}}" for m in plan.metrics]
            found.append(f"{{{at(row, name).id}.entity}} ({', '.join(values)})")
        listed = "; ".join(found)
        head = f"{{rows}} found with {{limits}}{_of(plan)}, {{period}}: {listed}."
        return [Sentence(head, (Claim("count", "rows"),))]
    lead = at(0, name)
    if plan.baseline:
        changes = [_change(at, 0, name, f"{{{lead.id}.entity}}: {label}{_of(plan)}")]
        others = [
            f"{{{at(row, name).id}.entity}} {{{at(row, f'{name}_change').id}.signed}}"
            for row in range(1, min(len(result.rows), SHOWN))
        ]
        return changes + ([Sentence(f"Others: {'; '.join(others)}.")] if others else [])
    if plan.share:
        listed = _shares(result, at, name)
        return [Sentence(f"Share of {label}{_of(plan)}, {{period}}: {listed}.")]
    kind: ClaimKind = "max" if plan.descending else "min"
    word = "highest" if plan.descending else "lowest"
    if lead.value is None:
        return [Sentence(f"{label}{_of(plan)}, {{period}}: {{{lead.id}}}.")]
    text = f"{{{lead.id}.entity}} has the {word} {label}{_of(plan)}, {{period}}: {{{lead.id}}}."
    return [Sentence(text, (Claim(kind, lead.id),)), *_others(result, at, name)]


def _extreme(result: Result, at: At, name: str, highest: bool) -> str:
    known = [r for r in range(len(result.rows)) if at(r, name).value is not None] or [0]
    pick = max if highest else min
    return str(at(pick(known, key=lambda r: at(r, name).value), name).id)


def _change(at: At, row: int, metric: str, head: str) -> Sentence:
    now, old = at(row, metric), at(row, f"{metric}_before")
    change = at(row, f"{metric}_change")
    text = f"{head}, {{period}}: {{{now.id}}}; {{baseline}}: {{{old.id}}}"
    if change.value is None:
        return Sentence(f"{text}.")
    if change.value == 0:
        return Sentence(f"{text}, no change.")
    kind: ClaimKind = "rises" if change.value > 0 else "falls"
    word = "rose" if change.value > 0 else "fell"
    return Sentence(f"{text}. It {word}: {{{change.id}.signed}}.", (Claim(kind, change.id),))


def _underperforming(plan: Underperforming, result: Result, at: At) -> list[Sentence]:
    listed = "; ".join(
        f"{{{at(row, 'current_cost').id}.entity}} ({{reason{row}}})"
        for row in range(min(len(result.rows), SHOWN))
    )
    text = f"Under-performing campaigns{_of(plan)}: {{rows}}. {listed}."
    return [Sentence(text, (Claim("count", "rows"),))]


def _forecast(plan: Forecast, result: Result, at: At) -> list[Sentence]:
    lead, cost = at(0, "predicted_revenue"), at(0, "planned_cost")
    if not plan.by:
        text = f"Expected revenue{_of(plan)}, {{days}}: {{{lead.id}}} "
        return [Sentence(f"{text}at a planned cost of {{{cost.id}}}.")]
    text = f"Expected revenue{_of(plan)}, {{days}}: {{{lead.id}.entity}} has the highest, "
    text += f"{{{lead.id}}}."
    return [Sentence(text, (Claim("max", lead.id),)), *_others(result, at, "predicted_revenue")]


def _what_if(at: At) -> list[Sentence]:
    def slot(column: str, part: str = "") -> str:
        return f"{{{at(0, column).id}{part}}}"

    head = f"Budget {slot('change', '.signed')} ({{scope_or_all}}): "
    if at(0, "revenue").value is None:
        text = "the data do not show that budget moves revenue, so no revenue is given."
        return [Sentence(head + text)]
    text = f"{head}expected revenue of the forecast horizon {slot('revenue')} instead of "
    text += f"{slot('base_revenue')}, {slot('delta_revenue', '.signed')}"
    if at(0, "delta_revenue_lower_80").value is not None:
        text += f" ({{interval}} interval {slot('delta_revenue_lower_80', '.signed')} to "
        text += f"{slot('delta_revenue_upper_80', '.signed')})"
    text += f", for a cost of {slot('cost')} instead of {slot('base_cost')}."
    sentences = [Sentence(text)]
    if at(0, "revenue_lower_80").value is not None:
        text = "With the forecast's own uncertainty the revenue lies between "
        text += (
            f"{slot('revenue_lower_80')} and {slot('revenue_upper_80')} ({{interval}} interval)."
        )
        sentences.append(Sentence(text))
    return [*sentences, Sentence("{support} {evidence}")]


def _reallocation(result: Result, at: At) -> list[Sentence]:
    total, gain = at(0, "current_revenue"), at(0, "delta_revenue")
    text = f"The same cost of {{{at(0, 'cost').id}}}, better split, is expected to bring "
    text += (
        f"a revenue of {{{at(0, 'revenue').id}}} instead of {{{total.id}}}, {{{gain.id}.signed}}"
    )
    low = at(0, "delta_revenue_lower_80")
    if low.value is not None:
        text += f" ({{interval}} interval {{{low.id}.signed}} to "
        text += f"{{{at(0, 'delta_revenue_upper_80').id}.signed}})"
    moves = sorted(
        range(1, len(result.rows)), key=lambda r: -abs(at(r, "delta_revenue").value or 0)
    )[:SHOWN]
    listed = "; ".join(
        f"{{{at(r, 'budget_change').id}.entity}} {{{at(r, 'budget_change').id}.signed}}"
        for r in moves
    )
    if not listed:
        return [Sentence(f"{text}.")]
    return [Sentence(f"{text}."), Sentence(f"Moves of budget: {listed}.")]
