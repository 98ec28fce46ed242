"""The plan: everything that a question may mean, as a typed value.

A question becomes one of these, and only these are compiled to SQL; neither a parser nor a
language model writes SQL. Names in a plan are checked against the catalogue before it is used, so
a plan from outside (an agent, a model's reply) is as safe as one from the parser.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

Dimension = Literal["campaign", "channel", "segment"]
Grain = Literal["day", "week", "month", "quarter"]
Operator = Literal["above", "at_least", "below", "at_most"]
LIMIT = 100


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Period(_Strict):
    """Days from `start` to `end`, both included; `label` says in words what was understood."""

    start: dt.date
    end: dt.date
    label: str

    @model_validator(mode="after")
    def _ordered(self) -> Period:
        if self.start > self.end:
            raise ValueError("a period starts on or before its end")
        return self


class Filter(_Strict):
    """Keep (or, `exclude`, drop) rows whose dimension has one of the values; campaigns by id."""

    dimension: Dimension
    values: tuple[str, ...] = Field(min_length=1, max_length=100)
    exclude: bool = False


class Having(_Strict):
    """A threshold on a metric of the result's rows; a percentage is a fraction (0.2 = 20 %)."""

    metric: str
    operator: Operator
    value: float = Field(allow_inf_nan=False)


class Query(_Strict):
    """Metrics from `marketing_kpi`: totals, rankings, thresholds, trends, comparisons, shares."""

    kind: Literal["query"] = "query"
    metrics: tuple[str, ...] = Field(min_length=1, max_length=15)
    by: tuple[Dimension, ...] = ()
    grain: Grain | None = None
    filters: tuple[Filter, ...] = ()
    having: tuple[Having, ...] = ()
    period: Period | None = None
    baseline: Period | None = None
    share: bool = False
    order_by: Literal["metric", "change"] | None = None
    descending: bool = True
    limit: int = Field(default=LIMIT, ge=1, le=LIMIT)

    @model_validator(mode="after")
    def _fits(self) -> Query:
        if self.baseline and not self.period:
            raise ValueError("a baseline needs a period to compare with it")
        if self.baseline and self.grain:
            raise ValueError("a comparison with a baseline has no grain")
        if self.order_by == "change" and not self.baseline:
            raise ValueError("an order by change needs a baseline")
        if self.share and self.baseline:
            raise ValueError("a share has no baseline")
        if len(set(self.by)) < len(self.by) or len(set(self.metrics)) < len(self.metrics):
            raise ValueError("a metric or dimension is named twice")
        return self


class Count(_Strict):
    """How many campaigns, channels or audience segments spent or were shown in a period."""

    kind: Literal["count"] = "count"
    of: Dimension
    filters: tuple[Filter, ...] = ()
    period: Period | None = None


class Underperforming(_Strict):
    """Campaigns that the project's rule calls under-performing."""

    kind: Literal["underperforming"] = "underperforming"
    count: bool = False
    filters: tuple[Filter, ...] = ()


class SegmentProfiles(_Strict):
    """The performance segments (clusters of campaigns), ranked by a metric.

    `share`: also the part that each has of the cost or revenue of all.
    """

    kind: Literal["segment_profiles"] = "segment_profiles"
    metrics: tuple[str, ...] = Field(default=("roi",), min_length=1, max_length=15)
    names: tuple[str, ...] = ()
    share: bool = False
    descending: bool = True
    limit: int = Field(default=LIMIT, ge=1, le=LIMIT)

    @model_validator(mode="after")
    def _has_shares(self) -> SegmentProfiles:
        if self.share and set(self.metrics) - {"cost", "revenue"}:
            raise ValueError("a performance segment has a share of cost and of revenue")
        return self


class SegmentMembers(_Strict):
    """The campaigns of performance segments, or the performance segment of campaigns."""

    kind: Literal["segment_members"] = "segment_members"
    names: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()


class Forecast(_Strict):
    """Expected revenue of the forecast horizon at the planned cost."""

    kind: Literal["forecast"] = "forecast"
    by: tuple[Dimension, ...] = ()
    filters: tuple[Filter, ...] = ()


class WhatIf(_Strict):
    """Expected revenue when a budget changes, from the response curves.

    `change` is a fraction of the planned budget of the horizon (0.2 = 20 % more), `amount` money.
    """

    kind: Literal["what_if"] = "what_if"
    change: float | None = Field(default=None, ge=-1, le=9, allow_inf_nan=False)
    amount: float | None = Field(default=None, allow_inf_nan=False)
    filters: tuple[Filter, ...] = ()

    @model_validator(mode="after")
    def _one_lever(self) -> WhatIf:
        if (self.change is None) == (self.amount is None):
            raise ValueError("give either change (a fraction) or amount (money)")
        return self


class Reallocation(_Strict):
    """The same budget, split so that the expected revenue is largest."""

    kind: Literal["reallocation"] = "reallocation"
    limit: int = Field(default=LIMIT, ge=1, le=LIMIT)


class Define(_Strict):
    """What a metric means, or the rule of `underperforming`."""

    kind: Literal["define"] = "define"
    metric: str


Plan = Annotated[
    Query
    | Count
    | Underperforming
    | SegmentProfiles
    | SegmentMembers
    | Forecast
    | WhatIf
    | Reallocation
    | Define,
    Field(discriminator="kind"),
]
PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)


class Option(_Strict):
    """One way to read an unclear question; choosing it needs no parser."""

    label: str
    plan: Plan


class Clarify(_Strict):
    """The question can be read in several ways, or nearly: ask back."""

    kind: Literal["clarify"] = "clarify"
    question: str
    options: tuple[Option, ...] = Field(default=(), max_length=3)


RefusalCode = Literal[
    "not_understood",
    "unknown_metric",
    "unknown_value",
    "write_request",
    "causal_claim",
    "no_data",
    "not_permitted",
    "not_reported",
]


class Refuse(_Strict):
    """The question cannot be answered from the tables; says why and what can be asked."""

    kind: Literal["refuse"] = "refuse"
    code: RefusalCode
    message: str
    suggestions: tuple[str, ...] = Field(default=(), max_length=3)
