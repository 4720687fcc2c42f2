"""Which conversation a request belongs to: as its caller names it, or by how it begins. Pure.

A name is the caller's word, and only within its customer: keys of two customers never meet, as each customer's
conversations are kept apart (`pins`). What may name one, in this order: the header `x-penstock-session`; `session_id`
or `conversation_id` in the request's `metadata`; the session in the `metadata.user_id` of Claude Code; the response
that a request goes on with, where its provider has the conversation. `prompt_cache_key` is shared by requests that
begin alike (OpenAI, Prompt caching), often by a whole application: it names one together with its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple

from proxy.routing.spread import beginning, beginning_answered
from proxy.wire.ask import Ask

HEADER: Final = b"x-penstock-session"
IN_METADATA: Final = ("session_id", "conversation_id")
CLAUDE_CODE: Final = "_session_"
"""`user_…_account_…_session_<uuid>` is what Claude Code sends, the one field of Anthropic's metadata."""
ROLES_OF_OURS: Final = frozenset({"assistant", "model"})

By = Literal["header", "body", "response", "prefix"]


class Named(NamedTuple):
    """A conversation: who named it, where it is kept, and where its first turn was kept before it had an answer."""

    by: By
    key: bytes
    before: bytes | None = None


def named(customer: str, headers: Mapping[bytes, bytes], ask: Ask) -> Named | None:
    """Return the conversation that a request is a turn of; None of one that only begins, and that nobody named."""
    said = headers.get(HEADER)
    if said:
        return Named("header", _digest(b"header", said))
    name = _in_body(ask.fields)
    if name is not None:
        return Named("body", _digest(b"body", name.encode("utf-8", "replace")))
    gone_on = ask.fields.get("previous_response_id")
    if isinstance(gone_on, str) and gone_on and not has_answer(ask.messages):
        return Named("response", of_response(gone_on))
    shared = ask.fields.get("prompt_cache_key")
    if isinstance(shared, str) and shared:
        begins = beginning(customer, ask.messages)
        return Named("body", _digest(b"cache", shared.encode("utf-8", "replace") + begins))
    if not has_answer(ask.messages):
        return None
    before, key = beginning_answered(customer, ask.messages)
    return Named("prefix", key, before)


def of_response(identity: str) -> bytes:
    """Return where the conversation is kept that ends with a response."""
    return _digest(b"response", identity.encode("utf-8", "replace"))


def has_answer(messages: list[dict[str, Any]]) -> bool:
    """Tell whether anything in a conversation was said by a model: else it only begins."""
    if len(messages) == 1:
        return False
    return any(
        message.get("role") in ROLES_OF_OURS or message.get("type") in {"function_call", "reasoning"}
        for message in messages
    )


def answers(messages: list[dict[str, Any]]) -> int:
    """Return how many turns a conversation has had, as its messages tell."""
    return sum(message.get("role") in ROLES_OF_OURS for message in messages)


def _in_body(fields: Mapping[str, Any]) -> str | None:
    metadata = fields.get("metadata")
    if not isinstance(metadata, dict):
        return None
    for name in IN_METADATA:
        found = metadata.get(name)
        if isinstance(found, str) and found:
            return found
    user = metadata.get("user_id")
    return user if isinstance(user, str) and CLAUDE_CODE in user else None


def _digest(kind: bytes, said: bytes) -> bytes:
    return blake2b(said, digest_size=16, person=kind).digest()
