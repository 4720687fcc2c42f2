"""The keeper's journal on a disk that is full for a while: what was written stands, a new file goes on."""

import errno
import os
from collections.abc import Callable

import pytest

from margin.journal import JournalBroken
from margin.ledger import books, journals
from margin.ledger.store import LedgerBusy
from tests.margin.bookkeeping import CREDIT, balance, grant, open_books, sound


class Disk:
    """A disk as `os.write` and `os.fdatasync` show it: with room for so many bytes more."""

    def __init__(self) -> None:
        self.left: int | None = None
        self._write: Callable[[int, bytes], int] = os.write

    def write(self, fd: int, data: bytes) -> int:
        """Write what fits."""
        if self.left is None:
            return self._write(fd, data)
        fits = data[: self.left]
        self.left -= len(fits)
        if not fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._write(fd, fits)


@pytest.fixture
def disk(monkeypatch):
    """Put a disk of ours under every write."""
    found = Disk()
    monkeypatch.setattr(os, "write", found.write)
    monkeypatch.setattr(books, "PROBE_S", 0)
    return found


@pytest.mark.parametrize("left", [0, 40], ids=["nothing fits", "half a record fits"])
def test_after_a_full_disk_a_new_journal_goes_on(opened, disk, left):
    """What no longer fitted never happened; with room again the same command does, and the books rebuild."""
    before = balance(opened)["available"]
    opened.record(grant("g8", 3 * CREDIT))
    disk.left = left
    for _ in range(2):
        with pytest.raises(LedgerBusy):
            opened.record(grant("g9", 5 * CREDIT))
        opened.commit()
        assert opened.deferred_why is not None

    disk.left = None
    opened.record(grant("g9", 5 * CREDIT))
    opened.commit()

    assert opened.deferred_why is None
    assert [number for number, _ in journals.keeper_journals(opened.folder)] == [1, 2]
    assert balance(opened)["available"] == before + 8 * CREDIT
    assert sound(opened) == []


def test_books_that_met_a_full_disk_open_again(opened, disk, folder):
    """The torn record in the old file is passed over, and the new file follows."""
    before = balance(opened)["available"]
    disk.left = 40
    with pytest.raises(LedgerBusy):
        opened.record(grant("g8", 3 * CREDIT))
    disk.left = None
    opened.record(grant("g8", 3 * CREDIT))
    opened.close()
    opened.ledger_path.unlink()

    again = open_books(folder)

    assert balance(again)["available"] == before + 3 * CREDIT
    assert sound(again) == []
    again.close()


def test_after_a_failed_sync_no_new_journal_is_opened(opened, monkeypatch):
    """What was to be durable may be gone: only who opens the books anew can tell."""

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        opened.record(grant("g8", 3 * CREDIT))
        with pytest.raises(JournalBroken):
            opened.commit()

    with pytest.raises(JournalBroken):
        opened.commit()
    assert [number for number, _ in journals.keeper_journals(opened.folder)] == [1]
