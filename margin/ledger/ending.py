"""How grants end: at their own moment, however late the tick that books it comes.

What is left of a grant when it ends expires then, and the transaction carries that moment. What a hold keeps of it may
still burn: the exchange was admitted in time. Should it come back later, because the hold was larger than the charge,
was voided, or the charge was reversed, it has ended: it expires at once, at the moment at which it came back. So an
ended grant never has anything left.
"""

from __future__ import annotations

from collections.abc import Iterable

from margin.ledger.grants import Grant
from margin.ledger.postings import CREDIT, USD, Effects, RollupKey, pair
from margin.ledger.state import State
from margin.ledger.terms import day


def end(state: State, grant: Grant, effects: Effects) -> None:
    """Book a grant's end, at its own moment."""
    _drop(state, grant, f"expire:{grant.id}", grant.expires_t, effects)


def end_before_return(state: State, names: Iterable[str], t: int, effects: Effects) -> None:
    """Book the ends that are due before credits go back to these grants at `t`."""
    for name in names:
        grant = state.grant(name)
        if grant is not None and grant.expires_t <= t and not grant.is_ended:
            end(state, grant, effects)


def end_returned(state: State, names: Iterable[str], cause: str, t: int, effects: Effects) -> None:
    """Expire what went back at `t` to grants that have ended; `cause`, unique for each return, names why it did."""
    for name in names:
        grant = state.grants.get(name)
        if grant is not None and grant.is_ended and grant.left_milli:
            # A clock that was set back moves no expiry before the grant's end.
            _drop(state, grant, f"expire:{name}:{cause}", max(t, grant.expires_t), effects)


def _drop(state: State, grant: Grant, key: str, t: int, effects: Effects) -> None:
    after, dropped, carried = grant.expire()
    state.put_grant(after)
    effects.post(key, "expire", t,
                 *pair(grant.customer, CREDIT, dropped, to="credits.expired", from_="credits.balance"),
                 *pair(grant.customer, USD, carried, to="deferred.credits", from_="rev.breakage"))  # fmt: skip
    if carried:
        row = RollupKey(day(t), grant.customer, state.customers[grant.customer].plan)
        effects.add(row, revenue_breakage_nusd=carried)
