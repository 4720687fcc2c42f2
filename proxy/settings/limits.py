"""What limits mean: frozen values, in requests, tokens and nano-dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

BudgetOf = Literal["cost", "charge"]
BudgetAction = Literal["hard", "soft", "downgrade"]
RunawayAction = Literal["alert", "pause"]


RATES = ("rpm", "tpm", "rpd", "tpd", "concurrency")
"""Limits that are one number each."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Dollars per period.

    Args:
        nusd: The amount, in nano-dollars.
        per: `hour`, `day`, `week` (from Monday) or `month`, in UTC; or the last so many hours, as `24h`.
        of: `cost`, which we pay, or `charge`, which the customer pays.
        action: `hard` refuses, `soft` only alerts, `downgrade` serves the simple tier until there is room again.
    """

    nusd: int
    per: str
    of: BudgetOf = "cost"
    action: BudgetAction = "hard"

    @property
    def name(self) -> str:
        """What tells it from other budgets of the same subject."""
        return f"{self.per} {self.of} {self.action}"


_WITHIN = {"hour": ("day", "week", "month"), "day": ("week", "month")}
"""Periods that lie whole in others. A week may lie in two months."""


def is_within(inner: str, outer: str) -> bool:
    """Tell whether what is spent in one period, or within so many hours, is always spent in the other."""
    if inner[0].isdigit() and outer[0].isdigit():
        return int(inner[:-1]) < int(outer[:-1])
    return outer in _WITHIN.get(inner, ())


def contradiction(budgets: tuple[Budget, ...]) -> str | None:
    """Say what is wrong with the budgets of one subject: each kind once, what refuses last, the longer the more."""
    hard = {(each.per, each.of): each for each in budgets if each.action == "hard"}
    seen: set[str] = set()
    for each in budgets:
        if each.name in seen:
            return f"states two {each.action} budgets of {each.of} per {each.per}"
        seen.add(each.name)
        above = hard.get((each.per, each.of))
        if each.action != "hard" and above is not None and each.nusd >= above.nusd:
            return f"has a {each.action} budget that is not below the hard one per {each.per}"
        for (per, of), longer in hard.items():
            if of == each.of and is_within(each.per, per) and each.nusd > longer.nusd:
                return f"has a {each.action} budget per {each.per} that is above the hard one per {per}"
    return None


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits of one subject; None is no limit.

    Args:
        rpm: Requests within any minute.
        tpm: Tokens within any minute.
        rpd: Requests within any 24 hours.
        tpd: Tokens within any 24 hours.
        concurrency: Requests open at once.
        budgets: Dollars per period, each period and kind once.
    """

    rpm: int | None = None
    tpm: int | None = None
    rpd: int | None = None
    tpd: int | None = None
    concurrency: int | None = None
    budgets: tuple[Budget, ...] = ()

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Terms | None:
        """Return the limits among what a key's records state; None when there are none."""
        rpm, tpm, rpd, tpd, concurrency = (written.get(name) for name in RATES)
        budgets = tuple(Budget(*each) for each in written.get("budgets", ()))
        found = cls(rpm, tpm, rpd, tpd, concurrency, budgets)
        return None if found.is_none else found

    @property
    def is_none(self) -> bool:
        """Whether nothing is limited."""
        return self == NO_TERMS

    def or_else(self, defaults: Terms) -> Terms:
        """Return these terms, and where they say nothing of a measure, the defaults'.

        The default budgets fall away for a hard one of cost only: what alerts, serves cheaper or counts charges does
        not bound what a key that leaks may cost.
        """
        pairs = zip(self.rates(), defaults.rates(), strict=True)
        rpm, tpm, rpd, tpd, concurrency = (default if mine is None else mine for mine, default in pairs)
        return Terms(rpm, tpm, rpd, tpd, concurrency, self._budgets_or(defaults.budgets))

    def _budgets_or(self, defaults: tuple[Budget, ...]) -> tuple[Budget, ...]:
        if self.bounds_cost:
            return self.budgets
        mine = {each.name for each in self.budgets}
        return self.budgets + tuple(each for each in defaults if each.name not in mine)

    @property
    def bounds_cost(self) -> bool:
        """Whether a budget refuses what would cost more."""
        return any(each.of == "cost" and each.action == "hard" for each in self.budgets)

    def tightest(self, other: Terms) -> Terms:
        """Return the lower of both limits of each measure, and of both budgets of one kind."""
        pairs = zip(self.rates(), other.rates(), strict=True)
        rpm, tpm, rpd, tpd, concurrency = (_lower(mine, its) for mine, its in pairs)
        lowest: dict[str, Budget] = {}
        for each in (*self.budgets, *other.budgets):
            known = lowest.get(each.name)
            if known is None or each.nusd < known.nusd:
                lowest[each.name] = each
        return Terms(rpm, tpm, rpd, tpd, concurrency, tuple(lowest.values()))

    def rates(self) -> tuple[int | None, ...]:
        """Return all but the budgets, in the order above."""
        return self.rpm, self.tpm, self.rpd, self.tpd, self.concurrency


def _lower(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


NO_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Runaway:
    """When a customer's spending is far above its own usual.

    Args:
        factor: How many times its usual cost per minute is too much.
        floor_nusd: Cost per minute below which nothing is.
        action: `alert` tells, `pause` also stops the key that spent most of it.
    """

    factor: Decimal = Decimal(20)
    floor_nusd: int = 5_000_000_000
    action: RunawayAction = "alert"


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits that the configuration states; those of plans and keys stand with them.

    Args:
        key_defaults: What a key may use where it states no limit of its own.
        all: What everybody together may use.
        customers: What single customers may use, by name.
        models: What single models may be used, by our name; calls count, not requests.
        features: What single features (`x-penstock-feature`) of all customers together may use.
        plans: What each customer of a plan may use, by the plan's name.
        together: What all customers of a plan together may use, by the plan's name.
        members: What each member of each customer (`x-penstock-member`) may use.
        members_of_customers: What each member of single customers may use besides, by the customer's name.
        members_of_plans: What each member of a plan's customers may use besides, by the plan's name.
        runaway: When spending is far above the usual; None to look at nobody's.
    """

    key_defaults: Terms = field(
        default_factory=lambda: Terms(concurrency=2000, budgets=(Budget(1_000 * 1_000_000_000, "day"),))
    )
    all: Terms = NO_TERMS
    customers: Mapping[str, Terms] = field(default_factory=lambda: MappingProxyType({}))
    models: Mapping[str, Terms] = field(default_factory=lambda: MappingProxyType({}))
    features: Mapping[str, Terms] = field(default_factory=lambda: MappingProxyType({}))
    plans: Mapping[str, Terms] = field(default_factory=lambda: MappingProxyType({}))
    together: Mapping[str, Terms] = field(default_factory=lambda: MappingProxyType({}))
    members: Terms = NO_TERMS
    members_of_customers: Mapping[str, Terms] = field(default_factory=lambda: MappingProxyType({}))
    members_of_plans: Mapping[str, Terms] = field(default_factory=lambda: MappingProxyType({}))
    runaway: Runaway | None = Runaway()

    def of_member(self, customer: str, plan: str) -> Terms:
        """Return what each member of a customer on a plan may use."""
        found = self.members
        for limits, name in ((self.members_of_customers, customer), (self.members_of_plans, plan)):
            if name in limits:
                found = found.tightest(limits[name])
        return found

    def counts_members(self, customer: str, plan: str) -> bool:
        """Tell whether members of a customer on a plan have limits."""
        has = customer in self.members_of_customers or plan in self.members_of_plans
        return has or self.members is not NO_TERMS
