"""Charges beyond their hold, and how later credits cover them.

A metered charge is known only when its usage is. What it is above the hold comes from the customer's other credits, in
burn order; what no grant covers is an overdraft. On a plan that serves past the balance it is charged at the plan's
price, as any credit without a grant. On one that does not, it is owed: nothing is available until the customer's next
credits have covered it, and the cash behind those is revenue then.
"""

from __future__ import annotations

from dataclasses import replace

from margin.ledger import burning
from margin.ledger.burning import OWED, Burnt, revenue_nusd
from margin.ledger.grants import NEVER_T, PRIORITY, Grant, allocate
from margin.ledger.postings import CREDIT, USD, Effects, Leg, RollupKey, pair
from margin.ledger.state import Hold, State
from margin.ledger.terms import day
from margin.money import round_half_even


def exceed(state: State, hold: Hold, milli: int, t: int, effects: Effects) -> list[Burnt]:
    """Post `milli` credits that an exchange is charged beyond its hold; return what they were burnt from."""
    burnt = _burn(state, hold.customer, milli, t)
    covered = sum(each[1] for each in burnt)
    beyond = milli - covered
    if beyond:
        burnt.append(_uncovered(state, hold, beyond))
    row = RollupKey(day(t), hold.customer, hold.plan, hold.charge_tier, hold.served_tier)
    effects.add(row, excess_milli=milli)
    effects.post(f"overdraft:{hold.x}", "overdraft", t, *burning.legs(hold.customer, burnt))
    return burnt


def _uncovered(state: State, hold: Hold, milli: int) -> Burnt:
    """Return the part that no grant stands behind; note it where it is owed."""
    if hold.excess != "owed":
        price = hold.uncovered_nusd_per_credit
        return (None, milli, round_half_even(price * milli, 1000), price)
    customer = state.customers[hold.customer]
    state.put_customer(replace(customer, owed_milli=customer.owed_milli + milli))
    state.owing.add(hold.customer)
    return (None, milli, 0, 0, OWED)


def forgive(state: State, number: int, milli: int, x: str, t: int, effects: Effects) -> None:
    """Take back what a charge that is reversed has owed: the debt, or the credits that have covered it since.

    Those come back as a grant of their own, without cash behind it: whose they were is not known any more, and what
    they earned is booked.
    """
    if milli == 0:
        return
    customer = state.customers[number]
    open_milli = min(customer.owed_milli, milli)
    state.put_customer(replace(customer, owed_milli=customer.owed_milli - open_milli))
    back = milli - open_milli
    if back:
        state.grant_seq += 1
        id_ = f"restored:{x}"
        fresh = Grant.fresh(id_, state.grant_seq, number, back, 0, t, expires_t=NEVER_T, priority=PRIORITY)
        state.put_grant(fresh)
        legs = pair(number, CREDIT, back, to="credits.balance", from_="credits.overdraft")
        effects.post(f"grant:{id_}", "grant", t, *legs)


def cover(state: State, number: int, cause: str, t: int, effects: Effects) -> None:
    """Cover what a customer owes with the credits it has now. `cause` makes the transaction's key unique."""
    customer = state.customers[number]
    if customer.owed_milli == 0:
        return
    burnt = _burn(state, number, customer.owed_milli, t)
    covered, (carried, _) = sum(each[1] for each in burnt), revenue_nusd(burnt)
    if covered == 0:
        return
    state.put_customer(replace(customer, owed_milli=customer.owed_milli - covered))
    legs: tuple[Leg, ...] = pair(number, CREDIT, covered, to="credits.overdraft", from_="credits.balance")
    # An account of its own: this revenue belongs to no single charge.
    legs += pair(number, USD, carried, to="deferred.credits", from_="rev.overdraft")
    effects.post(f"cover:{cause}", "cover", t, *legs)
    if carried:
        effects.add(RollupKey(day(t), number, customer.plan), revenue_credits_nusd=carried)


def _burn(state: State, number: int, milli: int, t: int) -> list[Burnt]:
    """Spend up to `milli` of a customer's credits in burn order; return what each grant gave."""
    burnt: list[Burnt] = []
    for name, taken in allocate(state.live_grants(number), milli, t):
        grant, cash = state.grants[name].hold(taken).close(taken, taken)
        state.put_grant(grant)
        burnt.append((name, taken, cash))
    return burnt
