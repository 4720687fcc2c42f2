"""Embeddings as exchanges: held, limited, settled and recorded as every other, and judged by nobody."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.exchange import Inbound, Reply, serve
from proxy.wire.errors import Malformed, OutOfCredit, OverBudget, UpstreamBroke
from tests.proxy.scene import LENT, Scene, check_books, scene

TEXTS = ["a cat on a mat", "the cat"]
RATE = 20
"""Nano-dollars a token of text-embedding-3-small: 0.02 dollars a million."""


def run(folder: Path, act: Callable[[Scene], Awaitable[None]], **stage: Any) -> None:
    """Play a scene."""

    async def main() -> None:
        async with scene(folder, **stage) as one:
            await act(one)
            check_books(one.records())

    asyncio.run(main())


async def embed(one: Scene, given: Any = TEXTS, **fields: Any) -> Reply:
    """Serve one request for embeddings."""
    body = {"model": "text-embedding-3-small", "input": given, "dimensions": 4, **fields}
    inbound = Inbound({}, orjson.dumps(body), "embeddings")
    return await serve(one.world, one.principal, inbound, time.perf_counter())


def test_one_exchange_at_the_price_of_its_input(tmp_path: Path):
    """Cost from the cost book by input token, the charge that the model states, and a record that nobody judged."""

    async def act(one: Scene) -> None:
        reply = await embed(one)
        end, (billed,) = one.end(), one.billed()

        used = orjson.loads(reply.body)["usage"]["prompt_tokens"]
        (line,) = end["a"]
        assert (line["u"], line["cost"], line["kind"]) == ({"input": used}, used * RATE, "model")
        assert line["id"] == billed["call_id"]
        assert end["cr"] == 100  # `credits: 0.1` in configs/sandbox.yaml
        assert (end["base"], end["dec"]["classifier"], end["dec"]["charge_tier"]) == (line["cost"], "none", "simple")
        assert dict(reply.headers)[b"x-penstock-model"] == b"text-embedding-3-small"

    run(tmp_path, act)


def test_a_metered_plan_charges_input_alone(tmp_path: Path):
    """Held for at most a token a byte, and no output; charged what was used."""

    async def act(one: Scene) -> None:
        reply = await embed(one)
        held, end = one.records()[0], one.end()

        used = orjson.loads(reply.body)["usage"]["prompt_tokens"]
        # `metered: {input: 1}` credits a thousand tokens, so a milli-credit for each.
        assert (end["cr"], held["cr"]) == (used, sum(len(text) for text in TEXTS))

    run(tmp_path, act, plan="metered")


def test_nothing_learns_from_it_how_long_answers_are(tmp_path: Path):
    """Where holds are sized by what answers were, embeddings would pull them to nothing."""

    async def act(one: Scene) -> None:
        for _ in range(250):
            await embed(one)

        assert one.world.outputs.of(one.world.plan_of("learning").version, "simple").quantile(0.5) is None

    run(tmp_path, act, plan="learning")


def test_usage_that_is_not_told_is_estimated_and_marked(tmp_path: Path):
    """By the size of its texts; of ids it is exact. Never zero, never unknown output."""

    async def act(one: Scene) -> None:
        await embed(one, ["hi [[sim: no_usage]]"])
        end = one.end()

        (line,) = end["a"]
        assert (line["kind"], end["dec"]["usage_source"]) == ("estimated", "estimated")
        assert line["u"] == {"input": len("hi [[sim: no_usage]]") // 4 + 1}

    run(tmp_path, act)


@pytest.mark.parametrize(
    ("surface", "model", "words"),
    [
        ("embeddings", "gpt-6-luna", "serves chat, and no embeddings"),
        ("embeddings", "auto", "serves chat, and no embeddings"),
        ("chat", "text-embedding-3-small", "serves embeddings, and no chat"),
        ("messages", "text-embedding-3-small", "serves embeddings, and no chat"),
    ],
)
def test_a_model_is_asked_for_what_it_serves(tmp_path: Path, surface: str, model: str, words: str):
    """The other way round it is a 400 that says so; nobody is called, nothing is held."""
    said = {"input": "hi"} if surface == "embeddings" else {"messages": [{"role": "user", "content": "hi"}]}
    body = {"model": model, "max_tokens": 9, **said}

    async def act(one: Scene) -> None:
        with pytest.raises(Malformed) as raised:
            await serve(one.world, one.principal, Inbound({}, orjson.dumps(body), surface), time.perf_counter())

        assert (raised.value.param, one.records()) == ("model", [])
        assert words in raised.value.message

    run(tmp_path, act)


def test_a_customer_without_credit_gets_none(tmp_path: Path):
    """402 before the call."""

    async def act(one: Scene) -> None:
        one.keeper.credits_milli = 99
        with pytest.raises(OutOfCredit):
            await embed(one)

        assert one.records() == []

    run(tmp_path, act)


def test_a_budget_holds_its_ceiling(tmp_path: Path):
    """A token for each byte: what may cost more than is left is not sent."""
    budget = "limits: {customers: {sandbox: {budget: 0.000001/day}}}"  # 1,000 nano-dollars

    async def act(one: Scene) -> None:
        await embed(one, "x" * 40)
        with pytest.raises(OverBudget):
            await embed(one, "x" * 51)  # 51 tokens at 20 are 1,020

    run(tmp_path, act, sections=budget)


def test_nonsense_from_the_provider_is_no_answer(tmp_path: Path):
    """The caller pays nothing, and what it may cost us is booked."""

    async def act(one: Scene) -> None:
        with pytest.raises(UpstreamBroke):
            await embed(one, ["[[sim: html]]"])
        end = one.end()

        assert (end["cr"], one.spent_milli) == (0, 0)
        assert one.keeper.credits_milli + (one.world.wallets.left_milli(1) or 0) == LENT

    run(tmp_path, act)
