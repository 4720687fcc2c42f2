"""Values out of a provider's mouth, cut to what we keep or pass on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from margin.usage import Usage, UsageError
from proxy.wire.errors import ProxyError, Refused, UpstreamBroke, UpstreamBusy, UpstreamFailed

WORD_MAX: Final = 256
"""Characters of an id, a code or a field's name: providers' have some tens."""
MESSAGE_MAX: Final = 2_000
"""Characters of an error message that are passed on: longer ones repeat the request."""
STANDARD_TIERS: Final = frozenset({"default", "standard", "auto"})
"""What providers call the service tier that their price list is of, and no decision yet about one."""
OUR_STATUSES: Final = frozenset({401, 402, 403, 404})
"""What providers say of our key, our account and our configuration."""
_BACKSLASH: Final = ord("\\")
_DIGITS_MAX: Final = 5  # of seconds: over a day is no time to wait for


def text(value: Any, length_max: int = WORD_MAX) -> str | None:
    """Return a text, cut, with a mark for what UTF-8 cannot say: it goes to the books; None when it is none."""
    if not isinstance(value, str):
        return None
    found = value[:length_max]
    return found if found.isascii() else found.encode("utf-8", "replace").decode()


def tiered(usage: Usage | None, service_tier: Any) -> Usage | None:
    """Return usage with the service tier that the provider says it served in, if that is not its standard one."""
    found = text(service_tier)
    if usage is None or found is None or found in STANDARD_TIERS:
        return usage
    return usage._replace(service_tier=found)


def with_fees(usage: Usage | None) -> Usage | None:
    """Return usage as what is known of a bill that has fees, too, for tools that the provider ran: an estimate.

    What is booked by it is the least that it may be, and stays marked until the provider's bill says more.
    """
    return None if usage is None else usage._replace(source="estimated")


def failed(status: int, retry_after: bytes | None, *, is_ours: bool | None = None) -> UpstreamFailed:
    """Return our error for a refusal that is not about the request.

    `is_ours`: whether it speaks of our key, our account or our configuration, as wrong at the next try; told by
    its status where nothing better is known.
    """
    error = UpstreamFailed(f"The provider answered with status {status}.")
    error.retry_after_s = seconds(retry_after)
    if status in OUR_STATUSES if is_ours is None else is_ours:
        error.should_retry = False
    return error


_OF_THE_REQUEST: Final = frozenset({
    "invalid_request_error", "invalid_prompt", "context_length_exceeded", "content_policy_violation", "content_filter",
    "request_too_large", "INVALID_ARGUMENT",
})  # fmt: skip
_OF_THE_HOUR: Final = frozenset({
    "rate_limit_error", "rate_limit_exceeded", "overloaded_error", "server_overloaded", "slow_down",
    "RESOURCE_EXHAUSTED", "UNAVAILABLE",
})  # fmt: skip
"""Words by which providers say in a stream whose fault its end is; all others are theirs. Source: the error codes of
OpenAI (chat and Responses), Anthropic and Gemini."""


def in_band(event: Any) -> ProxyError:
    """Return our error for one that a provider reports inside a stream, after it answered 200.

    Args:
        event: The event's object: with the error in `error`, in `response.error`, or being it.
    """
    outer = event if isinstance(event, dict) else {}
    found = inner(outer, "error") or inner(inner(outer, "response"), "error")
    if not found and outer.get("type") == "error":
        found = outer
    words = {text(found.get(name)) for name in ("type", "code", "status")}
    if words & _OF_THE_REQUEST:
        message = text(found.get("message"), MESSAGE_MAX) or "The provider refused the request."
        return Refused(400, message, param=text(found.get("param")), code=text(found.get("code")))
    if words & _OF_THE_HOUR:
        return UpstreamBusy("The provider is over its rate limit or overloaded, and ended the stream.")
    return UpstreamBroke("The provider's stream ended with an error or before its end.")


def seconds(retry_after: bytes | None) -> int | None:
    """Return a `retry-after` header in seconds; None when there is none, or a date."""
    if retry_after is None or not retry_after.isdigit() or len(retry_after) > _DIGITS_MAX:
        return None
    return int(retry_after)


def inner(reported: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object inside another; an empty one where there is none."""
    found = reported.get(name)
    return found if isinstance(found, dict) else {}


def count(details: Mapping[str, Any], name: str) -> Any:
    """Return what is counted apart; 0 where it is absent or null, as it is inside the total then.

    Whether it is a count at all, the usage itself checks.
    """
    found = details.get(name)
    return 0 if found is None else found


def output_total(reported: Mapping[str, Any], total_in: Any, total_out: Any, reasoning: Any) -> Any:
    """Return the output with what was thought, by the total of both: xAI counts that beside it, OpenAI inside.

    Raises:
        UsageError: the total is another sum: somebody left out of a count what the total has (what was cached, say).
    """
    total = reported.get("total_tokens")
    try:
        beyond = 0 if total is None else total - total_in - total_out
    except TypeError:
        raise UsageError(f"total_tokens is {total!r:.40}, no count, or its parts are none") from None
    if not beyond:
        return total_out
    if beyond != reasoning:
        raise UsageError(f"total_tokens is {total}, but its parts are {total_in} and {total_out}")
    return total_out + beyond


def texts_in(block: bytes, marks: Iterable[bytes]) -> tuple[int, int]:
    """Return how many JSON strings follow these marks in whole events, and their bytes, without decoding them."""
    many = size = 0
    for mark in marks:
        for piece in block.split(mark)[1:]:
            end = piece.find(b'"')
            while end > 0 and piece[end - 1] == _BACKSLASH:
                end = piece.find(b'"', end + 1)
            if end > 0:
                many += 1
                size += end
    return many, size
