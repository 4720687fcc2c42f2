"""What a margin report says beside the books: overheads, shared out, payment fees, and the margin after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from margin.ledger import breakdowns
from margin.ledger.questions import MarginRow
from margin.ledger.terms import Period
from proxy.keeper.office import NS, Office
from proxy.keeper.words import share_of


@dataclass(frozen=True, slots=True)
class Besides:
    """Nano-dollars by customer; `nobodys_nusd` are overheads of months in which nobody had any of their key."""

    overheads: Mapping[int, int] = field(default_factory=dict)
    fees: Mapping[int, int] = field(default_factory=dict)
    nobodys_nusd: int = 0

    def of(self, row: MarginRow) -> dict[str, Any]:
        """Return what a row of a report has more; that without a customer is the sum of all."""
        is_sum, key = row.customer is None, row.customer or 0
        overhead = sum(self.overheads.values()) if is_sum else self.overheads.get(key, 0)
        fees = sum(self.fees.values()) if is_sum else self.fees.get(key, 0)
        nobodys = self.nobodys_nusd if is_sum else 0
        gross = row.margin_nusd - overhead - fees
        return {
            "overhead_nusd": overhead, "overhead_of_nobody_nusd": nobodys, "payment_fees_nusd": fees,
            "gross_margin_nusd": gross, "gross_margin": share_of(gross, row.revenue_nusd),
        }  # fmt: skip


def asked(office: Office, since_day: str, now_t: int) -> Besides:
    """Return what a report from a day on has beside the books."""
    db, costs = office.books.store.db, office.settings.other_costs
    begin_day = since_day or breakdowns.first_day(db)
    if costs.is_nothing or begin_day is None:
        return Besides()
    uses = breakdowns.use_by_month(db, begin_day)
    begin_t = int(datetime.fromisoformat(begin_day).replace(tzinfo=UTC).timestamp()) * NS
    overheads, nobodys = costs.overheads_nusd(uses, _passed(begin_t, now_t))
    return Besides(overheads, costs.fees_nusd(uses), nobodys)


def _passed(begin_t: int, now_t: int) -> dict[str, Fraction]:
    """Return the months between two moments, with how much of each lies between them."""
    found, t = dict[str, Fraction](), begin_t
    while t < now_t:
        period = Period.of(t)
        until = min(period.end_t, now_t)
        found[period.name] = Fraction(until - t, period.end_t - period.start_t)
        t = until
    return found
