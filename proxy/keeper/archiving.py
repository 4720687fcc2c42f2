"""`penstock ledger archive`: closed periods leave the ledger. Only while nobody serves: it takes the folder's lock."""

from __future__ import annotations

import os
import time
from typing import Any

from margin import records
from margin.ledger import still
from margin.ledger.archive import archiving
from margin.ledger.archive.archiving import NotArchived
from margin.ledger.journals import journal_dir, worker_journals
from margin.ledger.refold import Progress
from margin.ledger.terms import Period
from proxy.keeper.control import account
from proxy.keeper.lock import Lock, dead_journals
from proxy.keeper.office import Office
from proxy.settings import Settings

ORPHANED_S = 6.0
"""Workers whose keeper died end within five seconds; until then they may write."""


def archive(settings: Settings, before: str, progress: Progress) -> dict[str, Any]:
    """Archive what was folded before a month; return what that was.

    Raises:
        LockHeld: a server or another command keeps the folder.
        NotArchived: there is nothing to archive, or it may not be.
        BlockingIOError: a backup is being made.
    """
    cut_t = _start_of(before)
    data_dir = settings.server.data_dir
    os.umask(0o077)  # for this account alone, as what is archived
    lock = Lock(data_dir)
    try:
        lock.acquire(0)
        Office(settings).close()  # brings to an end what an earlier one left
        with still.rearranged(data_dir):
            made = _prepared(settings, before, cut_t, progress)
            archiving.settle(data_dir)
        Office(settings).close()  # folds on to the record of it
    finally:
        lock.release()
    return {"before": before, "journals": made.journals, "transactions": made.transactions, "manifest": made.digest}


def _start_of(before: str) -> int:
    try:
        period = Period.named(before)
    except ValueError:
        raise NotArchived(f"{before} is no month; write it like 2026-11") from None
    if period.start_t > time.time_ns():
        raise NotArchived(f"{before} has not begun, so what is before it is not closed")
    return period.start_t


def _prepared(settings: Settings, before: str, cut_t: int, progress: Progress) -> archiving.Prepared:
    folder = journal_dir(settings.server.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    dead = dead_journals(folder, wait_s=ORPHANED_S)
    living = {path.name for path in worker_journals(folder)} - dead
    if living:
        raise NotArchived(f"a worker without a keeper still writes to {min(living)}")
    office = Office(settings)
    try:
        office.recover(dead)
        made = archiving.prepare(
            settings.server.data_dir, before, cut_t, keeps_decisions=settings.store.decisions_s is None,
            progress=progress,
        )  # fmt: skip
        office.acting = account(os.getuid())
        office.act(records.archived(t=time.time_ns(), before=before, manifest=made.digest))
    finally:
        office.close()
    return made
