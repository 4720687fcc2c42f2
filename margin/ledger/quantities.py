"""What was counted by month, as the ledger has it: what the fold goes on from, and what statements are made of."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from margin.ledger.state import MeteredKey, Quantity


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


def revenue_by_plan(db: sqlite3.Connection, customer: int, period: str) -> list[tuple[str, dict[str, int]]]:
    """Return what a customer's month was recognised from, by plan and kind, less what was taken back."""
    signed = {
        "subscription": "revenue_fee_nusd", "seats": "revenue_seats_nusd", "shortfall": "revenue_shortfall_nusd",
        "metered": "revenue_metered_nusd - revenue_metered_reversed_nusd",
        "credits": "revenue_credits_nusd - revenue_credits_reversed_nusd",
        "overage": "revenue_usage_nusd - revenue_usage_reversed_nusd", "breakage": "revenue_breakage_nusd",
    }  # fmt: skip
    summed = ", ".join(f"SUM({sums})" for sums in signed.values())
    rows = db.execute(
        f"""SELECT plan, {summed} FROM rollup WHERE customer = ? AND day >= ? AND day <= ?
            GROUP BY plan ORDER BY plan""",  # noqa: S608 - our names
        (customer, f"{period}-01", f"{period}-31"),
    )
    return [(plan, dict(zip(signed, sums, strict=True))) for plan, *sums in rows]
