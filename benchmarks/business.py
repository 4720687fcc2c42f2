"""A month of a business: `python -m benchmarks.business FOLDER` plays it into books and metrics.

Three dozen customers on three plans: most earn, one power user costs more than it pays, one tourist came and left, a
provider is out for four hours and cuts its prices in half for the second fortnight. The books in `FOLDER/data` are the
ledger's own: `PENSTOCK_DATA_DIR=FOLDER/data penstock report margin --config benchmarks/business.yaml` reads them.
`FOLDER/metrics.om` is what `/metrics` said each hour, in OpenMetrics; where promtool is installed, `FOLDER/tsdb` has it
as blocks that Prometheus can begin with. The same seed plays the same month.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import proxy
from margin import records
from margin.journal import Journal
from margin.ledger import questions
from margin.ledger.books import Books
from margin.sellbook import SellBook
from proxy.keeper import standing, terms
from proxy.keeper.directory import Directory
from proxy.settings import load
from proxy.telemetry import metrics
from proxy.telemetry.standing import Standing

CONFIG: Final = Path(__file__).with_name("business.yaml")
NS: Final = 1_000_000_000
HOUR_NS: Final = 3_600 * NS
DAYS: Final = 30
PRICE_DAY: Final = 15
OUTAGE_DAY, OUTAGE_HOURS = 20, range(9, 13)
"""A provider answers nothing in these hours."""
TOURIST_DAYS: Final = range(4, 6)
SHARES: Final = {"simple": 0.74, "medium": 0.2, "complex": 0.06}
NAMED: Final = 10
"""Customers that metrics name."""
MODELS: Final = {"simple": "gpt-6-luna", "medium": "gpt-6.1-sol", "complex": "gpt-6-astra"}
RATES_NUSD: Final = {"simple": (50, 400), "medium": (1_250, 10_000), "complex": (5_000, 25_000)}
"""Nano-dollars for a token of input and of output."""
CREDITS_MILLI: Final = {"simple": 1_000, "medium": 3_000, "complex": 10_000}


@cache
def sellbook() -> SellBook:
    """Return the plans of the month."""
    return load(CONFIG, environ={}).sellbook


@dataclass(frozen=True, slots=True)
class Buyer:
    """A customer, and how many requests it makes in an hour of its day."""

    number: int
    name: str
    plan: str
    segment: str
    per_hour: float
    tier_bias: float = 0.0

    def requests(self, drawn: random.Random, day: int, hour: int) -> int:
        """Return how many requests it makes in an hour."""
        if self.name == "tourist":
            return drawn.randrange(4) if day in TOURIST_DAYS and 9 <= hour < 17 else 0
        busy = 1.6 if 8 <= hour < 18 else 0.4
        return int(drawn.gammavariate(2, self.per_hour * busy / 2) + drawn.random())


def buyers(drawn: random.Random) -> list[Buyer]:
    """Return the customers: 34 of an ordinary kind, a power user and a tourist."""
    found = [Buyer(1, "heavy", "flat", "enterprise", 14, 0.4), Buyer(2, "tourist", "starter", "smb", 0)]
    for number in range(3, 37):
        plan = drawn.choices(["starter", "pro", "flat"], [18, 10, 6])[0]
        segment = drawn.choice(["smb", "smb", "mid-market", "enterprise"])
        found.append(Buyer(number, f"customer-{number:02}", plan, segment, drawn.paretovariate(2.2) * 0.45))
    return found


@dataclass(slots=True)
class Month:
    """The month as it is played: books, a worker's journal, and what `/metrics` says each hour."""

    folder: Path
    seed: int
    begins_t: int
    samples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    kinds: dict[str, str] = field(default_factory=dict)
    now_t: int = 0

    def play(self, days: int = DAYS) -> None:
        """Play it, hour by hour."""
        drawn = random.Random(self.seed)
        customers = buyers(drawn)
        data = self.folder / "data"
        names = Directory(_made(data) / "directory.sqlite")
        names.add_all({each.number: each.name for each in customers})
        names.close()
        books = Books(data, version=proxy.__version__)
        book = sellbook()
        self._open(books, book, customers)
        shown = metrics.Metrics(_asked(books, book, lambda: self._stands(books, customers)))
        worker = Journal(books.folder / "worker-history.journal")
        for step in range(days * 24):
            t = self.begins_t + step * HOUR_NS
            for record in _hour(drawn, customers, t, *divmod(step, 24)):
                worker.append(record)
                shown.observed.settled(record)
            worker.sync()
            while books.fold_worker(worker.path):
                pass
            books.record(records.tick(t=t + HOUR_NS - NS))
            books.commit()
            self._scrape(shown, t + HOUR_NS)
        worker.close()
        books.close()

    def _open(self, books: Books, book: SellBook, customers: list[Buyer]) -> None:
        t = self.begins_t
        books.record(records.sellbook(t=t, version=book.version, default=book.default, plans=terms.written(book)))
        for each in customers:
            books.record(records.customer(t=t, customer=each.number, plan=each.plan))
            books.record(records.described(t=t, customer=each.number, segment=each.segment, persona=""))
        books.commit()

    def _stands(self, books: Books, customers: list[Buyer]) -> Standing:
        path, name = books.store.path, {each.number: each.name for each in customers}
        assert path is not None, "the books of the month are a file"
        return standing.shown(standing.asked_of(path, self.now_t), sellbook(), NAMED, name.__getitem__)

    def _scrape(self, shown: metrics.Metrics, t: int) -> None:
        self.now_t = t - NS  # the last second of the hour, and of its day and month
        for family in shown.registry.collect():
            self.kinds[family.name] = family.type
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
                line = f"{sample.name}{{{labels}}} {float(sample.value)!r} {t // NS}"
                self.samples[family.name].append(line)

    def write(self) -> Path:
        """Write what was said, as OpenMetrics; return the file."""
        path = self.folder / "metrics.om"
        with path.open("w", encoding="utf-8") as out:
            for family, lines in self.samples.items():
                out.write(f"# TYPE {family} {self.kinds[family]}\n")
                out.writelines(f"{line}\n" for line in lines)
            out.write("# EOF\n")
        return path


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _asked(books: Books, book: SellBook, stands: Callable[[], Standing]) -> metrics.Books:
    """Return what the exporter asks, of the books alone: a month that is over has no workers, and no budgets."""
    db = books.store.db
    return metrics.Books(
        lambda labels, sums: questions.totals(db, labels, sums), lambda: questions.credit_totals(db),
        lambda: {"penstock_reservations_open": len(books.state.holds), "penstock_workers": 1,
                 "penstock_ledger_lag_seconds": 0, "penstock_reservations_stale": 0,
                 "penstock_ledger_refused_records": questions.refused_records(db)},
        lambda: "requested", list, dict, task_totals=lambda: questions.task_totals(db), standing=stands,
    )  # fmt: skip


def _hour(drawn: random.Random, customers: list[Buyer], t: int, day: int, hour: int) -> Iterator[dict[str, Any]]:
    """Yield the records of one hour, in the order of their moments."""
    book = sellbook()
    asked = sorted(
        (t + drawn.randrange(3_000) * NS, each.number, each)
        for each in customers
        for _ in range(each.requests(drawn, day, hour))
    )
    for count, (moment, number, each) in enumerate(asked):
        weights = [SHARES["simple"] - each.tier_bias, SHARES["medium"], SHARES["complex"] + each.tier_bias]
        tier = drawn.choices(list(SHARES), weights)[0]
        x = f"h{t // NS:x}-{count}-{number}"
        yield _held(x, moment, each, tier, book)
        is_out = day == OUTAGE_DAY and hour in OUTAGE_HOURS and tier != "simple"
        yield _failed(x, moment, tier) if is_out else _settled(drawn, x, moment, tier, day)


def _held(x: str, t: int, each: Buyer, tier: str, book: SellBook) -> dict[str, Any]:
    return records.held(
        x=x, t=t, customer=each.number, key=f"key_{each.number}", plan=each.plan,
        plan_version=book.plan(each.plan).version, charge_tier=tier, served_tier=tier,
        credits_milli=CREDITS_MILLI[tier], deadline_t=t + 600 * NS,
    )  # fmt: skip


def _failed(x: str, t: int, tier: str) -> dict[str, Any]:
    """Return how an exchange ends whose provider answered nothing."""
    line = _line(tier, None, 503, "failed", 0)
    return records.void(x=x, t=t + 5 * NS, why="upstream_error", attempts=[line])


def _settled(drawn: random.Random, x: str, t: int, tier: str, day: int) -> dict[str, Any]:
    """Return how an exchange ends that was answered, at the day's prices."""
    longer = {"simple": 1, "medium": 2, "complex": 4}[tier]
    usage = {"input": 900 * longer + drawn.randrange(2_400), "output": 350 * longer + drawn.randrange(900)}
    cheaper = 2 if day >= PRICE_DAY else 1
    cost = _price(tier, usage) // cheaper
    took_us = 400_000 * longer + drawn.randrange(900_000)
    decision = {
        "charge_tier": tier,
        "total_us": took_us,
        "overhead_us": 90 + drawn.randrange(60),
        "head_us": took_us // 3,
    }
    return records.settled(
        x=x, t=t + took_us * 1_000, outcome="ok", credits_milli=CREDITS_MILLI[tier],
        attempts=[_line(tier, usage, 200, "model", cost)], baseline_nusd=_price("complex", usage) // cheaper,
        decision=decision,
    )  # fmt: skip


def _price(tier: str, usage: dict[str, int]) -> int:
    of_input, of_output = RATES_NUSD[tier]
    return usage["input"] * of_input + usage["output"] * of_output


def _line(tier: str, usage: dict[str, int] | None, status: int, kind: records.CostKind, cost: int) -> dict[str, Any]:
    return records.attempt(
        n=1, provider="openai", deployment=MODELS[tier], model=MODELS[tier], card=None, kind=kind, usage=usage,
        cost_nusd=cost, call_id=None, status=status,
    )  # fmt: skip


def backfilled(openmetrics: Path, into: Path) -> bool:
    """Turn what was said into blocks of Prometheus; tell whether promtool is there to do so."""
    tool = shutil.which("promtool")
    if tool is None:
        return False
    command = [tool, "tsdb", "create-blocks-from", "openmetrics", str(openmetrics), str(into)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return True


def main() -> None:
    """Play the month that ended with the last whole hour."""
    asked = argparse.ArgumentParser(description="Play a month of a business into books and metrics.")
    asked.add_argument("folder", type=Path, help="a new folder")
    asked.add_argument("--seed", type=int, default=7)
    asked.add_argument("--days", type=int, default=DAYS)
    said = asked.parse_args()
    if said.folder.exists():
        sys.exit(f"{said.folder} is there already")
    begins_t = time.time_ns() // HOUR_NS * HOUR_NS - said.days * 24 * HOUR_NS
    month = Month(said.folder, said.seed, begins_t)
    month.play(said.days)
    path = month.write()
    if not backfilled(path, said.folder / "tsdb"):
        print("promtool is not installed; Debian has it in the package prometheus", file=sys.stderr)
    print(f"seed {said.seed}: books in {said.folder / 'data'}, what /metrics said in {path}")


if __name__ == "__main__":
    main()
