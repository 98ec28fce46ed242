"""HTTP and MCP: who may ask, what they see, and that every error is told in words."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import httpx2
import polars as pl
import pytest
import schemathesis
import sqlglot
from fastapi.testclient import TestClient
from hypothesis import given, settings
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from schemathesis.specs.openapi.checks import response_schema_conformance
from typer.testing import CliRunner

from marketing_ai.api import app as api
from marketing_ai.api.app import LARGEST_BODY, Settings, create_app
from marketing_ai.api.keys import KeyStore
from marketing_ai.assistant.ask import Assistant
from marketing_ai.cli import app as cli
from marketing_ai.integrations.databricks import ai_query_sql, genie_space
from marketing_ai.integrations.langchain import KpiRetriever, marketing_tools
from marketing_ai.mcp.server import create_server
from marketing_ai.paths import Paths
from tests.python.conftest import ROOT

ROI = {"question": "ROI by channel"}


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> Paths:
    """A published lake of one small table, made without Spark."""
    lake = tmp_path_factory.mktemp("served")
    rows = [
        {
            "campaign_id": f"C00{place}", "campaign_name": f"Campaign {channel}",
            "channel": channel, "segment": "loyal", "date": dt.date(2025, 6, day),
            "impressions": 1000, "clicks": 100, "leads": 10, "conversions": 5,
            "cost": 50.0 * place, "revenue": 80.0,
        }
        for place, channel in enumerate(("search", "social"), 1)
        for day in (1, 2, 3)
    ]  # fmt: skip
    folder = lake / "marketing.db"
    pl.DataFrame(rows).write_delta(folder / "marketing_kpi")
    entry = {
        "table_name": "marketing_kpi", "delta_version": 0, "row_count": len(rows),
        "published_at": dt.datetime(2025, 7, 1),
    }  # fmt: skip
    pl.DataFrame([entry]).write_delta(folder / "publication")
    return Paths(root=ROOT, lake=lake, schema="marketing", logs=lake, cache=lake)


@pytest.fixture
def keys(tmp_path) -> KeyStore:
    return KeyStore(tmp_path / "keys.json")


@pytest.fixture
def client(paths, keys, tmp_path) -> TestClient:
    settings = Settings(keys, audit=tmp_path / "audit.jsonl")
    return TestClient(create_app(Assistant(paths), settings), raise_server_exceptions=False)


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_a_key_is_needed_and_its_secret_is_nowhere(client, keys, tmp_path):
    key, text = keys.create("Ann")
    assert client.post("/v1/ask", json=ROI).status_code == 401
    assert client.post("/v1/ask", json=ROI, headers=bearer(text + "x")).status_code == 401
    answer = client.post("/v1/ask", json=ROI, headers=bearer(text))
    assert answer.status_code == 200
    assert answer.json()["text"].startswith("search has the highest")
    kept = keys.path.read_text() + (tmp_path / "audit.jsonl").read_text() + answer.text
    assert text.split("_", 2)[2] not in kept
    assert keys.path.stat().st_mode & 0o077 == 0
    assert key.id in (tmp_path / "audit.jsonl").read_text()


def test_a_key_ends_when_it_is_revoked_or_expires(client, keys):
    key, text = keys.create("Bob")
    _, short = keys.create("Eve", days=1)
    assert client.post("/v1/ask", json=ROI, headers=bearer(text)).status_code == 200
    keys.revoke(key.id)
    assert client.post("/v1/ask", json=ROI, headers=bearer(text)).status_code == 401
    late = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    (ended,) = (k for k in keys.all() if k.name == "Eve")
    assert ended.is_valid(late - dt.timedelta(days=2))
    assert not ended.is_valid(late)
    assert client.post("/v1/ask", json=ROI, headers=bearer(short)).status_code == 200


def test_a_key_sees_its_channels_and_does_what_its_scopes_say(client, keys):
    _, text = keys.create("Cy", frozenset({"ask", "catalog"}), frozenset({"social"}))
    rows = client.post("/v1/ask", json=ROI, headers=bearer(text)).json()["rows"]
    assert [row[0] for row in rows] == ["social"]
    seen = client.get("/v1/catalog", headers=bearer(text)).json()
    assert seen["channels"] == ["social"]
    assert list(seen["campaigns"]) == ["C002"]
    plan = {"plan": {"kind": "query", "metrics": ["roi"]}}
    refused = client.post("/v1/run", json=plan, headers=bearer(text))
    assert (refused.status_code, refused.json()["detail"]) == (403, "this key has no scope 'run'")


def test_answers_kept_for_one_key_are_not_given_to_another(client, keys):
    _, all_ = keys.create("Dan")
    _, some = keys.create("Fay", channels=frozenset({"social"}))
    first = client.post("/v1/ask", json=ROI, headers=bearer(all_)).json()["rows"]
    second = client.post("/v1/ask", json=ROI, headers=bearer(some)).json()["rows"]
    assert (len(first), len(second)) == (2, 1)
    assert client.post("/v1/ask", json=ROI, headers=bearer(all_)).json()["rows"] == first


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("post", "/v1/ask", {"json": {"q": "roi"}}, 422),
        ("post", "/v1/ask", {"json": {"question": "x" * 1001}}, 422),
        ("post", "/v1/ask", {"content": b"{"}, 422),
        ("post", "/v1/ask", {"content": b"x" * (LARGEST_BODY + 1)}, 413),
        ("post", "/v1/run", {"json": {"plan": {"kind": "drop"}}}, 422),
        ("get", "/v1/ask", {}, 405),
        ("get", "/nothing", {}, 404),
    ],
)
def test_every_error_is_a_problem_with_its_request_id(client, keys, method, path, sent, status):
    _, text = keys.create("Gus")
    headers = bearer(text) | {"X-Request-ID": "trace-12345678"}
    answer = getattr(client, method)(path, headers=headers, **sent)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "trace-12345678"
    assert "Traceback" not in answer.text


def test_a_failure_inside_is_a_problem_without_its_words(client, keys, monkeypatch, caplog):
    def fail(*_, **__):
        raise KeyError("words of the inside")

    _, text = keys.create("Guy")
    monkeypatch.setattr(Assistant, "ask", fail)
    answer = client.post("/v1/ask", json=ROI, headers=bearer(text))
    assert (answer.status_code, answer.json()["title"]) == (500, "Internal Server Error")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] in caplog.text
    assert "words of the inside" not in answer.text


def test_a_plan_that_grows_too_long_is_refused(client, keys):
    _, text = keys.create("Git")
    rule = {"dimension": "channel", "values": ["social"] * 100}
    plan = {"kind": "query", "metrics": ["roi"], "filters": [rule] * 50}
    answer = client.post("/v1/run", json={"plan": plan}, headers=bearer(text))
    assert (answer.status_code, answer.json()["title"]) == (422, "Unprocessable Entity")


def test_without_keys_other_names_of_this_machine_are_refused(paths):
    app = create_app(Assistant(paths), Settings(None))
    assert TestClient(app, base_url="http://localhost").post("/v1/ask", json=ROI).status_code == 200
    there = TestClient(app, base_url="http://evil.example").post("/v1/ask", json=ROI)
    assert there.status_code == 403


def test_too_many_requests_are_told_to_wait(paths, keys):
    _, text = keys.create("Hal")
    client = TestClient(create_app(Assistant(paths), Settings(keys, rate="2/minute")))
    sent = [client.post("/v1/ask", json=ROI, headers=bearer(text)) for _ in range(3)]
    assert [answer.status_code for answer in sent] == [200, 200, 429]
    assert 1 <= int(sent[2].headers["retry-after"]) <= 60


def test_without_a_publication_the_server_says_so(tmp_path, keys):
    _, text = keys.create("Ida")
    empty = Paths(root=ROOT, lake=tmp_path, schema="none", logs=tmp_path, cache=tmp_path)
    client = TestClient(create_app(Assistant(empty), Settings(keys)))
    for answer in (client.get("/readyz"), client.post("/v1/ask", json=ROI, headers=bearer(text))):
        assert answer.status_code == 503
        assert "make build" in answer.json()["detail"]
        assert str(tmp_path) not in answer.text
    assert client.get("/healthz").status_code == 200


def test_a_damaged_file_of_keys_lets_nobody_in(client, keys):
    _, text = keys.create("Ivy")
    keys.path.write_text("{")
    answer = client.post("/v1/ask", json=ROI, headers=bearer(text))
    assert answer.status_code == 503
    assert "marketing keys list" in answer.json()["detail"]


def test_keys_made_at_the_same_time_are_all_kept(keys):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: KeyStore(keys.path).create(f"n{n}")[1], range(16)))
    assert all(keys.find(text) for text in made)


def test_answers_kept_do_not_outgrow_their_limits(paths, monkeypatch):
    monkeypatch.setattr(api, "BYTES_KEPT", 100)
    kept = api._Answers(3)
    for place in range(5):
        kept.put((place,), api._Given(b"x" * 30, {}))
    assert [bool(kept.get((place,))) for place in range(5)] == [False, False, True, True, True]
    kept.put((5,), api._Given(b"x" * 90, {}))
    assert [bool(kept.get((place,))) for place in range(6)] == [*[False] * 5, True]
    kept.put((6,), api._Given(b"x" * 101, {}))
    assert kept.get((6,)) is None


def test_the_stream_has_the_same_answer_in_parts(client, keys):
    _, text = keys.create("Jan")
    whole = client.post("/v1/ask", json=ROI, headers=bearer(text)).json()
    told = client.post("/v1/ask/stream", json=ROI, headers=bearer(text)).text
    events = dict(re.findall(r"event: (\w+)\r?\ndata: (.*?)\r?\n", told))
    assert list(events) == ["plan", "sql", "rows", "text", "verified", "done"]
    assert json.loads(events["text"])["text"] == whole["text"]
    assert json.loads(events["rows"])["rows"] == whole["rows"]


def test_a_follow_up_sends_the_last_plan(client, keys):
    _, text = keys.create("Kim")
    plan = client.post("/v1/ask", json=ROI, headers=bearer(text)).json()["plan"]
    body = {"question": "and by revenue?", "last": plan}
    answer = client.post("/v1/ask", json=body, headers=bearer(text)).json()
    assert answer["plan"]["metrics"] == ["revenue"]
    assert answer["plan"]["by"] == ["channel"]


def test_the_openapi_schema_holds_for_what_is_sent(paths):
    app = create_app(Assistant(paths), Settings(None, rate="100000/minute"))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    schema.config.update(base_url="http://localhost")

    seen = set()

    def conforms(case) -> None:
        answer = case.call()
        seen.add((case.path, answer.status_code))
        assert answer.status_code < 500, answer.content
        case.validate_response(answer, checks=[response_schema_conformance])

    for operation in schema.get_all_operations():
        tried = settings(max_examples=15, deadline=None, database=None)
        tried(given(case=operation.ok().as_strategy())(conforms))()
    assert {path for path, status in seen if status == 200} == set(app.openapi()["paths"])


def _called(server, tool: str, **arguments):
    async def call():
        async with Client(server) as agent:
            return await agent.call_tool(tool, arguments)

    return asyncio.run(call())


def test_an_agent_has_typed_tools_and_none_takes_sql(paths):
    async def listed():
        async with Client(create_server(Assistant(paths))) as agent:
            return (await agent.list_tools()).tools

    tools = {tool.name: tool for tool in asyncio.run(listed())}
    assert set(tools) == {
        "get_catalog", "search_values", "ask_kpi", "query_kpi", "explain_metric",
        "simulate_budget",
    }  # fmt: skip
    for tool in tools.values():
        assert tool.annotations.read_only_hint
        assert tool.output_schema
        assert "sql" not in json.dumps(tool.input_schema).lower()


def test_an_agent_sees_its_channels_and_is_told_its_mistakes(paths):
    server = create_server(Assistant(paths), frozenset({"social"}))
    assert _called(server, "get_catalog").structured_content["channels"] == ["social"]
    rows = _called(server, "ask_kpi", **ROI).structured_content["rows"]
    assert [row[0] for row in rows] == ["social"]
    found = _called(server, "search_values", text="serch").structured_content["result"]
    assert "search" not in {value["name"] for value in found}
    wrong = _called(server, "explain_metric", name="nps")
    assert wrong.is_error
    assert "known are" in wrong.content[0].text
    assert _called(server, "query_kpi", plan={"kind": "drop"}).is_error


def test_the_key_of_a_stdio_agent_decides_and_ends(paths, keys):
    key, text = keys.create("agent", frozenset({"ask"}), frozenset({"social"}))
    server = create_server(Assistant(paths), None, keys, own_key=text)
    rows = _called(server, "ask_kpi", **ROI).structured_content["rows"]
    assert [row[0] for row in rows] == ["social"]
    refused = _called(server, "get_catalog")
    assert refused.is_error
    assert "no scope 'catalog'" in refused.content[0].text
    keys.revoke(key.id)
    assert "revoked" in _called(server, "ask_kpi", **ROI).content[0].text


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def test_agents_connect_over_stdio_and_over_http_with_a_key(paths, monkeypatch):
    environment = {
        "MARKETING_HOME": str(ROOT), "MARKETING_LAKE": str(paths.lake),
        "MARKETING_SCHEMA": "marketing", "PATH": "/usr/bin:/bin", "HOME": str(paths.lake),
    }  # fmt: skip
    command = [sys.executable, "-m", "marketing_ai.cli", "mcp"]
    stdio = StdioServerParameters(
        command=command[0], args=[*command[1:], "--channels", "social"], env=environment
    )
    told = _called(stdio, "ask_kpi", **ROI)
    assert [row[0] for row in told.structured_content["rows"]] == ["social"]

    _, text = KeyStore.of(paths).create("agent", channels=frozenset({"search"}))
    port = _free_port()
    server = subprocess.Popen([*command, "--http", "--port", str(port)], env=environment)
    try:
        url = f"http://127.0.0.1:{port}/mcp"
        for _ in range(100):
            try:
                bare = httpx.post(url, json={})
                break
            except httpx.TransportError:
                time.sleep(0.1)
        assert bare.status_code == 401
        assert _over_http(url, text) == ["search"]
    finally:
        server.terminate()
        server.wait(10)


def _over_http(url: str, text: str) -> list[str]:
    async def call():
        async with (
            httpx2.AsyncClient(headers=bearer(text)) as web,
            Client(streamable_http_client(url, http_client=web)) as agent,
        ):
            told = await agent.call_tool("ask_kpi", ROI)
            return [row[0] for row in told.structured_content["rows"]]

    return asyncio.run(call())


def test_keys_are_made_listed_and_revoked_in_the_terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("MARKETING_HOME", str(ROOT))
    monkeypatch.setenv("MARKETING_LAKE", str(tmp_path))
    run = CliRunner().invoke
    made = run(cli, ["keys", "create", "Lea", "--channels", "social", "--days", "7"])
    text = made.output.splitlines()[-1]
    key_id = text.split("_")[1]
    listed = run(cli, ["keys", "list"]).output
    assert "Lea" in listed
    assert "social" in listed
    assert text not in listed
    assert run(cli, ["keys", "revoke", key_id]).exit_code == 0
    assert "revoked" in run(cli, ["keys", "list"]).output
    assert run(cli, ["keys", "revoke", "nope"]).exit_code == 1
    assert run(cli, ["keys", "create", "X", "--scopes", "drop"]).exit_code == 2


def test_an_empty_restriction_is_a_mistake_and_not_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("MARKETING_HOME", str(ROOT))
    monkeypatch.setenv("MARKETING_LAKE", str(tmp_path))
    run = CliRunner().invoke
    for command in (["keys", "create", "Max"], ["mcp"], ["mcp", "--http"]):
        assert run(cli, [*command, "--channels", " ,"]).exit_code != 0
    monkeypatch.setenv("MARKETING_API_KEY", "")
    assert run(cli, ["mcp"]).exit_code != 0
    assert KeyStore(tmp_path / "api_keys.json").all() == ()


def test_langchain_gets_tools_and_rows_that_can_be_cited(paths):
    assistant, social = Assistant(paths), frozenset({"social"})
    tools = {tool.name: tool for tool in marketing_tools(assistant, social)}
    told = json.loads(tools["ask_kpi"].invoke(ROI))
    assert [row[0] for row in told["rows"]] == ["social"]
    plan = {"kind": "query", "metrics": ["cost"], "by": ["channel"]}
    queried = json.loads(tools["query_kpi"].invoke({"plan": plan}))
    assert queried["rows"] == [["social", 300.0]]
    (found,) = KpiRetriever(assistant=assistant, channels=social).invoke("Cost by channel")
    assert found.page_content == "channel: social; cost: 300.00 EUR"
    assert found.metadata["row"] == 0
    assert "marketing_kpi" in found.metadata["sql"]
    assert KpiRetriever(assistant=assistant).invoke("What is the NPS?") == []
    assert "less than or equal to 9" in tools["simulate_budget"].invoke({"change": 99})


def test_a_langchain_model_calls_the_tools(paths):
    asks = AIMessage(
        "", tool_calls=[{"name": "ask_kpi", "args": ROI, "id": "1", "type": "tool_call"}]
    )
    model = FakeMessagesListChatModel(responses=[asks])
    tools = {tool.name: tool for tool in marketing_tools(Assistant(paths))}
    (call,) = model.invoke("Which channel is best?").tool_calls
    told = tools[call["name"]].invoke(call)
    assert json.loads(told.content)["status"] == "answered"
    assert told.tool_call_id == "1"


def test_a_genie_space_has_the_metrics_of_dbt_and_sql_that_databricks_reads(paths):
    assistant = Assistant(paths)
    space = genie_space(assistant, "main.ads", ["ROI by channel", "What is the NPS?"],
                        {"How much?": "select sum(cost) from marketing_kpi"})  # fmt: skip
    (trusted,) = space["instructions"]["example_question_sqls"]
    assert trusted["question"] == ["ROI by channel"]
    sql = [trusted["sql"][0], space["benchmarks"]["questions"][0]["answer"][0]["content"][0],
           ai_query_sql(assistant, "main.ads", "ROI by channel", "model")]  # fmt: skip
    for text in sql:
        tables = list(sqlglot.parse_one(text, read="databricks").find_all(sqlglot.exp.Table))
        assert "main.ads.marketing_kpi" in {table.sql() for table in tables}
    measures = {m["alias"]: m["sql"][0] for m in space["instructions"]["sql_snippets"]["measures"]}
    assert set(measures) == set(assistant.catalog().metrics)
    assert measures["ctr"] == "SUM(clicks) / NULLIF(SUM(impressions), 0)"
    assert len(space["config"]["sample_questions"]) == 2
    assert genie_space(assistant, "main.ads") == genie_space(assistant, "main.ads")
