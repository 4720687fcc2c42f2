"""Leases: which worker holds how many of a customer's credits.

What is free to lend is what the ledger says is available, minus what workers hold and have not yet journalled. Both
sides of that come from the same journals, so no credit is lent twice: a hold lowers the ledger's *available* and the
worker's *outstanding* by the same amount when it is folded. Time alone never ends a lease; a worker gives it back or
is dead.
"""

from __future__ import annotations

from typing import Any

from margin.ledger.state import State


class Lending:
    """Outstanding credits by worker journal and customer, in milli-credits."""

    def __init__(self) -> None:
        self._outstanding: dict[str, dict[int, int]] = {}
        self._held: dict[str, tuple[int, int]] = {}

    def lend(self, worker: str, customer: int, milli: int) -> None:
        """Note a lease given."""
        owed = self._outstanding.setdefault(worker, {})
        owed[customer] = owed.get(customer, 0) + milli

    def give_back(self, worker: str, customer: int, milli: int) -> None:
        """Note a lease returned."""
        self.lend(worker, customer, -milli)

    def forget(self, worker: str) -> None:
        """Drop a dead worker's leases. Its journal must have been folded to the end."""
        self._outstanding.pop(worker, None)

    def observe(self, worker: str, record: dict[str, Any]) -> None:
        """Follow one folded record of a worker: holds use its lease up, what they give back returns to it."""
        owed = self._outstanding.get(worker)
        if owed is None:
            return
        kind, x = record["k"], record.get("x", "")
        if kind == "held" and record["c"] in owed:
            owed[record["c"]] -= record["cr"]
            self._held[x] = (record["c"], record["cr"])
        elif kind in {"settled", "void"}:
            customer, milli = self._held.pop(x, (0, 0))
            if customer in owed:
                owed[customer] += milli - record.get("cr", 0)

    def free_milli(self, state: State, customer: int, t: int) -> int:
        """Return what could be lent now."""
        lent = sum(owed.get(customer, 0) for owed in self._outstanding.values())
        return state.available_milli(customer, t) - lent

    def holders(self, customer: int, *, besides: str) -> list[str]:
        """Return the other workers that have a lease on a customer."""
        return [worker for worker, owed in self._outstanding.items() if worker != besides and owed.get(customer, 0) > 0]
