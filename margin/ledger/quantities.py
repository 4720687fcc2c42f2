"""What was counted by month, as the ledger has it: what the fold goes on from, and what statements are made of."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import orjson

from margin.ledger.state import MeteredKey, Quantity
from margin.tiering import Tiers


def read(db: sqlite3.Connection, key: MeteredKey) -> Quantity:
    """Return what was last stored of a meter; nothing where nothing was."""
    query = """SELECT quantity, nusd, is_closed FROM quantities
        WHERE customer = ? AND plan = ? AND meter = ? AND period = ?"""
    row = db.execute(query, key).fetchone()
    return Quantity() if row is None else Quantity(row[0], row[1], bool(row[2]))


def write(db: sqlite3.Connection, key: MeteredKey, quantity: Quantity) -> None:
    """Store what was counted of a meter."""
    db.execute("INSERT OR REPLACE INTO quantities VALUES (?, ?, ?, ?, ?, ?, ?)", (*key, *quantity))


class Counted(NamedTuple):
    """What a customer used of a meter in a month on a plan; `nusd` is all that was booked for it."""

    plan: str
    meter: str
    quantity: int
    nusd: int
    is_closed: bool


def counted(db: sqlite3.Connection, customer: int, period: str) -> list[Counted]:
    """Return what was counted of each meter in a month."""
    rows = db.execute(
        "SELECT plan, meter, quantity, nusd, is_closed FROM quantities WHERE customer = ? AND period = ? ORDER BY 1, 2",
        (customer, period),
    )
    return [Counted(*row)._replace(is_closed=bool(row[-1])) for row in rows]


class CountedTasks(NamedTuple):
    """How many tasks, or outcomes, of one name and price were charged in a month: also those taken back later."""

    plan: str
    name: str
    tiers: Tiers
    units: int


def counted_tasks(db: sqlite3.Connection, customer: int, period: str) -> list[CountedTasks]:
    """Return what a month's tasks were charged for; a name is like `outcome.resolution`, or `task.report`."""
    rows = db.execute(
        """SELECT plan, name, price, units + late_units FROM task_months
            WHERE customer = ? AND month = ? AND units + late_units > 0 ORDER BY 1, 2, 3""",
        (customer, period),
    )
    found = []
    for plan, name, price, units in rows:
        metric, _, its_own = name.partition(":")
        kind = "task" if metric == "workflow" else metric
        found.append(CountedTasks(plan, f"{kind}.{its_own}", Tiers.read(orjson.loads(price)), units))
    return found


def revenue_by_plan(db: sqlite3.Connection, customer: int, period: str) -> list[tuple[str, dict[str, int]]]:
    """Return what a customer's month was recognised from, by plan and kind, less what was taken back."""
    signed = {
        "subscription": "revenue_fee_nusd", "seats": "revenue_seats_nusd", "shortfall": "revenue_shortfall_nusd",
        "metered": "revenue_metered_nusd - revenue_metered_reversed_nusd",
        "credits": "revenue_credits_nusd - revenue_credits_reversed_nusd",
        "overage": "revenue_usage_nusd - revenue_usage_reversed_nusd", "breakage": "revenue_breakage_nusd",
        "tasks": "revenue_tasks_nusd - revenue_tasks_reversed_nusd",
    }  # fmt: skip
    summed = ", ".join(f"SUM({sums})" for sums in signed.values())
    rows = db.execute(
        f"""SELECT plan, {summed} FROM rollup WHERE customer = ? AND day >= ? AND day <= ?
            GROUP BY plan ORDER BY plan""",  # noqa: S608 - our names
        (customer, f"{period}-01", f"{period}-31"),
    )
    return [(plan, dict(zip(signed, sums, strict=True))) for plan, *sums in rows]
