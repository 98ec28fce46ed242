"""Settings of the language model, from environment variables and nowhere else.

Without `MARKETING_LLM_PROVIDER` there is no model, whatever else is set. The key is kept in a type
that hides it from logs and representations, and it is sent only to the provider that it is for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

from pydantic import SecretStr

Provider = Literal["openai", "azure", "compatible"]
PREFIX = "MARKETING_LLM_"
_NAMES = ("PROVIDER", "MODEL", "BASE_URL", "API_VERSION", "API_KEY",
          "TIMEOUT", "RETRIES", "ALIASES")  # fmt: skip
_KEYS: dict[Provider, str] = {
    "openai": "OPENAI_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY",
    "compatible": "MARKETING_LLM_API_KEY",
}
OPENAI_URL = "https://api.openai.com/v1"
AZURE_API_VERSION = "2024-10-21"  # the first general one that has structured outputs


class SettingsError(ValueError):
    """A variable is missing or wrong; the message names it, and never the key's value."""


@dataclass(frozen=True)
class ModelSettings:
    """How to reach a language model.

    Attributes:
        provider: OpenAI, Azure OpenAI, or any server with OpenAI's chat completions.
        model: its name; for Azure the deployment's.
        base_url: address of the API; for Azure the resource's endpoint.
        key: the API key.
        api_version: of Azure.
        timeout_seconds: how long one question may wait for the model, all calls and retries.
        retries: how often a call is repeated after a 408, 409, 429, 5xx or a broken connection.
        aliases: whether names are replaced before anything is sent.
    """

    provider: Provider
    model: str
    base_url: str
    key: SecretStr
    api_version: str = AZURE_API_VERSION
    timeout_seconds: float = 30
    retries: int = 2
    aliases: bool = False


def read_settings(environment: Mapping[str, str] | None = None) -> ModelSettings | None:
    """Read the settings; None where no provider is set.

    Raises:
        SettingsError: a variable is unknown, missing or wrong.
    """
    given = {
        name: value.strip()
        for name, value in (os.environ if environment is None else environment).items()
        if value.strip()
    }
    for name in given:
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in _NAMES:
            known = ", ".join(PREFIX + n for n in _NAMES)
            raise SettingsError(f"{name} is not a setting; known are {known}")
    provider = _provider(given.get(f"{PREFIX}PROVIDER"))
    if provider is None:
        return None
    return ModelSettings(
        provider=provider,
        model=_needed(given, f"{PREFIX}MODEL", "the name of the model or deployment"),
        base_url=_base_url(given, provider),
        key=SecretStr(_key(given, provider)),
        api_version=given.get(f"{PREFIX}API_VERSION", AZURE_API_VERSION),
        timeout_seconds=_number(given, "TIMEOUT", 30, 0.1, 600),
        retries=int(_number(given, "RETRIES", 2, 0, 10)),
        aliases=wants_aliases(given),
    )


def wants_aliases(environment: Mapping[str, str] | None = None) -> bool:
    """Whether names are to be replaced; `SettingsError` for another value than 0 or 1."""
    value = (os.environ if environment is None else environment).get(f"{PREFIX}ALIASES", "0")
    if value.strip() not in ("", "0", "1"):
        raise SettingsError(f"{PREFIX}ALIASES is 1 (names are replaced) or 0")
    return value.strip() == "1"


def _provider(value: str | None) -> Provider | None:
    for provider in get_args(Provider):
        if value == provider:
            return provider
    if value is None:
        return None
    known = ", ".join(get_args(Provider))
    raise SettingsError(f"{PREFIX}PROVIDER is one of {known}, or not set for no model")


def _needed(given: Mapping[str, str], name: str, what: str) -> str:
    if name not in given:
        raise SettingsError(f"{name} is not set: {what}")
    return given[name]


def _base_url(given: Mapping[str, str], provider: Provider) -> str:
    name = f"{PREFIX}BASE_URL"
    if provider == "openai":
        url = given.get(name, OPENAI_URL)
    elif provider == "azure":
        url = _needed(given, name, "the resource's endpoint, https://NAME.openai.azure.com")
    else:
        url = _needed(given, name, "the server's address, up to and with /v1")
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.username or parts.password:
        raise SettingsError(f"{name} is an address such as https://host/v1, without a password")
    return url


def _key(given: Mapping[str, str], provider: Provider) -> str:
    name = _KEYS[provider]
    if provider == "compatible":
        key = given.get(name, "none")
    else:
        key = _needed(given, name, "the API key")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(f"{name} has characters that no key has, such as spaces or quotes")
    return key


def _number(
    given: Mapping[str, str], name: str, default: float, least: float, most: float
) -> float:
    text = given.get(PREFIX + name)
    try:
        number = default if text is None else float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise SettingsError(f"{PREFIX}{name} is a number from {least:g} to {most:g}")
    return number
