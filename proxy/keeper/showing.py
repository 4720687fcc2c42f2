"""What the page at `/` shows: this day's and month's margin, savings, tiers, customers, and the charges booked last.

Read from sums that are kept anyway; what it costs does not grow with the number of requests. Days and months are UTC's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from margin.ledger import glances, questions, terms
from margin.ledger.glances import TierRow
from margin.ledger.questions import MarginRow, PlanRow
from margin.savings import waterfall
from proxy import reasons
from proxy.keeper.office import Office
from proxy.keeper.refusing import Args
from proxy.keeper.usage import credits_of
from proxy.keeper.words import in_credits, iso, margin_of

CUSTOMERS_SHOWN = 50
"""Of a table that people read, the biggest losses first; `penstock report margin` has all."""
CHARGES_SHOWN = 20


def figures(office: Office, _: Args) -> Any:
    """Return everything but the charges: margins, what targets ask for, the waterfall, tiers, customers."""
    office.tick()
    now = time.time_ns()
    day, month = _since(now)
    with questions.snapshot(office.books.store.db) as db:
        today, plans = questions.margin_by_plan(db, day), questions.margin_by_plan(db, month)
        losers = questions.margin_by_customer(db, since_day=month, limit=CUSTOMERS_SHOWN)
        tiers = glances.by_tier(db, month)
    total = _total(plans)
    return {
        "as_of": iso(now), "day": day, "month": month[:7],
        "today": margin_of(_total(today)), "to_date": margin_of(total),
        "target": _target(office, plans), "waterfall": _waterfall(tiers, total.cost_nusd),
        "unpriced": total.unpriced,
        "tiers": [{"tier": each.tier, "requests": each.requests, "cost_nusd": each.cost_nusd} for each in tiers],
        "customers": [_customer(office, row) for row in losers],
        "customers_total": sum(each.customers for each in plans),
        "plans": sorted(office.settings.sellbook.plans),
    }  # fmt: skip


def charges(office: Office, _: Args) -> Any:
    """Return the charges that were booked last, the last first."""
    office.fold_all()
    return _charges(office, None)


def customer(office: Office, args: Args) -> Any:
    """Return one customer's margin of this day and month, credits, and last charges."""
    number = office.number(args["customer"])
    office.tick()
    now = time.time_ns()
    today, to_date = (_margin_since(office, number, since) for since in _since(now))
    return _customer(office, to_date) | {
        "as_of": iso(now), "today": margin_of(today), "charges": _charges(office, number),
    }  # fmt: skip


def _since(now: int) -> tuple[str, str]:
    """Return this day, and the first of its month."""
    day = terms.day(now)
    return day, f"{day[:8]}01"


def _margin_since(office: Office, number: int, day: str) -> MarginRow:
    rows = questions.margin_by_customer(office.books.store.db, since_day=day, customer=number)
    return rows[0] if rows else MarginRow(number, 0, 0, 0, 0, 0)


def _customer(office: Office, row: MarginRow) -> dict[str, Any]:
    number = row.customer or 0
    plan = office.books.state.customers[number].plan
    target = _target_of(office, plan)
    balance = credits_of(office, number)
    return {
        "customer": office.directory.name(number), "plan": plan, **margin_of(row),
        "target": None if target is None else float(target), "credits": balance,
        "enforce": office.books.state.terms_of(plan).enforce,
    }  # fmt: skip


def _target_of(office: Office, plan: str) -> Decimal | None:
    found = office.settings.sellbook.plans.get(plan)
    return None if found is None else found.aim


def _total(plans: Iterable[PlanRow]) -> MarginRow:
    return questions.total([each.sums for each in plans])


def _target(office: Office, plans: Iterable[PlanRow]) -> dict[str, Any] | None:
    """Return what the customers whose plans aim at a margin should have earned, and what they did; None without any.

    The target is the plans', weighted by their customers' revenue.
    """
    aiming = [(each, target) for each in plans if (target := _target_of(office, each.plan)) is not None]
    if not aiming:
        return None
    sums = _total(each for each, _ in aiming)
    aimed = sum((target * each.sums.revenue_nusd for each, target in aiming), Decimal(0))
    revenue = sums.revenue_nusd
    return {
        "customers": sum(each.customers for each, _ in aiming), "aimed_nusd": int(aimed.to_integral_value()),
        "margin_nusd": sums.margin_nusd, "revenue_nusd": revenue,
        "target": round(float(aimed / revenue), 6) if revenue else None, "margin": margin_of(sums)["margin"],
    }  # fmt: skip


def _waterfall(tiers: Iterable[TierRow], cost_nusd: int) -> list[dict[str, Any]]:
    """Return the steps from the baseline to the bill; `other` is what has no baseline: failed, unpriced, corrected."""
    rows = list(tiers)
    baseline = sum(each.baseline_nusd for each in rows)
    levers = {
        "prompt_optimisation": sum(each.prompt_optimisation_nusd for each in rows),
        "response_cache": sum(each.response_cache_nusd for each in rows),
        "routing": sum(each.routing_nusd for each in rows),
        "prompt_cache": sum(each.prompt_cache_nusd for each in rows),
        "overhead": -sum(each.overhead_nusd for each in rows),
    }
    compared = baseline - sum(levers.values())
    steps = waterfall(baseline, levers, compared)[:-1]
    return [
        {"step": name, "nusd": nusd} for name, nusd in (*steps, ("other", cost_nusd - compared), ("bill", cost_nusd))
    ]


def _charges(office: Office, number: int | None) -> list[dict[str, Any]]:
    found = glances.last_charges(office.books.store.db, CHARGES_SHOWN, number)
    return [_charge(office, each) for each in found]


def _charge(office: Office, found: dict[str, Any]) -> dict[str, Any]:
    decision = found.pop("decision")
    return {
        "id": found["x"], "at": iso(found["t"]), "customer": office.directory.name(found["customer"]),
        "charge_tier": found["charge_tier"], "served_tier": found["served_tier"], "outcome": found["outcome"],
        "model": found["deployment"], "provider": found["provider"], "credits": in_credits(found["credits_milli"]),
        "revenue_nusd": found["revenue_nusd"], "cost_nusd": found["cost_nusd"],
        "is_reversed": bool(found["is_reversed"]), "task": decision.get("task"),
        "why": list(reasons.in_words(decision)),
    }  # fmt: skip


COMMANDS: dict[str, Callable[[Office, Args], Any]] = {
    "page.figures": figures,
    "page.charges": charges,
    "page.customer": customer,
}
