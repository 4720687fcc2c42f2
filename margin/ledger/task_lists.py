"""Tasks as an operator asks for them: the newest first, of all customers or of one."""

from __future__ import annotations

import sqlite3
from typing import Final

from margin.ledger.tasks import Task

STATUSES: Final = ("open", "pending", "all")
"""Not closed yet; closed, and its outcome awaited; whatever they are."""
_WHICH = {"open": "closed_t IS NULL", "pending": "closed_t IS NOT NULL AND outcome = 'pending'", "all": "1"}


def listed(
    db: sqlite3.Connection, *, customer: int | None = None, status: str = "all", after: Task | None = None, limit: int
) -> list[Task]:
    """Return tasks, those opened last first; `after` is the last one of the page before."""
    wanted = [_WHICH[status]]
    values: list[object] = []
    if customer is not None:
        wanted, values = [*wanted, "customer = ?"], [*values, customer]
    if after is not None:
        wanted, values = [*wanted, "(opened_t, id) < (?, ?)"], [*values, after.opened_t, after.id]
    rows = db.execute(
        f"SELECT * FROM tasks WHERE {' AND '.join(wanted)} ORDER BY opened_t DESC, id DESC LIMIT ?",  # noqa: S608 - ours
        (*values, limit),
    )
    return [Task(*row) for row in rows]
