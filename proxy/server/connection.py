"""One caller's connection: requests in, one after the other, answers out in the same order.

Bytes are parsed in the loop's callback. One task answers a connection's requests, each when its body is whole; one that
came along with others waits for its turn, and the socket is not read on meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol, cast

import httptools

from proxy.alarm import Alarm
from proxy.outbox import Outbox
from proxy.server import framing
from proxy.server.outflow import Outflow
from proxy.server.turn import Head, Open, Refuse, Turn
from proxy.wire.errors import HeadTooLarge, Malformed, ProxyError, TooLarge
from proxy.wire.headers import Headers

IDLE_S = 75.0
"""Between requests. Above the 60 s after which most clients' pools and load balancers close by themselves."""
REQUEST_S = 30.0
"""From a request's first byte to its last: 16 MiB at 5 Mbit/s. Bounds clients that trickle."""
SEND_S = 30.0
"""A caller that takes nothing for this long has left: a slot and a provider's answer do not wait for it."""
LINGER_S = 2.0
"""After an answer to a request that was not read: time to read the answer before the connection is reset."""
HEAD_BYTES_MAX = 64 * 1024
"""nginx takes 32 KiB of head. Exceeded by at most what one read brings."""

log = logging.getLogger("penstock")


class Owner(Protocol):
    """The server, as a connection sees it."""

    open_turn: Open
    refuse: Refuse
    is_closing: bool
    connections: set[Connection]
    outbox: Outbox


class _Out(Enum):
    """How far the answer under way is."""

    NOTHING = auto()
    STREAM = auto()
    WHOLE = auto()


class _Waiting:
    """A request that is whole, or refused; and whether another may follow its answer."""

    __slots__ = ("body", "head", "is_kept", "turn")

    def __init__(self, turn: Turn, head: Head | None, body: bytes, *, is_kept: bool) -> None:
        self.turn, self.head, self.body, self.is_kept = turn, head, body, is_kept


class Connection(asyncio.Protocol):
    """A socket, its parser, and the request whose turn it is. It is that request's `turn.Caller`."""

    __slots__ = (
        "_alarm", "_client", "_current", "_has_eof", "_head", "_head_bytes", "_is_reading",
        "_line", "_loop", "_out", "_outflow", "_owner", "_parser", "_parts", "_size",
        "_task", "_transport", "_turn", "_wanted", "on_left",
    )  # fmt: skip

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._outflow: Outflow
        self._client: str | None = None
        self._loop = asyncio.get_running_loop()  # to ask for it costs a system call
        self._alarm = Alarm(self._loop, self._on_deadline)
        self._line: deque[_Waiting] = deque()
        self._current: _Waiting | None = None
        self._task: asyncio.Task[None] | None = None
        """Answers, from the first request on: a task for each would cost 4 µs more."""
        self._wanted: asyncio.Future[None] | None = None
        """What that task waits for between requests."""
        self._head: Head | None = None
        self._turn: Turn | None = None
        self._parts: list[bytes] = []
        self._size = self._head_bytes = 0
        self._is_reading = self._has_eof = False
        self._out = _Out.NOTHING
        self.on_left: Callable[[], None] | None = None

    # ---- from the loop ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The caller is here."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by shape only
        self._outflow = Outflow(self._transport, self._owner.outbox)
        peer = transport.get_extra_info("peername")
        self._client = peer[0] if isinstance(peer, tuple) else None
        self._owner.connections.add(self)
        self._alarm.set(IDLE_S)

    def data_received(self, data: bytes) -> None:
        """Read requests; what is no HTTP is refused."""
        if self._parser is None:  # refused: what still comes is not looked at
            return
        was_reading = self._is_reading
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._stop_reading()  # nobody upgrades here; the request itself was answered as one
        except httptools.HttpParserError:
            self._refuse(Malformed("The request is not valid HTTP/1.1."))
        if self._is_reading:
            self._incomplete(len(data), is_new=not was_reading)

    def eof_received(self) -> bool:
        """The caller sends no more. It may still read a whole answer; from a stream it has gone."""
        self._has_eof = True
        if self._current is None or self._out is _Out.STREAM:
            self._outflow.flush()
            return False
        self._stop_reading()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone, or was sent away."""
        self._owner.connections.discard(self)
        self._alarm.stop()
        self._has_eof = True
        if self._turn is not None:
            self._turn.abandon()
        for each in self._line:
            each.turn.abandon()
        self._line.clear()
        if self._wanted is not None:
            self._wanted.cancel()
        self._outflow.lost()
        if self.on_left is not None:
            self.on_left()

    def pause_writing(self) -> None:
        """The caller does not take its answer as fast as we write it."""
        self._outflow.is_paused = True
        self._alarm.set(SEND_S)

    def resume_writing(self) -> None:
        """It took most of it."""
        if self._current is None:
            self._alarm.set(IDLE_S)
        else:
            self._alarm.clear()
        self._outflow.resume()

    # ---- from the parser --------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_reading = True
        self._head = Head(b"", b"", [], client=self._client)
        self._head_bytes = 0

    def on_url(self, piece: bytes) -> None:
        """Its target, which may come in pieces."""
        assert self._head is not None
        self._head.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody here needs."""
        if self._turn is None and self._head is not None:
            self._head.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole: whose turn it is decides whether a body is read."""
        head, parser = self._head, self._parser
        assert head is not None
        assert parser is not None
        head.method, head.version = parser.get_method(), parser.get_http_version()
        self._turn = self._owner.open_turn(head)

    def on_body(self, piece: bytes) -> None:
        """Bytes of the body, freed of their framing."""
        turn = self._turn
        if turn is None or turn.error is not None:
            return
        self._size += len(piece)
        if self._size > turn.bytes_max:
            self._parts.clear()
            turn.error = TooLarge(f"The body is larger than {turn.bytes_max} bytes.")
        else:
            self._parts.append(piece)

    def on_message_complete(self) -> None:
        """The request is whole."""
        parser = self._parser
        if self._turn is None or parser is None:
            return
        self._enqueue(is_kept=bool(parser.should_keep_alive()))

    # ---- reading ----------------------------------------------------------------------------------------------------

    def _incomplete(self, fed_bytes: int, *, is_new: bool) -> None:
        """A request has begun and is not whole: it has a deadline, its head a limit; a refused one is answered now."""
        if self._turn is None:
            self._head_bytes += fed_bytes
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse(HeadTooLarge(f"The request's head is larger than {HEAD_BYTES_MAX} bytes."))
                return
        elif self._turn.error is not None:
            self._stop_reading()
            self._enqueue(is_kept=False)
            return
        elif self._size == 0:
            self._invite()
        if is_new and self._current is None:
            self._alarm.set(REQUEST_S)

    def _invite(self) -> None:
        """Ask for the body, once, if the caller waits to be asked (RFC 9110, 10.1.1)."""
        assert self._head is not None
        for each in self._head.headers:
            if each[0] == b"expect" and each[1].lower() == b"100-continue":
                self._head.headers.remove(each)
                self._outflow.write(framing.CONTINUE)
                return

    def _refuse(self, error: ProxyError) -> None:
        """Answer what is no request, or not in time, and read no more."""
        self._stop_reading()
        if self._turn is None:
            self._turn = self._owner.refuse(error)
        self._turn.error = error
        self._enqueue(is_kept=False)

    def _stop_reading(self) -> None:
        self._parser = None
        self._is_reading = False

    def _enqueue(self, *, is_kept: bool) -> None:
        """The turn is complete: it runs when those before it are answered."""
        turn, parts = self._turn, self._parts
        assert turn is not None
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._line.append(_Waiting(turn, self._head, body, is_kept=is_kept))
        self._turn = self._head = None
        self._parts = []
        self._size = 0
        self._is_reading = False
        if self._current is None:
            self._next()
            self._wake()
        else:
            self._transport.pause_reading()

    # ---- whose turn it is -------------------------------------------------------------------------------------------

    def _next(self) -> None:
        self._current = self._line.popleft()
        self._out = _Out.NOTHING
        self._alarm.clear()

    def _wake(self) -> None:
        """Have the current request answered."""
        if self._wanted is None:
            self._task = self._loop.create_task(self._serve())
        else:
            self._wanted.set_result(None)
            self._wanted = None

    async def _serve(self) -> None:
        """Answer one request after the other, as long as the connection is kept."""
        is_kept = True
        while is_kept:
            if self._current is None:
                self._wanted = self._loop.create_future()
                await self._wanted
            is_kept = await self._run()

    async def _run(self) -> bool:
        """Answer the current request; tell whether another may follow."""
        waiting = self._current
        assert waiting is not None
        is_kept = False
        try:
            await waiting.turn.run(waiting.body, self)
        except Exception:
            # A bug in a turn: it ends its own connection, and no other.
            log.exception("a request failed")
        finally:
            is_kept = self._finish(waiting)
        return is_kept

    def _finish(self, waiting: _Waiting) -> bool:
        """Go on with the next request, or close."""
        self._current = self.on_left = None
        if self._out is not _Out.WHOLE:
            self._transport.abort()  # nothing, or half of it: nobody may take it for an answer
        elif self._transport.is_closing():
            return False
        elif not self._keeps(waiting):
            self._close()
        elif self._line:
            self._next()
            return True
        else:
            self._transport.resume_reading()
            self._await_next()
            return True
        return False

    def _await_next(self) -> None:
        if self._outflow.is_paused:
            self._alarm.set(SEND_S)
        else:
            self._alarm.set(REQUEST_S if self._is_reading else IDLE_S)

    def _keeps(self, waiting: _Waiting) -> bool:
        return waiting.is_kept and not self._owner.is_closing and not (self._has_eof and not self._line)

    def _close(self) -> None:
        """Close, with what is written still going out; what the caller still sends must not reset the connection."""
        self._outflow.flush()
        if self._parser is None and not self._has_eof:
            self._transport.write_eof()
            self._transport.resume_reading()
            self._alarm.set(LINGER_S)
        else:
            self._transport.close()
            self._alarm.set(SEND_S)

    def _on_deadline(self) -> None:
        if self._is_reading and self._current is None:
            self._refuse(Malformed("The request did not arrive in time."))
        else:
            self._transport.abort()

    # ---- for the server ---------------------------------------------------------------------------------------------

    def shut_down(self) -> None:
        """Close now, unless a request is under way; then after it."""
        if self._current is None and not self._is_reading:
            self._outflow.flush()
            self._transport.close()

    def cut(self) -> asyncio.Task[None] | None:
        """End what is under way; return its task."""
        if self._current is None or self._task is None:
            self.abort()
            return None
        self._task.cancel()
        return self._task

    def abort(self) -> None:
        """Close, whatever is under way."""
        self._outflow.flush()
        self._transport.abort()

    # ---- for the turn: see `turn.Caller` ----------------------------------------------------------------------------

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer, together with those of others."""
        waiting = self._current
        assert waiting is not None
        self._out = _Out.WHOLE
        if not self._transport.is_closing():
            data = framing.whole(status, headers, body, waiting.head, is_kept=self._keeps(waiting))
            self._outflow.leave(data)

    def begin(self, status: int, headers: Headers) -> None:
        """Send the head of a stream."""
        waiting = self._current
        assert waiting is not None
        self._out = _Out.STREAM
        if self._has_eof or self._transport.is_closing():
            raise ConnectionResetError("the caller left")
        self._outflow.write(framing.stream(status, headers, waiting.head, is_kept=self._keeps(waiting)))

    async def send(self, data: bytes) -> None:
        """Send a part of a stream."""
        if self._transport.is_closing():
            raise ConnectionResetError("the caller left")
        assert self._current is not None
        self._outflow.write(framing.part(data, self._current.head))
        if self._outflow.is_paused:
            await self._outflow.drained()

    def end(self) -> None:
        """End a stream well."""
        waiting = self._current
        assert waiting is not None
        if not self._transport.is_closing():
            self._outflow.write(framing.last(waiting.head))
            self._out = _Out.WHOLE
            waiting.is_kept = waiting.is_kept and framing.is_chunked(waiting.head)
