"""A backup of books in use opens, verifies and says the same; a failed one leaves nothing behind."""

import fcntl
import os
import sqlite3

import pytest

from margin.ledger import audit, backup, rebuilding, still
from margin.ledger.backup import journal_dir
from tests.margin.bookkeeping import BOUGHT, EXCHANGE, Worker, balance, held, open_books, sellbook, settled


@pytest.fixture
def opened(tmp_path):
    """Books in use, one exchange folded, and a worker that has settled another meanwhile."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    found = open_books(data_dir)
    for record in BOUGHT:
        found.record(record)
    worker = Worker(data_dir).write(*EXCHANGE)
    found.fold_worker(worker.path)
    found.commit()
    worker.write(held("x2", 1000, plan="prepaid"), settled("x2", 1000))
    yield found
    found.close()
    worker.close()


def test_a_backup_of_open_books_verifies_and_says_the_same(opened, tmp_path):
    """Its balances are those of the moment, and what was journalled and not folded is folded later."""
    before = balance(opened)

    backup.backup(tmp_path / "data", tmp_path / "copy")

    assert audit.audit(tmp_path / "copy").violations == ()
    restored = open_books(tmp_path / "copy")
    assert restored.refolded_why is None
    assert balance(restored) == before
    restored.fold_worker(restored.folder / "worker-1.journal")
    restored.commit()
    assert balance(restored)["spent"] == 2000 + 1000
    restored.close()


def test_what_is_booked_while_the_copy_is_made_does_not_break_it(opened, tmp_path, monkeypatch):
    """The keeper folds on between the ledger's copy and the journals': the copy opens with it."""
    listed = backup.keeper_journals

    def fold_on(folder):
        opened.fold_worker(journal_dir(tmp_path / "data") / "worker-1.journal")
        opened.commit()
        return listed(folder)

    monkeypatch.setattr(backup, "keeper_journals", fold_on)

    backup.backup(tmp_path / "data", tmp_path / "copy")

    restored = open_books(tmp_path / "copy")
    assert balance(restored) == balance(opened)
    assert balance(restored)["spent"] == 2000 + 1000
    restored.close()
    assert audit.audit(tmp_path / "copy").violations == ()


def test_a_folder_that_is_there_is_not_written_to(opened, tmp_path):
    """An older backup stays as it was."""
    (tmp_path / "copy").mkdir()

    with pytest.raises(FileExistsError):
        backup.backup(tmp_path / "data", tmp_path / "copy")

    assert list((tmp_path / "copy").iterdir()) == []


def test_a_backup_that_fails_leaves_nothing(opened, tmp_path):
    """Half of one would look like one."""
    with pytest.raises(sqlite3.Error):
        backup.backup(tmp_path / "data", tmp_path / "copy", databases=("missing.sqlite",))

    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_may_have_any_name(tmp_path):
    """What SQLite takes for a part of an address, too: it is read, proved and copied like another, into such a one."""
    data_dir = tmp_path / "50% #1?mode=x"
    data_dir.mkdir()
    found = open_books(data_dir)
    found.record(sellbook())
    found.commit()

    backup.backup(data_dir, tmp_path / "copy #2?%20")

    assert audit.audit(data_dir).violations == ()
    assert audit.audit(tmp_path / "copy #2?%20").violations == ()
    found.close()


def test_what_a_killed_backup_left_goes_with_the_next_and_what_another_writes_stays(opened, tmp_path):
    """Neither refuses the name for good. Whose lock is held lives."""
    dead, living = tmp_path / "copy.partial-dead", tmp_path / "copy.partial-living"
    for path in (dead, living):
        path.mkdir()
        (path / "ledger.sqlite").write_bytes(b"half")
    lock = os.open(living, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)

    backup.backup(tmp_path / "data", tmp_path / "copy")

    os.close(lock)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "copy.partial-living", "data"]


def test_a_backup_does_not_lie_in_what_it_copies(opened, tmp_path):
    """It would grow into itself, and be lost with it."""
    with pytest.raises(OSError, match="lies in the folder that is to be copied"):
        backup.backup(tmp_path / "data", tmp_path / "data" / "copy")


def test_a_folder_that_is_rearranged_is_not_copied_and_one_that_is_copied_not_rearranged(opened, tmp_path):
    """An archiving takes journals away that the ledger's copy, made before, does not know to be archived."""
    with still.rearranged(tmp_path / "data"), pytest.raises(BlockingIOError, match="is being archived"):
        backup.backup(tmp_path / "data", tmp_path / "copy")

    with still.copied(tmp_path / "data"):
        backup.backup(tmp_path / "data", tmp_path / "copy")  # two at once may
        with pytest.raises(BlockingIOError, match="a backup of it is being made"):
            rebuilding.replace(tmp_path / "data")


def test_a_copy_that_is_not_whole_is_not_kept(opened, tmp_path, monkeypatch):
    """Whatever took a journal away meanwhile: there is no backup, and it says why."""
    monkeypatch.setattr(backup, "worker_journals", lambda _: [])

    with pytest.raises(backup.NotWhole, match=r"worker-1\.journal at byte 0: it is missing"):
        backup.backup(tmp_path / "data", tmp_path / "copy")

    assert [path.name for path in tmp_path.iterdir()] == ["data"]
