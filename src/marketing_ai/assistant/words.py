"""Text to words: one normal form for questions, vocabulary and names of campaigns.

Lower case without accents, hyphens and apostrophes as spaces, invisible and direction-changing
characters gone: "Win‑back", "win back" and "WIN-BACK" are the same words. Numbers keep their
signs and separators so that they can be read afterwards.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

LONGEST_QUESTION = 500
_INVISIBLE = {"Cf", "Cc", "Co", "Cs"}
_WORD = re.compile(
    r"\d{4}-\d{2}-\d{2}|\d[\d.,]*\d[km]?\b|\d[km]?\b|[^\W\d_]\w*|[><]=?|[%€$+]|-(?=\d)"
)
_MARKUP = re.compile(r"<!--|-->|</?[a-zA-Z!]|[{}\\`|~^\[\]]|\w+://|--\s|/\*")
_NUMBER = re.compile(r"(\d[\d.,]*)([km]?)$")


@dataclass(frozen=True)
class Word:
    """One word of a question, and where it stands in the words (not characters)."""

    text: str
    at: int


class QuestionError(ValueError):
    """The question is empty, too long to be one, or has markup in it."""


def clean(text: str) -> str:
    """Return `text` in NFKC, without invisible and control characters."""
    spaced = "".join(" " if c in "\n\r\t" else c for c in text)
    return "".join(
        c
        for c in unicodedata.normalize("NFKC", spaced)
        if unicodedata.category(c) not in _INVISIBLE
    ).strip()


def _joined(digits: re.Match[str]) -> str:
    """5 000 is one number."""
    return digits[0].replace(" ", "")


def words_of(text: str) -> tuple[str, ...]:
    """Split `text` into normal words; see the module."""
    flat = clean(text).replace("ß", "ss").casefold()
    plain = "".join(c for c in unicodedata.normalize("NFD", flat) if not unicodedata.combining(c))
    plain = re.sub(r"(?<=\w)['’`]s\b", "s", plain)
    plain = re.sub(r"\be-(?=mail)", "e", plain)
    plain = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", plain)
    plain = re.sub(r"['’`\"_/]", " ", plain)
    plain = re.sub(r"(?<![\d.,])(\d{1,3}(?: \d{3})+)(?![\d.,])", _joined, plain)
    plain = re.sub(r"(?<=[^\W\d])-(?=\w)", " ", plain).replace("−", "-").replace("–", " ")
    return tuple(_WORD.findall(plain))


def question_words(question: str) -> tuple[str, ...]:
    """Split a question into words.

    Raises:
        QuestionError: nothing is left, it has more than 500 characters, or it has markup or code,
            whose words would otherwise be read as words of the question.
    """
    if len(question) > LONGEST_QUESTION:
        raise QuestionError(f"the question is longer than {LONGEST_QUESTION} characters")
    if _MARKUP.search(clean(question)):
        raise QuestionError("the question has markup, a link or code in it: ask in plain words")
    found = words_of(question)
    if not found:
        raise QuestionError("the question is empty")
    return found


def number_of(word: str) -> float | None:
    """Read a number as people write it: 1,000 · 1.000 · 7.5 · 7,5 · 10k; None for other words."""
    match = _NUMBER.match(word)
    if not match:
        return None
    digits, scale = match.groups()
    if re.fullmatch(r"\d{1,3}([.,]\d{3})+", digits):
        digits = re.sub("[.,]", "", digits)
    elif digits.count(",") == 1 and "." not in digits:
        digits = digits.replace(",", ".")
    else:
        digits = digits.replace(",", "")
    try:
        return float(digits) * {"": 1, "k": 1_000, "m": 1_000_000}[scale]
    except ValueError:
        return None
