"""Calls of a language model: bounded in time and size, and no failure but one.

A server can be slow, wrong or hostile, and its reply is data: nothing of it is repeated in a
message, and whatever goes wrong becomes a `ModelError` in our own words within the time-out. The
calls of one question share one deadline and are kept, so that they can be shown.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel

from marketing_ai.assistant.models.settings import (
    ModelSettings,
    SettingsError,
    read_settings,
    wants_aliases,
)

LARGEST_REPLY = 256 * 1024  # bytes; a plan or a few sentences have a few thousand
Form = TypeVar("Form", bound=BaseModel)
_STATUS = {
    401: "the key is not accepted",
    403: "the key may not use this model",
    404: "there is no such model or address",
    429: "too many requests, or the quota is used up",
}


class ModelError(RuntimeError):
    """The model gave nothing that can be used; the message says why, in our words."""


class NotAskedError(ModelError):
    """There is no model, so nothing was sent."""


@dataclass(frozen=True)
class Prompt:
    """What is sent: messages by role, to read a question (plan) or to word rows (prose)."""

    purpose: Literal["plan", "prose"]
    messages: tuple[dict[str, str], ...]

    @classmethod
    def of(cls, purpose: Literal["plan", "prose"], rules: str, data: dict[str, Any]) -> Prompt:
        """Rules as the system's message, data as JSON in the user's."""
        text = json.dumps(data, ensure_ascii=False, default=str)
        return cls(
            purpose, ({"role": "system", "content": rules}, {"role": "user", "content": text})
        )

    def again(self, reply: str, complaint: str) -> Prompt:
        """The same prompt, the reply to it and what was wrong with that."""
        more = ({"role": "assistant", "content": reply}, {"role": "user", "content": complaint})
        return Prompt(self.purpose, (*self.messages, *more))


class Model(Protocol):
    """What can complete a prompt."""

    name: str
    timeout_seconds: float
    aliases: bool

    def complete(self, prompt: Prompt, form: type[Form], deadline: float) -> Form:
        """Return the reply as `form`; `ModelError` where there is none by `deadline`."""
        ...


@dataclass
class Conversation:
    """The calls of one question."""

    model: Model
    prompts: list[Prompt] = field(default_factory=list)
    deadline: float = 0.0

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.model.timeout_seconds

    def complete(self, prompt: Prompt, form: type[Form]) -> Form:
        """Send a prompt; errors as `Model.complete`."""
        self.prompts.append(prompt)
        return self.model.complete(prompt, form, self.deadline)


@dataclass
class Preview:
    """Stands in for a model and sends nothing: to show what would be sent."""

    aliases: bool = False
    name: str = "none"
    timeout_seconds: float = 0

    def complete(self, prompt: Prompt, form: type[Form], deadline: float) -> Form:  # noqa: ARG002
        """Send nothing."""
        raise NotAskedError


class ChatModel:
    """A model behind OpenAI's chat completions, through the `openai` package."""

    def __init__(self, settings: ModelSettings) -> None:
        """Prepare; nothing is sent.

        Raises:
            SettingsError: the `openai` package is not installed.
        """
        try:
            import openai  # noqa: F401
        except ImportError:
            raise SettingsError(
                "MARKETING_LLM_PROVIDER needs the package openai, which is not installed: "
                "make .venv/serve.stamp"
            ) from None
        self.settings = settings
        self.name = settings.model
        self.timeout_seconds = settings.timeout_seconds
        self.aliases = settings.aliases

    def complete(self, prompt: Prompt, form: type[Form], deadline: float) -> Form:
        """Return the reply as `form`.

        Raises:
            ModelError: no usable reply by `deadline` (of `time.monotonic`).
        """
        left = deadline - time.monotonic()
        slow = ModelError(f"it did not answer within {self.timeout_seconds:g} seconds")
        if left <= 0:
            raise slow
        replies: queue.Queue[Form | ModelError] = queue.Queue()
        client = self._client(left)

        def call() -> None:
            try:
                replies.put(_reply(client, self.name, prompt, form))
            except Exception as error:
                replies.put(_in_our_words(error, self.timeout_seconds))

        # A read has a time-out, a server that sends a byte a second keeps it from ending: hence
        # a thread that can be left behind.
        threading.Thread(target=call, daemon=True).start()
        try:
            reply = replies.get(timeout=left)
        except queue.Empty:
            raise slow from None
        finally:
            client.close()
        if isinstance(reply, ModelError):
            raise reply
        return reply

    def _client(self, timeout: float) -> Any:
        import httpx2
        import openai

        settings = self.settings
        common: dict[str, Any] = {
            "api_key": settings.key.get_secret_value(),
            "max_retries": settings.retries,
            "timeout": timeout,
            # No redirect: what is sent goes where the settings say, and nowhere else.
            "http_client": httpx2.Client(
                follow_redirects=False,
                timeout=timeout,
                headers={"Accept-Encoding": "identity"},
                event_hooks={"response": [_bound]},
            ),
        }
        if settings.provider == "azure":
            return openai.AzureOpenAI(
                azure_endpoint=settings.base_url,
                azure_deployment=settings.model,
                api_version=settings.api_version,
                **common,
            )
        return openai.OpenAI(base_url=settings.base_url, **common)


def _bound(response: Any) -> None:
    """Let a reply end after `LARGEST_REPLY` bytes; a compressed one could be any size."""
    import httpx2

    if response.headers.get("content-encoding", "identity") != "identity":
        raise ModelError("its reply is compressed, which was not asked for")
    stream = response.stream

    class Bounded(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for chunk in stream:
                size += len(chunk)
                if size > LARGEST_REPLY:
                    raise ModelError(f"its reply is larger than {LARGEST_REPLY // 1024} kB")
                yield chunk

        def close(self) -> None:
            stream.close()

    response.stream = Bounded()


def _reply(client: Any, model: str, prompt: Prompt, form: type[Form]) -> Form:
    completion = client.chat.completions.parse(
        model=model, messages=list(prompt.messages), response_format=form
    )
    message = completion.choices[0].message
    if message.refusal:
        raise ModelError("it declined to answer")
    return form.model_validate(message.parsed)


def _in_our_words(error: Exception, timeout_seconds: float) -> ModelError:
    """What went wrong, without a word of the server's."""
    import openai

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ModelError):
            return cause
        cause = cause.__cause__
    if isinstance(error, openai.APITimeoutError):
        return ModelError(f"it did not answer within {timeout_seconds:g} seconds")
    if isinstance(error, openai.APIConnectionError):
        return ModelError("it could not be reached, or the connection broke")
    if isinstance(error, openai.APIStatusError):
        why = _STATUS.get(error.status_code)
        return ModelError(f"status {error.status_code}{f': {why}' if why else ''}")
    if isinstance(error, openai.LengthFinishReasonError):
        return ModelError("its reply was cut off")
    if isinstance(error, openai.ContentFilterFinishReasonError):
        return ModelError("a content filter stopped its reply")
    return ModelError("its reply has not the form that was asked for")


def find_model(wanted: bool | None = None, preview: bool = False) -> Model | None:
    """The model of the environment's settings.

    Args:
        wanted: True: there must be one; False: none is used; None: where a provider is set.
        preview: without one, prepare what would be sent, so that it can be shown.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    settings = None if wanted is False else read_settings()
    if settings is not None:
        return ChatModel(settings)
    if wanted:
        raise SettingsError("MARKETING_LLM_PROVIDER is not set: openai, azure or compatible")
    return Preview(wants_aliases()) if preview else None
