"""Cancelled at any moment, the books close: exactly one end for each hold, and no credit is lost."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from margin.journal import JournalBroken
from proxy import identity
from proxy.api.hot import ExchangeTurn
from proxy.server.turn import Head
from proxy.settings import Terms
from proxy.wire.errors import ProxyError
from proxy.wire.headers import Headers
from tests.proxy.scene import CUSTOMER, LENT, Record, Scene, cancelled_at, charged_milli, check_books, scene

TURNS_MAX = 400
"""No exchange here awaits more often: a loop that does not reach its end is a bug of the test."""


def asked(tmp_path: Path, turn: int, prompt: str, *, stream: bool, part: str) -> tuple[Scene, bool]:
    """Play one exchange, its `part` cancelled at a turn; say whether it had so many."""
    folder = tmp_path / str(turn)
    folder.mkdir()

    async def whole(here: Scene) -> None:
        reply = await here.ask(prompt, stream=stream)
        if reply.relay is not None:
            await reply.relay.run(here.caller)

    async def pumped(here: Scene) -> None:
        reply = await here.ask(prompt, stream=stream)
        assert reply.relay is not None
        await cancelled_at(reply.relay._run(here.caller), turn)

    async def main() -> tuple[Scene, bool]:
        async with scene(folder) as here:
            work = pumped(here) if part == "pump" else cancelled_at(whole(here), turn)
            (outcome,) = await asyncio.gather(asyncio.ensure_future(work), return_exceptions=True)
            assert outcome is None or isinstance(outcome, asyncio.CancelledError | ProxyError), repr(outcome)
        return here, isinstance(outcome, asyncio.CancelledError)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("prompt", "stream", "part"),
    [
        ("hi [[sim: tokens=5]]", False, "exchange"),
        ("hi [[sim: status=503]]", False, "exchange"),
        ("hi [[sim: tokens=5]]", True, "exchange"),
        ("hi [[sim: tokens=5]]", True, "pump"),
        ("hi [[sim: error_in_stream=3 tokens=5]]", True, "pump"),
    ],
    ids=["plain", "fallbacks", "stream", "pump", "pump of an error"],
)
def test_a_cancellation_at_any_await_closes_the_books(tmp_path: Path, prompt: str, stream: bool, part: str) -> None:
    """At the first, the second, … up to the last: one end for a hold, and lent = left + charged."""
    reached = 0
    for turn in range(1, TURNS_MAX):
        found, was_cancelled = asked(tmp_path, turn, prompt, stream=stream, part=part)
        check_books(found.records())
        assert found.spent_milli == charged_milli(found.records()), turn
        if not was_cancelled:
            break
        reached = turn

    assert 2 <= reached < TURNS_MAX - 1
    assert not was_cancelled


def test_a_cancelled_stream_is_read_to_its_end(tmp_path: Path) -> None:
    """A server that cancels its task when the caller leaves changes nothing of the bill."""

    async def main() -> Scene:
        async with scene(tmp_path) as here:
            task = asyncio.ensure_future(here.stream("hi [[sim: tokens=20]]"))
            here.caller.at[3] = task.cancel
            with pytest.raises(asyncio.CancelledError):
                await task
            assert here.kinds() == ["held", "mark"]
        return here

    found = asyncio.run(main())

    end = found.end()
    check_books(found.records())
    assert found.caller.sends < 20
    assert not found.caller.is_done
    assert (end["o"], end["a"][0]["kind"], end["a"][0]["u"]["output"]) == ("client_gone", "model", 20)


def call_in(record: Record) -> Record | None:
    """The call a record tells of: of its own, or the first one, inside the hold."""
    return record if record["k"] == "called" else record.get("call")


def test_a_cancelled_call_has_its_cost_line(tmp_path: Path) -> None:
    """What the provider was sent it may bill: for each call in the journal there is a line at the end."""
    calls = 0
    for turn in range(1, TURNS_MAX):
        found, was_cancelled = asked(tmp_path, turn, "hi [[sim: tokens=5]]", stream=False, part="exchange")
        if not was_cancelled:
            break
        called = [call["n"] for record in found.records() if (call := call_in(record)) is not None]
        calls += len(called)
        assert [line["n"] for record in found.records() for line in record.get("a", [])] == called

    assert calls > 0


# ---- through the server's door -------------------------------------------------------------------------------------


class Server:
    """What the server gives to a turn: one request, and a place for its answer."""

    def __init__(self, here: Scene, prompt: str, *, stream: bool, model: str = "auto:simple") -> None:
        id_, key, digest = identity.new_key()
        here.world.identity.put_key(id_, digest, CUSTOMER, ["serve"])
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": stream}
        self._world, self._body = here.world, orjson.dumps(body)
        self._head = Head(b"POST", b"/v1/chat/completions", [(b"authorization", b"Bearer " + key.encode())])
        self.on_left: Callable[[], None] | None = None
        self.status, self.body, self.sends = 0, b"", 0
        self.headers: Headers = []
        self.fails_at: int | None = None
        self.has_ended = False

    async def ask(self) -> None:
        """Let the turn run."""
        await ExchangeTurn(self._world, self._head, "chat").run(self._body, self)

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Take a whole answer."""
        self.status, self.headers, self.body, self.has_ended = status, headers, body, True

    def begin(self, status: int, headers: Headers) -> None:
        """Take the head of a stream."""
        self._may_fail()
        self.status, self.headers = status, headers

    async def send(self, data: bytes) -> None:
        """Take a part of it."""
        await asyncio.sleep(0)
        self._may_fail()
        self.body += data

    def end(self) -> None:
        """Take its end."""
        self.has_ended = True

    def _may_fail(self) -> None:
        if self.fails_at == self.sends:
            raise ConnectionResetError("gone")
        self.sends += 1


def through_the_door(
    tmp_path: Path, turn: int, *, stream: bool, fails_at: int | None = None
) -> tuple[Scene, Server, BaseException | None]:
    """Serve one request as the server would, cancelled at a turn; return how it ended."""
    folder = tmp_path / str(turn)
    folder.mkdir()

    async def main() -> tuple[Scene, Server, BaseException | None]:
        async with scene(folder) as here:
            server = Server(here, "hi [[sim: tokens=5]]", stream=stream)
            server.fails_at = fails_at
            task = asyncio.ensure_future(cancelled_at(server.ask(), turn))
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert here.world.exchanges_open == 0
        return here, server, outcome

    return asyncio.run(main())


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_server_may_cancel_its_task_at_any_await(tmp_path: Path, stream: bool) -> None:
    """Also between the exchange and the first byte, and between the bytes."""
    for turn in range(1, TURNS_MAX):
        found, _, outcome = through_the_door(tmp_path, turn, stream=stream)
        check_books(found.records())
        assert found.spent_milli == charged_milli(found.records())
        if outcome is None:
            break

    assert turn > 3
    assert outcome is None


@pytest.mark.parametrize("fails_at", [0, 1, 2, 3])
def test_a_send_that_fails_closes_the_books(tmp_path: Path, fails_at: int) -> None:
    """At the head, at the first event, at later ones: the caller left, and the bill is its own all the same."""
    found, _, outcome = through_the_door(tmp_path, 0, stream=True, fails_at=fails_at)

    assert outcome is None
    check_books(found.records())
    assert found.end()["o"] == "client_gone"


@pytest.mark.parametrize("stream", [False, True])
def test_whole_answers_go_through_the_door(tmp_path: Path, stream: bool) -> None:
    """The same door with nobody in the way: 200, and one settlement."""
    found, server, outcome = through_the_door(tmp_path, 0, stream=stream)

    assert (outcome, server.status) == (None, 200)
    assert found.end()["o"] == "ok"
    assert server.body.endswith(b"data: [DONE]\n\n" if stream else b"}")


def test_a_bug_of_ours_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """500 in our own words; the hold went back; the exception stays in the log, where and in which exchange it was."""

    async def buggy(*_: Any, **_kw: Any) -> Any:
        await asyncio.sleep(0)
        raise RuntimeError("password=hunter2")

    async def main() -> tuple[Scene, Server]:
        async with scene(tmp_path) as here:
            monkeypatch.setattr(here.world.upstream, "call", buggy)
            server = Server(here, "hi", stream=False)
            await server.ask()
        return here, server

    found, server = asyncio.run(main())

    assert server.status == 500
    assert b"hunter2" not in server.body
    assert b"Traceback" not in server.body
    assert orjson.loads(server.body)["error"]["type"] == "server_error"
    assert (found.end()["k"], found.spent_milli) == ("void", 0)
    assert "hunter2" in caplog.text
    assert "in in_turn" in caplog.text
    assert f"in exchange {found.end()['x']}" in caplog.text


@pytest.mark.parametrize("written", [0, 1])
@pytest.mark.parametrize("stream", [False, True])
def test_a_full_disk_shows_nothing(tmp_path: Path, written: int, stream: bool) -> None:
    """503 before the first byte, with a time to come back, or a stream that just ends; no word of the cause."""

    async def main() -> Server:
        async with scene(tmp_path) as here:
            here.journal.fails_at = written
            server = Server(here, "hi [[sim: tokens=5]]", stream=stream)
            await asyncio.gather(asyncio.ensure_future(server.ask()), return_exceptions=True)
        return server

    server = asyncio.run(main())

    assert b"disk" not in server.body
    assert b"Traceback" not in server.body
    assert b"[DONE]" not in server.body
    if stream and written == 1:
        assert server.status == 200
    else:
        assert server.status == 503
        assert (b"retry-after", b"5") in server.headers


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_charged_and_is_not_durable_is_not_asked_again(tmp_path: Path, stream: bool) -> None:
    """With `sync: always` a disk that fails after the settlement: the caller learns that it paid, and not to retry."""

    def refuse() -> None:
        raise JournalBroken("the disk failed")

    async def main() -> tuple[Scene, Server]:
        async with scene(tmp_path) as here:
            settings = here.world.settings
            here.world.adopt(replace(settings, server=replace(settings.server, sync="always")))
            here.journal.sync = refuse  # type: ignore[method-assign]
            server = Server(here, "hi [[sim: tokens=5]]", stream=stream)
            await server.ask()
            del here.journal.sync
        return here, server

    found, server = asyncio.run(main())

    assert b"was charged" in server.body
    assert b"[DONE]" not in server.body
    assert found.end()["k"] == "settled"
    if not stream:
        assert server.status == 503
        assert (b"x-should-retry", b"false") in server.headers
        assert b"retry-after" not in dict(server.headers)


def test_slow_bodies_of_one_customer_leave_places_for_others(tmp_path: Path) -> None:
    """Sixteen places, and seventeen heads of one customer whose bodies never come: it holds fourteen, others get in."""

    async def main() -> None:
        async with scene(tmp_path) as here:
            world = here.world
            world.settings = replace(world.settings, server=replace(world.settings.server, exchanges_max=16))
            greedy, modest = Server(here, "hi", stream=False), Server(here, "hi", stream=False)
            other = identity.new_key()
            world.identity.put_customer(2, "modest", "open")
            world.identity.put_key(other[0], other[2], 2, ["serve"])
            modest._head = Head(b"POST", b"/v1/chat/completions", [(b"authorization", b"Bearer " + other[1].encode())])

            turns = [ExchangeTurn(world, greedy._head, "chat") for _ in range(14)]
            for _ in range(3):
                await greedy.ask()
                assert (greedy.status, world.exchanges_open) == (429, 14)
            await modest.ask()
            for each in turns:
                assert each.error is None
                each.abandon()

            assert modest.status == 200
            assert (world.exchanges_open, world.crowd._open) == (0, {})

    asyncio.run(main())


def test_who_is_refused_takes_no_place(tmp_path: Path) -> None:
    """Forty heads with a key that is none, whose bodies never come, in a house of sixteen: another caller is served."""

    async def main() -> None:
        async with scene(tmp_path) as here:
            world = here.world
            world.settings = replace(world.settings, server=replace(world.settings.server, exchanges_max=16))
            head = Head(b"POST", b"/v1/chat/completions", [(b"authorization", b"Bearer sk-penstock-nobody")])
            refused = [ExchangeTurn(world, head, "chat") for _ in range(40)]
            assert {each.error.status for each in refused if each.error is not None} == {401}

            server = Server(here, "hi", stream=False)
            await server.ask()
            for each in refused:
                each.abandon()

            assert (server.status, world.exchanges_open) == (200, 0)

    asyncio.run(main())


def test_too_many_at_once_are_refused(tmp_path: Path) -> None:
    """Before anything is read: 503, and nothing in the books."""

    async def main() -> tuple[Scene, Server]:
        async with scene(tmp_path) as here:
            here.world.exchanges_open = here.world.settings.server.exchanges_max
            server = Server(here, "hi", stream=False)
            started = time.perf_counter()
            await server.ask()
            assert time.perf_counter() - started < 1
            assert here.world.exchanges_open == here.world.settings.server.exchanges_max
        return here, server

    found, server = asyncio.run(main())

    assert server.status == 503
    assert found.records() == []
    assert found.world.wallets.left_milli(CUSTOMER) in {None, LENT}


def test_one_request_is_one_end_and_a_refusal_is_none(tmp_path: Path) -> None:
    """What says how soon a place is free counts places that came free, and not how often it was asked."""

    async def main() -> None:
        async with scene(tmp_path) as here:
            limits = replace(here.world.settings.limits, key_defaults=Terms(rpm=1))
            here.world.settings = replace(here.world.settings, limits=limits)
            server = Server(here, "hi", stream=False)
            for status in (200, 429, 429):
                await server.ask()
                assert server.status == status

            assert here.world.crowd._left == 1

    asyncio.run(main())
