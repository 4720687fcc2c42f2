"""Nobody ever gets a byte of another customer's answer: random customers, requests, streams and departures, at once.

The provider here writes into each answer for whom it was called. `PENSTOCK_FOREIGN=1000000` plays as many requests;
every run prints its seed, and `PENSTOCK_SEED` repeats it.
"""

import asyncio
import os
import random
from collections import Counter
from contextvars import ContextVar
from itertools import count
from pathlib import Path

import httpx
import orjson
import pytest

from proxy.caching.answers import Answers
from proxy.caching.semantic.proof import Stand
from proxy.caching.stores import store
from proxy.caching.stores.store import Away, Store
from proxy.exchange import Reply
from proxy.identity import Principal
from proxy.upstream.client import Upstream
from proxy.wire import sse
from tests.proxy.scene import Caller, Scene
from tests.proxy.test_exchange import play
from tests.proxy.test_repeating import cache_of, text_of

ASKING: ContextVar[int] = ContextVar("ASKING")
"""For whom the task that runs now asks."""
CUSTOMERS, PROMPTS = 4, 3
WORDINGS = ("what is prompt {}", "What's prompt {}?", "Please tell me what prompt {} is!")
AT_ONCE = 24


class Telling(httpx.AsyncBaseTransport):
    """A provider whose answers say for whom they were made, and which one they are; sometimes it fails."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._numbers = rng, count()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(self._rng.randrange(4)):
            await asyncio.sleep(0)
        if self._rng.random() < 0.05:
            return httpx.Response(400, json={"error": {"message": "No.", "type": "invalid_request_error"}})
        asked = orjson.loads(request.content)
        words = f"for {ASKING.get()}: {asked['messages'][0]['content']}, number {next(self._numbers)}"
        if asked.get("stream"):
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=_events(words))
        return httpx.Response(200, json=_completion(words))


def _completion(words: str) -> dict[str, object]:
    message = {"role": "assistant", "content": words, "refusal": None}
    return _object("chat.completion") | {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": _USAGE,
    }  # fmt: skip


def _events(words: str) -> bytes:
    choices = [
        *({"index": 0, "delta": {"content": piece}, "finish_reason": None} for piece in (words[:5], words[5:])),
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
    told = [_object("chat.completion.chunk") | {"choices": [each], "usage": None} for each in choices]
    told.append(_object("chat.completion.chunk") | {"choices": [], "usage": _USAGE})
    return b"".join(sse.event(orjson.dumps(each)) for each in told) + sse.event(sse.DONE)


def _object(kind: str) -> dict[str, object]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "gpt-6-luna"}


_USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


class Mixing:
    """A store that gives whatever it has, of whomever, sometimes cut or altered; and is away now and then."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._values = rng, dict[bytes, bytes]()

    async def get(self, key: bytes, customer: int) -> bytes | None:
        for _ in range(self._rng.randrange(3)):
            await asyncio.sleep(0)
        dice = self._rng.random()
        if dice < 0.02:
            raise Away
        found = self._rng.choice(list(self._values.values())) if self._values and dice < 0.5 else self._values.get(key)
        return found if found is None or dice > 0.1 else found[: self._rng.randrange(len(found))]

    async def put(self, key: bytes, customer: int, value: bytes, ttl_s: float) -> None:
        await asyncio.sleep(0)
        self._values[key] = value

    async def close(self) -> None:
        pass


async def ask(here: Scene, rng: random.Random, seen: Counter[str]) -> None:
    """Ask for a random customer, in random words and ways; what comes must be its own, whole, or nothing."""
    customer, number = rng.randrange(1, CUSTOMERS + 1), rng.randrange(PROMPTS)
    is_meant = here.world.settings.caching.semantic is not None
    wordings = [each.format(number) for each in (WORDINGS if is_meant else WORDINGS[:1])]
    prompt = rng.choice(wordings)
    ASKING.set(customer)
    key = f"key_{customer}_{rng.randrange(2)}"  # two each: a customer's keys share its answers
    here.principal = Principal(key, customer, f"c{customer}", "open", frozenset(["serve"]))
    fields = {"seed": rng.randrange(2)} if rng.random() < 0.3 else {}
    reply = await here.ask(prompt, stream=rng.random() < 0.5, **fields)
    seen[cache_of(reply).decode()] += 1
    words = await _words(reply, rng)
    assert words is None or words.startswith(tuple(f"for {customer}: {each}, number " for each in wordings))


async def _words(reply: Reply, rng: random.Random) -> str | None:
    if reply.relay is None:
        return str(orjson.loads(reply.body)["choices"][0]["message"]["content"])
    caller = Caller()
    if rng.random() < 0.2:
        reply.relay.left()
    await reply.relay.run(caller)
    return text_of(caller.payloads) if caller.is_done else None


@pytest.mark.parametrize(
    "requests", [600, pytest.param(int(os.environ.get("PENSTOCK_FOREIGN", "10000")), marks=[pytest.mark.full])]
)
@pytest.mark.parametrize(
    ("semantic", "stored"),
    [("{enabled: false}", False), ("{enabled: true}", False), ("{enabled: false}", True)],
    ids=["exact", "semantic", "stored"],
)
@pytest.mark.timeout(3_600)
def test_no_answer_is_of_another_customer(
    tmp_path: Path, requests: int, semantic: str, stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hits, shared calls and cancellations among them; and the books close every exchange once.

    By meaning, too, as if every class were proven: then a customer gets what was said to it in other words at most.
    And with a store that hands out what belongs to somebody else.
    """
    monkeypatch.setattr(store, "REST_S", 0.0)
    seed = int(os.environ.get("PENSTOCK_SEED", random.SystemRandom().randrange(10**9)))
    print(f"PENSTOCK_SEED={seed}")
    rng, seen = random.Random(seed), Counter[str]()

    async def act(here: Scene) -> None:
        for number in range(1, CUSTOMERS + 1):
            here.world.identity.put_customer(number, f"c{number}", "open")
        here.world.upstream = Upstream(Telling(rng))
        here.world.meaning().proof.stand = lambda *_: Stand(999, 0, proven=True)  # type: ignore[method-assign]
        if stored:
            here.world.answer_store = Store(Mixing(rng), b"s" * 32, 5.0)
        for start in range(0, requests, AT_ONCE):
            tasks = [asyncio.ensure_future(ask(here, rng, seen)) for _ in range(AT_ONCE)]
            for each in tasks:
                if rng.random() < 0.1:
                    asyncio.get_running_loop().call_soon(each.cancel)
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            wrong = [each for each in ended if isinstance(each, AssertionError)]
            assert wrong == []
            if start % (8 * AT_ONCE) == 0:
                here.world.answers = Answers()  # forgotten, so that calls are made again
        assert len(here.world.flights) == 0
        if here.world.answer_store is not None:
            counts = here.world.answer_store.counts
            await here.world.answer_store.close()
            assert min(counts["hit"], counts["refused"], counts["kept"]) > 0

    play(tmp_path, act, repeats=True, plan="open", semantic=semantic)

    assert min(seen["hit"], seen["miss"]) > requests // 50
    assert (seen["semantic"] > requests // 50) == ("true" in semantic)
