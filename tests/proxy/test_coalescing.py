"""The same request many times at once: one call, one answer for all; each is charged, and nobody waits for nothing."""

import asyncio
from pathlib import Path

import orjson
import pytest

from proxy import repeating
from proxy.identity import Principal
from proxy.wire import sse
from proxy.wire.errors import ProxyError
from tests.proxy.scene import Caller, Scene
from tests.proxy.test_exchange import SIMPLE, play
from tests.proxy.test_repeating import ASKED, cache_of, text_of

MANY = 25


def test_many_who_ask_the_same_at_once_share_one_call(tmp_path: Path) -> None:
    """One is called for, the others get its answer; each is charged by the plan."""

    async def act(here: Scene) -> None:
        replies = await asyncio.gather(*(here.ask(ASKED) for _ in range(MANY)))
        assert len({reply.body for reply in replies}) == 1
        assert sorted(cache_of(reply) for reply in replies) == [b"hit"] * (MANY - 1) + [b"miss"]
        assert len(here.world.flights) == 0

    here = play(tmp_path, act, repeats=True)

    assert len(here.billed()) == 1
    assert here.spent_milli == MANY * SIMPLE
    assert sum(record["k"] == "repeated" for record in here.records()) == MANY - 1


def test_streams_and_plain_answers_share_it_too(tmp_path: Path) -> None:
    """Whoever is first: the others get the same words in their own form."""

    async def one(here: Scene, *, stream: bool) -> str:
        reply = await here.ask(ASKED, stream=stream)
        if reply.relay is None:
            return str(orjson.loads(reply.body)["choices"][0]["message"]["content"])
        caller = Caller()
        await reply.relay.run(caller)
        assert caller.payloads[-1] == sse.DONE
        return text_of(caller.payloads)

    async def act(here: Scene) -> None:
        told = await asyncio.gather(*(one(here, stream=number % 2 == 0) for number in range(MANY)))
        assert len(set(told)) == 1

    assert len(play(tmp_path, act, repeats=True).billed()) == 1


def test_a_stream_whose_caller_left_still_serves_those_who_wait(tmp_path: Path) -> None:
    """The first goes away after its first bytes; its answer is read on, and the others get it."""

    async def act(here: Scene) -> None:
        first = await here.ask(ASKED, stream=True)
        assert first.relay is not None
        waiting = asyncio.ensure_future(here.ask(ASKED))
        first.relay.left()
        await first.relay.run(Caller())
        assert cache_of(await waiting) == b"hit"

    assert len(play(tmp_path, act, repeats=True).billed()) == 1


def test_a_call_that_fails_is_followed_by_another_one_s(tmp_path: Path) -> None:
    """The first is refused by the provider; one of those who waited calls, and the rest get that answer."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("status=400", times=1)
        told = await asyncio.gather(*(here.ask(ASKED) for _ in range(MANY)), return_exceptions=True)
        failed = [each for each in told if isinstance(each, ProxyError)]
        served = [each for each in told if not isinstance(each, BaseException)]
        assert (len(failed), len(served)) == (1, MANY - 1)
        assert len(here.world.flights) == 0

    assert len(play(tmp_path, act, repeats=True).billed()) == 1


def test_whoever_is_cancelled_harms_nobody(tmp_path: Path) -> None:
    """The one who calls, and one who waits, go away: the rest are answered, and the books have no open end."""

    async def act(here: Scene) -> None:
        asked = [asyncio.ensure_future(here.ask(ASKED)) for _ in range(MANY)]
        while not here.world.flights:
            await asyncio.sleep(0)
        asked[0].cancel()
        asked[MANY - 1].cancel()
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each).__name__ for each in told].count("CancelledError") == 2
        assert [type(each).__name__ for each in told].count("Reply") == MANY - 2
        assert len(here.world.flights) == 0

    play(tmp_path, act, repeats=True)


def test_customers_share_nothing(tmp_path: Path) -> None:
    """Byte for byte the same, at the same moment: a call for each of the two."""

    async def act(here: Scene) -> None:
        here.world.identity.put_customer(2, "globex", "open")
        first = [asyncio.ensure_future(here.ask(ASKED)) for _ in range(3)]
        await asyncio.sleep(0)
        here.principal = Principal("key_2", 2, "globex", "open", frozenset({"serve"}))
        second = [asyncio.ensure_future(here.ask(ASKED)) for _ in range(3)]
        await asyncio.gather(*first, *second)

    assert len(play(tmp_path, act, repeats=True, plan="open").billed()) == 2


@pytest.mark.parametrize("word", [b"no-cache", b"no-store"])
def test_who_wants_an_answer_of_its_own_gets_one(tmp_path: Path, word: bytes) -> None:
    """Callers who say so wait for nobody."""

    async def act(here: Scene) -> None:
        asked = (here.ask(ASKED, headers={b"x-penstock-cache": word}) for _ in range(3))
        replies = await asyncio.gather(*asked)
        assert b"hit" not in [cache_of(reply) for reply in replies]

    assert len(play(tmp_path, act, repeats=True).billed()) == 3


def test_nobody_waits_longer_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream is waited for as long as somebody looks at a blank page; then a call of one's own."""
    monkeypatch.setattr(repeating, "FOLLOW_STREAM_S", 0.0)

    async def act(here: Scene) -> None:
        first = await here.ask(ASKED, stream=True)  # nobody reads it yet
        second = await here.ask(ASKED, stream=True)
        assert cache_of(second) == b"miss"
        for reply in (first, second):
            assert reply.relay is not None
            await reply.relay.run(Caller())

    assert len(play(tmp_path, act, repeats=True).billed()) == 2
