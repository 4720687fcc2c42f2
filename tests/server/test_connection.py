"""One connection, byte by byte: no socket, so that every split, close and pause is where the test says."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.outbox import Outbox
from proxy.server import connection
from proxy.server.connection import Connection
from proxy.server.turn import Caller, Head
from proxy.wire.errors import Forbidden, ProxyError

LIMIT_BYTES = 1_000


class Wire:
    """The transport: what was written, and what was asked of it."""

    def __init__(self) -> None:
        self.written = b""
        self.is_paused = self.has_ended = self.is_cut = self._is_closing = False
        self.peer: Connection

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        return ("203.0.113.7", 50_000) if name == "peername" else None

    def write(self, data: bytes) -> None:
        assert not self._is_closing, "written after the end"
        self.written += data

    def write_eof(self) -> None:
        self.has_ended = True

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            asyncio.get_running_loop().call_soon(self.peer.connection_lost, None)

    def abort(self) -> None:
        self.is_cut = True
        self.close()

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class EchoTurn:
    """Answers with what came; `/refused` reads no body, `/stream` streams three parts, `/slow` waits to be let go."""

    def __init__(self, owner: "Owner", head: Head) -> None:
        self._owner, self._head = owner, head
        self.bytes_max = LIMIT_BYTES
        self.error: ProxyError | None = Forbidden("No.") if head.target == b"/refused" else None

    def abandon(self) -> None:
        self._owner.abandoned += 1

    async def run(self, body: bytes, caller: Caller) -> None:
        if self.error is not None:
            caller.answer(self.error.status, [], self.error.message.encode())
        elif self._head.target == b"/bug":
            raise RuntimeError("a bug")
        elif self._head.target == b"/stream":
            await self._stream(caller)
        else:
            if self._head.target == b"/slow":
                await self._owner.go.wait()
            said = {"method": self._head.method.decode(), "target": self._head.target.decode(), "body": body.hex()}
            caller.answer(200, [(b"content-type", b"application/json")], orjson.dumps(said))

    async def _stream(self, caller: Caller) -> None:
        caller.on_left = self._left
        try:
            caller.begin(200, [(b"content-type", b"text/event-stream")])
            for n in range(3):
                await caller.send(b"part %d" % n)
                await asyncio.sleep(0)
            await self._owner.go.wait()
            caller.end()
        except OSError as error:
            self._owner.raised.append(type(error))

    def _left(self) -> None:
        self._owner.left += 1


class Owner:
    """The server, as a connection sees it."""

    def __init__(self) -> None:
        self.is_closing = False
        self.connections: set[Connection] = set()
        self.outbox = Outbox(asyncio.get_running_loop())
        self.go = asyncio.Event()
        self.go.set()
        self.left = self.abandoned = 0
        self.raised: list[type[OSError]] = []

    def open_turn(self, head: Head) -> EchoTurn:
        return EchoTurn(self, head)

    def refuse(self, error: ProxyError) -> EchoTurn:
        turn = EchoTurn(self, Head(b"", b"", []))
        turn.error = error
        return turn

    def connect(self) -> tuple[Connection, Wire]:
        """Open a connection."""
        wire, found = Wire(), Connection(self)
        wire.peer = found
        found.connection_made(wire)  # type: ignore[arg-type]
        return found, wire


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def play(act: Callable[[Owner], Awaitable[Any]]) -> Any:
    """Run one scene."""

    async def main() -> Any:
        return await act(Owner())

    return asyncio.run(main())


def said(*pieces: bytes) -> Wire:
    """Return what became of a connection that brought these pieces."""

    async def act(owner: Owner) -> Wire:
        caller, wire = owner.connect()
        for piece in pieces:
            caller.data_received(piece)
            await settle()
        return wire

    return play(act)


def post(body: bytes, *headers: str, target: str = "/echo", version: str = "1.1") -> bytes:
    """Return a request with a stated length."""
    lines = [f"POST {target} HTTP/{version}", "host: p", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    """Return a request in chunks, with a trailer."""
    parts = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return b"PUT /chunks HTTP/1.1\r\nhost: p\r\ntransfer-encoding: chunked\r\n\r\n" + parts + b"0\r\nx-t: 1\r\n\r\n"


def undated(written: bytes) -> bytes:
    """Leave out the only header that depends on when."""
    return b"\r\n".join(line for line in written.split(b"\r\n") if not line.startswith(b"date: "))


REQUESTS = st.one_of(
    st.builds(post, st.binary(max_size=60)),
    st.builds(chunked, st.binary(max_size=30), st.binary(max_size=30)),
    st.just(b"GET /get HTTP/1.1\r\nhost: p\r\n\r\n"),
    st.just(post(b"x", target="/refused")),
)


@settings(max_examples=60, deadline=None, derandomize=True, print_blob=True)
@given(requests=st.lists(REQUESTS, min_size=1, max_size=4), cuts=st.lists(st.integers(0, 600), max_size=12))
def test_where_the_bytes_are_split_does_not_matter(requests: list[bytes], cuts: list[int]) -> None:
    """Pipelined requests, split anywhere, get the same answers in the same order as one by one."""
    sent = b"".join(requests)
    at = sorted({min(cut, len(sent)) for cut in cuts} | {0, len(sent)})

    split = said(*(sent[start:end] for start, end in pairwise(at)))

    one_by_one = b"".join(undated(said(each).written) for each in requests if not each.startswith(b"POST /refused"))
    if b"POST /refused" not in sent:
        assert undated(split.written) == one_by_one
        assert not split.is_closing()
        assert not split.is_paused
    else:
        assert split.written.count(b"HTTP/1.1 403 ") >= 1


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"hello world\r\n\r\n"])
def test_what_is_no_http_is_refused(junk: bytes) -> None:
    """A 400, and then the connection is closed in a way that lets the caller read it."""
    wire = said(junk)

    assert wire.written.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close\r\n" in wire.written
    assert wire.has_ended


def test_junk_after_a_request_does_not_spoil_its_answer() -> None:
    """The good request is answered first, then the refusal."""
    wire = said(post(b"good") + b"\x00\x01\x02\r\n\r\n")

    good, bad = wire.written.index(b"HTTP/1.1 200 "), wire.written.index(b"HTTP/1.1 400 ")
    assert good < bad


def test_a_head_without_end_is_refused() -> None:
    """431 at the limit, whatever still comes."""
    wire = said(b"GET / HTTP/1.1\r\n", *([b"x-filler: " + b"x" * 9_000 + b"\r\n"] * 9))

    assert wire.written.startswith(b"HTTP/1.1 431 ")
    assert wire.written.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("stated", [True, False])
def test_a_body_over_the_limit_is_refused_while_it_comes(stated: bool) -> None:
    """413 as soon as it is too much; the rest is taken and thrown away, so that the answer is not lost to a reset."""
    body = b"x" * (LIMIT_BYTES + 1)
    sent = post(body + b"x" * 500) if stated else chunked(body, b"x" * 500)

    wire = said(sent[: len(sent) - 100], sent[len(sent) - 100 :])

    assert wire.written.startswith(b"HTTP/1.1 413 ")
    assert wire.written.count(b"HTTP/1.1") == 1
    assert wire.has_ended
    assert not wire.is_cut


def test_a_caller_that_waits_to_be_asked_is_asked_once() -> None:
    """The interim answer comes before the body, and not again."""
    sent = post(b"body", "expect: 100-Continue")

    wire = said(sent[:-4], sent[-4:-2], sent[-2:])

    assert wire.written.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
    assert wire.written.count(b"100 Continue") == 1


def test_a_caller_that_is_refused_is_not_asked_for_its_body() -> None:
    """It gets its answer, and no invitation."""
    wire = said(post(b"body", "expect: 100-continue", target="/refused")[:-4])

    assert wire.written.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(("header", "is_kept"), [("x: y", False), ("connection: keep-alive", True)])
def test_http_1_0_keeps_its_connection_only_when_it_says_so(header: str, is_kept: bool) -> None:
    """And is told so."""
    wire = said(post(b"old", header, version="1.0"))

    assert wire.written.startswith(b"HTTP/1.1 200 ")
    assert (b"connection: keep-alive" in wire.written) is is_kept
    assert wire.is_closing() is not is_kept


def test_http_1_0_gets_a_stream_without_chunks() -> None:
    """It ends with the connection."""
    wire = said(post(b"", target="/stream", version="1.0"))

    assert wire.written.endswith(b"\r\n\r\npart 0part 1part 2")
    assert wire.is_closing()


def test_a_stream_ends_with_its_last_chunk_and_the_connection_stays() -> None:
    """The next request on it is answered."""
    wire = said(post(b"", target="/stream"), post(b"next"))

    assert b"\r\n\r\n6\r\npart 0\r\n6\r\npart 1\r\n6\r\npart 2\r\n0\r\n\r\nHTTP/1.1 200 OK" in wire.written
    assert not wire.is_closing()


def test_head_requests_have_no_body() -> None:
    """The length is that of what GET would bring."""
    wire = said(b"HEAD /x HTTP/1.1\r\nhost: p\r\n\r\n")

    head, _, body = wire.written.partition(b"\r\n\r\n")
    assert body == b""
    assert b"content-length: 41" in head


def test_who_sends_ahead_waits_and_is_answered_in_order() -> None:
    """While one is answered the socket is not read on."""

    async def act(owner: Owner) -> None:
        owner.go.clear()
        caller, wire = owner.connect()
        caller.data_received(post(b"1", target="/slow") + post(b"2") + post(b"3"))
        await settle()
        assert (wire.written, wire.is_paused) == (b"", True)

        owner.go.set()
        await settle()

        found = [wire.written.index(b'"body":"%b"' % each.hex().encode()) for each in (b"1", b"2", b"3")]
        assert found == sorted(found)
        assert not wire.is_paused

    play(act)


def test_who_sends_no_more_still_gets_its_answer() -> None:
    """Half a connection is closed, the other half carries the answer."""

    async def act(owner: Owner) -> None:
        owner.go.clear()
        caller, wire = owner.connect()
        caller.data_received(post(b"1", target="/slow"))
        await settle()
        assert caller.eof_received()
        owner.go.set()
        await settle()
        assert wire.written.startswith(b"HTTP/1.1 200 ")
        assert wire.is_closing()

    play(act)


def test_who_leaves_a_stream_is_noticed_once() -> None:
    """Whether by the end of what it sends or by a reset."""

    async def act(owner: Owner) -> None:
        owner.go.clear()
        caller, wire = owner.connect()
        caller.data_received(post(b"", target="/stream"))
        await settle()
        assert not caller.eof_received()
        wire.close()
        await settle()
        assert owner.left == 1

    play(act)


def test_who_left_before_the_stream_began_gets_none() -> None:
    """The turn learns it from its first attempt to send."""

    async def act(owner: Owner) -> None:
        owner.go.clear()
        caller, _ = owner.connect()
        caller.data_received(post(b"1", target="/slow") + post(b"", target="/stream"))
        await settle()
        caller.eof_received()
        owner.go.set()
        await settle()
        assert owner.raised == [ConnectionResetError]

    play(act)


def test_who_leaves_before_its_request_is_whole_is_forgotten() -> None:
    """The turn is abandoned, not run."""

    async def act(owner: Owner) -> None:
        caller, wire = owner.connect()
        caller.data_received(post(b"body")[:-1])
        assert not caller.eof_received()
        wire.close()
        await settle()
        assert (owner.abandoned, wire.written) == (1, b"")

    play(act)


def test_who_trickles_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline counts from the first byte, however many follow."""
    monkeypatch.setattr(connection, "REQUEST_S", 0.05)

    async def act(owner: Owner) -> Wire:
        caller, wire = owner.connect()
        for byte in post(b"body")[:-1]:
            caller.data_received(bytes([byte]))
            await asyncio.sleep(0.002)
        for _ in range(200):
            if wire.written:
                break
            await asyncio.sleep(0.005)
        return wire

    assert play(act).written.startswith(b"HTTP/1.1 400 ")


def test_a_slow_reader_holds_up_its_own_stream_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits while the caller does not read, goes on when it does, and ends the connection when it never does."""
    monkeypatch.setattr(connection, "SEND_S", 0.02)

    async def act(owner: Owner) -> None:
        caller, wire = owner.connect()
        caller.data_received(post(b"", target="/stream"))
        await asyncio.sleep(0)
        caller.pause_writing()
        await settle()
        before = wire.written
        assert b"part 2" not in before
        caller.resume_writing()
        await asyncio.sleep(0)
        caller.pause_writing()
        assert len(wire.written) >= len(before)
        while not wire.is_cut:
            await asyncio.sleep(0.005)
        await settle()
        assert owner.left <= 1

    play(act)


def test_a_bug_ends_the_connection_without_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody may take half an answer for a whole one."""
    wire = said(post(b"", target="/bug"))

    assert (wire.written, wire.is_cut) == (b"", True)
    assert "a request failed" in caplog.text


def test_at_the_end_idle_connections_close_and_busy_ones_finish() -> None:
    """And say that they close."""

    async def act(owner: Owner) -> None:
        owner.go.clear()
        (idle, idle_wire), (busy, busy_wire) = owner.connect(), owner.connect()
        busy.data_received(post(b"1", target="/slow"))
        await settle()

        owner.is_closing = True
        idle.shut_down()
        busy.shut_down()
        await settle()
        assert (idle_wire.is_closing(), busy_wire.is_closing()) == (True, False)

        owner.go.set()
        await settle()
        assert b"connection: close" in busy_wire.written
        assert busy_wire.has_ended or busy_wire.is_closing()

    play(act)


def test_answers_of_one_turn_leave_together_in_order() -> None:
    """Nothing is written while the turn's callbacks run; then each connection has its answer."""

    async def act(owner: Owner) -> None:
        pairs = [owner.connect() for _ in range(3)]
        for each, _ in pairs:
            each.data_received(post(b"x"))
        await asyncio.sleep(0)  # each turn has run, and answered
        assert [wire.written for _, wire in pairs] == [b"", b"", b""]

        await asyncio.sleep(0)

        assert [wire.written.count(b"HTTP/1.1 200 ") for _, wire in pairs] == [1, 1, 1]

    play(act)


@pytest.mark.parametrize("end", ["eof", "shut down", "abort"])
def test_an_answer_that_is_about_to_leave_leaves_before_the_connection_ends(end: str) -> None:
    """Whoever ends the connection in the turn in which it was answered."""

    async def act(owner: Owner) -> None:
        connection, wire = owner.connect()
        connection.data_received(post(b"x"))
        await asyncio.sleep(0)
        assert wire.written == b""

        if end == "eof":
            assert connection.eof_received() is False  # the loop closes it then
        elif end == "shut down":
            connection.shut_down()
        else:
            connection.abort()

        assert wire.written.count(b"HTTP/1.1 200 ") == 1

    play(act)


def test_a_stream_does_not_overtake_the_answer_before_it() -> None:
    """Of two requests that came together, the first answer is written first."""
    wire = said(post(b"x") + post(b"", target="/stream"))

    first, second = wire.written.index(b"content-length: "), wire.written.index(b"transfer-encoding: chunked")
    assert first < second
