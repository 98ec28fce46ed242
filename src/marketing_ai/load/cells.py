"""SQL that turns delivered cells into canonical text, or into null where a cell breaks its type.

Everything is a DuckDB expression over text, so that ten million rows never pass through Python.
The common spelling of a value is recognised by a cheap comparison; only what is spelt otherwise
meets a regular expression.
"""

from __future__ import annotations

from marketing_ai.load.mapping import AMOUNTS, COUNTS, Cell, Reading

# What a good cell looks like, by the rule that a bad one breaks.
EXPECTED = {
    "empty": "the cell is empty",
    "not_a_count": "is not a whole number, 0 or more",
    "not_an_amount": "is not an amount",
    "not_a_date": "is not an existing date",
}
CURRENCY_SIGNS = "$€£¥₹"

# What is cut off around an ASCII cell; others may have any blank of Unicode.
BLANKS = "chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || ' '"

# Blanks and control characters around a value are never meant; pure ASCII takes the short way.
TIDY = rf"""
create or replace macro tidy(cell) as nullif(
    case
        when strlen(cell) = length(cell) then trim(cell, {BLANKS})
        else nfc_normalize(regexp_replace(cell, '^[\s\pZ\pC]+|[\s\pZ\pC]+$', '', 'g'))
    end,
    ''
)
"""


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def taken(cell: Cell, columns: dict[str, str], nulls: tuple[str, ...]) -> str:
    """The delivered text of a cell: tidied, null where nothing is known.

    Args:
        cell: where it comes from.
        columns: name in the file -> column of table `delivered`.
        nulls: cells that mean nothing is known.
    """
    if cell.constant is not None:
        return quoted(cell.constant)
    parts = []
    for source in cell.sources:
        part = f"tidy({columns[source]})"
        if nulls:
            tokens = ", ".join(quoted(token) for token in nulls)
            part = f"case when {part} not in ({tokens}) then {part} end"
        parts.append(part)
    if len(parts) == 1:
        return parts[0]
    return f"nullif(concat_ws({quoted(cell.separator)}, {', '.join(parts)}), '')"


def typed(name: str, cell: Cell, text: str, reading: Reading, *, as_text: bool) -> str:
    """Canonical text of column `name`, null where `text` is not of its type.

    Args:
        name: our column.
        cell: its mapping.
        text: SQL of the taken text.
        reading: signs and date formats of the source.
        as_text: the source delivers text; False: typed values, which have no signs of their own.
    """
    if name in COUNTS:
        return _count(text, reading, cell, as_text=as_text)
    if name in AMOUNTS:
        return _amount(text, reading, cell, as_text=as_text)
    if name == "date":
        return _date(text, reading, as_text=as_text)
    return text


def rule_of(name: str) -> str:
    """The rule that a cell of column `name` breaks when it is not of its type."""
    if name in COUNTS:
        return "not_a_count"
    if name in AMOUNTS:
        return "not_an_amount"
    return "not_a_date" if name == "date" else "empty"


def _plain(text: str, reading: Reading, *, as_text: bool) -> str:
    """A number with a decimal point and nothing else; null for what is no number."""
    decimal, thousands = (reading.decimal, reading.thousands) if as_text else (".", "")
    point = "\\" + decimal
    digits = "[0-9]+"
    if thousands:
        sign = "\\" + thousands if thousands in ".,'" else "[ \\x{a0}\\x{202f}]"
        digits = f"([0-9]+|[0-9]{{1,3}}({sign}[0-9]{{3}})+)"
    # (12.50) is how accountants write -12.50; a currency sign may stand before or behind.
    bare = (
        f"regexp_replace(regexp_replace({text}, '\\s*[{CURRENCY_SIGNS}]\\s*', ''), "
        "'^\\((.*)\\)$', '-\\1')"
    )
    if thousands:
        unseparated = f"regexp_replace({bare}, '{sign.replace(chr(39), chr(39) * 2)}', '', 'g')"
        digits = digits.replace("'", "''")
    else:
        unseparated = bare
    number = f"replace({unseparated}, ',', '.')" if decimal == "," else unseparated
    branches = [
        f"when regexp_matches({bare}, '^[-+]?{digits}({point}[0-9]*)?$') then ltrim({number}, '+')"
    ]
    if not as_text:
        exponent = "^-?[0-9]+(\\.[0-9]+)?[eE][-+]?[0-9]+$"
        branches.append(
            f"when regexp_matches({text}, '{exponent}') "
            f"then try_cast(try_cast({text} as double) as decimal(38, 6))::varchar"
        )
    return f"case {' '.join(branches)} end"


def _count(text: str, reading: Reading, cell: Cell, *, as_text: bool) -> str:
    number = _plain(text, reading, as_text=as_text)
    value = f"try_cast({number} as decimal(38, 6))"
    whole = f"round({value})" if cell.round else f"case when {value} = trunc({value}) then {value}"
    whole = whole if cell.round else f"{whole} end"
    return (
        f"case when try_cast({text} as bigint)::varchar = {text} and not starts_with({text}, '-') "
        f"then {text} "
        f"when {value} >= 0 then try_cast(try_cast({whole} as decimal(38, 0)) as bigint)::varchar "
        "end"
    )


def _amount(text: str, reading: Reading, cell: Cell, *, as_text: bool) -> str:
    slow = _plain(text, reading, as_text=as_text)
    number = slow
    if reading.decimal == "." or not as_text:
        number = (
            f"case when regexp_matches({text}, '^-?[0-9]+(\\.[0-9]*)?$') then {text} "
            f"else {slow} end"
        )
    if cell.divide_by != 1:
        # Exact for powers of ten, which micros are: decimals multiply exactly, doubles don't.
        digits = len(str(cell.divide_by)) - 1
        if cell.divide_by == 10**digits and digits <= 9:
            factor = f"cast('{1 / cell.divide_by:.{digits}f}' as decimal(10, {digits}))"
            value = f"try_cast({number} as decimal(24, 4)) * {factor}"
        else:
            value = f"round(try_cast({number} as double) / {cell.divide_by}, 4)"
        return f"try_cast({value} as decimal(18, 4))::varchar"
    return f"case when try_cast({number} as decimal(18, 4)) is not null then {number} end"


def _date(text: str, reading: Reading, *, as_text: bool) -> str:
    formats = reading.dates if as_text else ("%Y-%m-%d", *reading.dates)
    branches = []
    others = [form for form in dict.fromkeys(formats) if form != "%Y-%m-%d"]
    if len(others) < len(set(formats)):
        branches.append(f"when try_cast({text} as date)::varchar = {text} then {text}")
        # A time behind the day is cut off: the day is as the source reports it.
        stamp = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9:.]+( ?UTC|Z|[-+][0-9:]+)?)?$"
        branches.append(
            f"when regexp_matches({text}, '{stamp}') then try_cast({text}[:10] as date)::varchar"
        )
    if others:
        listed = ", ".join(quoted(form) for form in others)
        branches.append(f"when true then try_strptime({text}, [{listed}])::date::varchar")
    return f"case {' '.join(branches)} end"
