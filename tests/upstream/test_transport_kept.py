"""Connections kept for reuse: when they are dropped, and when a request on one is sent again."""

import asyncio

import httpx
import pytest

from proxy.upstream import connection as connection_module
from proxy.upstream.transport import PoolLimits, StaleConnection
from tests.upstream.scripted import OK, Peer, calling, failure, fetch, on_both_loops, serving, until

TINY_S = 0.05


@on_both_loops
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_kept_connection_that_turns_out_closed_is_replaced(run, how):
    """A request that crosses the peer's close is sent once more, on a fresh connection."""
    requests = []

    async def script(peer: Peer) -> None:
        if peer.number == 1:
            return await peer.answer_all()
        await peer.request()
        await peer.send(OK)
        requests.append(await peer.request())
        return peer.reset() if how == "reset" else None

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            answers = [await fetch(transport, url, "POST", content=b"x") for _ in range(2)]

            assert answers == [(200, b"ok")] * 2
            assert (len(requests), transport.stale_retries, transport.connections_opened) == (1, 1, 2)
            assert (transport.active, transport.idle) == (0, 1)

    run(main())


@pytest.mark.parametrize(
    ("last_words", "options", "window_s"),
    [(b"", {"retry_stale": False}, 2.0), (b"H", {}, 2.0), (b"", {}, -1.0)],
    ids=["off", "answered", "late"],
)
def test_a_failure_that_may_mean_work_done_is_not_tried_again(monkeypatch, last_words, options, window_s):
    """With the option off, after a byte of an answer, or late, the caller decides."""
    monkeypatch.setattr(connection_module, "STALE_WINDOW_S", window_s)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.send(last_words)

    async def main() -> None:
        async with serving(script) as url, calling(**options) as transport:
            await fetch(transport, url)
            error = await failure(transport, url)

            assert isinstance(error, httpx.RemoteProtocolError)
            assert isinstance(error, StaleConnection) == (options != {})
            assert (transport.stale_retries, transport.connections_opened) == (0, 1)

    asyncio.run(main())


def test_a_stale_connection_is_replaced_only_once():
    """When the fresh connection closes too, that is the answer."""

    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.send(OK)
            await peer.request()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            await fetch(transport, url)
            error = await failure(transport, url)

            assert type(error) is httpx.RemoteProtocolError
            assert (transport.stale_retries, transport.connections_opened) == (1, 2)

    asyncio.run(main())


@on_both_loops
@pytest.mark.parametrize("parting", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"], ids=["close", "bytes"])
def test_an_idle_connection_that_speaks_or_ends_is_dropped_at_once(run, parting):
    """A close, or bytes that nobody asked for, take the connection out of the pool."""
    told = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await told.wait()
        await peer.send(parting)

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            await fetch(transport, url)
            assert transport.idle == 1
            told.set()

            await until(lambda: transport.idle == 0)
            assert transport.active == 0

    run(main())


@on_both_loops
@pytest.mark.parametrize("surplus", [OK, b"x", b"HTTP/1.1 200 OK\r\n"], ids=["answer", "garbage", "half"])
def test_bytes_after_an_answer_spoil_its_connection(run, surplus):
    """A second answer to one request could be taken for the next one's: it never is."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK + surplus)
        await peer.gone()

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            assert await fetch(transport, url) == (200, b"ok")
            assert (transport.active, transport.idle) == (0, 0)

    run(main())


@on_both_loops
def test_an_idle_connection_expires(run):
    """One that nobody used for `idle_s` is closed by us."""
    went = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.gone()
        went.set()

    async def main() -> None:
        async with serving(script) as url, calling(limits=PoolLimits(idle_s=TINY_S)) as transport:
            await fetch(transport, url)
            await went.wait()

            assert (transport.active, transport.idle) == (0, 0)

    run(main())


@on_both_loops
def test_requests_of_one_template_differ_in_their_bodies_alone(run):
    """What they have in common is serialised once; each has its own body and its own length."""
    seen = []

    async def script(peer: Peer) -> None:
        for _ in range(3):
            seen.append(await peer.request())
            await peer.send(OK)

    async def main() -> None:
        async with serving(script) as url, calling() as transport:
            shared = {"template": {}}
            for body in (b"one", b"and three", b""):
                request = httpx.Request("POST", url, headers={"x-a": "b"}, content=body, extensions=shared)
                response = await transport.handle_async_request(request)
                assert await response.aread() == b"ok"

    run(main())

    heads, bodies = zip(*seen, strict=True)
    assert bodies == (b"one", b"and three", b"")
    assert [b"content-length: %d\r\n" % len(body) in head for head, body in seen] == [True] * 3
    assert heads[0].replace(b"length: 3", b"length: 9") == heads[1]
    assert heads[0].replace(b"length: 3", b"length: 0") == heads[2]
