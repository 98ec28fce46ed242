"""Tell what separates the columns of a text, by its header and its first records."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path

from marketing_ai.load.csvfile import HEADER_EMPTY, dialect, tidy
from marketing_ai.load.gate import MAX_LINE, refusal

DELIMITERS = ",;\t|"
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blank"}
SAMPLE = 200  # records that the delimiter is judged by


def delimiter_fits(
    path: Path, name: Path, header_row: int, quote: str
) -> list[tuple[float, int, str]]:
    """How well each delimiter divides the first records, best first.

    Args:
        path: UTF-8 file.
        name: what errors call it.
        header_row: line of the header.
        quote: the quote character.

    Returns:
        Share of the records with as many cells as the header, number of cells, delimiter; only
        delimiters that divide the header.

    Raises:
        FileRefusedError: the header is blank.
    """
    csv.field_size_limit(MAX_LINE)
    fits: list[tuple[float, int, str]] = []
    named = False
    for delimiter in DELIMITERS.replace(quote, "") if quote else DELIMITERS:
        rules = {**dialect(name, delimiter, quote), "strict": False}
        with path.open(encoding="utf-8-sig", newline="\n") as handle:
            reader = csv.reader(islice(handle, header_row - 1, None), **rules)  # type: ignore[arg-type]
            widths: list[int] = []
            while len(widths) <= SAMPLE:
                try:
                    cells = next(reader)
                except StopIteration:
                    break
                except csv.Error:
                    cells = []
                # A line of blanks says nothing, but the header is the first line, whatever it is.
                if any(cell.strip(" ") for cell in cells) or len(cells) > 1 or not widths:
                    widths.append(len(cells))
                if len(widths) == 1:
                    named = named or any(map(tidy, cells))
        if widths and widths[0] > 1:
            same = sum(width == widths[0] for width in widths[1:])
            fits.append((same / max(1, len(widths) - 1), widths[0], delimiter))
    if not named:
        raise refusal(name, HEADER_EMPTY, header_row)
    return sorted(fits, reverse=True)


def sniff_delimiter(path: Path, name: Path, header_row: int, quote: str) -> str:
    """The delimiter by which the first records have as many cells as the header.

    Args:
        path: UTF-8 file.
        name: what errors call it.
        header_row: line of the header.
        quote: the quote character.

    Raises:
        FileRefusedError: no candidate, or two that fit alike.
    """
    fits = delimiter_fits(path, name, header_row, quote)
    if not fits or (len(fits) > 1 and fits[0][:2] == fits[1][:2]):
        found = (
            "none of comma, semicolon, tab and bar divides the header"
            if not fits
            else f"{NAMES[fits[0][2]]} and {NAMES[fits[1][2]]} divide it alike"
        )
        raise refusal(
            name,
            f"what separates the columns can't be told ({found}); say read.delimiter, and "
            "read.header_row if the header stands further down",
            header_row,
        )
    return fits[0][2]
