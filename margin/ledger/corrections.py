"""The fold of corrections: a cost line that was booked wrongly is taken out of the books and the right one put in.

Nothing that was booked is changed: the correction is a transaction of its own, at the moment we learnt better, so a day
that was reported stays as it was reported. Its key is unique, so a correction counts once however often it is read.
"""

from __future__ import annotations

from typing import Any

import orjson

from margin.ledger.exchanges import COST_ACCOUNTS, is_closed
from margin.ledger.postings import NOBODY, USD, Effects, Leg, RollupKey, pair
from margin.ledger.state import State
from margin.ledger.terms import day

Record = dict[str, Any]


def corrected(state: State, record: Record, effects: Effects) -> None:
    """Fold a *corrected* record."""
    key = f"correct:{record['x']}:{record['n']}:{record['r']}"
    why = _senseless(state, record, key, effects)
    if why is not None:
        effects.refused.append((record["x"], why))
        return
    before, after, t = record["before"], record["after"], record["t"]
    legs = (*_cost(record["c"], before, sign=-1), *_cost(record["c"], after, sign=1))
    # Also one that moves nothing, such as from unknown to 0.
    effects.book(key, "correction", t, legs)
    effects.corrections.append(
        (record["x"], record["n"], record["r"], t, before["kind"], before["cost"], after["kind"], after["id"],
         None if after["u"] is None else orjson.dumps(after["u"]).decode(), after["card"], after["cost"],
         record["why"], record["src"])
    )  # fmt: skip
    row = RollupKey(day(t), record["c"], record["plan"], record["tier"], record["served"], after["p"], after["m"])
    if before["cost"] is not None:
        effects.add(row, cost_corrected_nusd=before["cost"])
    if after["cost"] is not None:
        effects.add(row, **{f"cost_{after['kind']}_nusd": after["cost"]})


def reconciled(_: State, record: Record, effects: Effects) -> None:
    """Fold a *reconciled* record: it moves nothing, and is remembered."""
    effects.reconciliations.append(
        (record["t"], record["acct"], record["src"], record["ppb"], record["diff"], record["n"], record["fixed"])
    )


def _senseless(state: State, record: Record, key: str, effects: Effects) -> str | None:
    if key in effects.names or state.history.has_txn(key):
        return "corrected twice"
    if not is_closed(state, record["x"], effects):
        return "corrected, and was never booked"
    return None


def _cost(customer: int, line: Record, *, sign: int) -> tuple[Leg, ...]:
    if line["cost"] is None:
        return ()
    account, owed = COST_ACCOUNTS[line["kind"]], f"ap.{line['p']}"
    return pair(customer, USD, sign * line["cost"], to=account, from_=owed, from_customer=NOBODY)
