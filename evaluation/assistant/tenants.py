"""Cross-tenant tries: a reader of some channels gets what a lake without the others would say.

For every tenant a second lake is made that holds that tenant's rows only. Each question goes to
both, with the tenant's row policy; any difference in status, text, rows, facts, notes, options,
suggestions or bound values is a leak, whatever it looks like.
"""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from marketing_ai.assistant.ask import Answer, Assistant
from marketing_ai.assistant.catalog import Catalog
from marketing_ai.assistant.warehouse import TABLES
from marketing_ai.lake.publication import Publication

_ABOUT_EVERYTHING = (
    "What is our total revenue?",
    "ROI by channel",
    "Cost by campaign",
    "Which campaign has the highest revenue?",
    "Which campaign has the lowest ROI?",
    "Which audience segment has the highest ROI?",
    "Share of revenue by channel",
    "Which channels have a ROI below 0?",
    "Revenue by month",
    "How did revenue change compared to last month?",
    "How many campaigns are there?",
    "How many channels are there?",
    "Which campaigns are underperforming?",
    "How many campaigns are underperforming?",
    "What revenue can we expect next month?",
    "What revenue can we expect if budget increases by 20%?",
    "How should we split the same budget better?",
    "Which performance segment has the highest ROI?",
    "Which campaigns are in Hidden gems?",
    "Revenue without social",
    "Revenue in 1999",
    "What is the NPS?",
    "ctr by week",
    "Best campaign per lead",
)
_ABOUT_ONE = (
    "What is the ROI of {name}?",
    "Compare {name} with the rest by revenue",
    "Share of cost of {name}",
    "What if the budget of {name} doubles?",
    "Revenue without {name}",
)


@dataclass(frozen=True)
class Leak:
    """A question whose answer depends on rows that its reader may not see."""

    tenant: str
    question: str
    part: str


def run(assistant: Assistant, first: int | None = None) -> tuple[int, list[Leak]]:
    """Ask as the tenant of each channel, or of the first ones.

    Returns:
        The number of tries, and the leaks.
    """
    whole = assistant.catalog()
    publication = assistant.publication()
    tries, leaks = 0, []
    for channel in whole.channels[:first]:
        tenant = frozenset({channel})
        folder = Path(tempfile.mkdtemp(prefix="tenant"))
        try:
            _lake_of(publication, tenant, folder)
            paths = replace(assistant.paths, lake=folder, schema="tenant")
            alone = Assistant(paths)
            for question in _questions(whole, tenant):
                tries += 1
                seen = _told(assistant.ask(question, channels=tenant))
                right = _told(alone.ask(question, channels=tenant))
                leaks += [
                    Leak(channel, question, part) for part in seen if seen[part] != right[part]
                ]
        finally:
            shutil.rmtree(folder)
    return tries, leaks


def _questions(whole: Catalog, tenant: frozenset[str]) -> Iterator[str]:
    yield from _ABOUT_EVERYTHING
    others = [c for c in whole.channels if c not in tenant]
    hidden = [c for c in whole.campaigns.values() if not c.channels & tenant]
    names = others + [c.name or c.id for c in hidden] + [c.id for c in hidden[:3]]
    for place, name in enumerate(names):
        yield _ABOUT_ONE[place % len(_ABOUT_ONE)].format(name=name)
        yield _ABOUT_ONE[(place + 1) % len(_ABOUT_ONE)].format(name=name)


def _told(answer: Answer) -> dict[str, Any]:
    """All that an answer says, apart from which publication it came from."""
    told = answer.as_dict()
    del told["publication"], told["published_at"]
    return told


def _lake_of(publication: Publication, tenant: frozenset[str], folder: Path) -> None:
    """Write the tenant's rows of every table, and a publication of them."""
    entries = []
    seen = sorted(tenant)
    for table in TABLES:
        if table not in publication.versions:
            continue
        frame = publication.read(table)
        if "channel" in frame.columns:
            frame = frame.filter(pl.col("channel").is_in(seen))
        elif "main_channel" in frame.columns:
            frame = frame.filter(pl.col("main_channel").is_in(seen))
        elif "scope_id" in frame.columns:
            frame = frame.filter(pl.col("scope_id").is_in(seen))
        else:
            frame = frame.clear()
        frame.write_delta(folder / "tenant.db" / table)
        entries.append((table, 0, frame.height, dt.datetime(2026, 1, 1)))
    pl.DataFrame(
        entries,
        schema=["table_name", "delta_version", "row_count", "published_at"],
        orient="row",
    ).write_delta(folder / "tenant.db" / "publication")
