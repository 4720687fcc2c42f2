"""A request that came before: answered from memory, charged by the plan, at no cost, to its own customer only."""

import asyncio
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from proxy.identity import KeyTerms, Principal
from proxy.settings import Budget, Keeping, Terms
from proxy.wire import sse
from proxy.wire.errors import Malformed, OverBudget, Unavailable
from tests.proxy.scene import Caller, Scene, charged_milli
from tests.proxy.test_exchange import SIMPLE, play

ASKED = "What is a penstock?"


def cache_of(reply: object) -> bytes:
    """Return what an answer's header says."""
    return dict(reply.headers)[b"x-penstock-cache"]  # type: ignore[attr-defined]


async def streamed(here: Scene, prompt: str = ASKED, **fields: object) -> list[object]:
    """Stream an answer; return its events' data."""
    here.caller = Caller()
    await here.stream(prompt, **fields)
    return here.caller.payloads


def text_of(events: list[object]) -> str:
    """Return the words of a stream."""
    deltas = [each["choices"][0]["delta"] for each in events if each != sse.DONE and each["choices"]]  # type: ignore[index,call-overload]
    return "".join(each.get("content") or "" for each in deltas)


def test_the_second_answer_is_the_first_one_again(tmp_path: Path) -> None:
    """Nobody is called for it; it is charged as the first was, and its record names that one."""

    async def act(here: Scene) -> None:
        first, second = await here.ask(ASKED), await here.ask(ASKED)
        assert (cache_of(first), cache_of(second)) == (b"miss", b"hit")
        assert second.body == first.body
        assert dict(second.headers)[b"x-penstock-model"] == dict(first.headers)[b"x-penstock-model"]
        assert dict(second.headers)[b"x-penstock-credits-charged"] == b"1"

    here = play(tmp_path, act, repeats=True)

    assert len(here.billed()) == 1
    settled, repeated = (each for each in here.records() if each["k"] in {"settled", "repeated"})
    assert repeated["dec"] == {"cache": "hit", "of": settled["x"], "requested": "auto:simple", "cached_share": "1",
                               "stream": False}  # fmt: skip
    assert (repeated["cr"], repeated["spared"], repeated["a"]) == (SIMPLE, settled["a"][0]["cost"], [])


def test_a_plain_answer_is_repeated_as_a_stream_and_a_stream_as_a_plain_answer(tmp_path: Path) -> None:
    """The words are the same, and the stream is one that the SDK would take."""

    async def act(here: Scene) -> None:
        plain = orjson.loads((await here.ask(ASKED)).body)
        events = await streamed(here, stream_options={"include_usage": True})
        assert text_of(events) == plain["choices"][0]["message"]["content"]
        assert (events[-2]["usage"], events[-1]) == (plain["usage"], sse.DONE)  # type: ignore[index]

        other = await streamed(here, "And what is a weir?")
        again = await here.ask("And what is a weir?")
        assert cache_of(again) == b"hit"
        assert orjson.loads(again.body)["choices"][0]["message"]["content"] == text_of(other)
        assert orjson.loads(again.body)["usage"]["completion_tokens"] > 0

    here = play(tmp_path, act, repeats=True)

    assert len(here.billed()) == 2


def test_another_customer_gets_an_answer_of_its_own(tmp_path: Path) -> None:
    """Byte for byte the same request; and so does another key of the same customer get the customer's answer."""

    async def act(here: Scene) -> None:
        await here.ask(ASKED)
        here.world.identity.put_customer(2, "globex", "open")
        here.principal = Principal("key_2", 2, "globex", "open", frozenset({"serve"}))
        assert cache_of(await here.ask(ASKED)) == b"miss"
        here.principal = Principal("key_3", 1, "sandbox", "open", frozenset({"serve"}))
        assert cache_of(await here.ask(ASKED)) == b"hit"

    here = play(tmp_path, act, repeats=True, plan="open")

    assert len(here.billed()) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"temperature": 0.9}),
        ({}, {"seed": 1}),
        ({"n": 2}, {"n": 2}),
        ({"tools": [{"type": "function", "function": {"name": "look"}}]},) * 2,
    ],
    ids=str,
)
def test_what_may_differ_is_asked_again(tmp_path: Path, first: dict[str, object], second: dict[str, object]) -> None:
    """Another field that decides, or a request that wants another answer each time."""

    async def act(here: Scene) -> None:
        await here.ask(ASKED, **first)
        assert cache_of(await here.ask(ASKED, **second)) != b"hit"

    assert len(play(tmp_path, act, repeats=True).billed()) == 2


def test_the_caller_has_the_last_word(tmp_path: Path) -> None:
    """No-cache asks anew and keeps the answer, max-age=0 takes none, no-store leaves nothing behind."""

    async def act(here: Scene) -> None:
        assert cache_of(await here.ask(ASKED, headers={b"x-penstock-cache": b"no-store"})) == b"bypass"
        assert cache_of(await here.ask(ASKED, headers={b"cache-control": b"no-cache"})) == b"miss"
        assert cache_of(await here.ask(ASKED)) == b"hit"
        assert cache_of(await here.ask(ASKED, headers={b"x-penstock-cache": b"max-age=0"})) == b"miss"
        with pytest.raises(Malformed):
            await here.ask(ASKED, headers={b"x-penstock-cache": b"perhaps"})

    assert len(play(tmp_path, act, repeats=True).billed()) == 3


def test_an_answer_that_broke_off_or_failed_is_not_kept(tmp_path: Path) -> None:
    """Whole answers only."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("cut=3", times=1)
        assert (await streamed(here))[-1] != sse.DONE
        assert (await streamed(here))[-1] == sse.DONE

    assert len(play(tmp_path, act, repeats=True).billed()) == 2


def test_a_repeat_that_cannot_be_booked_is_not_given(tmp_path: Path) -> None:
    """It is 503, and nothing is charged."""

    async def act(here: Scene) -> None:
        await here.ask(ASKED)
        here.journal.fails_at = here.journal.appended
        with pytest.raises(Unavailable):
            await here.ask(ASKED)

    here = play(tmp_path, act, repeats=True)

    assert charged_milli(here.records()) == SIMPLE


def test_a_repeat_counts_as_a_request_and_gives_its_place_back(tmp_path: Path) -> None:
    """By the end nothing is open; who leaves in the middle of a replay was charged before it began."""

    async def act(here: Scene) -> None:
        await here.ask(ASKED)
        reply = await here.ask(ASKED, stream=True)
        assert reply.relay is not None
        here.caller.at[1] = reply.relay.left
        await reply.relay.run(here.caller)
        assert not here.caller.is_done
        assert here.world.crowd.enter(1, 0, 1)

    here = play(tmp_path, act, repeats=True)

    assert charged_milli(here.records()) == 2 * SIMPLE


def test_many_at_once_are_each_charged(tmp_path: Path) -> None:
    """However they interleave: the books hold one record for each."""

    async def act(here: Scene) -> None:
        await here.ask(ASKED)
        await asyncio.gather(*(here.ask(ASKED) for _ in range(50)))

    here = play(tmp_path, act, repeats=True)

    assert charged_milli(here.records()) == 51 * SIMPLE
    assert len(here.billed()) == 1


def test_a_budget_that_is_used_up_does_not_stop_what_costs_nothing(tmp_path: Path) -> None:
    """A repeat asks for no cost, so the key's budget, too small for another call, lets it through."""

    async def act(here: Scene) -> None:
        await here.ask(ASKED)
        tight = KeyTerms(limits=Terms(budgets=(Budget(1, "day"),)))
        here.principal = replace(here.principal, key="key_9", terms=tight)
        with pytest.raises(OverBudget):
            await here.ask("Another question?", max_tokens=100)
        assert cache_of(await here.ask(ASKED)) == b"hit"

    play(tmp_path, act, repeats=True)


class Stuck(Caller):
    """A caller that takes nothing."""

    async def send(self, data: bytes) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()


def test_a_replay_that_is_cancelled_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    """The server must hear of it, as what was sent ends without an end; the books were closed before."""

    async def act(here: Scene) -> None:
        await here.ask(ASKED)
        reply = await here.ask(ASKED, stream=True)
        assert reply.relay is not None
        sending = asyncio.ensure_future(reply.relay.run(Stuck()))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    here = play(tmp_path, act, repeats=True)

    assert charged_milli(here.records()) == 2 * SIMPLE


RULES = (
    "routing: {rules: [{name: faq, when: {feature: [faq]}, at_most: medium}, "
    "{name: news, when: {feature: [news]}, at_most: medium}]}"
)


def test_a_rule_says_whether_and_how_long_answers_are_kept(tmp_path: Path) -> None:
    """Of its own requests; of the rest what is said of all."""

    async def act(here: Scene) -> None:
        settings = here.world.settings
        said = {"faq": Keeping(True, 3600), "news": Keeping(False, 3600)}
        here.world.settings = replace(settings, caching=replace(settings.caching, ttl_s=0.0, rules=said))
        for feature, words in ((b"faq", (b"miss", b"hit")), (b"news", (b"bypass",) * 2), (b"more", (b"miss",) * 2)):
            headers = {b"x-penstock-feature": feature}
            assert tuple([cache_of(await here.ask(ASKED, headers=headers)) for _ in words]) == words

    assert len(play(tmp_path, act, repeats=True, sections=RULES).billed()) == 5


def test_only_the_answers_of_a_rule_are_kept(tmp_path: Path) -> None:
    """Where none are by the rest."""

    async def act(here: Scene) -> None:
        settings = here.world.settings
        said = {"faq": Keeping(True, 3600)}
        here.world.settings = replace(settings, caching=replace(settings.caching, rules=said))
        for feature, words in ((b"faq", (b"miss", b"hit")), (b"more", (b"bypass",) * 2)):
            headers = {b"x-penstock-feature": feature}
            assert tuple([cache_of(await here.ask(ASKED, headers=headers)) for _ in words]) == words

    play(tmp_path, act, sections=RULES)
