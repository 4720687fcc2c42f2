"""A slow call gets company: whoever answers first serves, both are booked, and the customer pays once."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.outputs import SAMPLES_MIN
from proxy.settings import Budget, Limits, Terms
from proxy.wire.errors import Refused, UpstreamLate
from tests.proxy.scene import Scene, cancelled_at, charged_milli, check_books, scene
from tests.proxy.test_limits import share, under
from tests.routing.test_escalating import steer
from tests.routing.test_fallback import refused, told

HEDGED = "routing: {hedge: {share: 1, delay_min: 5ms}}\n"
SIMPLE = 1_000
NUSD = 10**9


def play(act: Callable[[Scene], Awaitable[None]], folder: Path, **stage: Any) -> Scene:
    """Play an act where calls of simple models are known to begin within a millisecond; the books add up after it."""

    async def main() -> Scene:
        async with scene(folder, **{"sections": HEDGED} | stage) as here:
            await know(here)
            await act(here)
            await asyncio.sleep(0)
        return here

    found = asyncio.run(main())
    check_books(found.records())
    assert found.spent_milli == charged_milli(found.records())
    return found


async def know(here: Scene) -> None:
    """Have seen enough answers to know what is slow."""
    for name in ("gpt-6-luna", "gpt-4o-mini"):
        for is_stream in (False, True):
            for _ in range(SAMPLES_MIN):
                here.world.vitals.delays.learn(here.world.settings.deployments[name], 0.001, is_stream=is_stream)
    here.world.vitals.hedges.request()


async def hang(here: Scene, *models: str) -> None:
    """Let the next call of each of these models bring nothing."""
    for model in models:
        await steer(here, orjson.dumps([{"fault": "hang", "times": 1, "model": model}]))


def lines(found: Scene) -> list[tuple[int, str, str, str | None]]:
    """The calls of the only exchange: number, model, kind, and what it was made for."""
    return [(line["n"], line["d"], line["kind"], line.get("for")) for line in found.end()["a"]]


@pytest.mark.parametrize("stream", [False, True])
def test_who_answers_first_serves_and_the_slow_one_is_booked(tmp_path: Path, stream: bool) -> None:
    """The first hangs; the next of its tier answers. One charge, two cost lines, the lost one an estimate."""

    async def act(here: Scene) -> None:
        await hang(here, "gpt-6-luna")
        reply = await (here.stream() if stream else here.ask())
        assert told(reply, "model", "served-tier", "route") == ["gpt-4o-mini", "simple", "pinned+hedged"]

    found = play(act, tmp_path)

    assert lines(found) == [(1, "gpt-6-luna", "failed", "hedge"), (2, "gpt-4o-mini", "model", None)]
    assert found.end()["cr"] == SIMPLE
    assert found.end()["a"][0]["cost"] > 0
    assert found.provider.left >= 1  # the provider saw us go


def test_where_the_first_answers_after_all_the_second_is_given_up(tmp_path: Path) -> None:
    """The last call on file is the one that goes on, for who dies in its stream."""

    async def act(here: Scene) -> None:
        await steer(here, orjson.dumps([{"fault": "slow=0.04", "times": 1, "model": "gpt-6-luna"}]))
        await hang(here, "gpt-4o-mini")
        assert told(await here.ask(max_tokens=3), "model", "route") == ["gpt-6-luna", "pinned+hedged"]

    found = play(act, tmp_path)

    assert lines(found) == [(2, "gpt-4o-mini", "failed", "hedge"), (1, "gpt-6-luna", "model", None)]
    last = [record for record in found.records() if record["k"] == "called"][-1]
    assert (last["n"], last["d"], [line["n"] for line in last["a"]]) == (1, "gpt-6-luna", [2])


def test_a_call_that_is_not_slow_has_no_company(tmp_path: Path) -> None:
    """Nor has one of which too little is known, or one without a hedge."""

    async def act(here: Scene) -> None:
        assert told(await here.ask(), "route") == ["pinned"]
        assert told(await here.ask(model="auto:complex"), "route") == ["pinned"]

    assert len(play(act, tmp_path).provider.requests) == 2

    other = tmp_path / "other"
    other.mkdir()

    async def off(here: Scene) -> None:
        await steer(here, orjson.dumps([{"fault": "slow=0.03", "times": 1, "model": "gpt-6-luna"}]))
        assert told(await here.ask(max_tokens=3), "route") == ["pinned"]

    assert len(play(off, other, sections="").provider.requests) == 1


def test_no_company_comes_from_a_dearer_tier(tmp_path: Path) -> None:
    """The only model of its tier stays alone, however slow."""

    async def act(here: Scene) -> None:
        sol = here.world.settings.deployments["gpt-6.1-sol"]
        for _ in range(SAMPLES_MIN):
            here.world.vitals.delays.learn(sol, 0.001, is_stream=False)
        await steer(here, orjson.dumps([{"fault": "slow=0.03", "times": 1, "model": "gpt-6.1-sol"}]))
        assert told(await here.ask(model="auto:medium", max_tokens=3), "model", "route") == ["gpt-6.1-sol", "pinned"]

    play(act, tmp_path)


def test_company_is_a_share_of_all_requests(tmp_path: Path) -> None:
    """A tenth: of twenty slow ones two have company, and one at the start."""
    sections = "routing: {hedge: {share: 0.1, delay_min: 5ms}}\n"

    async def act(here: Scene) -> None:
        routes = []
        for _ in range(20):
            await steer(here, orjson.dumps([{"fault": "slow=0.02", "times": 1, "model": "gpt-6-luna"}]))
            routes += told(await here.ask(max_tokens=2), "route")
        assert routes.count("pinned+hedged") <= 20 * 0.1 + 1

    play(act, tmp_path, sections=sections)


def test_an_error_of_one_leaves_the_other_to_answer(tmp_path: Path) -> None:
    """The slow one fails while the second is on its way, or the second does while the first is."""

    async def act(here: Scene) -> None:
        await hang(here, "gpt-6-luna")
        await steer(here, orjson.dumps([{"fault": "status=500", "times": 1, "model": "gpt-4o-mini"}]))
        working = asyncio.ensure_future(here.ask())
        while len(here.provider.requests) < 2:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert not working.done()  # the first still may answer
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    found = play(act, tmp_path)

    assert lines(found) == [(2, "gpt-4o-mini", "failed", None), (1, "gpt-6-luna", "failed", None)]
    assert found.end()["k"] == "void"


def test_when_both_bring_nothing_the_next_is_asked(tmp_path: Path) -> None:
    """Each once; attempts bound them together."""

    async def act(here: Scene) -> None:
        await hang(here, "gpt-6-luna", "gpt-4o-mini")
        assert told(await here.ask(), "model", "route") == ["gpt-6.1-sol", "pinned+fell+hedged"]

    found = play(act, tmp_path, timeouts="{first_byte: 60ms}")

    assert [(line["n"], line["d"]) for line in found.end()["a"]] == [
        (1, "gpt-6-luna"), (2, "gpt-4o-mini"), (3, "gpt-6.1-sol"),
    ]  # fmt: skip

    other = tmp_path / "other"
    other.mkdir()

    async def none(here: Scene) -> None:
        await hang(here, "gpt-6-luna", "gpt-4o-mini", "gpt-6.1-sol", "gpt-6-astra")
        await refused(here, UpstreamLate)

    assert len(play(none, other, timeouts="{first_byte: 60ms}").end()["a"]) == 3


def test_what_is_wrong_with_the_request_is_said_at_once(tmp_path: Path) -> None:
    """The second refuses it for what it says: the first is not waited for."""

    async def act(here: Scene) -> None:
        await hang(here, "gpt-6-luna")
        await steer(here, orjson.dumps([{"fault": "status=400", "times": 1, "model": "gpt-4o-mini"}]))
        with pytest.raises(Refused):
            await here.ask()

    found = play(act, tmp_path)

    assert lines(found) == [(2, "gpt-4o-mini", "failed", None), (1, "gpt-6-luna", "failed", "hedge")]


@pytest.mark.parametrize("turn", range(1, 14))
def test_whoever_leaves_while_two_are_under_way_both_are_booked_once(tmp_path: Path, turn: int) -> None:
    """Cancelled at any moment: one end, no charge, and a line for each call that was on file."""

    async def act(here: Scene) -> None:
        await hang(here, "gpt-6-luna", "gpt-4o-mini")
        asked = asyncio.ensure_future(cancelling(here, turn))
        done, _ = await asyncio.wait([asked], timeout=0.3)
        if not done:  # nobody answers, and the moment never came
            asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    found = play(act, tmp_path)

    calls = sum(record["k"] == "called" or "call" in record for record in found.records())
    ends = [record for record in found.records() if record["k"] in {"void", "settled"}]
    assert [len(end["a"]) for end in ends] == ([calls] if calls else [])
    assert found.spent_milli == 0


async def cancelling(here: Scene, turn: int) -> None:
    """Ask, and be cancelled at a suspension."""
    await cancelled_at(here.ask(), turn)


def test_a_budget_holds_for_both(tmp_path: Path) -> None:
    """What it has left covers one call: the slow one stays alone. With room the budget counts the lost one's most."""

    async def act(here: Scene) -> None:
        limits = Limits(key_defaults=Terms(), all=Terms(budgets=(Budget(NUSD, "day"),)))
        under(here, limits)
        await hang(here, "gpt-6-luna")
        await here.ask(max_tokens=50)
        first, second = here.end()["a"]
        purse = share(here, "all", "", "cost", "day cost hard")
        assert purse.held == 0  # type: ignore[attr-defined]
        assert NUSD - purse.size == first["max"] + second["cost"]  # type: ignore[attr-defined]

    play(act, tmp_path)
