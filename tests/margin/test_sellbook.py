"""Plans: terms that cannot contradict themselves, named by their content."""

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

from margin.plan_error import PlanError
from margin.sellbook import TIERS, CreditTerms, Plan, SellBook


def test_the_built_in_book_charges_nothing() -> None:
    """Plan `open` counts credits by 1, 3 and 10, requires none and sells none."""
    plan = SellBook().plan()

    assert plan.name == "open"
    assert [plan.credits.schedule_milli[tier] for tier in TIERS] == [1 * 1000, 3 * 1000, 10 * 1000]
    assert plan.credits.enforce == "none"
    assert plan.credits.included_milli == 0
    assert plan.credits.price_nusd_per_credit is None
    assert plan.fee_nusd_month is None
    assert plan.max_tier is None


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"mode": "prepaid", "included_milli": 1}, "credits.included"),
        ({"enforce": "hard", "overage_nusd_per_credit": 1}, "credits.overage"),
        ({"price_nusd_per_credit": 1}, "credits.price"),
        ({"included_milli": -1}, "credits.included"),
        ({"mode": "prepaid", "price_nusd_per_credit": -1}, "credits.price"),
        ({"overage_nusd_per_credit": -1}, "credits.overage"),
        ({"schedule_milli": {"simple": 1, "medium": 1}}, "credits.schedule"),
        ({"schedule_milli": {"simple": 1, "medium": 1, "complex": -1}}, "credits.schedule.complex"),
    ],
)
def test_contradictory_credit_terms_are_refused(terms: dict[str, Any], field: str) -> None:
    """The error names the term as the YAML spells it."""
    with pytest.raises(PlanError) as raised:
        CreditTerms(**terms)

    assert raised.value.field == field


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"fee_nusd_month": -1}, "fee.amount"),
        ({"target_margin": Decimal("1.01")}, "target_margin"),
        ({"target_margin": Decimal("-0.01")}, "target_margin"),
    ],
)
def test_impossible_plans_are_refused(terms: dict[str, Any], field: str) -> None:
    """A negative fee, and a margin that no business has."""
    with pytest.raises(PlanError) as raised:
        Plan("x", **terms)

    assert raised.value.field == field


def test_a_default_must_be_a_plan() -> None:
    """A book whose default names nothing is refused."""
    with pytest.raises(PlanError, match='"vip" is not a plan'):
        SellBook(default="vip")


def test_a_plan_lies_under_its_own_name() -> None:
    """Two names for one plan would give a charge two owners."""
    with pytest.raises(PlanError, match='holds the plan named "open"'):
        SellBook(plans={"open": Plan("open"), "vip": Plan("open")})


def test_equal_terms_are_one_version() -> None:
    """Trailing zeros, the order of a schedule and the description are no terms."""
    plan = Plan("pro", target_margin=Decimal("0.6"))

    same = Plan(
        "pro",
        credits=CreditTerms(schedule_milli={"complex": 10_000, "medium": 3_000, "simple": 1_000}),
        target_margin=Decimal("0.60"),
        description="reworded",
    )

    assert plan.version == same.version
    assert plan.version.startswith("plan_")
    assert len(plan.version) == len("plan_") + 12


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"fee_nusd_month": 0},
        {"credits": CreditTerms(included_milli=1)},
        {"credits": CreditTerms(enforce="soft")},
        {"max_tier": "medium"},
        {"gate_policy": "refuse"},
        {"charge_follows_gate": False},
        {"target_margin": Decimal("0.5")},
    ],
)
def test_each_term_makes_another_version(change: dict[str, Any]) -> None:
    """A changed term cannot pass for the old plan, and changes the book's version with it."""
    plan = Plan("pro")

    other = dataclasses.replace(plan, **change)

    assert other.version != plan.version
    books = [SellBook(plans={one.name: one}, default=one.name) for one in (plan, other)]
    assert books[0].version != books[1].version


def test_a_fee_of_nothing_is_not_no_fee() -> None:
    """Zero is a number; `None` is none."""
    free = Plan("x", fee_nusd_month=0)

    assert free.fee_nusd_month == 0
    assert free.version != Plan("x").version


def test_values_are_frozen() -> None:
    """Neither a field nor a schedule can be changed after it was checked."""
    plan = Plan("open")

    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        plan.credits.schedule_milli["simple"] = 0  # type: ignore[index]
