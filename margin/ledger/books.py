"""The books of one data folder: the keeper's journal, the workers' journals folded into it, and the ledger they make.

The keeper's journal is the order of everything. A *fold* record in it pulls a range of a worker's journal in; all its
other records stand for themselves. So the ledger is a fold of the keeper's journals, and `rebuild` proves it.

Only the process that holds the folder's lock may create `Books`.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from margin import journal, records
from margin.journal import Journal, JournalBroken, Position, has_room, sync_folder
from margin.ledger import ahead, exchanges, fold
from margin.ledger.archive import archiving, shelf
from margin.ledger.journals import check_origin, folder_id, journal_dir, keeper_journals
from margin.ledger.postings import Effects
from margin.ledger.refold import LedgerAheadError, catch_up, check_lengths, sync_file
from margin.ledger.store import Claim, LedgerBusy, LedgerOutdated, Reached, Store

BATCH_RECORDS_MAX = 2_000
"""Records folded in one database transaction: some 30 ms, so that a lease request never waits longer behind a batch."""

PROBE_S = 1
"""How often a full disk is asked whether it has room again."""


class Books:
    """The one writer of a data folder's ledger."""

    def __init__(self, data_dir: Path, *, version: str) -> None:
        self.data_dir = data_dir
        self.folder = journal_dir(data_dir)
        self.folder.mkdir(parents=True, exist_ok=True)
        sync_folder(data_dir)
        self._version = version
        self.ledger_path = data_dir / "ledger.sqlite"
        self.effects = Effects()
        self.refolded_why: str | None = None
        """Why this opening folded all journals anew; None if it did not."""
        self.set_aside: Path | None = None
        """Where the ledger is that knew more than the journals; None if it did not."""
        self.deferred_why: str | None = None
        """Why what is journalled and applied cannot be stored now; None while all of it is."""
        self._deferred_since_s: float = 0
        self._probe_s: float = 0
        self._open_ledger()
        known_id = folder_id(self.folder)
        self.folder_id = secrets.token_hex(8) if known_id is None else known_id
        known = keeper_journals(self.folder)
        self.incarnation = known[-1][0] + 1 if known else 1
        self.journal = self._open_journal()
        self._record_opened()
        self.commit()

    def _open_journal(self) -> Journal:
        return Journal(self.folder / f"keeper-{self.incarnation:06d}.journal")

    def _record_opened(self) -> None:
        self.record(records.opened(t=time.time_ns(), role="keeper", version=self._version, folder=self.folder_id))

    def _open_ledger(self) -> None:
        archiving.settle(self.data_dir)
        try:
            self._fold_on()
        except LedgerOutdated as error:
            self.refolded_why = str(error)
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.ledger_path}{suffix}").unlink(missing_ok=True)
            self._fold_on()
        except LedgerAheadError as error:
            # The machine died, or somebody cut a journal. The journals are the record; what they lack is kept.
            self.refolded_why = str(error)
            self.set_aside = ahead.put(self.ledger_path)
            self._fold_on()

    def _fold_on(self) -> None:
        self.store = Store(self.ledger_path, archived=shelf.behind(self.data_dir))
        try:
            check_lengths(self.folder, self.store, shelf.archived(self.data_dir))
            self.state = catch_up(self.folder, self.store)
        except BaseException:  # whatever it was, the file must not stay open behind whoever folds anew
            self.store.close()
            raise

    def record(self, record: dict[str, Any]) -> None:
        """Journal a record of the keeper's own and apply it. `commit` stores it.

        Raises:
            LedgerBusy: the disk took no record, and nothing happened.
        """
        self._append(record)
        fold.apply(self.state, record, self.effects, journal=self.journal.path.name)

    def _append(self, record: dict[str, Any]) -> None:
        self._mend()
        try:
            self.journal.append(record)
        except JournalBroken as error:
            self._defer(str(error))
            raise LedgerBusy(str(error)) from error

    def _mend(self) -> None:
        """In place of a journal that took no further record, open a new one: all that is in the old is applied.

        Raises:
            LedgerBusy: the disk still has no room.
            JournalBroken: a sync failed. Only a new opening of the books can tell what is on the disk.
        """
        old = self.journal
        if not old.is_broken or old.is_doubtful:
            return
        if not self._has_room():
            self._defer(f"{old.path.name} is closed after a disk error")
            raise LedgerBusy(str(self.deferred_why))
        sync_file(old.path)
        self.incarnation += 1
        self.journal = self._open_journal()
        self.state.put_journal(old.path.name, Position(old.offset, old.chain))
        old.close()
        self._record_opened()

    def _has_room(self) -> bool:
        if time.monotonic() < self._probe_s:
            return False
        self._probe_s = time.monotonic() + PROBE_S
        return has_room(self.folder)

    def _defer(self, why: str) -> None:
        if self.deferred_why is None:
            self._deferred_since_s = time.monotonic()
        self.deferred_why = why

    def fold_worker(self, path: Path, *, records_max: int = BATCH_RECORDS_MAX) -> list[dict[str, Any]]:
        """Fold what a worker's journal has beyond what is folded, up to `records_max`; return those records.

        None while a commit is deferred, so that what waits in memory stays bounded.

        Raises:
            JournalForeign: it was written in another data folder.
        """
        if self.deferred_why is not None:
            return []
        start = self.state.journals.get(path.name, Position())
        if path.stat().st_size <= start.offset:
            return []
        batch = journal.read_batch(path, start, records_max=records_max)
        if not batch.records:
            return []
        if start == Position():
            check_origin(path, batch.records[0], self.folder_id)
        sync_file(path)
        end = batch.after.offset
        self._append(records.fold(t=time.time_ns(), journal=path.name, start=start.offset, end=end))
        self.store.look_up([key for record in batch.records if (key := exchanges.trace(record)) is not None])
        name, state, effects = path.name, self.state, self.effects
        for record in batch.records:
            fold.apply(state, record, effects, journal=name)
        self.state.put_journal(name, batch.after)
        return batch.records

    def commit(self) -> None:
        """Store everything applied so far in one transaction, after the journal that explains it is on disk.

        While the ledger's file is locked or the disk full, the commit is deferred: what it was to store is journalled
        and stays applied, `deferred_why` says why, and any later commit stores all of it.
        """
        try:
            self._mend()
        except LedgerBusy:
            return
        self.journal.sync()
        reached = Reached(self.incarnation, self.journal.offset, self.journal.chain)
        self.state.put_journal(self.journal.path.name, Position(self.journal.offset, self.journal.chain))
        try:
            self.store.write(self.state, self.effects, reached)
        except LedgerBusy as error:
            self._defer(str(error))
            return
        self.effects, self.deferred_why = Effects(), None

    @property
    def deferred_s(self) -> float:
        """How long the oldest commit that is deferred has waited; 0 when none is."""
        return 0 if self.deferred_why is None else time.monotonic() - self._deferred_since_s

    def claims(self, customer: int, key: str, since_t: int) -> list[Claim]:
        """Return who holds an idempotency key, what is applied and not stored yet included."""
        found = {each.x: each for each in self.store.claims(customer, key, since_t)}
        for number, digest, request, x, _ in self.effects.claims:
            if (number, digest) == (customer, key):
                found[x] = Claim(x, request, is_answered=False)
        for (x,) in self.effects.claims_answered:
            if x in found:
                found[x] = replace(found[x], is_answered=True)
        for (x,) in self.effects.claims_free:
            found.pop(x, None)
        return list(found.values())

    def has_claim(self, x: str) -> bool:
        """Tell whether an exchange's claim is known here."""
        return any(each[3] == x for each in self.effects.claims) or self.store.has_claim(x)

    def close(self) -> None:
        """Commit and close. What a broken disk did not let us commit, the next opening folds from the journals."""
        try:
            self.commit()
        finally:
            self.store.close()
            self.journal.close()
