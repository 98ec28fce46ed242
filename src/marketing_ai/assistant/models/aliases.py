"""Aliases: names of campaigns, channels and segments that do not leave the machine.

With aliases on, a prompt has "Campaign A1" where the data have a name, and code puts the name back.
A question is sent as its normal words: known names as their aliases, words that look like a part
of a name as "[name]", and what the vocabulary knows or no name resembles as it is.
"""

from __future__ import annotations

from typing import Any

from rapidfuzz import fuzz

from marketing_ai.assistant.catalog import Catalog
from marketing_ai.assistant.facts import Fact, safe_name, write
from marketing_ai.assistant.link import SIMILAR, Phrase, link
from marketing_ai.assistant.plan import Plan
from marketing_ai.assistant.warehouse import Result

MASK = "[name]"
Values = dict[Phrase, list[tuple[str, str]]]
_COLUMNS = {
    "campaign_id": "campaign",
    "channel": "channel",
    "segment": "segment",
    "performance_segment": "performance",
}


class Aliases:
    """Names as they are sent and back; without `on`, names stay what they are."""

    def __init__(self, catalog: Catalog, values: Values, on: bool) -> None:
        self.on = on
        self._catalog = catalog
        self._values = values
        named = (
            ("campaign", "Campaign A", catalog.campaigns),
            ("channel", "Channel C", catalog.channels),
            ("segment", "Segment S", catalog.segments),
            ("performance", "Group P", catalog.performance_segments),
        )
        self._sent = {
            (dimension, value): f"{prefix}{number}" if on else value
            for dimension, prefix, known in named
            for number, value in enumerate(known, 1)
        }
        self._back = {(d, alias): value for (d, value), alias in self._sent.items()}

    def sent(self, dimension: str, value: str) -> str:
        """A value as it is sent."""
        return self._sent[dimension, value]

    def label(self, campaign: str) -> str:
        """Name of a campaign as it is sent."""
        if self.on:
            return self.sent("campaign", campaign)
        return safe_name(self._catalog.campaign_label(campaign))

    def back(self, dimension: str, text: str) -> str:
        """The value that was sent as `text`; what was not sent stays as it is."""
        return self._back.get((dimension, text), text)

    def question(self, question: str) -> str:
        """A question as it is sent.

        Raises:
            QuestionError: it is empty, too long or has markup.
        """
        if not self.on:
            return question
        linked = link(question, self._catalog, self._values)
        parts = {word for phrase in self._values for word in phrase}
        written = []
        for slot in sorted((*linked.slots, *linked.residual), key=lambda slot: slot.at):
            if named := slot.meanings.get("value"):
                written.append(" or ".join(self._sent[target] for target in named))
            elif slot.meanings:
                written.extend(slot.words)
            else:
                like = any(fuzz.ratio(slot.words[0], part) >= SIMILAR for part in parts)
                written.append(MASK if like else slot.words[0])
        return " ".join(written)

    def plan(self, plan: Plan) -> dict[str, Any]:
        """A plan as it is sent."""
        known = plan.model_dump(mode="json", exclude_defaults=True) | {"kind": plan.kind}
        for rule in known.get("filters", ()):
            rule["values"] = [self.sent(rule["dimension"], v) for v in rule["values"]]
        if "names" in known:
            known["names"] = [self.sent("performance", v) for v in known["names"]]
        return known

    def entity(self, fact: Fact, result: Result) -> str:
        """Whom a fact is about, as it is sent."""
        if not self.on:
            return fact.entity
        record = dict(zip(result.columns, result.rows[fact.row], strict=True))
        parts = [write(record["period_start"], None, "")] if "period_start" in record else []
        parts += [
            self.sent(dimension, record[column])
            for column, dimension in _COLUMNS.items()
            if record.get(column) is not None
        ]
        return ", ".join(parts)
