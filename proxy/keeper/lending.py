"""Leases: which worker holds how many of a customer's credits.

What is free to lend is what the ledger says is available, minus what workers hold and have not yet journalled. Both
sides of that come from the same journals, so no credit is lent twice: a hold lowers the ledger's *available* and the
worker's *outstanding* by the same amount when it is folded. Time alone never ends a lease; a worker gives it back or
is dead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from margin.ledger.state import State


@dataclass(slots=True)
class _Account:
    """One worker's leases by customer, and its open holds by exchange, in milli-credits."""

    outstanding: dict[int, int] = field(default_factory=dict)
    holds: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, customer: int, milli: int) -> None:
        """Note that so much more of a customer's credits is out."""
        self.outstanding[customer] = self.outstanding.get(customer, 0) + milli


class Lending:
    """Outstanding credits by worker journal and customer, in milli-credits."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}
        self._gone: set[str] = set()

    def lend(self, worker: str, customer: int, milli: int) -> None:
        """Note a lease given. To a dead worker it is not: an answer that was on its way to it is lost with it."""
        if worker in self._gone:
            return
        self._accounts.setdefault(worker, _Account()).add(customer, milli)

    def give_back(self, worker: str, customer: int, milli: int) -> None:
        """Note a lease returned."""
        self.lend(worker, customer, -milli)

    def forget(self, worker: str) -> None:
        """Drop a dead worker's leases. Its journal must have been folded to the end."""
        self._gone.add(worker)
        self._accounts.pop(worker, None)

    def observe(self, worker: str, record: dict[str, Any], *, enforced: bool) -> None:
        """Follow one folded record of a worker: holds use its lease up, what they give back returns to it.

        Args:
            worker: The journal's name.
            record: What it wrote.
            enforced: Of a hold, whether its plan spends from leases. Plans that only count credits hold them without.
        """
        account = self._accounts.get(worker)
        if account is None:
            return
        kind = record["k"]
        if kind == "held" and enforced:
            account.add(record["c"], -record["cr"])
            account.holds[record["x"]] = (record["c"], record["cr"])
        elif kind == "repeated" and enforced:
            account.add(record["c"], -record["cr"])
        elif kind in {"settled", "void"} and record["x"] in account.holds:
            customer, milli = account.holds.pop(record["x"])
            account.add(customer, milli - record.get("cr", 0))

    def free_milli(self, state: State, customer: int, t: int) -> int:
        """Return what could be lent now. Negative while leased credits have expired and are not back yet."""
        lent = sum(account.outstanding.get(customer, 0) for account in self._accounts.values())
        return state.available_milli(customer, t) - lent

    def holders(self, customer: int, *, besides: str) -> list[str]:
        """Return the other workers that have a lease on a customer."""
        return [
            worker
            for worker, account in self._accounts.items()
            if worker != besides and account.outstanding.get(customer, 0) > 0
        ]
