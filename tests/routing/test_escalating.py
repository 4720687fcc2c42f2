"""Answers that are not good enough: asked for again one tier up, paid by us, charged once, and never after a byte."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.exchange import Inbound, Reply, serve
from proxy.wire.errors import Malformed
from tests.proxy.scene import Record, Scene, cancelled_at, charged_milli, check_books, scene
from tests.routing.test_fallback import told

SIMPLE = 1_000
CHECKED = "routing: {escalate: {}}\n"
HELD = "routing: {escalate: {streams: hold}}\n"
OFF = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "minProperties": 99}}}
"""A schema that the simulator's answers never keep to."""


def play(act: Callable[[Scene], Awaitable[None]], folder: Path, **stage: Any) -> Scene:
    """Play an act; the books add up after it, and everything the provider billed is booked."""

    async def main() -> Scene:
        async with scene(folder, **stage) as here:
            await act(here)
        return here

    found = asyncio.run(main())
    check_books(found.records())
    assert found.spent_milli == charged_milli(found.records())
    booked = [line for each in found.records() if each["k"] in {"settled", "void"} for line in each["a"]]
    assert sorted(line["id"] for line in booked if line["id"]) == sorted(each["call_id"] for each in found.billed())
    return found


async def empties(here: Scene, *models: str) -> None:
    """Let the next answer of each of these models be empty."""
    for model in models:
        rules = orjson.dumps([{"fault": "tokens=0", "times": 1, "model": model}])
        await steer(here, rules)


async def steer(here: Scene, rules: bytes) -> None:
    """Tell the simulator."""
    import httpx

    async with httpx.AsyncClient(transport=httpx.ASGITransport(here.simulator)) as client:
        (await client.post("http://simulator.invalid/_simulator/faults", content=rules)).raise_for_status()


def lines(found: Scene) -> list[tuple[str, str | None]]:
    """Who was called and what for, of the only exchange."""
    return [(line["d"], line.get("for")) for line in found.end()["a"]]


def test_an_empty_answer_is_asked_for_again_one_tier_up_at_our_cost(tmp_path: Path) -> None:
    """The next tier answers; both are cost lines, the charge is the simple one, and the decision says why."""

    async def act(here: Scene) -> None:
        await empties(here, "gpt-6-luna")
        reply = await here.ask()
        assert told(reply, "model", "tier", "served-tier", "route", "credits-charged") == [
            "gpt-6.1-sol", "simple", "medium", "pinned+escalated:empty", "1",
        ]  # fmt: skip
        assert orjson.loads(reply.body)["choices"][0]["message"]["content"]

    found = play(act, tmp_path, sections=CHECKED)

    assert lines(found) == [("gpt-6-luna", "escalation"), ("gpt-6.1-sol", None)]
    decision = found.end()["dec"]
    assert decision["escalated"] == [["gpt-6-luna", "simple", "empty"]]
    assert (decision["served_tier"], decision["charge_tier"]) == ("medium", "simple")
    assert found.end()["cr"] == SIMPLE
    assert all(line["cost"] > 0 and line["kind"] == "model" for line in found.end()["a"])


def test_nothing_is_checked_unless_the_policy_says_so(tmp_path: Path) -> None:
    """Without `escalate` an empty answer is an answer."""

    async def act(here: Scene) -> None:
        await empties(here, "gpt-6-luna")
        assert told(await here.ask(), "model", "route") == ["gpt-6-luna", "pinned"]

    assert lines(play(act, tmp_path)) == [("gpt-6-luna", None)]


def test_it_goes_up_as_far_as_there_are_tiers_and_calls(tmp_path: Path) -> None:
    """Two in a row fail; the third is of the highest tier."""

    async def act(here: Scene) -> None:
        await empties(here, "gpt-6-luna", "gpt-6.1-sol")
        assert told(await here.ask(), "model", "route") == ["gpt-6-astra", "pinned+escalated:empty"]

    found = play(act, tmp_path, sections=CHECKED)

    assert [line["d"] for line in found.end()["a"]] == ["gpt-6-luna", "gpt-6.1-sol", "gpt-6-astra"]
    assert found.end()["dec"]["escalated"] == [["gpt-6-luna", "simple", "empty"], ["gpt-6.1-sol", "medium", "empty"]]


def test_the_highest_tier_s_answer_is_given_as_it_is_and_marked(tmp_path: Path) -> None:
    """Nobody is better: the answer goes out, and says what is wrong with it."""

    async def act(here: Scene) -> None:
        await empties(here, "gpt-6-astra")
        assert told(await here.ask(model="auto:complex"), "model", "route") == ["gpt-6-astra", "pinned+flawed:empty"]

    assert lines(play(act, tmp_path, sections=CHECKED)) == [("gpt-6-astra", None)]


def test_when_nobody_better_answers_the_first_answer_is_given(tmp_path: Path) -> None:
    """All above are down: an empty answer is better than an error. Its cost line stands last, where who served is."""

    async def act(here: Scene) -> None:
        await empties(here, "gpt-6-luna")
        for model in ("gpt-6.1-sol", "gpt-6-astra"):
            await steer(here, orjson.dumps([{"fault": "status=500", "times": 1, "model": model}]))
        assert told(await here.ask(), "model", "served-tier", "route") == [
            "gpt-6-luna", "simple", "pinned+flawed:empty",
        ]  # fmt: skip

    found = play(act, tmp_path, sections=CHECKED)

    assert [(line["n"], line["d"], line["kind"], line.get("for")) for line in found.end()["a"]] == [
        (2, "gpt-6.1-sol", "failed", None), (3, "gpt-6-astra", "failed", None), (1, "gpt-6-luna", "model", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("truncated", {"max_tokens": 1}),
        ("schema", {"response_format": OFF}),
    ],
)
def test_each_flaw_is_named(tmp_path: Path, what: str, fields: dict[str, Any]) -> None:
    """The token, the decision and the flaw agree."""

    async def act(here: Scene) -> None:
        reply = await here.ask("Tell me a long story.", **fields)
        assert told(reply, "route")[0].endswith(f"+escalated:{what}+flawed:{what}")

    found = play(act, tmp_path, sections=CHECKED)

    assert [each[2] for each in found.end()["dec"]["escalated"]] == [what, what]


def test_patterns_of_the_route_and_of_the_caller(tmp_path: Path) -> None:
    """What must not be in an answer, and what its caller wants to find in it, where the route heeds that."""
    sections = "routing: {escalate: {flaws: [], reject: ['.'], callers: true}}\n"

    async def act(here: Scene) -> None:
        assert told(await here.ask(), "route")[0].endswith("+flawed:pattern")

    play(act, tmp_path, sections=sections)

    async def calls(here: Scene) -> None:
        at_once = await here.ask(headers={b"x-penstock-expect": b"."})
        assert told(at_once, "route") == ["pinned"]
        never = await here.ask(headers={b"x-penstock-expect": b"\x01never"})
        assert told(never, "route")[0].endswith("+flawed:expect")
        with pytest.raises(Malformed, match="is no pattern: missing"):
            await here.ask(headers={b"x-penstock-expect": b"("})

    other = tmp_path / "other"
    other.mkdir()
    play(calls, other, sections="routing: {escalate: {flaws: [], callers: true}}\n")


def test_a_rule_has_checks_of_its_own_or_none(tmp_path: Path) -> None:
    """Of the policy's checks the rule's take the place; an empty list switches them off."""
    sections = "routing: {escalate: {}, rules: [{name: raw, when: {header: {x-raw: '*'}}, escalate: {flaws: []}}]}\n"

    async def act(here: Scene) -> None:
        await empties(here, "gpt-6-luna")
        assert told(await here.ask(headers={b"x-raw": b"1"}), "route") == ["pinned+rule:raw"]

    play(act, tmp_path, sections=sections)


def test_a_stream_is_checked_only_where_it_is_held_back(tmp_path: Path) -> None:
    """Passed through it is as it comes; held back it is asked for again, and its caller sees the better one alone."""

    async def passes(here: Scene) -> None:
        await empties(here, "gpt-6-luna")
        assert told(await here.stream(), "model", "route") == ["gpt-6-luna", "pinned"]

    play(passes, tmp_path, sections=CHECKED)

    async def held(here: Scene) -> None:
        await empties(here, "gpt-6-luna")
        reply = await here.stream()
        assert told(reply, "model", "route") == ["gpt-6.1-sol", "pinned+escalated:empty"]
        assert here.caller.is_done
        models = {each["model"] for each in here.caller.payloads if isinstance(each, dict)}
        assert models == {"gpt-6.1-sol"}

    other = tmp_path / "other"
    other.mkdir()
    found = play(held, other, sections=HELD)
    assert lines(found) == [("gpt-6-luna", "escalation"), ("gpt-6.1-sol", None)]


def test_a_held_stream_that_breaks_off_is_told_as_broken(tmp_path: Path) -> None:
    """What came goes out, then the error event: nothing was charged, and nobody asks again."""

    async def act(here: Scene) -> None:
        await here.simulator_fails("error_in_stream=2", times=1)
        await here.stream()
        assert here.caller.error is not None

    found = play(act, tmp_path, sections=HELD)

    assert (found.end()["k"], found.end()["cr"]) == ("settled", 0)


SURFACES = {
    "messages": {"max_tokens": 4000, "messages": [{"role": "user", "content": "hi"}]},
    "responses": {"input": "hi"},
}


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("stream", [False, True])
def test_other_surfaces_are_checked_as_well(tmp_path: Path, surface: str, stream: bool) -> None:
    """Whatever API the caller speaks, natively or translated."""

    async def act(here: Scene) -> None:
        await empties(here, "gpt-6-luna")
        body = orjson.dumps({"model": "auto:simple", "stream": stream, **SURFACES[surface]})
        reply: Reply = await serve(here.world, here.principal, Inbound({}, body, surface), time.perf_counter())
        if reply.relay is not None:
            await reply.relay.run(here.caller)
        assert told(reply, "model", "route") == ["gpt-6.1-sol", "pinned+escalated:empty"]

    assert lines(play(act, tmp_path, sections=HELD))[0] == ("gpt-6-luna", "escalation")


def test_escalations_have_a_budget_of_their_own(tmp_path: Path) -> None:
    """Beyond it the answer goes out as it is; what fails keeps its fallback."""
    sections = "routing: {escalate: {}, retries: {escalations: 0, burst: 1}}\n"

    async def act(here: Scene) -> None:
        await empties(here, "gpt-6-luna")
        assert told(await here.ask(), "route") == ["pinned+escalated:empty"]
        await empties(here, "gpt-6-luna")
        assert told(await here.ask(), "route") == ["pinned+flawed:empty"]
        await here.simulator_fails("status=500", times=1)
        assert told(await here.ask(), "route") == ["pinned+fell"]

    play(act, tmp_path, sections=sections)


def test_a_flawed_answer_is_not_repeated_from_memory(tmp_path: Path) -> None:
    """Who asks again is served anew."""

    async def act(here: Scene) -> None:
        await empties(here, "gpt-6-astra")
        routes = [told(await here.ask(model="auto:complex", temperature=0), "cache", "route") for _ in range(3)]
        assert routes == [["miss", "pinned+flawed:empty"], ["miss", "pinned"], ["hit", "pinned"]]

    play(act, tmp_path, sections=CHECKED, repeats=True)


def costs(record: Record) -> int:
    """What an exchange cost."""
    return sum(line["cost"] for line in record["a"])


def test_what_was_thrown_away_counts_against_the_saving(tmp_path: Path) -> None:
    """From the baseline's own tier, where nothing can be saved, the saving is what the thrown-away answer cost."""
    sections = "routing: {escalate: {}, baseline: gpt-6.1-sol}\n"

    async def act(here: Scene) -> None:
        await empties(here, "gpt-6-luna")
        await here.ask()

    end = play(act, tmp_path, sections=sections).end()

    thrown_away, given = end["a"]
    assert end["base"] == given["cost"]
    assert end["base"] - costs(end) == -thrown_away["cost"] < 0


@pytest.mark.parametrize("stream", [False, True])
def test_whoever_leaves_while_an_answer_is_checked_or_asked_for_again_is_booked_once(
    tmp_path: Path, stream: bool
) -> None:
    """Cancelled at the first, the second, … await: a cost line for each call that is on file, and no charge lost."""
    turn = 0
    was_cancelled = True
    while was_cancelled:
        turn += 1
        folder = tmp_path / str(turn)
        folder.mkdir()
        was_cancelled = asyncio.run(cancelled_while_checked(folder, turn, stream=stream))

    assert 4 <= turn < 60


async def cancelled_while_checked(folder: Path, turn: int, *, stream: bool) -> bool:
    """Ask for what is escalated twice; tell whether the moment came."""
    async with scene(folder, sections=HELD) as here:
        work = cancelled_at(here.ask("hi [[sim: tokens=0]]", stream=stream), turn)
        (outcome,) = await asyncio.gather(asyncio.ensure_future(work), return_exceptions=True)
        if isinstance(outcome, Reply) and outcome.relay is not None:
            await outcome.relay.run(here.caller)
    check_books(here.records())
    assert here.spent_milli == charged_milli(here.records())
    calls = [call["n"] for each in here.records() if (call := each if each["k"] == "called" else each.get("call"))]
    ends = [sorted(line["n"] for line in each["a"]) for each in here.records() if each["k"] in {"settled", "void"}]
    assert ends == ([calls] if calls else [])
    return isinstance(outcome, asyncio.CancelledError)
