"""What a message consists of → pieces: a whole answer's blocks, or the events of a streamed one.

Blocks of kinds that nobody here asked for (tools that the provider runs itself) are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from margin.usage import Usage, UsageError
from proxy.upstream.dialects import foreign
from proxy.upstream.dialects.anthropic.counts import merged, read_usage
from proxy.upstream.dialects.translated import Unreadable
from proxy.wire import lenient
from proxy.wire.errors import UpstreamBroke
from proxy.wire.neutral import Argued, Called, Ended, Piece, Said, Started, Thought, Used

_Reason = Literal["said", "limit", "calls", "refused"]
_REASONS: Final[Mapping[str, _Reason]] = {
    "end_turn": "said",
    "stop_sequence": "said",
    "pause_turn": "said",  # of tools that the provider runs; nobody here asks for those
    "tool_use": "calls",
    "max_tokens": "limit",
    "model_context_window_exceeded": "limit",
    "refusal": "refused",
}


class Reader:
    """Reads a message, block by block or event by event.

    Attributes:
        reported: What was said of usage so far.
        usage: What was used, once the answer's end said so and the counts make sense.
        is_whole: The message's end was seen.
    """

    __slots__ = ("_calls", "_opened", "_reason", "is_whole", "reported", "usage")

    def __init__(self) -> None:
        self.reported: dict[str, Any] = {}
        self.usage: Usage | None = None
        self.is_whole = False
        self._reason: _Reason = "said"
        self._calls: dict[int, int] = {}
        """A block's index → which tool call it is."""
        self._opened: dict[int, Any] = {}
        """A call's block → the input it began with, until it said something of its own."""

    def event(self, event: Any) -> Iterator[Piece]:
        """Yield the pieces in an event.

        Raises:
            Unreadable: it is not what the API says it is, or an error.
        """
        if not isinstance(event, dict):
            raise Unreadable("event")
        if self.is_whole:
            return
        match event.get("type"):
            case "message_start":
                yield self._started(_object(event, "message"))
            case "content_block_start":
                yield from self._block(_index(event), _object(event, "content_block"))
            case "content_block_delta":
                yield from self._delta(_index(event), _object(event, "delta"))
            case "content_block_stop":
                yield from self._stopped(_index(event))
            case "message_delta":
                self._report(_object(event, "delta"), event.get("usage"))
            case "message_stop":
                self.is_whole = True
                yield Ended(self._reason)
                if self.usage is not None:
                    yield Used(self.usage)
            case "error":
                raise Unreadable("end")

    def so_far(self, output_tokens: int) -> Usage | None:
        """Return what the start reported, with our count of the output.

        Raises:
            UsageError: the counts contradict each other.
        """
        return read_usage(merged(self.reported, {"output_tokens": output_tokens}))

    def done(self) -> Iterator[Piece]:
        """Yield nothing: this API has no bare end mark, and whoever sends one says nothing by it."""
        return iter(())

    def _started(self, message: Mapping[str, Any]) -> Piece:
        self.reported = merged({}, message.get("usage"))
        return Started(*(foreign.text(_text(message, name)) or "" for name in ("id", "model")))

    def _block(self, index: int, block: Mapping[str, Any]) -> Iterator[Piece]:
        match block.get("type"):
            case "text" if block.get("text"):
                yield Said(_text(block, "text"))
            case "thinking" if block.get("thinking"):
                yield Thought(_text(block, "thinking"))
            case "tool_use":
                number = self._calls[index] = len(self._calls)
                self._opened[index] = block.get("input")
                yield Called(number, _text(block, "id"), _text(block, "name"))

    def _delta(self, index: int, delta: Mapping[str, Any]) -> Iterator[Piece]:
        match delta.get("type"):
            case "text_delta" if delta.get("text"):
                yield Said(_text(delta, "text"))
            case "thinking_delta" if delta.get("thinking"):
                yield Thought(_text(delta, "thinking"))
            case "input_json_delta" if delta.get("partial_json") and index in self._calls:
                self._opened.pop(index, None)
                yield Argued(self._calls[index], _text(delta, "partial_json"))

    def _stopped(self, index: int) -> Iterator[Piece]:
        """A call that said nothing of its own has the input it began with: none at all is an empty object."""
        if index in self._opened:
            begun = self._opened.pop(index)
            yield Argued(self._calls[index], lenient.dumps({} if begun is None else begun).decode())

    def _report(self, delta: Mapping[str, Any], reported: Any) -> None:
        """Note why the message ends, and what it used."""
        reason = delta.get("stop_reason")
        if isinstance(reason, str):
            self._reason = _REASONS.get(reason, "said")
        if isinstance(reported, dict):
            self.reported = merged(self.reported, reported)
            try:
                self.usage = read_usage(self.reported)
            except UsageError:
                self.usage = None


def read_message(message: Any) -> list[Piece]:
    """Return the pieces of a whole answer.

    Raises:
        UpstreamBroke: it is none.
    """
    reader = Reader()
    try:
        return list(_pieces(reader, message))
    except Unreadable as missing:
        raise UpstreamBroke(f"The provider's answer has no {missing}.") from None


def _pieces(reader: Reader, message: Any) -> Iterator[Piece]:
    """Replay a message as the events that it would have been streamed in."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        raise Unreadable("content")
    yield from reader.event({"type": "message_start", "message": message})
    for index, block in enumerate(message["content"]):
        yield from reader.event({"type": "content_block_start", "index": index, "content_block": block})
        yield from reader.event({"type": "content_block_stop", "index": index})
    yield from reader.event({"type": "message_delta", "delta": message, "usage": message.get("usage")})
    yield from reader.event({"type": "message_stop"})


def _object(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    if not isinstance(value, dict):
        raise Unreadable(name)
    return value


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str):
        raise Unreadable(name)
    return value


def _index(event: Mapping[str, Any]) -> int:
    value = event.get("index")
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unreadable("index")
    return value
