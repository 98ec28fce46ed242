"""An answer on a terminal: the sentence, its rows, and on request the SQL and the facts."""

from __future__ import annotations

import datetime as dt

from rich.console import Console
from rich.table import Table
from rich.text import Text

from marketing_ai.assistant.ask import Answer
from marketing_ai.assistant.catalog import Catalog
from marketing_ai.assistant.facts import safe_name, unit_of, write

STALE_AFTER = dt.timedelta(days=3)
SHOWN_ROWS = 20


def print_answer(
    console: Console, answer: Answer, catalog: Catalog, sql: bool = False, facts: bool = False
) -> None:
    """Print an answer.

    Args:
        console: where to.
        answer: what to print.
        catalog: units and currency of the columns.
        sql: also the statements that ran, with their parameters.
        facts: also each number with its cell.
    """
    console.print(Text(answer.text), soft_wrap=True)
    for number, option in enumerate(answer.options, 1):
        console.print(Text(f"  {number}. {option.label}"))
    if answer.options:
        console.print(Text("Choose one with --choose NUMBER."), style="dim")
    for suggestion in answer.suggestions:
        console.print(Text(f"  Ask for example: {suggestion}"))
    if len(answer.rows) > 1:
        console.print(_table(answer, catalog))
    for note in answer.notes:
        console.print(Text(f"Note: {note}"), style="dim", soft_wrap=True)
    if sql:
        for text, parameters in zip(answer.sql, answer.parameters, strict=True):
            console.print(Text(f"\n{text}"), soft_wrap=True)
            if parameters:
                listed = ", ".join(f"{name} = {value}" for name, value in parameters.items())
                console.print(Text(f"  {listed}"), soft_wrap=True)
    if facts:
        for fact in answer.facts:
            value = write(fact.value, fact.unit, catalog.currency)
            place = f"{fact.column}, row {fact.row + 1}"
            console.print(Text(f"  {fact.id}: {fact.entity or 'all'} {value} ({place})"))
    console.print(Text(_freshness(answer)), style="dim")


def print_prompts(console: Console, answer: Answer) -> None:
    """Print what was sent to the language model for an answer, or would be."""
    if not answer.prompts:
        console.print(Text("Nothing is sent to a language model for this question."), style="dim")
    for prompt in answer.prompts:
        for message in prompt.messages:
            console.print(Text(f"--- {prompt.purpose}, {message['role']}"), style="bold")
            console.print(Text(message["content"]), soft_wrap=True)
    if answer.prompts:
        console.print(Text("--- end of what is sent"), style="bold")


def _table(answer: Answer, catalog: Catalog) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for column in answer.columns:
        table.add_column(column, justify="right" if unit_of(column, catalog) else "left")
    for row in answer.rows[:SHOWN_ROWS]:
        cells = (
            "" if value is None else write(value, unit_of(column, catalog), catalog.currency)
            for column, value in zip(answer.columns, row, strict=True)
        )
        table.add_row(*(Text(safe_name(cell)) for cell in cells))
    return table


def _freshness(answer: Answer) -> str:
    if answer.published_at is None:
        return ""
    age = dt.datetime.now(dt.UTC) - answer.published_at.replace(tzinfo=dt.UTC)
    text = f"Publication {answer.publication} of {answer.published_at:%Y-%m-%d %H:%M} UTC"
    if age > STALE_AFTER:
        return f"{text}: {age.days} days old. `make build` publishes newer data."
    return f"{text}."
