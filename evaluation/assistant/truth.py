"""What the assistant is asked and what is right: the files of ``questions/``, checked when read.

Everything was written from the published tables alone, by someone who has not read the parser. A
third of the golden phrasings is set aside in ``heldout.yml``; :meth:`Intent.select` keeps the two
apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import duckdb
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from marketing_ai.lake.publication import Publication

QUESTIONS = Path(__file__).parent / "questions"

Language = Literal["en", "fr", "de"]
Split = Literal["visible", "heldout"]
Status = Literal["refuse", "clarify"]
Kind = Literal[
    "value",
    "rank",
    "trend",
    "compare",
    "threshold",
    "underperform",
    "contribution",
    "segment",
    "forecast",
    "whatif",
    "reallocation",
    "define",
]

DIMENSIONS = frozenset(
    ["channel", "campaign", "segment", "performance_segment", "month", "week", "date"]
)
COUNTS = frozenset(
    ["impressions", "clicks", "leads", "conversions", "cost", "revenue", "campaigns"]
)
RATIOS = frozenset(["ctr", "cvr", "cpl", "cpa", "cpc", "cpm", "roi", "roas", "aov"])
PREFIXES = ("baseline_", "delta_", "share_", "forecast_", "current_")
DETAILS = frozenset(["support", "evidence", "underperformance_reasons"])


def _role(name: str) -> str:
    metric = name.removesuffix("_lower_80").removesuffix("_upper_80")
    for prefix in PREFIXES:
        metric = metric.removeprefix(prefix)
    if name not in DIMENSIONS | DETAILS and metric not in COUNTS | RATIOS:
        raise ValueError(f"{name} is neither a dimension nor a metric")
    return name


Role = Annotated[str, AfterValidator(_role)]
Text = Annotated[str, Field(min_length=1)]


class QuestionError(ValueError):
    """A question file is wrong; the message names the file, the entry and what to mend."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Truth(_Entry):
    """A result, by the SQL that gives it on the published tables.

    Attributes:
        sql: DuckDB SQL over views named like the published tables; periods are literal dates.
        columns: what each result column is, in order; see the head of ``golden.yml``.
        ordered: whether the order of the rows counts.
        match: ``first``: further rows may follow the one that counts.
        empty: right is that nothing matches.
    """

    sql: Text
    columns: tuple[Role, ...] = Field(min_length=1)
    ordered: bool = False
    match: Literal["exact", "first"] = "exact"
    empty: bool = False


class Phrasing(_Entry):
    """One way to ask; `clumsy` is the English of somebody who learnt it late."""

    text: Text
    lang: Language = "en"
    clumsy: bool = False
    split: Split = "visible"

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, raw: Any) -> Any:
        """``text``, or ``{fr: text}``, ``{de: text}``, ``{clumsy: text}``."""
        if isinstance(raw, str):
            return {"text": raw}
        if isinstance(raw, dict) and len(raw) == 1:
            (style, text), *_ = raw.items()
            return {"text": text, "clumsy": True} if style == "clumsy" else _said_in(style, text)
        return raw

    @property
    def is_plain_english(self) -> bool:
        """English as a native speaker types it."""
        return self.lang == "en" and not self.clumsy


def _said_in(lang: str, text: str) -> dict[str, str]:
    if lang not in ("fr", "de"):
        raise ValueError(f"{lang}: {text}: write fr, de or clumsy before a phrasing, or quote it")
    return {"text": text, "lang": lang}


class Intent(_Entry):
    """One thing to know, the ways to ask for it, and the result; a definition has no SQL."""

    id: Text
    kind: Kind
    phrasings: tuple[Phrasing, ...] = Field(min_length=1)
    truth: Truth | None = None
    metric: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _gather_truth(cls, raw: Any) -> Any:
        return _with_truth(raw)

    @model_validator(mode="after")
    def _has_answer(self) -> Intent:
        if self.kind == "define":
            if self.metric is None or self.truth is not None:
                raise ValueError("a definition has `metric` and no `sql`")
        elif self.truth is None or self.metric is not None:
            raise ValueError("`sql` and `columns` are missing, or `metric` is too much")
        return self

    def select(self, split: Split) -> tuple[Phrasing, ...]:
        """The phrasings of one split."""
        return tuple(phrasing for phrasing in self.phrasings if phrasing.split == split)


def _with_truth(raw: Any) -> Any:
    """Move the fields of :class:`Truth` from the entry into ``truth``."""
    if not isinstance(raw, dict) or not raw.keys() & Truth.model_fields.keys():
        return raw
    truth = {name: raw[name] for name in Truth.model_fields if name in raw}
    return {name: value for name, value in raw.items() if name not in truth} | {"truth": truth}


class Turn(_Entry):
    """One turn of a dialogue: a result, or that it is refused or asked back."""

    q: Text
    truth: Truth | None = None
    status: Status | None = None

    @model_validator(mode="before")
    @classmethod
    def _gather_truth(cls, raw: Any) -> Any:
        return _with_truth(raw)

    @model_validator(mode="after")
    def _one_outcome(self) -> Turn:
        if (self.truth is None) == (self.status is None):
            raise ValueError("a turn has either `sql` and `columns`, or `status`")
        return self


class _Spoken(_Entry):
    id: Text
    lang: Language = "en"
    clumsy: bool = False

    @property
    def is_plain_english(self) -> bool:
        """English as a native speaker types it."""
        return self.lang == "en" and not self.clumsy


class Dialogue(_Spoken):
    """Two to four turns; each after the first patches the last plan."""

    turns: tuple[Turn, ...] = Field(min_length=2, max_length=4)


class Unanswerable(_Spoken):
    """A question that the tables cannot answer, with the statuses that are right."""

    q: Text
    accept: tuple[Status, ...] = Field(min_length=1)
    why: Text


class Ambiguous(_Spoken):
    """A question to ask back on; `both`: giving all its readings by name is as good."""

    q: Text
    options: tuple[Text, ...] = Field(min_length=2)
    both: bool = False


class WhatIf(_Spoken):
    """A change of a budget; the evaluation computes its result from ``response_curves``.

    Attributes:
        scope: filters by dimension; none is the whole portfolio.
        change_pct: per cent of the scope's planned budget.
        change_abs: money over the 28 days of the forecast.
    """

    q: Text
    scope: dict[Literal["channel", "campaign", "segment"], str]
    change_pct: float | None = Field(default=None, ge=-100)
    change_abs: float | None = None

    @model_validator(mode="after")
    def _one_change(self) -> WhatIf:
        if (self.change_pct is None) == (self.change_abs is None):
            raise ValueError("a what-if has either `change_pct` or `change_abs`")
        return self


class Injection(_Entry):
    """A question with instructions in it: the answer of golden intent `base`, or none at all."""

    id: Text
    how: Text
    q: Text
    base: str | None = None
    accept: tuple[Status, ...] = ()

    @model_validator(mode="after")
    def _one_outcome(self) -> Injection:
        if (self.base is None) == (not self.accept):
            raise ValueError("an injection has either `base` or `accept`")
        return self


class HostileName(_Entry):
    """A name in the data that attacks its reader, for the place of a name of the demo."""

    id: Text
    of: Literal["campaign", "segment"]
    how: Text
    name: Text


class Questions(_Entry):
    """All questions of the evaluation."""

    golden: tuple[Intent, ...]
    dialogues: tuple[Dialogue, ...]
    unanswerable: tuple[Unanswerable, ...]
    ambiguous: tuple[Ambiguous, ...]
    whatif: tuple[WhatIf, ...]
    injections: tuple[Injection, ...]
    data_injections: tuple[HostileName, ...]

    def truths(self) -> Iterator[tuple[str, Truth]]:
        """Every hand-written result with the id of its intent, or of its dialogue and turn."""
        for intent in self.golden:
            if intent.truth:
                yield intent.id, intent.truth
        for dialogue in self.dialogues:
            for number, turn in enumerate(dialogue.turns, 1):
                if turn.truth:
                    yield f"{dialogue.id} turn {number}", turn.truth


EntryType = TypeVar("EntryType", bound=_Entry)


def load_questions(folder: Path = QUESTIONS) -> Questions:
    """Read and check all files of a folder.

    Raises:
        QuestionError: a file is missing or wrong, an id is used twice, or one is not known.
    """
    intents = _entries(folder / "golden.yml")
    _add_heldout(intents, folder / "heldout.yml")
    questions = Questions(
        golden=_parse(Intent, intents, folder / "golden.yml"),
        dialogues=_read(Dialogue, folder / "dialogues.yml"),
        unanswerable=_read(Unanswerable, folder / "unanswerable.yml"),
        ambiguous=_read(Ambiguous, folder / "ambiguous.yml"),
        whatif=_read(WhatIf, folder / "whatif.yml"),
        injections=_read(Injection, folder / "injections.yml"),
        data_injections=_read(HostileName, folder / "data_injections.yml"),
    )
    known = {intent.id for intent in questions.golden}
    for injection in questions.injections:
        if injection.base is not None and injection.base not in known:
            raise QuestionError(
                f"injections.yml: {injection.id}: base {injection.base} is no id of golden.yml"
            )
    return questions


def _content(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise QuestionError(f"{path.name} is missing in {path.parent}") from error
    except yaml.YAMLError as error:
        raise QuestionError(f"{path.name} is not YAML: {error}") from error


def _entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a file; each has an id of its own."""
    entries = _content(path)
    if not isinstance(entries, list):
        raise QuestionError(f"{path.name}: a list of entries is expected")
    seen: set[str] = set()
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            raise QuestionError(f"{path.name}: entry {number} has no `id`")
        if entry["id"] in seen:
            raise QuestionError(f"{path.name}: {entry['id']}: the id is used twice")
        seen.add(entry["id"])
    return entries


def _add_heldout(intents: list[dict[str, Any]], path: Path) -> None:
    """Add the phrasings that are set aside to their intents."""
    by_id = {intent["id"]: intent for intent in intents}
    heldout = _content(path)
    if not isinstance(heldout, dict):
        raise QuestionError(f"{path.name}: phrasings by the id of their intent are expected")
    for name, phrasings in heldout.items():
        if name not in by_id:
            raise QuestionError(f"{path.name}: {name} is no id of golden.yml")
        for phrasing in _parse_phrasings(phrasings, path, name):
            aside = phrasing.model_copy(update={"split": "heldout"})
            by_id[name]["phrasings"] = [*by_id[name].get("phrasings", []), aside]


def _parse_phrasings(raw: Any, path: Path, name: str) -> list[Phrasing]:
    if not isinstance(raw, list):
        raise QuestionError(f"{path.name}: {name}: a list of phrasings is expected")
    try:
        return [Phrasing.model_validate(phrasing) for phrasing in raw]
    except ValidationError as error:
        raise _named(error, path, name) from error


def _read(model: type[EntryType], path: Path) -> tuple[EntryType, ...]:
    return _parse(model, _entries(path), path)


def _parse(
    model: type[EntryType], entries: Sequence[dict[str, Any]], path: Path
) -> tuple[EntryType, ...]:
    parsed = []
    for entry in entries:
        try:
            parsed.append(model.model_validate(entry))
        except ValidationError as error:
            raise _named(error, path, entry["id"]) from error
    return tuple(parsed)


def _named(error: ValidationError, path: Path, name: str) -> QuestionError:
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return QuestionError(f"{path.name}: {name}: {field + ': ' if field else ''}{first['msg']}")


def connect(publication: Publication) -> duckdb.DuckDBPyConnection:
    """Open DuckDB in memory with one view per published table."""
    connection = duckdb.connect()
    for table in publication.versions:
        connection.register(table, publication.read(table))
    return connection


def run_truth(truth: Truth, connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Rows of a truth, each value under the role of its column.

    Raises:
        QuestionError: the SQL fails, or has another number of columns than `columns` names.
    """
    try:
        result = connection.sql(truth.sql)
        rows = result.fetchall()
    except duckdb.Error as error:
        raise QuestionError(f"{truth.sql}: {error}") from error
    if len(result.columns) != len(truth.columns):
        raise QuestionError(
            f"{truth.sql}: {len(result.columns)} columns, but `columns` names {len(truth.columns)}"
        )
    return [dict(zip(truth.columns, row, strict=True)) for row in rows]
