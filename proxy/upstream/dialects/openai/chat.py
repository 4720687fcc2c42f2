"""OpenAI's wire format, and everything compatible with it.

Same family on both sides: the request is re-serialised field for field, answer bytes pass untouched. Read are only
usage, the service tier, the call's id and, in streams, the end. Source of the fields: OpenAI's API reference, "The chat
completion object".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from margin.usage import Usage, UsageError
from proxy.settings import Deployment
from proxy.upstream.dialects import foreign, signatures
from proxy.upstream.dialects.dialect import Answered
from proxy.wire import chat_pieces, lenient, sse
from proxy.wire.ask import Ask
from proxy.wire.chat import ChatRequest
from proxy.wire.errors import ProxyError, UpstreamBroke


def request_path(deployment: Deployment, *, stream: bool) -> str:
    """Return what is appended to a provider's base URL."""
    return "/chat/completions"


def uncarried(ask: ChatRequest, deployment: Deployment) -> str | None:
    """Return None: each provider knows best which of its own fields it takes."""
    return None


def request_body(ask: ChatRequest, deployment: Deployment) -> bytes:
    """Serialise what was judged, field for field; a stream is asked to report its usage.

    The one thing that does not pass are signatures of another provider inside the ids of tool calls.
    """
    if signatures.are_in(ask.messages):
        ask = ask._replace(fields={**ask.fields, "messages": signatures.unsigned(ask.messages)})
    return ask.body_for(deployment.model)


def read_usage(reported: Any) -> Usage | None:
    """Return disjoint buckets from a usage object; None when there is none.

    Raises:
        UsageError: the numbers contradict each other or are no counts.
    """
    if not isinstance(reported, dict):
        return None
    total_in, total_out = reported.get("prompt_tokens"), reported.get("completion_tokens", 0)
    if total_in is None:
        return None
    inside, outside = (
        foreign.inner(reported, "prompt_tokens_details"),
        foreign.inner(reported, "completion_tokens_details"),
    )
    reasoning = foreign.count(outside, "reasoning_tokens")
    return Usage.nested(
        input_total=total_in,
        cache_read=foreign.count(inside, "cached_tokens"),
        cache_write_5m=foreign.count(inside, "cache_write_tokens"),
        audio_in=foreign.count(inside, "audio_tokens"),
        output_total=foreign.output_total(reported, total_in, total_out, reasoning),
        reasoning=reasoning,
        audio_out=foreign.count(outside, "audio_tokens"),
    )


def read_answer(body: bytes, ask: Ask) -> Answered:
    """Return a plain answer's call id, its usage, and its own bytes. Usage that contradicts itself counts as none.

    Raises:
        UpstreamBroke: not an answer.
    """
    try:
        answer = lenient.loads(body)
    except (ValueError, RecursionError):
        raise UpstreamBroke("The provider's answer is not JSON.") from None
    if not isinstance(answer, dict) or "choices" not in answer:
        raise UpstreamBroke("The provider's answer has no choices.")
    try:
        usage = read_usage(answer.get("usage"))
    except UsageError:
        usage = None
    usage = foreign.tiered(usage, answer.get("service_tier"))
    return foreign.text(answer.get("id")), foreign.with_fees(usage) if searches(ask) else usage, body


def searches(ask: Ask) -> bool:
    """Tell whether the provider searches the web for an answer, which it bills beside the tokens."""
    return ask.fields.get("web_search_options") is not None


_MARKS = (b'"usage"', b"[DONE]", b'"error"')
"""What an event that matters to the books holds; in quotes, as inside a string the quotes would be escaped."""


class ChatStream:
    """Watches a chat stream go by: relays its bytes, and decodes only the events that matter to the books.

    A caller who did not ask for usage gets neither the usage chunk nor the `"usage":null` that asking for it adds.
    `"usage"` in quotes cannot stand inside a JSON string (the quotes would be escaped), so a search for it is exact.
    """

    __slots__ = (
        "_asked",
        "_framer",
        "_searches",
        "_tier",
        "call_id",
        "deltas",
        "failure",
        "finished",
        "text_bytes",
        "usage",
        "usage_error",
    )
    TEXT_MARKS: ClassVar[tuple[bytes, ...]] = (b'"content":"', b'"arguments":"', b'"reasoning_content":"')
    """What the text of a delta follows, as providers write it: without spaces."""

    def __init__(self, *, usage_asked: bool, searches: bool = False) -> None:
        self._asked, self._searches = usage_asked, searches
        self._framer = sse.Framer()
        self._tier: Any = None
        """The service tier by the stream's first chunks; its last one may say so again."""
        self.call_id: str | None = None
        self.usage: Usage | None = None
        self.usage_error: UsageError | None = None
        self.finished = False
        """Whether the provider's `[DONE]` was seen: only then is the answer whole."""
        self.failure: ProxyError | None = None
        """Our error for one that the provider reported inside the stream."""
        self.deltas = 0
        """Pieces of text relayed: providers send about one token in each."""
        self.text_bytes = 0

    @property
    def error(self) -> bool:
        """Whether the provider reported an error inside the stream."""
        return self.failure is not None

    def end(self) -> bytes:
        """Return the end that was held back."""
        return chat_pieces.END

    def fault(self, error: ProxyError) -> bytes:
        """Return the event that says that the stream breaks off here."""
        return chat_pieces.fault(error)

    def feed(self, data: bytes) -> bytes:
        """Return what may go to the caller of what just arrived; `[DONE]` is held back for the exchange to send."""
        block = self._framer.feed(data)
        if not block:
            return b""
        if self.call_id is None:
            self._read_first(block)
        if not self._asked and b'"usage":null' in block:
            block = block.replace(b',"usage":null', b"")
        if b'"usage"' in block or b"[DONE]" in block or b'"error"' in block:
            block = self._read_events(block)
        self._count(block)
        return block

    @property
    def output_estimate(self) -> int:
        """About how many tokens were relayed: one per piece of text, or by size where pieces are larger."""
        return max(self.deltas, self.text_bytes // 4)

    def _count(self, block: bytes) -> None:
        """Count the text in whole events, without decoding them."""
        many, size = foreign.texts_in(block, self.TEXT_MARKS)
        self.deltas += many
        self.text_bytes += size

    def _read_first(self, block: bytes) -> None:
        # Not always the first event: comments and frames that we cannot read may come before it.
        found = (_object(event) for event in sse.events(block))
        first = next((each for each in found if each is not None and "id" in each), None)
        if first is not None:
            self.call_id, self._tier = foreign.text(first["id"]), first.get("service_tier")

    def _read_events(self, block: bytes) -> bytes:
        # A burst brings many events in one block, and its last ones matter: only those are cut apart and decoded.
        start = block.rfind(b"\n\n", 0, _first_mark(block)) + 2
        start = start if start > 1 else 0
        kept = [block[:start]]
        for event in sse.events(block[start:]):
            if not _matters(event) or self._keeps(event):
                kept.append(event)
            if self.error:
                break  # what follows it is nobody's
        return b"".join(kept)

    def _keeps(self, event: bytes) -> bool:
        """Read one event; tell whether it goes to the caller as it is."""
        data = sse.payload(event)
        if data is not None and data.strip() == sse.DONE:
            self.finished = True
            return False
        found = _object(event)
        if found is None:
            return True
        if found.get("error") is not None:
            self.failure = foreign.in_band(found)
            return False
        return self._keeps_usage(found)

    def _keeps_usage(self, found: Mapping[str, Any]) -> bool:
        reported = found.get("usage")
        if reported is None:
            return True
        try:
            usage = foreign.tiered(read_usage(reported), found.get("service_tier") or self._tier)
            self.usage = foreign.with_fees(usage) if self._searches else usage
        except UsageError as error:
            self.usage_error = error
        return self._asked or bool(found.get("choices"))


def stream(ask: ChatRequest) -> ChatStream:
    """Return what watches the stream of an answer to this request."""
    return ChatStream(usage_asked=ask.include_usage, searches=searches(ask))


def _first_mark(block: bytes) -> int:
    """Return where the first thing stands that may matter to the books."""
    return min((at for mark in _MARKS if (at := block.find(mark)) >= 0), default=0)


def _matters(event: bytes) -> bool:
    """Whether an event may say something to the books, or be no text at all."""
    if b'"usage"' in event and event.count(b'"usage"') > event.count(b'"usage":null'):
        return True
    return b"[DONE]" in event or b'"error"' in event


def _object(event: bytes) -> dict[str, Any] | None:
    data = sse.payload(event)
    if data is None:
        return None
    try:
        found = lenient.loads(data)
    except (ValueError, RecursionError):  # bytes that nobody understands pass through
        return None
    return found if isinstance(found, dict) else None
