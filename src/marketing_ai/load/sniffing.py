"""Find out how a file can be read: encoding, delimiter, line of the header, sheet."""

from __future__ import annotations

import re
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from marketing_ai.load import gate
from marketing_ai.load.delimiter import delimiter_fits
from marketing_ai.load.mapping import Reading
from marketing_ai.load.reading import FileRefusedError, format_of, plain_text

HEADER_WITHIN = 20  # lines or rows in which the header is looked for


def sniff(path: Path, known: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Settings of `read:` by which the file can be read, with reasons and notes."""
    gate.stamp(path)
    reading = dict(known)
    reasons: dict[str, str] = {}
    notes: list[str] = []
    kind = format_of(path, Reading.model_validate(known))
    if kind == "excel":
        _sniff_sheet(path, reading, reasons, notes)
    if kind not in {"csv", "jsonl"}:
        return reading, reasons, notes
    with tempfile.TemporaryDirectory(prefix="marketing_inspect_") as folder:
        if "encoding" not in known:
            start = gate.first_bytes(gate.unpack(path, Path(folder)), 2)
            if start in {b"\xff\xfe", b"\xfe\xff"}:
                reading["encoding"] = "utf-16"
                reasons["encoding"] = "the first two bytes say so"
        try:
            text = plain_text(path, Reading.model_validate(reading), Path(folder))
        except FileRefusedError as refused:
            if "not UTF-8" not in str(refused) or "encoding" in known:
                raise
            reading["encoding"] = "cp1252"
            reasons["encoding"] = "it is not UTF-8; cp1252 is what Windows writes, look at umlauts"
            text = plain_text(path, Reading.model_validate(reading), Path(folder))
        if kind == "csv":
            _sniff_dialect(text.path, path, reading, reasons)
    return reading, reasons, notes


def _sniff_dialect(
    text: Path, path: Path, reading: dict[str, Any], reasons: dict[str, str]
) -> None:
    """Find the header's line and the delimiter."""
    quote = str(reading.get("quote", '"'))
    with text.open(encoding="utf-8-sig", newline="\n") as handle:
        first = handle.readline().strip()
        lines = 1 + sum(1 for _ in islice(handle, HEADER_WITHIN))
    if said := re.fullmatch(r'"?sep=(.)"?', first):
        reading.setdefault("delimiter", said[1])
        reading.setdefault("header_row", 2)
        reasons["header_row"] = "line 1 is Excel's note on the delimiter"
    wanted = [reading["header_row"]] if "header_row" in reading else range(1, lines + 1)
    best: tuple[float, int, str] | None = None
    found = 1
    for row in wanted:
        try:
            fits = delimiter_fits(text, path, int(row), quote)
        except FileRefusedError:
            continue  # a blank line is no header
        if "delimiter" in reading:
            fits = [fit for fit in fits if fit[2] == reading["delimiter"]]
        # A title above the header has other cells than the lines below it.
        if fits and (best is None or (best[0] < 0.5 and fits[0][0] > 0.8)):
            best, found = fits[0], int(row)
        if best and best[0] >= 0.5:
            break
    if best and found > 1 and "header_row" not in reading:
        reading["header_row"] = found
        reasons["header_row"] = f"from line {found} on, lines have {best[1]} cells like the header"
    if best and "delimiter" not in reading:
        reading["delimiter"] = best[2]
        reasons["delimiter"] = (
            f"{best[0]:.0%} of the first records have the header's {best[1]} cells"
        )


def _sniff_sheet(
    path: Path, reading: dict[str, Any], reasons: dict[str, str], notes: list[str]
) -> None:
    """Find the sheet and the row of the header."""
    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            sheets = book.sheet_names
            sizes = {name: book.get_sheet_by_name(name).total_height for name in sheets}
            if "sheet" not in reading and len(sheets) > 1:
                reading["sheet"] = max(sheets, key=lambda name: sizes[name])
                reasons["sheet"] = f"the longest of {len(sheets)} sheets"
                others = ", ".join(name for name in sheets if name != reading["sheet"])
                notes.append(f"other sheets are not read: {others}")
            name = reading.get("sheet", sheets[0])
            if name not in sizes or "header_row" in reading:
                return
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)[:HEADER_WITHIN]
    except (CalamineError, OSError):
        return  # the reader says what is wrong with the file
    widths = [sum(1 for cell in row if str(cell).strip()) for row in rows]
    for number, (row, width) in enumerate(zip(rows, widths, strict=True), 1):
        filled = [cell for cell in row if str(cell).strip()]
        if width >= max(2, max(widths) / 2) and all(isinstance(cell, str) for cell in filled):
            if number > 1:
                reading["header_row"] = number
                reasons["header_row"] = f"row {number} is the first with {width} names"
            return
