"""How far each budget is spent, for metrics and the log. Read from the ledger, a few times a minute at most."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from margin import records
from margin.ledger import spending, trail
from margin.ledger.spending import Sums
from proxy.keeper.office import Office
from proxy.keeper.words import iso
from proxy.limits import periods
from proxy.limits.shares import hundredths_left
from proxy.settings import Budget, Terms
from proxy.telemetry.metrics import BudgetLeft

log = logging.getLogger("penstock")

NUSD = 1e9
LOOK_S = 5.0
"""How old an answer may be, where a look is quick."""
LOOK_PART = 100
"""Looking takes at most a hundredth of the keeper's time: it adds up all that was used in each period."""
TOLD_MAX = 200
"""Budgets in one record of those that were told of: some 10 KB."""
BANDS = ("below_50", "50_to_80", "80_to_100", "spent")
KINDS = ("key", "customer", "plan", "feature", "model", "all")
"""Whose budgets are looked at. Members are too many: theirs are counted, and told to who asks about one."""
STATED = ("all", "plan", "feature", "model")
"""Those that the configuration names, so that metrics may."""
ACTIONS = ("hard", "soft", "downgrade")


@dataclass(slots=True)
class Spread:
    """Budgets that something was spent of, by kind, action and band, and what hard ones were overshot by."""

    counts: dict[tuple[str, str, str], int] = field(
        default_factory=lambda: {(kind, action, band): 0 for kind in KINDS for action in ACTIONS for band in BANDS}
    )
    overshot_nusd: int = 0
    left: list[BudgetLeft] = field(default_factory=list)
    """What is left of each budget that the configuration states of a plan, a feature, a model, or all."""
    least: dict[tuple[str, str], float] = field(default_factory=dict)
    """By kind and action, the least part that is left of any budget that something was spent of."""
    spent: list[tuple[str, str, Budget, int]] = field(default_factory=list)
    """Those that are spent, by kind and id, with the first hour of the period."""


class Budgets:
    """Looks at all budgets, and tells of each that is spent, once a period."""

    def __init__(self, office: Office, now: Callable[[], int] = time.time_ns) -> None:
        self._office, self._now = office, now
        self._again_s: float | None = None
        self._spread = Spread()
        self._told: dict[tuple[str, str, str], int] | None = None
        """Of which it was told, with the first hour of the period; None until the trail was asked."""

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
        found.left = [
            self._left(kind, id_, each)
            for kind in STATED
            for id_ in ([""] if kind == "all" else sorted(self._named(kind)))
            for each in self._budgets(kind, id_)
        ]
        return found

    def _left(self, kind: str, id_: str, budget: Budget) -> BudgetLeft:
        now = self._now()
        nusd = self._spent(kind, id_, budget, now)
        frees_t = periods.frees_t(budget.per, now, nusd)
        left = max(budget.nusd - sum(nusd.values()), 0)  # below zero after a bill beyond its ceiling: nothing is left
        reset_s = None if frees_t is None else (frees_t - now) / NUSD
        return BudgetLeft(kind, id_, budget.per, budget.of, budget.action, left / NUSD, reset_s)

    def _spent(self, kind: str, id_: str, budget: Budget, now: int) -> dict[int, int]:
        """Return what is spent of a budget by the hour, of the hours that count now."""
        used = spending.since(self._office.books.store.db, {}, kind, id_, periods.first_hour(budget.per, now))
        return {hour: sums.most_nusd if budget.of == "cost" else sums.charge_nusd for hour, sums in used.items()}

    def _look_at(self, found: Spread, kind: str, per: str) -> None:
        first = periods.first_hour(per, self._now())
        for id_, used in spending.subjects(self._office.books.store.db, kind, first).items():
            for each in self._budgets(kind, id_):
                if each.per == per:
                    self._count(found, kind, id_, each, used, first)

    def _count(self, found: Spread, kind: str, id_: str, budget: Budget, used: Sums, first: int) -> None:
        spent = used.most_nusd if budget.of == "cost" else used.charge_nusd
        found.counts[kind, budget.action, band(spent, budget.nusd)] += 1
        ratio = max(budget.nusd - spent, 0) / budget.nusd
        found.least[kind, budget.action] = min(ratio, found.least.get((kind, budget.action), 1.0))
        if spent < budget.nusd:
            return
        if budget.action == "hard":
            found.overshot_nusd += spent - budget.nusd
        found.spent.append((kind, id_, budget, first))

    def tell(self) -> None:
        """Tell of each budget that is spent, once a period, whoever was restarted meanwhile: the trail remembers.

        Raises:
            LedgerBusy: it cannot be noted now, and is not told.
        """
        told = self._told
        if told is None:
            since_t = self._now() - spending.KEPT_HOURS * spending.HOUR_NS
            told = self._told = trail.spent_budgets(self._office.books.store.db, since_t)
        new = [each for each in self.spread().spent if _is_news(*each[2:], told.get((each[0], each[1], each[2].name)))]
        for start in range(0, len(new), TOLD_MAX):
            some = new[start : start + TOLD_MAX]
            rows = [[kind, id_, budget.name, first] for kind, id_, budget, first in some]
            self._office.act(records.budgets_spent(t=self._now(), budgets=rows))
            for kind, id_, budget, first in some:
                told[kind, id_, budget.name] = first
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
            yield from self._named(kind).values()

    def _named(self, kind: str) -> Mapping[str, Terms]:
        limits = self._office.settings.limits
        return {"plan": limits.together, "feature": limits.features, "model": limits.models}[kind]

    def _budgets(self, kind: str, id_: str) -> tuple[Budget, ...]:
        limits, state = self._office.settings.limits, self._office.books.state
        if kind == "key":
            key = state.keys.get(id_)
            own = None if key is None else Terms.read(key.terms)
            return limits.key_defaults.budgets if own is None else own.or_else(limits.key_defaults).budgets
        if kind in {"customer", "member"}:
            number = int(id_.partition(":")[0])
            plan = state.terms(state.customers[number]).name
            name = self._office.directory.name(number)
            if kind == "member":
                return limits.of_member(name, plan).budgets
            return limits.plans.get(plan, Terms()).tightest(limits.customers.get(name, Terms())).budgets
        if kind == "all":
            return limits.all.budgets
        return self._named(kind).get(id_, Terms()).budgets

    def of_customer(self, number: int, key: str | None, member: str | None = None) -> list[dict[str, Any]]:
        """Return how far budgets of a customer, one key and one member are spent, as parts: no amount of cost."""
        rows = list(self._rows("customer", str(number)))
        rows += [] if key is None else self._rows("key", key)
        return rows if member is None else [*rows, *self._rows("member", spending.member_id(number, member))]

    def _rows(self, kind: str, id_: str) -> Iterator[dict[str, Any]]:
        now = self._now()
        for each in self._budgets(kind, id_):
            nusd = self._spent(kind, id_, each, now)
            frees_t = periods.frees_t(each.per, now, nusd)
            spent = sum(nusd.values())
            left = max(each.nusd - spent, 0)  # below zero after a bill beyond its ceiling: nothing is left
            told = {"spent": -(-spent * 100 // each.nusd) / 100, "remaining": hundredths_left(left, each.nusd) / 100}
            if each.of == "charge":  # what a customer pays is its own to know
                told = {"spent": round(spent / each.nusd, 4), "remaining": round(left / each.nusd, 4),
                        "remaining_usd": left / NUSD}  # fmt: skip
            yield {
                "kind": kind, "id": id_, "per": each.per, "of": each.of, "action": each.action,
                **told, "resets": None if frees_t is None else iso(frees_t),
            }  # fmt: skip


def _is_news(budget: Budget, first: int, told: int | None) -> bool:
    """Tell whether it was not told in this period; of rolling hours, not within as many."""
    if told is None:
        return True
    return first >= told + int(budget.per[:-1]) if budget.per[0].isdigit() else first != told


def band(spent_nusd: int, limit_nusd: int) -> str:
    """Return how far a budget is spent, as one of four words."""
    if spent_nusd >= limit_nusd:
        return "spent"
    if spent_nusd * 5 >= limit_nusd * 4:
        return "80_to_100"
    return "50_to_80" if spent_nusd * 2 >= limit_nusd else "below_50"
