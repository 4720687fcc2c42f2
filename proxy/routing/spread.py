"""Weighted deployments: which of a tier a conversation begins with, the same one at each of its turns. Pure.

By rendezvous: each deployment draws a number from the conversation's beginning and its own name, and the weights bend
the order of the draws. A deployment that comes or goes moves its own conversations and no others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from proxy.settings import Deployment

HEAD_CHARS = 2_048
"""Of each message that counts: enough to tell conversations apart, and bounded work."""
PARTS_MAX = 8
"""Of a message in parts so many are looked at: images weigh megabytes, and what is said stands among the first."""


def beginning(customer: str, messages: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a digest of what stays the same as a conversation goes on: all up to the first words of its user."""
    return _begun(customer, messages)[0]


def beginning_answered(customer: str, messages: Sequence[Mapping[str, Any]]) -> tuple[bytes, bytes]:
    """Return that digest, and one that holds what came after it, too: the first answer, which tells talks apart."""
    first, digest, at = _begun(customer, messages)
    for message in messages[at : at + 1]:
        _add(digest, message)
    return first, digest.digest()


def _begun(customer: str, messages: Sequence[Mapping[str, Any]]) -> tuple[bytes, Any, int]:
    digest = blake2b(customer.encode(), digest_size=16)
    at = 0
    for at, message in enumerate(messages, start=1):  # noqa: B007 -- where it ended
        _add(digest, message)
        if message.get("role") == "user":
            break
    return digest.digest(), digest, at


def _add(digest: Any, message: Mapping[str, Any]) -> None:
    content = message.get("content")
    if isinstance(content, str):
        said = content[:HEAD_CHARS]
    elif isinstance(content, list):
        texts = [each.get("text") for each in content[:PARTS_MAX] if isinstance(each, dict)]
        said = "|".join(text[:HEAD_CHARS] for text in texts if isinstance(text, str))
    else:
        said = ""
    if not said:  # tools are called, or an item has no role: what tells them apart is their id
        said = f"{message.get('call_id') or message.get('id') or message.get('tool_calls') or ''!s:.{HEAD_CHARS}}"
    digest.update(f"|{message.get('role')}|{said}".encode("utf-8", "replace"))


def ordered(found: Sequence[Deployment], key: bytes) -> list[Deployment]:
    """Return a tier's deployments as one conversation tries them; in the list's order where none states a weight."""
    if all(each.weight is None for each in found):
        return list(found)
    return sorted(found, key=lambda each: _rank(each, key))


def _rank(deployment: Deployment, key: bytes) -> float:
    weight = 1 if deployment.weight is None else deployment.weight
    if weight == 0:
        return math.inf
    drawn = blake2b(deployment.name.encode(), digest_size=7, key=key).digest()
    share = (int.from_bytes(drawn, "big") + 1) / (256**7 + 1)
    return -math.log(share) / weight
