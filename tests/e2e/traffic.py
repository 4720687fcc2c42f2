"""Mixed traffic: what many customers ask in a day, drawn from a seed, and what each of them was told it cost."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.e2e import wire
from tests.e2e.wire import Answer

SIMPLE = ("Translate hello to French", "What is the capital of Peru?", "Fix the spelling: recieve", "Say hello")
MEDIUM = (
    "Summarise the following report in three bullet points for the board: revenue rose by 12 % while costs fell.",
    "Write a polite e-mail that declines an invitation and proposes two other dates.",
)
COMPLEX = (
    "Prove that there are infinitely many primes, then design an algorithm that lists them and analyse its complexity.",
    "Design a distributed rate limiter for three regions: compare the trade-offs and prove that it never overspends.",
)
MODELS = ("auto", "auto:simple", "auto:medium", "auto:complex", "gpt-4o", "fast", "gpt-6-luna", "gpt-6.1-sol",
          "gpt-6-astra", "gpt-4o-mini")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wish:
    """One request to be sent. `breaks`: the status it is refused with, None when it is a good one."""

    customer: str
    key: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    breaks: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """What came back: amounts as the caller was told, None where nothing was. `refusal`: an error's own words."""

    wish: Wish
    status: int
    request_id: str | None
    credits: Decimal
    cost_nusd: int | None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a key, and the customer its header names, if it names one."""

    customer: str
    key: str
    names_customer: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The headers of its requests; the cost is asked for."""
        named = {"x-penstock-customer": self.customer} if self.names_customer else {}
        return {"x-penstock-cost": "1", **named}


def mixed(rng: random.Random, callers: Sequence[Caller], count: int) -> list[Wish]:
    """Draw `count` requests: one in twenty is one that must be refused."""
    return [_wish(rng, rng.choice(callers), number) for number in range(count)]


def _wish(rng: random.Random, caller: Caller, number: int) -> Wish:
    prompt = f"{rng.choice(SIMPLE + MEDIUM + COMPLEX)} [{number}]"
    body: dict[str, Any] = {"model": rng.choice(MODELS), "messages": [{"role": "user", "content": prompt}]}
    if rng.random() < 0.5:
        body["stream"] = True
        if rng.random() < 0.5:
            body["stream_options"] = {"include_usage": rng.random() < 0.5}
    if rng.random() < 0.1:
        # Long enough for the provider's prompt cache, and the same for all: one writes, the others read.
        body["messages"].insert(0, {"role": "system", "content": "You answer in the style of the house. " * 200})
    if rng.random() < 0.05:
        return _broken(rng, caller, body)
    return Wish(caller.customer, caller.key, caller.headers, body, None)


def _broken(rng: random.Random, caller: Caller, body: dict[str, Any]) -> Wish:
    status = rng.choice((400, 401, 404))
    if status == 400:
        return Wish(caller.customer, caller.key, caller.headers, {**body, "messages": []}, 400)
    if status == 404:
        return Wish(caller.customer, caller.key, caller.headers, {**body, "model": "gpt-nonsense"}, 404)
    return Wish(caller.customer, "sk-penstock-nobodys", caller.headers, body, 401)


async def send(port: int, wishes: Iterable[Wish], *, at_once: int) -> list[Told]:
    """Send all requests, `at_once` at a time, each on a connection of its own and to the end of its answer."""
    turn = asyncio.Semaphore(at_once)

    async def one(wish: Wish) -> Told:
        headers = [f"{name}: {value}" for name, value in wish.headers.items()]
        async with turn:
            return _told(wish, await wire.ask(port, wire.request(wish.key, json.dumps(wish.body).encode(), *headers)))

    return await asyncio.gather(*map(one, wishes))


def _told(wish: Wish, answer: Answer) -> Told:
    if answer.status != 200:
        return Told(wish, answer.status, None, Decimal(0), None, answer.json()["error"]["message"])
    if wish.body.get("stream"):
        assert answer.body.endswith(wire.DONE), answer.body[-300:]
        cost = answer.body.rpartition(b": x-penstock-cost-usd ")[2].partition(b"\n")[0].decode()
    else:
        cost = answer.headers["x-penstock-cost-usd"]
    charged = Decimal(answer.headers["x-penstock-credits-charged"])
    return Told(wish, 200, answer.headers["x-penstock-request-id"], charged, int(Decimal(cost) * 10**9))


def count_by_customer(answers: Iterable[Told]) -> Counter[str]:
    """Count what was answered, by customer."""
    return Counter(told.wish.customer for told in answers if told.status == 200)
