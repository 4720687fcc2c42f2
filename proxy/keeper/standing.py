"""How customers stand this month, for metrics: asked of the ledger's file by a thread, no more often than it is cheap.

Of a hundred thousand customers it takes a second, in which the keeper's loop must answer workers.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from margin import economics
from margin.ledger import portfolio, questions, terms
from margin.ledger.questions import MarginRow
from margin.ledger.spending import HOUR_NS
from margin.ledger.store import UNREADABLE, connect
from margin.sellbook import SellBook
from proxy.keeper.office import Office
from proxy.keeper.reporting import MEMBER_DAYS, start_t
from proxy.telemetry.standing import NAMED_MAX, Named, Standing

log = logging.getLogger("penstock")

REST_PART = 100
"""Asking takes at most a hundredth of a core: what took a second is asked again after a hundred."""
EDGES = (("0_25", 25), ("25_50", 50), ("50_65", 65), ("65_80", 80))
"""Buckets of margin by the percentage that they end before."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the file says: a standing without names and targets, and the rows of those that may be named."""

    standing: Standing
    costliest: tuple[MarginRow, ...] = ()
    losing: tuple[MarginRow, ...] = ()
    costing: int = 0
    """How many customers cost something."""


class Standings:
    """The last standing; a scrape that finds it old has it asked anew, and does not wait."""

    def __init__(self, office: Office, ask: Callable[[Path], Asked] | None = None) -> None:
        self._office, self._ask = office, asked_of if ask is None else ask
        self._found, self._next_s = Asked(Standing()), 0.0
        self._asking: asyncio.Future[Asked] | None = None

    def __call__(self) -> Standing:
        """Return how customers stood when it was last asked: at most some seconds ago, or a hundred times as long."""
        path = self._office.books.store.path
        if self._asking is None and time.monotonic() >= self._next_s and path is not None:
            began = time.monotonic()
            self._asking = asyncio.get_running_loop().run_in_executor(None, self._ask, path)
            self._asking.add_done_callback(lambda done: self._take(done, began))
        return named(self._office, self._found)

    def _take(self, done: asyncio.Future[Asked], began: float) -> None:
        self._asking = None
        self._next_s = time.monotonic() + max(1.0, REST_PART * (time.monotonic() - began))
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            self._found = done.result()
        elif not isinstance(error, UNREADABLE):
            raise error
        else:
            log.warning("how customers stand cannot be read now: %s", error)


def asked_of(path: Path, t: int | None = None) -> Asked:
    """Ask a ledger's file how customers stand now, or as of a moment that nothing was booked after; in any thread."""
    db = connect(path, read_only=True)
    try:
        with questions.snapshot(db):
            return _asked(db, time.time_ns() if t is None else t)
    finally:
        db.close()


def _asked(db: Any, t: int) -> Asked:
    today = date.fromisoformat(terms.day(t))
    month = today.replace(day=1).isoformat()
    rows = questions.margin_by_customer(db, since_day=month)
    plan_of = portfolio.plans(db)
    total, served = sum(row.cost_nusd for row in rows), sum(row.requests > 0 for row in rows)
    power = [row for row in rows if economics.is_power_user(row.cost_nusd, total, served)]
    power_share = economics.share(sum(row.cost_nusd for row in power), total)
    _, top = economics.top_share([row.revenue_nusd for row in rows if row.revenue_nusd > 0])
    costly = sorted((row for row in rows if row.cost_nusd > 0), key=lambda row: -row.cost_nusd)
    active = Counter[str]()
    first = (today - timedelta(days=MEMBER_DAYS - 1)).isoformat()
    for number, count in portfolio.members(db, start_t(first) // HOUR_NS).items():
        active[plan_of[number]] += count
    found = Standing(
        margins=Counter((plan_of[row.customer or 0], bucket(row)) for row in rows),
        credits=_credits(db, t),
        segments={each.name: (each.sums.revenue_nusd, each.sums.cost_nusd)
                  for each in portfolio.margin_by(db, "segment", month)},
        members=active,
        power_users=len(power),
        power_cost_ratio=None if power_share is None else float(power_share),
        top_revenue_ratio=None if top is None else float(top),
    )  # fmt: skip
    losing = tuple(row for row in rows[:NAMED_MAX] if row.margin_nusd < 0)
    return Asked(found, tuple(costly[:NAMED_MAX]), losing, len(costly))


def bucket(row: MarginRow) -> str:
    """Return which bucket of margin a customer's month is in."""
    if row.margin_nusd < 0:
        return "loss"
    if row.revenue_nusd <= 0:
        return "na"
    return next((name for name, end in EDGES if 100 * row.margin_nusd < end * row.revenue_nusd), "80p")


def _credits(db: Any, t: int) -> Counter[str]:
    found = Counter[str]()
    for left, given in portfolio.credits_left(db, t):
        percent = 100 * left
        found["0" if left == 0 else "lt5" if percent < 5 * given else "lt20" if percent < 20 * given else "ok"] += 1
    return found


def named(office: Office, asked: Asked) -> Standing:
    """Return a standing with the targets of today's plans, and the names that the operator asked for."""
    return shown(asked, office.settings.sellbook, office.settings.server.metrics_customers, office.directory.name)


def shown(asked: Asked, book: SellBook, count: int, name_of: Callable[[int], str]) -> Standing:
    """Return a standing with the targets of a sell book's plans, and so many customers by name."""

    def called(rows: tuple[MarginRow, ...]) -> list[Named]:
        return [Named(name_of(row.customer or 0), row.cost_nusd, row.margin_nusd) for row in rows[:count]]

    return replace(
        asked.standing,
        targets={name: float(plan.aim) for name, plan in book.plans.items() if plan.aim is not None},
        costliest=called(asked.costliest), losing=called(asked.losing),
        not_named=asked.costing - min(count, len(asked.costliest)),
    )  # fmt: skip
