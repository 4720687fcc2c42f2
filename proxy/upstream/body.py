"""The body of an answer, between the socket that fills it and the reader that empties it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final, Protocol

import httpx

from proxy.alarm import Alarm

WAITING_BYTES_HIGH: Final = 256 * 1024  # one read of uvloop: beyond it the peer has to wait
WAITING_BYTES_LOW: Final = 64 * 1024  # a quarter of it, so that reading does not flutter


class BodyTooLarge(httpx.ReadError):
    """The body is longer than the reader allowed; its connection is closed."""


class Source(Protocol):
    """The connection that a body arrives on."""

    alarm: Alarm
    loop: asyncio.AbstractEventLoop

    def pause_reading(self) -> None:
        """Let the peer wait."""

    def resume_reading(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Close it, now."""


class ResponseBody(httpx.AsyncByteStream):
    """The body of an answer, for one reader: each piece as one read of the socket brought it.

    Close it unless it was read to its end: until then its connection is taken. Reading raises
    `httpx.ReadTimeout`, `httpx.ReadError`, or `httpx.RemoteProtocolError` when the body was cut;
    what had arrived before is read first.
    """

    def __init__(self, source: Source, read_s: float | None) -> None:
        self._source: Source | None = source
        self._read_s = read_s
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._arrival: asyncio.Future[None] | None = None
        self._error: Exception | None = None

    @property
    def waiting_bytes(self) -> int:
        """Bytes that have arrived and were not read yet."""
        return self._waiting_bytes

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._source is None:
                raise StopAsyncIteration if self._error is None else self._error
            await self._more(self._source)
        return self._take()

    def whole(self) -> bytes | None:
        """Return the whole body if all of it is here and none was read; else None, and nothing is taken."""
        if self._source is not None or self._error is not None or len(self._pieces) != 1:
            return None
        return self._take()

    async def read_body(self, limit: int) -> bytes:
        """Return the whole body, of at most `limit` bytes; no wait when it came with the head.

        Raises:
            BodyTooLarge: There is more than that.
        """
        pieces: list[bytes] = []
        total_bytes = 0
        async for piece in self:
            total_bytes += len(piece)
            if total_bytes > limit:
                await self.aclose()
                raise BodyTooLarge(f"the answer is longer than {limit} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def aclose(self) -> None:
        """Drop what was not read; a connection still sending it is closed."""
        source = self._source
        if source is not None or self._pieces:
            self.end(httpx.StreamClosed())
            self._pieces.clear()
            self._waiting_bytes = 0
        if source is not None:
            source.abort()

    def push(self, piece: bytes) -> None:
        """Take what arrived, for the reader."""
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > WAITING_BYTES_HIGH and self._source is not None:
            self._source.pause_reading()
        self._wake()

    def end(self, error: Exception | None) -> None:
        """Let go of the source: no more will arrive, for `error` or because this is all."""
        self._source = None
        self._error = error
        self._wake()

    def _take(self) -> bytes:
        piece = self._pieces.popleft()
        self._waiting_bytes -= len(piece)
        if self._waiting_bytes < WAITING_BYTES_LOW and self._source is not None:
            self._source.resume_reading()
        return piece

    async def _more(self, source: Source) -> None:
        assert self._arrival is None, "a body has one reader"
        self._arrival = source.loop.create_future()
        source.alarm.set(self._read_s)
        try:
            await self._arrival
        except asyncio.CancelledError:
            await self.aclose()
            raise
        finally:
            self._arrival = None

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            if self._source is not None:
                self._source.alarm.clear()
            self._arrival.set_result(None)
