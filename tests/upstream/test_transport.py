"""Exchanges that go well: what is sent, what is read, what is refused before anything is sent."""

import asyncio

import httpx
import pytest

from proxy.outbox import Outbox
from proxy.upstream.connection import Connection, Origin, Outgoing, Waits
from proxy.upstream.transport import BodyTooLarge, ResponseBody, Transport
from tests.upstream.scripted import OK, FakeOwner, FakeSocket, Peer, calling, fetch, on_both_loops, request, serving

CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-empty:\r\n\r\n"
    b"5\r\nhello\r\n7;ext=1\r\n, world\r\n0\r\nx-trailer: t\r\n\r\n"
)
MEASURED = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nx-empty:\r\n\r\nhello, world"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
FOREVER = Waits(None, None, None, None, None)


async def answered(reads: list[bytes], *, is_head: bool = False) -> tuple[int, list, list[bytes], list[str]]:
    """Give one exchange these reads of its socket: status, headers, pieces, what the owner heard."""
    owner = FakeOwner()
    outbox = Outbox(asyncio.get_running_loop())
    connection = Connection(owner, Origin(is_tls=False, host="h", port=80), 30.0, outbox)
    connection.connection_made(FakeSocket())
    exchange = asyncio.create_task(connection.exchange(Outgoing(b"", b"", is_head), FOREVER))
    await asyncio.sleep(0)
    outbox.flush()
    for data in reads:
        connection.data_received(data)
    response = await exchange
    pieces = [piece async for piece in response.stream]
    connection.abort()
    return response.status_code, response.headers.raw, pieces, owner.events


@on_both_loops
def test_a_request_goes_out_as_it_was_given(run):
    """Target, headers and body arrive byte for byte; the length is counted, the host derived."""
    seen = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.send(OK)

    async def main() -> str:
        async with serving(script) as url, calling() as transport:
            headers = {"Authorization": "Bearer k", "accept-encoding": "identity", "Content-Length": "99"}
            await fetch(transport, f"{url}/v1/chat?q=a%20b", "POST", headers=headers, content=b'{"a": 1}')
            return url

    url = run(main())

    head, body = seen[0]
    assert head.split(b"\r\n") == [
        b"POST /v1/chat?q=a%20b HTTP/1.1",
        b"Host: " + url.removeprefix("http://").encode(),
        b"Authorization: Bearer k",
        b"accept-encoding: identity",
        b"content-length: 8",
        b"",
        b"",
    ]
    assert body == b'{"a": 1}'


@on_both_loops
def test_exchanges_share_a_connection(run):
    """Three calls one after the other open one connection and reuse it twice."""

    async def main() -> None:
        async with serving(Peer.answer_all) as url, calling() as transport:
            answers = [await fetch(transport, url, "POST", content=b"x") for _ in range(3)]

            assert answers == [(200, b"ok")] * 3
            assert (transport.connections_opened, transport.connections_reused) == (1, 3 - 1)
            assert (transport.active, transport.idle) == (0, 1)

    run(main())


def test_an_interim_answer_leaves_no_trace():
    """Only the final answer's headers are seen; neither earlier ones nor trailers."""
    headers = [(b"content-length", b"12"), (b"x-empty", b"")]

    async def main() -> None:
        assert (await answered([INTERIM + MEASURED]))[1] == headers
        assert (await answered([CHUNKED]))[1] == [(b"transfer-encoding", b"chunked"), (b"x-empty", b"")]

    asyncio.run(main())


@on_both_loops
@pytest.mark.parametrize(
    ("method", "answer", "expected", "idle"),
    [
        ("GET", MEASURED, (200, b"hello, world"), 1),
        ("GET", CHUNKED, (200, b"hello, world"), 1),
        ("GET", INTERIM + MEASURED, (200, b"hello, world"), 1),
        ("GET", b"HTTP/1.1 200 OK\r\n\r\nto the end", (200, b"to the end"), 0),
        ("GET", b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n\x1f", (200, b"\x1f"), 0),
        ("GET", b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", (200, b"ok"), 0),
        ("GET", b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", (200, b"ok"), 0),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", (204, b""), 1),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", (304, b""), 1),
        ("GET", b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", (302, b""), 1),
        ("HEAD", MEASURED[:-12], (200, b""), 0),
    ],
)
def test_every_framing_is_read_to_its_end(run, method, answer, expected, idle):
    """Each way a body can end is seen, and only a sound connection is kept."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        if b"length" in answer or b"chunked" in answer or b"204" in answer:
            await peer.gone()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            assert await fetch(transport, url, method) == expected
            assert (transport.active, transport.idle) == (0, idle)

    run(main())


@pytest.mark.parametrize("answer", [MEASURED, CHUNKED, INTERIM + CHUNKED], ids=["length", "chunked", "interim"])
def test_where_the_bytes_are_split_changes_nothing(answer):
    """However one answer is cut into two reads, or into single bytes, it reads the same."""
    splits = [[answer[:at], answer[at:]] for at in range(1, len(answer))]
    splits.append([bytes([byte]) for byte in answer])

    async def main() -> None:
        status, headers, whole, events = await answered([answer])

        assert (status, whole, events) == (200, [b"hello, world"], ["made", "released", "closed"])
        for reads in splits:
            again = await answered(reads)
            assert (again[0], again[1], again[3]) == (status, headers, events)
            assert b"".join(again[2]) == b"hello, world"

    asyncio.run(main())


def test_a_piece_is_what_one_read_brought():
    """Two chunks that arrive together are one piece; what arrives apart stays apart."""
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    reads = [head + b"2\r\nab\r\n2\r\ncd\r\n", b"2\r\nef\r\n", b"0\r\n\r\n"]

    _, _, pieces, _ = asyncio.run(answered(reads))

    assert pieces == [b"abcd", b"ef"]


def test_the_read_deadline_runs_only_while_somebody_reads():
    """It is set when a reader starts to wait and cleared when a piece comes: dawdling is no stall."""

    class Source:
        told: list[object] = []  # noqa: RUF012

        @property
        def alarm(self) -> "Source":
            return self

        @property
        def loop(self) -> asyncio.AbstractEventLoop:
            return asyncio.get_running_loop()

        def set(self, delay_s: float | None) -> None:
            self.told.append(delay_s)

        def clear(self) -> None:
            self.told.append("off")

        def resume_reading(self) -> None:
            pass

    async def main() -> None:
        source = Source()
        body = ResponseBody(source, 5.0)
        body.push(b"a")
        assert await anext(body) == b"a"
        assert source.told == []

        waiting = asyncio.create_task(anext(body))
        await asyncio.sleep(0)
        assert source.told == [5.0]
        body.push(b"b")
        assert source.told == [5.0, "off"]
        assert await waiting == b"b"
        body.end(None)

    asyncio.run(main())


@on_both_loops
def test_an_event_is_read_before_the_next_is_sent(run):
    """A server that waits for its event to be read before it goes on is never waited for."""
    was_read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(5):
            await peer.send(b"9\r\ndata: %d\n\n\r\n" % number)
            await was_read.wait()
            was_read.clear()
        await peer.send(b"0\r\n\r\n")
        await peer.gone()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            response = await transport.handle_async_request(request(url))
            seen = []
            async for piece in response.stream:
                seen.append(piece)
                was_read.set()

            assert seen == [b"data: %d\n\n" % number for number in range(5)]
            assert transport.idle == 1

    run(main())


def test_a_body_that_came_with_its_head_is_read_without_waiting():
    """`read_body` of a complete answer finishes in its first step, never giving up control."""

    async def main() -> None:
        async with serving(Peer.answer_all) as url, calling() as transport:
            response = await transport.handle_async_request(request(url))

            with pytest.raises(StopIteration) as finished:
                response.stream.read_body(2).send(None)
            assert finished.value.value == b"ok"

    asyncio.run(main())


@on_both_loops
def test_a_body_over_the_limit_is_refused(run):
    """One byte more than allowed raises, whether the body was still coming or not."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" + b"x" * 11)
        await peer.gone()

    async def main() -> None:
        async with serving(script) as url, serving(Peer.answer_all) as other, calling() as transport:
            endless = await transport.handle_async_request(request(url))
            with pytest.raises(BodyTooLarge):
                await endless.stream.read_body(11 - 1)
            complete = await transport.handle_async_request(request(other))
            with pytest.raises(httpx.ReadError):
                await complete.stream.read_body(len(b"ok") - 1)

            assert (transport.active, transport.idle) == (0, 1)

    run(main())


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", [(b"x", b"a\r\nevil: 1")]),
        ("GET", [(b"x", b"a\nevil: 1")]),
        ("GET", [(b"x", b"a\revil")]),
        ("GET", [(b"x", b"a\0b")]),
        ("GET", [(b"x: y\r\nz", b"a")]),
        ("GET", [(b"x y", b"a")]),
        ("GET", [(b"", b"a")]),
        ("GET", [(b"Host", b"a"), (b"host", b"b")]),
        ("POST", [(b"Transfer-Encoding", b"chunked")]),
        ("GET / HTTP/1.1\r\nx: y\r\n\r\nGET", []),
        ("", []),
    ],
)
def test_a_request_that_would_not_parse_as_meant_is_refused(method, headers):
    """Line breaks, NULs, odd names, a second host or another framing never reach a socket."""

    async def main() -> None:
        async with serving(Peer.answer_all) as url, calling() as transport:
            with pytest.raises(httpx.LocalProtocolError):
                await fetch(transport, url, method, headers=headers)

            assert (transport.connections_opened, transport.active) == (0, 0)

    asyncio.run(main())


def test_a_streamed_body_is_refused():
    """Bodies go out as bytes, so that they can be counted and sent again."""

    async def pieces():
        yield b"a"

    async def main() -> None:
        async with calling() as transport:
            with pytest.raises(httpx.LocalProtocolError):
                await fetch(transport, "http://127.0.0.1:1", "POST", content=pieces())

    asyncio.run(main())


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "/v1/models"])
def test_a_url_without_http_or_host_is_refused(url):
    """Only http and https URLs with a host are dialled."""

    async def main() -> None:
        async with calling() as transport:
            with pytest.raises(httpx.UnsupportedProtocol):
                await fetch(transport, url)

    asyncio.run(main())


def test_a_proxy_in_the_environment_is_not_used(monkeypatch):
    """The host dialled is the URL's, whatever the environment names."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def main() -> tuple[int, bytes]:
        async with serving(Peer.answer_all) as url, calling() as transport:
            return await fetch(transport, url)

    assert asyncio.run(main()) == (200, b"ok")


def test_a_response_reads_through_httpx_too():
    """`Response.aread` and `aclose` work on the stream, as with any transport of httpx's."""

    async def main() -> bytes:
        async with serving(Peer.answer_all) as url, calling() as transport:
            response = await transport.handle_async_request(request(url))
            assert isinstance(transport, httpx.AsyncBaseTransport)
            return await response.aread()

    assert asyncio.run(main()) == b"ok"


def test_a_transport_that_was_never_used_closes():
    """Closing without a single connection returns at once."""
    asyncio.run(Transport().aclose())


@pytest.mark.parametrize("is_answer_first", [True, False])
@pytest.mark.parametrize(("answer", "end"), [(OK, "released"), (OK[:-1], "closed"), (OK[:-10], "closed")])
def test_an_answer_that_crosses_a_cancellation_harms_nobody(is_answer_first, answer, end):
    """In the turn that both came, a complete answer frees its connection for others, a part closes it."""

    async def main() -> None:
        owner, outbox = FakeOwner(), Outbox(asyncio.get_running_loop())
        connection = Connection(owner, Origin(is_tls=False, host="h", port=80), 30.0, outbox)
        connection.connection_made(FakeSocket())
        exchange = asyncio.create_task(connection.exchange(Outgoing(b"", b"", is_head=False), FOREVER))
        await asyncio.sleep(0)
        outbox.flush()

        if is_answer_first:
            connection.data_received(answer)
        exchange.cancel()
        if not is_answer_first:
            connection.data_received(answer)
        await asyncio.wait([exchange])

        assert exchange.cancelled()
        assert owner.events == ["made", end]
        connection.abort()

    asyncio.run(main())


def test_a_request_whose_connection_ends_before_it_left_is_never_sent():
    """What waits in the outbox for the end of the turn finds its connection closed; the exchange knows it was stale."""

    async def main() -> None:
        owner, outbox, socket = FakeOwner(), Outbox(asyncio.get_running_loop()), FakeSocket()
        connection = Connection(owner, Origin(is_tls=False, host="h", port=80), 30.0, outbox)
        connection.connection_made(socket)
        exchange = asyncio.ensure_future(connection.exchange(Outgoing(b"head", b"body", is_head=False), FOREVER))
        await asyncio.sleep(0)

        connection.connection_lost(None)
        outbox.flush()

        assert socket.written == b""
        with pytest.raises(httpx.RemoteProtocolError):
            await exchange

    asyncio.run(main())


def test_an_answer_that_comes_before_its_request_left_costs_the_connection():
    """Such as a 408 that crosses it: sent on later, the request would be answered to the next exchange."""

    async def main() -> None:
        owner, outbox, socket = FakeOwner(), Outbox(asyncio.get_running_loop()), FakeSocket()
        connection = Connection(owner, Origin(is_tls=False, host="h", port=80), 30.0, outbox)
        connection.connection_made(socket)
        exchange = asyncio.ensure_future(connection.exchange(Outgoing(b"head", b"body", is_head=False), FOREVER))
        await asyncio.sleep(0)

        connection.data_received(OK)
        response = await exchange

        assert response.status_code == 200
        assert owner.events == ["made", "closed"]
        assert socket.written == b""

    asyncio.run(main())
