"""Conversations keep their model, through the whole exchange: on each surface, and without moving what is charged."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from margin.card import Card
from margin.costbook import PriceHistory
from proxy.exchange import Inbound, Reply, serve
from proxy.routing.guard import acts_of
from tests.proxy.scene import CUSTOMER, Scene, scene

SESSION = {b"x-penstock-session": b"s1"}
HARD = "Prove rigorously that there are infinitely many primes congruent to 3 mod 4, step by step."
EASY = "hi there"
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def said(reply: Reply) -> dict[str, str]:
    """The reply's headers."""
    return {name.decode(): value.decode() for name, value in reply.headers}


@asynccontextmanager
async def near(folder: Path) -> AsyncIterator[Scene]:
    """A scene whose models cost nearly the same: a cold prefix is worth some turns."""
    async with scene(folder) as stage:
        settings = stage.world.settings
        cards = {"gpt-6-luna": Card.of(input=9, cache_read="0.9", output=10),
                 "gpt-6-astra": Card.of(input=10, cache_read=1, output=11)}  # fmt: skip
        found = settings.deployments
        priced = {name: replace(found[name], prices=PriceHistory.fixed(card)) for name, card in cards.items()}
        tiers = {tier: tuple(priced.get(each.name, each) for each in group) for tier, group in settings.tiers.items()}
        stage.world.settings = replace(settings, deployments={**found, **priced}, tiers=tiers)
        yield stage


async def turn(stage: Scene, *messages: dict[str, Any], headers: Mapping[bytes, bytes] = SESSION, **fields: Any) -> Any:
    """Serve one turn of `auto`; its headers."""
    body = {"model": "auto", "messages": messages, **fields}
    reply = await serve(stage.world, stage.principal, Inbound(headers, orjson.dumps(body)), time.perf_counter())
    if reply.relay is not None:
        await reply.relay.run(stage.caller)
    return said(reply)


def user(text: str) -> dict[str, Any]:
    """What the person says."""
    return {"role": "user", "content": text}


def assistant(text: str = "well") -> dict[str, Any]:
    """What was answered."""
    return {"role": "assistant", "content": text}


LONG = {"role": "system", "content": "Some notes of ours. " * 4_000}
"""80,000 characters: 20,000 tokens, which are dear to read cold, and make nothing harder."""


@in_a_loop
async def test_an_easier_turn_stays_where_its_prefix_is_warm(tmp_path: Path) -> None:
    """A hard ask went to complex; what follows stays there, is judged and charged for itself, and says why."""
    async with near(tmp_path) as stage:
        first = await turn(stage, LONG, user(HARD))
        second = await turn(stage, LONG, user(HARD), assistant(), user(EASY))

    assert (first["x-penstock-served-tier"], first["x-penstock-model"]) == ("complex", "gpt-6-astra")
    assert second["x-penstock-model"] == "gpt-6-astra"
    assert second["x-penstock-route"] == "judged+session-stay"
    assert (second["x-penstock-tier"], second["x-penstock-served-tier"]) == ("simple", "complex")
    assert second["x-penstock-credits-charged"] == "1"


@in_a_loop
async def test_without_sessions_each_turn_is_routed_alone(tmp_path: Path) -> None:
    """Switched off, nothing is looked at, remembered or recorded."""
    async with scene(tmp_path, sections="routing: {sessions: {enabled: false}}") as stage:
        await turn(stage, LONG, user(HARD))
        second = await turn(stage, LONG, user(HARD), assistant(), user(EASY))

    assert (second["x-penstock-route"], second["x-penstock-model"]) == ("judged", "gpt-6-luna")
    assert len(stage.world.pins) == 0
    assert all("session" not in record.get("dec", {}) for record in stage.records())


@in_a_loop
async def test_a_harder_ask_moves_up_at_once(tmp_path: Path) -> None:
    """It is judged so, whatever is warm elsewhere."""
    async with scene(tmp_path) as stage:
        await turn(stage, LONG, user(EASY))
        second = await turn(stage, LONG, user(EASY), assistant(), user(HARD))

    assert (second["x-penstock-route"], second["x-penstock-model"]) == ("judged+session-up", "gpt-6-astra")


@in_a_loop
async def test_a_turn_of_tools_stays_with_the_model_that_called_them(tmp_path: Path) -> None:
    """Also where the tools' turn is judged harder than its ask was: what serves stays, what is charged is as judged."""
    calls = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look_up",
             "arguments": "{}"}}]}  # fmt: skip
    async with scene(tmp_path) as stage:
        await turn(stage, user(EASY), tools=[TOOL])
        given = {"role": "tool", "tool_call_id": "c", "content": "3"}
        second = await turn(stage, user(HARD), calls, given, tools=[TOOL])

    assert second["x-penstock-tier"] == "complex"
    assert (second["x-penstock-route"], second["x-penstock-model"]) == ("judged+session-tools", "gpt-6-luna")


@pytest.mark.parametrize("is_tools", [False, True])
def test_no_warm_cache_keeps_a_conversation_above_the_guards_cap(tmp_path: Path, is_tools: bool) -> None:
    """Neither an easy ask that the guard need not lower, nor a turn of tools: a margin is lost by agents first."""
    calls = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look_up",
             "arguments": "{}"}}]}  # fmt: skip
    given = [calls, {"role": "tool", "tool_call_id": "c", "content": "3"}]

    async def main() -> list[str]:
        async with near(tmp_path) as stage:
            await turn(stage, LONG, user(HARD), tools=[TOOL])
            after = [user(EASY), *given] if is_tools else [user(HARD), assistant(), user(EASY)]
            kept = await turn(stage, LONG, *after, tools=[TOOL])
            stage.world.guarded[CUSTOMER] = acts_of(("cap_medium",))
            down = await turn(stage, LONG, *after, tools=[TOOL])
            return [kept["x-penstock-model"], down["x-penstock-model"], down["x-penstock-route"]]

    assert asyncio.run(main()) == ["gpt-6-astra", "gpt-6-luna", "judged"]


@pytest.mark.parametrize(("model", "hint"), [("auto:simple", {}), ("auto", {b"x-penstock-tier": b"simple"})])
def test_no_warm_cache_serves_above_the_tier_that_a_caller_chose(
    tmp_path: Path, model: str, hint: dict[bytes, bytes]
) -> None:
    """Who pins a tier in the middle of a conversation gets that tier."""

    async def main() -> list[str]:
        async with near(tmp_path) as stage:
            await turn(stage, LONG, user(HARD))
            asked = [LONG, user(HARD), assistant(), user(EASY)]
            found = await turn(stage, *asked, headers=SESSION | hint, model=model)
            return [found["x-penstock-model"], found["x-penstock-route"]]

    assert asyncio.run(main()) == ["gpt-6-luna", "hint" if hint else "pinned"]


@in_a_loop
async def test_a_model_that_is_named_has_no_session(tmp_path: Path) -> None:
    """The caller chose; nothing is remembered of it."""
    async with scene(tmp_path) as stage:
        found = await turn(stage, user(EASY), model="gpt-6.1-sol")

    assert found["x-penstock-route"] == "named"
    assert len(stage.world.pins) == 0


@in_a_loop
async def test_a_conversation_without_a_name_is_known_by_its_beginning(tmp_path: Path) -> None:
    """The first turn is found by the second, streams as well; another talk that begins so stays its own."""
    async with near(tmp_path) as stage:
        await turn(stage, LONG, user(HARD), headers={}, stream=True)
        second = await turn(stage, LONG, user(HARD), assistant(), user(EASY), headers={})
        other = await turn(stage, LONG, user(EASY), assistant(), user(EASY), headers={})

    assert second["x-penstock-route"] == "judged+session-stay"
    assert other["x-penstock-route"] == "judged"


@in_a_loop
async def test_one_turn_of_the_lowest_tier_is_not_remembered(tmp_path: Path) -> None:
    """What begins there is sent there again in any case."""
    async with scene(tmp_path) as stage:
        await turn(stage, user(EASY), headers={})

    assert len(stage.world.pins) == 0


@in_a_loop
async def test_another_customer_never_finds_it(tmp_path: Path) -> None:
    """The same name, the same words: another conversation."""
    async with scene(tmp_path) as stage:
        await turn(stage, LONG, user(HARD))
        stage.principal = replace(stage.principal, customer=2, name="other")
        stage.world.identity.put_customer(2, "other", "sandbox")
        stage.keeper.credits_milli = 1_000_000
        second = await turn(stage, LONG, user(HARD), assistant(), user(EASY))

    assert (second["x-penstock-route"], second["x-penstock-model"]) == ("judged", "gpt-6-luna")


@in_a_loop
async def test_a_pin_that_rests_is_left(tmp_path: Path) -> None:
    """The next of its tier, or the policy's first, takes the turn."""
    async with scene(tmp_path) as stage:
        await turn(stage, LONG, user(HARD))
        resting = stage.world.settings.deployments["gpt-6-astra"]
        stage.world.vitals.failed(resting, 0.0, "status 503", 60.0)
        second = await turn(stage, LONG, user(HARD), assistant(), user(EASY))

    assert (second["x-penstock-route"], second["x-penstock-model"]) == ("judged+session-left", "gpt-6-luna")


@in_a_loop
async def test_who_answered_instead_is_where_the_conversation_is(tmp_path: Path) -> None:
    """The first failed once: what is warm is warm at the second, until the first's price pays for a cold prefix."""
    async with scene(tmp_path) as stage:
        await stage.simulator_fails("status=500", times=1)
        first = await turn(stage, LONG, user(EASY))
        (own,) = stage.world.pins._of.values()
        (session,) = own.values()

    assert (first["x-penstock-route"], first["x-penstock-model"]) == ("judged+fell", "gpt-4o-mini")
    assert (session.deployment, [each.deployment for each in session.warm]) == ("gpt-4o-mini", ["gpt-4o-mini"])


@in_a_loop
async def test_the_record_says_what_was_weighed(tmp_path: Path) -> None:
    """By what it was known, which turn it is, and both amounts where there was a choice."""
    async with near(tmp_path) as stage:
        await turn(stage, LONG, user(HARD))
        await turn(stage, LONG, user(HARD), assistant(), user(EASY))
        first, second = [record["dec"] for record in stage.records() if record["k"] == "settled"]

    assert first["session"] == {"decided": "new", "by": "header", "turn": 1}
    weighed = second["session"]
    assert {name: weighed[name] for name in ("decided", "by", "turn", "to_come")} == {
        "decided": "stay", "by": "header", "turn": 2, "to_come": 3.0,
    }  # fmt: skip
    assert 0 < weighed["stay_nusd"] < weighed["move_nusd"]
    assert "the conversation stays with gpt-6-astra" in second["reasons"]


@pytest.mark.parametrize("surface", ["messages", "responses"])
@in_a_loop
async def test_it_holds_on_every_surface(tmp_path: Path, surface: str) -> None:
    """Anthropic's and OpenAI's newer API, translated or not."""
    first = {"model": "auto", "max_tokens": 50, "messages": [LONG, user(HARD)]}
    second = {**first, "messages": [LONG, user(HARD), assistant(), user(EASY)]}
    if surface == "responses":
        first = {"model": "auto", "input": [LONG, user(HARD)], "store": False}
        second = {**first, "input": [LONG, user(HARD), assistant(), user(EASY)]}
    async with near(tmp_path) as stage:
        for body in (first, second):
            inbound = Inbound(SESSION, orjson.dumps(body), surface)
            found = said(await serve(stage.world, stage.principal, inbound, time.perf_counter()))

    assert (found["x-penstock-route"], found["x-penstock-model"]) == ("judged+session-stay", "gpt-6-astra")


@in_a_loop
async def test_a_stored_response_is_gone_on_with_where_it_is_warm(tmp_path: Path) -> None:
    """Its provider keeps the conversation, and only its id comes back."""
    async with near(tmp_path) as stage:
        inbound = Inbound(
            {}, orjson.dumps({"model": "auto", "instructions": LONG["content"], "input": HARD}), "responses"
        )
        first = await serve(stage.world, stage.principal, inbound, time.perf_counter())
        body = {"model": "auto", "input": EASY, "previous_response_id": orjson.loads(first.body)["id"]}
        second = said(
            await serve(stage.world, stage.principal, Inbound({}, orjson.dumps(body), "responses"), time.perf_counter())
        )

    assert (second["x-penstock-route"], second["x-penstock-model"]) == ("judged+session-stay", "gpt-6-astra")
