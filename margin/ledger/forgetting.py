"""Forgetting: why a charge was routed as it was need not be known for ever. What it came to stays.

A *forgot* record says up to when. It has its place in the keeper's journal, so whoever folds the journals again forgets
the same charges at the same place: those booked before it, in their order, from the first that is not forgotten to the
first that is not old enough, and at most `FORGOTTEN_MAX`. The journals themselves still have what they said.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import orjson

FORGOTTEN_MAX = 500
"""Charges that one record makes forget: some milliseconds, so that a lease request never waits longer behind them."""

KEPT = (
    "config", "classifier", "cost_book", "sell_book", "charge_tier", "served_tier", "metered", "usage_source",
    "recovered", "cache", "cached_share", "stream", "baseline",
    "requested",
)  # fmt: skip
"""What stays of a decision record: the versions it was made under, both tiers, and the terms of a metered charge,
and what its savings are counted from."""


def reduced(decision: str) -> str:
    """Return a decision record, as JSON, without its details: features, probabilities, reasons, candidates, times."""
    content = orjson.loads(decision)
    return orjson.dumps({name: content[name] for name in KEPT if name in content}).decode()


def is_due(db: sqlite3.Connection, until_t: int) -> bool:
    """Tell whether the first charge that is not forgotten is from before a moment."""
    found = db.execute("SELECT t FROM main.charges WHERE rowid > ? ORDER BY rowid LIMIT 1", (_reached(db),)).fetchone()
    return found is not None and found[0] < until_t


def forget(db: sqlite3.Connection, moments: Iterable[tuple[int, int]], *, charges: int) -> None:
    """Forget what a batch's records say, once its own charges are stored.

    Args:
        db: The ledger, in a transaction.
        moments: As `Effects.forgotten`.
        charges: How many charges the batch has.
    """
    (last,) = db.execute("SELECT COALESCE(MAX(rowid), 0) FROM main.charges").fetchone()
    reached = _reached(db)
    for until_t, booked in moments:
        rows = db.execute(
            "SELECT rowid, t, decision FROM main.charges WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?",
            (reached, last - charges + booked, FORGOTTEN_MAX),
        ).fetchall()
        for rowid, t, decision in rows:
            if t >= until_t:
                break
            db.execute("UPDATE main.charges SET decision = ? WHERE rowid = ?", (reduced(decision), rowid))
            reached = rowid
    db.execute("INSERT OR REPLACE INTO meta VALUES ('forgotten', ?)", (str(reached),))


def _reached(db: sqlite3.Connection) -> int:
    found = db.execute("SELECT value FROM meta WHERE name = 'forgotten'").fetchone()
    return 0 if found is None else int(found[0])
