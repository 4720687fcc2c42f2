"""How much the books can count: their sums are signed 64-bit integers, over all customers together.

A journalled record is for good, and one that takes a sum past its end would leave books that nobody can fold, verify or
rebuild. So whoever asks for a posting is refused before it is journalled (`check_…`), with a reserve for what nobody
can refuse: fees, included credits, and what requests cost and are charged.
"""

from __future__ import annotations

import sqlite3

from margin.ledger.postings import CREDIT, USD
from margin.ledger.rollups import COSTS

SUM_MAX = 2**63 - 1
"""The largest integer of SQLite (https://sqlite.org/datatype3.html): beyond it a sum becomes a rounded REAL."""

RESERVE = 10**17
"""A hundred million dollars, or a hundred trillion credits."""

ROOM = SUM_MAX - RESERVE
"""What commands may fill: nine of the largest grants in dollars, nine thousand in credits."""

_BOOKED = " + ".join(COSTS)
_REVERSED = "revenue_credits_reversed_nusd + revenue_usage_reversed_nusd"


class NoRoom(Exception):
    """What was asked for would take a sum of the books past what they can count; the text says which."""


def check_grant(db: sqlite3.Connection, credits_milli: int, paid_nusd: int) -> None:
    """Refuse a grant that does not fit. All cash and all that is receivable becomes revenue, which is one sum too.

    Raises:
        NoRoom: so it is.
    """
    issued = -_balance(db, "credits.issued", CREDIT)
    if issued + credits_milli > ROOM:
        raise NoRoom(_sentence("credits given to all customers", f"{ROOM // 1000:,} credits", issued // 1000))
    taken = _balance(db, "cash", USD) + _balance(db, "receivable", USD)
    if taken + paid_nusd > ROOM:
        raise NoRoom(_sentence("dollars taken from all customers", f"{ROOM // 10**9:,} dollars", taken // 10**9))


def check_costs(db: sqlite3.Connection, moved_nusd: int) -> None:
    """Refuse corrections that do not fit; `moved_nusd` is what they take out and put in, in absolute terms.

    Raises:
        NoRoom: so it is.
    """
    moved = _total(db, _BOOKED) + _total(db, "cost_corrected_nusd")
    if moved + moved_nusd > ROOM:
        raise NoRoom(
            _sentence("dollars of cost ever booked or corrected", f"{ROOM // 10**9:,} dollars", moved // 10**9)
        )


def check_reversal(db: sqlite3.Connection, credits_milli: int, revenue_nusd: int) -> None:
    """Refuse a reversal that does not fit: what is reversed adds up, however often the same credits come back.

    Raises:
        NoRoom: so it is.
    """
    milli, nusd = _total(db, "credits_reversed_milli"), _total(db, _REVERSED)
    if milli + credits_milli > ROOM or nusd + revenue_nusd > ROOM:
        raise NoRoom(_sentence("credits ever reversed", f"{ROOM // 1000:,} credits", milli // 1000))


def _balance(db: sqlite3.Connection, account: str, commodity: str) -> int:
    query = "SELECT balance FROM balances WHERE account = ? AND commodity = ?"
    row = db.execute(query, (account, commodity)).fetchone()
    return 0 if row is None else int(row[0])


def _total(db: sqlite3.Connection, column: str) -> int:
    return sum(amount for (amount,) in db.execute(f"SELECT {column} FROM rollup_totals"))  # noqa: S608 - our names


def _sentence(what: str, most: str, now: int) -> str:
    return f"that does not fit into the books: the {what} may add up to {most}, and are {now:,} already"
