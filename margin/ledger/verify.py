"""Checks the books against themselves. Each check is a question whose right answer is no rows.

I1 transactions balance · I3 balances are the sums of their entries · I4 one charge per exchange · I6 held = open
holds · I7 issued = available + held + spent + expired + overdraft · I16 customers add up to the whole · rollup =
entries. The numbering is that of the ledger's design notes; the journals' chains are checked by the caller, who knows
the files.
"""

from __future__ import annotations

import sqlite3

from margin.ledger.questions import COST, REVENUE
from margin.ledger.state import State

_PAIRS = {
    "cost in the rollup and in the entries": (
        f"SELECT COALESCE(SUM({COST}), 0) FROM rollup",  # noqa: S608 - our names
        "SELECT COALESCE(SUM(balance), 0) FROM accounts WHERE name LIKE 'cogs.%'",
    ),
    "revenue in the rollup and in the entries": (
        f"SELECT COALESCE(SUM({REVENUE}), 0) FROM rollup",  # noqa: S608 - our names
        "SELECT COALESCE(-SUM(balance), 0) FROM accounts WHERE name LIKE 'rev.%'",
    ),
    "cost owed to providers and cost booked": (
        "SELECT COALESCE(-SUM(balance), 0) FROM accounts WHERE name LIKE 'ap.%'",
        "SELECT COALESCE(SUM(balance), 0) FROM accounts WHERE name LIKE 'cogs.%'",
    ),
    "requests in the rollup and charges": (
        "SELECT COALESCE(SUM(requests), 0) FROM rollup",
        "SELECT COUNT(*) FROM charges",
    ),
    "charges and their transactions": (
        "SELECT COUNT(*) FROM charges WHERE credits_milli > 0",
        "SELECT COUNT(*) FROM charges JOIN txns ON txns.key = 'close:' || charges.x WHERE credits_milli > 0",
    ),
    "cost lines and cost booked": (
        "SELECT COALESCE(SUM(cost_nusd), 0) FROM cost_lines",
        "SELECT COALESCE(SUM(balance), 0) FROM accounts WHERE name LIKE 'cogs.%'",
    ),
    "charges' revenue and revenue booked": (
        "SELECT COALESCE(SUM(revenue_nusd), 0) FROM charges",
        "SELECT COALESCE(-SUM(balance), 0) FROM accounts WHERE name IN ('rev.credits', 'rev.usage')",
    ),
    "savings: baseline minus cost, over priced charges": (
        "SELECT COALESCE(SUM(saving_nusd), 0) FROM charges",
        "SELECT COALESCE(SUM(baseline_nusd - cost_nusd), 0) FROM charges WHERE saving_nusd IS NOT NULL",
    ),
}


def imbalance_nusd(db: sqlite3.Connection) -> int:
    """Return the dollars by which transactions fail to balance, in absolute terms; 0 in sound books."""
    query = """SELECT COALESCE(SUM(ABS(off)), 0) FROM (
        SELECT SUM(amount) AS off FROM entries JOIN accounts ON accounts.id = account
        WHERE commodity = 'USD' GROUP BY txn HAVING SUM(amount) <> 0)"""
    return int(db.execute(query).fetchone()[0])


def violations(db: sqlite3.Connection, state: State) -> list[str]:
    """Return every broken invariant in words; empty when the books are sound."""
    found = [*_unbalanced(db), *_drifted(db), *_disagreeing(db), *_credits(db), *_holds(db, state)]
    refused = db.execute("SELECT COUNT(*) FROM refused").fetchone()[0]
    if refused:
        found.append(f"{refused} journal records had no effect (a settlement without a hold, or the like)")
    return found


def _unbalanced(db: sqlite3.Connection) -> list[str]:
    query = """SELECT txns.key, commodity, SUM(amount) FROM entries JOIN accounts ON accounts.id = account
        JOIN txns ON txns.id = txn GROUP BY txn, commodity HAVING SUM(amount) <> 0 LIMIT 20"""
    return [f"I1: transaction {key} is off by {off} {commodity}" for key, commodity, off in db.execute(query)]


def _drifted(db: sqlite3.Connection) -> list[str]:
    query = """SELECT customer, name, balance, COALESCE(total, 0) FROM accounts LEFT JOIN
        (SELECT account, SUM(amount) AS total FROM entries GROUP BY account) ON account = accounts.id
        WHERE balance <> COALESCE(total, 0) LIMIT 20"""
    return [
        f"I3: {name} of customer {who} says {kept}, its entries {real}" for who, name, kept, real in db.execute(query)
    ]


def _disagreeing(db: sqlite3.Connection) -> list[str]:
    found = []
    for name, (left, right) in _PAIRS.items():
        one, other = db.execute(left).fetchone()[0], db.execute(right).fetchone()[0]
        if one != other:
            found.append(f"I16: {name}: {one} and {other}")
    return found


def _credits(db: sqlite3.Connection) -> list[str]:
    query = """SELECT customer, SUM(balance) FROM accounts WHERE commodity = 'CREDIT'
        GROUP BY customer HAVING SUM(balance) <> 0"""
    found = [f"I7: credits of customer {who} are off by {off}" for who, off in db.execute(query)]
    negative = "SELECT customer, balance FROM accounts WHERE name = 'credits.available' AND balance < 0"
    return found + [f"I5: customer {who} has {balance} available" for who, balance in db.execute(negative)]


def _holds(db: sqlite3.Connection, state: State) -> list[str]:
    held: dict[int, int] = {}
    for hold in state.holds.values():
        held[hold.customer] = held.get(hold.customer, 0) + hold.held_milli
    query = "SELECT customer, balance FROM accounts WHERE name = 'credits.held'"
    booked = {who: balance for who, balance in db.execute(query) if balance}
    return [
        f"I6: customer {who} holds {booked.get(who, 0)}, open holds say {held.get(who, 0)}"
        for who in sorted({*held, *booked})
        if booked.get(who, 0) != held.get(who, 0)
    ]
