"""Who spends far more per minute than it usually does: told once an hour, and by choice a key is paused each minute.

*Usual* is a customer's cost per minute of the hours in which it spent anything, day by day; later days count more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from fractions import Fraction

from margin import records
from margin.ledger import spending
from margin.ledger.spending import HOUR_NS, Sums
from margin.money import format_usd
from proxy.keeper import keyring
from proxy.keeper.office import NS, Office

log = logging.getLogger("penstock")

LOOK_S = 60.0
DAYS = 14
"""Days that *usual* is learnt from."""
NEWEST_PART = Fraction(3, 10)
"""What each later day weighs against all before it: after a week of another habit nine tenths are the new one."""
LATE_HOURS = 2
"""Hours before this one whose costs may still come in: the longest that an exchange runs, and more."""
TELL_NS = HOUR_NS


class Runaway:
    """Compares each minute's costs with the usual."""

    def __init__(self, office: Office, now: Callable[[], int] = time.time_ns) -> None:
        self._office, self._now = office, now
        self._from_hour = self._now() // HOUR_NS - LATE_HOURS
        self._looked_t = self._now()
        self._before = self._sums("customer", self._from_hour)
        self._keys_before = self._sums("key", self._from_hour)
        self._told: dict[str, int] = {}
        self.count = 0
        """How many were told of."""

    @property
    def is_due(self) -> bool:
        """Whether a minute has passed since the last look."""
        return self._now() - self._looked_t >= LOOK_S * NS

    def look(self) -> None:
        """Compare what was spent since the last look."""
        now, terms = self._now(), self._office.settings.limits.runaway
        passed_ns = now - self._looked_t
        sums = self._sums("customer", self._from_hour)
        if terms is not None and passed_ns > 0:
            for id_, used in sums.items():
                spent = used.cost_nusd - self._before.get(id_, Sums()).cost_nusd
                per_minute = spent * 60 * NS // passed_ns
                if per_minute >= terms.floor_nusd and self._is_unusual(id_, per_minute, Fraction(terms.factor)):
                    self._tell(id_, per_minute, now, pause=terms.action == "pause")
        self._looked_t, self._from_hour = now, now // HOUR_NS - LATE_HOURS
        self._before, self._keys_before = self._sums("customer", self._from_hour), self._sums("key", self._from_hour)

    def _sums(self, kind: str, hour: int) -> dict[str, Sums]:
        return dict(spending.subjects(self._office.books.store.db, kind, hour))

    def _is_unusual(self, id_: str, per_minute: int, factor: Fraction) -> bool:
        return per_minute > factor * self.usual_nusd(id_)

    def usual_nusd(self, id_: str) -> Fraction:
        """Return what a customer usually costs per minute while it costs anything; 0 of one without a past."""
        until = self._now() // HOUR_NS - LATE_HOURS
        hours = spending.since(self._office.books.store.db, {}, "customer", id_, until - DAYS * 24)
        days: dict[int, list[int]] = {}
        for hour, used in hours.items():
            if hour < until and used.cost_nusd:
                days.setdefault(hour // 24, []).append(used.cost_nusd)
        usual: Fraction | None = None
        for _, costs in sorted(days.items()):
            of_day = Fraction(sum(costs), 60 * len(costs))
            usual = of_day if usual is None else usual + (of_day - usual) * NEWEST_PART
        return Fraction(0) if usual is None else usual

    def _tell(self, id_: str, per_minute: int, now: int, *, pause: bool) -> None:
        """Pause the dearest key that still runs, each time; tell of it, and else once an hour."""
        key = self._dearest_key(int(id_)) if pause else None
        if key is None and now - self._told.get(id_, -TELL_NS) < TELL_NS:
            return
        if now - self._told.get(id_, -TELL_NS) >= TELL_NS:
            self._told[id_] = now
            self.count += 1
        usual = round(self.usual_nusd(id_))
        log.error(
            "customer %s costs %s a minute, usually %s; paused key: %s",
            id_,
            format_usd(per_minute),
            format_usd(usual),
            key,
        )
        self._office.act(records.runaway(t=now, customer=int(id_), cost_nusd=per_minute, usual_nusd=usual, paused=key))
        if key is not None:
            keyring.change(self._office, keyring.live(self._office, key), {"paused": True})

    def _dearest_key(self, customer: int) -> str | None:
        """Return the customer's live key, not paused yet, that cost most since the last look; None when none did."""
        spent = {
            id_: used.cost_nusd - self._keys_before.get(id_, Sums()).cost_nusd
            for id_, used in self._sums("key", self._from_hour).items()
            if (key := self._office.books.state.keys.get(id_)) is not None
            and key.customer == customer
            and key.revoked_t is None
            and not key.terms.get("paused")
        }
        dearest = max(spent, key=lambda id_: spent[id_], default=None)
        return dearest if dearest is not None and spent[dearest] > 0 else None
