"""Synthetic exchanges, and a ledger they are folded into: what a proxy's past looks like to its books."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from margin import records
from margin.ledger import fold
from margin.ledger.postings import Effects
from margin.ledger.store import Store

DAY = 86_400 * 1_000_000_000
BEGIN_T = int(datetime(2026, 9, 12, tzinfo=UTC).timestamp()) * 1_000_000_000
MODELS = (("openai", "gpt-6-luna", "simple"), ("openai", "gpt-6.1-sol", "medium"), ("openai", "gpt-6-astra", "complex"))
TERMS = {"version": "plan_f67519c7fabe", "fee": 0, "included": 0, "enforce": "none", "price": None, "overage": None}
PLANS = {"open": TERMS, "prepaid": TERMS | {"enforce": "hard", "price": 50_000_000}}
CREDITS_MILLI = 10**12
DECISION = {
    "config": "cfg_0123456789ab", "classifier": "rules_0123456789ab", "cost_book": "book_0123456789ab",
    "sell_book": "sell_0123456789ab", "requested": "auto", "task": "analysis", "tier": "complex",
    "probabilities": [0.0812, 0.2114, 0.7074], "rule": "classified", "candidates": ["gpt-6-astra", "gpt-6.1-sol"],
    "features": {f"feature_number_{number}": 1.25 * number for number in range(16)},
    "reasons": ["a long prompt", "several questions", "asks for a plan"], "baseline": "gpt-6-astra",
    "charge_tier": "complex", "served_tier": "complex", "cache": "bypass", "stream": False,
    "usage_source": "provider", "total_us": 812_345, "head_us": 811_900, "overhead_us": 212,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Past:
    """How many exchanges, of how many customers (numbered from `first`), over how many days from the beginning."""

    exchanges: int
    customers: int
    days: int
    plan: str
    first: int = 1


class Ledger:
    """A ledger file and the fold's memory of it. What is folded has no journal: `reached` stays as it was."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        self.reached = self.store.reached()
        self.state, self.effects = self.store.state(), Effects()

    def open_customers(self, count: int, plan: str) -> None:
        """Begin `count` customers, each with credits where the plan enforces them."""
        self._apply(records.sellbook(t=BEGIN_T, version="s1", default="open", plans=PLANS))
        for number in range(1, count + 1):
            self._apply(records.customer(t=BEGIN_T, customer=number, plan=plan))
            if plan != "open":
                self._apply(records.grant(t=BEGIN_T, id=grant_id(number), customer=number, credits_milli=CREDITS_MILLI,
                                          paid_nusd=CREDITS_MILLI, expires_t=None))  # fmt: skip
            if number % 10_000 == 0:
                self.commit()
        self.commit()

    def fold(self, exchanges: Iterator[list[records.Record]], batch: int) -> float:
        """Fold exchanges, `batch` in a transaction; return the CPU seconds it took, without making the records."""
        spent = 0.0
        for number, exchange in enumerate(exchanges, start=1):
            begun = time.process_time()
            for record in exchange:
                self._apply(record)
            if number % batch == 0:
                self.commit()
            spent += time.process_time() - begun
        begun = time.process_time()
        self.commit()
        return spent + time.process_time() - begun

    def commit(self) -> None:
        """Store what was applied."""
        self.store.write(self.state, self.effects, self.reached)
        self.effects = Effects()

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    def _apply(self, record: records.Record) -> None:
        fold.apply(self.state, record, self.effects, journal="worker-1.journal")


def grant_id(customer: int) -> str:
    """Return the name of the one grant of a customer."""
    return f"grant_{customer}"


def exchanges(past: Past, *, incarnation: str, seed: int) -> Iterator[list[records.Record]]:
    """Yield the records of each exchange: who, which model and how many tokens are drawn, times go forward evenly."""
    draw = random.Random(seed)
    for number in range(past.exchanges):
        t = BEGIN_T + number * past.days * DAY // past.exchanges
        provider, model, tier = draw.choices(MODELS, (70, 20, 10))[0]
        yield _exchange(past, f"ex_{incarnation}{number:08x}", t, provider, model, tier, draw)


def _exchange(
    past: Past, x: str, t: int, provider: str, model: str, tier: str, draw: random.Random
) -> list[records.Record]:
    """Return what a worker writes of a plain answer: a hold with its call, and the settlement."""
    milli = {"simple": 1000, "medium": 3000, "complex": 10_000}[tier]
    usage = {"input": draw.randrange(100, 4000), "output": draw.randrange(10, 800)}
    cost = usage["input"] * 100 + usage["output"] * 400
    hold = records.held(
        x=x, t=t, customer=draw.randrange(past.first, past.first + past.customers), key="7f7084cdcbed", plan=past.plan,
        plan_version=TERMS["version"], charge_tier=tier, served_tier=tier, credits_milli=milli, deadline_t=t + DAY,
    )  # fmt: skip
    call = records.called(
        x=x, t=t, attempt=1, provider=provider, deployment=model, model=model, card="card_bd32f19294f4",
        input_estimate=usage["input"], input_cost_nusd=usage["input"] * 100,
    )  # fmt: skip
    line = records.attempt(
        n=1, provider=provider, deployment=model, model=model, card="card_bd32f19294f4", kind="model", usage=usage,
        cost_nusd=cost, call_id=f"chatcmpl-{draw.getrandbits(96):024x}", status=200,
    )  # fmt: skip
    end = records.settled(x=x, t=t + 10**9, outcome="ok", credits_milli=milli, attempts=[line], baseline_nusd=2 * cost,
                          decision=DECISION)  # fmt: skip
    return [records.begun(hold, call), end]
