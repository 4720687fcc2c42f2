"""An event stream on its way to a caller who speaks another format."""

from __future__ import annotations

from typing import Protocol

from margin.usage import Usage, UsageError
from proxy.upstream.dialects.anthropic.blocks import Reader, Unreadable
from proxy.upstream.dialects.anthropic.counts import merged, read_usage
from proxy.wire import lenient, sse
from proxy.wire.neutral import Argued, Piece, Said, Started, Thought


class Writer(Protocol):
    """A surface's way to write pieces as its own events."""

    def write(self, piece: Piece) -> bytes:
        """Return a piece as bytes."""


class MessageStream:
    """Reads events, writes what they say. An event that cannot be read may have held words: it breaks the answer off.

    Attributes:
        call_id: The provider's id of the call.
        finished: Whether `message_stop` was seen.
        error: Whether the provider reported an error, or sent what is none of its events.
        deltas: Pieces of text relayed.
    """

    __slots__ = ("_framer", "_reader", "_text_bytes", "_writer", "call_id", "deltas", "error")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._framer = sse.Framer()
        self._reader = Reader()
        self.call_id: str | None = None
        self.error = False
        self.deltas = 0
        self._text_bytes = 0

    @property
    def finished(self) -> bool:
        """Whether the answer is whole."""
        return self._reader.is_whole

    @property
    def output_estimate(self) -> int:
        """About how many tokens were relayed: one per piece of text, or by size where pieces are larger."""
        return max(self.deltas, self._text_bytes // 4)

    @property
    def usage(self) -> Usage | None:
        """What the stream's end reported; before that, what its start did of the input, and our count of the rest."""
        if self._reader.usage is not None:
            return self._reader.usage
        try:
            begun = read_usage(merged(self._reader.reported, {"output_tokens": self.output_estimate}))
        except UsageError:
            return None
        return None if begun is None else begun._replace(source="estimated")

    def feed(self, data: bytes) -> bytes:
        """Return what may go to the caller of what just arrived."""
        return b"".join(self._relayed(event) for event in sse.split(self._framer.feed(data)))

    def _relayed(self, event: bytes) -> bytes:
        data = sse.payload(event)
        if data is None or self.error or self.finished:
            return b""
        try:
            return b"".join(self._written(piece) for piece in self._reader.event(lenient.loads(data)))
        except (Unreadable, ValueError, RecursionError):
            self.error = True
            return b""

    def _written(self, piece: Piece) -> bytes:
        match piece:
            case Started(identity, _):
                self.call_id = identity
            case Said(text) | Thought(text) | Argued(_, text):
                self.deltas += 1
                self._text_bytes += len(text)
        return self._writer.write(piece)
