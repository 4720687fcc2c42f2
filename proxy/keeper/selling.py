"""What somebody tells the books of what is sold: seats, and things that were delivered; and a month's statement."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

from margin import records
from margin.components import METER_PARTS, Metered
from margin.ledger import breakdowns, quantities, questions
from margin.ledger.breakdowns import CreditRow
from margin.ledger.quantities import Counted
from margin.ledger.rating import BESIDE_METERS
from margin.ledger.terms import Period
from margin.sellbook import Plan
from margin.tiering import Tiers
from proxy.identity import is_name
from proxy.keeper.office import Office, UnknownName
from proxy.keeper.refusing import Args, Refused
from proxy.keeper.words import day, in_credits

WORDS_MAX = 20
"""Segments, or personas: groups of people that are told apart when prices are made, so a handful."""
COUNT_MAX = 1_000_000
"""Seats, or items of one delivery: more is a slip of the hand."""


def seats(office: Office, args: Args) -> Any:
    """Give a customer so many seats."""
    count = _count(args["seats"], 0)
    number = office.number(args["customer"])
    office.fold_all()
    office.act(records.seats(t=time.time_ns(), customer=number, count=count))
    return {"customer": args["customer"], "seats": count}


def describe(office: Office, args: Args) -> Any:
    """Say what segment a customer is in, and who uses it there; None leaves a word as it is, an empty one takes it off.

    Segments and personas are for sums, so there are few: reports and metrics have a row for each.
    """
    number = office.number(args["customer"])
    office.fold_all()
    found = {name: _word(office, number, name, args[name]) for name in ("segment", "persona")}
    office.act(records.described(t=time.time_ns(), customer=number, **found))
    return {"customer": args["customer"], **found}


def _word(office: Office, number: int, name: str, asked: str | None) -> str:
    """Return what a customer's segment or persona is from here on."""
    customers = office.books.state.customers
    if asked is None:
        return str(getattr(customers[number], name))
    if asked and not is_name(asked):
        raise Refused(f"a {name} must be 1 to 128 printable characters")
    known = {getattr(each, name) for each in customers.values()} - {""}
    if asked and asked not in known and len(known) >= WORDS_MAX:
        raise Refused(f"there are {WORDS_MAX} {name}s already: {', '.join(sorted(known))}")
    return asked


def deliver(office: Office, args: Args) -> Any:
    """Charge a customer for items that were delivered, once for each id."""
    name, item, id_, count = args["customer"], args["item"], args["id"], _count(args["count"], 1)
    if not is_name(id_):
        raise Refused("an id must be 1 to 128 printable characters")
    number = office.number(name)
    customer = office.books.state.customers[number]
    if office.books.state.terms(customer).metered(f"item.{item}") is None:
        sold = ", ".join(sorted(office.books.state.terms(customer).items)) or "none"
        raise UnknownName(f'the plan "{customer.plan}" sells no item "{item}"; its items are: {sold}')
    office.fold_all()
    is_new = not office.books.store.has_txn(f"item:{id_}")
    if is_new:
        office.act(records.delivered(t=time.time_ns(), id=id_, customer=number, item=item, count=count))
    return {"customer": name, "item": item, "count": count, "id": id_, "booked": is_new}


def _count(found: Any, least: int) -> int:
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= COUNT_MAX:
        raise Refused(f"the count must be a whole number from {least} to {COUNT_MAX:,}")
    return found


def statement(office: Office, args: Args) -> Any:
    """Return what a customer's month was charged, line by line; the lines add up to its revenue."""
    try:
        period = Period.named(args["month"])
    except ValueError:
        raise Refused(f'"{args["month"]}" is no month; write it like 2026-11') from None
    number = office.number(args["customer"])
    office.tick()
    with questions.snapshot(office.books.store.db) as db:
        kinds = quantities.revenue_by_plan(db, number, period.name)
        counted = quantities.counted(db, number, period.name)
        tasks = quantities.counted_tasks(db, number, period.name)
    lines = []
    for plan, sums in kinds:
        its_own = [each for each in counted if each.plan == plan]
        rated = [line for each in its_own for line in _rated(office.settings.sellbook.plans.get(plan), each)]
        rated += [line for each in tasks if each.plan == plan for line in _by_band(each.name, each.tiers, each.units)]
        of_them = (sums.pop(kind) for kind in ("metered", "shortfall", "tasks"))
        rest = sum(of_them) - sum(line["nusd"] for line in rated)
        lines += [{"plan": plan, "what": kind, "nusd": nusd} for kind, nusd in sums.items() if nusd]
        lines += [{"plan": plan} | line for line in rated]
        if rest:  # of another month, and taken back in this one
            lines.append({"plan": plan, "what": "adjustments", "nusd": rest})
    promised = sum(each.quantity + each.nusd for each in counted if each.meter == "commitment")
    return {"customer": args["customer"], "month": period.name, "lines": lines,
            "total_nusd": sum(line["nusd"] for line in lines), "of_commitment_nusd": promised}  # fmt: skip


def _rated(plan: Plan | None, each: Counted) -> list[dict[str, Any]]:
    """Return a meter's lines by band, and its shortfall; one line where the month's price was changed meanwhile."""
    if each.meter in BESIDE_METERS:
        return _split(each)
    metered = None if plan is None else _price(plan, each.meter)
    parts = METER_PARTS.get(each.meter, 1)
    lines = () if metered is None else metered.tiers.lines(each.quantity)
    rest = each.nusd - sum(line.nusd for line in lines)
    if metered is None or (rest and not metered.minimum):
        return [{"what": each.meter, "quantity": each.quantity / parts, "nusd": each.nusd}]
    found = _by_band(each.meter, metered.tiers, each.quantity)
    return [*found, {"what": f"{each.meter} shortfall", "nusd": rest}] if rest else found


def _split(each: Counted) -> list[dict[str, Any]]:
    """Return how much of the lines above was drawn of a commitment, or was beyond it; `nusd` is what that adds."""
    what = "commitment, used" if each.meter == "commitment" else "beyond the commitment"
    found = [{"what": what, "of_nusd": each.quantity, "nusd": 0 if each.meter == "commitment" else each.nusd}]
    if each.meter == "commitment" and each.nusd:
        found.append({"what": "commitment, not used", "nusd": each.nusd})
    return found


def _by_band(what: str, tiers: Tiers, quantity: int) -> list[dict[str, Any]]:
    return [
        {"what": what, "quantity": line.quantity / tiers.parts, "nusd": line.nusd}
        | ({"included": True} if line.price is None else {"price": str(line.price), "per": tiers.per})
        for line in tiers.lines(quantity)
    ]


def _price(plan: Plan, meter: str) -> Metered | None:
    kind, _, item = meter.partition(".")
    return plan.items.get(item) if kind == "item" else plan.usage.get(meter)


def credit_margins(office: Office, args: Args) -> Any:
    """Return what a credit costs us and sells for, by plan and charge tier: 1 − cost per credit ÷ price per credit.

    The price is the plan's for a credit that is bought or used beyond the included ones; a plan that sells none has no
    such margin.
    """
    office.fold_all()
    with questions.snapshot(office.books.store.db) as db:
        rows = breakdowns.credits_by_tier(db, day(args.get("since")))
    return {"rows": [_credit_margin(office.settings.sellbook.plans.get(row.plan), row) for row in rows]}


def _credit_margin(plan: Plan | None, row: CreditRow) -> dict[str, Any]:
    price = None if plan is None else plan.credits.price_nusd_per_credit
    if price is None and plan is not None:
        price = plan.credits.overage_nusd_per_credit
    worth = None if price is None else Fraction(price * row.credits_milli, 1000)
    margin = round(float(1 - Fraction(row.cost_nusd) / worth), 6) if worth else None
    target = None if plan is None or plan.target_margin is None else float(plan.target_margin)
    per_credit = round(row.cost_nusd * 1000 / row.credits_milli) if row.credits_milli else None
    return {
        "plan": row.plan, "tier": row.charge_tier, "requests": row.requests, "credits": in_credits(row.credits_milli),
        "cost_nusd": row.cost_nusd, "revenue_nusd": row.revenue_nusd, "cost_per_credit_nusd": per_credit,
        "price_per_credit_nusd": price, "margin": margin, "target": target,
        "meets_target": None if margin is None or target is None else margin >= target,
    }  # fmt: skip


COMMANDS = {"customers.seats": seats, "customers.describe": describe,
            "customers.deliver": deliver, "report.statement": statement,
            "report.credits": credit_margins}  # fmt: skip
