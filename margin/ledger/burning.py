"""What a charge was burnt from, part by part, as it is stored beside it: what it posts, and a reversal gives back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from margin.ledger.postings import CREDIT, USD, Leg, pair

Burnt = tuple[Any, ...]
"""(grant, credits, cash they carried); or, of credits that no grant covered, (None, credits, dollars charged for them,
price of one), with `OWED` behind it where they are owed instead of charged."""

OWED = "owed"


def revenue_nusd(burnt: Iterable[Any]) -> tuple[int, int]:
    """Return what a charge earned from grants, and from credits that none covered."""
    carried = usage = 0
    for part in burnt:
        if part[0] is None:
            usage += part[2]
        else:
            carried += part[2]
    return carried, usage


def owed_milli(burnt: Iterable[Any]) -> int:
    """Return how much of a charge was owed."""
    return sum(milli for _, milli, *rest in burnt if OWED in rest)


def legs(customer: int, burnt: Iterable[Burnt]) -> tuple[Leg, ...]:
    """Return what a charge posts: credits are spent, of the balance or overdrawn, and their worth is revenue."""
    covered = carried = uncovered = usage = 0
    for grant, milli, nusd, *_ in burnt:
        if grant is None:
            uncovered, usage = uncovered + milli, usage + nusd
        else:
            covered, carried = covered + milli, carried + nusd
    found = pair(customer, CREDIT, covered, to="credits.spent", from_="credits.balance")
    if uncovered:
        found += pair(customer, CREDIT, uncovered, to="credits.spent", from_="credits.overdraft")
    if carried:
        found += pair(customer, USD, carried, to="deferred.credits", from_="rev.credits")
    if usage:
        found += pair(customer, USD, usage, to="receivable", from_="rev.usage")
    return found
