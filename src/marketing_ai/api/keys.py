"""Keys of the API: who may ask, what for, and which channels they see.

A key is 256 random bits, shown once and kept as a SHA-256 hash only. The file of keys lies in the
lake, readable by its owner alone, and is replaced as a whole, so no reader sees half of it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marketing_ai.paths import Paths

Scope = Literal["ask", "run", "catalog"]
SCOPES: tuple[Scope, ...] = ("ask", "run", "catalog")
PREFIX = "mk"


class KeyFileError(ValueError):
    """The file of keys, or what was asked of it, is wrong; the message says what to do."""


class Key(BaseModel):
    """A key without its secret.

    Attributes:
        id: public part of the key.
        name: whom it was given to.
        hashed: SHA-256 of the secret, in hexadecimal digits.
        scopes: what it may be used for.
        channels: channels that its holder sees; None: all.
        expires_at: when it ends, UTC; None: never.
        revoked: whether it was taken back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: str = Field(min_length=1, max_length=80)
    hashed: str
    scopes: frozenset[Scope]
    channels: frozenset[str] | None = None
    created_at: dt.datetime
    expires_at: dt.datetime | None = None
    revoked: bool = False

    def is_valid(self, now: dt.datetime) -> bool:
        """Whether it may be used now."""
        return not self.revoked and (self.expires_at is None or now < self.expires_at)


class _File(BaseModel):
    keys: tuple[Key, ...] = ()


class KeyStore:
    """The keys of one lake; read anew when the file changes, so a key ends without a restart."""

    def __init__(self, path: Path) -> None:
        """Use this file; it need not be there yet."""
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._keys: tuple[Key, ...] = ()

    @classmethod
    def of(cls, paths: Paths) -> KeyStore:
        """The store of a project."""
        return cls(paths.lake / "api_keys.json")

    def all(self) -> tuple[Key, ...]:
        """All keys, revoked ones too.

        Raises:
            KeyFileError: the file is damaged.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._seen, self._keys = None, ()
            return ()
        if (stat.st_mtime_ns, stat.st_ino) != self._seen:
            try:
                read = _File.model_validate_json(self.path.read_bytes())
            except ValidationError as error:
                raise KeyFileError(
                    f"{self.path} is damaged ({error.errors()[0]['msg']}): "
                    "remove it and make new keys with `marketing keys create`"
                ) from None
            self._seen, self._keys = (stat.st_mtime_ns, stat.st_ino), read.keys
        return self._keys

    def create(
        self,
        name: str,
        scopes: frozenset[Scope] = frozenset(SCOPES),
        channels: frozenset[str] | None = None,
        days: int | None = None,
    ) -> tuple[Key, str]:
        """Make a key.

        Args:
            name: whom it is for.
            scopes: what it may be used for.
            channels: channels that its holder sees; None: all.
            days: how long it lasts; None: for ever.

        Returns:
            The key, and the text that its holder sends: it can not be shown again.
        """
        secret = secrets.token_urlsafe(32)
        now = dt.datetime.now(dt.UTC)
        key = Key(
            id=secrets.token_hex(4),
            name=name,
            hashed=_hash(secret),
            scopes=scopes,
            channels=channels,
            created_at=now,
            expires_at=now + dt.timedelta(days=days) if days else None,
        )
        with self._changing():
            self._write((*self.all(), key))
        return key, f"{PREFIX}_{key.id}_{secret}"

    def revoke(self, key_id: str) -> None:
        """Take a key back.

        Raises:
            KeyFileError: there is no such key.
        """
        with self._changing():
            keys = self.all()
            if key_id not in {key.id for key in keys}:
                raise KeyFileError(f"there is no key {key_id}: `marketing keys list` shows them")
            self._write(
                tuple(k.model_copy(update={"revoked": True}) if k.id == key_id else k for k in keys)
            )

    def find(self, text: str) -> Key | None:
        """The valid key of a text, None where there is none."""
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        hashed = _hash(secret)
        for key in self.all():
            if key.id == key_id and prefix == PREFIX and hmac.compare_digest(key.hashed, hashed):
                return key if key.is_valid(dt.datetime.now(dt.UTC)) else None
        return None

    def _changing(self) -> FileLock:
        """One change at a time: else a key that was made meanwhile would undo a revocation."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_suffix(".lock"), timeout=10)

    def _write(self, keys: tuple[Key, ...]) -> None:
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".api_keys")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_File(keys=keys).model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(self.path)


def _hash(secret: str) -> str:
    # 256 random bits cannot be guessed, so a slow hash would add nothing.
    return hashlib.sha256(secret.encode()).hexdigest()
