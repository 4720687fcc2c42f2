"""What a customer may know of its own use: credits, requests by day and model. Nothing here says what anything cost us.

Answered from balances and sums that are kept anyway, as far as the ledger is folded: no tick, no fold, no entry is
read, so that asking often costs the keeper little.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from margin.ledger import questions
from proxy.keeper.budgets import Budgets
from proxy.keeper.office import Office
from proxy.keeper.words import in_credits


def usage_of(
    office: Office, number: int, days: int, key: str | None = None, member: str | None = None
) -> dict[str, Any]:
    """Return a customer's credits, its requests of the last days, today included, in UTC, and what budgets are spent.

    Args:
        office: Whose books.
        number: The customer.
        days: How many days.
        key: The key that asks, whose own budgets are told too.
        member: The digest of a member whose budgets are, too.
    """
    db = office.books.store.db
    return {
        "credits": credits_of(office, number), "rows": questions.usage_by_day(db, number, _days(days)),
        "budgets": Budgets(office).of_customer(number, key, member),
    }  # fmt: skip


def credits_of(office: Office, number: int) -> dict[str, int | float]:
    """Return a customer's credits, less those that ended and whose end no tick has booked yet."""
    db = office.books.store.db
    found = questions.credit_balance(db, number)
    ended = office.books.state.ended_milli(number, time.time_ns())
    found |= {"available": found["available"] - ended, "expired": found["expired"] + ended}
    found["overdraft"] = questions.overdraft_milli(db, number)
    return {name: in_credits(milli) for name, milli in found.items()}


def _days(count: int) -> list[str]:
    today = datetime.now(UTC).date()
    return [(today - timedelta(days=back)).isoformat() for back in range(count)]
