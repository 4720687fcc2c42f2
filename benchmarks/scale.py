"""What a large ledger costs: its file, its questions, opening it, and folding into it compared with an empty one.

Some synthetic exchanges are folded, each as long as those of the proxy, spread over customers and days; the rest are
copies of them, made by SQL with the same rows and sums. No server, no journals: ``make bench`` has those.

    python -m benchmarks.scale --exchanges 10000000 --customers 100000
"""

from __future__ import annotations

import argparse
import platform
import resource
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import copies
from benchmarks.copies import Spread
from benchmarks.history import PLANS, Ledger, Past, exchanges
from margin.ledger import questions, verify
from margin.ledger.store import Store, connect

MID_MONTH, WHOLE_MONTH = "2026-10-17", "2026-11-01"
BUILD_BATCH, LIVE_BATCH = 10_000, 200
"""Exchanges in one transaction: to build quickly; and as a server at 2,000 a second folds, every tenth of a second."""
SAY_EVERY_S = 10.0
CHECKED_EXCHANGES = 2_000
ROWS = ("txns", "entries", "charges", "cost_lines")


@dataclass(frozen=True, slots=True)
class Size:
    """A ledger to build: all of it, and the exchanges that are folded, of which all are copies."""

    whole: Past
    folded: Past
    spread: Spread

    @classmethod
    def of(cls, whole: Past, folded: int, stretches: int) -> Size:
        """Return how to build `whole` out of about `folded` exchanges.

        Raises:
            ValueError: it does not divide evenly.
        """
        groups = max(1, whole.exchanges // (folded * stretches))
        spread = Spread(groups, stretches)
        for count, name, parts in (
            (whole.exchanges, "exchanges", spread.copies), (whole.customers, "customers", groups),
            (whole.days, "days", stretches),
        ):  # fmt: skip
            if count % parts:
                raise ValueError(f"{count:,} {name} are not {parts} equal parts")
        base = replace(whole, exchanges=whole.exchanges // spread.copies, customers=whole.customers // groups,
                       days=whole.days // stretches)  # fmt: skip
        return cls(whole, base, spread)


def say(what: str) -> None:
    """Print a line of progress."""
    print(f"  {what}", file=sys.stderr, flush=True)


def build(path: Path, size: Size) -> None:
    """Build a ledger, and say how long it took."""
    begun = time.perf_counter()
    ledger = Ledger(path)
    say(f"opening {size.whole.customers:,} customers")
    ledger.open_customers(size.whole.customers, size.whole.plan)
    say(f"folding {size.folded.exchanges:,} exchanges")
    cpu_s = ledger.fold(exchanges(size.folded, incarnation=f"{0:012x}", seed=1), BUILD_BATCH)
    ledger.close()
    folded_s = time.perf_counter() - begun
    copies.spread(path, size.folded, size.spread, _progress())
    wall_s = time.perf_counter() - begun
    print(f"built in {wall_s:,.0f} s: {size.folded.exchanges:,} exchanges folded in {folded_s:,.0f} s "
          f"({cpu_s / size.folded.exchanges * 1e6:.0f} µs of CPU each), the rest copied")  # fmt: skip


def _progress() -> copies.Progress:
    """Return what says every few seconds how many copies there are."""
    said_s = time.monotonic()

    def progress(done: int, of: int) -> None:
        nonlocal said_s
        if time.monotonic() - said_s > SAY_EVERY_S or done == of:
            said_s = time.monotonic()
            say(f"copy {done} of {of}")

    return progress


def describe(path: Path, size: Size) -> None:
    """Say how much there is."""
    db = connect(path, read_only=True)
    rows = {name: db.execute(f"SELECT MAX(rowid) FROM {name}").fetchone()[0] or 0 for name in ROWS}
    days, sums = (db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in ("margin_days", "rollup"))
    db.close()
    file_bytes = path.stat().st_size
    print(f"{sum(rows.values()):,} rows of transactions, entries, charges and cost lines; {sums:,} of the rollup, "
          f"{days:,} of days; {file_bytes / 2**30:.2f} GiB, {file_bytes / size.whole.exchanges:,.0f} bytes an "
          f"exchange")  # fmt: skip


def check(db: sqlite3.Connection) -> list[str]:
    """Return which invariants do not hold: of all sums, and of the transactions of the last exchanges."""
    found = [*verify.coarser(db), *verify.misplaced_credits(db)]
    last = f"SELECT x FROM charges ORDER BY rowid DESC LIMIT {CHECKED_EXCHANGES}"
    closed = db.execute(f"SELECT COUNT(*) FROM txns WHERE key IN (SELECT 'close:' || x FROM ({last}))").fetchone()[0]
    lines = db.execute(f"SELECT COUNT(*) FROM cost_lines WHERE x IN ({last})").fetchone()[0]
    count = db.execute(f"SELECT COUNT(*) FROM ({last})").fetchone()[0]
    if (closed, lines) != (count, count):
        found.append(f"{count} charges have {closed} transactions and {lines} cost lines")
    begin = "SELECT MIN(txn) FROM (SELECT txn FROM entries ORDER BY id DESC LIMIT 10000)"
    off = db.execute(
        f"""SELECT txn, commodity, SUM(amount) FROM entries JOIN accounts ON accounts.id = account
        WHERE entries.id > (SELECT MAX(id) FROM entries) - 10000 AND txn > ({begin})
        GROUP BY 1, 2 HAVING SUM(amount) <> 0"""
    ).fetchall()
    return found + [f"transaction {txn} is off by {amount} {commodity}" for txn, commodity, amount in off]


def times_ms(ask: Callable[[], object], rounds: int = 15) -> tuple[float, float, float]:
    """Return the median CPU, and the shortest and the median time, of several askings."""
    cpu, wall = [], []
    for _ in range(rounds):
        begun, begun_cpu = time.perf_counter(), time.process_time()
        ask()
        wall.append((time.perf_counter() - begun) * 1000)
        cpu.append((time.process_time() - begun_cpu) * 1000)
    return statistics.median(cpu), min(wall), statistics.median(wall)


def asked(db: sqlite3.Connection) -> dict[str, Callable[[], Any]]:
    """Return the questions that are timed, by what they are called."""
    return {
        "margin by customer, everything": lambda: questions.margin_by_customer(db),
        f"margin by customer since {WHOLE_MONTH}": lambda: questions.margin_by_customer(db, since_day=WHOLE_MONTH),
        f"margin by customer since {MID_MONTH}": lambda: questions.margin_by_customer(db, since_day=MID_MONTH),
        "one scrape's sums of one metric": lambda: questions.totals(db, ("plan", "charge_tier"), ("requests",)),
        "one customer's balance": lambda: questions.credit_balance(db, 1),
        "one charge": lambda: questions.charge(db, f"ex_{0:012x}{15:08x}"),
    }


def ask(path: Path) -> None:
    """Ask each question a few times, and say what that took."""
    reader = connect(path, read_only=True)
    for name, question in asked(reader).items():
        cpu, least, middle = times_ms(question)
        print(f"{name + ', ms':<48}CPU {cpu:6,.1f}   wall at least {least:6,.1f}, p50 {middle:6,.1f}")
    reader.close()


def compare(full: Ledger, size: Size, folder: Path, sample: int) -> None:
    """Fold the same new exchanges into the full ledger and into empty ones by turns; say full ÷ empty.

    One empty ledger has one customer, the other as many as the full one, all without a past.
    """
    plan, crowd = size.whole.plan, size.whole.customers
    fresh = folder / "fresh.sqlite"
    Ledger(fresh).open_customers(crowd, plan)
    ratios: dict[str, list[float]] = {"one customer": [], f"{crowd:,} customers": []}
    for number in range(3):
        alone = Ledger(folder / f"alone-{number}.sqlite")
        alone.open_customers(1, plan)
        others = Ledger(fresh)
        one, many = Past(sample, 1, 1, plan), Past(sample, crowd, 1, plan)
        spent = [
            ledger.fold(exchanges(past, incarnation=f"f{number:011x}", seed=2), LIVE_BATCH) / sample * 1e6
            for ledger, past in ((alone, one), (others, many), (full, many))
        ]
        for each, name in zip(spent, ratios, strict=False):
            ratios[name].append(each / spent[2])
        alone.close()
        others.close()
        print(f"µs of CPU an exchange, {LIVE_BATCH} a batch: empty, one customer {spent[0]:.0f} · empty, {crowd:,} "
              f"customers {spent[1]:.0f} · this ledger {spent[2]:.0f}")  # fmt: skip
    for name, found in ratios.items():
        print(f"fold throughput, this ledger ÷ an empty one of {name}: {statistics.median(found):.2f}")


def open_again(path: Path) -> None:
    """Open the ledger as a server does at its start, and say how long that takes."""
    begun = time.perf_counter()
    opened = Store(path)
    opened.state()
    print(f"opened in {(time.perf_counter() - begun) * 1000:,.0f} ms")
    opened.close()


def measure(size: Size, folder: Path, sample: int, *, prove: bool) -> None:
    """Build, check, ask, compare, and print."""
    whole = size.whole
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}: {whole.exchanges:,} exchanges of "
          f"{whole.customers:,} customers over {whole.days} days on plan {whole.plan}")  # fmt: skip
    path = folder / "ledger.sqlite"
    build(path, size)
    describe(path, size)
    store = Store(path)
    say("checking the sums")
    wrong = verify.violations(store.db, store.state()) if prove else check(store.db)
    store.close()
    print("\n".join(wrong) or ("every invariant holds" if prove else "the sums hold, and the last transactions"))
    ask(path)
    open_again(path)
    full = Ledger(path)
    say("folding new exchanges into it and into empty ledgers")
    compare(full, size, folder, sample)
    full.close()
    print(f"resident memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


def main() -> int:
    """Read the sizes, and measure in a scratch folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=80)
    parser.add_argument("--plan", choices=sorted(PLANS), default="open")
    parser.add_argument("--folded", type=int, default=50_000, help="exchanges that are folded, about; copies the rest")
    parser.add_argument("--stretches", type=int, default=10, help="into how many stretches of days these are copied")
    parser.add_argument("--sample", type=int, default=20_000, help="exchanges folded to compare with empty ledgers")
    parser.add_argument("--prove", action="store_true", help="check every invariant of every row")
    parser.add_argument("--folder", type=Path, default=None, help="where to build (2.5 KB an exchange)")
    args = parser.parse_args()
    try:
        size = Size.of(Past(args.exchanges, args.customers, args.days, args.plan), args.folded, args.stretches)
    except ValueError as error:
        parser.error(str(error))
    folder = Path(tempfile.mkdtemp(prefix="penstock-scale-", dir=args.folder))
    try:
        measure(size, folder, args.sample, prove=args.prove)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
