"""The margin guard at work: holds each customer's margin against its floor, and tells the workers what follows.

The decision is `proxy.routing.guard`'s; here is what it is made from (sums of the ledger), and what is done with it: a
record in the journal, a word to the workers, a line in the log, gauges. It looks at customers that cost something
lately and at those that a step is taken with, so that a hundred thousand quiet ones cost nothing.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from margin import records
from margin.ledger import questions, spending, trail
from margin.ledger.spending import HOUR_NS
from proxy.keeper.office import Office
from proxy.routing import guard
from proxy.routing.guard import State, Sums
from proxy.settings.floors import Floor, Step

log = logging.getLogger("penstock")

LOOK_S = 5.0
"""How often it begins to look, where that is quick."""
LOOK_PART = 50
"""To find whom to look at takes at most a fiftieth of the keeper's time."""
AT_ONCE = 250
"""Customers looked at in one turn of the keeper's loop: 10 to 20 ms, in which no worker is answered."""
LATE_HOURS = 2
"""Hours before the last look whose costs may still come in: the longest that an exchange runs, and more."""
MILLION = 1_000_000


class _Seen(NamedTuple):
    """A customer that was looked at; without a floor nothing holds it."""

    number: int
    plan: str
    steps: tuple[Step, ...] = ()
    state: State | None = None
    sums: Sums | None = None
    floor: Floor | None = None
    is_below: bool = False

    def record(self, t: int) -> dict[str, Any]:
        """Return what the journal says of the step."""
        margin = None if self.sums is None else self.sums.margin
        return records.guarded(
            t=t, customer=self.number, plan=self.plan, steps=self.steps,
            margin_ppm=None if margin is None else round(margin * MILLION),
            floor_ppm=None if self.floor is None else round(self.floor.margin * MILLION),
            short_nusd=None if self.sums is None or self.floor is None else self.sums.short_nusd(self.floor),
        )  # fmt: skip


class Guarding:
    """Where the guard stands with whom."""

    def __init__(self, office: Office, now: Callable[[], int] = time.time_ns) -> None:
        self._office, self._now = office, now
        self._states: dict[int, State] = {}
        """Of customers with a step, or from whom one was taken back a moment ago."""
        self._steps = {number: tuple(steps) for number, (_, steps) in trail.guarded(office.books.store.db).items()}
        """What the workers are told; after a restart, what the trail says."""
        self._again_s = 0.0
        self._looked_t = now()
        self._due: list[int] = []
        """Who is still to be looked at, the next one last."""
        self._below, self._short_nusd = Counter[str](), Counter[str]()
        self.below: Counter[str] = Counter()
        """Customers below their floor at the last look, by plan."""
        self.short_nusd: Counter[str] = Counter()
        """What is missing to their floors, by plan."""

    def told(self) -> list[dict[str, Any]]:
        """Return what a new worker must know."""
        return [{"guarded": number, "steps": list(steps)} for number, steps in self._steps.items()]

    def stands(self) -> Counter[tuple[str, str]]:
        """Return how many customers of a plan have each step."""
        customers = self._office.books.state.customers
        return Counter((customers[number].plan, step) for number, steps in self._steps.items() for step in steps)

    def look_if_due(self) -> None:
        """Go on looking, or begin to when it is time; for nobody where nobody has a floor.

        Raises:
            LedgerBusy: nothing can be noted now; whoever was not looked at yet is next time.
        """
        if not self._due:
            began_s = time.monotonic()
            if began_s < self._again_s or (self._office.settings.routing.floors.is_none and not self._steps):
                return
            self._begin()
            self._again_s = began_s + max(LOOK_S, (time.monotonic() - began_s) * LOOK_PART)
        self._go_on(AT_ONCE)

    def look(self) -> None:
        """Hold every margin that may have moved against its floor."""
        self._begin()
        self._go_on(len(self._due))

    def _begin(self) -> None:
        t = self._now()
        lately = spending.subjects(self._office.books.store.db, "customer", self._looked_t // HOUR_NS - LATE_HOURS)
        self._due = sorted({*map(int, lately), *self._states, *self._steps}, reverse=True)
        self._below, self._short_nusd, self._looked_t = Counter(), Counter(), t

    def _go_on(self, count: int) -> None:
        """Look at so many, and note what follows at once: a record each would cost the keeper a sync each."""
        t = self._now()
        looked = self._due[-count:] if count else []
        seen = [found for number in reversed(looked) if (found := self._look_at(number, t)) is not None]
        moves = [each for each in seen if each.steps != self._steps.get(each.number, ())]
        if moves:
            self._office.act(*(each.record(t) for each in moves))
        del self._due[len(self._due) - len(looked) :]
        for each in seen:
            self._keep(each, t)
        for each in moves:
            self._tell(each)
        if not self._due:
            self.below, self.short_nusd = self._below, self._short_nusd

    def _look_at(self, number: int, t: int) -> _Seen | None:
        customer = self._office.books.state.customers.get(number)
        if customer is None:
            return None
        floor, terms = floor_of(self._office, number), self._office.settings.routing.floors.guard
        if floor is None:
            return _Seen(number, customer.plan)
        sums = sums_of(self._office, number, t)
        state = self._states.get(number) or self._restored(number, sums, t, floor)
        after = guard.moved(state, sums, t, floor, terms)
        is_below = guard.standing(sums, floor, terms) == "below"
        return _Seen(number, customer.plan, floor.steps[: after.step], after, sums, floor, is_below)

    def _restored(self, number: int, sums: Sums, t: int, floor: Floor) -> State:
        """Return the state of a customer as the trail knows it: its steps, if its ladder still begins with them."""
        fresh, steps = guard.fresh(sums, t, self._office.settings.routing.floors.guard), self._steps.get(number, ())
        return fresh._replace(step=len(steps) if floor.steps[: len(steps)] == steps else 0)

    def _keep(self, seen: _Seen, t: int) -> None:
        """Remember who has a step, or had one a moment ago."""
        after = seen.state
        if after is not None and (after.step or t - after.released_t < 2 * after.patience_s * guard.NS):
            self._states[seen.number] = after
        else:
            self._states.pop(seen.number, None)
        if seen.is_below and seen.sums is not None and seen.floor is not None:
            self._below[seen.plan] += 1
            self._short_nusd[seen.plan] += max(seen.sums.short_nusd(seen.floor), 0)

    def _tell(self, seen: _Seen) -> None:
        steps = seen.steps
        self._office.tell({"guarded": seen.number, "steps": list(steps)})
        say = log.error if steps and steps[-1] in {"alert", "refuse"} else log.warning
        margin = None if seen.sums is None else seen.sums.margin
        share = "n/a" if margin is None else f"{float(margin):.1%}"
        say(
            "margin guard: customer %s on %s, margin %s: %s",
            seen.number,
            seen.plan,
            share,
            ", ".join(steps) or "let go",
        )
        if steps:
            self._steps[seen.number] = steps
        else:
            self._steps.pop(seen.number, None)


def floor_of(office: Office, number: int) -> Floor | None:
    """Return a customer's floor; None where it has none."""
    floors, plan = office.settings.routing.floors, office.books.state.customers[number].plan
    # A name is looked up in a file: only where somebody's floor goes by it.
    return floors.of(office.directory.name(number) if floors.customers else "", plan)


def sums_of(office: Office, number: int, t: int) -> Sums:
    """Return what a customer brought and cost in the period that `t` lies in."""
    over = office.settings.routing.floors.guard.over
    period, revenue_nusd, cost_nusd = questions.margin_in(office.books.store.db, number, over, t)
    return Sums(period, revenue_nusd, cost_nusd)


def report(office: Office, numbers: Iterable[int], t: int) -> list[dict[str, Any]]:
    """Return how each customer with a floor stands, what is missing most first; from the ledger and the trail alone."""
    terms, taken = office.settings.routing.floors.guard, trail.guarded(office.books.store.db)
    rows = []
    for number in numbers:
        floor = floor_of(office, number)
        if floor is None:
            continue
        sums = sums_of(office, number, t)
        margin = sums.margin
        since_t, steps = taken.get(number, (None, []))
        rows.append({
            "customer": office.directory.name(number), "plan": office.books.state.customers[number].plan,
            "floor": float(floor.margin), "margin": None if margin is None else round(float(margin), 6),
            "revenue_nusd": sums.revenue_nusd, "cost_nusd": sums.cost_nusd, "short_nusd": sums.short_nusd(floor),
            "standing": guard.standing(sums, floor, terms), "steps": steps, "since_t": since_t,
        })  # fmt: skip
    return sorted(rows, key=lambda row: (-row["short_nusd"], row["customer"]))
