"""The business rules as SQL, taken from the dbt macro that the build uses.

One text judges twice: here at the door, so that a bad file is refused before anything is
written, and again in the build. `macros/load/broken_rules.sql` is plain Jinja, which dbt and
this module render to the same SQL.
"""

from __future__ import annotations

import csv
import hashlib
from functools import cache
from pathlib import Path

import jinja2
import yaml

from marketing_ai.load.cells import quoted


@cache
def broken_rules(root: Path) -> str:
    """SQL of the rules that a row breaks, comma separated; '' for none.

    Args:
        root: project folder.
    """
    source = (root / "macros" / "load" / "broken_rules.sql").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=False)  # noqa: S701, it renders SQL
    template = environment.from_string(source + "{{ broken_rules() }}")
    return template.render().strip()


def rules_md5(root: Path) -> str:
    """Hash of the rules, blanks aside; the build compares it with its own."""
    text = "".join(broken_rules(root).split())
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def project_currency(root: Path) -> str:
    """The declared currency of the lake, from dbt_project.yml."""
    content = yaml.safe_load((root / "dbt_project.yml").read_text(encoding="utf-8"))
    return str(content.get("vars", {}).get("currency", "EUR")).upper()


def rates_sql(root: Path) -> str:
    """SQL of the exchange rates: currency, valid_from, valid_until (exclusive), exchange_rate."""
    path = root / "seeds" / "exchange_rates.csv"
    with path.open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    values = ", ".join(
        f"({quoted(row['currency'])}, {quoted(row['valid_from'])}, {quoted(row['exchange_rate'])})"
        for row in rows
    )
    listed = f"values {values}" if rows else "select null, null, null where false"
    return f"""
        select
            currency,
            valid_from::date as valid_from,
            coalesce(
                lead(valid_from::date) over (partition by currency order by valid_from::date),
                date '9999-12-31'
            ) as valid_until,
            exchange_rate::decimal(18, 8) as exchange_rate
        from ({listed}) as rate (currency, valid_from, exchange_rate)
    """  # noqa: S608
