"""The sell book: what customers pay us. Plans are immutable values, named by their content.

A plan's version is a digest of its terms, so two plans that charge alike under one name are one
version wherever they were loaded, and a changed price cannot pass for the old one. Every charge
stores it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal

from margin import components, tasking
from margin.components import METER_PARTS, Commit, Metered, Seats
from margin.economics import ARCHETYPES
from margin.gates import Access
from margin.meter import Actions, Meter
from margin.plan_error import PlanError
from margin.tasking import OutcomeTerms, TaskTerms

Tier = Literal["simple", "medium", "complex"]
HoldSizing = Literal["strict", "statistical"]
CreditMode = Literal["entitlement", "prepaid"]
Enforcement = Literal["none", "soft", "hard"]
GatePolicy = Literal["down", "refuse"]
Archetype = Literal["copilot", "agent", "service"]

TIERS: Final[tuple[Tier, ...]] = ("simple", "medium", "complex")
"""The tiers from the cheapest to the dearest."""

SCHEDULE_MILLI: Final[Mapping[Tier, int]] = MappingProxyType({"simple": 1_000, "medium": 3_000, "complex": 10_000})
"""Milli-credits a request of each tier is charged when a plan states no schedule."""

HOLD_QUANTILE: Final = Decimal("0.95")
"""One metered request in twenty may end above a statistical hold: its excess is posted as an overdraft."""

HOLD_FLOOR_TOKENS: Final = 64
"""Output tokens that a statistical hold covers at least: a sentence or two, whatever was seen so far."""

OPEN: Final = "open"
"""The name of the plan that applies where no sell book is written."""

_DIGEST_CHARS: Final = 12  # 48 bits: a chance collision needs some 2**24 versions of one book


@dataclass(frozen=True, slots=True)
class CreditTerms:
    """How a plan counts and sells credits.

    Args:
        mode: `entitlement` when the fee pays for the credits, so burning included ones earns
            nothing; `prepaid` when credits are bought and become revenue as they are burnt.
        schedule_milli: Milli-credits charged for a request, per charge tier.
        included_milli: Milli-credits that each period's fee includes.
        enforce: `none` counts only, `soft` serves past the balance, `hard` refuses with 402.
        price_nusd_per_credit: What a prepaid credit sells for; `None` when it is not stated.
        overage_nusd_per_credit: What a credit beyond the balance costs; `None` when none is sold.
        metered: What tokens, or actions of so many tokens, are charged, in the place of the schedule; `None` when
            requests are.
        holds: How much of a metered request is put aside before its usage is known: `strict` the most it can be
            charged, `statistical` what its output is, with `hold_quantile`'s share of the requests seen, at most.
        hold_quantile: That share, 0..1.
        hold_floor_tokens: Output tokens that a statistical hold covers at least.
        cached_share: What an answer from memory is charged, as a share of its price, 0..1.

    Raises:
        PlanError: A tier without a schedule, a negative number, or terms that exclude each other.
    """

    mode: CreditMode = "entitlement"
    schedule_milli: Mapping[Tier, int] = field(default_factory=lambda: SCHEDULE_MILLI)
    included_milli: int = 0
    enforce: Enforcement = "none"
    price_nusd_per_credit: int | None = None
    overage_nusd_per_credit: int | None = None
    metered: Meter | Actions | None = None
    holds: HoldSizing = "strict"
    hold_quantile: Decimal = HOLD_QUANTILE
    hold_floor_tokens: int = HOLD_FLOOR_TOKENS
    cached_share: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        frozen = MappingProxyType(dict(self.schedule_milli))
        object.__setattr__(self, "schedule_milli", frozen)
        self._check_numbers()
        self._check_contradictions()

    def _check_numbers(self) -> None:
        if set(self.schedule_milli) != set(TIERS):
            raise PlanError("credits.schedule", f"must price each tier: {', '.join(TIERS)}")
        for tier, milli in self.schedule_milli.items():
            _check_not_negative(f"credits.schedule.{tier}", milli)
        _check_not_negative("credits.included", self.included_milli)
        _check_not_negative("credits.price", self.price_nusd_per_credit)
        _check_not_negative("credits.overage", self.overage_nusd_per_credit)

    def _check_contradictions(self) -> None:
        if self.mode == "prepaid" and self.included_milli:
            raise PlanError("credits.included", "contradicts mode prepaid, where all are bought")
        if self.mode != "prepaid" and self.price_nusd_per_credit is not None:
            raise PlanError("credits.price", "needs mode prepaid; an entitlement has a fee instead")
        if self.holds == "statistical" and self.metered is None:
            raise PlanError("credits.holds", "statistical needs metered credits; a schedule's charge is known before")
        if not 0 < self.hold_quantile < 1:
            raise PlanError("credits.hold_quantile", "must lie between 0 and 1, and be neither")
        if not 0 <= self.cached_share <= 1:
            raise PlanError("credits.cached", "must lie between 0 and 1")
        if self.enforce == "hard" and self.overage_nusd_per_credit is not None:
            raise PlanError("credits.overage", "contradicts enforce hard, which serves nothing past the balance")

    def terms(self) -> dict[str, Any]:
        """Return the terms as plain JSON values, for a digest or a decision record."""
        found: dict[str, Any] = {
            "mode": self.mode,
            "schedule_milli": dict(self.schedule_milli),
            "included_milli": self.included_milli,
            "enforce": self.enforce,
            "price_nusd_per_credit": self.price_nusd_per_credit,
            "overage_nusd_per_credit": self.overage_nusd_per_credit,
        }
        if self.metered is not None:
            found["metered"] = self.metered.terms()
            del found["schedule_milli"]
            found["holds"] = self.holds
        if self.holds == "statistical":
            found |= {"hold_quantile": _canonical(self.hold_quantile), "hold_floor_tokens": self.hold_floor_tokens}
        if self.cached_share != 1:  # a plan that says nothing of it keeps its version
            found["cached_share"] = _canonical(self.cached_share)
        return found


@dataclass(frozen=True, slots=True)
class Plan:
    """What one kind of customer pays and may use.

    Args:
        name: The operator's name for it.
        version: `plan_` and 12 hex digits of a digest of the terms; computed, never passed.
        fee_nusd_month: The fee per month of UTC in nano-dollars; `None` when there is no fee.
        credits: How credits are counted and sold.
        max_tier: The highest tier the plan may use; `None` when nothing is gated.
        min_tier: The lowest tier that serves it; `None` for no floor. What is charged stays as judged.
        gate_policy: `down` serves a dearer request at `max_tier`, `refuse` answers 403.
        charge_follows_gate: Whether a request served lower by the gate is also charged lower.
        access: What may be used beyond tiers; `None` when nothing is bound.
        target_margin: The gross margin aimed at, 0..1; `None` when none is.
        archetype: What kind of product it sells, one of `economics.ARCHETYPES`; `None` when nobody said. No term.
        tasks: How types of tasks are charged.
        outcomes: What outcomes cost that tasks are charged by.
        usage: What an exchange is charged by its quantities, beside credits, by meter.
        items: What is charged for things that somebody says were delivered, by the operator's name for them.
        seats: What a seat costs and includes; `None` when none is sold.
        commit: What a customer promises to spend on usage and items; `None` when nothing is.
        description: A sentence for people. It is no term: changing it keeps the version.

    Raises:
        PlanError: A negative fee, a target outside 0..1, or a meter that there is none of.
    """

    name: str
    version: str = field(init=False)
    fee_nusd_month: int | None = None
    credits: CreditTerms = field(default_factory=CreditTerms)
    max_tier: Tier | None = None
    min_tier: Tier | None = None
    gate_policy: GatePolicy = "down"
    charge_follows_gate: bool = True
    access: Access | None = None
    target_margin: Decimal | None = None
    usage: Mapping[str, Metered] = field(default_factory=dict)
    items: Mapping[str, Metered] = field(default_factory=dict)
    seats: Seats | None = None
    commit: Commit | None = None
    description: str = ""
    archetype: Archetype | None = None
    tasks: Mapping[str, TaskTerms] = field(default_factory=dict)
    outcomes: Mapping[str, OutcomeTerms] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", MappingProxyType(dict(self.tasks)))
        object.__setattr__(self, "outcomes", MappingProxyType(dict(self.outcomes)))
        tasking.check(self.tasks, self.outcomes)
        _check_not_negative("fee.amount", self.fee_nusd_month)
        if self.target_margin is not None and not 0 <= self.target_margin <= 1:
            raise PlanError("target_margin", "must lie between 0 and 1")
        if None not in (self.min_tier, self.max_tier) and TIERS.index(self.min_tier) > TIERS.index(self.max_tier):
            raise PlanError("gates.min_tier", "is above max_tier")
        self._check_meters()
        self._check_commit()
        object.__setattr__(self, "usage", components.frozen(self.usage))
        object.__setattr__(self, "items", components.frozen(self.items))
        object.__setattr__(self, "version", _digest("plan", self.terms()))

    @property
    def aim(self) -> Decimal | None:
        """The margin aimed at: what the plan states, else the least of its archetype's band; None when neither is."""
        if self.target_margin is not None or self.archetype is None:
            return self.target_margin
        low = ARCHETYPES[self.archetype].low
        return Decimal(low.numerator * 100 // low.denominator).scaleb(-2)  # bands are whole percents

    def _check_meters(self) -> None:
        for meter, metered in self.usage.items():
            if meter not in METER_PARTS:
                raise PlanError(f"usage.{meter}", f"is no meter; there are {', '.join(METER_PARTS)}")
            if metered.tiers.parts != METER_PARTS[meter]:
                raise PlanError(f"usage.{meter}", f"is counted in {METER_PARTS[meter]} parts of a unit")

    def _check_commit(self) -> None:
        if self.commit is None:
            return
        if not self.usage and not self.items:
            raise PlanError("commit", "is drawn by usage and items, and the plan sells neither")
        if self.tasks or self.outcomes:
            raise PlanError("commit", "is not drawn by tasks and outcomes: sell them in a plan without one")
        if self.credits.price_nusd_per_credit is not None or self.credits.overage_nusd_per_credit is not None:
            raise PlanError("commit", "is not drawn by credits: sell usage in their place")
        for kind, metered in (("usage", self.usage), ("items", self.items)):
            for name, each in metered.items():
                if each.minimum:
                    raise PlanError(f"{kind}.{name}.minimum", "contradicts commit: both promise the same")

    def terms(self) -> dict[str, Any]:
        """Return the terms as plain JSON values, for a digest or a decision record."""
        floor = {} if self.min_tier is None else {"min_tier": self.min_tier}  # without one it keeps its version
        work = {name: {each: terms.terms() for each, terms in of.items()}
                for name, of in (("tasks", self.tasks), ("outcomes", self.outcomes)) if of}  # fmt: skip
        access = {} if self.access is None else {"access": self.access.terms()}
        return {
            **floor,
            **access,
            **work,
            **self.components(),
            "name": self.name,
            "fee_nusd_month": self.fee_nusd_month,
            "credits": self.credits.terms(),
            "max_tier": self.max_tier,
            "gate_policy": self.gate_policy,
            "charge_follows_gate": self.charge_follows_gate,
            "target_margin": _canonical(self.target_margin),
        }

    def components(self) -> dict[str, Any]:
        """Return what is sold beside credits as plain JSON values: nothing of it leaves a plan its version."""
        found: dict[str, Any] = {}
        if self.usage:
            found["usage"] = components.written(self.usage)
        if self.items:
            found["items"] = components.written(self.items)
        if self.seats is not None:
            found["seats"] = self.seats.terms()
        if self.commit is not None:
            found["commit"] = self.commit.terms()
        return found


def open_plan() -> Plan:
    """Return the built-in plan: credits counted, none required, nothing charged."""
    return Plan(OPEN)


@dataclass(frozen=True, slots=True)
class SellBook:
    """Every plan there is, and the one that a customer without a plan is on.

    Args:
        version: `sell_` and 12 hex digits of a digest of the plans; computed, never passed.
        plans: The plans by name.
        default: The name of one of them.

    Raises:
        PlanError: `default` names no plan, or a plan is filed under another name.
    """

    version: str = field(init=False)
    plans: Mapping[str, Plan] = field(default_factory=lambda: {OPEN: open_plan()})
    default: str = OPEN

    def __post_init__(self) -> None:
        object.__setattr__(self, "plans", MappingProxyType(dict(self.plans)))
        if self.default not in self.plans:
            raise PlanError("default", f'"{self.default}" is not a plan')
        for name, plan in self.plans.items():
            if plan.name != name:
                raise PlanError(f"plans.{name}", f'holds the plan named "{plan.name}"')
        versions = {name: plan.version for name, plan in self.plans.items()}
        object.__setattr__(self, "version", _digest("sell", {"default": self.default, "plans": versions}))

    def plan(self, name: str | None = None) -> Plan:
        """Return a plan by name, or the default one.

        Raises:
            KeyError: There is no plan of that name.
        """
        return self.plans[self.default if name is None else name]


def _check_not_negative(name: str, number: int | None) -> None:
    if number is not None and number < 0:
        raise PlanError(name, "must not be negative")


def _canonical(number: Decimal | None) -> str | None:
    """Write equal numbers equally: 0.6 and 0.60 are the same target."""
    return None if number is None else f"{number.normalize():f}"


def _digest(prefix: str, terms: Mapping[str, Any]) -> str:
    text = json.dumps(terms, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"{prefix}_{hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS]}"
