"""The assistant for LangChain: tools for an agent, and a retriever of KPI rows.

Both answer through the same plans and guard as everything else, so an agent can ask and cannot
write SQL. A document is one row of an answer, with what is needed to cite it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from marketing_ai.api.bodies import answer_body, catalog_body
from marketing_ai.assistant.ask import Answer, Assistant
from marketing_ai.assistant.catalog import CatalogError
from marketing_ai.assistant.facts import unit_of, write
from marketing_ai.assistant.guard import GuardError
from marketing_ai.assistant.plan import Filter, Plan, WhatIf
from marketing_ai.assistant.warehouse import QueryTimeoutError
from marketing_ai.lake.publication import NotPublishedError

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.tools import BaseTool, StructuredTool, ToolException
except ImportError as error:
    raise ImportError("langchain-core is not installed: pip install -e '.[langchain]'") from error


def marketing_tools(assistant: Assistant, channels: frozenset[str] | None = None) -> list[BaseTool]:
    """Tools that ask, query, simulate and list; each returns JSON text, or what was wrong.

    Args:
        assistant: who answers.
        channels: channels that the agent sees; None: all.
    """

    def ask_kpi(question: str) -> str:
        """Answer a question about marketing KPIs in words, from tested tables."""
        return _told(lambda: assistant.ask(question, channels=channels))

    def query_kpi(plan: Plan) -> str:
        """Answer a typed plan exactly; fractions for per cent, campaigns by id."""
        return _told(lambda: assistant.run(plan, channels))

    def simulate_budget(change: float, filters: tuple[Filter, ...] = ()) -> str:
        """Expected revenue when a budget changes by a fraction (0.2 is 20 % more)."""
        return _told(lambda: assistant.run(WhatIf(change=change, filters=filters), channels))

    def get_catalog() -> str:
        """Metrics, names and days that can be asked about."""
        return catalog_body(assistant, channels).model_dump_json()

    made = (ask_kpi, query_kpi, simulate_budget, get_catalog)
    return [StructuredTool.from_function(tool, handle_tool_error=True) for tool in made]


def _told(answer: Callable[[], Answer]) -> str:
    try:
        return answer_body(answer()).model_dump_json()
    except ValidationError as error:
        raise ToolException(str(error.errors()[0]["msg"])) from None
    except (NotPublishedError, CatalogError, QueryTimeoutError, GuardError) as error:
        raise ToolException(str(error)) from None


class KpiRetriever(BaseRetriever):
    """Rows of `marketing_kpi` and the other published tables for a question.

    Attributes:
        assistant: who answers.
        channels: channels that the reader sees; None: all.
    """

    assistant: Any
    channels: frozenset[str] | None = None

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - the interface gives it
    ) -> list[Document]:
        answer = self.assistant.ask(query, channels=self.channels)
        if answer.status != "answered":
            return []
        catalog = self.assistant.catalog(self.channels)
        source = {
            "plan": answer.plan.model_dump_json() if answer.plan else None,
            "sql": "\n".join(answer.sql),
            "parameters": json.dumps(answer.parameters, default=str),
            "publication": answer.publication,
            "answer": answer.text,
        }
        if not answer.rows:
            return [Document(page_content=answer.text, metadata=source)]
        return [
            Document(
                page_content="; ".join(
                    f"{column}: {write(value, unit_of(column, catalog), catalog.currency)}"
                    for column, value in zip(answer.columns, row, strict=True)
                ),
                metadata=source | {"row": number},
            )
            for number, row in enumerate(answer.rows)
        ]
