"""Ask the data: a question, or a plan, to an answer whose every number is traced.

No language model, network or JVM is needed; where a model is given, it reads what the parser
refuses and words the rows, and the answer says so. The publication that was current when the
question came answers it whole, and the answer says which one that was, what was understood, the
SQL that ran and the cell behind each number.
"""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml
from sqlglot import exp

from marketing_ai.assistant.catalog import Catalog, read_catalog
from marketing_ai.assistant.compile import PolicyError, Statement, compile_plan
from marketing_ai.assistant.facts import Fact, facts_of
from marketing_ai.assistant.link import value_index
from marketing_ai.assistant.models.aliases import Aliases
from marketing_ai.assistant.models.client import (
    Conversation,
    Model,
    ModelError,
    NotAskedError,
    Prompt,
)
from marketing_ai.assistant.models.narrator import write_prose
from marketing_ai.assistant.models.planner import in_words, read_question
from marketing_ai.assistant.narrate import Sentence, context_of, narrate, render
from marketing_ai.assistant.parse import EXAMPLES, Outcome, parse
from marketing_ai.assistant.plan import (
    Clarify,
    Define,
    Filter,
    Having,
    Option,
    Plan,
    Query,
    Refuse,
    SegmentMembers,
    SegmentProfiles,
    Underperforming,
    WhatIf,
)
from marketing_ai.assistant.verify import verify_all
from marketing_ai.assistant.warehouse import Result, Warehouse
from marketing_ai.assistant.whatif import NoBudgetError, simulate
from marketing_ai.lake.publication import Publication, current_publication
from marketing_ai.load.rules import project_currency
from marketing_ai.paths import Paths, find_paths

# What a model may read: never what is refused for its content.
_FOR_A_MODEL = ("not_understood", "unknown_metric")
_NOT_READ = "The language model could not read this either"


def underperformance_rule(root: Path) -> str:
    """The project's rule in words, with the numbers of dbt_project.yml."""
    text = (root / "dbt_project.yml").read_text(encoding="utf-8")
    known = yaml.safe_load(text)["vars"]
    days, least, target, ratio, trend = (
        known[f"underperformance_{name}"]
        for name in ("window_days", "min_days", "roi_target", "cpl_ratio", "roas_trend")
    )
    return (
        f"Under-performing means: over the last {days} days of the data, with at least {least} "
        f"days of spend, the ROI is below {target * 100:g} %, or the cost per lead is above "
        f"{ratio:g} times its channel's (or there was no lead at all), or the ROAS fell below "
        f"{trend:g} times that of the {days} days before."
    )


@dataclass(frozen=True)
class Answer:
    """What a question gets.

    Attributes:
        status: answered, clarify or refused.
        question: as asked.
        text: in words.
        plan: what was understood; None where nothing was.
        facts: every number of the rows with its cell.
        sql: statements that ran.
        parameters: their bound values, one dictionary each.
        columns: columns of the rows.
        rows: the rows.
        total_rows: rows before the limit.
        notes: assumptions, rules and freshness.
        code: why it was refused.
        options: readings to choose from, each with a plan that is ready to run.
        suggestions: questions that can be answered.
        publication: version of the publication.
        published_at: its time, UTC.
        planned_by: who read the question.
        written_by: who worded the text.
        prompts: what was sent to the language model, or would be.
    """

    status: Literal["answered", "clarify", "refused"]
    question: str
    text: str
    plan: Plan | None = None
    facts: tuple[Fact, ...] = ()
    sql: tuple[str, ...] = ()
    parameters: tuple[dict[str, Any], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    total_rows: int = 0
    notes: tuple[str, ...] = ()
    code: str | None = None
    options: tuple[Option, ...] = ()
    suggestions: tuple[str, ...] = ()
    publication: int | None = None
    published_at: dt.datetime | None = None
    planned_by: Literal["parser", "model"] = "parser"
    written_by: Literal["template", "model"] = "template"
    prompts: tuple[Prompt, ...] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: plans and options as plain values."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["plan"] = self.plan.model_dump(mode="json") if self.plan else None
        plain["options"] = [option.model_dump(mode="json") for option in self.options]
        plain["facts"] = [asdict(fact) for fact in self.facts]
        plain["rows"] = [list(row) for row in self.rows]
        del plain["prompts"]
        return plain


Channels = frozenset[str] | None
Values = dict[tuple[str, ...], list[tuple[str, str]]]
POLICIES = 256  # catalogues kept at a time, one for each set of channels that a reader may see


@dataclass
class _State:
    """All that belongs to one publication."""

    warehouse: Warehouse
    catalogs: dict[Channels, tuple[Catalog, Values]] = field(default_factory=dict)


class Assistant:
    """Answers questions from the newest publication; safe to use from several threads."""

    def __init__(self, paths: Paths | None = None, model: Model | None = None) -> None:
        """Prepare; the tables are opened with the first question.

        Args:
            paths: folders and schema; default: the project at or above the working directory.
            model: a language model, from `models.settings`; None: everything is deterministic.
        """
        self.model = model
        self.paths = paths or find_paths()
        self.rule = underperformance_rule(self.paths.root)
        self._lock = threading.Lock()
        self._state: _State | None = None
        self._read_at: int | None = None

    def _changed_at(self) -> int | None:
        # A publication is a new file in this folder, so the folder's time tells of one cheaply.
        log = self.paths.lake / f"{self.paths.schema}.db" / "publication" / "_delta_log"
        try:
            return log.stat().st_mtime_ns
        except OSError:
            return None

    def opened(self) -> Publication | None:
        """The newest publication where its tables are open already; never waits."""
        state, changed = self._state, self._changed_at()
        if state is None or changed is None or changed != self._read_at:
            return None
        return state.warehouse.publication

    def _current(self) -> _State:
        state = self._state
        if state is not None and self.opened() is state.warehouse.publication:
            return state
        changed = self._changed_at()
        publication = current_publication(self.paths)
        with self._lock:
            state = self._state
            self._read_at = changed
            if state is None or state.warehouse.publication.version != publication.version:
                state = self._open(publication)
                self._state = state
            return state

    def _open(self, publication: Publication) -> _State:
        return _State(Warehouse(publication))

    def _visible(self, state: _State, channels: Channels) -> tuple[Catalog, Values]:
        """What a reader may ask about, and the index of its names."""
        known = state.catalogs.get(channels)
        if known is None:
            currency = project_currency(self.paths.root)
            catalog = read_catalog(state.warehouse.publication, self.paths, currency, channels)
            known = catalog, value_index(catalog)
            if len(state.catalogs) >= POLICIES:
                state.catalogs.clear()
            state.catalogs[channels] = known
        return known

    def catalog(self, channels: frozenset[str] | None = None) -> Catalog:
        """What can be asked about in the newest publication, by somebody who sees `channels`."""
        return self._visible(self._current(), channels)[0]

    def publication(self) -> Publication:
        """The newest publication.

        Raises:
            NotPublishedError: there is none.
        """
        return self._current().warehouse.publication

    def ask(
        self,
        question: str,
        last: Plan | None = None,
        channels: frozenset[str] | None = None,
        options: tuple[Option, ...] = (),
    ) -> Answer:
        """Answer a question.

        Args:
            question: in English; French and German where the words are known.
            last: plan of the answer before, for follow-ups.
            channels: channels that the one who asks may see; None: all.
            options: of the answer before, where it asked back: naming one chooses it.

        Raises:
            NotPublishedError: there is nothing to ask yet.
            CatalogError: the semantic manifest is missing.
        """
        state = self._current()
        catalog, values = self._visible(state, channels)
        outcome = refusal = parse(question, catalog, values, last, options)
        if self.model is None:
            return self._finish(question, outcome, state, catalog, channels)
        conversation = Conversation(self.model)
        notes: tuple[str, ...] = ()
        planned_by: Literal["parser", "model"] = "parser"
        if isinstance(outcome, Refuse) and outcome.code in _FOR_A_MODEL:
            plan, notes = _read(question, last, catalog, values, conversation)
            if plan is not None:
                outcome, planned_by = plan, "model"
        try:
            answer = self._finish(question, outcome, state, catalog, channels, conversation)
        except Exception:
            # The parser makes no plan that cannot be answered; a model may.
            if planned_by == "parser":
                raise
            planned_by = "parser"
            notes = (f"{_NOT_READ}: its plan cannot be answered.",)
            answer = self._finish(question, refusal, state, catalog, channels)
        return replace(
            answer,
            planned_by=planned_by,
            notes=(*notes, *answer.notes),
            prompts=tuple(conversation.prompts),
        )

    def run(self, plan: Plan, channels: frozenset[str] | None = None, question: str = "") -> Answer:
        """Answer a plan, such as an option of a question back; errors as `ask`."""
        state = self._current()
        catalog, _values = self._visible(state, channels)
        conversation = Conversation(self.model) if self.model else None
        answer = self._finish(question, plan, state, catalog, channels, conversation)
        return replace(answer, prompts=tuple(conversation.prompts) if conversation else ())

    def _finish(
        self,
        question: str,
        outcome: Outcome,
        state: _State,
        catalog: Catalog,
        channels: frozenset[str] | None,
        conversation: Conversation | None = None,
    ) -> Answer:
        known: dict[str, Any] = {
            "question": question,
            "publication": state.warehouse.publication.version,
            "published_at": state.warehouse.publication.published_at,
        }
        if isinstance(outcome, Clarify):
            return Answer(status="clarify", text=outcome.question, options=outcome.options, **known)
        if not isinstance(outcome, Refuse):
            outcome = _checked(outcome, catalog)
        if isinstance(outcome, Refuse):
            return _refused(outcome, known)
        if isinstance(outcome, Define) and outcome.metric == "underperforming":
            return Answer(status="answered", text=self.rule, plan=outcome, **known)
        if isinstance(outcome, Define):
            metric = catalog.metrics[outcome.metric]
            text = f"{metric.label} ({metric.name}): {metric.description}"
            return Answer(status="answered", text=text, plan=outcome, **known)
        compiled: Plan = outcome
        if channels is not None and isinstance(outcome, Underperforming | SegmentMembers):
            whole, _values = self._visible(state, None)
            compiled = _without_shared(outcome, whole, channels)
        try:
            statements = compile_plan(compiled, catalog, channels)
        except PolicyError as error:
            return _refused(Refuse(code="not_permitted", message=f"Not permitted: {error}."), known)
        missing = {_table(s) for s in statements} - set(state.warehouse.columns)
        if missing:
            text = f"{', '.join(sorted(missing))} is not published: `make build` makes it."
            return _refused(Refuse(code="no_data", message=text), known)
        results = [state.warehouse.run(statement) for statement in statements]
        return self._answer(outcome, results, catalog, known, conversation)

    def _answer(
        self,
        plan: Plan,
        results: list[Result],
        catalog: Catalog,
        known: dict[str, Any],
        conversation: Conversation | None = None,
    ) -> Answer:
        result = results[0]
        ran: dict[str, Any] = {
            "plan": plan,
            "sql": tuple(r.sql for r in results),
            "parameters": tuple(r.parameters for r in results),
        }
        if isinstance(plan, Underperforming) and not result.rows:
            text = "No campaign is under-performing."
            return Answer(status="answered", text=text, notes=(self.rule,), **ran, **known)
        if _is_empty(result):
            text = "No data: no row is left by this period, these names and these limits."
            return Answer(status="refused", code="no_data", text=text, **ran, **known)
        if isinstance(plan, WhatIf):
            stored = results[1].records()[0] if len(results) > 1 and results[1].rows else None
            try:
                scenario = asdict(simulate(result.records(), plan.change, plan.amount, stored))
            except (NoBudgetError, ValueError) as error:
                text = f"No scenario: {error}."
                return Answer(status="refused", code="no_data", text=text, **ran, **known)
            result = Result(
                result.sql, result.parameters, tuple(scenario), (tuple(scenario.values()),), 1
            )
        facts = facts_of(result, catalog)
        by_id = {fact.id: fact for fact in facts}
        context = context_of(plan, catalog, result)
        sentences = narrate(plan, result, facts)
        verify_all(sentences, by_id, context, result)
        prose: list[Sentence] | None = None
        notes = _notes(plan, result, catalog, self.rule)
        if conversation is not None:
            aliases = Aliases(catalog, value_index(catalog), conversation.model.aliases)
            asked = known["question"]
            try:
                prose = write_prose(
                    asked, plan, result, facts, context, sentences, catalog, aliases, conversation
                )
            except NotAskedError:
                pass
            except ModelError as error:
                notes = (*notes, f"The language model did not write this: {error}.")
        written = prose or sentences
        if prose and conversation is not None:
            notes = (*notes, f"Worded by a language model ({conversation.model.name}).")
        text = " ".join(render(s, by_id, context, catalog.currency) for s in written)
        return Answer(
            status="answered",
            text=text,
            facts=tuple(facts),
            columns=result.columns,
            rows=result.rows,
            total_rows=result.total_rows,
            notes=notes,
            written_by="model" if prose else "template",
            **ran,
            **known,
        )


def _read(
    question: str,
    last: Plan | None,
    catalog: Catalog,
    values: dict[tuple[str, ...], list[tuple[str, str]]],
    conversation: Conversation,
) -> tuple[Plan | None, tuple[str, ...]]:
    """A model's plan for a question that the parser refused, and what to say about it."""
    try:
        plan = read_question(question, last, catalog, values, conversation)
    except NotAskedError:
        return None, ()
    except ModelError as error:
        return None, (f"{_NOT_READ}: {error}.",)
    if plan is None:
        return None, ()
    if isinstance(_checked(plan, catalog), Refuse):
        return None, (f"{_NOT_READ}: its plan has no data.",)
    name = conversation.model.name
    return plan, (f"A language model ({name}) read the question as: {in_words(plan, catalog)}.",)


def _table(statement: Statement) -> str:
    table = statement.tree.find(exp.Table)
    return table.name if table else ""


def _without_shared(
    plan: Underperforming | SegmentMembers, whole: Catalog, channels: frozenset[str]
) -> Plan:
    """Leave out campaigns whose figures are also those of channels that the reader may not see."""
    shared = sorted(
        name
        for name, campaign in whole.campaigns.items()
        if campaign.channels & channels and campaign.channels - channels
    )
    hidden = tuple(
        Filter(dimension="campaign", values=tuple(shared[at : at + 100]), exclude=True)
        for at in range(0, len(shared), 100)
    )
    return plan.model_copy(update={"filters": (*plan.filters, *hidden)})


def _checked(plan: Plan, catalog: Catalog) -> Plan | Refuse:
    """Names of a plan that may come from outside, checked against the catalogue."""
    names = [*getattr(plan, "metrics", ())]
    names += [h.metric for h in getattr(plan, "having", ())]
    if isinstance(plan, Define) and plan.metric != "underperforming":
        names.append(plan.metric)
    for name in names:
        if name not in catalog.metrics:
            text = f"There is no metric '{name}'; known are {', '.join(catalog.metrics)}."
            return Refuse(code="unknown_metric", message=text)
        missing = set(catalog.metrics[name].measures) - catalog.reported
        if missing and not isinstance(plan, Define):
            text = f"The data report no {' and no '.join(sorted(missing))}, which {name} needs."
            return Refuse(code="not_reported", message=text)
    for rule in getattr(plan, "filters", ()):
        for value in rule.values:
            if value not in catalog.values(rule.dimension):
                text = f"There is no {rule.dimension} '{value}'."
                return Refuse(code="unknown_value", message=text, suggestions=EXAMPLES)
    if isinstance(plan, SegmentProfiles) and set(plan.names) - set(catalog.performance_segments):
        return Refuse(code="unknown_value", message="There is no such performance segment.")
    period = getattr(plan, "period", None)
    if period and catalog.first_day and catalog.last_day:
        if period.end < catalog.first_day or period.start > catalog.last_day:
            text = f"No data for {period.label}: the data run from {catalog.first_day} to "
            return Refuse(code="no_data", message=f"{text}{catalog.last_day}.")
        baseline = getattr(plan, "baseline", None)
        if baseline and (baseline.end < catalog.first_day or baseline.start > catalog.last_day):
            text = f"No data for {baseline.label} to compare with: the data run from "
            text += f"{catalog.first_day} to {catalog.last_day}."
            return Refuse(code="no_data", message=text)
    elif period:
        return Refuse(code="no_data", message="The data have no dates, so no period can be asked.")
    if isinstance(plan, Query):
        if plan.share and any(len(catalog.metrics[name].measures) > 1 for name in plan.metrics):
            return Refuse(code="not_understood", message="A ratio has no shares; a sum has.")
        if plan.by and not plan.order_by and not plan.grain:
            return plan.model_copy(update={"order_by": "metric"})
    return plan


def _refused(refusal: Refuse, known: dict[str, Any]) -> Answer:
    return Answer(
        status="refused",
        text=refusal.message,
        code=refusal.code,
        suggestions=refusal.suggestions,
        **known,
    )


def _is_empty(result: Result) -> bool:
    """No row, or one row of nothing: sums over no rows."""
    if not result.rows:
        return True
    return len(result.rows) == 1 and all(value is None for value in result.rows[0])


def _notes(plan: Plan, result: Result, catalog: Catalog, rule: str) -> tuple[str, ...]:
    notes = []
    if isinstance(plan, Underperforming):
        notes.append(rule)
    if isinstance(plan, Query):
        having: tuple[Having, ...] = plan.having
        for limit in having:
            if catalog.metrics[limit.metric].unit == "percent" and limit.value:
                notes.append(f"{limit.value:g} was read as {limit.value * 100:g} %.")
        filters: tuple[Filter, ...] = plan.filters
        if plan.share and plan.by and filters:
            notes.append("The whole of a share is the part that was asked for.")
        if plan.period and catalog.last_day and plan.period.end > catalog.last_day:
            notes.append(f"The data end on {catalog.last_day}, within the period.")
        if plan.period and catalog.first_day and plan.period.start < catalog.first_day:
            notes.append(f"The data begin on {catalog.first_day}, within the period.")
    if result.total_rows > len(result.rows):
        notes.append(f"{len(result.rows)} of {result.total_rows:,} rows are shown.")
    return tuple(notes)
