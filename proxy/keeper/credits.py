"""What a command may ask about credits: give them, list them, and take a charge back."""

from __future__ import annotations

import time
from typing import Any

from margin import records
from margin.ledger import capacity, questions
from margin.ledger.grants import NEVER_T, PRIORITY, Grant
from proxy.keeper.office import NS, Office, UnknownName
from proxy.keeper.refusing import Args, Refused
from proxy.keeper.usage import credits_of
from proxy.keeper.words import check_name, in_credits, iso

GRANT_MILLI_MAX = 10**15
GRANT_NUSD_MAX = 10**18
"""Sums are signed 64-bit integers over all customers (`margin.ledger.capacity`): nine of the largest grants fit in
dollars, nine thousand in credits."""
PRIORITY_MAX = 100
"""As at Stripe: enough steps to put a grant before or behind any other."""
WHY_CHARS_MAX = 500
"""A reason is a sentence or two; it is kept for good."""


def grant(office: Office, args: Args) -> Any:
    """Give a customer credits."""
    check_name(args["customer"])
    _check_amounts(args["credits_milli"], args["paid_nusd"])
    priority = args.get("priority", PRIORITY)
    if not 0 <= priority <= PRIORITY_MAX:
        raise Refused(f"a grant's priority is a number from 0, which burns first, to {PRIORITY_MAX}")
    expires = None if args["expires_s"] is None else time.time_ns() + round(args["expires_s"] * NS)
    if expires is not None and not time.time_ns() < expires < NEVER_T:
        raise Refused("a grant must expire in the future, and before the year 2262")
    id_ = office.grant(
        args["customer"], args["credits_milli"], paid_nusd=args["paid_nusd"], expires_t=expires, priority=priority,
        id_=f"grant_{args['name']}" if "name" in args else None,
    )  # fmt: skip
    return {"grant": id_, **balance(office, {"customer": args["customer"]})}


def _check_amounts(credits_milli: int, paid_nusd: int) -> None:
    if credits_milli <= 0:
        raise Refused("a grant must be more than 0 credits")
    if credits_milli > GRANT_MILLI_MAX or not 0 <= paid_nusd <= GRANT_NUSD_MAX:
        raise Refused("a grant must be at most a trillion credits and a billion US dollars")


def balance(office: Office, args: Args) -> Any:
    """Say what a customer has, in credits, at this moment: also what no tick has booked yet has ended.

    `overdraft` is what was held or charged with no grant behind it, less what was covered since.
    """
    number = office.number(args["customer"])
    office.tick()
    return credits_of(office, number)


def listed(office: Office, args: Args) -> Any:
    """List a customer's grants, those that can burn in the order in which they will, then the others."""
    number = office.number(args["customer"])
    office.tick()
    now = time.time_ns()
    found = questions.grants(office.books.store.db, number)
    found.sort(key=lambda each: (_has_ended(each, now) or each.is_used_up, each.order))
    return [_row(each, now) for each in found]


def _has_ended(each: Grant, now: int) -> bool:
    return each.is_ended or each.expires_t <= now


def _row(each: Grant, now: int) -> dict[str, Any]:
    if each.expires_t <= now:
        each, _, _ = each.expire()
    state = "ended" if _has_ended(each, now) else "used up" if each.is_used_up else "live"
    return {
        "grant": each.id, "state": state, "credits": in_credits(each.given_milli), "left": in_credits(each.left_milli),
        "held": in_credits(each.held_milli), "burnt": in_credits(each.burnt_milli),
        "expired": in_credits(each.expired_milli), "priority": each.priority, "promotional": each.paid_nusd == 0,
        "paid_nusd": each.paid_nusd, "basis_nusd": each.basis_nusd, "given": iso(each.given_t),
        "expires": None if each.expires_t == NEVER_T else iso(each.expires_t),
    }  # fmt: skip


def reverse(office: Office, args: Args) -> Any:
    """Take a charge back whole: credits to the grants they came from, revenue back, the cost stays."""
    x, why = args["id"], args["why"].strip()
    if not why or len(why) > WHY_CHARS_MAX or not why.isprintable():
        raise Refused(f"say why in one line of up to {WHY_CHARS_MAX} characters")
    office.fold_all()
    found = questions.charge(office.books.store.db, x)
    if found is None:
        raise UnknownName(f'there is no charge "{x}"')
    _check_reversible(found)
    capacity.check_reversal(office.books.store.db, found["credits_milli"], found["revenue_nusd"])
    who, burnt, t = found["customer"], found["burnt"], time.time_ns()
    row = [found[name] for name in ("plan", "charge_tier", "served_tier", "provider", "model", "outcome")]
    record = records.reversed_charge(
        x=x, t=t, customer=who, credits_milli=found["credits_milli"], burnt=burnt, row=row, why=why,
        rated=[[each[name] for name in ("meter", "plan", "period", "quantity", "nusd")] for each in found["rated"]],
    )  # fmt: skip
    office.correct([record], [who])
    grants = [
        {"grant": name, "credits": in_credits(milli), "expired": _has_expired(office, name, t)}
        for name, milli, *_ in burnt
        if name is not None
    ]
    return {
        "charge": x, "customer": office.directory.name(who), "credits": in_credits(found["credits_milli"]),
        "revenue_nusd": -found["revenue_nusd"], "grants": grants,
    }  # fmt: skip


def _has_expired(office: Office, name: str, t: int) -> bool:
    grant = office.books.state.grant(name)
    return grant is not None and _has_ended(grant, t)


def _check_reversible(found: dict[str, Any]) -> None:
    if found["reversal"] is not None:
        before = found["reversal"]
        raise Refused(f"the charge was reversed already, at {iso(before['t'])} ({before['why']})")
    if found["credits_milli"] == 0 and not found["rated"]:
        raise Refused("the charge took no credits, so there is nothing to reverse")
