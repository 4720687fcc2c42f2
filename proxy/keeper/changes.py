"""What a command may ask about changes: who made them, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from margin.ledger import questions, trail
from margin.ledger.grants import NEVER_T
from proxy.keeper.office import NS, Office
from proxy.keeper.refusing import Args
from proxy.keeper.words import day, iso

CHANGES_MAX = 10_000
"""Changes listed at most: a few megabytes of JSON. Whoever needs older ones reads the table `trail`."""


def ledger_changes(office: Office, args: Args) -> Any:
    """List who changed what, oldest first: the last `CHANGES_MAX` from a day on."""
    with questions.snapshot(office.books.store.db) as db:
        found = trail.changes(db, since_t=_begin_t(day(args.get("since"))), count_max=CHANGES_MAX)
    return [_change(office, each) for each in found]


def _begin_t(since_day: str) -> int:
    if not since_day:
        return 0
    begin = datetime.fromisoformat(since_day).replace(tzinfo=UTC)
    return min(int(begin.timestamp()) * NS, NEVER_T)  # no later than any moment the books can write


def _change(office: Office, change: trail.Change) -> dict[str, Any]:
    content = dict(change.content)
    if "c" in content:
        content["customer"] = office.directory.name(content.pop("c"))
    return {"at": iso(change.t), "by": change.by, "kind": change.kind, "content": content}
