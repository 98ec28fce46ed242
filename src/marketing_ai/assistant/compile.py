"""Plans to SQL: one sqlglot tree per plan, rendered for DuckDB, Spark or Databricks.

Every ratio is made of sums, every value of the question is a bound parameter, every result has a
total order, a limit and the number of rows before the limit. The row policy of who asks is added
here, to every table, whatever the plan says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from marketing_ai.assistant.catalog import Catalog
from marketing_ai.assistant.plan import (
    LIMIT,
    Count,
    Dimension,
    Filter,
    Forecast,
    Period,
    Plan,
    Query,
    Reallocation,
    SegmentMembers,
    SegmentProfiles,
    Underperforming,
    WhatIf,
)

COLUMNS: dict[Dimension, str] = {
    "campaign": "campaign_id",
    "channel": "channel",
    "segment": "segment",
}
TOTAL_ROWS = "total_rows"
_COMPARISONS: dict[str, type[exp.Binary]] = {
    "above": exp.GT,
    "at_least": exp.GTE,
    "below": exp.LT,
    "at_most": exp.LTE,
}


@dataclass
class Statement:
    """A compiled plan: the tree and the values of its parameters."""

    tree: exp.Select
    parameters: dict[str, Any] = field(default_factory=dict)

    def sql(self, dialect: str = "duckdb", pretty: bool = False) -> str:
        """Render for `duckdb`, `spark` or `databricks`; the parameters stay parameters."""
        return self.tree.sql(dialect=dialect, pretty=pretty)

    def literal_sql(self, dialect: str = "spark") -> str:
        """Render with the values as escaped literals.

        Delta's parser (4.4, on Spark 4.2) does not hand named parameters on to Spark.
        """

        def fill(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Placeholder):
                return exp.convert(self.parameters[node.name])
            return node

        return self.tree.copy().transform(fill).sql(dialect=dialect)


class _Parameters:
    """Collects bound values; equal values share a parameter."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def bind(self, value: Any) -> exp.Placeholder:
        for name, known in self.values.items():
            if type(known) is type(value) and known == value:
                return exp.Placeholder(this=name)
        name = f"p{len(self.values) + 1}"
        self.values[name] = value
        return exp.Placeholder(this=name)


def _between(period: Period, bind: _Parameters) -> exp.Expr:
    return exp.Between(
        this=exp.column("date"), low=bind.bind(period.start), high=bind.bind(period.end)
    )


def _in(column: str, values: Sequence[str], bind: _Parameters, exclude: bool = False) -> exp.Expr:
    inside = exp.In(this=exp.column(column), expressions=[bind.bind(v) for v in values])
    return exp.Not(this=inside) if exclude else inside


def _where(
    filters: Sequence[Filter],
    bind: _Parameters,
    channels: frozenset[str] | None,
    columns: dict[Dimension, str] = COLUMNS,
) -> list[exp.Expr]:
    conditions = [_in(columns[f.dimension], f.values, bind, f.exclude) for f in filters]
    if channels is not None:
        conditions.append(_in(columns["channel"], sorted(channels), bind))
    return conditions


def _sum(column: str, condition: exp.Expr | None = None) -> exp.Expr:
    """sum(column), of the rows that meet a condition; counts stay whole, money is a double."""
    value: exp.Expr = exp.column(column)
    if column in ("cost", "revenue"):
        value = exp.cast(value, "double")
    if condition is not None:
        value = exp.Case(ifs=[exp.If(this=condition.copy(), true=value)])
    return exp.Sum(this=value)


def _metric(name: str, catalog: Catalog, condition: exp.Expr | None = None) -> exp.Expr:
    """Formula of a metric over sums."""

    def to_sum(node: exp.Expr) -> exp.Expr:
        return _sum(node.name, condition) if isinstance(node, exp.Column) else node

    formula = catalog.metrics[name].expression.copy().transform(to_sum)
    return formula if catalog.metrics[name].is_additive else exp.cast(formula, "double")


def _count_all() -> exp.Expr:
    return exp.Window(this=exp.Count(this=exp.Star()))


def _dimension_columns(by: Sequence[Dimension]) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """Selected columns and grouping of dimensions; a campaign brings its name."""
    selected: list[exp.Expr] = []
    grouped: list[exp.Expr] = []
    for dimension in by:
        column = exp.column(COLUMNS[dimension])
        selected.append(column)
        grouped.append(column.copy())
        if dimension == "campaign":
            selected.append(exp.alias_(exp.Max(this=exp.column("campaign_name")), "campaign_name"))
    return selected, grouped


def _ordered(expression: exp.Expr, descending: bool) -> exp.Ordered:
    return exp.Ordered(this=expression, desc=descending, nulls_first=False)


def _select(
    columns: Sequence[exp.Expr],
    table: str,
    where: Sequence[exp.Expr] = (),
    group: Sequence[exp.Expr] = (),
    having: Sequence[exp.Expr] = (),
    order: Sequence[exp.Expr] = (),
    limit: int = LIMIT,
) -> exp.Select:
    """One SELECT over one table: the only shape that the assistant runs."""
    tree = exp.select(*columns, copy=False).from_(table)
    if where:
        tree = tree.where(*where, copy=False)
    if group:
        tree = tree.group_by(*group, copy=False)
    if having:
        tree = tree.having(*having, copy=False)
    if order:
        tree = tree.order_by(*order, copy=False)
    return tree.limit(limit, copy=False)


def _query(plan: Query, catalog: Catalog, channels: frozenset[str] | None) -> Statement:
    bind = _Parameters()
    selected, grouped = _dimension_columns(plan.by)
    if plan.grain:
        start = exp.func("date_trunc", exp.Literal.string(plan.grain), exp.column("date"))
        start = exp.cast(start, "date")
        selected.insert(0, exp.alias_(start, "period_start"))
        grouped.insert(0, start.copy())
    filters = _where(plan.filters, bind, None)
    policy = _where((), bind, channels)
    where = [*filters, *policy]
    current: exp.Expr | None = None
    if plan.period and plan.baseline:
        current, earlier = _between(plan.period, bind), _between(plan.baseline, bind)
        where.append(exp.paren(exp.or_(current.copy(), earlier.copy())))
    elif plan.period:
        where.append(_between(plan.period, bind))
    if plan.share and not plan.by and filters:
        # A part of everything: the filter moves into the sum, or the whole would be the part.
        current, where = exp.and_(*[f.copy() for f in filters]), where[len(filters) :]

    first: str | None = None
    for name in plan.metrics:
        now = _metric(name, catalog, current)
        selected.append(exp.alias_(now, name))
        key = name
        if plan.baseline:
            old = _metric(name, catalog, earlier)
            selected.append(exp.alias_(old, f"{name}_before"))
            difference = exp.Sub(this=exp.paren(now.copy()), expression=exp.paren(old.copy()))
            selected.append(exp.alias_(difference, f"{name}_change"))
            if plan.order_by == "change":
                key = f"{name}_change"
        if plan.share:
            whole = _metric(name, catalog)
            if plan.by:
                whole = exp.Window(this=exp.Sum(this=whole))
            selected.append(exp.alias_(whole, f"{name}_whole"))
            part = exp.Div(
                this=exp.cast(now.copy(), "double"),
                expression=exp.Nullif(this=whole.copy(), expression=exp.Literal.number(0)),
            )
            selected.append(exp.alias_(part, f"{name}_share"))
        first = first if first is not None else key
    having = [
        _COMPARISONS[h.operator](
            this=exp.paren(_metric(h.metric, catalog, current)), expression=bind.bind(h.value)
        )
        for h in plan.having
    ]
    for rule in plan.having:
        if rule.metric not in plan.metrics:
            selected.append(exp.alias_(_metric(rule.metric, catalog, current), rule.metric))
    selected.append(exp.alias_(_count_all(), TOTAL_ROWS))
    order: list[exp.Expr] = []
    if plan.grain and not (plan.order_by and not plan.by):
        order.append(_ordered(exp.column("period_start"), False))
    if (plan.by or plan.grain) and plan.order_by and first is not None:
        # By its alias: Spark finds no aggregate below a window function.
        order.append(_ordered(exp.column(first), plan.descending))
    if plan.grain and plan.order_by and not plan.by:
        order.append(_ordered(exp.column("period_start"), False))
    order += [_ordered(exp.column(COLUMNS[d]), False) for d in plan.by]
    tree = _select(selected, "marketing_kpi", where, grouped, having, order, plan.limit)
    return Statement(tree, bind.values)


def _count(plan: Count, channels: frozenset[str] | None) -> Statement:
    bind = _Parameters()
    where = _where(plan.filters, bind, channels)
    if plan.period:
        where.append(_between(plan.period, bind))
    distinct = exp.Count(this=exp.Distinct(expressions=[exp.column(COLUMNS[plan.of])]))
    tree = _select(
        [exp.alias_(distinct, "number"), exp.alias_(_count_all(), TOTAL_ROWS)],
        "marketing_kpi",
        where,
    )
    return Statement(tree, bind.values)


def _plain(
    table: str,
    columns: Sequence[str],
    where: Sequence[exp.Expr],
    order: Sequence[exp.Expr],
    bind: _Parameters,
    limit: int = LIMIT,
) -> Statement:
    """Columns of a small table as they are."""
    selected: list[exp.Expr] = [exp.column(c) for c in columns]
    selected.append(exp.alias_(_count_all(), TOTAL_ROWS))
    return Statement(_select(selected, table, where, order=order, limit=limit), bind.values)


def compile_plan(
    plan: Plan, catalog: Catalog, channels: frozenset[str] | None = None
) -> list[Statement]:
    """Compile a plan to the statements that fetch its rows, the main one first.

    Args:
        plan: a plan that was checked against the catalogue.
        catalog: metrics and values.
        channels: channels that the one who asks may see; None: all.

    Raises:
        PolicyError: the plan needs rows of all channels and not all may be seen.
    """
    if isinstance(plan, Query):
        return [_query(plan, catalog, channels)]
    if isinstance(plan, Count):
        return [_count(plan, channels)]
    bind = _Parameters()
    main_channel: dict[Dimension, str] = {
        "campaign": "campaign_id",
        "channel": "main_channel",
        "segment": "main_segment",
    }
    if isinstance(plan, Underperforming):
        where = _where(plan.filters, bind, channels, main_channel)
        where.append(exp.column("is_underperforming"))
        if plan.count:
            counted = exp.alias_(exp.Count(this=exp.column("campaign_id")), "number")
            total = exp.alias_(_count_all(), TOTAL_ROWS)
            return [
                Statement(_select([counted, total], "marketing_kpi_campaign", where), bind.values)
            ]
        columns = ["campaign_id", "campaign_name", "main_channel", "current_cost"]
        columns += ["current_revenue", "current_roi", "current_cpl", "underperformance_reasons"]
        order = [
            _ordered(exp.column("current_roi"), False),
            _ordered(exp.column("campaign_id"), False),
        ]
        return [_plain("marketing_kpi_campaign", columns, where, order, bind)]
    if isinstance(plan, SegmentProfiles):
        if channels is not None:
            raise PolicyError("performance segments are made of all channels")
        where = [exp.GT(this=exp.column("n_campaigns"), expression=exp.Literal.number(0))]
        if plan.names:
            where.append(_in("performance_segment", plan.names, bind))
        columns = [
            "performance_segment",
            "meaning",
            "suggested_action",
            "n_campaigns",
            *plan.metrics,
            *(f"{name}_share" for name in plan.metrics if plan.share),
        ]
        order = [
            _ordered(exp.column(plan.metrics[0]), plan.descending),
            _ordered(exp.column("performance_segment"), False),
        ]
        return [_plain("segment_profiles", columns, where, order, bind, plan.limit)]
    if isinstance(plan, SegmentMembers):
        in_segments: dict[Dimension, str] = {
            "campaign": "campaign_id",
            "channel": "channel",
            "segment": "channel",
        }
        where = _where(plan.filters, bind, channels, in_segments)
        if plan.names:
            where.append(_in("performance_segment", plan.names, bind))
        columns = ["campaign_id", "campaign_name", "channel", "performance_segment", "status"]
        columns += ["confidence", "roi", "cost"]
        order = [_ordered(exp.column("performance_segment"), False)]
        order += [_ordered(exp.column("campaign_id"), False)]
        return [_plain("campaign_segments", columns, where, order, bind)]
    if isinstance(plan, Forecast):
        return [_forecast(plan, channels)]
    if isinstance(plan, WhatIf):
        columns = [
            "campaign_id",
            "campaign_name",
            "channel",
            "segment",
            "base_cost",
            "base_revenue",
        ]
        columns += ["planned_daily_cost", "reference_daily_cost", "elasticity"]
        columns += [
            "elasticity_lower_80",
            "elasticity_upper_80",
            "daily_cost_p95",
            "daily_cost_max",
        ]
        columns += ["evidence", "as_of_date"]
        order = [_ordered(exp.column(c), False) for c in ("campaign_id", "channel", "segment")]
        where = _where(plan.filters, bind, channels)
        curves = _plain("response_curves", columns, where, order, bind, limit=CURVES)
        return [curves, *_plan_as_it_is(plan, channels)]
    if isinstance(plan, Reallocation):
        if channels is not None:
            raise PolicyError("the better split moves money between all channels")
        columns = ["scope", "scope_id", "campaign_name", "current_cost", "cost", "delta_cost"]
        columns += ["budget_change"]
        columns += ["current_revenue", "revenue", "delta_revenue", "delta_revenue_lower_80"]
        columns += ["delta_revenue_upper_80", "evidence"]
        order = [
            _ordered(exp.column("scope"), True),
            _ordered(exp.column("delta_revenue"), True),
            _ordered(exp.column("scope_id"), False),
        ]
        return [_plain("budget_reallocation", columns, [], order, bind, plan.limit)]
    return []


CURVES = 100_000  # every curve of a scope counts towards its sum


class PolicyError(PermissionError):
    """The answer would contain rows that the one who asks may not see."""


def _plan_as_it_is(plan: WhatIf, channels: frozenset[str] | None) -> list[Statement]:
    """The stored forecast of a scope and its interval, for scopes that have one."""
    single = len(plan.filters) == 1 and len(plan.filters[0].values) == 1
    if plan.filters and (not single or plan.filters[0].exclude):
        return []
    if channels is not None and not (
        plan.filters and plan.filters[0].dimension == "channel"
        and plan.filters[0].values[0] in channels
    ):  # fmt: skip
        return []
    scope, name = "portfolio", "all campaigns"
    if plan.filters:
        scope, name = plan.filters[0].dimension, plan.filters[0].values[0]
    bind = _Parameters()
    where: list[exp.Expr] = [
        exp.EQ(this=exp.column("scope"), expression=bind.bind(scope)),
        exp.EQ(this=exp.column("scope_id"), expression=bind.bind(name)),
        exp.EQ(this=exp.column("budget_multiplier"), expression=exp.Literal.number(1)),
    ]
    columns = ["revenue", "revenue_lower_80", "revenue_upper_80"]
    return [_plain("budget_scenarios", columns, where, [], bind)]


def _forecast(plan: Forecast, channels: frozenset[str] | None) -> Statement:
    bind = _Parameters()
    selected, grouped = _dimension_columns(plan.by)
    selected += [
        exp.alias_(exp.Min(this=exp.column("date")), "first_day"),
        exp.alias_(exp.Max(this=exp.column("date")), "last_day"),
        exp.alias_(exp.Sum(this=exp.column("planned_cost")), "planned_cost"),
        exp.alias_(exp.Sum(this=exp.column("predicted_revenue")), "predicted_revenue"),
        exp.alias_(_count_all(), TOTAL_ROWS),
    ]
    order: list[exp.Expr] = []
    if plan.by:
        order.append(_ordered(exp.column("predicted_revenue"), True))
        order += [_ordered(exp.column(COLUMNS[d]), False) for d in plan.by]
    where = _where(plan.filters, bind, channels)
    tree = _select(selected, "revenue_forecast", where, grouped, order=order)
    return Statement(tree, bind.values)
