"""One HTTP/1.1 connection to a provider: requests out, answers in, one at a time.

Bytes are parsed as they arrive, inside the event loop's callback, so an exchange costs one future
for the head and, when the body came along, nothing for the body. Errors are httpx's, with words of
ours: text that a server or a library wrote stays in `__cause__`, and no error carries the request,
so none carries its headers.
"""

import asyncio
import enum
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, cast

import httpx

from proxy.alarm import Alarm
from proxy.outbox import Outbox
from proxy.upstream.answer import AnswerParser
from proxy.upstream.body import ResponseBody

ONE_WRITE_BYTES_MAX: Final = 64 * 1024  # below this, joining head and body is cheaper than two writes
STALE_WINDOW_S: Final = 2.0  # a close already under way is seen within a round trip


class StaleConnection(httpx.RemoteProtocolError):
    """A connection that had been idle was closed before it carried any byte of an answer.

    The peer closed it while our request was on its way: the request was almost surely not read.
    """


class Origin(NamedTuple):
    """Where connections lead: what is dialled, and the name a certificate must bear."""

    is_tls: bool
    host: str
    port: int


class Outgoing(NamedTuple):
    """A request as it goes on the wire. `is_head`: its answer has no body, whatever it says."""

    head: bytes
    body: bytes
    is_head: bool


@dataclass(frozen=True, slots=True)
class Waits:
    """How long each phase may take, in seconds; None is without end.

    `write_s` bounds the sending of the whole request, `first_byte_s` the wait from there to the
    end of the response head, `read_s` each wait for more of the body.
    """

    pool_s: float | None
    connect_s: float | None
    write_s: float | None
    first_byte_s: float | None
    read_s: float | None


class Owner(Protocol):
    """Who keeps count of connections."""

    def made(self, connection: "Connection") -> None:
        """There is a socket now."""

    def released(self, connection: "Connection") -> None:
        """The exchange is over and the connection can carry another."""

    def closed(self, connection: "Connection") -> None:
        """The connection carries nothing any more: its place is free. Called once."""

    def lost(self, connection: "Connection") -> None:
        """The socket is gone. Called once, if there ever was one."""


class Phase(enum.Enum):
    """What a connection is doing. The three in the middle are an exchange's."""

    OPENING = enum.auto()
    IDLE = enum.auto()
    WRITING = enum.auto()
    AWAITING = enum.auto()
    READING = enum.auto()
    CLOSED = enum.auto()


class Connection(asyncio.Protocol):
    """A socket, its parser, and the exchange under way on it.

    The end of an answer gives the connection back to its owner at once, read by then or not: the
    pieces belong to the `ResponseBody`. Whatever ends an exchange otherwise closes the connection.
    """

    def __init__(self, owner: Owner, origin: Origin, idle_s: float, outbox: Outbox) -> None:
        self.origin = origin
        self.alarm = Alarm(outbox.loop, self._on_deadline)
        self._owner = owner
        self._idle_s = idle_s
        self.loop, self._outbox = outbox.loop, outbox
        self._phase = Phase.OPENING
        self._transport: asyncio.Transport | None = None
        self._answer = AnswerParser()
        self._waits: Waits = _WITHOUT_END
        self._turn: asyncio.Future[httpx.Response | Exception] | None = None
        self._body: ResponseBody | None = None
        self._begun_s = 0.0
        self._has_served = self._is_answered = False
        self._reading_paused = self._writing_paused = self._is_leaving = False

    @property
    def is_closed(self) -> bool:
        """It can carry nothing any more."""
        return self._phase is Phase.CLOSED

    async def exchange(self, outgoing: Outgoing, waits: Waits) -> httpx.Response:
        """Send a request; return the answer's head, its body as a `ResponseBody` stream.

        Raises:
            StaleConnection: The peer had closed this idle connection; see there.
            httpx.TransportError: Any other failure; the connection is closed.
        """
        if self._transport is None or self._phase is not Phase.IDLE:
            raise StaleConnection("the server closed the connection before a request was sent")
        turn: asyncio.Future[httpx.Response | Exception] = self.loop.create_future()
        self._turn = turn
        self._waits = waits
        self._is_answered = False
        self._answer.expect(is_head=outgoing.is_head)
        self._send(self._transport, outgoing)
        try:
            outcome = await turn
        except asyncio.CancelledError:
            if self._turn is turn:  # else the answer is complete and the connection not ours
                self.abort()
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def fail(self, error: Exception) -> None:
        """Close the connection and tell whoever waits on it why."""
        turn, body = self._turn, self._body
        self.abort()
        if body is not None:
            body.end(error)
        elif turn is not None and not turn.done():
            turn.set_result(error)

    def abort(self) -> None:
        """Close the connection, now, and say nothing."""
        if self._phase is Phase.CLOSED:
            return
        self._phase = Phase.CLOSED
        self._turn = self._body = None
        self.alarm.stop()
        if self._transport is not None:
            self._transport.abort()
        self._owner.closed(self)

    def pause_reading(self) -> None:
        """Let the peer wait."""
        if self._phase is Phase.READING and not self._reading_paused:
            assert self._transport is not None
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._reading_paused and self._phase is not Phase.CLOSED:
            assert self._transport is not None
            self._reading_paused = False
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """From the loop: the socket is open, and its TLS agreed."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by shape only
        self._owner.made(self)
        if self._phase is Phase.CLOSED:  # while it was being opened
            self._transport.abort()
        else:
            self._phase = Phase.IDLE

    def data_received(self, data: bytes) -> None:
        """From the loop: hand on what these bytes bring."""
        if self._turn is None:  # nobody asked: a late answer, or one too many
            self.abort()
            return
        answer = self._answer
        self._is_answered = True
        fault = None
        try:
            answer.feed(data)
        except httpx.RemoteProtocolError as refusal:
            fault = refusal
        if self._body is None and answer.status is not None:
            self._body = self._open_body(answer.status, self._turn)
        if self._body is not None and (piece := answer.take()):
            self._body.push(piece)
        if fault is not None:
            self.fail(fault)
        elif answer.is_complete:
            self._finish()

    def eof_received(self) -> None:
        """From the loop: the peer sends no more."""
        self._disconnected(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """From the loop: the socket is gone."""
        self._disconnected(exc)
        self._owner.lost(self)

    def pause_writing(self) -> None:
        """From the loop: the peer does not take the request as fast as we write it."""
        self._writing_paused = True
        if self._phase is Phase.AWAITING:
            self._phase = Phase.WRITING
            self.alarm.set(self._waits.write_s)

    def resume_writing(self) -> None:
        """From the loop: most of the request is sent."""
        self._writing_paused = False
        if self._phase is Phase.WRITING:
            self._await_head()

    def _send(self, transport: asyncio.Transport, outgoing: Outgoing) -> None:
        self._begun_s = self.loop.time()
        self._await_head()
        if len(outgoing.body) <= ONE_WRITE_BYTES_MAX:
            self._is_leaving = True
            self._outbox.put(self._leave, outgoing.head + outgoing.body)
        else:
            transport.write(outgoing.head)
            transport.write(outgoing.body)

    def _leave(self, data: bytes) -> None:
        """From the outbox: send a request, unless it was given up meanwhile."""
        self._is_leaving = False
        if self._phase is not Phase.CLOSED and self._transport is not None:
            self._transport.write(data)

    def _await_head(self) -> None:
        self._phase = Phase.AWAITING
        self.alarm.set(self._waits.first_byte_s)

    def _open_body(self, status: int, turn: "asyncio.Future[httpx.Response | Exception]") -> ResponseBody:
        self.alarm.clear()
        self._phase = Phase.READING
        body = ResponseBody(self, self._waits.read_s)
        if not turn.done():
            turn.set_result(httpx.Response(status, headers=self._answer.headers, stream=body))
        return body

    def _finish(self) -> None:
        body, transport = self._body, self._transport
        assert body is not None
        assert transport is not None
        self._turn = self._body = None
        body.end(None)
        is_sent = not (self._writing_paused or self._is_leaving) and transport.get_write_buffer_size() == 0
        if not (is_sent and self._answer.is_reusable):
            self.abort()
            return
        self.resume_reading()
        self._phase = Phase.IDLE
        self._has_served = True
        self.alarm.set(self._idle_s)
        self._owner.released(self)

    def _disconnected(self, cause: Exception | None) -> None:
        if self._turn is None:
            self.abort()
        elif self._body is None:
            self.fail(self._unanswered(cause))
        elif cause is None and self._answer.ends_with_connection:
            self._body.end(None)
            self.abort()
        else:
            self.fail(_cut(cause))

    def _unanswered(self, cause: Exception | None) -> Exception:
        error: Exception
        if self._is_stale(cause):
            error = StaleConnection("the server closed a connection that was kept for reuse")
        elif cause is None:
            error = httpx.RemoteProtocolError("the server closed the connection without an answer")
        elif self._phase is Phase.WRITING:
            error = httpx.WriteError("the connection broke while the request was being sent")
        else:
            error = httpx.ReadError("the connection broke before the answer")
        error.__cause__ = cause
        return error

    def _is_stale(self, cause: Exception | None) -> bool:
        # A server that read the request and then failed also closes without a byte, but later:
        # work may have been done, and billed. Only a close that crossed our request counts.
        return (
            self._has_served
            and not self._is_answered
            and (cause is None or isinstance(cause, ConnectionError))
            and self.loop.time() - self._begun_s <= STALE_WINDOW_S
        )

    def _on_deadline(self) -> None:
        match self._phase:
            case Phase.WRITING:
                self.fail(httpx.WriteTimeout("the request was not sent in time"))
            case Phase.AWAITING:
                self.fail(httpx.ReadTimeout("the answer did not begin in time"))
            case Phase.READING:
                self.fail(httpx.ReadTimeout("the answer stalled"))
            case _:
                self.abort()


_WITHOUT_END: Final = Waits(None, None, None, None, None)


def _cut(cause: Exception | None) -> httpx.TransportError:
    if cause is None:
        return httpx.RemoteProtocolError("the answer was cut: its connection ended before it did")
    error = httpx.ReadError("the connection broke in the middle of the answer")
    error.__cause__ = cause
    return error
