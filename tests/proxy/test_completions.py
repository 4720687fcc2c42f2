"""Legacy completions as exchanges: held for every answer that is made, and settled by what they used."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.exchange import Inbound, Reply, serve
from proxy.wire.errors import Malformed
from tests.proxy.scene import Scene, check_books, scene

PRICE = "{input: 1.5, output: 2}"
BASE = f"  base: {{provider: sandbox, model: gpt-3.5-turbo-instruct, price: {PRICE}, serves: [completions]}}\n"
IN, OUT = 1_500, 2_000
"""Nano-dollars a token."""


def run(folder: Path, act: Callable[[Scene], Awaitable[None]], **stage: Any) -> None:
    """Play a scene, with a model that completes."""

    async def main() -> None:
        async with scene(folder, models=BASE, **stage) as one:
            await act(one)
            check_books(one.records())

    asyncio.run(main())


async def complete(one: Scene, prompt: Any = "Once upon", **fields: Any) -> Reply:
    """Serve one request."""
    inbound = Inbound({}, orjson.dumps({"model": "base", "prompt": prompt, **fields}), "completions")
    reply = await serve(one.world, one.principal, inbound, time.perf_counter())
    if reply.relay is not None:
        await reply.relay.run(one.caller)
    return reply


@pytest.mark.parametrize("stream", [False, True])
def test_the_books_have_what_the_provider_bills(tmp_path: Path, stream: bool):
    """Both sides to the token, answers that were made and not given included."""

    async def act(one: Scene) -> None:
        extra = {"stream": True, "n": 2} if stream else {"n": 1, "best_of": 3}
        await complete(one, ["Once", "Twice"], max_tokens=5, **extra)
        end, (billed,) = one.end(), one.billed()

        (line,) = end["a"]
        used = billed["usage"]
        assert (line["id"], line["u"]["input"], line["u"]["output"]) == (
            billed["call_id"], used["input"], used["output"],
        )  # fmt: skip
        assert line["cost"] == used["input"] * IN + used["output"] * OUT
        assert used["output"] == 2 * (2 if stream else 3) * 5
        assert one.caller.is_done is stream

    run(tmp_path, act)


def test_the_hold_covers_every_answer_that_is_made(tmp_path: Path):
    """A metered plan holds max_tokens × best_of × prompts."""

    async def act(one: Scene) -> None:
        await complete(one, ["ab", "cd"], max_tokens=10, n=1, best_of=3)
        held = one.records()[0]["cr"]

        # `metered: {input: 1, output: 4}` credits a thousand tokens, so milli-credits a token.
        assert held == 4 * 1 + (10 * 3 * 2) * 4

    run(tmp_path, act, plan="metered")


def test_a_cut_stream_ends_with_an_error_event(tmp_path: Path):
    """Never with a clean `[DONE]`; the caller pays nothing."""

    async def act(one: Scene) -> None:
        await complete(one, "Once [[sim: tokens=9 cut=4]]", stream=True, max_tokens=16)

        assert (one.caller.is_done, one.end()["o"], one.end()["cr"]) == (False, "cut", 0)
        assert one.caller.error is not None

    run(tmp_path, act)


def test_models_that_chat_answer_a_plain_prompt(tmp_path: Path):
    """As `auto` chooses among them; what they cannot do is named, and nobody is called."""

    async def act(one: Scene) -> None:
        reply = await complete(one, "Say hi", model="auto", max_tokens=20)
        with pytest.raises(Malformed) as raised:
            await complete(one, "Say hi", model="gpt-6-luna", echo=True)

        (choice,) = orjson.loads(reply.body)["choices"]
        assert orjson.loads(reply.body)["object"] == "text_completion"
        assert choice["text"]
        assert (raised.value.param, len(one.billed())) == ("echo", 1)

    run(tmp_path, act)


def test_a_model_that_only_completes_does_not_chat(tmp_path: Path):
    """The other way round there is no translation."""

    async def act(one: Scene) -> None:
        with pytest.raises(Malformed) as raised:
            await one.ask(model="base")

        assert "serves completions, and no chat" in raised.value.message

    run(tmp_path, act)
