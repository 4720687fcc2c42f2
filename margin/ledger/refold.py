"""Folds what journals say into a ledger's file: from its beginning, from where it was, or from behind an archiving.

Whoever opens the books does it, and whoever proves them: the same records in the same order make the same rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

from margin import journal
from margin.journal import JournalCorrupt, Position
from margin.ledger import fold
from margin.ledger.archive import shelf
from margin.ledger.archive.behind import Behind
from margin.ledger.journals import check_origin, folder_id, journal_dir, keeper_journals
from margin.ledger.postings import Effects
from margin.ledger.state import State
from margin.ledger.store import Reached, Store

Progress = Callable[[str, int], None]
"""Called with what is being done and how many rows or records are done."""

CATCH_UP_RECORDS = 20_000
"""Records that opening folds in one database transaction: some tens of megabytes of memory, and a crash repeats less
than a second's work."""


def silent(_what: str, _count: int) -> None:
    """Tell nobody how far it is."""


class LedgerAheadError(Exception):
    """The ledger has folded bytes that the journals no longer have."""


def sync_file(path: Path) -> None:
    """Put a journal on the disk: only what is there is folded, so no power loss leaves a ledger that knows more."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def catch_up(folder: Path, store: Store, until: Reached | None = None, progress: Progress = silent) -> State:
    """Fold what the journals have beyond what `store` reached, in the keeper's order and by batches; return the state.

    It ends at `until`; without it, with the last record.
    """
    state, effects, folded, total = store.state(), Effects(), 0, 0
    reached, own = store.reached(), folder_id(folder)
    for incarnation, path in _unfinished(folder, reached):
        if until is not None and incarnation > until.incarnation:
            break
        # An earlier process may have died before it synced this.
        sync_file(path)
        start = Position(reached.offset, reached.chain) if incarnation == reached.incarnation else Position()
        end_offset = None if until is None or incarnation < until.incarnation else until.offset
        for line in journal.read(path, start, end_offset=end_offset):
            if line.record["k"] == "opened":
                check_origin(path, line.record, own)
            folded += _apply(state, line.record, effects, path, own)
            reached = Reached(incarnation, line.after.offset, line.after.chain)
            state.put_journal(path.name, line.after)
            if folded >= CATCH_UP_RECORDS:
                store.write(state, effects, reached)
                total += folded
                progress("folding the journals", total)
                effects, folded = Effects(), 0
    store.write(state, effects, reached)
    return state


def check_lengths(folder: Path, store: Store, archived: Container[str]) -> None:
    """Refuse journals that do not have any more what `store` has folded of them. Those in the archive need not be here.

    Raises:
        LedgerAheadError: the keeper's journal that was folded last does not.
        JournalCorrupt: another does not: a worker's was on the disk before anything of it was folded, so it was cut.
    """
    _unfinished(folder, store.reached())
    for name, end in store.db.execute("SELECT name, folded_bytes FROM journals ORDER BY name"):
        path = folder / name
        if not path.exists():
            if end and name not in archived:
                raise JournalCorrupt(path, 0, f"it is missing, and was folded up to byte {end}")
        elif path.stat().st_size < end:
            raise JournalCorrupt(path, path.stat().st_size, f"it ends here, and was folded up to byte {end}")


def _unfinished(folder: Path, reached: Reached) -> list[tuple[int, Path]]:
    """Return the keeper's journals from the one that was reached on.

    Raises:
        LedgerAheadError: it is not there, or ends before what was reached.
    """
    known = dict(keeper_journals(folder))
    if reached.incarnation:
        last = known.get(reached.incarnation)
        size = None if last is None else last.stat().st_size
        if size is None or size < reached.offset:
            found = "is missing" if size is None else f"has {size:,} bytes"
            raise LedgerAheadError(f"keeper-{reached.incarnation:06d}.journal {found}; {reached.offset:,} were folded")
    return [(incarnation, path) for incarnation, path in known.items() if incarnation >= reached.incarnation]


def _apply(state: State, record: dict[str, Any], effects: Effects, keeper: Path, own: str | None) -> int:
    """Apply a record of a keeper's journal, or those that its *fold* pulls in; return how many.

    `own` is our folder's id.
    """
    if record["k"] != "fold":
        fold.apply(state, record, effects, journal=keeper.name)
        return 1
    path = keeper.with_name(record["j"])
    start = end = state.journals.get(record["j"], Position())
    if start.offset != record["from"]:
        raise JournalCorrupt(path, start.offset, f"the keeper folded on from byte {record['from']}")
    if not path.exists() or path.stat().st_size < record["to"]:
        # It was on disk when the keeper wrote that it folds it: folding less would be another history.
        raise JournalCorrupt(path, start.offset, f"the keeper folded it up to byte {record['to']}, which is missing")
    count = 0
    for line in journal.read(path, start, end_offset=record["to"]):
        if line.record["k"] == "opened":
            check_origin(path, line.record, own)
        fold.apply(state, line.record, effects, journal=path.name)
        end, count = line.after, count + 1
    if end.offset != record["to"]:
        raise JournalCorrupt(path, end.offset, f"no record ends at byte {record['to']}, up to which the keeper folded")
    state.put_journal(path.name, end)
    return count


def rebuild(data_dir: Path, into: Path | None, *, until: Reached | None = None, progress: Progress = silent) -> Store:
    """Fold all journals of a folder, or up to `until`, into a fresh ledger file. The caller compares and closes it.

    It begins behind the folder's archive, if there is one. `into` None is a temporary file.
    """
    return refold(journal_dir(data_dir), into, shelf.behind(data_dir), until=until, progress=progress)


def refold(
    folder: Path, into: Path | None, behind: Behind | None, *, until: Reached | None = None, progress: Progress = silent
) -> Store:
    """Fold a folder's journals into a fresh ledger file that begins behind an archiving, or with the first record."""
    store = Store(into, archived=behind)
    try:
        catch_up(folder, store, until, progress)
    except BaseException:  # whatever it was, nobody else has this file to close it
        store.close()
        raise
    return store
