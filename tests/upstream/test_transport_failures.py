"""Exchanges that go wrong: each phase fails by its own class, and its connection is closed."""

import asyncio
import contextlib
import socket

import httpx
import pytest

from proxy.upstream.answer import AnswerParser
from proxy.upstream.body import WAITING_BYTES_HIGH
from tests.upstream.scripted import Peer, calling, failure, fetch, on_both_loops, request, serving, turns, until

CUT_LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345"
CUT_CHUNK = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n12345"
TINY_S = 0.05


@on_both_loops
@pytest.mark.parametrize("answer", [CUT_LENGTH, CUT_CHUNK], ids=["length", "chunked"])
def test_a_cut_body_is_an_error_after_its_pieces(run, answer):
    """What arrived is read, then the reader learns that it was not all."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            response = await transport.handle_async_request(request(url))
            body = aiter(response.stream)

            assert await anext(body) == b"12345"
            with pytest.raises(httpx.RemoteProtocolError, match="cut"):
                await anext(body)
            assert (transport.active, transport.idle) == (0, 0)

    run(main())


@on_both_loops
@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot a size\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * (64 * 1024) + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * (256 * 1024),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 4096,
    ],
    ids=["ssh", "two-lengths", "both-framings", "chunk", "101", "101-headers", "64K-head", "no-end", "interim"],
)
def test_an_answer_that_is_not_sound_http_is_refused(run, answer):
    """Garbage, ambiguous framing and heads beyond the limits end as protocol errors."""

    async def script(peer: Peer) -> None:
        await peer.request()
        with contextlib.suppress(ConnectionError):
            await peer.send(answer)
        await peer.gone()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            assert isinstance(await failure(transport, url), httpx.RemoteProtocolError)
            assert transport.idle == 0

    run(main())


@pytest.mark.parametrize("over", [0, 1])
def test_a_head_is_measured_even_when_its_body_came_along(over):
    """64 KiB of names and values are taken, one byte more is not."""
    value = b"y" * (64 * 1024 - len(b"xcontent-length2") + over)
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: " + value + b"\r\n\r\nok"
    parser = AnswerParser()

    if over:
        with pytest.raises(httpx.RemoteProtocolError, match="64 KiB"):
            parser.feed(answer)
    else:
        parser.feed(answer)
        assert parser.take() == b"ok"


@on_both_loops
def test_a_fresh_connection_that_ends_without_an_answer_is_not_tried_again(run):
    """A close is a protocol error, a reset a read error; neither is retried."""
    requests = []

    async def script(peer: Peer) -> None:
        requests.append(await peer.request())
        if peer.number == 1:
            peer.reset()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            closed, reset = await failure(transport, url), await failure(transport, url)

            assert type(closed) is httpx.RemoteProtocolError
            assert type(reset) is httpx.ReadError
            assert isinstance(reset.__cause__, ConnectionResetError)
            assert (len(requests), transport.stale_retries) == (2, 0)

    run(main())


@on_both_loops
def test_a_reset_in_the_body_is_a_read_error(run):
    """A connection that breaks mid-answer is told apart from one that ends."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CUT_LENGTH)
        await peer.reader.read(1)  # the client's word that it has the head
        peer.reset()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            response = await transport.handle_async_request(request(url))
            body = aiter(response.stream)
            first = await anext(body)
            response.stream._source._transport.write(b"!")

            assert first == b"12345"
            with pytest.raises(httpx.ReadError):
                await anext(body)

    run(main())


@on_both_loops
@pytest.mark.parametrize("started", [b"", b"HTTP/1.1 200 OK\r\nx:", CUT_LENGTH], ids=["silent", "head", "body"])
def test_a_server_that_stalls_runs_into_the_read_deadline(run, started):
    """The wait for the head, and for each piece of the body, ends in time."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(started)
        await peer.gone()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            error = await failure(transport, url, timeout={"read": TINY_S})

            assert type(error) is httpx.ReadTimeout
            assert transport.idle == 0

    run(main())


@on_both_loops
def test_the_first_byte_has_a_deadline_of_its_own(run):
    """`first_byte_timeout` bounds the head alone: `read` may be longer, or none."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            error = await failure(transport, url, timeout={"read": None}, extensions={"first_byte_timeout": TINY_S})

            assert type(error) is httpx.ReadTimeout

    run(main())


@on_both_loops
def test_a_server_that_takes_nothing_runs_into_the_write_deadline(run):
    """A request that the peer does not read ends in time."""

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()
        await stuck.wait()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            body = bytes(32 * 1024 * 1024)
            error = await failure(transport, url, method="POST", content=body, timeout={"write": TINY_S})

            assert type(error) is httpx.WriteTimeout

    stuck = asyncio.Event()
    run(main())


@on_both_loops
def test_an_answer_before_the_request_is_sent_is_taken(run):
    """An early refusal of a long request is read, and its connection not used again."""

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.writer.transport.pause_reading()
        await peer.send(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n")
        await stuck.wait()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            answer = await fetch(transport, url, "POST", content=bytes(32 * 1024 * 1024))

            assert answer == (413, b"")
            assert (transport.active, transport.idle) == (0, 0)

    stuck = asyncio.Event()
    run(main())


@on_both_loops
def test_a_port_that_nobody_listens_on_is_a_connect_error(run):
    """A refused connection says which host, and keeps the system's words in its cause."""

    async def main() -> None:
        with socket.socket() as reserved:  # bound and not listening: refuses
            reserved.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
            async with calling() as transport:
                error = await failure(transport, url, headers={"authorization": "Bearer secret"})

        assert type(error) is httpx.ConnectError
        assert isinstance(error.__cause__, OSError)
        assert "secret" not in repr(error)

    run(main())


def left_alone():
    """Return an event, and a script that sends half of an answer and sets it when nobody listens any more."""
    went = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CUT_LENGTH)
        await peer.gone()
        went.set()

    return went, script


@on_both_loops
def test_a_body_closed_early_closes_its_connection(run):
    """The server sees its answer refused; nothing is kept."""
    went, script = left_alone()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            response = await transport.handle_async_request(request(url))
            await response.stream.aclose()
            await response.stream.aclose()
            await went.wait()

            assert (transport.active, transport.idle) == (0, 0)
            with pytest.raises(httpx.StreamClosed):
                await anext(aiter(response.stream))

    run(main())


@on_both_loops
def test_a_reader_cancelled_while_it_waits_closes_the_connection(run):
    """In the turn of the cancellation the place is free, though the server sends no more."""
    went, script = left_alone()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            response = await transport.handle_async_request(request(url))
            reader = asyncio.create_task(response.stream.read_body(10))
            await until(lambda: response.stream.waiting_bytes == 0)
            reader.cancel()
            await asyncio.wait([reader])

            assert reader.cancelled()
            assert (transport.active, transport.idle) == (0, 0)
            await went.wait()

    run(main())


@on_both_loops
def test_a_reader_that_reads_nothing_holds_the_sender_back(run):
    """Of 10 MB sent, no more than the limit and one read's worth wait here; then all is read."""
    size = 10 * 1024 * 1024

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size))
        await peer.answer_all()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            response = await transport.handle_async_request(request(url))
            await until(lambda: response.stream.waiting_bytes > WAITING_BYTES_HIGH)
            await turns(500)
            assert response.stream.waiting_bytes <= WAITING_BYTES_HIGH + 256 * 1024

            body = await response.stream.read_body(size)

            assert body == bytes(size)
            assert await fetch(transport, url) == (200, b"ok")
            assert transport.connections_opened == 1

    run(main())
