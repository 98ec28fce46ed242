"""What goes over the wire: requests and answers of the API, with their descriptions.

The plan is the assistant's own, so that an agent can send back what it was given, changed or not.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from marketing_ai.assistant.ask import Answer, Assistant
from marketing_ai.assistant.plan import Option, Plan

LONGEST_QUESTION = 1000


class Ask(BaseModel):
    """A question, with what a follow-up needs: the server keeps no conversation."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"question": "Which segment has the highest ROI?"}]},
    )

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)
    last: Plan | None = Field(default=None, description="plan of the answer before")
    options: tuple[Option, ...] = Field(
        default=(), max_length=3, description="options of the answer before, if it asked back"
    )


class Run(BaseModel):
    """A plan to answer, such as an option of a question back."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"plan": {"kind": "query", "metrics": ["roi"], "by": ["channel"]}}]
        },
    )

    plan: Plan


class FactBody(BaseModel):
    """One number with the cell that it comes from; rows count from 0."""

    id: str
    entity: str
    column: str
    row: int
    value: Any
    unit: str | None


class AnswerBody(BaseModel):
    """An answer, a question back or a refusal."""

    status: Literal["answered", "clarify", "refused"]
    question: str
    text: str = Field(description="the answer in words; every digit comes from a fact")
    plan: Plan | None = Field(description="what was understood")
    facts: list[FactBody]
    sql: list[str] = Field(description="statements that ran")
    parameters: list[dict[str, Any]] = Field(description="bound values, one object a statement")
    columns: list[str]
    rows: list[list[Any]]
    total_rows: int = Field(description="rows before the limit")
    notes: list[str] = Field(description="assumptions, rules and freshness")
    code: str | None = Field(description="why it was refused")
    options: list[Option] = Field(description="readings to choose from, ready for /v1/run")
    suggestions: list[str]
    publication: int | None
    published_at: dt.datetime | None
    planned_by: str
    written_by: str


class MetricBody(BaseModel):
    """A metric of the semantic layer."""

    name: str
    label: str
    description: str
    unit: str


class CatalogBody(BaseModel):
    """What the holder of the key can ask about."""

    metrics: list[MetricBody]
    channels: list[str]
    segments: list[str]
    campaigns: dict[str, str] = Field(description="names by id")
    performance_segments: list[str]
    first_day: dt.date | None
    last_day: dt.date | None
    currency: str
    publication: int


def catalog_body(assistant: Assistant, channels: frozenset[str] | None) -> CatalogBody:
    """The catalogue of somebody who sees these channels."""
    seen = assistant.catalog(channels)
    return CatalogBody(
        metrics=[
            MetricBody(name=m.name, label=m.label, description=m.description, unit=m.unit)
            for m in seen.metrics.values()
        ],
        channels=list(seen.channels),
        segments=list(seen.segments),
        campaigns={name: seen.campaign_label(name) for name in seen.campaigns},
        performance_segments=list(seen.performance_segments),
        first_day=seen.first_day,
        last_day=seen.last_day,
        currency=seen.currency,
        publication=assistant.publication().version,
    )


def answer_body(answer: Answer) -> AnswerBody:
    """An answer for the wire."""
    return AnswerBody.model_validate(answer.as_dict())


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str


class Health(BaseModel):
    """Whether the server is there, and what it would answer from."""

    status: Literal["ok"]
    publication: int | None = None
    published_at: dt.datetime | None = None
    age_hours: float | None = Field(default=None, description="hours since it was published")
