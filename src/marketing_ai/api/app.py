"""The HTTP API: questions and plans in, answers with their SQL, facts and rows out.

The server keeps no conversation and no rows of its own: a follow-up carries the last plan, and
every answer comes from the newest publication. A request is tied to a key, which decides what it
may do, which channels it sees and how often it may ask; every request is in the audit log.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import math
import re
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from marketing_ai.api.bodies import (
    AnswerBody,
    Ask,
    CatalogBody,
    Health,
    Problem,
    Run,
    answer_body,
    catalog_body,
)
from marketing_ai.api.keys import Key, KeyFileError, KeyStore, Scope
from marketing_ai.assistant.ask import Answer, Assistant
from marketing_ai.assistant.catalog import CatalogError
from marketing_ai.assistant.guard import GuardError
from marketing_ai.assistant.warehouse import QueryTimeoutError
from marketing_ai.lake.publication import NotPublishedError

LARGEST_BODY = 64 * 1024
ANSWERS_KEPT = 2000
BYTES_KEPT = 64 * 1024 * 1024
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
_log = logging.getLogger(__name__)
_bearer = HTTPBearer(auto_error=False, description="a key of `marketing keys create`")


@dataclass(frozen=True)
class Settings:
    """How the server runs.

    Attributes:
        keys: the keys that are accepted; None: everybody may do everything (loopback only).
        rate: requests of one key, such as "60/minute".
        audit: file of the audit log, one JSON object a line; None: none.
        answers_kept: answers kept for the same question on the same publication; 0, or with a
            language model: none.
    """

    keys: KeyStore | None
    rate: str = "120/minute"
    audit: Path | None = None
    answers_kept: int = ANSWERS_KEPT


@dataclass(frozen=True)
class _Given:
    """An answer as it is sent, and what the audit log says of it."""

    text: bytes
    audit: dict[str, Any]


class _Answers:
    """Answers already given, by everything that decides them; the oldest goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._bytes = 0
        self._kept: OrderedDict[tuple[Any, ...], _Given] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[Any, ...]) -> _Given | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: tuple[Any, ...], given: _Given) -> None:
        with self._lock:
            before = self._kept.pop(key, None)
            self._bytes += len(given.text) - (len(before.text) if before else 0)
            self._kept[key] = given
            while self._kept and (len(self._kept) > self._size or self._bytes > BYTES_KEPT):
                self._bytes -= len(self._kept.popitem(last=False)[1].text)


@dataclass
class _Access:
    """Whose requests are accepted, and how many."""

    keys: KeyStore | None
    limit: RateLimitItem
    limiter: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage())
    )

    def principal(
        self, request: Request, sent: HTTPAuthorizationCredentials | None, scope: Scope
    ) -> Key | None:
        """The key of a request, when it may do this, and may do it now."""
        if self.keys is None and request.url.hostname not in _THIS_MACHINE:
            # A page of another site can give its name our address, and ask from a local browser.
            raise HTTPException(403, "without keys only http://127.0.0.1 and localhost answer")
        key = self.keys.find(sent.credentials) if self.keys and sent else None
        host = request.client.host if request.client else ""
        caller = f"key:{key.id}" if key else f"host:{host}"
        request.state.audit["key"] = key.id if key else None
        if not self.limiter.hit(self.limit, caller):
            window = self.limiter.get_window_stats(self.limit, caller)
            wait = max(1, math.ceil(window.reset_time - time.time()))
            raise HTTPException(429, f"more than {self.limit}", {"Retry-After": str(wait)})
        if self.keys is None:
            return None
        if key is None:
            text = "a valid key is needed: Authorization: Bearer …"
            raise HTTPException(401, text, {"WWW-Authenticate": "Bearer"})
        if scope not in key.scopes:
            raise HTTPException(403, f"this key has no scope '{scope}'")
        return key


def _allowed(scope: Scope) -> Callable[..., Awaitable[Key | None]]:
    async def check(
        request: Request,
        sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Key | None:
        access: _Access = request.app.state.access
        return access.principal(request, sent, scope)

    return check


Asker = Annotated[Key | None, Depends(_allowed("ask"))]
Runner = Annotated[Key | None, Depends(_allowed("run"))]
Reader = Annotated[Key | None, Depends(_allowed("catalog"))]


class _Guarded:
    """Around every request: an id, a limit on its body, safe headers and a line in the audit."""

    def __init__(self, app: ASGIApp, audit: Path | None) -> None:
        self._app = app
        if audit:
            audit.touch(mode=0o600)
        # One write a line: lines of two requests do not mix.
        self._audit = audit.open("a", encoding="utf-8", buffering=1) if audit else None

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.match(given) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state |= {"request_id": request_id, "audit": {}}
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = (*_HEADERS, (b"x-request-id", request_id.encode()))
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        body, too_large = await _body(receive, headers)
        try:
            if too_large:
                text = f"the body is larger than {LARGEST_BODY} bytes"
                response = _problem(request_id, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
                await response(scope, receive, answer)
            else:
                await self._app(scope, body, answer)
        except Exception:
            _log.exception("request %s failed", request_id)
            if not status:
                text = "an error of the server; its log has the request's id"
                response = _problem(request_id, HTTPStatus.INTERNAL_SERVER_ERROR, text)
                await response(scope, receive, answer)
        finally:
            self._write(scope, request_id, status, time.perf_counter() - started)

    def _write(self, scope: AsgiScope, request_id: str, status: int, seconds: float) -> None:
        if self._audit is None:
            return
        line = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "request_id": request_id,
            "method": scope["method"],
            "path": scope["path"],
            "http_status": status,
            "milliseconds": round(seconds * 1000, 1),
            **scope["state"]["audit"],
        }
        self._audit.write(json.dumps(line, ensure_ascii=True) + "\n")


async def _body(receive: Receive, headers: dict[bytes, bytes]) -> tuple[Receive, bool]:
    """The body, read up to the limit: its length need not be told, or be true."""
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > LARGEST_BODY:
        return receive, True
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return receive, False
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
        if sum(map(len, parts)) > LARGEST_BODY:
            return receive, True
    whole = b"".join(parts)
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": whole, "more_body": False}

    return again, False


def _problem(
    request_id: str, status: int, detail: str, headers: dict[str, str] | None = None
) -> Response:
    title = HTTPStatus(status).phrase
    body = Problem(title=title, status=status, detail=detail, request_id=request_id)
    return Response(body.model_dump_json(), status, headers, media_type="application/problem+json")


def _reports_errors(app: FastAPI) -> None:
    """Every error as problem+json, with the request's id and never a stack trace."""

    def report(error: type[Exception], status: int | None, words: Callable[[Any], str]) -> None:
        async def handle(request: Request, raised: Exception) -> Response:
            code = status if status is not None else int(getattr(raised, "status_code", 500))
            headers = getattr(raised, "headers", None)
            if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                _log.error("request %s: %s", request.state.request_id, raised)
            return _problem(request.state.request_id, code, words(raised), headers)

        app.add_exception_handler(error, handle)

    report(StarletteHTTPException, None, lambda e: str(e.detail))
    report(RequestValidationError, 422, _where)
    # Not their own words, which name folders of this machine; the log has them.
    for nothing in (NotPublishedError, CatalogError):
        report(nothing, 503, lambda _: "nothing to answer from: `make build` publishes it")
    report(QueryTimeoutError, 503, lambda e: f"the question took too long: {e}")
    report(KeyFileError, 503, lambda _: "keys cannot be read: `marketing keys list` says why")
    report(GuardError, 422, lambda e: f"the plan cannot run: {e}")


def _where(error: RequestValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()[:5]
    )


def create_app(assistant: Assistant, settings: Settings) -> FastAPI:
    """Make the application.

    Args:
        assistant: who answers.
        settings: keys, limits and log.
    """
    app = FastAPI(
        title="Ask the marketing data",
        version="1",
        description=__doc__,
        # Their pages load scripts from a CDN; /openapi.json is served here.
        docs_url=None,
        redoc_url=None,
        responses={
            status: {"model": Problem, "description": HTTPStatus(status).phrase}
            for status in (401, 403, 413, 422, 429, 503)
        },
    )
    _reports_errors(app)
    app.state.access = _Access(settings.keys, parse(settings.rate))
    answers = _Answers(settings.answers_kept)

    async def answered(request: Request, key: Key | None, body: Ask | Run) -> bytes:
        newest = assistant.opened()
        if newest is None:
            newest = await run_in_threadpool(assistant.publication)
        decides = (newest.version, key.channels if key else None, body.model_dump_json())
        given = answers.get(decides)
        if given is None:
            given = await run_in_threadpool(_answer, key, body, assistant)
            if assistant.model is None:
                # A language model may answer better the next time.
                answers.put(decides, given)
        request.state.audit |= given.audit
        return given.text

    @app.post("/v1/ask", response_model=AnswerBody)
    async def ask(request: Request, body: Ask, key: Asker) -> Response:
        """Answer a question; a question back and a refusal are answers too (see `status`)."""
        return Response(await answered(request, key, body), media_type="application/json")

    @app.post("/v1/run", response_model=AnswerBody)
    async def run(request: Request, body: Run, key: Runner) -> Response:
        """Answer a plan, such as an option of a question back."""
        return Response(await answered(request, key, body), media_type="application/json")

    @app.post(
        "/v1/ask/stream",
        response_class=EventSourceResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def stream(request: Request, body: Ask, key: Asker) -> EventSourceResponse:
        """The same as events: plan, sql, rows, text, verified, done; all after verification."""
        return EventSourceResponse(_events(await answered(request, key, body)))

    @app.get("/v1/catalog")
    def catalog(key: Reader) -> CatalogBody:
        """What can be asked about: metrics, names, days."""
        return catalog_body(assistant, key.channels if key else None)

    @app.get("/healthz")
    def healthz() -> Health:
        """The server is there."""
        return Health(status="ok")

    @app.get("/readyz")
    def readyz() -> Health:
        """There is a publication to answer from."""
        newest = assistant.publication()
        age = dt.datetime.now(dt.UTC) - newest.published_at
        return Health(
            status="ok",
            publication=newest.version,
            published_at=newest.published_at,
            age_hours=round(age.total_seconds() / 3600, 2),
        )

    app.add_middleware(_Guarded, audit=settings.audit)
    return app


def _answer(key: Key | None, body: Ask | Run, assistant: Assistant) -> _Given:
    channels = key.channels if key else None
    if isinstance(body, Run):
        answer = assistant.run(body.plan, channels)
    else:
        answer = assistant.ask(body.question, body.last, channels, body.options)
    return _Given(answer_body(answer).model_dump_json().encode(), _audited(answer))


def _audited(answer: Answer) -> dict[str, Any]:
    return {
        "question": answer.question,
        "status": answer.status,
        "code": answer.code,
        "plan": answer.plan.model_dump(mode="json") if answer.plan else None,
        "sql_sha256": hashlib.sha256("\n".join(answer.sql).encode()).hexdigest()[:16],
        "publication": answer.publication,
    }


async def _events(text: bytes) -> AsyncIterator[ServerSentEvent]:
    plain = json.loads(text)
    parts = {
        "plan": {name: plain[name] for name in ("status", "plan", "options", "planned_by")},
        "sql": {"sql": plain["sql"], "parameters": plain["parameters"]},
        "rows": {name: plain[name] for name in ("columns", "rows", "total_rows", "facts")},
        "text": {"text": plain["text"], "notes": plain["notes"]},
        "verified": {"facts": len(plain["facts"]), "written_by": plain["written_by"]},
        "done": {name: plain[name] for name in ("publication", "published_at", "code")},
    }
    for event, data in parts.items():
        yield ServerSentEvent(json.dumps(data, ensure_ascii=False), event=event)
