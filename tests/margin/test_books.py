"""Wherever the process or the machine dies, the next opening finds the same history."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from margin.journal import JournalBroken
from margin.ledger import books, questions
from tests.margin.bookkeeping import (
    CREDIT,
    EXCHANGE,
    OPENING,
    Killed,
    Worker,
    balance,
    grant,
    held,
    kill,
    killed,
    line,
    open_books,
    settled,
    sound,
    void,
)

# ---- where the process can die ---------------------------------------------------------------------------------------


def give(found):
    """Journal, apply and store a grant."""
    found.record(grant("g2", 5000))
    found.commit()


def crashed(opened, tmp_path, act):
    """Act until killed, and open what is left."""
    with pytest.raises(Killed):
        act()
    return open_books(killed(opened.folder.parent, tmp_path / "after"))


def test_a_record_that_was_never_journalled_never_was(opened, tmp_path, monkeypatch):
    """Killed before the write: nothing was acknowledged, nothing is there."""
    monkeypatch.setattr(opened.journal, "append", kill)

    after = crashed(opened, tmp_path, lambda: opened.record(grant("g2", 5000)))

    assert balance(after)["available"] == 1000 * CREDIT
    assert sound(after) == []
    after.close()


@pytest.mark.parametrize("place", ["fold.apply", "journal.sync", "store.write"])
def test_a_record_that_was_journalled_is_kept(opened, tmp_path, monkeypatch, place):
    """Killed after the write, at whatever point before the ledger's commit: the next opening folds it, once."""
    owner = {"fold": books.fold, "journal": opened.journal, "store": opened.store}[place.split(".")[0]]
    with monkeypatch.context() as patch:
        patch.setattr(owner, place.split(".")[1], kill)

        with pytest.raises(Killed):
            give(opened)

    after = open_books(killed(opened.folder.parent, tmp_path / "after"))
    assert balance(after)["available"] == 1005 * CREDIT
    assert sound(after) == []
    after.close()


@pytest.mark.parametrize("table", ["entries", "charges", "rollup", "holds", "meta"])
def test_a_batch_is_stored_whole_or_not_at_all(opened, folder, tmp_path, table):
    """Killed in the middle of the ledger's transaction, the file is as before it, and the fold repeats it."""
    worker = Worker(folder).write(*EXCHANGE)
    event = "UPDATE" if table == "meta" else "INSERT"
    opened.store.db.execute(
        f"CREATE TEMP TRIGGER stop BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'killed'); END"
    )
    opened.fold_worker(worker.path)
    if table == "holds":
        worker.write(held("x2", 1000, plan="prepaid"))
        opened.fold_worker(worker.path)

    with pytest.raises(sqlite3.IntegrityError, match="killed"):
        opened.commit()

    after = open_books(killed(folder, tmp_path / "after"))
    assert after.store.db.execute("SELECT COUNT(*) FROM charges").fetchone() == (1,)
    assert sound(after) == []
    after.close()
    worker.close()


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("close", [settled("x1", 2000, line(700)), settled("x1", 3000), void("x1"), void("x1", line())])
def test_a_hold_is_put_aside_from_its_record_to_its_close_whoever_dies_between(opened, folder, tmp_path, close, stored):
    """The keeper is killed with the hold stored, or only journalled: it is held after, closes once, leaves a trace."""
    worker = Worker(folder).write(*EXCHANGE[:2])
    opened.fold_worker(worker.path)
    if stored:
        opened.commit()
        assert balance(opened) == {"available": 997 * CREDIT, "held": 3000, "spent": 0, "expired": 0}

    after = open_books(killed(folder, tmp_path / "after"))
    found = [(balance(after), sound(after))]
    for record in (close, close, EXCHANGE[0]):  # its close, its close again, and its beginning again
        worker.write(record)
    (after.folder / worker.path.name).write_bytes(worker.path.read_bytes())
    for _ in range(3):
        after.fold_worker(after.folder / worker.path.name, records_max=1)
        after.commit()

    spent = close.get("cr", 0)
    assert found == [({"available": 997 * CREDIT, "held": 3000, "spent": 0, "expired": 0}, [])]
    assert balance(after) == {"available": 1000 * CREDIT - spent, "held": 0, "spent": spent, "expired": 0}
    assert after.store.db.execute("SELECT COUNT(*) FROM holds").fetchone() == (0,)
    refused = [why for (why,) in after.store.db.execute("SELECT why FROM refused")]
    assert refused == [f"{'settled' if spent else 'voided'} without a hold", "held twice"]
    assert [each for each in sound(after) if "no effect" not in each] == []
    after.close()
    worker.close()


def test_what_open_holds_have_beyond_the_grants_is_overdrawn_while_they_are_open(opened, folder):
    """Of 1,000 credits 1,200 are held, and 100 of them are charged in the end: nothing is overdrawn any more."""
    worker = Worker(folder).write(held("x1", 1200 * CREDIT, plan="prepaid"))
    opened.fold_worker(worker.path)
    opened.commit()
    while_open = balance(opened), [questions.overdraft_milli(opened.store.db, who) for who in (1, None, 2)]
    worker.write(settled("x1", 100 * CREDIT))
    opened.fold_worker(worker.path)
    opened.commit()

    held_all = {"available": 0, "held": 1200 * CREDIT, "spent": 0, "expired": 0}
    assert while_open == (held_all, [200 * CREDIT, 200 * CREDIT, 0])
    assert balance(opened) == {"available": 900 * CREDIT, "held": 0, "spent": 100 * CREDIT, "expired": 0}
    assert [questions.overdraft_milli(opened.store.db, who) for who in (1, None)] == [0, 0]
    assert sound(opened) == []
    worker.close()


@pytest.mark.parametrize("place", ["sync_file", "journal.append"])
def test_a_range_that_was_not_journalled_is_folded_later(opened, folder, tmp_path, monkeypatch, place):
    """Killed before the *fold* record: the worker's records wait in its own journal, and enter once."""
    worker = Worker(folder).write(*EXCHANGE)
    with monkeypatch.context() as patch:
        owner = opened.journal if place == "journal.append" else books
        patch.setattr(owner, place.split(".")[-1], kill)
        with pytest.raises(Killed):
            opened.fold_worker(worker.path)

    after = open_books(killed(folder, tmp_path / "after"))
    assert balance(after) == {"available": 1000 * CREDIT, "held": 0, "spent": 0, "expired": 0}
    after.fold_worker(after.folder / worker.path.name)
    after.commit()
    assert balance(after) == {"available": 998 * CREDIT, "held": 0, "spent": 2000, "expired": 0}
    assert sound(after) == []
    after.close()
    worker.close()


def test_a_range_that_was_journalled_is_folded_at_the_next_opening(opened, folder, tmp_path):
    """Killed between the *fold* record and the commit: the opening folds the range, and no later fold repeats it."""
    worker = Worker(folder).write(*EXCHANGE)
    opened.fold_worker(worker.path)

    after = open_books(killed(folder, tmp_path / "after"))

    assert balance(after) == {"available": 998 * CREDIT, "held": 0, "spent": 2000, "expired": 0}
    assert after.fold_worker(after.folder / worker.path.name) == []
    assert sound(after) == []
    after.close()
    worker.close()


def test_a_torn_fold_record_pulls_nothing_in(opened, folder, tmp_path):
    """Half a *fold* record is no record: its range is folded anew, by the next keeper's own."""
    worker = Worker(folder).write(*EXCHANGE)
    opened.fold_worker(worker.path)
    copy = killed(folder, tmp_path / "after")
    torn = copy / "journal" / opened.journal.path.name
    torn.write_bytes(torn.read_bytes()[:-5])

    after = open_books(copy)

    assert balance(after)["spent"] == 0
    assert len(after.fold_worker(after.folder / worker.path.name)) == len(EXCHANGE)
    after.commit()
    assert balance(after)["spent"] == 2000
    assert sound(after) == []
    after.close()
    worker.close()


def test_killed_again_and_again_while_opening(opened, folder, tmp_path, monkeypatch):
    """Each opening begins a journal of its own; none of them counts anything twice."""
    worker = Worker(folder).write(*EXCHANGE)
    opened.fold_worker(worker.path)
    copy = killed(folder, tmp_path / "0")

    for number in range(1, 4):
        with monkeypatch.context() as patch:
            patch.setattr(books.Books, "commit", kill)
            with pytest.raises(Killed):
                open_books(copy)
        copy = killed(copy, tmp_path / str(number))

    after = open_books(copy)
    assert balance(after)["spent"] == 2000
    assert after.incarnation == 5
    assert sound(after) == []
    after.close()
    worker.close()


def test_a_batch_that_failed_is_stored_by_the_next_commit(opened, folder):
    """A full disk that has room again loses nothing, and accounts opened in the failed batch are opened again."""
    worker = Worker(folder).write(*EXCHANGE)
    opened.fold_worker(worker.path)
    opened.store.db.execute(
        "CREATE TEMP TRIGGER stop BEFORE INSERT ON rollup BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    )
    with pytest.raises(sqlite3.IntegrityError):
        opened.commit()
    opened.store.db.execute("DROP TRIGGER stop")

    opened.commit()

    assert balance(opened) == {"available": 998 * CREDIT, "held": 0, "spent": 2000, "expired": 0}
    assert sound(opened) == []
    worker.close()


def test_nothing_is_committed_that_the_disk_did_not_take(opened, monkeypatch):
    """After a failed sync the ledger stores nothing more, however often it is asked: the journal is the record."""

    def refuse(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    opened.record(grant("g2", 5000))
    with monkeypatch.context() as disk:
        disk.setattr(os, "fdatasync", refuse)
        with pytest.raises(JournalBroken):
            opened.commit()

    with pytest.raises(JournalBroken):
        opened.commit()
    assert balance(opened)["available"] == 1000 * CREDIT
    with pytest.raises(JournalBroken):
        opened.close()


# ---- where the machine can die ---------------------------------------------------------------------------------------


class Disk:
    """A disk that knows what was synced, and loses the rest of every journal when the power fails."""

    def __init__(self, monkeypatch):
        self._synced, self._real = {}, os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self._sync)

    def _sync(self, descriptor):
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        self._synced[path.name] = path.stat().st_size

    def power_fails(self, folder, into):
        """Return what is left; the ledger file may well be newer than the journals."""
        left = killed(folder, into)
        for path in (left / "journal").iterdir():
            os.truncate(path, self._synced.get(path.name, 0))
        return left


@pytest.fixture
def disk(monkeypatch):
    """A disk that can lose power."""
    return Disk(monkeypatch)


def test_what_was_committed_survives_the_machine(disk, folder, tmp_path):
    """A grant that was acknowledged and a worker's range that was folded are there when the power is back."""
    first = open_books(folder)
    for record in OPENING:
        first.record(record)
    worker = Worker(folder).write(*EXCHANGE)
    first.fold_worker(worker.path)
    first.commit()
    first.record(grant("g2", 5000))

    after = open_books(disk.power_fails(folder, tmp_path / "after"))

    assert balance(after) == {"available": 998 * CREDIT, "held": 0, "spent": 2000, "expired": 0}
    assert after.refolded_why is None
    assert sound(after) == []
    for each in (first, after):
        each.close()
    worker.close()


def test_what_a_killed_process_left_unsynced_survives_once_it_was_seen(disk, folder, tmp_path):
    """The next keeper folds it and shows it; when the power fails after that, it is not un-happened."""
    first = open_books(folder)
    for record in OPENING:
        first.record(record)
    copy = killed(folder, tmp_path / "restarted")
    second = open_books(copy)
    assert balance(second)["available"] == 1000 * CREDIT

    after = open_books(disk.power_fails(copy, tmp_path / "after"))

    assert balance(after)["available"] == 1000 * CREDIT
    assert sound(after) == []
    for each in (first, second, after):
        each.close()


def test_a_ledger_that_was_ahead_when_the_power_failed_is_folded_again(disk, folder, tmp_path, monkeypatch):
    """Were a commit ever faster than the journal's sync, the journals would still be the record."""
    first = open_books(folder)
    for record in OPENING:
        first.record(record)
    first.commit()
    with monkeypatch.context() as patch:
        patch.setattr(first.journal, "sync", lambda: None)
        first.record(grant("g2", 5000))
        first.commit()

    after = open_books(disk.power_fails(folder, tmp_path / "after"))

    assert after.refolded_why is not None
    assert balance(after)["available"] == 1000 * CREDIT
    assert sound(after) == []
    for each in (first, after):
        each.close()
