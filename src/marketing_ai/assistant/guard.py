"""The guard: what is not on a closed list is not executed, whoever wrote it.

A statement is parsed, every node of its tree must be of a listed type, every table, column and
function must be known, and the tree (never the text) is rendered again and run. "SELECT only" is
no guard: on Spark a plain SELECT can read files, call Java and run a shell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

LONGEST_STATEMENT = 20_000
LARGEST_LIMIT = 100_000

_NODES: frozenset[type[exp.Expr]] = frozenset(
    {
        exp.Select, exp.From, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit,
        exp.Table, exp.TableAlias, exp.Column, exp.Identifier, exp.Alias, exp.Literal,
        exp.Placeholder, exp.Null, exp.Boolean, exp.Star, exp.Paren, exp.Neg, exp.Distinct,
        exp.And, exp.Or, exp.Not, exp.In, exp.Between, exp.Is,
        exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE,
        exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Case, exp.If, exp.Nullif, exp.Coalesce,
        exp.Cast, exp.DataType, exp.Sum, exp.Count, exp.Min, exp.Max, exp.Window,
        exp.TimestampTrunc, exp.DateTrunc, exp.Var, exp.Parameter,
    }
)  # fmt: skip
_TYPES = frozenset({exp.DType.DOUBLE, exp.DType.DATE})
_GRAINS = frozenset({"DAY", "WEEK", "MONTH", "QUARTER"})
_SELECT_PARTS = frozenset({"expressions", "from_", "where", "group", "having", "order", "limit"})
_TABLE_PARTS = frozenset({"this"})
_PARAMETER = re.compile(r"p\d+")


class GuardError(PermissionError):
    """The statement is not one that the assistant may run; the text says which part."""


def check(
    sql: str | exp.Expr, tables: Mapping[str, frozenset[str]], dialect: str = "duckdb"
) -> exp.Select:
    """Check a statement against the closed list.

    Args:
        sql: text, or a tree; a tree is rendered and parsed like text.
        tables: columns by table name; nothing else may be named.
        dialect: dialect of the text.

    Returns:
        The tree to render and run.

    Raises:
        GuardError: anything that is not listed.
    """
    text = sql if isinstance(sql, str) else sql.sql(dialect=dialect)
    if len(text) > LONGEST_STATEMENT:
        raise GuardError("the statement is too long")
    try:
        found = sqlglot.parse(text, read=dialect)
    except (SqlglotError, RecursionError, ValueError) as error:
        raise GuardError(f"not SQL that can be read: {type(error).__name__}") from None
    if len(found) != 1 or found[0] is None:
        raise GuardError("exactly one statement is allowed")
    tree = found[0]
    if type(tree) is not exp.Select:
        raise GuardError(f"{type(tree).__name__} is not a SELECT")
    for node in tree.walk():
        if type(node) not in _NODES:
            raise GuardError(f"{type(node).__name__} is not allowed")
        if node.comments:
            raise GuardError("comments are not allowed")
        if node is not tree and isinstance(node, exp.Select):
            raise GuardError("a query within a query is not allowed")
        _check_parts(node)
    _check_names(tree, tables)
    limit = tree.args.get("limit")
    size = limit.expression if isinstance(limit, exp.Limit) else None
    if not isinstance(size, exp.Literal) or not size.is_int or int(size.this) > LARGEST_LIMIT:
        raise GuardError("a LIMIT is required")
    return tree


def _check_parts(node: exp.Expr) -> None:
    used = {name for name, value in node.args.items() if value not in (None, [], False, "")}
    if isinstance(node, exp.Select) and used - _SELECT_PARTS:
        raise GuardError(f"SELECT with {', '.join(sorted(used - _SELECT_PARTS))} is not allowed")
    if isinstance(node, exp.Table) and used - _TABLE_PARTS:
        raise GuardError("a table is named by its name alone")
    if isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
        raise GuardError("a table is named by its name alone")
    if isinstance(node, exp.Column) and used - {"this"}:
        raise GuardError("a column is named by its name alone")
    if isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count):
        raise GuardError("* is not allowed")
    if isinstance(node, exp.Group) and used - {"expressions"}:
        raise GuardError("GROUP BY takes expressions")
    if isinstance(node, exp.Parameter | exp.Placeholder) and not _PARAMETER.fullmatch(node.name):
        raise GuardError("this parameter is not one of ours")
    if isinstance(node, exp.Cast) and (used - {"this", "to"}):
        raise GuardError("this cast is not allowed")
    if isinstance(node, exp.DataType) and (node.this not in _TYPES or used - {"this"}):
        raise GuardError("only casts to double and date are allowed")
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc):
        if str(node.args["unit"].name).upper() not in _GRAINS:
            raise GuardError("only day, week, month and quarter are known")
    elif isinstance(node, exp.Var) and not isinstance(
        node.parent, exp.TimestampTrunc | exp.DateTrunc | exp.Placeholder | exp.Parameter
    ):
        raise GuardError("this word is not allowed here")
    if isinstance(node, exp.Window) and used - {"this", "over"}:
        raise GuardError("only OVER () is allowed")


def _check_names(tree: exp.Select, tables: Mapping[str, frozenset[str]]) -> None:
    named = list(tree.find_all(exp.Table))
    if len(named) != 1:
        raise GuardError("exactly one table is read")
    columns = tables.get(named[0].name)
    if columns is None:
        raise GuardError("this table is not published for questions")
    aliases = {alias.alias for alias in tree.expressions if isinstance(alias, exp.Alias)}
    for column in tree.find_all(exp.Column):
        if column.name not in columns and not (
            column.name in aliases and column.find_ancestor(exp.Order)
        ):
            raise GuardError("this column is not published for questions")
