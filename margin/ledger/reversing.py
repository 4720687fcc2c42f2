"""The fold of a reversal: a charge is taken back whole, by entries that are the exact reverse of its own.

Credits go back to the grants they were burnt from, last burnt first, each part with the cash it carried; what no grant
covered goes back too. The cost stays: the provider billed it. Where a grant has ended its credits come back as expired
(seen, and not spendable), and the cash behind them becomes breakage, as if they had never been burnt.
"""

from __future__ import annotations

from typing import Any

from margin.ledger import burning, ending, overdrafts, rating
from margin.ledger.burning import owed_milli, revenue_nusd
from margin.ledger.postings import Effects, RollupKey
from margin.ledger.state import State
from margin.ledger.terms import day

Record = dict[str, Any]


def apply(state: State, record: Record, effects: Effects) -> None:
    """Reverse a charge, unless it was never booked or is reversed already."""
    x, t = record["x"], record["t"]
    why = _senseless(state, x, effects)
    if why is not None:
        effects.refused.append((x, why))
        return
    names = [grant for grant, *_ in record["burnt"] if grant is not None]
    ending.end_before_return(state, names, t, effects)
    for name, milli, nusd, *_ in reversed(record["burnt"]):
        grant = None if name is None else state.grant(name)
        if grant is not None:
            state.put_grant(grant.restore(milli, nusd))
    metered = rating.take_back(state, record, effects)
    legs = burning.legs(record["c"], record["burnt"]) + rating.legs(record["c"], metered)
    effects.book(  # also where nothing moves: the name is taken, so that it is not reversed again
        f"reverse:{x}", "reverse", t, tuple((who, name, commodity, -amount) for who, name, commodity, amount in legs)
    )
    ending.end_returned(state, names, f"reverse:{x}", t, effects)
    overdrafts.forgive(state, record["c"], owed_milli(record["burnt"]), x, t, effects)
    overdrafts.cover(state, record["c"], f"reverse:{x}", t, effects)
    _note(record, effects, metered.nusd)


def _senseless(state: State, x: str, effects: Effects) -> str | None:
    booked, again = f"close:{x}", f"reverse:{x}"
    if booked not in effects.names and not state.history.has_txn(booked):
        return "reversed, and was never charged"
    if again in effects.names or state.history.has_txn(again):
        return "reversed twice"
    return None


def _note(record: Record, effects: Effects, metered_nusd: int) -> None:
    """Note the reversal, and its sums on the day it was made."""
    carried, usage = revenue_nusd(record["burnt"])
    row = (record["x"], record["t"], record["c"], record["cr"], carried + usage, record["why"])
    effects.reversals.append(row)
    effects.add(
        RollupKey(day(record["t"]), record["c"], *record["row"]), credits_reversed_milli=record["cr"],
        revenue_credits_reversed_nusd=carried, revenue_usage_reversed_nusd=usage,
        **rating.sums(-metered_nusd),
    )  # fmt: skip
