"""What has changed since the last publication, so that tests need not read what has passed.

Every month of a published table was tested when it was published. As long as a table has only
grown by merges since, the months that its newer loads touch are all that can differ. Whenever
that cannot be shown, everything is tested.
"""

from __future__ import annotations

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from marketing_ai.lake.publication import NotPublishedError, current_publication
from marketing_ai.load.ledger import read_ledger
from marketing_ai.paths import Paths

GROWING = (
    "marketing_clean",
    "marketing_kpi",
    "marketing_kpi_channel_daily",
    "marketing_kpi_monthly",
    "marketing_rejects",
)
# What a build does to a growing table besides merging: comments and the like.
_HARMLESS = {"MERGE", "CHANGE COLUMN", "CHANGE COLUMNS", "SET TBLPROPERTIES"}


def unpublished_changes(paths: Paths) -> dict[str, str]:
    """Environment variables that tell the dbt tests what to read; empty: everything.

    MARKETING_CHANGED_MONTHS lists first days of months, MARKETING_TESTED_FROM_LOAD is a load.
    """
    try:
        publication = current_publication(paths)
        published = publication.read("marketing_loads")
        for name in GROWING:
            table = DeltaTable(str(publication.schema_folder / name))
            newer = table.version() - publication.versions[name]
            commits = table.history(newer) if newer else []
            if newer < 0 or any(commit["operation"] not in _HARMLESS for commit in commits):
                return {}
    except (NotPublishedError, DeltaError, KeyError):
        return {}
    last = int(published["load_no"].max() or 0)  # type: ignore[arg-type]
    if not last:
        return {}
    loads = read_ledger(paths).filter(pl.col("load_no") > last)
    months = sorted({month for text in loads["months"] for month in text.split(",") if month})
    return {
        "MARKETING_CHANGED_MONTHS": ",".join(months),
        "MARKETING_TESTED_FROM_LOAD": str(last + 1),
    }
