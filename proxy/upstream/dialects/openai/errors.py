"""What OpenAI and everything compatible say when they refuse → our errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.upstream.dialects import foreign
from proxy.wire.errors import ProxyError, Refused, UpstreamBusy, UpstreamFailed

_CALLER_STATUSES = frozenset({400, 409, 413, 415, 422})
"""What a provider says of the request itself."""
_OUR_STATUSES = frozenset({401, 403, 404})
"""What it says of our key and our configuration."""


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
    failed = UpstreamFailed(f"The provider answered with status {status}.")
    failed.retry_after_s = foreign.seconds(retry_after)
    if status in _OUR_STATUSES:
        failed.should_retry = False  # the same key and the same name fail the same way
    return failed


def _error_fields(body: bytes) -> Mapping[str, Any]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    found = answer.get("error") if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else {}
