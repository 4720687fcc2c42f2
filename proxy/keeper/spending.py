"""What is used and spent of limits, as the books have it."""

from __future__ import annotations

import time
from collections.abc import Callable

from margin.ledger import spending
from proxy.keeper.office import Office
from proxy.limits import periods
from proxy.limits.shares import Name
from proxy.limits.windows import MINUTE_NS

DAY_HOURS = 24
HOUR_NS = spending.HOUR_NS


class Ledgered:
    """`Spending` for the counter, read from the ledger. It answers for what was journalled up to the question."""

    def __init__(self, office: Office, now: Callable[[], int] = time.time_ns) -> None:
        self._office, self._now = office, now

    def spent_nusd(self, name: Name) -> int:
        """Return what is spent of a budget in the period that is now; 0 of other limits.

        Raises:
            LedgerBusy: the ledger cannot be written now.
        """
        if name.measure not in {"cost", "charge"}:
            return 0
        self._office.fold_all()
        return sum(self._by_hour(name, self._now()).values())

    def used(self, name: Name) -> list[tuple[int, int]]:
        """Return what was used of a rate that still counts as (count, in how long it is forgotten).

        By whole hours: of a minute's limit it is more than the minute saw, and never less.

        Raises:
            LedgerBusy: the ledger cannot be written now.
        """
        self._office.fold_all()
        now = self._now()
        field = 0 if name.measure == "requests" else 1
        if name.per == "minute":
            found = self._since(name, (now - MINUTE_NS) // HOUR_NS)
            return [(sums[field], MINUTE_NS) for sums in found.values() if sums[field]]
        found = self._since(name, now // HOUR_NS - DAY_HOURS)
        return [(sums[field], (hour + 1 + DAY_HOURS) * HOUR_NS - now) for hour, sums in found.items() if sums[field]]

    def resets_ns(self, name: Name, short: int = 1) -> int | None:
        """Return in how long `short` of what is spent no longer counts; None if that is never."""
        now, per = self._now(), _per(name)
        spent = self._by_hour(name, now) if per[0].isdigit() else {}
        frees_t = periods.frees_t(per, now, spent, short)
        return None if frees_t is None else frees_t - now

    def _by_hour(self, name: Name, now: int) -> dict[int, int]:
        found = self._since(name, periods.first_hour(_per(name), now))
        if name.measure == "cost":
            return {hour: sums.most_nusd for hour, sums in found.items()}
        return {hour: sums.charge_nusd for hour, sums in found.items()}

    def _since(self, name: Name, hour: int) -> dict[int, spending.Sums]:
        books = self._office.books
        return spending.since(books.store.db, books.effects.spent, name.kind, name.id, hour)


def _per(name: Name) -> str:
    return name.per.split(" ")[0]
