"""Keys: how one is made, presented and stored. A presented key is digested in the first function that sees it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from hashlib import sha256

KEY_PREFIX = "sk-penstock-"
SCOPES = ("serve", "attribute", "outcomes", "costs", "see-cost", "admin")


def new_key() -> tuple[str, str, str]:
    """Return a fresh key as (id, the key itself, digest). 256 random bits: a plain digest cannot be searched."""
    id_ = new_id()
    key = secret_of(id_)
    return id_, key, digest(key.encode())


def new_id() -> str:
    """Return a fresh id, which names a key and is no secret."""
    return secrets.token_hex(6)


def secret_of(id_: str) -> str:
    """Return a fresh key under an id."""
    return f"{KEY_PREFIX}{id_}-{secrets.token_urlsafe(32)}"


def digest(key: bytes) -> str:
    """Return what is stored of a key."""
    return sha256(key).hexdigest()


def presented(headers: Mapping[bytes, bytes]) -> bytes:
    """Return the key of a request. One function for every header that can carry one: none is a second door."""
    bearer = headers.get(b"authorization")
    if bearer is not None:
        scheme, _, key = bearer.partition(b" ")
        return key.strip() if scheme.lower() == b"bearer" else b""
    return headers.get(b"x-api-key", b"")
