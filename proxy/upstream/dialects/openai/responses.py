"""OpenAI's Responses API, for callers who speak it: the second of the two formats that the dialect `openai` has.

Same family on both sides: the request is re-serialised field for field, answer bytes pass untouched. Read are only
usage, the response's id and, in streams, the end and the events' numbers. Source: OpenAI's API reference, "The response
object" and "Streaming events".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from margin.usage import Usage, UsageError
from proxy.settings import Deployment
from proxy.upstream.dialects import foreign, signatures
from proxy.upstream.dialects.dialect import Answered
from proxy.wire import lenient, sse
from proxy.wire.errors import ProxyError, UpstreamBroke
from proxy.wire.responses import ResponsesRequest
from proxy.wire.responses_pieces import error_event

PATH: Final = "/responses"
"""What is appended to a provider's base URL."""

_ENDS: Final = frozenset({"response.completed", "response.incomplete"})
_FAILURES: Final = frozenset({"response.failed", "error"})
_MARKS: Final = (
    b'"response.created"', b'"response.completed"', b'"response.incomplete"', b'"response.failed"', b'"error"',
    b"[DONE]",
)  # fmt: skip
"""What an event that matters to the books holds; in quotes, as inside a string the quotes would be escaped."""
_DELTA: Final = b'"delta":"'
_NUMBER: Final = b'"sequence_number":'


def request_path(deployment: Deployment, *, stream: bool) -> str:
    """Return what is appended to a provider's base URL."""
    return PATH


def uncarried(ask: ResponsesRequest, deployment: Deployment) -> str | None:
    """Name the conversation that lies with another provider; of fields each provider knows best what it takes."""
    before = ask.before
    elsewhere = before is not None and before.provider not in (None, deployment.provider.name)
    return "previous_response_id" if elsewhere else None


def request_body(ask: ResponsesRequest, deployment: Deployment) -> bytes:
    """Serialise what was judged, field for field; without signatures of another provider inside the ids of calls."""
    body = ask.body_for(deployment.model)
    if signatures.MARK_BYTES not in body:
        return body
    items, before = [_bare(item) for item in ask.items], ask.before
    changed = ask._replace(
        fields={**ask.fields, "input": items},
        items=items,
        before=None if before is None else before._replace(items=[_bare(item) for item in before.items]),
    )
    return changed.body_for(deployment.model)


def _bare(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item whose call is named without what its id carries."""
    named = isinstance(item.get("call_id"), str)
    return {**item, "call_id": signatures.bare(item["call_id"])} if named else dict(item)


def read_usage(reported: Any) -> Usage | None:
    """Return disjoint buckets from a response's usage; None when there is none.

    What was written to the prompt cache for twelve hours is the longer of our two lifetimes.

    Raises:
        UsageError: the numbers contradict each other or are no counts.
    """
    if not isinstance(reported, dict) or reported.get("input_tokens") is None:
        return None
    inside, outside = foreign.inner(reported, "input_tokens_details"), foreign.inner(reported, "output_tokens_details")
    written, long = foreign.count(inside, "cache_write_tokens"), 0
    if "cache_write_tokens_details" in inside:
        long = foreign.count(foreign.inner(inside, "cache_write_tokens_details"), "ttl_12h_tokens")
    if type(written) is not int or type(long) is not int:
        raise UsageError("cache_write_tokens is no count")
    total_in, reasoning = reported["input_tokens"], foreign.count(outside, "reasoning_tokens")
    return Usage.nested(
        input_total=total_in,
        cache_read=foreign.count(inside, "cached_tokens"),
        cache_write_5m=written - long,
        cache_write_1h=long,
        audio_in=foreign.count(inside, "audio_tokens"),
        output_total=foreign.output_total(reported, total_in, foreign.count(reported, "output_tokens"), reasoning),
        reasoning=reasoning,
        audio_out=foreign.count(outside, "audio_tokens"),
    )


def read_answer(body: bytes, ask: ResponsesRequest) -> Answered:
    """Return a plain answer's id, its usage, and its own bytes. Usage that contradicts itself counts as none.

    Raises:
        UpstreamBroke: not an answer, or one that failed.
    """
    try:
        answer = lenient.loads(body)
    except (ValueError, RecursionError):
        raise UpstreamBroke("The provider's answer is not JSON.") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("output"), list):
        raise UpstreamBroke("The provider's answer has no output.")
    if answer.get("status") == "failed":
        raise UpstreamBroke("The provider's answer says that it failed.")
    return foreign.text(answer.get("id")), _usage_of(answer), body


def _usage_of(response: Mapping[str, Any]) -> Usage | None:
    """Return what was used, at the service tier that the response names."""
    try:
        usage = foreign.tiered(read_usage(response.get("usage")), response.get("service_tier"))
    except UsageError:
        return None
    items = response.get("output")
    ran = (item.get("type") for item in items if isinstance(item, dict)) if isinstance(items, list) else ()
    return foreign.with_fees(usage) if any(str(kind).endswith("_call") and kind not in _FREE for kind in ran) else usage


_FREE: Final = frozenset(
    {"function_call", "custom_tool_call", "computer_call", "local_shell_call", "apply_patch_call", "mcp_call"}
)
"""Calls that the caller answers, or that cost tokens alone; OpenAI bills others by use (its page "Pricing")."""


class ResponseStream:
    """Watches the events of a response go by: relays their bytes, and decodes only those that matter to the books.

    The last event, which has the usage, is held back: the exchange sends it after it has settled.

    Attributes:
        call_id: The response's id, once it was seen.
        usage: What was used, once the last event said so.
        finished: The last event was seen.
        error: The provider reported an error.
        deltas: Pieces of text relayed.
        number: The number that the next event has.
    """

    __slots__ = ("_ending", "_framer", "call_id", "deltas", "failure", "finished", "number", "text_bytes", "usage")

    def __init__(self) -> None:
        self._framer = sse.Framer()
        self.call_id: str | None = None
        self.usage: Usage | None = None
        self.finished = False
        self.failure: ProxyError | None = None
        self.deltas = self.text_bytes = self.number = 0
        self._ending = b""

    @property
    def error(self) -> bool:
        """Whether the provider reported an error inside the stream."""
        return self.failure is not None

    def feed(self, data: bytes) -> bytes:
        """Return what may go to the caller of what just arrived."""
        block = self._framer.feed(data)
        if not block:
            return b""
        if any(mark in block for mark in _MARKS):
            block = self._read_events(block)
        self._count(block)
        return block

    def end(self) -> bytes:
        """Return the last event, which was held back."""
        return self._ending

    def fault(self, error: ProxyError) -> bytes:
        """Return the event that stands in its place."""
        return error_event(error.code, error.message, error.param, self.number)

    @property
    def output_estimate(self) -> int:
        """About how many tokens were relayed: one per piece of text, or by size where pieces are larger."""
        return max(self.deltas, self.text_bytes // 4)

    def _count(self, block: bytes) -> None:
        many, size = foreign.texts_in(block, (_DELTA,))
        self.deltas += many
        self.text_bytes += size
        at = block.rfind(_NUMBER)
        digits = block[at + len(_NUMBER) : at + len(_NUMBER) + 20].lstrip() if at >= 0 else b""
        found = digits[: len(digits) - len(digits.lstrip(b"0123456789"))]
        if found:
            self.number = int(found) + 1

    def _read_events(self, block: bytes) -> bytes:
        kept = []
        for event in sse.events(block):
            if not any(mark in event for mark in _MARKS) or self._keeps(event):
                kept.append(event)
            if self.finished or self.error:
                break  # what follows the end is nobody's
        return b"".join(kept)

    def _keeps(self, event: bytes) -> bool:
        """Read one event; tell whether it goes to the caller as it comes."""
        data = sse.payload(event)
        if data is None or data.strip() == sse.DONE:
            return data is None
        try:
            found = lenient.loads(data)
        except (ValueError, RecursionError):
            return True  # bytes that we need not understand pass through
        if not isinstance(found, dict):
            return True
        kind, response = found.get("type"), found.get("response")
        if isinstance(response, dict):
            self.call_id = self.call_id or foreign.text(response.get("id"))
            self.usage = _usage_of(response) or self.usage
        if kind in _ENDS:
            self.finished, self._ending = True, event
        elif kind in _FAILURES or (kind is None and found.get("error") is not None):
            self.failure = foreign.in_band(found)
        return not self.finished and not self.error


def stream(ask: ResponsesRequest) -> ResponseStream:
    """Return what watches the stream of an answer to this request."""
    return ResponseStream()
