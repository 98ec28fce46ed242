"""Draft the mapping of a file column by column, each choice with its reason.

A column is taken for ours only where its name is usual and its cells agree. Where two columns
could be the same number, none is taken: that is a question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import duckdb

from marketing_ai.load import names
from marketing_ai.load.guessing import Cells
from marketing_ai.load.mapping import AMOUNTS, COUNTS, KEY, MEASURES, Reading
from marketing_ai.load.reading import Delivery
from marketing_ai.load.wording import format_in_words, line_of, number_of, shown, sign_name

MAX_PARTS = 6  # columns that an identifier is composed of
MAX_CHANNELS = 50
MAX_ODD = 0.01  # of the days that may be unreadable without a question
_CURRENCY_OF_SIGN = {"€": "EUR", "£": "GBP", "₹": "INR"}
_CODES = {"EUR", "USD", "GBP", "CHF", "CAD", "AUD", "JPY"}


@dataclass(frozen=True)
class Question:
    """A choice that is left to a person.

    Attributes:
        setting: what it is about: one of our columns, or a setting.
        text: the question.
        options: the lines of YAML of which one is right, with what speaks for it.
    """

    setting: str
    text: str
    options: tuple[tuple[str, str], ...]


RATIO = "a ready-made ratio, which does not add up; it is computed from sums"


class Draft:
    """A proposal in the making: each step takes some columns and says why."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        delivery: Delivery,
        source: str,
        reading: dict[str, Any],
        reasons: dict[str, str],
        notes: list[str],
        personal: tuple[str, ...],
    ) -> None:
        self.cells = Cells(connection, delivery, Reading.model_validate(reading))
        self.reading = dict(reading)
        self.columns: dict[str, dict[str, Any]] = {}
        self.settings: dict[str, Any] = {"source": source}
        self.reasons, self.notes = dict(reasons), list(notes)
        self.ignored: dict[str, str] = dict.fromkeys(personal, "looks like personal data")
        self.questions: list[Question] = []
        self.asked: set[str] = set()
        self.free = [name for name in delivery.header if name not in personal]

    def guess(self) -> None:
        """Fill in everything."""
        if sum(bool(re.fullmatch(r"[-0-9.,:/ ]+", name)) for name in self.free) > 1:
            self.notes.append("the header looks like a row of data: is the line of names missing?")
        for name in list(self.free):
            if names.is_ratio(name):
                self._ignore(name, RATIO)
        self._take_marks()
        self._take_days()
        blocks = self._take_blocks()
        self._take_measures(blocks)
        self._take_dimensions(blocks)
        self._take_signs(blocks)
        self._take_spellings()
        self._note_repeats()
        if self.reading:
            self.settings["read"] = self.reading
        self.settings["columns"] = {n: self.columns[n] for n in (*KEY, *MEASURES, "campaign_name")
                                    if n in self.columns}  # fmt: skip
        if blocks:
            self.settings["unpivot"] = list(blocks.values())

    def _ignore(self, name: str, why: str) -> None:
        self.ignored[name] = why
        self.free.remove(name)

    def _take(self, ours: str, name: str, why: str) -> None:
        self.columns[ours] = {"from": name}
        self.reasons[ours] = why
        if name in self.free:
            self.free.remove(name)

    def _ask(self, setting: str, text: str, options: dict[str, str]) -> None:
        self.questions.append(Question(setting, text, tuple(options.items())))

    def _usual(self, ours: str) -> list[str]:
        """Free columns with a usual name of ours, the most usual first."""
        order = (ours.replace("_", ""), *names.SYNONYMS[ours])
        found = [n for n in self.free if (names.meaning_of(n) or ("", ""))[0] == ours]
        return sorted(found, key=lambda n: order.index(names.normal(n))
                      if names.normal(n) in order else len(order))  # fmt: skip

    def _take_marks(self) -> None:
        """Columns that say how new a row is, and in which currency."""
        for setting, usual in (("version", names.VERSIONS), ("currency", names.CURRENCIES)):
            for name in [n for n in self.free if names.normal(n) in usual][:1]:
                self.settings[setting] = {"from": name}
                self.reasons[setting] = {
                    "version": "tells which of two rows with one key is newer",
                    "currency": "amounts are converted by seeds/exchange_rates.csv",
                }[setting]
                self.free.remove(name)

    def _take_days(self) -> None:
        """The day of a row and how it is written."""
        usual = self._usual("date")
        for name in usual or [n for n in self.free if self._looks_like_days(n)][:1]:
            forms, failing, odd = self.cells.dates(name)
            filled = self.cells.columns[name].filled
            if not forms or failing > 0.5 * filled:
                self.notes.append(f"'{shown(name)}' has the name of a day, but no known format "
                                  f"reads its cells ('{shown(odd)}')")  # fmt: skip
                continue
            why = names.meaning_of(name)
            self._take("date", name, why[1] if why else "its cells are days")
            self._take_format(name, forms, failing, odd)
            for other in usual:
                if other in self.free:
                    self._ignore(other, f"'{shown(name)}' is the day")
            return
        self.notes.append("no day: the rows will have none, so no trend, windows or forecast")

    def _looks_like_days(self, name: str) -> bool:
        column = self.cells.columns[name]
        if not column.filled or not re.search(r"\d\d?[-./ ]", column.example):
            return False
        forms, failing, _ = self.cells.dates(name)
        return bool(forms) and failing == 0

    def _take_format(self, name: str, forms: list[str], failing: int, odd: str) -> None:
        if len(forms) > 1:
            example = shown(self.cells.columns[name].example)
            self._ask(
                "dates",
                f"dates: which number of '{example}' is the month?",
                {f'dates: ["{form}"]': format_in_words(form) for form in forms},
            )
            return
        if forms != ["%Y-%m-%d"]:
            self.reading["dates"] = forms
            self.reasons["dates"] = (
                f"'{shown(self.cells.columns[name].example)}', {format_in_words(forms[0])}"
            )
        if failing > MAX_ODD * self.cells.columns[name].filled:
            self._ask(
                "dates_failing",
                f"dates: the format does not read {number_of(failing, 'cell')}, such as "
                f"'{shown(odd)}'; is it right, and may these rows be refused?",
                {},
            )
        elif failing:
            self.notes.append(
                f"the format of '{shown(name)}' does not read {number_of(failing, 'cell')}, "
                f"such as '{shown(odd)}'; such rows are refused"
            )

    def _take_blocks(self) -> dict[str, dict[str, Any]]:
        """Measures that stand side by side, one group of columns a channel."""
        found = names.blocks_of(n for n in self.free if self.cells.is_number(n))
        blocks: dict[str, dict[str, Any]] = {}
        for channel, measures in found.items():
            block: dict[str, Any] = {"channel": {"constant": channel.title()}}
            for ours, name in measures.items():
                block[ours] = self._measure(ours, name)
                self.free.remove(name)
            blocks[channel] = block
        if blocks:
            self.reasons["unpivot"] = (
                "one group of columns a channel: every line becomes "
                f"{len(blocks)} rows, one a channel"
            )
        return blocks

    def _measure(self, ours: str, name: str) -> dict[str, Any]:
        cell: dict[str, Any] = {"from": name}
        if ours in AMOUNTS and names.is_micros(name):
            cell["divide_by"] = 1_000_000
        return cell

    def _take_measures(self, blocks: dict[str, dict[str, Any]]) -> None:
        """The six numbers; two columns that could be one of them are a question."""
        for ours in MEASURES:
            if any(ours in block for block in blocks.values()):
                continue
            usual = [name for name in self._usual(ours) if self.cells.is_number(name)]
            hinted = [n for n in self.free if names.hint_of(n) == ours and self.cells.is_number(n)]
            found = usual or hinted
            if len(found) == 1:
                told = names.meaning_of(found[0])
                self._take(ours, found[0], told[1] if told else f"its name is about {ours}")
                self.columns[ours] = self._measure(ours, found[0])
                if "divide_by" in self.columns[ours]:
                    self.reasons[ours] += "; the name says millionths"
            elif found:
                listed = " or ".join(f"'{shown(name)}'" for name in found)
                self._ask(
                    ours,
                    f"{ours}: is it {listed}?",
                    {line_of(ours, self._measure(ours, n)): self._says(n) for n in found},
                )
                self.asked |= set(found)
                self.free = [name for name in self.free if name not in found]

    def _says(self, name: str) -> str:
        column = self.cells.columns[name]
        return f"{column.filled:,} filled, such as {shown(column.example)}"

    def _take_dimensions(self, blocks: dict[str, dict[str, Any]]) -> None:
        """Who was advertised to, where, and by which campaign."""
        texts = [
            n for n in self.free if not self.cells.is_number(n) and self.cells.columns[n].filled
        ]
        for ours in ("campaign_id", "campaign_name", "channel", "segment"):
            if ours == "channel" and blocks:
                continue
            if usual := self._usual(ours):
                told = names.meaning_of(usual[0])
                self._take(ours, usual[0], told[1] if told else "")
        if "channel" not in self.columns and not blocks:
            self.notes.append(
                "no column is the channel, so every row will be unmapped; if the file is of one "
                "channel, say `channel: {constant: NAME}`"
            )
        if "campaign_id" in self.columns:
            return
        if "campaign_name" in self.columns:
            self.columns["campaign_id"] = dict(self.columns["campaign_name"])
            self.reasons["campaign_id"] = "there is no id, so the name has to identify a campaign"
            return
        rows = max((column.filled for column in self.cells.columns.values()), default=0)
        parts = [n for n in texts if self.cells.columns[n].distinct <= max(200, rows // 10)]
        parts = parts[:MAX_PARTS]
        if parts:
            self.columns["campaign_id"] = {"from": parts if len(parts) > 1 else parts[0]}
            self.reasons["campaign_id"] = (
                "there is no id: rows with the same values here are taken for one campaign"
            )
            for name in parts:
                if name in self.free:
                    self.free.remove(name)
        elif blocks:
            for channel, block in blocks.items():
                block["campaign_id"] = {"constant": channel}
            self.reasons["campaign_id"] = "there is none: each channel counts as one campaign"
        else:
            name = self.settings["source"]
            self.columns["campaign_id"] = {"constant": name}
            self.reasons["campaign_id"] = "there is none: the whole source counts as one campaign"

    def _take_signs(self, blocks: dict[str, dict[str, Any]]) -> None:
        """How numbers are written, and counts that have decimals."""
        mapped = {ours: cell for block in (self.columns, *blocks.values())
                  for ours, cell in block.items() if ours in MEASURES}  # fmt: skip
        sources = [cell["from"] for block in (self.columns, *blocks.values())
                   for ours, cell in block.items() if ours in MEASURES]  # fmt: skip
        sources += [name for name in self.asked if name not in sources]
        if not sources:
            self.notes.append("no column is a count or an amount for sure")
            return
        signs, failing, unlike = self.cells.signs(sources)
        settings = [{"decimal": decimal, "thousands": thousands} for decimal, thousands in signs]
        if len(signs) > 1:
            example = shown(unlike[0])
            self._ask(
                "signs",
                f"numbers: what is '{example}'?",
                {
                    f'decimal: "{one["decimal"]}"; thousands: "{one["thousands"]}"': (
                        f"decimals follow {sign_name(one['decimal'])}, "
                        f"thousands are set off by {sign_name(one['thousands'])}"
                    )
                    for one in settings
                },
            )
        elif signs[0] != (".", ""):
            defaults = {"decimal": ".", "thousands": ""}
            found = {k: v for k, v in settings[0].items() if v != defaults[k]}
            self.reading |= found
            for setting in found:
                self.reasons[setting] = "the only signs by which all numbers can be read"
        if failing:
            self.notes.append(
                f"{number_of(failing, 'cell')} of the measures cannot be read as a number; "
                "such rows are refused"
            )
        for block in (self.columns, *blocks.values()):
            for ours, cell in block.items():
                if ours in COUNTS and self.cells.has_fractions(cell["from"], signs[0]):
                    cell["round"] = True
                    self.reasons[ours] = (
                        f"{self.reasons.get(ours, '')}; rounded, as it has decimals".lstrip("; ")
                    )
        amounts = [cell["from"] for ours, cell in mapped.items() if ours in AMOUNTS]
        self._take_currency(amounts)

    def _take_currency(self, amounts: list[str]) -> None:
        if "currency" in self.settings:
            return
        sign = self.cells.currency_sign(amounts)
        named = {word.upper() for name in amounts for word in names.words(name)}
        codes = _CODES & named
        if sign in _CURRENCY_OF_SIGN:
            codes.add(_CURRENCY_OF_SIGN[sign])
        if len(codes) == 1:
            self.settings["currency"] = {"constant": codes.pop()}
            self.reasons["currency"] = "names or cells of the amounts say so"
        elif sign:
            self.notes.append(f"amounts carry '{sign}'; say `currency: {{constant: USD}}` (or "
                              "whichever it is) if it is not the project's currency")  # fmt: skip

    def _take_spellings(self) -> None:
        """One spelling for every channel."""
        name = self.columns.get("channel", {}).get("from")
        if not isinstance(name, str):
            return
        groups = self.cells.spellings(name)
        variants = [group for group in groups if len(group) > 1]
        if variants and len(groups) <= MAX_CHANNELS:
            self.settings["channels"] = [group[0] for group in groups]
            told = ", ".join(f"'{shown(g[0])}' is also '{shown(g[1])}'" for g in variants[:3])
            self.reasons["channels"] = f"one spelling each ({told}); others become unmapped"

    def _note_repeats(self) -> None:
        """Rows of the file with one key, and what may be done with them."""
        key: list[str] = []
        for ours in KEY:
            origin = self.columns.get(ours, {}).get("from", [])
            key += [origin] if isinstance(origin, str) else origin
        if not key or "dates" in {question.setting for question in self.questions}:
            return
        day = self.columns.get("date", {}).get("from")
        if day and self.cells.has_times(day):
            self.settings["repeated_keys"] = "sum"
            self.reasons["repeated_keys"] = f"'{shown(day)}' has hours, which are added up to days"
            return
        repeated = self.cells.repeats(key)
        if not repeated:
            return
        apart = [
            name
            for name in self.free
            if 1 < self.cells.columns[name].distinct <= 1_000
            and not self.cells.is_number(name)
            and self.cells.repeats([*key, name]) < repeated
        ]
        if apart:
            self.settings["repeated_keys"] = "sum"
            listed = ", ".join(f"'{shown(name)}'" for name in apart[:4])
            self.reasons["repeated_keys"] = (
                f"{repeated:,} rows share a key and differ by {listed}: parts of one sum"
            )
            return
        if not isinstance(self.columns.get("campaign_id", {}).get("from", ""), str):
            self.settings["repeated_keys"] = "sum"
            self.reasons["repeated_keys"] = (
                f"{repeated:,} rows share a key; a composed id cannot tell such rows apart"
            )
            return
        self.notes.append(
            f"{repeated:,} rows share {', '.join(KEY)} with another row and will be refused; "
            "`repeated_keys: sum` adds them up, `last` keeps the last line"
        )
