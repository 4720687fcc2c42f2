"""Records with sensible defaults, and a ledger folded in memory, for the tests of the books."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from margin import records
from margin.journal import Journal
from margin.ledger import fold, questions, refold, verify
from margin.ledger.books import Books
from margin.ledger.journals import journal_dir, verify_journals
from margin.ledger.postings import Effects
from margin.ledger.state import State

NS = 1_000_000_000
USD = 1_000_000_000
"""Nano-dollars in a dollar."""
CREDIT = 1000
"""Milli-credits in a credit."""
DAY = 86_400 * NS


def at(text: str) -> int:
    """Return a UTC moment, such as 2026-11-20 or 2026-11-20T12:00, in nanoseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


T0 = at("2026-11-20")

FREE = {"version": "v1", "fee": 0, "included": 0, "enforce": "none", "price": None, "overage": None}
PLANS = {
    "open": FREE,
    "hard": FREE | {"enforce": "hard"},
    "prepaid": FREE | {"enforce": "hard", "price": 50_000_000},
    "overage": FREE | {"enforce": "soft", "overage": 400_000_000},
    "starter": FREE | {"fee": 199 * USD, "included": 500 * CREDIT, "enforce": "hard"},
    "pro": FREE | {"fee": 599 * USD, "included": 2000 * CREDIT, "enforce": "soft", "overage": 400_000_000},
}


def sellbook(plans=None, *, t=T0, version="s1"):
    """Write a sell book whose default is `open`."""
    return records.sellbook(t=t, version=version, default="open", plans=PLANS if plans is None else plans)


def customer(number=1, plan="open", *, t=T0):
    """Open a customer."""
    return records.customer(t=t, customer=number, plan=plan)


def grant(id_, milli, *, to=1, paid=0, expires=None, priority=50, t=T0):
    """Give credits."""
    return records.grant(
        t=t, id=id_, customer=to, credits_milli=milli, paid_nusd=paid, expires_t=expires, priority=priority
    )


def held(x, milli, *, of=1, plan="open", t=T0, deadline=None):
    """Put credits aside."""
    return records.held(
        x=x, t=t, customer=of, key="k1", plan=plan, plan_version="v1", charge_tier="medium", served_tier="simple",
        credits_milli=milli, deadline_t=t + 600 * NS if deadline is None else deadline,
    )  # fmt: skip


def called(x, *, n=1, cost=700, t=T0):
    """Note the intent to send; `cost` is what the input may cost."""
    return records.called(
        x=x, t=t, attempt=n, provider="acme-ai", deployment="d1", model="m1", card="card1", input_estimate=100,
        input_cost_nusd=cost,
    )  # fmt: skip


def begun(x, milli, *, of=1, plan="open", n=1, cost=700, t=T0):
    """Put credits aside and note the intent to send, in one record."""
    return records.begun(held(x, milli, of=of, plan=plan, t=t), called(x, n=n, cost=cost, t=t))


def mark(x, *, output=10, cost=900, t=T0):
    """Note a checkpoint of a stream."""
    return records.mark(x=x, t=t, output_estimate=output, cost_nusd=cost)


def line(cost=1_000, *, n=1, kind="model", call_id="call1", provider="acme-ai"):
    """Return one attempt's cost line."""
    return records.attempt(
        n=n, provider=provider, deployment="d1", model="m1", card="card1", kind=kind, call_id=call_id, status=200,
        usage={"input": 100, "output": 20}, cost_nusd=cost,
    )  # fmt: skip


def settled(x, milli, *lines, baseline=None, outcome="ok", marks=0, t=T0):
    """Settle an exchange; `marks` is what marking it for a provider's cache saved."""
    return records.settled(
        x=x,
        t=t,
        outcome=outcome,
        credits_milli=milli,
        attempts=list(lines),
        baseline_nusd=baseline,
        decision={"x": x},
        marks_nusd=marks,
    )


def repeated(x, milli, *, spared, baseline=None, of=1, plan="open", t=T0, **decision):
    """Return an answer from memory."""
    return records.repeated(
        hold=held(x, milli, of=of, plan=plan, t=t), t=t, credits_milli=milli, deployment="d1", model="m1",
        spared_nusd=spared, baseline_nusd=baseline, decision={"cache": "hit"} | decision,
    )  # fmt: skip


def void(x, *lines, t=T0):
    """Void an exchange."""
    return records.void(x=x, t=t, why="test", attempts=list(lines))


OPENING = [sellbook(), customer(plan="prepaid"), grant("g1", 1000 * CREDIT, paid=USD)]
BOUGHT = [sellbook(), customer(plan="prepaid"), grant("g1", 1000 * CREDIT, paid=150 * USD)]
"""A customer with credits at 15 cents."""
EXCHANGE = [held("x1", 3000, plan="prepaid"), called("x1"), settled("x1", 2000, line(700))]


class Ledger:
    """A ledger folded in memory."""

    def __init__(self, *opening):
        self.state, self.effects = State(), Effects()
        self.apply(*opening)

    def apply(self, *entries):
        """Fold records, and return the ledger."""
        for entry in entries:
            fold.apply(self.state, entry, self.effects, journal="worker-1.journal")
        return self

    def balance(self, account, *, of=1):
        """Sum the legs of an account."""
        return sum(
            amount
            for txn in self.effects.txns
            for customer, name, _, amount in txn.legs
            if (name, customer) == (account, of)
        )

    def credits(self, of=1):
        """Return a customer's credits: available, held, spent, expired, and what stands behind no grant."""
        held = [each for each in self.state.holds.values() if each.customer == of]
        found = {name: self.balance(f"credits.{name}", of=of) for name in ("balance", "spent", "expired", "overdraft")}
        return {
            "available": found["balance"] - sum(each.covered_milli for each in held),
            "held": sum(each.held_milli for each in held),
            "spent": found["spent"], "expired": found["expired"],
            "overdraft": found["overdraft"] - sum(each.uncovered_milli for each in held),
        }  # fmt: skip

    def left(self, id_):
        """Return what is left of a grant: (left, held, basis), zeros when it is used up."""
        found = self.state.grants.get(id_)
        return (0, 0, 0) if found is None else (found.left_milli, found.held_milli, found.basis_nusd)

    def rollup(self, name):
        """Sum one column of the rollup."""
        return sum(row.get(name, 0) for row in self.effects.rollup.values())

    @property
    def refused(self):
        """Why records had no effect."""
        return [why for _, why in self.effects.refused]


class Worker:
    """A worker's journal in a data folder."""

    def __init__(self, data_dir: Path, name: str = "worker-1"):
        folder = journal_dir(data_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self.journal = Journal(folder / f"{name}.journal")
        self.path = self.journal.path

    def write(self, *entries):
        """Journal records, and return the worker."""
        for entry in entries:
            self.journal.append(entry)
        return self

    def close(self):
        """End it."""
        self.journal.close()


def open_books(data_dir: Path) -> Books:
    """Open the books of a folder."""
    return Books(data_dir, version="test")


def killed(data_dir: Path, into: Path) -> Path:
    """Return a copy of the folder as a process that is killed now would leave it."""
    return Path(shutil.copytree(data_dir, into))


TABLES = (
    "rollup_totals", "tier_days", "margin_days", "margin_weeks", "margin_months", "balances",
    "accounts", "txns", "entries", "charges", "cost_lines", "corrections", "reconciliations", "rollup", "customers",
    "keys", "grants", "holds", "journals", "refused", "meta", "reversals", "cards", "costbooks", "rated", "quantities",
    "tasks", "task_months", "task_events", "task_costs", "task_totals",
)  # fmt: skip


def tables(db):
    """Return every row of a ledger."""
    return {name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in TABLES}


def balance(found: Books, of: int = 1) -> dict[str, int]:
    """Return a customer's credits as the ledger file has them."""
    return questions.credit_balance(found.store.db, of)


def sound(found: Books) -> list[str]:
    """Return how the books contradict themselves, their journals, or their own rebuild."""
    data_dir = found.folder.parent
    twin = refold.rebuild(data_dir, data_dir.parent / f"{data_dir.name}-twin.sqlite")
    same = tables(twin.db) == tables(found.store.db)
    twin.close()
    wrong = verify.violations(found.store.db, found.state)
    wrong += list(verify_journals(data_dir, found.state.journals))
    return wrong if same else [*wrong, "a rebuild differs"]


class Killed(Exception):
    """The process was killed here."""


def kill(*_, **__):
    """Be killed."""
    raise Killed


def ledger(plan="open", *more, t=T0):
    """Open a ledger in memory with one customer."""
    return Ledger(sellbook(t=t), customer(plan=plan, t=t), *more)
