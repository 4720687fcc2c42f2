"""Weighted deployments: which of a tier a conversation begins with, the same one at each of its turns. Pure.

By rendezvous: each deployment draws a number from the conversation's beginning and its own name, and the weights bend
the order of the draws. A deployment that comes or goes moves its own conversations and no others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from proxy.settings import Deployment

HEAD_CHARS = 2_048
"""Of each message that counts: enough to tell conversations apart, and bounded work."""


def beginning(customer: str, messages: Sequence[dict[str, Any]]) -> bytes:
    """Return a digest of what stays the same as a conversation goes on: all up to the first words of its user."""
    digest = blake2b(customer.encode(), digest_size=16)
    for message in messages:
        digest.update(f"|{message['role']}|{message.get('content')!s:.{HEAD_CHARS}}".encode("utf-8", "replace"))
        if message["role"] == "user":
            break
    return digest.digest()


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
