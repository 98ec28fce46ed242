"""Propose the mapping of a file that nobody has described yet.

The file is read as `marketing load` would read it; names and cells say what its columns may be,
and the first rows are shown as they would come out. What has two plausible answers becomes a
question, and the mapping does not load before a person has answered it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Settings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from marketing_ai.load import names
from marketing_ai.load.drafting import RATIO, Draft, Question
from marketing_ai.load.gate import refusal
from marketing_ai.load.landing import preview
from marketing_ai.load.mapping import Mapping, MappingError, Reading
from marketing_ai.load.presets import find_preset, load_preset, report_name
from marketing_ai.load.reading import Delivery, format_of, personal_columns, read_delivery
from marketing_ai.load.sniffing import sniff


@dataclass(frozen=True)
class Proposal:
    """What a file's mapping may be, and why.

    Attributes:
        path: the file.
        settings: the mapping as plain data, without what is still a question.
        reasons: our column or setting -> why.
        ignored: column of the file -> why nothing reads it.
        notes: what the user should know besides.
        questions: what the user has to decide.
        personal: columns that look like personal data.
        preset: the platform's mapping that this is.
        format: csv, excel, parquet or jsonl.
        delivery: what was read.
        rows: the first rows as they would come out, empty where no mapping can be tried yet.
    """

    path: Path
    settings: dict[str, Any]
    reasons: dict[str, str]
    ignored: dict[str, str]
    notes: tuple[str, ...]
    questions: tuple[Question, ...]
    personal: tuple[str, ...]
    preset: str | None
    format: str
    delivery: Delivery
    rows: tuple[dict[str, object], ...]


def source_name(path: Path) -> str:
    """A name for the source of a file, from the file's own."""
    name = re.sub(r"[^a-z0-9]+", "_", path.name.split(".")[0].casefold()).strip("_")
    return name if re.match("[a-z]", name) else f"file_{name}".strip("_")


def propose(
    path: Path,
    source: str,
    overrides: Settings[str, Any] | None = None,
    preset: str | None = None,
) -> Proposal:
    """Look at a file and propose its mapping.

    Args:
        path: the file.
        source: name that the mapping gets.
        overrides: settings of `read:` that the user knows, such as header_row.
        preset: a platform's mapping to use, whatever the header looks like.

    Raises:
        FileRefusedError: the file cannot be told apart, whatever is tried.
        MappingError: there is no such preset, or the source's name is none.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", source):
        raise MappingError(
            f"'{source}' is no name for a source: lower case letters, digits and _, beginning "
            "with a letter"
        )
    try:
        reading, reasons, notes = sniff(path, dict(overrides or {}))
    except OSError as error:
        raise refusal(path, f"cannot be read ({error.strerror or error})") from None
    chosen = load_preset(preset) if preset else None
    with duckdb.connect() as connection:
        delivery = read_delivery(connection, path, Reading.model_validate(reading))
        kind = format_of(path, Reading.model_validate(reading))
        personal = tuple(personal_columns(connection, delivery))
        if chosen is None and (name := find_preset(delivery.header)):
            preset, chosen = name, load_preset(name)
        draft: Draft | _Preset
        if preset and chosen:
            draft = _from_preset(chosen, preset, source, reading, reasons, delivery)
        else:
            draft = Draft(connection, delivery, source, reading, reasons, notes, personal)
            draft.guess()
        settings, questions = draft.settings, tuple(draft.questions)
        if delivery.broken:
            draft.notes.append(f"{delivery.broken:,} records have no cells for the header")
        read = {name.casefold() for name in _sources(settings)}
        ignored = {
            name: draft.ignored.get(name, "not one of ours")
            for name in delivery.header
            if name.casefold() not in read and name not in draft.asked
        }
        rows: tuple[dict[str, object], ...] = ()
        # A first look leaves out the day whose format is a question, and needs a measure.
        looked = dict(settings)
        if "dates" in {question.setting for question in questions}:
            looked["columns"] = {n: c for n, c in settings["columns"].items() if n != "date"}
        try:
            tried = Mapping.model_validate(looked)
        except ValueError:
            tried = None
        if tried and {name.casefold() for name in tried.sources} <= {
            name.casefold() for name in delivery.header
        }:
            rows = tuple(preview(connection, _with_spellings(delivery, tried), tried))
    return Proposal(
        path, settings, draft.reasons, ignored, tuple(draft.notes), questions, personal, preset,
        kind, delivery, rows,
    )  # fmt: skip


def _with_spellings(delivery: Delivery, mapping: Mapping) -> Delivery:
    """The delivery whose columns are also found by the mapping's spelling of them."""
    folded = {name.casefold(): column for name, column in delivery.columns.items()}
    for name in mapping.sources:
        delivery.columns.setdefault(name, folded[name.casefold()])
    return delivery


def _sources(settings: dict[str, Any]) -> set[str]:
    """Columns of the file that a mapping in plain data reads."""
    blocks = [settings.get("columns", {}), *settings.get("unpivot", [])]
    cells = [cell for block in blocks for cell in block.values()]
    cells += [settings[name] for name in ("currency", "version") if name in settings]
    found: set[str] = set()
    for cell in cells:
        origin = cell.get("from", ())
        found |= {origin} if isinstance(origin, str) else set(origin)
    return found


@dataclass
class _Preset:
    """A platform's mapping for this source."""

    settings: dict[str, Any]
    reasons: dict[str, str]
    notes: list[str]
    ignored: dict[str, str]
    questions: list[Question]
    asked: set[str]


def _from_preset(
    chosen: Mapping,
    preset: str,
    source: str,
    reading: dict[str, Any],
    reasons: dict[str, str],
    delivery: Delivery,
) -> _Preset:
    settings = chosen.model_dump(exclude_defaults=True, by_alias=True)
    settings = {**settings, "source": source}
    # The delimiter is found anew in each file.
    if kept := {name: value for name, value in reading.items() if name != "delimiter"}:
        settings["read"] = {**settings.get("read", {}), **kept}
    present = {name.casefold() for name in delivery.header}
    missing = [name for name in chosen.sources if name.casefold() not in present]
    notes = [f"these are the columns of the {report_name(preset)}: preset {preset}"]
    if missing:
        notes = [f"preset {preset} reads columns that the file does not have: {', '.join(missing)}"]
    ratios = {n: RATIO for n in delivery.header if names.is_ratio(n)}
    return _Preset(settings, dict(reasons), notes, ratios, [], set())
