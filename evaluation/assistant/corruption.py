"""Corrupted answers: true sentences, each made untrue in one way, that the verifier must refuse.

The sentences are those of the golden questions and what-ifs, which must all pass. A corruption
changes a digit, a name, a metric, a period, a sign or a direction; where the changed sentence
happens to be true as well (two cells that are equal and alike), it is not counted.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from evaluation.assistant.truth import Questions
from marketing_ai.assistant.ask import Answer, Assistant
from marketing_ai.assistant.catalog import Catalog
from marketing_ai.assistant.facts import Fact
from marketing_ai.assistant.narrate import SLOT, Claim, Sentence, context_of, narrate, render
from marketing_ai.assistant.verify import ClaimError, verify_all
from marketing_ai.assistant.warehouse import Result

_OPPOSITE = {
    "highest": "lowest", "lowest": "highest", "rose": "fell", "fell": "rose",
}  # fmt: skip
_TURNED = {"max": "min", "min": "max", "rises": "falls", "falls": "rises"}


@dataclass(frozen=True)
class Case:
    """A true sentence of an answer, with all that is needed to check it."""

    sentences: tuple[Sentence, ...]
    place: int
    facts: Mapping[str, Fact]
    context: Mapping[str, str]
    result: Result
    currency: str

    @property
    def sentence(self) -> Sentence:
        """The sentence itself."""
        return self.sentences[self.place]

    def holds(self, sentence: Sentence, facts: Mapping[str, Fact] | None = None) -> str | None:
        """None where the verifier accepts, else what it says."""
        told = [*self.sentences[: self.place], sentence, *self.sentences[self.place + 1 :]]
        try:
            verify_all(told, facts or self.facts, self.context, self.result)
        except ClaimError as error:
            return str(error)
        return None

    def text(self, sentence: Sentence) -> str:
        """The sentence as a reader sees it."""
        return render(sentence, self.facts, self.context, self.currency)


Corrupted = tuple[str, Sentence, Mapping[str, Fact]]


@dataclass
class Caught:
    """How many corruptions of each sort were caught, the ones that were not, and false alarms."""

    tried: Counter[str] = field(default_factory=Counter)
    missed: list[tuple[str, str, str]] = field(default_factory=list)
    sentences: int = 0
    answers: int = 0
    alarms: list[tuple[str, str]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Corruptions tried."""
        return self.tried.total()

    @property
    def caught(self) -> int:
        """Corruptions refused."""
        return self.total - len(self.missed)


def cases_of(answer: Answer, catalog: Catalog) -> list[Case]:
    """The sentences of an answer's template text."""
    if answer.status != "answered" or answer.plan is None or not answer.rows:
        return []
    result = Result("", {}, answer.columns, answer.rows, answer.total_rows)
    facts = list(answer.facts)
    context = context_of(answer.plan, catalog, result)
    by_id = {fact.id: fact for fact in facts}
    told = tuple(narrate(answer.plan, result, facts))
    return [
        Case(told, place, by_id, context, result, catalog.currency) for place in range(len(told))
    ]


def _swapped(case: Case, old: str, new: str, part: str | None = None) -> Sentence:
    """Show another fact; the claims go with it, as a liar's would."""

    def put(match: re.Match[str]) -> str:
        if match[1] != old or (part is not None and (match[2] or "") != part):
            return match[0]
        return f"{{{new}{'.' + match[2] if match[2] else ''}}}"

    template = SLOT.sub(put, case.sentence.template)
    claims = tuple(
        Claim(c.kind, new, c.other) if c.fact == old and part != "entity" else c
        for c in case.sentence.claims
    )
    return Sentence(template, claims)


def _wrong(fact: Fact) -> Fact:
    """The fact with a value near the true one."""
    value = fact.value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return fact
    return dataclasses.replace(fact, value=float(value) * 1.1 + 1)


def _is_as_true(column: str, other: str) -> bool:
    """A value where its share stood, or a change of budget in money: said twice, but true."""
    pair = {column, other}
    return pair == {"budget_change", "delta_cost"} or any(f"{c}_share" in pair for c in pair)


def corruptions(case: Case) -> Iterator[Corrupted]:
    """Every way in which this sentence can be made untrue."""
    sentence, facts = case.sentence, case.facts
    slots = [(m[1], m[2] or "") for m in SLOT.finditer(sentence.template)]
    values = list(dict.fromkeys(name for name, part in slots if name in facts and part != "entity"))
    named = list(dict.fromkeys(name for name, part in slots if name in facts and part == "entity"))
    for name in values:
        fact = facts[name]
        if _wrong(fact) != fact:
            yield "a value changed", sentence, {**facts, name: _wrong(fact)}
        plain = case.text(Sentence(f"{{{name}}}"))
        digits = SLOT.sub(lambda m, n=name, p=plain: p if m[1] == n and m[2] != "entity" else m[0],
                          sentence.template)  # fmt: skip
        if re.search(r"\d", plain):
            yield "a digit of its own", Sentence(digits, sentence.claims), facts
        others = [f for f in facts.values() if f.value is not None and f.value != fact.value]
        rows = [f for f in others if f.column == fact.column and f.entity != fact.entity]
        for other in rows[:3] if named else ():
            for part in ("", "signed"):
                if (name, part) in slots:
                    yield "another row's value", _swapped(case, name, other.id, part), facts
        for other in [f for f in others if f.row == fact.row and f.column != fact.column][:6]:
            if _is_as_true(fact.column, other.column):
                continue
            for part in ("", "signed"):
                if (name, part) in slots:
                    yield "another column's value", _swapped(case, name, other.id, part), facts
    for name in named:
        for other in [f for f in facts.values() if f.entity != facts[name].entity][:3]:
            yield "another name", _swapped(case, name, other.id, "entity"), facts
    for word, turned in _OPPOSITE.items():
        if not re.search(rf"\b{word}\b", sentence.template):
            continue
        template = re.sub(rf"\b{word}\b", turned, sentence.template)
        claims = tuple(
            Claim(_TURNED.get(c.kind, c.kind), c.fact, c.other)  # type: ignore[arg-type]
            for c in sentence.claims
        )
        yield "a direction turned", Sentence(template, sentence.claims), facts
        yield "a direction turned, its claim too", Sentence(template, claims), facts
        yield "a claim left out", Sentence(sentence.template, ()), facts
    for slot in dict.fromkeys(slots):
        if slot[1] == "signed":
            bare = sentence.template.replace(f"{{{slot[0]}.signed}}", f"{{{slot[0]}}}")
            yield "a sign left out", Sentence(bare, sentence.claims), facts
    metrics = [name for name in case.context if name.startswith("m_")]
    labels = [name for name, _ in slots if name.startswith("m_")]
    for name in dict.fromkeys(labels):
        for other in [m for m in metrics if m != name][:4]:
            template = sentence.template.replace(f"{{{name}}}", f"{{{other}}}")
            yield "another metric's name", Sentence(template, sentence.claims), facts
    if "{baseline}" in sentence.template:
        template = sentence.template.replace("{period}", "{x}").replace("{baseline}", "{period}")
        template = template.replace("{x}", "{baseline}")
        yield "periods exchanged", Sentence(template, sentence.claims), facts
    if values:
        last = f"{{{values[-1]}}}"
        if last in sentence.template:
            template = sentence.template.replace(last, f"twice {last}")
            yield "a number word", Sentence(template, sentence.claims), facts
    for claim in sentence.claims:
        if claim.kind == "count":
            template = sentence.template.replace("{rows}", "several hundred")
            yield "a count changed", Sentence(template, sentence.claims), facts


def _is_untrue(case: Case, corrupted: Sentence, facts: Mapping[str, Fact]) -> bool:
    """Whether a reader would see something else than the true sentence."""
    if facts is not case.facts or corrupted.claims != case.sentence.claims:
        return True
    own_digits = bool(re.search(r"\d", SLOT.sub("", corrupted.template)))
    return own_digits or case.text(corrupted) != case.text(case.sentence)


def run(questions: Questions, assistant: Assistant) -> Caught:
    """Check every true sentence, then every corruption of it."""
    catalog = assistant.catalog()
    score = Caught()
    asked = [p.text for intent in questions.golden for p in intent.select("visible")]
    asked += [entry.q for entry in questions.whatif]
    for question in asked:
        cases = cases_of(assistant.ask(question), catalog)
        score.answers += bool(cases)
        for case in cases:
            score.sentences += 1
            if alarm := case.holds(case.sentence):
                score.alarms.append((case.sentence.template, alarm))
                continue
            for sort, sentence, facts in corruptions(case):
                if not _is_untrue(case, sentence, facts):
                    continue
                score.tried[sort] += 1
                if case.holds(sentence, facts) is None:
                    score.missed.append((sort, case.text(case.sentence), sentence.template))
    return score
