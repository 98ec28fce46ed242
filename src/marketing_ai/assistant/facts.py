"""Facts: every number that an answer may say, with the cell that it comes from.

A fact knows its row, column, unit and whom it is about; a sentence names facts and holds no digits
of its own. What a fact says in words is written here and nowhere else.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from marketing_ai.assistant.catalog import Catalog, Unit
from marketing_ai.assistant.warehouse import Result
from marketing_ai.assistant.words import clean

LONGEST_NAME = 120
_PLAIN_UNITS: dict[str, Unit] = {
    "number": "count", "n_campaigns": "count", "planned_cost": "money", "base_cost": "money",
    "predicted_revenue": "money", "current_cost": "money", "current_revenue": "money",
    "current_roi": "percent", "current_cpl": "money", "budget_change": "percent",
    "change": "percent", "delta_revenue": "money", "delta_revenue_lower_80": "money",
    "delta_revenue_upper_80": "money", "revenue_lower_80": "money", "revenue_upper_80": "money",
    "base_revenue": "money", "delta_cost": "money", "current_roas": "ratio",
}  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """One number (or date) of a result.

    Attributes:
        id: name of its slot in a sentence, such as f1.
        entity: whom it is about, in words; empty for the whole.
        column: column of the result.
        row: row of the result, from 0.
        value: the cell.
        unit: how it is written.
    """

    id: str
    entity: str
    column: str
    row: int
    value: Any
    unit: Unit | None


def unit_of(column: str, catalog: Catalog) -> Unit | None:
    """Unit of a result's column; None for names and dates."""
    if column.endswith("_share"):
        return "percent"
    base = column
    for ending in ("_before", "_change", "_whole"):
        base = base.removesuffix(ending)
    if base in catalog.metrics:
        return catalog.metrics[base].unit
    return _PLAIN_UNITS.get(column)


def safe_name(text: object) -> str:
    """A name from the data for a sentence: no invisible characters, braces or endless length."""
    name = clean(str(text)).replace("{", "(").replace("}", ")")
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def write(value: Any, unit: Unit | None, currency: str, signed: bool = False) -> str:
    """Write a value with its unit: 1,234 · 12.3 % · 4.56 EUR · 3.03; "not known" for None."""
    if value is None:
        return "not known"
    if isinstance(value, dt.date):
        return value.isoformat()
    if not isinstance(value, int | float | Decimal):
        return safe_name(value)
    sign = "+" if signed else ""
    if unit == "percent":
        return f"{float(value) * 100:{sign},.1f} %".replace("-", "−")
    if unit == "money":
        digits = 2 if abs(float(value)) < 1000 else 0
        return f"{float(value):{sign},.{digits}f} {currency}".replace("-", "−")
    if unit == "count":
        return f"{int(value):{sign},}".replace("-", "−")
    return f"{float(value):{sign},.2f}".replace("-", "−")


def entity_of(result: Result, row: int) -> str:
    """Whom a row is about: its campaign, channel, segment and period."""
    record = dict(zip(result.columns, result.rows[row], strict=True))
    parts = []
    if "period_start" in record:
        parts.append(write(record["period_start"], None, ""))
    if "performance_segment" in record and "campaign_id" not in record:
        parts.append(safe_name(record["performance_segment"]))
    if "campaign_id" in record:
        parts.append(safe_name(record.get("campaign_name") or record["campaign_id"]))
    elif "scope_id" in record:
        parts.append(safe_name(record.get("campaign_name") or record["scope_id"]))
    parts += [
        safe_name(record[name])
        for name in ("channel", "segment")
        if record.get(name) is not None and "performance_segment" not in record
    ]
    return ", ".join(parts)


def facts_of(result: Result, catalog: Catalog) -> list[Fact]:
    """Every number of a result as a fact, row by row."""
    found: list[Fact] = []
    for row in range(len(result.rows)):
        entity = entity_of(result, row)
        for column in result.columns:
            unit = unit_of(column, catalog)
            if unit is None:
                continue
            found.append(
                Fact(f"f{len(found) + 1}", entity, column, row, result.cell(row, column), unit)
            )
    return found
