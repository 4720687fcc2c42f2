"""An event stream on its way to a caller who speaks another format: read as pieces, written as the caller's events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from margin.usage import Usage, UsageError
from proxy.upstream.dialects import foreign
from proxy.wire import lenient, sse
from proxy.wire.errors import ProxyError
from proxy.wire.neutral import Argued, Piece, Said, Started, Thought
from proxy.wire.surfaces import Writer


class Unreadable(Exception):
    """An event or a part of an answer that is not what the provider's API says it is; its text names what it lacks."""


class Reader(Protocol):
    """A dialect's way to read an answer, event by event."""

    @property
    def usage(self) -> Usage | None:
        """What was used, once the answer's end said so and the counts make sense."""

    @property
    def is_whole(self) -> bool:
        """Whether the answer's end was seen."""

    def event(self, event: Any) -> Iterator[Piece]:
        """Yield the pieces in an event.

        Raises:
            Unreadable: it is not what the API says it is, or an error.
        """

    def done(self) -> Iterator[Piece]:
        """Yield what a bare end mark (`[DONE]`) says, where the API has one."""

    def so_far(self, output_tokens: int) -> Usage | None:
        """Return what was reported before the end, with our count of the output; None when nothing was.

        Raises:
            UsageError: the counts contradict each other.
        """


class TranslatedStream:
    """Reads events, writes what they say. An event that cannot be read may have held words: it breaks the answer off.

    Attributes:
        call_id: The provider's id of the call.
        error: Whether the provider reported an error, or sent what is none of its events.
        deltas: Pieces of text relayed.
    """

    __slots__ = ("_framer", "_reader", "_text_bytes", "_writer", "call_id", "deltas", "failure")

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer
        self._framer = sse.Framer()
        self.call_id: str | None = None
        self.failure: ProxyError | None = None
        self.deltas = 0
        self._text_bytes = 0

    @property
    def error(self) -> bool:
        """Whether the provider reported an error inside the stream."""
        return self.failure is not None

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
        """What the stream's end reported; before that, what came before it of the input, and our count of the rest."""
        if self._reader.usage is not None:
            return self._reader.usage
        try:
            begun = self._reader.so_far(self.output_estimate)
        except UsageError:
            return None
        return None if begun is None else begun._replace(source="estimated")

    def end(self) -> bytes:
        """Return the caller's own end of a whole stream."""
        return self._writer.end()

    def fault(self, error: ProxyError) -> bytes:
        """Return the caller's own event that says that the stream breaks off here."""
        return self._writer.fault(error)

    def feed(self, data: bytes) -> bytes:
        """Return what may go to the caller of what just arrived."""
        return b"".join(self._relayed(event) for event in sse.split(self._framer.feed(data)))

    def _relayed(self, event: bytes) -> bytes:
        data = sse.payload(event)
        if data is None or self.error or (self.finished and data.strip() == sse.DONE):
            return b""
        written: list[bytes] = []
        found: Any = None
        try:
            found = None if data.strip() == sse.DONE else lenient.loads(data)
            for piece in self._reader.done() if data.strip() == sse.DONE else self._reader.event(found):
                written.append(self._written(piece))  # noqa: PERF401 -- what was read before the fault is relayed
        except (Unreadable, ValueError, RecursionError):
            self.failure = foreign.in_band(found)
        return b"".join(written)

    def _written(self, piece: Piece) -> bytes:
        match piece:
            case Started(identity, _):
                self.call_id = identity or None
            case Said(text) | Thought(text) | Argued(_, text):
                self.deltas += 1
                self._text_bytes += len(text)
        return self._writer.write(piece)
