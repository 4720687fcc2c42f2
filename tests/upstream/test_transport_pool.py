"""Who gets a connection, in what order, and that none is ever lost."""

import asyncio
import contextlib
import random
import ssl

import httpx
import pytest

from proxy.outbox import Outbox
from proxy.upstream.connection import Connection, Origin, Waits
from proxy.upstream.pool import Pool
from proxy.upstream.transport import PoolLimits, StaleConnection
from tests.upstream.scripted import OK, FakeSocket, Peer, calling, fetch, on_both_loops, request, serving, turns, until

TINY_S = 0.05
ONE = PoolLimits(per_origin_max=1)
ORIGIN = Origin(is_tls=False, host="h", port=80)
FOREVER = Waits(None, None, None, None, None)


def pool_of_fakes() -> Pool:
    """A pool of one place, whose connections lead nowhere."""

    async def open_nowhere(origin: Origin, _connect_s: float | None) -> Connection:
        connection = Connection(pool, origin, 30.0, Outbox(asyncio.get_running_loop()))
        connection.connection_made(FakeSocket())
        return connection

    pool = Pool(ONE, ssl.create_default_context())
    pool._open = open_nowhere
    return pool


@on_both_loops
@pytest.mark.parametrize("ending", [b"", b"connection: close\r\n"], ids=["kept", "closed"])
def test_the_line_is_first_come_first_served(run, ending):
    """With one connection, five requests are served one at a time in the order they came."""
    served = []

    async def script(peer: Peer) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head, _ = await peer.request()
                served.append(head.split(b" ")[1])
                await peer.send(b"HTTP/1.1 200 OK\r\n" + ending + b"content-length: 2\r\n\r\nok")

    async def main() -> None:
        async with serving(script) as url, calling(limits=ONE) as transport:
            calls = [fetch(transport, f"{url}/{number}") for number in range(5)]
            answers = await asyncio.gather(*calls)

            assert answers == [(200, b"ok")] * 5
            assert served == [b"/%d" % number for number in range(5)]
            assert transport.connections_opened == (5 if ending else 1)
            assert (transport.active, transport.waiting) == (0, 0)

    run(main())


@on_both_loops
def test_the_wait_in_line_has_a_deadline(run):
    """A request that gets no connection in time leaves the line with `PoolTimeout`."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async def main() -> None:
        async with serving(script) as url, calling(limits=ONE) as transport:
            holder = asyncio.create_task(fetch(transport, url))
            await turns(1)
            with pytest.raises(httpx.PoolTimeout):
                await fetch(transport, url, timeout={"pool": TINY_S})

            assert (transport.active, transport.waiting) == (1, 0)
            holder.cancel()
            await asyncio.wait([holder])
            assert transport.active == 0

    run(main())


def test_the_line_is_bounded():
    """One more than may wait is refused at once."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async def main() -> None:
        limits = PoolLimits(per_origin_max=1, line_max=1)
        async with serving(script) as url, calling(limits=limits) as transport:
            tasks = [asyncio.create_task(fetch(transport, url)) for _ in range(2)]
            await turns(1)
            with pytest.raises(httpx.PoolTimeout):
                await fetch(transport, url)

            assert (transport.active, transport.waiting) == (1, 1)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert (transport.active, transport.waiting) == (0, 0)

    asyncio.run(main())


@on_both_loops
def test_an_idle_connection_yields_its_place_to_another_origin(run):
    """At the total limit the connection idle elsewhere is closed, not the request kept waiting."""

    async def main() -> None:
        limits = PoolLimits(connections_max=1)
        async with (
            serving(Peer.answer_all) as one,
            serving(Peer.answer_all) as two,
            calling(limits=limits) as transport,
        ):
            answers = [await fetch(transport, url) for url in (one, two, one)]

            assert answers == [(200, b"ok")] * 3
            assert (transport.connections_opened, transport.active, transport.idle) == (3, 0, 1)

    run(main())


@on_both_loops
def test_a_place_passes_from_origin_to_origin(run):
    """At the total limit, whoever waits for another origin gets the place, in order of coming."""
    served = []

    async def script(peer: Peer) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head, _ = await peer.request()
                served.append(head.split(b" ")[1])
                await peer.send(OK)

    async def main() -> None:
        limits = PoolLimits(connections_max=1)
        async with serving(script) as one, serving(script) as two, calling(limits=limits) as transport:
            urls = [f"{one}/0", f"{two}/1", f"{one}/2", f"{one}/3", f"{two}/4"]
            answers = await asyncio.gather(*[fetch(transport, url) for url in urls])

            assert answers == [(200, b"ok")] * 5
            assert served == [b"/%d" % number for number in range(5)]
            assert (transport.active, transport.idle, transport.waiting) == (0, 1, 0)

    run(main())


@on_both_loops
def test_no_more_are_kept_idle_than_allowed(run):
    """Of three connections given back, one is kept and two are closed."""
    barrier = asyncio.Barrier(3)

    async def script(peer: Peer) -> None:
        await peer.request()
        await barrier.wait()
        await peer.send(OK)
        await peer.gone()

    async def main() -> None:
        limits = PoolLimits(idle_per_origin_max=1)
        async with serving(script) as url, calling(limits=limits) as transport:
            await asyncio.gather(*[fetch(transport, url) for _ in range(3)])

            assert (transport.connections_opened, transport.active, transport.idle) == (3, 0, 1)

    run(main())


@on_both_loops
def test_a_request_cancelled_at_any_turn_leaves_nothing_behind(run):
    """Cancelled after every number of turns of the loop, no place is lost and none is spoilt."""

    async def script(peer: Peer) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await peer.request()
                for part in (b"HTTP/1.1 200 OK\r\ncontent-", b"length: 10\r\n\r\n", b"12345", b"67890"):
                    await peer.send(part)
                    await turns(2)

    async def main() -> None:
        outcomes = set()
        async with serving(script) as url, calling(limits=ONE) as transport:
            for count in range(60):
                if count % 2:  # every other time on a connection kept from before
                    await fetch(transport, url)
                call = asyncio.create_task(fetch(transport, url, "POST", content=b"x" * 1000))
                await turns(count)
                call.cancel()
                await asyncio.wait([call])

                outcomes.add(call.cancelled())
                assert (transport.active, transport.waiting) == (0, 0)
                assert await fetch(transport, url) == (200, b"1234567890")
        assert outcomes == {True, False}

    run(main())


@on_both_loops
@pytest.mark.parametrize("ending", [b"", b"connection: close\r\n"], ids=["kept", "closed"])
def test_a_waiter_cancelled_at_any_turn_passes_its_place_on(run, ending):
    """Also when it was just being handed the connection, or the place: the one behind it is served."""
    answer = b"HTTP/1.1 200 OK\r\n" + ending + b"content-length: 2\r\n\r\nok"

    async def main() -> None:
        async with (
            serving(lambda peer: peer.answer_all(answer)) as url,
            calling(limits=ONE) as transport,
        ):
            for count in range(25):
                first, second, third = [asyncio.create_task(fetch(transport, url)) for _ in range(3)]
                await turns(count)
                second.cancel()

                assert await first == (200, b"ok")
                assert await third == (200, b"ok")
                await asyncio.wait([second])
                assert (transport.active, transport.waiting) == (0, 0)

    run(main())


@pytest.mark.parametrize("is_cancelled", [True, False])
@pytest.mark.parametrize("is_kept", [True, False])
def test_what_is_granted_in_the_turn_of_a_cancellation_is_not_lost(is_cancelled, is_kept):
    """A waiter granted a connection or a place, and cancelled before it knew, hands it back."""

    async def main() -> None:
        pool = pool_of_fakes()
        first = await pool.acquire(ORIGIN, FOREVER)
        waiter = asyncio.create_task(pool.acquire(ORIGIN, FOREVER))
        await turns(1)

        pool.released(first) if is_kept else first.abort()
        assert pool.active == 1
        if is_cancelled:
            waiter.cancel()
        await asyncio.wait([waiter])

        assert pool.active == (0 if is_cancelled else 1)
        assert pool.idle == (1 if is_cancelled and is_kept else 0)

    asyncio.run(main())


def test_a_connection_that_ends_on_its_way_to_a_waiter_is_replaced():
    """The waiter finds it closed and opens another in its place."""

    async def main() -> None:
        pool = pool_of_fakes()
        first = await pool.acquire(ORIGIN, FOREVER)
        waiter = asyncio.create_task(pool.acquire(ORIGIN, FOREVER))
        await turns(1)

        pool.released(first)
        first.eof_received()
        second = await waiter

        assert second is not first
        assert not second.is_closed
        assert (pool.active, pool.reused) == (1, 0)

    asyncio.run(main())


@on_both_loops
def test_closing_ends_what_is_under_way_and_refuses_the_rest(run):
    """A reader gets `ReadError`, one in line and one who comes later `ConnectError`."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345")
        await peer.gone()

    async def main() -> None:
        async with serving(script) as url, calling(limits=ONE) as transport:
            response = await transport.handle_async_request(request(url))
            waiter = asyncio.create_task(fetch(transport, url))
            await until(lambda: transport.waiting == 1)

            await transport.aclose()

            with pytest.raises(httpx.ReadError):
                await response.stream.read_body(10)
            with pytest.raises(httpx.ConnectError):
                await waiter
            with pytest.raises(httpx.ConnectError):
                await fetch(transport, url)
            assert (transport.active, transport.idle, transport.waiting) == (0, 0, 0)

    run(main())


@on_both_loops
def test_a_crowd_of_callers_and_cancellations_leaves_nothing_behind(run):
    """Three origins, few places, servers that close at whim: in the end nothing is taken."""
    chance = random.Random(20260101)

    async def script(peer: Peer) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await peer.request()
                await turns(chance.randrange(4))
                whim = chance.randrange(8)
                await peer.send(OK[: -chance.randrange(1, 10)] if whim == 0 else OK)
                if whim < 2:
                    return

    async def main() -> None:
        limits = PoolLimits(connections_max=4, per_origin_max=2, idle_per_origin_max=1)
        async with (
            serving(script) as one,
            serving(script) as two,
            serving(script) as three,
            calling(limits=limits) as transport,
        ):
            calls = []
            for _ in range(400):
                calls.append(asyncio.create_task(fetch(transport, chance.choice((one, two, three)))))
                await turns(chance.randrange(6))
                if chance.randrange(3) == 0:
                    chance.choice(calls).cancel()
                assert transport.active + transport.idle <= 4
            outcomes = await asyncio.gather(*calls, return_exceptions=True)

            assert (transport.active, transport.waiting) == (0, 0)
            expected = (tuple, asyncio.CancelledError, httpx.RemoteProtocolError, httpx.ReadError)
            assert {type(outcome) for outcome in outcomes} <= {*expected, StaleConnection}
            assert outcomes.count((200, b"ok")) > 100

    run(main())
