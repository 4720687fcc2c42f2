"""What Gemini signs its tool calls with, carried inside their ids: the one thing that every client gives back.

Gemini refuses a conversation whose calls come back without their signature. No other API has a field for it, and
clients drop what they do not know; so the id that the caller sees is `ID__sig_REST`, and REST has the signature and
whose it is. Other providers take no such long ids (OpenAI's end at 40 characters): to them goes what stands before the
mark. See docs/adr/0028.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

MARK: Final = "__sig_"
MARK_BYTES: Final = MARK.encode()
"""To be looked for in a body whose messages are not a chat's: without it no id in there is signed."""


class Signature(NamedTuple):
    """A signature, and the version of the model that made it: others do not take it."""

    model: str
    text: str


def sealed(call_id: str, signature: Signature) -> str:
    """Return an id that carries a signature. It consists of letters, digits, `-` and `_`, if the id does."""
    packed = f"{signature.model}\n{signature.text}".encode("utf-8", "surrogatepass")
    return f"{call_id}{MARK}{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def bare(call_id: str) -> str:
    """Return the id without what it carries."""
    return call_id.partition(MARK)[0] or call_id


def signature_in(call_id: str) -> Signature | None:
    """Return what an id carries; None when that is nothing, or nothing of ours."""
    packed = call_id.partition(MARK)[2]
    try:
        raw = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        model, line_feed, text = raw.decode("utf-8", "surrogatepass").partition("\n")
    except (binascii.Error, ValueError):
        return None
    return Signature(model, text) if line_feed else None


def are_in(messages: list[dict[str, Any]]) -> bool:
    """Tell whether any id in chat messages is signed; a look at the keys where no tool was called."""
    for message in messages:  # noqa: SIM110 -- a generator would cost each request three times as much
        if "tool_calls" in message and _is_signed(message["tool_calls"]):
            return True
    return False


def _is_signed(calls: Any) -> bool:
    listed = calls if isinstance(calls, list) else []
    return any(isinstance(call, Mapping) and MARK in str(call.get("id")) for call in listed)


def unsigned(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return chat messages with bare ids, for a provider that did not sign them."""
    return [_unsigned(message) for message in messages]


def _unsigned(message: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if isinstance(message.get("tool_call_id"), str):
        changed["tool_call_id"] = bare(message["tool_call_id"])
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        changed["tool_calls"] = [_unsigned_call(call) for call in calls]
    return message | changed


def _unsigned_call(call: Any) -> Any:
    if not isinstance(call, Mapping) or not isinstance(call.get("id"), str):
        return call
    return {**call, "id": bare(call["id"])}
