"""Anthropic's Messages API for callers who speak it: answer bytes pass untouched, and the books read what they need.

Read are the message's start and its last delta (usage), its end, and errors; the end and errors are the exchange's to
say, after it settled. In quotes their names cannot stand inside a JSON string, where the quotes would be escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from margin.usage import Usage, UsageError
from proxy.settings import Deployment
from proxy.upstream.dialects import foreign, signatures
from proxy.upstream.dialects.anthropic.counts import merged, read_usage
from proxy.upstream.dialects.dialect import Answered
from proxy.wire import lenient, messages_pieces, sse
from proxy.wire.errors import ProxyError, UpstreamBroke
from proxy.wire.messages import MessagesRequest

_MARKS: Final = (b'"message_start"', b'"message_delta"', b'"message_stop"', b'"error"')
_TEXT_MARKS: Final = (b'"text":"', b'"partial_json":"', b'"thinking":"')
_THINKING: Final = b'"thinking":"'
"""How a block of thinking says what was thought, as we serialise it."""


def request_path(deployment: Deployment, *, stream: bool) -> str:
    """Return what is appended to a provider's base URL."""
    return "/v1/messages"


def uncarried(ask: MessagesRequest, deployment: Deployment) -> str | None:
    """Return None: each provider knows best which of its own fields it takes."""
    return None


def request_body(ask: MessagesRequest, deployment: Deployment) -> bytes:
    """Serialise what was judged, field for field, but for what another provider made in the same conversation.

    That is its signatures inside the ids of calls, and its thinking: Anthropic refuses what it has not signed itself.
    """
    body = ask.body_for(deployment.model)
    if signatures.MARK_BYTES not in body and _THINKING not in body:
        return body
    messages = [{**each, "content": _unsigned(each["content"])} for each in ask.fields["messages"]]
    said = [each for each in messages if each["content"] or each["role"] != "assistant"]
    return ask._replace(fields={**ask.fields, "messages": said}).body_for(deployment.model)


def _unsigned(content: Any) -> Any:
    if isinstance(content, str):
        return content
    return [
        block
        | {name: signatures.bare(block[name]) for name in ("id", "tool_use_id") if isinstance(block.get(name), str)}
        for block in content
        if block.get("type") != "thinking" or block.get("signature")
    ]


def read_answer(body: bytes, ask: MessagesRequest) -> Answered:
    """Return a plain answer's id, its usage, and its own bytes. Usage that contradicts itself counts as none.

    Raises:
        UpstreamBroke: not an answer.
    """
    try:
        told = lenient.loads(body)
    except (ValueError, RecursionError):
        raise UpstreamBroke("The provider's answer is not JSON.") from None
    if not isinstance(told, dict) or not isinstance(told.get("content"), list):
        raise UpstreamBroke("The provider's answer has no content.")
    return foreign.text(told.get("id")), _usage(merged({}, told.get("usage"))), body


def _usage(reported: Mapping[str, Any]) -> Usage | None:
    try:
        return read_usage(reported)
    except UsageError:
        return None


def stream(ask: MessagesRequest) -> MessagesStream:
    """Return what watches the stream of an answer."""
    return MessagesStream()


class MessagesStream:
    """Watches a stream go by. See `proxy.upstream.dialects.dialect.Stream` for what its attributes mean."""

    __slots__ = ("_framer", "_has_ended", "_reported", "_text_bytes", "call_id", "deltas", "failure", "finished")

    def __init__(self) -> None:
        self._framer = sse.Framer()
        self._reported: dict[str, Any] = {}
        self._has_ended = False
        """Whether the last delta was seen, which has the usage of the whole."""
        self._text_bytes = 0
        self.call_id: str | None = None
        self.finished = False
        self.failure: ProxyError | None = None
        self.deltas = 0

    @property
    def error(self) -> bool:
        """Whether the provider reported an error inside the stream."""
        return self.failure is not None

    @property
    def output_estimate(self) -> int:
        """About how many tokens were relayed: one per piece of text, or by size where pieces are larger."""
        return max(self.deltas, self._text_bytes // 4)

    @property
    def usage(self) -> Usage | None:
        """What the end reported; before it, what the start did of the input, and our count of the rest."""
        if self._has_ended:
            return _usage(self._reported)
        begun = _usage(merged(self._reported, {"output_tokens": self.output_estimate}))
        return None if begun is None else begun._replace(source="estimated")

    def end(self) -> bytes:
        """Return the end that was held back."""
        return messages_pieces.END

    @staticmethod
    def fault(error: ProxyError) -> bytes:
        """Return the event that says that the stream breaks off here."""
        return messages_pieces.Events.fault(error)

    def feed(self, data: bytes) -> bytes:
        """Return what may go to the caller of what just arrived."""
        block = self._framer.feed(data)
        if any(mark in block for mark in _MARKS):
            block = b"".join(event for event in sse.events(block) if self._keeps(event))
        self._count(block)
        return block

    def _keeps(self, event: bytes) -> bool:
        """Read an event that may matter; tell whether it goes to the caller as it is."""
        if self.finished or self.error:
            return False
        found = _object(event)
        if found is None:
            return True
        match found.get("type"):
            case "message_start":
                started = found.get("message")
                if isinstance(started, dict):
                    self.call_id = foreign.text(started.get("id"))
                    self._reported = merged({}, started.get("usage"))
            case "message_delta":
                self._reported = merged(self._reported, found.get("usage"))
                self._has_ended = True
            case "message_stop":
                self.finished = True
                return False
            case "error":
                self.failure = foreign.in_band(found)
                return False
        return True

    def _count(self, block: bytes) -> None:
        """Count the text in whole events, without decoding them."""
        many, size = foreign.texts_in(block, _TEXT_MARKS)
        self.deltas += many
        self._text_bytes += size


def _object(event: bytes) -> dict[str, Any] | None:
    data = sse.payload(event)
    if data is None:
        return None
    try:
        found = lenient.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
