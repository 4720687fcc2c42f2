"""What OpenAI and everything compatible say when they refuse → our errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.upstream.dialects import foreign
from proxy.wire import lenient
from proxy.wire.errors import ProxyError, Refused, UpstreamBusy

_CALLER_STATUSES = frozenset({400, 409, 413, 415, 422})
"""What a provider says of the request itself."""


def read_error(status: int, body: bytes, retry_after: bytes | None) -> ProxyError:
    """Return our error for a provider's refusal. Only its error object's own fields are passed on, bounded."""
    if status in _CALLER_STATUSES:
        fields = _error_fields(body)
        message = foreign.text(fields.get("message"), foreign.MESSAGE_MAX) or "The provider refused the request."
        return Refused(status, message, param=foreign.text(fields.get("param")), code=foreign.text(fields.get("code")))
    if status == 429:
        busy = UpstreamBusy("The provider is over its rate limit.")
        busy.retry_after_s = foreign.seconds(retry_after)
        return busy
    return foreign.failed(status, retry_after)


def _error_fields(body: bytes) -> Mapping[str, Any]:
    try:
        answer = lenient.loads(body)
    except (ValueError, RecursionError):
        return {}
    found = answer.get("error") if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else {}
