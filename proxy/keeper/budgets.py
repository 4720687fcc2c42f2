"""How far each budget is spent, for metrics and the log. Read from the ledger, a few times a minute at most."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from margin.ledger import spending
from margin.ledger.spending import Sums
from proxy.keeper.office import Office
from proxy.keeper.words import iso
from proxy.limits import periods
from proxy.settings import Budget, Terms

log = logging.getLogger("penstock")

LOOK_S = 5.0
"""How old an answer may be, where a look is quick."""
LOOK_PART = 100
"""Looking takes at most a hundredth of the keeper's time: it adds up all that was used in each period."""
BANDS = ("below_50", "50_to_80", "80_to_100", "spent")
KINDS = ("key", "customer", "feature", "model", "all")
ACTIONS = ("hard", "soft", "downgrade")


@dataclass(slots=True)
class Spread:
    """Budgets that something was spent of, by kind, action and band, and what hard ones were overshot by."""

    counts: dict[tuple[str, str, str], int] = field(
        default_factory=lambda: {(kind, action, band): 0 for kind in KINDS for action in ACTIONS for band in BANDS}
    )
    overshot_nusd: int = 0


class Budgets:
    """Looks at all budgets, and tells of each that is spent, once per period."""

    def __init__(self, office: Office, now: Callable[[], int] = time.time_ns) -> None:
        self._office, self._now = office, now
        self._again_s: float | None = None
        self._spread = Spread()
        self._told: dict[tuple[str, str, str], int] = {}

    def spread(self) -> Spread:
        """Return how far budgets are spent, as of a few seconds ago."""
        began_s = time.monotonic()
        if self._again_s is None or began_s > self._again_s:
            self._spread = self.look()
            took_s = time.monotonic() - began_s
            self._again_s = began_s + max(LOOK_S, took_s * LOOK_PART)
        return self._spread

    def look(self) -> Spread:
        """Return how far budgets are spent now."""
        found = Spread()
        for kind in KINDS:
            for per in sorted(self._periods(kind)):
                self._look_at(found, kind, per)
        return found

    def _look_at(self, found: Spread, kind: str, per: str) -> None:
        first = periods.first_hour(per, self._now())
        for id_, used in spending.subjects(self._office.books.store.db, kind, first).items():
            for each in self._budgets(kind, id_):
                if each.per == per:
                    self._count(found, kind, id_, each, used, first)

    def _count(self, found: Spread, kind: str, id_: str, budget: Budget, used: Sums, first: int) -> None:
        spent = used.most_nusd if budget.of == "cost" else used.charge_nusd
        found.counts[kind, budget.action, band(spent, budget.nusd)] += 1
        if spent < budget.nusd:
            return
        if budget.action == "hard":
            found.overshot_nusd += spent - budget.nusd
        if self._told.get((kind, id_, budget.name)) != first:
            self._told[kind, id_, budget.name] = first
            log.warning("the %s budget of %s %s per %s is spent", budget.action, kind, id_, budget.per)

    def _periods(self, kind: str) -> set[str]:
        limits, state = self._office.settings.limits, self._office.books.state
        if kind == "key":
            own = (each for key in state.keys.values() for each in key.terms.get("budgets", ()))
            return {each.per for each in limits.key_defaults.budgets} | {per for _, per, _, _ in own}
        return {each.per for terms in self._terms_of_kind(kind) for each in terms.budgets}

    def _terms_of_kind(self, kind: str) -> Iterator[Terms]:
        limits = self._office.settings.limits
        if kind == "all":
            yield limits.all
        elif kind == "customer":
            yield from (*limits.customers.values(), *limits.plans.values())
        else:
            yield from (limits.features if kind == "feature" else limits.models).values()

    def _budgets(self, kind: str, id_: str) -> tuple[Budget, ...]:
        limits, state = self._office.settings.limits, self._office.books.state
        if kind == "key":
            key = state.keys.get(id_)
            own = None if key is None else Terms.read(key.terms)
            return limits.key_defaults.budgets if own is None else own.or_else(limits.key_defaults).budgets
        if kind == "customer":
            number = int(id_)
            plan = state.terms(state.customers[number]).name
            name = self._office.directory.name(number)
            return limits.plans.get(plan, Terms()).tightest(limits.customers.get(name or "", Terms())).budgets
        if kind == "all":
            return limits.all.budgets
        return (limits.features if kind == "feature" else limits.models).get(id_, Terms()).budgets

    def of_customer(self, number: int, key: str | None) -> list[dict[str, Any]]:
        """Return how far a customer's budgets and those of one key are spent, as parts: no amount of cost."""
        rows = list(self._rows("customer", str(number)))
        return rows if key is None else [*rows, *self._rows("key", key)]

    def _rows(self, kind: str, id_: str) -> Iterator[dict[str, Any]]:
        now, books = self._now(), self._office.books
        for each in self._budgets(kind, id_):
            used = spending.since(books.store.db, {}, kind, id_, periods.first_hour(each.per, now))
            nusd = {hour: sums.most_nusd if each.of == "cost" else sums.charge_nusd for hour, sums in used.items()}
            frees_t = periods.frees_t(each.per, now, nusd)
            yield {
                "kind": kind, "id": id_, "per": each.per, "of": each.of, "action": each.action,
                "spent": round(sum(nusd.values()) / each.nusd, 4), "resets": None if frees_t is None else iso(frees_t),
            }  # fmt: skip


def band(spent_nusd: int, limit_nusd: int) -> str:
    """Return how far a budget is spent, as one of four words."""
    if spent_nusd >= limit_nusd:
        return "spent"
    if spent_nusd * 5 >= limit_nusd * 4:
        return "80_to_100"
    return "50_to_80" if spent_nusd * 2 >= limit_nusd else "below_50"
