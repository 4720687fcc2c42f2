"""The books of one data folder: the keeper's journal, the workers' journals folded into it, and the ledger they make.

The keeper's journal is the order of everything. A *fold* record in it pulls a range of a worker's journal in; all its
other records stand for themselves. So the ledger is a fold of the keeper's journals, and `rebuild` proves it.

Only the process that holds the folder's lock may create `Books`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from margin import journal, records
from margin.journal import Journal, JournalCorrupt, Position
from margin.ledger import fold
from margin.ledger.postings import Effects
from margin.ledger.state import State
from margin.ledger.store import Reached, Store

BATCH_RECORDS_MAX = 2_000
"""Records folded in one database transaction: some 30 ms, so that a lease request never waits longer behind a batch."""


def journal_dir(data_dir: Path) -> Path:
    """Return where a data folder keeps its journals."""
    return data_dir / "journal"


def keeper_journals(folder: Path) -> list[tuple[int, Path]]:
    """Return the keeper's journals as (incarnation, path), oldest first."""
    found = [(int(path.stem.removeprefix("keeper-")), path) for path in folder.glob("keeper-*.journal")]
    return sorted(found)


def worker_journals(folder: Path) -> list[Path]:
    """Return the workers' journals, by name."""
    return sorted(folder.glob("worker-*.journal"))


class Books:
    """The one writer of a data folder's ledger."""

    def __init__(self, data_dir: Path, *, version: str) -> None:
        self.folder = journal_dir(data_dir)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ledger_path = data_dir / "ledger.sqlite"
        self.effects = Effects()
        self.refolded_why: str | None = None
        self._open_ledger()
        known = keeper_journals(self.folder)
        self.incarnation = known[-1][0] + 1 if known else 1
        self.journal = Journal(self.folder / f"keeper-{self.incarnation:06d}.journal")
        self.record(records.opened(t=time.time_ns(), role="keeper", version=version))
        self.commit()

    def _open_ledger(self) -> None:
        self.store = Store(self.ledger_path)
        try:
            self.state = _catch_up(self.folder, self.store)
        except LedgerAheadError as error:
            # The machine died and took journal bytes with it that the ledger had folded: the journals are the record.
            self.refolded_why = str(error)
            self.store.close()
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.ledger_path}{suffix}").unlink(missing_ok=True)
            self.store = Store(self.ledger_path)
            self.state = _catch_up(self.folder, self.store)

    def record(self, record: dict[str, Any]) -> None:
        """Journal a record of the keeper's own and apply it. `commit` stores it."""
        self.journal.append(record)
        fold.apply(self.state, record, self.effects, journal=self.journal.path.name)

    def fold_worker(self, path: Path, *, records_max: int = BATCH_RECORDS_MAX) -> list[dict[str, Any]]:
        """Fold what a worker's journal has beyond what is folded, up to `records_max`; return those records."""
        start = self.state.journals.get(path.name, Position())
        if path.stat().st_size <= start.offset:
            return []
        lines = []
        for line in journal.read(path, start):
            lines.append(line)
            if len(lines) == records_max:
                break
        if not lines:
            return []
        end = lines[-1].after
        _sync_file(path)
        self.journal.append(records.fold(t=time.time_ns(), journal=path.name, start=start.offset, end=end.offset))
        for line in lines:
            fold.apply(self.state, line.record, self.effects, journal=path.name)
        self.state.put_journal(path.name, end)
        return [line.record for line in lines]

    def commit(self) -> None:
        """Store everything applied so far in one transaction, after the journal that explains it is on disk."""
        self.journal.sync()
        reached = Reached(self.incarnation, self.journal.offset, self.journal.chain)
        self.store.write(self.state, self.effects, reached)
        self.effects = Effects()

    def close(self) -> None:
        """Commit and close."""
        self.commit()
        self.journal.close()
        self.store.close()


class LedgerAheadError(Exception):
    """The ledger has folded bytes that the journals no longer have."""


def _sync_file(path: Path) -> None:
    # Only what is on disk is folded, so the ledger never knows more than the journals after a power loss.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _catch_up(folder: Path, store: Store) -> State:
    """Fold what the keeper's journals have beyond what `store` reached; store it; return the state."""
    state, reached, effects = store.state(), store.reached(), Effects()
    for incarnation, path in keeper_journals(folder):
        if incarnation < reached.incarnation:
            continue
        start = Position()
        if incarnation == reached.incarnation:
            start = Position(reached.offset, reached.chain)
            if path.stat().st_size < reached.offset:
                raise LedgerAheadError(f"{path.name} is shorter than what was folded of it")
        end = start
        for line in journal.read(path, start):
            _apply(state, line.record, effects, folder, path.name)
            end = line.after
        reached = Reached(incarnation, end.offset, end.chain)
    store.write(state, effects, reached)
    return state


def _apply(state: State, record: dict[str, Any], effects: Effects, folder: Path, name: str) -> None:
    if record["k"] != "fold":
        fold.apply(state, record, effects, journal=name)
        return
    path = folder / record["j"]
    start = state.journals.get(record["j"], Position())
    if start.offset != record["from"]:
        raise JournalCorrupt(path, start.offset, f"fold order says {record['from']}")
    end = start
    for line in journal.read(path, start, end_offset=record["to"]):
        fold.apply(state, line.record, effects, journal=path.name)
        end = line.after
    if end.offset != record["to"]:
        raise LedgerAheadError(f"{path.name} ends before byte {record['to']}")
    state.put_journal(path.name, end)


def rebuild(data_dir: Path, into: Path) -> Store:
    """Fold all journals of a folder into a fresh ledger file. The caller compares and closes it."""
    store = Store(into)
    _catch_up(journal_dir(data_dir), store)
    return store


def verify_journals(data_dir: Path) -> Iterator[str]:
    """Read every journal from its first byte; yield what is wrong with each, in words. A torn tail is not wrong."""
    folder = journal_dir(data_dir)
    for path in [path for _, path in keeper_journals(folder)] + worker_journals(folder):
        try:
            for _ in journal.read(path, Position()):
                pass
        except JournalCorrupt as error:
            yield f"journal {error}"
