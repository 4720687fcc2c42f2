"""The trail: who changed what, and when. One row per deliberate change, beside the entries and as final as they are.

Kept by the fold from the keeper's own records, so it can be rebuilt like everything else. What time or traffic does
(fees, expiries, charges) is no change in this sense.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

import orjson

Record = dict[str, Any]

KINDS = frozenset({"sellbook", "customer", "moved", "key", "keys_imported", "key_changed", "key_revoked", "grant",
                   "reversed", "seats", "described", "delivered", "configured", "archived", "runaway",
                   "budgets_spent", "guarded", "alerted", "alert_sent", "task_opened", "task_closed",
                   "outcome", "task_cost"})  # fmt: skip
"""Kinds of records that somebody caused on purpose."""

_NOT_TOLD = frozenset({"k", "t", "by", "digest"})
"""Told elsewhere in a row, or nobody's business."""

KEEPER = "keeper"
"""Who acted when nobody asked: a start, a sandbox."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row. `by` is who asked: an account of this machine, a key, or the keeper of its own accord."""

    t: int
    kind: str
    by: str
    content: Record


def row(record: Record) -> tuple[int, str, str, str]:
    """Return the row of a record."""
    content = {name: value for name, value in record.items() if name not in _NOT_TOLD}
    if record["k"] == "keys_imported":
        content["keys"] = [each["id"] for each in record["keys"]]  # each is listed with its terms elsewhere
    return record["t"], record["k"], record.get("by", KEEPER), orjson.dumps(content).decode()


def archivings(db: sqlite3.Connection) -> dict[str, str]:
    """Return the digest of each archiving's manifest, by month."""
    rows = db.execute("SELECT content FROM trail WHERE kind = 'archived' ORDER BY id")
    contents = (orjson.loads(content) for (content,) in rows)
    return {each["before"]: each["manifest"] for each in contents}


def spent_budgets(db: sqlite3.Connection, since_t: int) -> dict[tuple[str, str, str], int]:
    """Return of which budgets it was told that they are spent, by kind, id and name, with the last one's first hour."""
    rows = db.execute("SELECT content FROM trail WHERE kind = 'budgets_spent' AND t >= ? ORDER BY id", (since_t,))
    told = (each for (content,) in rows for each in orjson.loads(content)["budgets"])
    return {(kind, id_, name): first for kind, id_, name, first in told}


def guarded(db: sqlite3.Connection) -> dict[int, tuple[int, list[str]]]:
    """Return where the margin guard stands with each customer, as (since when, the steps that hold)."""
    rows = db.execute("SELECT t, content FROM trail WHERE kind = 'guarded' ORDER BY id")
    told = [(t, orjson.loads(content)) for t, content in rows]
    found = {content["c"]: (t, content["steps"]) for t, content in told}
    return {customer: stands for customer, stands in found.items() if stands[1]}


def alerts(db: sqlite3.Connection, since_t: int) -> list[tuple[int, Record]]:
    """Return the alerts noted at or after a moment, as (when, what), oldest first."""
    rows = db.execute("SELECT t, content FROM trail WHERE kind = 'alerted' AND t >= ? ORDER BY id", (since_t,))
    return [(t, orjson.loads(content)) for t, content in rows]


def alerts_ended(db: sqlite3.Connection, since_t: int) -> set[str]:
    """Return the ids of alerts that were delivered, or given up, at or after a moment."""
    rows = db.execute("SELECT content FROM trail WHERE kind = 'alert_sent' AND t >= ?", (since_t,))
    return {orjson.loads(content)["id"] for (content,) in rows}


def changes(db: sqlite3.Connection, *, since_t: int = 0, count_max: int) -> list[Change]:
    """Return the last `count_max` changes at or after `since_t`, oldest first."""
    rows = db.execute(
        "SELECT t, kind, by, content FROM trail WHERE t >= ? ORDER BY id DESC LIMIT ?", (since_t, count_max)
    ).fetchall()
    return [Change(t, kind, by, orjson.loads(content)) for t, kind, by, content in reversed(rows)]
