"""The parser: linked words to a plan, a question back, or a refusal; never a guess.

It needs no model and gives the same plan for the same words. A question with a word that nothing
is known of is not answered as if the word had not been there, and where two readings give
different numbers, both are offered.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from marketing_ai.assistant.catalog import DIMENSION_LABELS, Catalog, vocabulary
from marketing_ai.assistant.link import Linked, Phrase, Slot, link, similar_names
from marketing_ai.assistant.periods import Calendar, before, endpoints, read_period
from marketing_ai.assistant.plan import (
    Clarify,
    Count,
    Define,
    Dimension,
    Filter,
    Forecast,
    Having,
    Operator,
    Option,
    Period,
    Plan,
    Query,
    Reallocation,
    Refuse,
    SegmentMembers,
    SegmentProfiles,
    Underperforming,
    WhatIf,
)
from marketing_ai.assistant.words import QuestionError, words_of

Outcome = Plan | Clarify | Refuse
_OPERATORS: tuple[Operator, ...] = ("above", "at_least", "below", "at_most")
_SUPERLATIVES = ("high", "low", "best", "worst", "rank")
_SINGULAR = {
    "campaign", "channel", "segment", "kampagne", "kanal", "zielgruppe", "campagne", "canal",
    "audience", "audience segment", "medium", "platform", "ad", "cluster", "performance segment",
    "day", "week", "month", "quarter", "tag", "woche", "monat", "monats", "quartal", "jour",
    "semaine", "mois", "trimestre", "campain", "chanel", "plattform", "kundengruppe",
    "werbekampagne",
}  # fmt: skip
_PRICE = {
    "cheap", "cheapest", "cheaper", "expensive", "price", "pay", "paid", "gunstigste",
    "gunstigsten", "billigste", "billigsten", "teuer", "teuerste", "teuersten", "cher", "chere",
    "chers",
    "zahlen",
}  # fmt: skip
_PRICES = {"leads": "cpl", "clicks": "cpc", "conversions": "cpa", "impressions": "cpm"}
_CONDITIONS = ("if", "what", "wenn", "falls", "si", "suppose", "assuming", "imagine", "angenommen")
_LISTS = {
    "by", "per", "nach", "pro", "je", "par", "which", "welchem", "welcher", "welchen", "quel",
    "quels", "each", "every",
}  # fmt: skip
_ARTICLES = ("the", "this", "that", "our", "my", "la", "die", "der", "diese", "cette", "ce", "le")
EXAMPLES = (
    "Which campaigns are underperforming?",
    "Which channel has the highest ROI?",
    "What revenue can we expect if budget increases by 20%?",
)


class _UnclearError(Exception):
    """Carries a question back or a refusal out of the assembly."""

    def __init__(self, outcome: Clarify | Refuse) -> None:
        super().__init__()
        self.outcome = outcome


def parse(
    question: str,
    catalog: Catalog,
    values: dict[Phrase, list[tuple[str, str]]],
    last: Plan | None = None,
    options: tuple[Option, ...] = (),
) -> Outcome:
    """Parse a question.

    Args:
        question: as asked.
        catalog: what exists.
        values: index of names, from `link.value_index`.
        last: plan of the question before; a fragment such as "and for social?" changes it.
        options: readings that were offered before; a fragment that names one chooses it.
    """
    if chosen := _chosen(question, options):
        return chosen
    try:
        linked = link(question, catalog, values)
    except QuestionError as error:
        return Refuse(code="not_understood", message=f"{error}.".capitalize(), suggestions=EXAMPLES)
    if linked.has("write") and not (last and {"filter", "filters"} & set(linked.words)):
        return Refuse(
            code="write_request",
            message="Questions are answered; nothing is changed, paused or deleted from here.",
            suggestions=EXAMPLES,
        )
    if linked.residual:
        return _not_understood(linked, catalog, values, last)
    return _assembled(linked, catalog, last)


def _chosen(question: str, options: tuple[Option, ...]) -> Plan | None:
    """The one option whose label has all the words that say anything."""
    idle = {"by", "the", "only", "and", "nach", "par", "la", "die", "le", "one", "please", "that"}
    said = set(words_of(question)) - idle
    fitting = [option for option in options if said and said <= set(words_of(option.label))]
    return fitting[0].plan if len(fitting) == 1 else None


def _assembled(linked: Linked, catalog: Catalog, last: Plan | None) -> Outcome:
    try:
        return _Assembly(linked, catalog).plan(last)
    except _UnclearError as unclear:
        return unclear.outcome
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        text = f"That cannot be asked in one question: {reason}."
        return Refuse(code="not_understood", message=text, suggestions=EXAMPLES)


def _not_understood(
    linked: Linked,
    catalog: Catalog,
    values: dict[Phrase, list[tuple[str, str]]],
    last: Plan | None,
) -> Clarify | Refuse:
    """A word is unknown: offer the question with a similar name in its place, or refuse."""
    word = linked.residual[0]
    options = []
    for asked, dimension, value in similar_names(word, linked.words, values):
        label = catalog.campaign_label(value) if dimension == "campaign" else value
        repaired = f" {' '.join(linked.words)} ".replace(f" {' '.join(asked)} ", f" {label} ", 1)
        again = link(repaired.strip(), catalog, values)
        plan = _assembled(again, catalog, last) if len(again.residual) == 0 else None
        if plan is not None and not isinstance(plan, Clarify | Refuse):
            options.append(Option(label=label, plan=plan))
    shown = ", ".join(f"'{' '.join(slot.words)}'" for slot in linked.residual[:3])
    if options:
        return Clarify(question=f"{shown} is not known. Did you mean:", options=tuple(options))
    return Refuse(
        code="not_understood",
        message=f"Not understood: {shown}. "
        f"Known are {', '.join(catalog.metrics)}, by campaign, channel, audience segment and date.",
        suggestions=EXAMPLES,
    )


@dataclass
class _Assembly:
    """Puts slots together."""

    linked: Linked
    catalog: Catalog

    def plan(self, last: Plan | None) -> Outcome:
        linked = self.linked
        if linked.has("unsupported"):
            word = " ".join(linked.all("unsupported")[0].words)
            raise _UnclearError(
                Refuse(
                    code="not_understood",
                    message=f"Not understood: '{word}'. The data have campaigns, channels, "
                    "audience segments and days; nothing about persons, hours or weekdays.",
                    suggestions=EXAMPLES,
                )
            )
        if linked.has("why") and not linked.has("underperforming"):
            raise _UnclearError(
                Refuse(
                    code="causal_claim",
                    message="The tables show what happened, not why. Asked for instead can be what "
                    "changed and which parts of the total contributed to the change.",
                    suggestions=(
                        "Which channels contributed most to the change in revenue last month?",
                    ),
                )
            )
        if (defined := self._definition()) is not None:
            return defined
        if last is not None and (patched := self._patch(last)) is not None:
            return patched
        change, amount = self._lever()
        if change is not None or amount is not None:
            return WhatIf(change=change, amount=amount, filters=self._filters())
        if linked.has("reallocation"):
            return Reallocation(limit=1 if self._metrics() == ("revenue",) else 100)
        if linked.has("underperforming"):
            if linked.has("define"):
                return Define(metric="underperforming")
            if linked.has("count"):
                return Underperforming(count=True, filters=self._filters())
            return self._underperforming()
        if (segments := self._performance_segments()) is not None:
            return segments
        if linked.has("forecast", "future"):
            return self._forecast()
        return self._query()

    # ---- parts ---------------------------------------------------------------------------

    def _metrics(self) -> tuple[str, ...]:
        found = [slot.meanings["metric"] for slot in self.linked.all("metric")]
        if _PRICE & set(self.linked.words):
            # "The cheapest channel per lead": the price of one.
            found = [
                _PRICES.get(slot.meanings["metric"], slot.meanings["metric"])
                if {"per", "pro", "par", "je", "fur", "for"}
                & set(self.linked.words[max(0, slot.at - 2) : slot.at])
                else slot.meanings["metric"]
                for slot in self.linked.all("metric")
            ]
        return tuple(dict.fromkeys(found))

    def _named(self) -> list[tuple[Slot, Dimension, str]]:
        """Values of the question; one name with several meanings is asked back."""
        found: list[tuple[Slot, Dimension, str]] = []
        for slot in self.linked.all("value"):
            targets = [t for t in slot.meanings["value"] if t[0] != "performance"]
            if not targets:
                continue
            label = self._label_beside(slot)
            if label == "campaign" and targets[0][0] == "channel" and self._one_campaign(slot):
                raise _UnclearError(self._ask_campaign(slot))
            kept = [t for t in targets if t[0] == label] or targets
            if len(kept) > 1:
                names = ", ".join(
                    f"{DIMENSION_LABELS[cast(Dimension, d)]} {v}" for d, v in kept[:3]
                )
                raise _UnclearError(
                    Clarify(question=f"'{' '.join(slot.words)}' can be: {names}. Which one?")
                )
            found.append((slot, cast(Dimension, kept[0][0]), kept[0][1]))
        return found

    def _one_campaign(self, value: Slot) -> bool:
        """Whether "the search campaign" is said, and not "search campaigns" of a channel."""
        return any(
            slot.words[0] in _SINGULAR and (slot.end == value.at or value.end == slot.at)
            for slot in self.linked.all("dimension")
        )

    def _ask_campaign(self, slot: Slot) -> Clarify:
        word = " ".join(slot.words)
        names = [
            c.name
            for c in self.catalog.campaigns.values()
            if c.name and set(slot.words) <= set(words_of(c.name))
        ]
        listed = ", ".join(names[:3]) or "none has that name"
        return Clarify(
            question=f"'{word}' is a channel. All its campaigns, or one of them ({listed})?"
        )

    def _label_beside(self, value: Slot) -> str | None:
        """Dimension word right before or after a name: "campaign Brand Search"."""
        for slot in self.linked.all("dimension"):
            if slot.end == value.at or value.end == slot.at:
                return str(slot.meanings["dimension"])
        return None

    def _filters(self) -> tuple[Filter, ...]:
        groups: dict[tuple[Dimension, bool], list[str]] = {}
        excluding = False
        previous: Slot | None = None
        excludes = self.linked.all("exclude")
        for slot, dimension, value in self._named():
            begins = previous.end if previous else 0
            if any(begins <= e.at < slot.at for e in excludes):
                excluding = True
            elif previous is not None and self._joined(previous, slot):
                pass
            else:
                excluding = False
            group = groups.setdefault((dimension, excluding), [])
            if value not in group:
                group.append(value)
            previous = slot
        return tuple(
            Filter(dimension=d, values=tuple(v), exclude=exclude)
            for (d, exclude), v in groups.items()
        )

    def _joined(self, left: Slot, right: Slot) -> bool:
        between = self.linked.words[left.end : right.at]
        return all(word in ("and", "or", "und", "oder", "et", "ou") for word in between)

    def _dimensions(self) -> tuple[Dimension, ...]:
        """Dimensions to group by: those that don't just label a name."""
        found = [
            cast(Dimension, slot.meanings["dimension"])
            for slot in self.linked.all("dimension")
            if not self._is_label(slot) and not self._is_whole(slot)
        ]
        return tuple(dict.fromkeys(found))

    def _is_label(self, dimension: Slot) -> bool:
        """Whether it only says what a name beside it is; "social campaigns by CTR" are a list."""
        for slot, of, _ in self._named():
            if dimension.end == slot.at or slot.end == dimension.at:
                lists = self.linked.has(*_SUPERLATIVES, *_OPERATORS, "negative", "positive", "each")
                return not (lists and of != dimension.meanings["dimension"])
        return False

    def _is_loose(self) -> bool:
        """Whether the unclear words only say "performing", or a metric settles what they mean."""
        unclear = [slot.meanings["unclear_metric"] for slot in self.linked.all("unclear_metric")]
        return all(o[0] == "roi" or set(o) & set(self._metrics()) for o in unclear)

    def _is_whole(self, dimension: Slot) -> bool:
        """Whether "of all our campaigns" means the whole and no list."""
        before_it = self.linked.words[max(0, dimension.at - 3) : dimension.end - 1]
        if self.linked.has(*_SUPERLATIVES, *_OPERATORS, "each", "compare"):
            return False
        whole = {"all", "across", "alle", "allen", "aller", "toutes", "tous"} & set(before_it)
        listed = {"list", "show", "which", "liste", "zeige", "montre"} & set(self.linked.words)
        return bool(whole) and not listed

    def _periods(self) -> tuple[Period | None, Period | None]:
        """Period and baseline, the later one first."""
        found = [slot.meanings["period"] for slot in self.linked.all("period")]
        self._every_number_is_used()
        if len(found) > 2:
            raise _UnclearError(
                Clarify(question="More than two periods are named. Which one, or which two?")
            )
        if len(found) == 2:
            first, second = sorted(found, key=lambda p: (p.start, p.end))
            return second, first
        period = found[0] if found else None
        if period and self.linked.has("change", "compare", "contribution") and self._days():
            # "The change between May and June": the two are compared, not added.
            ends = endpoints(self.linked.all("period")[0].words, cast(Calendar, self._days()))
            if ends:
                return ends[1], ends[0]
        if self.linked.has("previous"):
            if period is None:
                raise _UnclearError(
                    Clarify(question="Before which period? Name it, such as last month.")
                )
            return period, before(period)
        return period, None

    def _every_number_is_used(self) -> None:
        """A number that no limit, rank or change takes is not dropped."""
        linked = self.linked
        used = ("what_if", *_OPERATORS, "between", *_SUPERLATIVES, "budget", "more", "less")
        beside = {s.at for s in linked.all("dimension")} | {s.at for s in linked.all("metric")}
        for slot in linked.all("number"):
            if not linked.has(*used) and slot.end not in beside:
                text = " ".join(slot.words)
                if any(other.at == slot.end for other in linked.all("number")):
                    raise _UnclearError(
                        Clarify(question="Which day is that? A date is written 2025-06-05.")
                    )
                raise _UnclearError(
                    Refuse(
                        code="not_understood",
                        message=f"'{text}' is not understood: a date is written 2025-06-05.",
                        suggestions=EXAMPLES,
                    )
                )

    def _days(self) -> Calendar | None:
        first, last = self.catalog.first_day, self.catalog.last_day
        return Calendar(first, last) if first and last else None

    def _numbers(self) -> list[tuple[Slot, float, bool]]:
        """Numbers, and whether a percent sign or word follows."""
        found = []
        for slot in self.linked.all("number"):
            after = [s for s in self.linked.slots if s.at == slot.end]
            percent = bool(after) and bool(
                {"%"} & set(after[0].meanings)
                or after[0].words in (("percent",), ("prozent",), ("pourcent",), ("per", "cent"))
            )
            found.append((slot, float(slot.meanings["number"]), percent))
        return found

    # ---- kinds ---------------------------------------------------------------------------

    def _definition(self) -> Define | None:
        words, metrics = self.linked.words, self._metrics()
        if len(metrics) != 1 or self.linked.has("value", "period", "dimension", "grain"):
            return None
        slot = self.linked.all("metric")[0]
        bare = words[: slot.at] in (
            ("what", "is"),
            ("whats",),
            ("was", "ist"),
            ("c", "est", "quoi"),
        )
        abbreviation = len(slot.words) == 1 and len(slot.words[0]) <= 4
        asked = self.linked.has("define") or (
            bare and abbreviation and slot.end == len(words) and not self.linked.has("number")
        )
        return Define(metric=metrics[0]) if asked else None

    def _lever(self) -> tuple[float | None, float | None]:
        """Change of a budget as a fraction or as money; (None, None) where none is asked."""
        linked = self.linked
        if not self._is_about_budget():
            return None, None
        sign = -1.0 if linked.has("less") or linked.has("-") else 1.0
        known = linked.has("less", "more", "-", "+", "change", "what_if")
        if (parts := linked.all("part")) and known:
            if not linked.has("less", "more", "-", "+"):
                raise _UnclearError(Clarify(question="More or less budget? Say +20 % or -20 %."))
            return sign * float(parts[0].meanings["part"]), None
        if changes := linked.all("change_by"):
            return float(changes[0].meanings["change_by"]), None
        numbers = self._numbers()
        if len(numbers) > 1 and known and linked.has("what_if", "budget"):
            raise _UnclearError(Clarify(question="Which change of the budget? Name one number."))
        if len(numbers) == 1 and known:
            _slot, value, percent = numbers[0]
            if percent:
                if not -1 <= sign * value / 100 <= 9:
                    raise _UnclearError(
                        Refuse(
                            code="no_data",
                            message="A budget can be changed by −100 % to +900 %.",
                            suggestions=EXAMPLES[2:],
                        )
                    )
                return sign * value / 100, None
            return None, sign * value
        if known and linked.has("more", "less", "change", "what_if") and linked.has("budget"):
            raise _UnclearError(
                Clarify(
                    question="By how much does the budget change?",
                    options=tuple(
                        Option(
                            label=f"{change:+.0%}".replace("%", " %"),
                            plan=WhatIf(change=change, filters=self._filters()),
                        )
                        for change in ((0.1, 0.2, 0.5) if sign > 0 else (-0.1, -0.2, -0.5))
                    ),
                )
            )
        return None, None

    def _is_about_budget(self) -> bool:
        """Whether the money spent is what changes: it is named, or something gets more of it."""
        linked = self.linked
        quantity = linked.has("change_by", "part") or bool(self._numbers())
        if linked.has("budget"):
            return True
        if linked.has(*_OPERATORS) and not linked.has("what_if"):
            return False
        moved = linked.has("more", "less", "change_by", "+", "-") and quantity
        if "cost" in self._metrics() or linked.has("money"):
            return moved or linked.has("what_if")
        if not moved or set(self._metrics()) - {"revenue", "roi"}:
            return False
        # "What if social gets 10 % more": a name gets it; "if revenue falls by 10 %" is no lever.
        condition = [s.at for s in linked.all("what_if") if s.words[0] in _CONDITIONS]
        lever = min(s.at for kind in ("more", "less", "change_by", "+", "-")
                    for s in linked.all(kind))  # fmt: skip
        if any(min(condition) < s.at < lever for s in linked.all("metric") if condition):
            return False
        return linked.has("value") or linked.has("what_if", "forecast")

    def _underperforming(self) -> Outcome:
        if self.linked.has("exclude") and not self.linked.has("value"):
            words = self.linked.words
            under = self.linked.all("underperforming")[0]
            if any(slot.end == under.at for slot in self.linked.all("exclude")):
                raise _UnclearError(
                    Clarify(
                        question=f"'{' '.join(words[under.at - 1 : under.end])}': which ones?",
                        options=(
                            Option(label="the under-performing campaigns", plan=Underperforming()),
                            Option(label="all campaigns by ROI", plan=_ranking("roi", "campaign")),
                        ),
                    )
                )
        dimensions = set(self._dimensions()) - {"campaign"}
        if dimensions or self.linked.has("period", "unclear_segment"):
            raise _UnclearError(
                Clarify(
                    question="Under-performance is judged for campaigns, over the last 28 days. "
                    "Did you mean:",
                    options=(
                        Option(label="the under-performing campaigns", plan=Underperforming()),
                        Option(
                            label="all channels by ROI, lowest first",
                            plan=_ranking("roi", "channel", descending=False),
                        ),
                    ),
                )
            )
        return Underperforming(filters=self._filters())

    def _performance_segments(self) -> Plan | None:
        linked = self.linked
        names = tuple(
            dict.fromkeys(
                value
                for slot in linked.all("value")
                for dimension, value in slot.meanings["value"]
                if dimension == "performance"
            )
        )
        metrics = self._metrics()
        if linked.has("unclear_segment") and not linked.has("performance_segment") and not names:
            return self._which_segments(metrics)
        if not names and not linked.has("performance_segment"):
            return None
        filters = self._filters()
        if linked.has("share"):
            if not metrics or set(metrics) - {"cost", "revenue"} or filters:
                raise _UnclearError(
                    Refuse(
                        code="not_understood",
                        message="Performance segments have shares of cost and of revenue.",
                        suggestions=("What share of revenue comes from each channel?",),
                    )
                )
            return SegmentProfiles(metrics=metrics, names=names, share=True)
        if not names and not filters and linked.has("count", "each"):
            return SegmentProfiles()
        if filters or "campaign" in self._dimensions() or (names and not metrics):
            return SegmentMembers(names=names, filters=filters)
        descending, limit = self._order(metrics[:1] or ("roi",))
        wanted = tuple(m for m in metrics if m in self.catalog.metrics) or ("roi",)
        return SegmentProfiles(metrics=wanted, names=names, descending=descending, limit=limit)

    def _which_segments(self, metrics: tuple[str, ...]) -> Plan | None:
        """Only "segment": audience or performance? Only named audiences make it clear."""
        if any(dimension == "segment" for _, dimension, _ in self._named()):
            return None
        if not metrics:
            if self.linked.has(*_SUPERLATIVES, "unclear_metric"):
                raise _UnclearError(self._ask_metric(("roi", "revenue", "cpl"), by=("segment",)))
            metrics = ("roi",)
        descending, limit = self._order(metrics)
        period, baseline = self._periods()
        audience = Query(
            metrics=metrics,
            by=("segment",),
            period=period,
            baseline=baseline,
            filters=self._filters(),
            order_by="metric",
            descending=descending,
            limit=limit,
        )
        if period or self._filters():  # performance segments have no days and no channels
            return audience
        profiles = SegmentProfiles(metrics=metrics, descending=descending, limit=limit)
        raise _UnclearError(
            Clarify(
                question="Which segments: the audiences that came with the data, or the "
                "performance segments that campaigns were grouped into?",
                options=(
                    Option(label="audience segments", plan=audience),
                    Option(label="performance segments", plan=profiles),
                ),
            )
        )

    def _forecast(self) -> Plan:
        others = set(self._metrics()) - {"revenue"}
        if others:
            name = sorted(others)[0]
            raise _UnclearError(
                Refuse(
                    code="not_reported",
                    message=f"Only revenue is forecast, not {self.catalog.metrics[name].label}.",
                    suggestions=("What revenue do you expect for the next 28 days?",),
                )
            )
        if self.linked.has("period", "number", "grain"):
            raise _UnclearError(
                Clarify(
                    question="The forecast covers the 28 days after the last day of the data. "
                    "Shall it be those?",
                    options=(
                        Option(
                            label="the next 28 days",
                            plan=Forecast(by=self._dimensions(), filters=self._filters()),
                        ),
                    ),
                )
            )
        return Forecast(by=self._dimensions(), filters=self._filters())

    def _ask_metric(
        self, options: tuple[str, ...], by: tuple[Dimension, ...] | None = None
    ) -> Clarify:
        period, baseline = self._periods()
        by = by or self._dimensions()
        ready = []
        for name in options:
            descending, limit = self._order((name,))
            plan = Query(
                metrics=(name,),
                by=by,
                period=period,
                baseline=baseline,
                filters=self._filters(),
                order_by="metric" if by else None,
                descending=descending,
                limit=limit if by else 100,
            )
            ready.append(Option(label=self.catalog.metrics[name].label, plan=plan))
        return Clarify(question="By which metric?", options=tuple(ready))

    def _order(self, metrics: tuple[str, ...]) -> tuple[bool, int]:
        """Whether the highest come first, and how many rows."""
        linked = self.linked
        lower_is_better = bool(metrics and self.catalog.metrics[metrics[0]].lower_is_better)
        if linked.has("low"):
            descending = False
        elif linked.has("high"):
            descending = True
        elif linked.has("worst"):
            descending = lower_is_better
        else:
            descending = not lower_is_better
        top = [slot for kind in _SUPERLATIVES for slot in linked.all(kind)]
        for slot, value, percent in self._numbers():
            beside = any(t.end == slot.at or slot.end == t.at for t in top)
            counted = [*linked.all("dimension"), *linked.all("unit")]
            before_dimension = any(slot.end == d.at for d in counted)
            if not percent and (beside or before_dimension) and 1 <= value <= 100:
                return descending, int(value)
        single = any(" ".join(s.words) in _SINGULAR for s in linked.all("dimension")) or any(
            " ".join(s.words)
            in ("segment", "group", "gruppe", "groupe", "cluster", "performance segment")
            for s in [*linked.all("unclear_segment"), *linked.all("performance_segment")]
        )
        first_only = single and any(
            linked.has(k) for k in ("high", "low", "best", "worst")
        ) and not linked.has("each", "rank")  # fmt: skip
        return descending, 1 if first_only else 100

    def _having(self, default: str | None = None) -> tuple[Having, ...]:
        """Thresholds: the metric before (or else after) an operator, and the number behind it.

        `default` is the metric where none is named.
        """
        linked = self.linked
        found: list[Having] = []
        metrics = linked.all("metric")
        for slot in (s for op in ("negative", "positive") for s in linked.all(op)):
            metric = self._nearest(metrics, slot)
            name = metric.meanings["metric"] if metric else "roi"
            operator: Operator = "below" if "negative" in slot.meanings else "above"
            found.append(Having(metric=name, operator=operator, value=0.0))
        numbers = self._numbers()
        for place, operator in sorted(
            (slot.at, op) for op in _OPERATORS for slot in linked.all(op)
        ):
            number = next((n for n in numbers if place < n[0].at <= place + 3), None)
            if number is None:
                continue
            here = next(s for s in linked.slots if s.at == place)
            metric = self._nearest(metrics, here)
            if metric is None and default is None:
                raise _UnclearError(self._ask_metric(("roi", "cpl", "cost")))
            name = metric.meanings["metric"] if metric else cast(str, default)
            value = self._threshold(name, number[1], number[2])
            minus = any(s.end == number[0].at for s in linked.all("-"))
            found.append(Having(metric=name, operator=operator, value=-value if minus else value))
        for slot in linked.all("between"):
            pair = [n for n in numbers if slot.at < n[0].at]
            metric = self._nearest(metrics, slot)
            if len(pair) >= 2 and metric:
                name = metric.meanings["metric"]
                low, high = (self._threshold(name, n[1], n[2] or pair[1][2]) for n in pair[:2])
                found.append(Having(metric=name, operator="at_least", value=low))
                found.append(Having(metric=name, operator="at_most", value=high))
        return tuple(found)

    def _nearest(self, metrics: list[Slot], slot: Slot) -> Slot | None:
        earlier = [m for m in metrics if m.at < slot.at]
        return earlier[-1] if earlier else (metrics[0] if metrics else None)

    def _threshold(self, name: str, value: float, percent: bool) -> float:
        """A threshold as a fraction; a rate above 1 without a percent sign is asked back."""
        unit = self.catalog.metrics[name].unit
        if percent:
            if unit == "percent":
                return value / 100
            raise _UnclearError(
                Clarify(
                    question=f"{self.catalog.metrics[name].label} is no percentage: which limit?"
                )
            )
        if unit == "percent" and value > (10 if name == "roi" else 1):
            raise _UnclearError(
                Clarify(
                    question=f"{self.catalog.metrics[name].label} of {value:g}, or {value:g} %?"
                )
            )
        return value

    def _query(self) -> Plan:
        linked, metrics = self.linked, self._metrics()
        dimensions, (period, baseline) = self._dimensions(), self._periods()
        grain = next((s.meanings["grain"] for s in linked.all("grain")), None)
        for each, days in itertools.product(linked.all("each"), linked.all("period")):
            # "On each of the last seven days"
            between = set(linked.words[each.end : days.at])
            one_by_one = each.words[0] in ("each", "every", "jedem", "chacun", "chaque")
            if one_by_one and each.end <= days.at and between <= {"of"} and grain is None:
                grain = "day"
        units = [s.meanings["unit"] for s in linked.all("unit")]
        if units and grain is None:
            if not (linked.has(*_SUPERLATIVES, *_OPERATORS, "each", "trend", "negative", "positive")
                    or self._is_listed_unit()):  # fmt: skip
                raise _UnclearError(Clarify(question=f"Which {units[0]}? Name it, or say per."))
            grain = units[0]
        if linked.has("recently") and period is None:
            raise _UnclearError(self._ask_period(metrics, dimensions))
        if linked.has("change_by", "part") and not linked.has("share"):
            raise _UnclearError(Clarify(question="A change of what? Say for example budget +20 %."))
        if dimensions and self._is_one_unnamed() and not linked.has("forecast"):
            name = DIMENSION_LABELS[dimensions[0]]
            raise _UnclearError(Clarify(question=f"Which {name}? Name it, or ask for all."))
        if linked.has("unclear_metric") and (not metrics or not self._is_loose()):
            raise _UnclearError(
                self._ask_metric(linked.all("unclear_metric")[0].meanings["unclear_metric"])
            )
        if linked.has("exclude") and not any(f.exclude for f in self._filters()):
            raise _UnclearError(
                Clarify(question="What shall be left out? Name a campaign, channel or segment.")
            )
        if linked.has("budget", "what_if") and not linked.has("trend", "share"):
            raise _UnclearError(
                Clarify(
                    question="Is this about a change of the budget? Say by how much.",
                    options=(
                        Option(label="+20 %", plan=WhatIf(change=0.2, filters=self._filters())),
                    ),
                )
            )
        if linked.has("count") and not metrics and len(dimensions) == 1:
            return Count(of=dimensions[0], filters=self._filters(), period=period)
        having = self._having()
        if linked.has("vague") and not having:
            word = linked.all("vague")[0].words[0]
            raise _UnclearError(
                Clarify(question=f"'{word}' against which limit? Say above or below a number.")
            )
        if not metrics and having:
            metrics = tuple(dict.fromkeys(h.metric for h in having))
        if not metrics:
            asked = ("value", "period", "budget", "trend", "share", "compare", "change")
            if linked.has(*_SUPERLATIVES, *asked) or dimensions:
                raise _UnclearError(self._ask_metric(("roi", "revenue", "cpl")))
            raise _UnclearError(
                Refuse(
                    code="not_understood",
                    message="No metric, campaign, channel or segment is named in this question.",
                    suggestions=EXAMPLES,
                )
            )
        filters = self._filters()
        compared = [d for d, g in itertools.groupby(filters, key=lambda f: f.dimension)]
        several = [f.dimension for f in filters if len(f.values) > 1 and not f.exclude]
        if not dimensions and several and (linked.has("compare", *_SUPERLATIVES) or compared):
            dimensions = (several[0],)
        superlative = linked.has(*_SUPERLATIVES)
        if superlative and not dimensions and not grain:
            raise _UnclearError(self._ask_dimension(metrics, period, filters))
        if having and not dimensions and not grain:
            dimensions = ("campaign",)
        open_change = linked.has("change", "contribution") and not linked.has("trend")
        if open_change and baseline is None and grain is None:
            if period is None and linked.has("contribution") and not linked.has("change"):
                return self._built(metrics, dimensions, None, filters, (), period, None, True)
            if period is None:
                raise _UnclearError(self._ask_change(metrics, dimensions))
            baseline = before(period)
        if linked.has("trend") and grain is None and baseline is None:
            grain = "month"
        share = linked.has("share") and not linked.has("%")
        if share and not all(self.catalog.metrics[m].is_additive for m in metrics):
            raise _UnclearError(
                Refuse(
                    code="not_understood",
                    message="Ratios have no share of a whole: ask for cost, revenue or a count.",
                    suggestions=("What share of cost is social?",),
                )
            )
        return self._built(metrics, dimensions, grain, filters, having, period, baseline, share)

    def _is_listed_unit(self) -> bool:
        """Whether a bare unit of time is something to group by: "by channel and month"."""
        for slot in self.linked.all("unit"):
            before_it = self.linked.words[max(0, slot.at - 1) : slot.at]
            if set(before_it) & _LISTS:
                return True
            joined = bool(set(before_it) & {"and", "und", "et"})
            if joined and any(d.end == slot.at - 1 for d in self.linked.all("dimension")):
                return True
        return False

    def _is_one_unnamed(self) -> bool:
        """Whether "the campaign" is said of one that nobody named."""
        if self.linked.has("count") and not self._metrics():
            return False
        if self._named() or self.linked.has(*_SUPERLATIVES, *_OPERATORS, "each", "compare",
                                            "contribution", "share", "negative"):  # fmt: skip
            return False
        for slot in self.linked.all("dimension"):
            before_it = self.linked.words[max(0, slot.at - 2) : slot.at]
            single = slot.words[-1] in _SINGULAR
            if single and before_it and (
                before_it[-1] in _ARTICLES
                or (len(before_it) == 2 and before_it[0] in _ARTICLES
                    and any(d.at == slot.at - 1 for d in self.linked.all("dimension")))
            ):  # fmt: skip
                return True
        return False

    def _ask_period(self, metrics: tuple[str, ...], by: tuple[Dimension, ...]) -> Clarify:
        """Offer the usual periods for "recently"."""
        days = self._days()
        options = []
        for words in (("last", "7", "days"), ("last", "28", "days"), ("last", "month")):
            found = read_period(words, days) if days else None
            if found and metrics:
                plan = Query(
                    metrics=metrics,
                    by=by,
                    period=found[0],
                    filters=self._filters(),
                    order_by="metric" if by else None,
                    descending=self._order(metrics)[0],
                )
                options.append(Option(label=f"{' '.join(words)} ({found[0].label})", plan=plan))
        return Clarify(question="Which period is meant?", options=tuple(options))

    def _built(
        self,
        metrics: tuple[str, ...],
        dimensions: tuple[Dimension, ...],
        grain: Any,
        filters: tuple[Filter, ...],
        having: tuple[Having, ...],
        period: Period | None,
        baseline: Period | None,
        share: bool,
    ) -> Query:
        descending, limit = self._order(metrics)
        ranked = self.linked.has(*_SUPERLATIVES)
        if grain and not dimensions and ranked:
            named_units = [s.words[-1] for s in self.linked.all("unit")]
            one = any(word in _SINGULAR for word in named_units) and limit == 100
            return Query(
                metrics=metrics, grain=grain, filters=filters, having=having, period=period,
                order_by="metric", descending=descending, limit=1 if one else limit,
            )  # fmt: skip
        if grain:
            limit = 100
        contributes = self.linked.has("contribution", "change") and baseline is not None
        return Query(
            metrics=metrics,
            by=dimensions,
            grain=grain,
            filters=filters,
            having=having,
            period=period,
            baseline=baseline,
            share=share,
            order_by=("change" if contributes else "metric") if dimensions else None,
            descending=descending,
            limit=limit if dimensions else 100,
        )

    def _ask_dimension(
        self, metrics: tuple[str, ...], period: Period | None, filters: tuple[Filter, ...]
    ) -> Clarify:
        descending, _ = self._order(metrics)
        return Clarify(
            question=f"The {self.catalog.metrics[metrics[0]].label.lower()} of what?",
            options=tuple(
                Option(
                    label=f"by {label}",
                    plan=Query(
                        metrics=metrics,
                        by=(dimension,),
                        period=period,
                        filters=filters,
                        order_by="metric",
                        descending=descending,
                    ),
                )
                for dimension, label in DIMENSION_LABELS.items()
            ),
        )

    def _ask_change(self, metrics: tuple[str, ...], by: tuple[Dimension, ...]) -> Clarify:
        """A change without days: offer the months, and the last one against the one before."""
        options = [
            Option(
                label="month by month",
                plan=Query(metrics=metrics, grain="month", filters=self._filters()),
            )
        ]
        days = self._days()
        found = read_period(("last", "month"), days) if days else None
        if found:
            options.append(
                Option(
                    label=f"{found[0].label} against the month before",
                    plan=Query(
                        metrics=metrics,
                        by=by,
                        filters=self._filters(),
                        period=found[0],
                        baseline=before(found[0]),
                        order_by="change" if by else None,
                    ),
                )
            )
        return Clarify(question="The change over which days?", options=tuple(options))

    # ---- follow-ups ----------------------------------------------------------------------

    def _is_fragment(self) -> bool:
        """Whether this only changes the question before."""
        linked = self.linked
        openers = {"and", "what_about", "only", "instead", "append", "exclude", "each", "rank",
                   "its", "drop_filter", "grain", "trend", *_OPERATORS}  # fmt: skip
        told = [s for s in linked.slots if set(s.meanings) != {"filler"}] or list(linked.slots)
        if told and openers & set(told[0].meanings) and "period" not in told[0].meanings:
            return True
        if linked.has("instead", "what_about", "its", "append", "drop_filter"):
            return True
        return not self._metrics() and not linked.has(
            "unclear_metric", "unclear_segment", "underperforming", "reallocation", "define"
        )

    def _patch(self, last: Plan) -> Plan | None:
        """Change the last plan by what this fragment names; None for a question of its own."""
        linked = self.linked
        if not self._is_fragment():
            return None
        filters = self._patched_filters(getattr(last, "filters", ()))
        change, amount = self._lever()
        if change is not None or amount is not None:
            if isinstance(last, WhatIf) or linked.has("its"):
                return WhatIf(change=change, amount=amount, filters=filters)
            return None
        if isinstance(last, WhatIf):
            return self._patched_lever(last, filters)
        if isinstance(last, Forecast) and not self._metrics():
            return Forecast(by=self._dimensions() or last.by, filters=filters)
        if isinstance(last, Underperforming) and not self._metrics():
            counted = last.count or linked.has("count")
            return Underperforming(filters=filters, count=counted)
        if isinstance(last, Count):
            last = Query(metrics=("roi",), by=(last.of,), filters=last.filters, period=last.period,
                         order_by="metric") if self._metrics() else last  # fmt: skip
        if isinstance(last, Count):
            return last.model_copy(update={"filters": filters, **self._patched_period(None)})
        if isinstance(last, SegmentProfiles):
            metrics = self._metrics() or last.metrics
            descending, limit = self._order(metrics)
            limit = last.limit if limit == 100 else limit
            return last.model_copy(
                update={"metrics": metrics, "descending": descending, "limit": limit}
            )
        return self._patched_query(last, filters) if isinstance(last, Query) else None

    def _patched_lever(self, last: WhatIf, filters: tuple[Filter, ...]) -> WhatIf | None:
        numbers = self._numbers()
        if not numbers:
            return last.model_copy(update={"filters": filters}) if not self._metrics() else None
        before_it = last.change if last.change is not None else last.amount
        sign = -1.0 if before_it is not None and before_it < 0 else 1.0
        if self.linked.has("less", "-"):
            sign = -1.0
        elif self.linked.has("more", "+"):
            sign = 1.0
        _slot, value, percent = numbers[0]
        if percent or (last.change is not None and value <= 100):
            return WhatIf(change=sign * value / 100, filters=filters)
        return WhatIf(amount=sign * value, filters=filters)

    def _patched_filters(self, old: tuple[Filter, ...]) -> tuple[Filter, ...]:
        """The last filters with those named now in their place, or without those taken away."""
        new = self._filters()
        if {"filter", "filters"} & set(self.linked.words) and self.linked.has("exclude", "write"):
            named = {f.dimension for f in new}
            return tuple(f for f in old if f.dimension not in named)
        gone: set[str] = set()
        for slot in self.linked.all("drop_filter"):
            kinds = {d for word in slot.words for d in _phrase_dimensions(word)}
            gone |= kinds or {"campaign", "channel", "segment"}
        return _merged(tuple(f for f in old if f.dimension not in gone), new)

    def _patched_period(self, last: Query | None) -> dict[str, Any]:
        if self.linked.has("period"):
            period, baseline = self._periods()
            if last and last.baseline and period and not baseline:
                baseline = before(period)
            return {"period": period, "baseline": baseline} if last else {"period": period}
        if self.linked.has("previous") and last and last.period:
            earlier = before(last.period)
            if self.linked.has("compare"):
                return {"baseline": earlier}
            return {"period": earlier, "baseline": before(earlier) if last.baseline else None}
        return {}

    def _patched_query(self, last: Query, filters: tuple[Filter, ...]) -> Query:
        linked = self.linked
        update: dict[str, Any] = {"filters": filters, **self._patched_period(last)}
        limited = last.having[-1].metric if last.having else last.metrics[0]
        having = self._having(default=limited)
        named = tuple(m for m in self._metrics() if m not in {h.metric for h in having})
        if having:
            adds = linked.has("and", "append") and bool(last.having)
            update["having"] = (*last.having, *having) if adds else having
            shown = (*last.metrics, *(h.metric for h in having))
            update["metrics"] = tuple(dict.fromkeys(shown))
            if not last.by and not last.grain:
                update["by"] = ("campaign",)
        elif named:
            adds = linked.has("append")
            update["metrics"] = tuple(dict.fromkeys((*last.metrics, *named))) if adds else named
            if not adds and not linked.has("only", "its", "what_about"):
                update["having"] = ()
        if self._dimensions():
            update["by"] = self._dimensions()
        units = (
            [s.meanings["unit"] for s in linked.all("unit")] if linked.has("trend", "each") else []
        )
        if linked.has("grain"):
            update["grain"] = linked.all("grain")[0].meanings["grain"]
        elif linked.has("trend") and not last.grain:
            update["grain"] = units[0] if units else "month"
        if "grain" in update and not self._dimensions():
            # A trend of the one thing that is left, not of a list.
            update["by"] = ()
        by = update.get("by", last.by)
        update["order_by"] = (last.order_by or "metric") if by else None
        metrics = update.get("metrics", last.metrics)
        if linked.has(*_SUPERLATIVES):
            update["descending"], limit = self._order(metrics)
            update["limit"] = limit if limit < 100 or not linked.has("only") else last.limit
        elif (counts := [n for _, n, percent in self._numbers() if not percent]) and not having:
            update["limit"] = int(min(max(counts[0], 1), 100))
        elif "by" in update:
            update["limit"] = 100
        return last.model_copy(update=update)


def _phrase_dimensions(word: str) -> tuple[str, ...]:
    """Dimension that a word such as "channels" or "canaux" names."""
    names = vocabulary()["dimensions"]
    return tuple(name for name, words in names.items() if word in words)


def _merged(old: tuple[Filter, ...], new: tuple[Filter, ...]) -> tuple[Filter, ...]:
    """New filters replace those of the same dimension."""
    replaced = {f.dimension for f in new}
    return (*(f for f in old if f.dimension not in replaced), *new)


def _ranking(metric: str, by: Dimension, descending: bool = True) -> Query:
    return Query(metrics=(metric,), by=(by,), order_by="metric", descending=descending)
