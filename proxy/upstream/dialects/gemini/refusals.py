"""Google's error bodies → our errors, field by field.

Their shape: `{"error": {"code", "message", "status", "details": [{"@type", …}]}}`; some endpoints put it into a list.
Source: Google's page "Troubleshooting", and the types of `google.rpc` that it sends as details.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any, Final

from proxy.upstream.dialects import foreign
from proxy.wire import lenient
from proxy.wire.errors import ProxyError, Refused, UpstreamBusy

_CALLER_STATUSES: Final = frozenset({400, 409, 413, 415, 422})
"""What is said of the request itself. 401 to 404 speak of our key, our account and our configuration."""
_OURS: Final = frozenset({"FAILED_PRECONDITION", "UNAUTHENTICATED", "PERMISSION_DENIED"})
"""What 400 may say of our account: no billing, a place that is not served."""
_KEY: Final = re.compile("API.?KEY", re.IGNORECASE)
_DELAY: Final = re.compile(r"(\d{1,5}(?:\.\d{1,9})?)s")

_TOO_LONG: Final = ("exceeds the maximum number of tokens", "input token count")
_FIELDS: Final[Mapping[str, str]] = {
    "contents": "messages", "systeminstruction": "messages", "tools": "tools", "toolconfig": "tool_choice",
    "maxoutputtokens": "max_tokens", "stopsequences": "stop", "temperature": "temperature", "topp": "top_p",
    "thinkingconfig": "reasoning_effort", "thinkinglevel": "reasoning_effort", "thinkingbudget": "reasoning_effort",
    "responsejsonschema": "response_format", "responseschema": "response_format", "responsemimetype": "response_format",
    "model": "model",
}  # fmt: skip
"""Its fields, without `_` and in lower case, and the caller's they were written from."""


def read_error(status: int, body: bytes, retry_after: bytes | None) -> ProxyError:
    """Return our error for a provider's refusal."""
    fields = _fields(body)
    if status in _CALLER_STATUSES and not _is_ours(fields):
        message = foreign.text(fields.get("message"), foreign.MESSAGE_MAX) or "The provider refused the request."
        code = "context_length_exceeded" if any(words in message for words in _TOO_LONG) else None
        return Refused(status, message, param=_param(fields), code=code)
    if status in {429, 503}:
        why = "is over its rate limit" if status == 429 else "is overloaded"
        busy = UpstreamBusy(f"The provider {why}.")
        told = _retry_s(fields)
        busy.retry_after_s = foreign.seconds(retry_after) if told is None else told
        return busy
    return foreign.failed(status, retry_after, is_ours=True if _is_ours(fields) else None)


def _fields(body: bytes) -> Mapping[str, Any]:
    try:
        answer = lenient.loads(body)
    except (ValueError, RecursionError):
        return {}
    first = answer[0] if isinstance(answer, list) and answer else answer
    found = first.get("error") if isinstance(first, dict) else None
    return found if isinstance(found, dict) else {}


def _details(fields: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    listed = fields.get("details")
    for detail in listed if isinstance(listed, list) else ():
        if isinstance(detail, dict) and str(detail.get("@type")).endswith(f"google.rpc.{kind}"):
            yield detail


def _is_ours(fields: Mapping[str, Any]) -> bool:
    """Whether a refusal speaks of our key or our account: Google says 400 of a key that is not valid."""
    reasons = (str(detail.get("reason")) for detail in _details(fields, "ErrorInfo"))
    return fields.get("status") in _OURS or any(_KEY.search(reason) for reason in reasons)


def _retry_s(fields: Mapping[str, Any]) -> int | None:
    """Return the seconds to wait, rounded up."""
    for detail in _details(fields, "RetryInfo"):
        delay = _DELAY.fullmatch(str(detail.get("retryDelay")))
        if delay is not None:
            return ceil(float(delay[1]))
    return None


def _param(fields: Mapping[str, Any]) -> str | None:
    """Return the caller's field that the first violation is of. Indices are not the caller's, so they are left out."""
    for detail in _details(fields, "BadRequest"):
        violations = detail.get("fieldViolations")
        for violation in violations if isinstance(violations, list) else ():
            place = foreign.text(violation.get("field")) if isinstance(violation, dict) else None
            names = re.findall(r"[a-z]+", (place or "").replace("_", "").lower())
            found = next((_FIELDS[name] for name in names if name in _FIELDS), None)
            if found is not None:
                return found
    return None
