"""A month at the keeper, told by a clock that a test holds: plans as YAML has them, and what a customer is billed."""

from __future__ import annotations

import shutil
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

from margin import records
from proxy.keeper.commands import perform
from proxy.keeper.office import TICK_GRACE_NS
from tests.keeper.offices import Worker, office, sound
from tests.margin.bookkeeping import at, held, line, settled

CENT = 10**7


class Shop:
    """An office, a clock that stands until it is set, and customers that are called by their plans."""

    def __init__(
        self, folder: Path, monkeypatch: Any, plans: str, *, opens: str = "2026-11-01", more: str = ""
    ) -> None:
        self.t = at(opens)
        monkeypatch.setattr(time, "time_ns", lambda: self.t)
        self._folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else folder))
        self.office = office(self._folder / "data", plans=plans, more=more)
        self.worker = Worker(self.office, "worker-1")
        self._names = count(1)

    def ask(self, command: str, **args: Any) -> Any:
        """Perform a command that succeeds."""
        answer = perform(self.office, command, args, by="uid 1000")
        assert set(answer) == {"result"}, answer
        return answer["result"]

    def open(self, *plans: str) -> None:
        """Open a customer on each plan, by its name."""
        for plan in plans:
            self.ask("customers.create", customer=plan, plan=plan)

    def at(self, moment: str) -> None:
        """Set the clock, and let the keeper notice: its ticks are as of a second ago."""
        self.t = at(moment) + TICK_GRACE_NS
        self.office.tick()

    def resolve(self, customer: str, count: int, outcome: str = "confirmed", type_: str = "ticket") -> None:
        """Have so many more tasks end alike: the first by command, the others under its terms and at one stroke."""
        number = self.office.number(customer)
        first = self.ask("tasks.open", customer=number, type=type_)["id"]
        self.ask("outcomes.tell", customer=number, task=first, outcome=outcome, at_t=None)
        like = self.office.books.state.work.find(first)
        names = [f"task_{next(self._names)}" for _ in range(count - 1)]
        opened = [records.task_opened(t=self.t, id=name, customer=number, plan=like.plan, type=type_, terms=like.terms)
                  for name in names]  # fmt: skip
        told = [records.outcome(t=self.t, id=name, outcome=outcome, at=self.t) for name in names]
        self.office.act(*opened, *told)

    def use(
        self, customer: str, *, milli: int = 0, task: str | None = None, cost: int = 1_000, tier: str = "medium",
        **usage: int,
    ) -> str:  # fmt: skip
        """Serve a request that uses so many tokens of each kind and is charged so much; return its name."""
        x, plan = f"x{next(self._names)}", self.office.books.state.customers[self.office.number(customer)].plan
        record = held(x, milli, of=self.office.number(customer), plan=plan, t=self.t)
        record |= {"tier": tier} if task is None else {"tier": tier, "tk": task}
        self.worker.paper.write(record, settled(x, milli, line(cost) | {"u": usage}, t=self.t))
        return x

    def bill(self, customer: str, month: str = "2026-11") -> int:
        """Return what a statement's lines add up to, in cents."""
        found = self.ask("report.statement", customer=customer, month=month)
        assert sum(each["nusd"] for each in found["lines"]) == found["total_nusd"]
        cents, rest = divmod(found["total_nusd"], CENT)
        assert rest == 0
        return int(cents)

    def balances(self, customer: str) -> dict[str, int]:
        """Return the customer's accounts of dollars but those of cost, in nano-dollars."""
        self.office.fold_all()
        query = "SELECT name, balance FROM accounts WHERE customer = ? AND name NOT LIKE 'c%'"
        return dict(self.office.books.store.db.execute(query, (self.office.number(customer),)).fetchall())

    def close(self) -> None:
        """Close the office; its books are sound."""
        self.worker.die()
        assert sound(self.office) == []
        self.office.close()
        shutil.rmtree(self._folder)
