"""Rebuild: the journals folded into a new ledger file and compared row for row with the live one, which it may replace.

The comparison reads one snapshot and disturbs nobody. Only who holds the folder's lock may replace the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from margin.journal import sync_folder
from margin.ledger import refold, still, twin
from margin.ledger.archive import shelf
from margin.ledger.journals import journal_dir
from margin.ledger.refold import Progress, silent
from margin.ledger.store import UNREADABLE, LedgerFormat, Reached, Store

NEW_NAME = "ledger-new.sqlite"
"""What a replacement is called while it is folded; one that a crash left is folded anew."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What the journals make, in transactions, and in what the live ledger differed from it, in words."""

    transactions: int
    differences: tuple[str, ...]
    replaced: bool


def rebuild(data_dir: Path, into: Path | None, progress: Progress = silent) -> Rebuilt:
    """Fold up to where the live ledger is and compare. `into` None is a temporary file.

    Raises:
        JournalCorrupt: the journals do not fold.
    """
    made, found = _compared(data_dir, into, progress)
    try:
        return Rebuilt(_transactions(made), found, replaced=False)
    finally:
        made.close()


def replace(data_dir: Path, progress: Progress = silent) -> Rebuilt:
    """Do so, fold on to the end, and put the new file in the old one's place. The caller holds the folder's lock.

    Raises:
        JournalCorrupt: the journals do not fold; the live ledger is as it was.
        BlockingIOError: a backup is being made; the live ledger is as it was.
    """
    new = data_dir / NEW_NAME
    _remove(new)
    made, found = _compared(data_dir, new, progress)
    try:
        refold.catch_up(journal_dir(data_dir), made, progress=progress)
        transactions = _transactions(made)
    finally:
        made.close()
    # A write-ahead log is of one file: left beside another, it would be played into it. Without any ledger an opening
    # folds the journals, so a crash in between costs time and nothing else.
    live = data_dir / "ledger.sqlite"
    with still.rearranged(data_dir):
        _remove(live)
        new.rename(live)
        sync_folder(data_dir)
    return Rebuilt(transactions, found, replaced=True)


def _compared(data_dir: Path, into: Path | None, progress: Progress) -> tuple[Store, tuple[str, ...]]:
    try:
        live = Store(data_dir / "ledger.sqlite", read_only=True, archived=shelf.behind(data_dir))
    except (LedgerFormat, *UNREADABLE) as error:
        return refold.rebuild(data_dir, into, progress=progress), (f"the ledger cannot be read: {error}",)
    try:
        made = refold.rebuild(data_dir, into, until=_reached(live), progress=progress)
        return made, _differences(live, made, progress)
    finally:
        live.close()


def _reached(live: Store) -> Reached | None:
    try:
        return live.reached()
    except UNREADABLE:
        return None


def _differences(live: Store, made: Store, progress: Progress) -> tuple[str, ...]:
    try:
        return (*twin.damage(live.db), *twin.compare(live.db, made.db, progress))
    except UNREADABLE as error:
        return (f"the ledger's file is damaged: {error}",)


def _transactions(store: Store) -> int:
    return int(store.db.execute("SELECT COUNT(*) FROM txns").fetchone()[0])


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
