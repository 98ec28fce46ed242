"""The catalogue: which metrics, dimensions and values exist, from dbt and the published tables.

Metrics and their formulas come from dbt's semantic manifest, the one definition that the project
has; units, directions and words come from `vocabulary.yml` beside this module. The values
(campaigns, channels, segments, the first and last day) are those of one publication.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import polars as pl
import sqlglot
import yaml
from sqlglot import exp

from marketing_ai.assistant.plan import Dimension
from marketing_ai.lake.publication import NotPublishedError, Publication
from marketing_ai.paths import Paths

Unit = Literal["count", "money", "percent", "ratio"]
DIMENSION_LABELS: dict[Dimension, str] = {
    "campaign": "campaign",
    "channel": "channel",
    "segment": "audience segment",
}


@dataclass(frozen=True)
class Metric:
    """One metric of the semantic layer.

    Attributes:
        name: its name in dbt, also the column of a result.
        label: its name in words.
        description: what it means, from dbt.
        unit: how a value is written; `percent` values are fractions.
        lower_is_better: True for costs per something, None where more is neither good nor bad.
        expression: formula over the measures' columns, each standing for its sum.
        measures: the columns that it needs.
    """

    name: str
    label: str
    description: str
    unit: Unit
    lower_is_better: bool | None
    expression: exp.Expr
    measures: tuple[str, ...]

    @property
    def is_additive(self) -> bool:
        """Whether values of parts add up to the value of the whole."""
        return isinstance(self.expression, exp.Column)


@dataclass(frozen=True)
class Campaign:
    """A campaign; the name is None where the source has none."""

    id: str
    name: str | None
    channels: frozenset[str]


@dataclass(frozen=True)
class Catalog:
    """What can be asked about.

    Attributes:
        metrics: by name.
        campaigns: by id.
        channels: channel names.
        segments: audience segment names.
        performance_segments: names of the clusters; empty where none are published.
        first_day: first day of data; None where nothing has a date.
        last_day: last day of data, what "last month" is relative to.
        currency: the declared currency.
        reported: measures that have a value anywhere.
    """

    metrics: dict[str, Metric]
    campaigns: dict[str, Campaign]
    channels: tuple[str, ...]
    segments: tuple[str, ...]
    performance_segments: tuple[str, ...]
    first_day: dt.date | None
    last_day: dt.date | None
    currency: str
    reported: frozenset[str] = field(default=frozenset())

    def values(self, dimension: Dimension) -> tuple[str, ...]:
        """Values of a dimension, campaigns by id."""
        if dimension == "campaign":
            return tuple(self.campaigns)
        return self.channels if dimension == "channel" else self.segments

    def campaign_label(self, campaign_id: str) -> str:
        """Name of a campaign, its id where it has none."""
        return self.campaigns[campaign_id].name or campaign_id


class CatalogError(RuntimeError):
    """dbt's semantic manifest is missing or does not hold what the assistant needs."""


@cache
def vocabulary() -> dict[str, Any]:
    """The words that the assistant knows, from `vocabulary.yml`."""
    text = (Path(__file__).parent / "vocabulary.yml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def read_metrics(manifest: Path) -> dict[str, Metric]:
    """Read the metrics from dbt's semantic manifest.

    Raises:
        CatalogError: the file is missing, or a metric has no unit in the vocabulary.
    """
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
        model = next(m for m in found["semantic_models"] if m["name"] == "campaign_performance")
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise CatalogError(
            f"{manifest}: no semantic layer to read ({error}); `make build` writes it"
        ) from None
    columns = {m["name"]: m["expr"] for m in model["measures"]}
    formulas: dict[str, exp.Expr] = {}
    for metric in found["metrics"]:
        formulas[metric["name"]] = _formula(metric["type_params"], columns)
    metrics = {}
    for metric in found["metrics"]:
        name = metric["name"]
        words = vocabulary()["metrics"].get(name)
        if words is None:
            raise CatalogError(f"metric {name} has no entry in assistant/vocabulary.yml")
        expression = _expand(formulas[name], formulas)
        metrics[name] = Metric(
            name=name,
            label=metric["label"] or name,
            description=metric["description"] or "",
            unit=words["unit"],
            lower_is_better=words.get("lower_is_better"),
            expression=expression,
            measures=tuple(sorted({c.name for c in expression.find_all(exp.Column)})),
        )
    return metrics


def _formula(parameters: dict[str, Any], columns: dict[str, str]) -> exp.Expr:
    """Formula of one metric over measures or other metrics."""
    if parameters["measure"]:
        return exp.column(columns[parameters["measure"]["name"]])
    if parameters["expr"]:
        return sqlglot.parse_one(parameters["expr"])
    return exp.Div(
        this=exp.column(parameters["numerator"]["name"]),
        expression=exp.Nullif(
            this=exp.column(parameters["denominator"]["name"]), expression=exp.Literal.number(0)
        ),
        typed=False,
        safe=False,
    )


def _expand(formula: exp.Expr, formulas: dict[str, exp.Expr]) -> exp.Expr:
    """Replace metrics by their formulas until only measures are left."""

    def replace(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column):
            return node
        target = formulas.get(node.name)
        if target is None or isinstance(target, exp.Column):
            return target.copy() if target is not None else node
        return exp.Paren(this=_expand(target, formulas))

    return formula.copy().transform(replace)


def read_catalog(
    publication: Publication,
    paths: Paths,
    currency: str,
    channels: frozenset[str] | None = None,
) -> Catalog:
    """Read the catalogue of one publication.

    Args:
        publication: whose tables.
        paths: where the semantic manifest is.
        currency: the declared currency.
        channels: channels that the reader may see, None: all. Names, days and measures that only
            rows of other channels have do not exist for this reader.

    Raises:
        CatalogError: the semantic manifest is missing.
        NotPublishedError: a table that is needed is not published.
    """
    metrics = read_metrics(paths.root / "target" / "semantic_manifest.json")
    kpi = publication.scan("marketing_kpi")
    if channels is not None:
        kpi = kpi.filter(pl.col("channel").is_in(sorted(channels)))
    measures = ["impressions", "clicks", "leads", "conversions", "cost", "revenue"]
    known = kpi.select(
        pl.col("date").min().alias("first"),
        pl.col("date").max().alias("last"),
        *(pl.col(m).is_not_null().any() for m in measures),
    ).collect()
    rows = (
        kpi.group_by("campaign_id")
        .agg(pl.col("campaign_name").drop_nulls().last(), pl.col("channel").unique())
        .sort("campaign_id")
        .collect()
    )
    try:
        profiles = _performance_segments(publication, channels)
    except NotPublishedError:
        profiles = []
    return Catalog(
        metrics=metrics,
        campaigns={
            r["campaign_id"]: Campaign(
                r["campaign_id"], r["campaign_name"], frozenset(filter(None, r["channel"]))
            )
            for r in rows.iter_rows(named=True)
        },
        channels=_distinct(kpi, "channel"),
        segments=_distinct(kpi, "segment"),
        performance_segments=tuple(name for name in profiles if name),
        first_day=known["first"][0],
        last_day=known["last"][0],
        currency=currency,
        reported=frozenset(m for m in measures if known[m][0]),
    )


def _performance_segments(
    publication: Publication, channels: frozenset[str] | None
) -> list[str | None]:
    if channels is None:
        return publication.read("segment_profiles")["performance_segment"].to_list()
    members = publication.scan("campaign_segments").filter(
        pl.col("channel").is_in(sorted(channels))
    )
    return list(_distinct(members, "performance_segment"))


def _distinct(frame: pl.LazyFrame, column: str) -> tuple[str, ...]:
    values = frame.select(pl.col(column).drop_nulls().unique()).collect()[column]
    return tuple(sorted(values.to_list()))
