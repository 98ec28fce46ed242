"""Linking: every word of a question to something that is known, or to nothing.

The longest known phrase wins at each place: names of campaigns, channels and segments, then
periods, then the vocabulary. What is left over is never dropped: the parser refuses a question
with a word that it does not understand, or asks whether a similar name was meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from marketing_ai.assistant.catalog import Catalog, vocabulary
from marketing_ai.assistant.periods import Calendar, read_period
from marketing_ai.assistant.words import number_of, question_words, words_of

Phrase = tuple[str, ...]
CUSTOMERS = ("customers", "customer", "buyers", "clients", "kunden")
SHORTEST_TYPO = 6
_HEADS = frozenset({"metric", "dimension", "budget"})
_TAILS = frozenset(
    {"share", "forecast", "change", "trend", "rank", "compare", "contribution", "metric",
     "dimension", "budget", "more", "less", "reallocation", "count", "filler"}
)  # fmt: skip
SIMILAR = 78  # of 100: "brnd serch" is 90 like "brand search", "employees" 55 like its nearest name


@dataclass(frozen=True)
class Slot:
    """Some words of a question and everything that they may mean.

    Attributes:
        meanings: value by kind of slot, such as {"metric": "roi"}.
        at: place of the first word.
        words: the words themselves.
    """

    meanings: Mapping[str, Any]
    at: int
    words: Phrase

    @property
    def end(self) -> int:
        """Place after the last word."""
        return self.at + len(self.words)


@dataclass(frozen=True)
class Linked:
    """A question in slots; `residual` are the words that nothing is known of."""

    words: Phrase
    slots: tuple[Slot, ...]
    residual: tuple[Slot, ...] = field(default=())

    def all(self, kind: str) -> list[Slot]:
        """Slots that may be of a kind, in order."""
        return [slot for slot in self.slots if kind in slot.meanings]

    def has(self, *kinds: str) -> bool:
        """Whether any slot may be of one of the kinds."""
        return any(kind in slot.meanings for slot in self.slots for kind in kinds)


def _add(
    index: dict[Phrase, dict[str, Any]], phrases: Iterable[str], kind: str, value: Any
) -> None:
    for phrase in phrases:
        index.setdefault(words_of(str(phrase)), {})[kind] = value


@cache
def _phrases() -> dict[Phrase, dict[str, Any]]:
    """The vocabulary by phrase."""
    known = vocabulary()
    index: dict[Phrase, dict[str, Any]] = {}
    for name, metric in known["metrics"].items():
        _add(index, metric["words"], "metric", name)
    for entry in known["unclear_metrics"]:
        _add(index, entry["words"], "unclear_metric", tuple(entry["options"]))
    for name, words in known["dimensions"].items():
        _add(index, words, "dimension", name)
    _add(index, known["performance_segment"], "performance_segment", True)
    _add(index, known["unclear_segment"], "unclear_segment", True)
    for name, words in known["grains"].items():
        _add(index, words, "grain", name)
    for name, words in known["units"].items():
        _add(index, words, "unit", name)
    for name, words in known["slots"].items():
        _add(index, words, name, True)
    for word, value in known["numbers"].items():
        _add(index, [word], "number", float(value))
    for word, value in known["changes"].items():
        _add(index, [word], "change_by", float(value))
    for word, value in known["parts"].items():
        _add(index, [word], "part", float(value))
    for word in known["fillers"].split():
        index.setdefault(words_of(word), {}).setdefault("filler", True)
    return index


def _is_ours(phrase: Phrase, catalog: Catalog, dimension: str) -> bool:
    """Whether a name says something else already: a metric, a number, a period, an order."""
    linked = link(" ".join(phrase), catalog, {})
    said = {kind for slot in linked.slots for kind in slot.meanings}
    # "display" is a channel before it is a word that says little; a campaign "Total" is not.
    return not linked.residual and bool(said - ({"filler"} if dimension == "channel" else set()))


def value_index(catalog: Catalog) -> dict[Phrase, list[tuple[str, str]]]:
    """(dimension, value) by the words of every name; names can be shared.

    A name that is one of our own words, a number or a period is not in it: it would take the word
    from every other question. Such a campaign is asked for by its id.
    """
    index: dict[Phrase, list[tuple[str, str]]] = {}

    def add(text: str | None, dimension: str, value: str) -> None:
        phrase = words_of(text or "")
        if (
            phrase
            and not _is_ours(phrase, catalog, dimension)
            and (dimension, value) not in index.setdefault(phrase, [])
        ):
            index[phrase].append((dimension, value))

    for campaign in catalog.campaigns.values():
        add(campaign.id, "campaign", campaign.id)
        add(campaign.name, "campaign", campaign.id)
    others = vocabulary()["names"]
    for channel in catalog.channels:
        for word in (channel, *others.get(channel, ())):
            add(word, "channel", channel)
    for segment in catalog.segments:
        for word in (segment, *others.get(segment, ())):
            add(word, "segment", segment)
            for customers in CUSTOMERS:
                add(f"{word} {customers}", "segment", segment)
                add(f"{customers} {word}", "segment", segment)
    for name in catalog.performance_segments:
        add(name, "performance", name)
    return index


def link(question: str, catalog: Catalog, values: Mapping[Phrase, list[tuple[str, str]]]) -> Linked:
    """Link every word of a question.

    Args:
        question: as asked.
        catalog: what exists.
        values: index of the names, from `value_index`.

    Raises:
        QuestionError: the question is empty or too long.
    """
    words = question_words(question)
    longest = max((len(p) for p in (*_phrases(), *values)), default=1)
    days = (
        Calendar(catalog.first_day, catalog.last_day)
        if catalog.first_day and catalog.last_day
        else None
    )
    slots: list[Slot] = []
    residual: list[Slot] = []
    at = 0
    while at < len(words):
        meanings, length = _longest(words, at, longest, values)
        period = read_period(words[at:], days) if days and "value" not in meanings else None
        if period and period[1] >= length:
            meanings, length = {"period": period[0]}, period[1]
        if not meanings:
            number = number_of(words[at])
            if number is not None:
                meanings, length = {"number": number}, 1
            elif words[at] in ("%", "€", "$", "+", "-"):
                meanings, length = {words[at]: True}, 1
            else:
                meanings, length = _repaired(words[at]), 1
        length = max(length, 1)
        slot = Slot(meanings, at, words[at : at + length])
        (slots if meanings else residual).append(slot)
        at += length
    return Linked(words, tuple(slots), tuple(residual))


def _longest(
    words: Phrase, at: int, longest: int, values: Mapping[Phrase, list[tuple[str, str]]]
) -> tuple[dict[str, Any], int]:
    phrases = _phrases()
    for length in range(min(longest, len(words) - at), 0, -1):
        phrase = words[at : at + length]
        if phrase in values and not _is_verb(words, at):
            return {"value": tuple(values[phrase])}, length
        if phrase in phrases:
            return dict(phrases[phrase]), length
    return {}, 0


def _repaired(word: str) -> dict[str, Any]:
    """Meaning of a German compound ("umsatzanteil") or of a metric with a letter lost or doubled.

    A changed letter makes another word too easily: that is asked back, as names are.
    """
    phrases = _phrases()
    for cut in range(3, len(word) - 2):
        first, second = phrases.get((word[:cut],)), phrases.get((word[cut:].removeprefix("s"),))
        first = first or phrases.get((word[:cut].removesuffix("s"),))
        if first and second and _HEADS & set(first) and _TAILS & set(second):
            return {**second, **first}
    if len(word) < SHORTEST_TYPO:
        return {}
    known = [
        meanings
        for (name, *rest), meanings in phrases.items()
        if not rest and {"metric", "dimension"} & set(meanings) and _one_letter(word, name)
    ]
    return dict(known[0]) if known and all(m == known[0] for m in known) else {}


def _one_letter(word: str, name: str) -> bool:
    """Whether one is the other with a letter too many, or with two neighbours swapped."""
    if len(name) < SHORTEST_TYPO - 1 or word[0] != name[0]:
        return False
    if len(word) == len(name):
        return sorted(word) == sorted(name) and OSA.distance(word, name) == 1
    return abs(len(word) - len(name)) == 1 and OSA.distance(word, name) == 1


def _is_verb(words: Phrase, at: int) -> bool:
    """Whether it is an order ("display the revenue") at the beginning, not the channel."""
    return (
        at == 0
        and words[0] in ("display", "search")
        and len(words) > 1
        and words[1] in ("the", "me", "all", "our", "my")
    )


def similar_names(
    residual: Slot, words: Phrase, values: Mapping[Phrase, list[tuple[str, str]]]
) -> list[tuple[Phrase, str, str]]:
    """Names like the words around `residual`, best first: (words asked, dimension, value)."""
    names = {" ".join(phrase): phrase for phrase in values}
    found: dict[tuple[str, str], tuple[float, Phrase]] = {}
    for start in range(max(0, residual.at - 2), residual.at + 1):
        for end in range(residual.end, min(len(words), residual.end + 2) + 1):
            asked = words[start:end]
            text = " ".join(asked)
            for name, score, _ in process.extract(
                text, names.keys(), scorer=fuzz.ratio, limit=3, score_cutoff=SIMILAR
            ):
                for target in values[names[name]]:
                    if score > found.get(target, (0.0, ()))[0]:
                        found[target] = (score, asked)
    for phrase, targets in values.items():
        if set(residual.words) <= set(phrase):
            # Part of a name: "brand" of "Brand Search".
            found |= dict.fromkeys(targets, (100.0, residual.words))
    ranked = sorted(found.items(), key=lambda item: (-item[1][0], item[0]))
    return [(asked, *target) for target, (_, asked) in ranked[:3]]
