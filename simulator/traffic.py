"""A day's traffic in a minute: who asks, what, and when. The same seed gives the same requests at the same times."""

import heapq
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from simulator.prompts import CITIES, NAMES, PRODUCTS, PROMPTS, SCHEMA, TOOLS, Kind

BURST_EVERY_S: Final = 14.0
BURST_S: Final = 2.0
BURST_FACTOR: Final = 3.0
"""Every customer has quiet and busy moments: every 14 seconds two in which it asks three times as much."""


@dataclass(frozen=True, slots=True)
class Customer:
    """Who asks, on which plan, and how.

    Args:
        name: Its name.
        plan: A plan of the sandbox's sell book.
        about: What it is, in a few words.
        rate_per_s: Requests per second outside of bursts.
        mix: Weights of the kinds of work it sends.
        model: What it asks for in `model`.
        credits: Credits it has bought before it begins; 0 for none.
        usd_per_credit: What it paid for each.
        streamed: The share of its requests that want a stream.
        extras: The share that brings tools (code, plans) or a JSON schema (extraction).
    """

    name: str
    plan: str
    about: str
    rate_per_s: float
    mix: Mapping[Kind, float]
    model: str = "auto"
    credits: int = 0
    usd_per_credit: Decimal = Decimal(0)
    streamed: float = 0.4
    extras: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Args:
        at_s: Seconds after the start.
        customer: Whose it is.
        kind: What kind of work it is, to its asker.
        body: The arguments of `chat.completions.create`.
    """

    at_s: float
    customer: str
    kind: Kind
    body: Mapping[str, Any]


CUSTOMERS: Final = (
    Customer(
        name="acme", plan="starter", about="a help desk on a small fee", rate_per_s=0.6, streamed=0.7,
        mix={"question": 6, "label": 3, "small talk": 2, "translate": 1, "proof": 0.2},
    ),
    Customer(
        name="globex", plan="pro", about="a flat fee, and only the dearest model will do", rate_per_s=0.5,
        model="gpt-6-astra",
        mix={"question": 3, "draft": 2, "code": 2, "plan": 1, "story": 1},
    ),
    Customer(
        name="initech", plan="sandbox", about="an office's documents, prepaid in bulk", rate_per_s=3.5, extras=0.6,
        credits=20_000, usd_per_credit=Decimal("0.01"),
        mix={"extract": 5, "label": 4, "question": 4, "translate": 3, "summary": 3, "draft": 2,
             "sums": 0.5, "story": 0.5},
    ),
    Customer(
        name="hooli", plan="sandbox", about="engineers with tools, prepaid in bulk", rate_per_s=1.4, extras=0.4,
        credits=20_000, usd_per_credit=Decimal("0.006"),
        mix={"code": 4, "question": 3, "explain": 2, "plan": 1, "proof": 1},
    ),
    Customer(
        name="vandelay", plan="sandbox", about="bought a few credits only", rate_per_s=1.2,
        credits=40, usd_per_credit=Decimal("0.025"),
        mix={"question": 4, "translate": 2, "draft": 2, "label": 1},
    ),
    Customer(
        name="tourist", plan="open", about="passing through, pays nothing", rate_per_s=0.15,
        mix={"small talk": 2, "question": 3, "translate": 2},
    ),
)  # fmt: skip
"""The customers of a demo: about eight requests a second together, about twice as many in a burst."""


def schedule(seed: int, customers: tuple[Customer, ...] = CUSTOMERS) -> Iterator[Request]:
    """Yield requests without end, in the order of their times.

    Args:
        seed: Decides everything: times, kinds, texts.
        customers: Who asks. What one asks does not depend on the others.
    """
    lanes = [_lane(each, random.Random(f"{each.name}/{seed}")) for each in customers]  # noqa: S311 - variety, not secrecy
    return heapq.merge(*lanes, key=lambda request: request.at_s)


def first(seed: int, duration_s: float) -> list[Request]:
    """Return the requests of the first `duration_s` seconds."""
    found = []
    for request in schedule(seed):
        if request.at_s >= duration_s:
            break
        found.append(request)
    return found


def _lane(customer: Customer, choices: random.Random) -> Iterator[Request]:
    """Yield one customer's requests: a Poisson process whose rate rises in bursts (by thinning)."""
    phase_s, at_s = choices.uniform(0, BURST_EVERY_S), 0.0
    while True:
        at_s += choices.expovariate(customer.rate_per_s * BURST_FACTOR)
        in_burst = (at_s + phase_s) % BURST_EVERY_S < BURST_S
        if in_burst or choices.random() < 1 / BURST_FACTOR:
            yield _request(customer, at_s, choices)


def _request(customer: Customer, at_s: float, choices: random.Random) -> Request:
    (kind,) = choices.choices(list(customer.mix), list(customer.mix.values()))
    template = choices.choice(PROMPTS[kind])
    body: dict[str, Any] = {
        "model": customer.model,
        "messages": [{"role": "user", "content": _fill(template, choices)}],
        "stream": choices.random() < customer.streamed,
    }
    if choices.random() < customer.extras:
        body |= _extras(kind)
    return Request(at_s, customer.name, kind, body)


def _fill(template: str, choices: random.Random) -> str:
    words = {
        "city": choices.choice(CITIES),
        "product": choices.choice(PRODUCTS),
        "name": choices.choice(NAMES),
        "order": str(choices.randrange(10_000, 100_000)),
        "amount": str(choices.randrange(12, 480)),
    }
    for word, value in words.items():
        template = template.replace(f"{{{word}}}", value)
    return template


def _extras(kind: Kind) -> dict[str, Any]:
    if kind in {"code", "plan"}:
        return {"tools": list(TOOLS)}
    return {"response_format": SCHEMA} if kind == "extract" else {}
