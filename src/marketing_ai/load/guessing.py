"""Guess from its cells how a file's numbers and days are written.

The loader's own rules are tried on the cells, so that what is proposed is what will load. Where
two spellings fit equally well and read different values, both are returned and none is picked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import duckdb

from marketing_ai.load.cells import CURRENCY_SIGNS, TIDY, taken, typed
from marketing_ai.load.mapping import Cell, Reading
from marketing_ai.load.reading import Delivery

SAMPLE = 100_000  # rows whose cells are looked at

_DAYS = (
    "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d",
    "%Y%m%d", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d %b %Y", "%d-%b-%Y",
    "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y",
)  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_Decimal = Literal[".", ","]
_Thousands = Literal["", ",", ".", " ", "'"]
SIGNS: tuple[tuple[_Decimal, _Thousands], ...] = (
    (".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"),
)  # fmt: skip


_ANY = Cell.model_validate({"constant": ""})  # a cell without settings of its own


class Column(NamedTuple):
    """What the cells of a column look like: filled, distinct, and a first value."""

    filled: int
    distinct: int
    example: str


class Cells:
    """Questions to the cells of a delivery, answered by DuckDB with the loader's own rules."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, delivery: Delivery, reading: Reading
    ) -> None:
        self._connection = connection
        self._delivery = delivery
        self._reading = reading
        connection.execute(TIDY)
        names = ", ".join(
            f"{self._text(name)} as {column}" for name, column in delivery.columns.items()
        )
        connection.execute(
            f"create or replace temp table sampled as "  # noqa: S608
            f"select line, {names} from (from delivered order by line limit {SAMPLE})"
        )
        self.columns = self._describe()
        self._numbers: dict[str, bool] = {}

    def _text(self, name: str) -> str:
        return taken(
            Cell.model_validate({"from": name}), self._delivery.columns, self._reading.nulls
        )

    def _describe(self) -> dict[str, Column]:
        places = self._delivery.columns
        counted = ", ".join(
            f"count({c}), count(distinct {c}), any_value({c})" for c in places.values()
        )
        (found,) = self._connection.execute(f"select {counted} from sampled").fetchall()  # noqa: S608
        return {
            name: Column(found[3 * n], found[3 * n + 1], found[3 * n + 2] or "")
            for n, name in enumerate(places)
        }

    def _counts(self, conditions: Iterable[str]) -> list[int]:
        counted = ", ".join(f"count(*) filter ({condition})" for condition in conditions)
        (row,) = self._connection.execute(f"select {counted} from sampled").fetchall()  # noqa: S608
        return list(row)

    def _number(self, name: str, decimal: _Decimal, thousands: _Thousands) -> str:
        reading = Reading(decimal=decimal, thousands=thousands)
        column = self._delivery.columns[name]
        return typed("cost", _ANY, column, reading, as_text=self._delivery.as_text)

    def is_number(self, name: str) -> bool:
        """Whether most filled cells are numbers in one spelling or another."""
        if name not in self._numbers:
            self._numbers[name] = any(
                self._failing(name, signs) <= 0.5 * self.columns[name].filled for signs in SIGNS
            )
        return self._numbers[name]

    def _failing(self, name: str, signs: tuple[_Decimal, _Thousands]) -> int:
        column = self._delivery.columns[name]
        return self._counts([f"{column} is not null and {self._number(name, *signs)} is null"])[0]

    def signs(
        self, names: Iterable[str]
    ) -> tuple[list[tuple[_Decimal, _Thousands]], int, list[str]]:
        """Spellings of numbers that read the most cells of all columns.

        Returns:
            The spellings that differ in what they read, the number of cells that even these do
            not read, and cells that the spellings read differently.
        """
        names = [name for name in names if self.columns[name].filled]
        if not names or not self._delivery.as_text:
            return [(".", "")], 0, []
        failing = [sum(self._failing(name, signs) for name in names) for signs in SIGNS]
        best = [
            signs for signs, number in zip(SIGNS, failing, strict=True) if number == min(failing)
        ]
        kept, unlike = [best[0]], []
        for signs in best[1:]:
            examples = [self._read_differently(names, signs, other) for other in kept]
            if all(examples):
                kept.append(signs)
                unlike += examples[:1]
        return kept, min(failing), unlike

    def _read_differently(
        self,
        names: Iterable[str],
        one: tuple[_Decimal, _Thousands],
        other: tuple[_Decimal, _Thousands],
    ) -> str:
        """A cell that is another number by other signs, empty for none."""
        for name in names:
            values = [
                f"try_cast({self._number(name, *signs)} as decimal(38, 6))"
                for signs in (one, other)
            ]
            found = self._connection.execute(
                f"select {self._delivery.columns[name]} from sampled "  # noqa: S608
                f"where {values[0]} <> {values[1]} limit 1"
            ).fetchall()
            if found:
                return str(found[0][0])
        return ""

    def has_fractions(self, name: str, signs: tuple[_Decimal, _Thousands]) -> bool:
        """Whether a count has decimals."""
        value = f"try_cast({self._number(name, *signs)} as decimal(38, 6))"
        return self._counts([f"{value} <> trunc({value})"])[0] > 0

    def currency_sign(self, names: Iterable[str]) -> str:
        """A currency sign that stands in cells, empty for none."""
        for name in names:
            column = self._delivery.columns[name]
            found = self._connection.execute(
                f"select regexp_extract({column}, '[{CURRENCY_SIGNS}]') as sign "  # noqa: S608
                "from sampled where sign <> '' limit 1"
            ).fetchall()
            if found:
                return str(found[0][0])
        return ""

    def dates(self, name: str) -> tuple[list[str], int, str]:
        """Formats that read all days of a column, or the most, when none reads all.

        Returns:
            Formats that differ in what they read, the number of cells that none of them reads,
            and one such cell.
        """
        column = self._delivery.columns[name]
        # A time behind an ISO day is cut off by the loader, whatever its format.
        times = _TIMES[1:] if ":" in self.columns[name].example else _TIMES[:1]
        forms = ["%Y-%m-%d", *(day + time for time in times for day in _DAYS[1:])]

        def value(form: str) -> str:
            read = f"try_strptime({column}, '{form}')::date::varchar"
            if form == "%Y-%m-%d" or not self._delivery.as_text:
                reading = Reading(dates=(form,))
                read = typed("date", _ANY, column, reading, as_text=self._delivery.as_text)
            return f"case when ({read}) between '1990-01-01' and '2100-12-31' then ({read}) end"

        failing = self._counts(f"{column} is not null and {value(form)} is null" for form in forms)
        least = min(failing)
        if least >= self.columns[name].filled:
            return [], least, self.columns[name].example
        best = [f for f, number in zip(forms, failing, strict=True) if number == least]
        kept = [best[0]]
        for form in best[1:]:
            if self._counts([f"{value(form)} <> {value(best[0])}"])[0]:
                kept.append(form)
        odd = self._connection.execute(
            f"select any_value({column}) from sampled "  # noqa: S608
            f"where {column} is not null and {value(best[0])} is null"
        ).fetchall()
        return kept, least, str(odd[0][0] or "")

    def spellings(self, name: str) -> list[list[str]]:
        """Values of a column by value without case, the most frequent spelling first."""
        column = self._delivery.columns[name]
        rows = self._connection.execute(
            f"select {column}, count(*) from sampled where {column} is not null "  # noqa: S608
            "group by 1 order by 2 desc, 1"
        ).fetchall()
        groups: dict[str, list[str]] = {}
        for value, _ in rows:
            groups.setdefault(value.lower(), []).append(value)
        return list(groups.values())

    def repeats(self, key: Iterable[str]) -> int:
        """Rows that share their key columns with other rows of the file, copies left aside."""
        columns = ", ".join(self._delivery.columns[name] for name in key) or "1"
        ((rows,),) = self._connection.execute(
            "select coalesce(sum(n), 0)::bigint from "  # noqa: S608
            "(select count(*) as n from (select distinct * exclude (line) from sampled) "
            f"group by {columns} having n > 1)"
        ).fetchall()
        return int(rows)

    def has_times(self, name: str) -> bool:
        """Whether the days of a column have a time other than midnight."""
        column = self._delivery.columns[name]
        return self._counts([f"regexp_matches({column}, '[ T][0-9]?[0-9]:') and not "
                             f"regexp_matches({column}, '[ T]0?0:00')"])[0] > 0  # fmt: skip
