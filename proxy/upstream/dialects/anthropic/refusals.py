"""Anthropic's error bodies → our errors, field by field.

Their shape: `{"type": "error", "error": {"type", "message", "details"}, "request_id"}`. Source: page "Errors".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from proxy.upstream.dialects import foreign
from proxy.wire import lenient
from proxy.wire.errors import ProxyError, Refused, UpstreamBusy

_CALLER_STATUSES: Final = frozenset({400, 409, 413, 415, 422})
"""What is said of the request itself. 401 to 404 speak of our key, our account and our configuration."""
OVERLOADED: Final = 529
"""Anthropic's own status: no capacity for anybody, whatever their limits."""

_PLACE: Final = re.compile(r"([a-z_]+)((?:\.[a-z0-9_]+)*): ")
"""Messages about a field begin with its path: `messages.0.content: …`, `output_config.effort: …`."""
_FIELDS: Final[Mapping[str, str]] = {
    "system": "messages", "messages": "messages", "max_tokens": "max_tokens", "stop_sequences": "stop",
    "temperature": "temperature", "top_p": "top_p", "tools": "tools", "tool_choice": "tool_choice",
    "metadata": "user", "thinking": "reasoning_effort", "output_config.effort": "reasoning_effort",
    "output_config.format": "response_format", "model": "model", "stream": "stream",
}  # fmt: skip
"""Its fields, and the caller's they were written from. Indices are not the caller's, so they are left out."""
_TOO_LONG: Final = ("prompt is too long", "exceed context limit", "exceeds the maximum number of tokens")


def read_error(status: int, body: bytes, retry_after: bytes | None) -> ProxyError:
    """Return our error for a provider's refusal."""
    if status in _CALLER_STATUSES:
        fields = _fields(body)
        message = foreign.text(fields.get("message"), foreign.MESSAGE_MAX) or "The provider refused the request."
        return Refused(status, message, param=_param(message), code=_code(fields, message))
    if status in {429, OVERLOADED}:
        why = "is over its rate limit" if status == 429 else "is overloaded"
        busy = UpstreamBusy(f"The provider {why}.")
        busy.retry_after_s = foreign.seconds(retry_after)
        return busy
    return foreign.failed(status, retry_after)


def _fields(body: bytes) -> Mapping[str, Any]:
    try:
        answer = lenient.loads(body)
    except (ValueError, RecursionError):
        return {}
    found = answer.get("error") if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else {}


def _param(message: str) -> str | None:
    place = _PLACE.match(message)
    if place is None:
        return None
    inner = ".".join([place[1], *place[2].split(".")[1:2]])
    return _FIELDS.get(inner, _FIELDS.get(place[1]))


def _code(fields: Mapping[str, Any], message: str) -> str | None:
    """Return the caller's word for what is wrong: a prompt that is too long has one that clients look for."""
    if any(words in message for words in _TOO_LONG):
        return "context_length_exceeded"
    details = fields.get("details")
    return foreign.text(details.get("error_code")) if isinstance(details, dict) else None
