"""Words and lines for people: delivered text made safe to print, and YAML written by hand.

What was delivered may hold line feeds, markup or signs that turn the direction of writing; none
of it may reach a terminal or a YAML file as it is.
"""

from __future__ import annotations

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*( [A-Za-z0-9_]+)*")
_RESERVED = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])


def shown(text: str) -> str:
    """A delivered text that is safe to print in one line."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    plain = " ".join(plain.split())
    return plain if len(plain) <= 60 else plain[:59] + "…"


def scalar(value: Any) -> str:
    """A value as YAML in one line; text is quoted unless it cannot be mistaken."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _RESERVED
        return value if plain else json.dumps(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(scalar, value))}]"
    return json.dumps(value)


def line_of(setting: str, value: Any) -> str:
    """A setting and its value in one line of YAML."""
    if isinstance(value, dict):
        inner = ", ".join(f"{name}: {scalar(part)}" for name, part in value.items())
        return f"{setting}: {{{inner}}}"
    return f"{setting}: {scalar(value)}"


def number_of(number: int, thing: str) -> str:
    """A number of things: 1 cell, 2 cells."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def sign_name(sign: str) -> str:
    """A decimal or thousands sign in words."""
    names = {"": "nothing", ".": "a point", ",": "a comma", " ": "a blank", "'": "an apostrophe"}
    return names[sign]


def format_in_words(form: str) -> str:
    """A date format in words."""
    order = {"Y": "year", "y": "year", "m": "month", "d": "day", "b": "month", "B": "month"}
    return ", ".join(order[sign] for sign in re.findall("%(.)", form) if sign in order)
