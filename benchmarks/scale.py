"""What a large ledger costs: its file, its questions, opening it, and folding into it compared with an empty one.

The ledger is built by the fold itself from synthetic exchanges: a hold with its call and a settlement each, as long as
those of the proxy, spread over customers and days. No server, no journals: ``make bench`` has those.

    python -m benchmarks.scale --exchanges 1000000 --customers 10000
"""

from __future__ import annotations

import argparse
import platform
import random
import resource
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from margin import records
from margin.ledger import fold, questions
from margin.ledger.postings import Effects
from margin.ledger.store import Reached, Store, connect

DAY = 86_400 * 1_000_000_000
BEGIN_T = int(datetime(2026, 9, 12, tzinfo=UTC).timestamp()) * 1_000_000_000
MID_MONTH, WHOLE_MONTH = "2026-10-17", "2026-11-01"
MODELS = (("openai", "gpt-6-luna", "simple"), ("openai", "gpt-6.1-sol", "medium"), ("openai", "gpt-6-astra", "complex"))
BUILD_BATCH, LIVE_BATCH = 10_000, 200
"""Exchanges in one transaction: to build quickly; and as a server at 2,000 a second folds, every tenth of a second."""
TERMS = {"version": "plan_f67519c7fabe", "fee": 0, "included": 0, "enforce": "none", "price": None, "overage": None}
PLANS = {"open": TERMS, "prepaid": TERMS | {"enforce": "hard", "price": 50_000_000}}
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
class Size:
    """How large a ledger is built."""

    exchanges: int
    customers: int
    days: int
    plan: str


class Ledger:
    """A ledger file and the fold's memory of it."""

    def __init__(self, path: Path, plan: str) -> None:
        self.store, self.plan = Store(path), plan
        self.state, self.effects = self.store.state(), Effects()

    def open_customers(self, count: int) -> None:
        """Begin `count` customers, each with credits where the plan enforces them."""
        self._apply(records.sellbook(t=BEGIN_T, version="s1", default="open", plans=PLANS))
        for number in range(1, count + 1):
            self._apply(records.customer(t=BEGIN_T, customer=number, plan=self.plan))
            if self.plan != "open":
                self._apply(records.grant(t=BEGIN_T, id=f"g{number}", customer=number, credits_milli=10**12,
                                          paid_nusd=10**12, expires_t=None))  # fmt: skip
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
        self.commit()
        return spent

    def commit(self) -> None:
        """Store what was applied."""
        self.store.write(self.state, self.effects, Reached(1, 0, ""))
        self.effects = Effects()

    def _apply(self, record: records.Record) -> None:
        fold.apply(self.state, record, self.effects, journal="worker-1.journal")


def exchanges(size: Size, *, incarnation: str, seed: int) -> Iterator[list[records.Record]]:
    """Yield the records of each exchange: who, which model and how many tokens are drawn, times go forward evenly."""
    draw = random.Random(seed)
    for number in range(size.exchanges):
        t = BEGIN_T + number * size.days * DAY // size.exchanges
        provider, model, tier = draw.choices(MODELS, (70, 20, 10))[0]
        yield _exchange(size, f"ex_{incarnation}{number:08x}", t, provider, model, tier, draw)


def _exchange(
    size: Size, x: str, t: int, provider: str, model: str, tier: str, draw: random.Random
) -> list[records.Record]:
    milli = {"simple": 1000, "medium": 3000, "complex": 10_000}[tier]
    usage = {"input": draw.randrange(100, 4000), "output": draw.randrange(10, 800)}
    cost = usage["input"] * 100 + usage["output"] * 400
    hold = records.held(
        x=x, t=t, customer=draw.randrange(1, size.customers + 1), key="7f7084cdcbed", plan=size.plan,
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
    return [hold, call, end]


def times_ms(ask: Callable[[], object], rounds: int = 9) -> tuple[float, float]:
    """Return the median and the longest of several askings."""
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        ask()
        found.append((time.perf_counter() - begun) * 1000)
    return statistics.median(found), max(found)


def asked(db: sqlite3.Connection) -> dict[str, Callable[[], Any]]:
    """Return the questions that are timed, by what they are called."""
    return {
        "margin by customer, everything": lambda: questions.margin_by_customer(db),
        f"margin by customer since {WHOLE_MONTH}": lambda: questions.margin_by_customer(db, since_day=WHOLE_MONTH),
        f"margin by customer since {MID_MONTH}": lambda: questions.margin_by_customer(db, since_day=MID_MONTH),
        "one scrape's sums of one metric": lambda: questions.totals(db, ("plan", "charge_tier"), ("requests",)),
        "one customer's balance": lambda: questions.credit_balance(db, 1),
        "one charge": lambda: questions.charge(db, "ex_0000000000000000000f"),
    }


def build(path: Path, size: Size) -> Ledger:
    """Build a ledger, and say how long it took."""
    ledger = Ledger(path, size.plan)
    begun = time.perf_counter()
    ledger.open_customers(size.customers)
    cpu_s = ledger.fold(exchanges(size, incarnation="000000000000", seed=1), BUILD_BATCH)
    wall_s = time.perf_counter() - begun
    count = ledger.store.db.execute
    rows = sum(count(f"SELECT MAX(rowid) FROM {table}").fetchone()[0] or 0
               for table in ("txns", "entries", "charges", "cost_lines"))  # fmt: skip
    file_bytes = path.stat().st_size
    print(f"built in {wall_s:,.0f} s; {cpu_s / size.exchanges * 1e6:.0f} µs of CPU an exchange")
    print(f"{rows:,} rows of transactions, entries, charges and cost lines; {file_bytes / 2**30:.2f} GiB, "
          f"{file_bytes / size.exchanges:,.0f} bytes an exchange")  # fmt: skip
    return ledger


def compare(full: Ledger, size: Size, folder: Path, sample: int) -> float:
    """Fold the same new exchanges into the full ledger and into an empty one by turns; return full ÷ empty."""
    ratios, costs = [], []
    for number in range(3):
        empty = Ledger(folder / f"empty-{number}.sqlite", size.plan)
        empty.open_customers(1)
        small, large = (Size(sample, customers, 1, size.plan) for customers in (1, size.customers))
        name = f"{number + 1:012x}"
        one = empty.fold(exchanges(small, incarnation=name, seed=2), LIVE_BATCH)
        other = full.fold(exchanges(large, incarnation=name, seed=2), LIVE_BATCH)
        empty.store.close()
        ratios.append(one / other)
        costs.append((one / sample * 1e6, other / sample * 1e6))
    for one, other in costs:
        print(f"µs of CPU an exchange, {LIVE_BATCH} a batch: empty, one customer {one:.0f} · this ledger {other:.0f}")
    return statistics.median(ratios)


def measure(size: Size, folder: Path, sample: int) -> None:
    """Build, ask, compare, and print."""
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}: {size.exchanges:,} exchanges of "
          f"{size.customers:,} customers over {size.days} days on plan {size.plan}")  # fmt: skip
    path = folder / "ledger.sqlite"
    full = build(path, size)
    reader = connect(path, read_only=True)
    for name, ask in asked(reader).items():
        print(f"{name + ', ms':<48}p50 {'{:,.1f}   max {:,.1f}'.format(*times_ms(ask))}")
    reader.close()
    ratio = compare(full, size, folder, sample)
    print(f"fold throughput, full ÷ empty: {ratio:.2f} (must ≥ 0.9, aim ≥ 0.97)")
    full.store.close()
    begun = time.perf_counter()
    opened = Store(path)
    opened.state()
    print(f"opened in {(time.perf_counter() - begun) * 1000:,.0f} ms")
    opened.close()
    print(f"resident memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


def main() -> int:
    """Read the sizes, and measure in a scratch folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=80)
    parser.add_argument("--plan", choices=sorted(PLANS), default="open")
    parser.add_argument("--sample", type=int, default=20_000, help="exchanges folded to compare with an empty ledger")
    parser.add_argument("--folder", type=Path, default=None, help="where to build (2 KB an exchange)")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="penstock-scale-", dir=args.folder))
    try:
        measure(Size(args.exchanges, args.customers, args.days, args.plan), folder, args.sample)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
