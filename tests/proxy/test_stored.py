"""Answers that lie beside the memory: found after a restart, by their own customer, and by no one who wants none."""

import asyncio
from pathlib import Path

import orjson
import pytest

from proxy.caching.answers import Answers
from proxy.caching.stores import opening
from proxy.identity import Principal
from proxy.settings import AnswerStore
from tests.proxy.scene import Scene
from tests.proxy.test_exchange import SIMPLE, play
from tests.proxy.test_repeating import cache_of, streamed, text_of

ASKED = "What is a penstock?"
SECRET = b"s" * 32


async def restarted(here: Scene, folder: Path, secret: bytes = SECRET) -> None:
    """Let the scene begin with an empty memory, and with what lies on the disk."""
    if here.world.answer_store is not None:
        await here.world.answer_store.close()
    said = AnswerStore("disk", deadline_s=5.0)
    here.world.answers, here.world.answer_store = Answers(), opening.opened(said, folder, secret)


def test_an_answer_outlives_a_restart(tmp_path: Path) -> None:
    """It is charged like any repeat, and names the exchange that it repeats; a stream is made of it, too."""

    async def act(here: Scene) -> None:
        await restarted(here, tmp_path)
        first = await here.ask(ASKED)
        await restarted(here, tmp_path)
        second = await here.ask(ASKED)
        assert (cache_of(first), cache_of(second)) == (b"miss", b"hit")
        assert second.body == first.body
        assert dict(second.headers)[b"x-penstock-credits-charged"] == b"1"
        await restarted(here, tmp_path)
        assert text_of(await streamed(here)) == orjson.loads(first.body)["choices"][0]["message"]["content"]
        await here.ask(ASKED)  # in memory by now
        assert here.world.answer_store is not None
        assert here.world.answer_store.counts["hit"] == 1

    here = play(tmp_path, act, repeats=True)

    assert len(here.billed()) == 1
    settled, *repeated = (each for each in here.records() if each["k"] in {"settled", "repeated"})
    assert [(each["dec"]["of"], each["cr"]) for each in repeated] == [(settled["x"], SIMPLE)] * 3


def test_it_is_its_customer_s_and_this_penstock_s(tmp_path: Path) -> None:
    """Byte for byte the same request: of another customer, and of whoever finds the file without the secret."""

    async def act(here: Scene) -> None:
        await restarted(here, tmp_path)
        await here.ask(ASKED)
        first = here.principal
        here.world.identity.put_customer(2, "globex", "open")
        here.principal = Principal("key_2", 2, "globex", "open", frozenset({"serve"}))
        assert cache_of(await here.ask(ASKED)) == b"miss"
        here.principal = first
        await restarted(here, tmp_path, b"o" * 32)
        assert cache_of(await here.ask(ASKED)) == b"miss"

    assert len(play(tmp_path, act, repeats=True, plan="open").billed()) == 3


@pytest.mark.parametrize("word", [b"no-cache", b"no-store", b"max-age=0"])
def test_who_wants_a_fresh_one_gets_it(tmp_path: Path, word: bytes) -> None:
    """What callers say of answers from memory is said of these."""

    async def act(here: Scene) -> None:
        await restarted(here, tmp_path)
        await here.ask(ASKED)
        await restarted(here, tmp_path)
        assert cache_of(await here.ask(ASKED, headers={b"x-penstock-cache": word})) != b"hit"

    assert len(play(tmp_path, act, repeats=True).billed()) == 2


def test_many_who_ask_the_same_look_once(tmp_path: Path) -> None:
    """One looks in the store, the rest find it in memory; nobody calls."""

    async def act(here: Scene) -> None:
        await restarted(here, tmp_path)
        await here.ask(ASKED)
        await restarted(here, tmp_path)
        told = await asyncio.gather(*(here.ask(ASKED) for _ in range(50)))
        assert {cache_of(each) for each in told} == {b"hit"}
        assert here.world.answer_store is not None
        assert dict(here.world.answer_store.counts) == {"hit": 1}
        assert len(here.world.flights) == 0

    assert len(play(tmp_path, act, repeats=True).billed()) == 1


def test_whoever_is_cancelled_while_it_looks_lets_the_next_one_look(tmp_path: Path) -> None:
    """Its flight lands, nothing stays open, and the answer is there for the others."""

    async def act(here: Scene) -> None:
        await restarted(here, tmp_path)
        await here.ask(ASKED)
        await restarted(here, tmp_path)
        first = asyncio.ensure_future(here.ask(ASKED))
        while not here.world.flights:
            await asyncio.sleep(0)
        second = asyncio.ensure_future(here.ask(ASKED))
        await asyncio.sleep(0)
        first.cancel()
        assert cache_of(await second) == b"hit"
        assert len(here.world.flights) == 0

    assert len(play(tmp_path, act, repeats=True).billed()) == 1
