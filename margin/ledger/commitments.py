"""What a customer has promised to spend in a term: it is owed at the beginning, and drawn down as it is used.

What a term has cost so far at the plan's prices says how much of a charge is drawn and how much is beyond, so the parts
add up to the same in whatever order they come (docs/adr/0065).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from margin.components import Commit
from margin.ledger.postings import USD, Effects, RollupKey, pair
from margin.ledger.state import Customer, State
from margin.ledger.terms import after_months, day

Line = tuple[str, int, int]
"""What a charge has beside its meters: a name, nano-dollars at the plan's prices, and what is charged for it."""


class Charge(NamedTuple):
    """A charge in nano-dollars: what was promised and is drawn, and what is owed."""

    drawn_nusd: int
    owed_nusd: int

    @property
    def nusd(self) -> int:
        """All of it."""
        return self.drawn_nusd + self.owed_nusd


def draw(state: State, number: int, nusd: int, t: int, effects: Effects) -> tuple[Charge, tuple[Line, ...]]:
    """Charge `nusd`, at the plan's prices, to a customer: what it has promised is drawn first.

    A negative amount is given back, what is beyond the promise first. The lines are those beside its meters'.
    """
    customer = state.customers[number]
    if not customer.commit_end_t or not nusd:
        return Charge(0, nusd), ()
    customer = renewed(state, customer, t, effects)
    before, after = customer.commit_used_nusd, customer.commit_used_nusd + nusd
    drawn = _within(customer, after) - _within(customer, before)
    beyond = nusd - drawn
    more = _more(state, customer, after) - _more(state, customer, before)
    state.put_customer(replace(customer, commit_used_nusd=max(after, 0)))
    lines: tuple[Line, ...] = (("commitment", drawn, 0),) if drawn else ()
    return Charge(drawn, beyond + more), (*lines, ("beyond", beyond, more)) if beyond else lines


def renewed(state: State, customer: Customer, t: int, effects: Effects) -> Customer:
    """End a customer's term if it is over, and begin one where its plan has a commitment; return the customer."""
    begin_t = t
    while True:
        if customer.commit_end_t:
            if customer.commit_end_t > t:
                return customer
            begin_t = customer.commit_end_t
            customer = _end(state, customer, effects)
        commit = state.terms(customer).commit
        if commit is None:
            return customer
        customer = _begin(state, customer, commit, begin_t, effects)


def left_nusd(customer: Customer) -> int:
    """Return what a customer has promised and not used yet."""
    return customer.commit_nusd - _within(customer, customer.commit_used_nusd)


def _begin(state: State, customer: Customer, commit: Commit, t: int, effects: Effects) -> Customer:
    end_t = after_months(t, commit.months)
    begun = replace(customer, commit_nusd=commit.amount_nusd, commit_end_t=end_t, commit_used_nusd=0)
    legs = pair(customer.number, USD, commit.amount_nusd, to="receivable", from_="deferred.commit")
    effects.post(f"commit:{customer.number}:{t}", "commit", t, *legs)
    state.put_customer(begun)
    return begun


def _end(state: State, customer: Customer, effects: Effects) -> Customer:
    """What was promised and not used is revenue now."""
    left, end_t = left_nusd(customer), customer.commit_end_t
    ended = replace(customer, commit_nusd=0, commit_end_t=0, commit_used_nusd=0)
    state.put_customer(ended)
    if left:
        cause, number, plan = f"commit-end:{customer.number}:{end_t}", customer.number, customer.plan
        effects.post(cause, "shortfall", end_t, *pair(number, USD, left, to="deferred.commit", from_="rev.shortfall"))
        state.count((number, plan, "commitment", day(end_t - 1)[:7]), cause, end_t, 0, left, effects.rated)
        effects.add(RollupKey(day(end_t - 1), number, plan), revenue_shortfall_nusd=left)
    return ended


def _within(customer: Customer, used_nusd: int) -> int:
    return min(max(used_nusd, 0), customer.commit_nusd)


def _more(state: State, customer: Customer, used_nusd: int) -> int:
    """Return what is charged beyond the plan's prices when a term has cost so much at them."""
    commit = state.terms(customer).commit
    excess = max(used_nusd - customer.commit_nusd, 0)
    return 0 if commit is None else commit.beyond_nusd(excess) - excess
