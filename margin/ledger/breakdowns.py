"""What reports ask the rollup for: credits by plan and charge tier, and what each customer had by month."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from margin.ledger import rollups
from margin.overheads import MonthUse


class CreditRow(NamedTuple):
    """What requests of one plan and charge tier were charged in credits, cost us, and earned, since a day.

    Costs include those of attempts that failed and of calls beside the requests; what is unknown is in none.
    """

    plan: str
    charge_tier: str
    requests: int
    credits_milli: int
    cost_nusd: int
    revenue_nusd: int


def credits_by_tier(db: sqlite3.Connection, since_day: str) -> list[CreditRow]:
    """Return one row for each plan and charge tier with credits or costs; what was reversed is taken off."""
    earned = " + ".join(f"revenue_{kind}_nusd - revenue_{kind}_reversed_nusd" for kind in ("credits", "usage"))
    rows = db.execute(
        f"""SELECT plan, charge_tier, SUM(requests), SUM(credits_milli - credits_reversed_milli), SUM({rollups.COST}),
                SUM({earned})
            FROM rollup WHERE day >= ? AND charge_tier <> '' GROUP BY plan, charge_tier
            ORDER BY plan, charge_tier""",  # noqa: S608 - our names
        (since_day,),
    )
    return [CreditRow(*row) for row in rows]


def use_by_month(db: sqlite3.Connection, since_day: str) -> list[MonthUse]:
    """Return what each customer had in each month from a day on."""
    rows = db.execute(
        f"""SELECT customer, substr(day, 1, 7), SUM(requests), SUM(input + cache_read + cache_write + output),
                SUM({rollups.REVENUE})
            FROM rollup WHERE day >= ? GROUP BY 1, 2 ORDER BY 2, 1""",  # noqa: S608 - our names
        (since_day,),
    )
    return [MonthUse(*row) for row in rows]


def first_day(db: sqlite3.Connection) -> str | None:
    """Return the first day that anything was booked on; None: nothing was."""
    found: str | None = db.execute("SELECT MIN(day) FROM rollup").fetchone()[0]
    return found
