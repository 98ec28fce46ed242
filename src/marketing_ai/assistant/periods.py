"""Periods in words: "last month", "im März 2025", "depuis octobre", "Q3", "between May and July".

Everything is relative to the last day of the data, never to today's date: the same question on the
same data means the same days. A month without a year is its latest occurrence in the data, and
"last month" (week, quarter, year) is the last one that the data hold to its end.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass

from marketing_ai.assistant.catalog import vocabulary
from marketing_ai.assistant.plan import Period
from marketing_ai.assistant.words import words_of

_LAST = r"(?:the |les |den |die |der )?(?:last|past|previous|letzten|letzte|letzter|letztes|vergangenen|vergangene|derniers|dernieres|dernier|derniere)"
_COUNT = r"(\d+|one|two|three|four|five|six|seven|eight|nine|ten|twelve|thirty|zwei|drei|vier|funf|sechs|sieben|acht|zehn|dreissig|deux|trois|quatre|cinq|dix|trente)"
_DAY = r"days|day|tage|tagen|tag|jours|jour"
_WEEK = r"weeks|week|wochen|woche|semaines|semaine"
_MONTH = r"months|month|monate|monaten|monats|monat|mois"
_QUARTER = r"quarters|quarter|quartale|quartals|quartal|trimestres|trimestre"
_YEAR = r"years|year|jahre|jahren|jahres|jahr|annees|annee|ans|an"
_UNIT = rf"({_DAY}|{_WEEK}|{_MONTH}|{_QUARTER}|{_YEAR})"
_BEFORE = r"(?:du |des |de |vom |am )?"
_THIS = r"(?:this|current|the current|diesen|dieser|dieses|diesem|laufenden|aktuellen|cette|ce|du courant)"
_NAMES = {name: int(number) for number, names in vocabulary()["months"].items() for name in names}
_MONTH_NAME = "(" + "|".join(sorted(_NAMES, key=len, reverse=True)) + ")"
_YEAR_NUMBER = r"(20\d\d)"
_ISO = r"(\d{4}-\d{2}-\d{2})"
_ORDINALS = {
    "first": 1, "1st": 1, "erstes": 1, "ersten": 1, "erste": 1, "premier": 1, "premiere": 1,
    "second": 2, "2nd": 2, "zweites": 2, "zweiten": 2, "zweite": 2, "deuxieme": 2, "seconde": 2,
    "third": 3, "3rd": 3, "drittes": 3, "dritten": 3, "dritte": 3, "troisieme": 3,
    "fourth": 4, "4th": 4, "last": 4, "viertes": 4, "vierten": 4, "vierte": 4, "quatrieme": 4,
}  # fmt: skip
_ORDINAL = "(" + "|".join(_ORDINALS) + ")"
_DAY_NUMBER = r"(\d{1,2})(?:st|nd|rd|th|er|\.)?"
_IN = r"(?:in |im |en |au |for |during |fur |pour |du |of |on |am |le |de |the |d )*"


@dataclass(frozen=True)
class Calendar:
    """The days of the data."""

    first: dt.date
    last: dt.date

    def month(self, number: int, year: int | None) -> tuple[dt.date, dt.date]:
        """Days of a month; without a year its latest that has begun in the data."""
        if year is None:
            year = self.last.year if number <= self.last.month else self.last.year - 1
        return dt.date(year, number, 1), _month_end(year, number)

    def quarter(self, number: int, year: int | None) -> tuple[dt.date, dt.date]:
        """Days of a quarter; without a year its latest that has begun in the data."""
        month = 3 * number - 2
        if year is None:
            year = self.last.year if month <= self.last.month else self.last.year - 1
        return dt.date(year, month, 1), _month_end(year, month + 2)


def _month_end(year: int, month: int) -> dt.date:
    return dt.date(year, month, calendar.monthrange(year, month)[1])


def _unit(word: str) -> str:
    for name, pattern in (
        ("day", _DAY),
        ("week", _WEEK),
        ("month", _MONTH),
        ("quarter", _QUARTER),
    ):
        if re.fullmatch(pattern, word):
            return name
    return "year"


def holding(unit: str, day: dt.date) -> tuple[dt.date, dt.date]:
    """Days of the week (from Monday), month, quarter or year that holds `day`."""
    if unit == "day":
        return day, day
    if unit == "week":
        start = day - dt.timedelta(days=day.weekday())
        return start, start + dt.timedelta(days=6)
    if unit == "month":
        return day.replace(day=1), _month_end(day.year, day.month)
    if unit == "quarter":
        month = 3 * ((day.month - 1) // 3) + 1
        return dt.date(day.year, month, 1), _month_end(day.year, month + 2)
    return dt.date(day.year, 1, 1), dt.date(day.year, 12, 31)


def _last_whole(unit: str, days: Calendar) -> tuple[dt.date, dt.date]:
    start, end = holding(unit, days.last)
    if end > days.last:
        start, end = holding(unit, start - dt.timedelta(days=1))
    return start, end


def before(period: Period) -> Period:
    """The period before: the calendar unit before a whole one, else as many days before."""
    last = period.start - dt.timedelta(days=1)
    for unit in ("week", "month", "quarter", "year"):
        if (period.start, period.end) == holding(unit, period.start):
            return named(*holding(unit, last))
    return named(last - (period.end - period.start), last)


def named(start: dt.date, end: dt.date) -> Period:
    """A period with a label made of its dates, shorter for a whole month, quarter or year."""
    if start == end:
        label = start.isoformat()
    elif (start, end) == holding("month", start):
        label = f"{calendar.month_name[start.month]} {start.year}"
    elif (start, end) == holding("quarter", start):
        label = f"Q{(start.month + 2) // 3} {start.year}"
    elif (start, end) == holding("year", start):
        label = str(start.year)
    else:
        label = f"{start.isoformat()} to {end.isoformat()}"
    return Period(start=start, end=end, label=label)


def _count(word: str) -> int:
    return int(word) if word.isdigit() else int(vocabulary()["numbers"][word])


def _back(count: int, unit: str, days: Calendar) -> tuple[dt.date, dt.date]:
    """The last `count` days or weeks up to the last day; whole months, quarters and years."""
    if unit in ("day", "week"):
        length = count * (7 if unit == "week" else 1)
        return days.last - dt.timedelta(days=length - 1), days.last
    start, end = _last_whole(unit, days)
    for _ in range(count - 1):
        start, _unused = holding(unit, start - dt.timedelta(days=1))
    return start, end


def _point(text: str, days: Calendar) -> tuple[tuple[dt.date, dt.date], int] | None:
    """A day, month, quarter or year at the start of `text`: its days and its length."""
    match = re.match(rf"{_IN}{_ISO}(?= |$)", text)
    if match:
        day = dt.date.fromisoformat(match[1])
        return (day, day), match.end()
    match = re.match(
        rf"{_IN}{_DAY_NUMBER} (?:of |de )?{_MONTH_NAME}(?: (?:of )?{_YEAR_NUMBER})?(?= |$)", text
    )
    if match:
        start, _end = days.month(_NAMES[match[2]], int(match[3]) if match[3] else None)
        day = start.replace(day=int(match[1]))
        return (day, day), match.end()
    match = re.match(rf"{_IN}{_MONTH_NAME} {_DAY_NUMBER}(?: {_YEAR_NUMBER})?(?= |$)", text)
    if match:
        start, _end = days.month(_NAMES[match[1]], int(match[3]) if match[3] else None)
        day = start.replace(day=int(match[2]))
        return (day, day), match.end()
    match = re.match(
        rf"{_IN}(?:month of |monat |mois de |mois d )?{_MONTH_NAME}(?: (?:of |in |de )?{_YEAR_NUMBER})?(?= |$)",
        text,
    )
    if match:
        return days.month(_NAMES[match[1]], int(match[2]) if match[2] else None), match.end()
    match = re.match(rf"{_IN}(?:q|t)([1-4])(?: (?:of |in |de )?{_YEAR_NUMBER})?(?= |$)", text)
    if match:
        return days.quarter(int(match[1]), int(match[2]) if match[2] else None), match.end()
    match = re.match(
        rf"{_IN}{_ORDINAL} (?:{_QUARTER})(?: (?:of |in |de )?(?:the year |des jahres |l annee )?{_YEAR_NUMBER}?)?(?= |$)",
        text,
    )
    if match and match[1] != "last":
        year = int(match[2]) if match[2] else None
        return days.quarter(_ORDINALS[match[1]], year), match.end()
    match = re.match(
        rf"{_IN}(?:h([12])|{_ORDINAL} (?:half|halbjahr|semestre|halfte))"
        rf"(?: (?:of |in |de |du |des )?(?:the year|jahres|l annee|annee)?{_YEAR_NUMBER}?)?(?= |$)",
        text,
    )  # fmt: skip
    if match:
        half = int(match[1] or _ORDINALS[match[2]])
        year = int(match[3]) if match[3] else days.last.year
        ends = (
            (dt.date(year, 1, 1), dt.date(year, 6, 30)),
            (dt.date(year, 7, 1), dt.date(year, 12, 31)),
        )
        return ends[min(half, 2) - 1], match.end()
    match = re.match(
        rf"{_IN}(?:the year |dem jahr |jahr |l annee |annee )?{_YEAR_NUMBER}(?= |$)", text
    )
    if match:
        return holding("year", dt.date(int(match[1]), 1, 1)), match.end()
    return None


def _relative(text: str, days: Calendar) -> tuple[tuple[dt.date, dt.date], int] | None:
    """Periods relative to the last day: "last 7 days", "last month", "this week", "yesterday"."""
    match = re.match(rf"{_LAST} {_COUNT} {_UNIT}(?= |$)", text) or re.match(
        rf"(?:les |des |ces |den |die )?{_COUNT} (?:derniers|dernieres|letzten) {_UNIT}(?= |$)",
        text,
    )
    if match:
        count = _count(match[1])
        return (_back(count, _unit(match[2]), days), match.end()) if 0 < count < 1000 else None
    match = re.match(rf"{_LAST} {_UNIT}(?= |$)", text) or re.match(
        rf"(?:le |la |l |du |{_BEFORE})?{_UNIT} (?:dernier|derniere|passe|passee|precedent|precedente)(?= |$)",
        text,
    )
    if match and match[1] not in ("days", "tagen", "jours", "weeks", "wochen", "months", "monaten"):
        return _last_whole(_unit(match[1]), days), match.end()
    match = re.match(r"(?:im )?(vormonat|vorwoche|vorquartal|vorjahr)(?= |$)", text)
    if match:
        unit = {"vormonat": "month", "vorwoche": "week", "vorquartal": "quarter", "vorjahr": "year"}
        return _last_whole(unit[match[1]], days), match.end()
    match = re.match(rf"{_THIS} {_UNIT}(?= |$)", text)
    if match:
        start, _end = holding(_unit(match[1]), days.last)
        return (start, days.last), match.end()
    match = re.match(
        r"(?:for |in |over |during )?(?:the |das |dem )?(?:whole year|full year|entire year|ganze jahr|ganzen jahr|gesamte jahr|gesamten jahr)(?= |$)"
        r"|(?:toute l annee|l annee entiere|sur l annee|the year as a whole|im gesamten jahr)(?= |$)",
        text,
    )
    if match:
        start, end = holding("year", days.last)
        return (start, end), match.end()
    match = re.match(
        r"(year to date|ytd|seit jahresbeginn|depuis le debut de l annee)(?= |$)", text
    )
    if match:
        return (days.last.replace(month=1, day=1), days.last), match.end()
    match = re.match(r"(month to date|mtd)(?= |$)", text)
    if match:
        return (days.last.replace(day=1), days.last), match.end()
    match = re.match(
        r"(?:on |am )?(?:the )?(last day|most recent day|today|heute|aujourd hui|letzten tag|dernier jour)(?= |$)",
        text,
    )
    if match:
        return (days.last, days.last), match.end()
    match = re.match(r"(yesterday|gestern|hier)(?= |$)", text)
    if match:
        day = days.last - dt.timedelta(days=1)
        return (day, day), match.end()
    match = re.match(
        r"(?:over |for |in |during )?(?:the )?(whole period|entire period|full period|all time|to date|so far|ever|overall|"
        r"gesamten zeitraum|gesamte zeit|insgesamt|toute la periode|ensemble de la periode|depuis le debut|au total)(?= |$)",
        text,
    )
    if match:
        return (days.first, days.last), match.end()
    return None


def _single(text: str, days: Calendar) -> tuple[tuple[dt.date, dt.date], int] | None:
    return _relative(text, days) or _point(text, days)


def _open(text: str, days: Calendar) -> tuple[tuple[dt.date, dt.date], int] | None:
    """Ranges: "between A and B", "from A to B", "since A", "until B", "after A", "before B"."""
    match = re.match(
        rf"(?:from |vom |von |du |between |zwischen |entre |le |the |dem )*{_DAY_NUMBER} "
        rf"(?:to|until|till|through|and|bis zum|bis|und|au|et)(?: le| the| dem)? {_DAY_NUMBER} "
        rf"(?:of |de )?{_MONTH_NAME}(?: {_YEAR_NUMBER})?(?= |$)",
        text,
    )
    if match:
        start, _end = days.month(_NAMES[match[3]], int(match[4]) if match[4] else None)
        first_day, last_day = start.replace(day=int(match[1])), start.replace(day=int(match[2]))
        if first_day <= last_day:
            return (first_day, last_day), match.end()
    match = re.match(
        rf"(?:from |between )?{_MONTH_NAME} {_DAY_NUMBER} (?:to|until|till|through|and) {_DAY_NUMBER}"
        rf"(?: {_YEAR_NUMBER})?(?= |$)",
        text,
    )
    if match:
        start, _end = days.month(_NAMES[match[1]], int(match[4]) if match[4] else None)
        first_day, last_day = start.replace(day=int(match[2])), start.replace(day=int(match[3]))
        if first_day <= last_day:
            return (first_day, last_day), match.end()
    match = re.match(r"(?:between|from|zwischen|von|vom|entre|de|du|d) ", text)
    if match:
        first = _point(text[match.end() :], days)
        if first:
            rest = text[match.end() + first[1] :]
            link = re.match(
                r" (?:and|to|until|till|through|und|bis zum|bis|et|a|au|jusqu a|jusqu au|jusqu en|jusque) ",
                rest,
            )
            second = _point(rest[link.end() :], days) if link else None
            if link and second and first[0][0] <= second[0][1]:
                length = match.end() + first[1] + link.end() + second[1]
                return (first[0][0], second[0][1]), length
    match = re.match(
        r"(?:since|seit|depuis|from|starting|ab|a partir de|a partir du|a partir d) ", text
    )
    if match:
        point = _single(text[match.end() :], days)
        if point:
            extra = re.match(r" (?:on|onwards|onward)(?= |$)", text[match.end() + point[1] :])
            length = match.end() + point[1] + (extra.end() if extra else 0)
            return (point[0][0], max(days.last, point[0][0])), length
    match = re.match(r"(?:until|till|up to|through|bis zum|bis|jusqu a|jusqu au|jusqu en) ", text)
    if match:
        point = _point(text[match.end() :], days)
        if point:
            return (min(days.first, point[0][1]), point[0][1]), match.end() + point[1]
    match = re.match(r"(?:after|nach|apres) ", text)
    if match:
        point = _point(text[match.end() :], days)
        if point:
            start = point[0][1] + dt.timedelta(days=1)
            return (start, max(start, days.last)), match.end() + point[1]
    match = re.match(r"(?:before|vor|avant) ", text)
    if match:
        point = _point(text[match.end() :], days)
        if point:
            end = point[0][0] - dt.timedelta(days=1)
            return (min(days.first, end), end), match.end() + point[1]
    return None


def endpoints(words: tuple[str, ...], days: Calendar) -> tuple[Period, Period] | None:
    """The two parts of "between May and June" as periods of their own; None for other words."""
    for place, word in enumerate(words):
        if word not in ("and", "to", "und", "bis", "et", "a", "au"):
            continue
        first = _point(" ".join(words[1:place]), days)
        second = _point(" ".join(words[place + 1 :]), days)
        if first and second:
            return named(*first[0]), named(*second[0])
    return None


def read_period(words: tuple[str, ...], days: Calendar) -> tuple[Period, int] | None:
    """Read a period at the start of `words`.

    Args:
        words: words of a question from some place on.
        days: first and last day of the data.

    Returns:
        The period and how many words it took; None where none begins.
    """
    text = " ".join(words)
    try:
        found = _open(text, days) or _single(text, days)
    except ValueError:  # 30 February
        return None
    if not found:
        return None
    (start, end), length = found
    taken = len(words_of(text[:length].strip())) if length else 0
    return (named(start, end), taken) if taken else None
