"""The journal keeps what it was given, and notices whatever happens to it on the disk."""

import errno
import fcntl
import os
import threading
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margin import journal
from margin.journal import Journal, JournalBroken, JournalCorrupt, Position

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), JSON, max_size=5), max_size=8)
THREE = [{"k": "held", "x": "ex_1", "cr": 3000}, {"k": "mark", "x": "ex_1"}, {"k": "void", "x": "ex_1", "a": []}]


def written(path, records):
    """Write records into a fresh file and return its bytes."""
    path.unlink(missing_ok=True)
    book = Journal(path)
    for record in records:
        book.append(record)
    book.close()
    return path.read_bytes()


def read(path, start=Position()):  # noqa: B008 - frozen
    """Read a file's records."""
    return [line.record for line in journal.read(path, start)]


@given(RECORDS)
@settings(max_examples=150, deadline=None)
def test_what_was_appended_is_read_back(tmp_path_factory, records):
    """Any JSON objects come back equal and in order, and every position read is a place to go on from."""
    path = tmp_path_factory.mktemp("round") / "a.journal"

    written(path, records)

    lines = list(journal.read(path, Position()))
    assert [line.record for line in lines] == records
    for number, each in enumerate(lines, start=1):
        assert read(path, each.after) == records[number:]


def test_a_torn_last_record_is_cut_at_every_byte(tmp_path):
    """However few bytes of the last record reached the disk, the records before it are read and it is not."""
    path = tmp_path / "a.journal"
    whole = written(path, THREE)
    start_of_last = len(written(path, THREE[:2]))

    for size in range(start_of_last, len(whole)):
        path.write_bytes(whole[:size])

        assert read(path) == THREE[:2]


def test_every_flipped_bit_is_noticed(tmp_path):
    """No single bit of whole records can flip without the reader refusing, the last line's end included."""
    path = tmp_path / "a.journal"
    whole = written(path, THREE)

    for place in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)

        with pytest.raises(JournalCorrupt):
            read(path)


@pytest.mark.parametrize(
    "order",
    [(1, 0, 2), (0, 2, 1), (1, 2), (0, 2), (0, 0, 1, 2), (0, 1, 1, 2), (0, 1, 2, 2), (2,)],
    ids=str,
)
def test_lines_cannot_be_swapped_dropped_or_doubled(tmp_path, order):
    """Each line is whole by itself, but the chain does not lead through any other order."""
    path = tmp_path / "a.journal"
    lines = written(path, THREE).splitlines(keepends=True)

    path.write_bytes(b"".join(lines[each] for each in order))

    with pytest.raises(JournalCorrupt, match="chain"):
        read(path)


def test_a_line_of_another_journal_does_not_fit(tmp_path):
    """Records cannot be carried from one file into another, even at the same place."""
    path = tmp_path / "a.journal"
    other = written(tmp_path / "b.journal", [{"k": "tick"}, *THREE[1:]]).splitlines(keepends=True)
    lines = written(path, THREE).splitlines(keepends=True)

    path.write_bytes(lines[0] + other[1] + lines[2])

    with pytest.raises(JournalCorrupt):
        read(path)


def test_an_edited_record_needs_more_than_a_new_checksum(tmp_path):
    """Whoever edits a record and recomputes its checksum still breaks the chain."""
    path = tmp_path / "a.journal"
    first = written(path, THREE).splitlines(keepends=True)[0]
    rest = first[9:].replace(b"3000", b"1000")

    path.write_bytes(b"%08x " % zlib.crc32(rest) + rest)

    with pytest.raises(JournalCorrupt, match="chain"):
        read(path)


def test_reading_stops_at_the_end_that_was_asked_for(tmp_path):
    """A range ends where it was said to end, though the file goes on."""
    path = tmp_path / "a.journal"
    written(path, THREE)
    second = list(journal.read(path, Position()))[1].after

    found = journal.read(path, Position(), end_offset=second.offset)

    assert [line.record for line in found] == THREE[:2]


def refusing(code):
    """Return a system call that fails."""

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    return refuse


def short(fd, line, real=os.write):
    """Write all but the last three bytes, as a disk that fills up does."""
    return real(fd, line[:-3])


@pytest.mark.parametrize("write", [refusing(errno.ENOSPC), refusing(errno.EIO), short], ids=["full", "io", "short"])
def test_a_write_that_fails_closes_the_journal_for_good(tmp_path, monkeypatch, write):
    """After a failed or short write nothing is accepted or called durable, also when the disk has room again."""
    path = tmp_path / "a.journal"
    book = Journal(path)
    book.append(THREE[0])
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", write)
        with pytest.raises(JournalBroken):
            book.append(THREE[1])

    assert book.is_broken
    with pytest.raises(JournalBroken):
        book.append(THREE[2])
    with pytest.raises(JournalBroken):
        book.sync()
    book.close()
    assert read(path) == THREE[:1]


def test_a_sync_that_fails_closes_the_journal_for_good(tmp_path, monkeypatch):
    """A second sync must not report success: the first may have thrown the pages away."""
    book = Journal(tmp_path / "a.journal")
    book.append(THREE[0])
    with monkeypatch.context() as disk:
        disk.setattr(os, "fdatasync", refusing(errno.EIO))
        with pytest.raises(JournalBroken, match="cannot sync"):
            book.sync()

    with pytest.raises(JournalBroken):
        book.sync()
    with pytest.raises(JournalBroken):
        book.append(THREE[1])
    book.close()


def test_a_failed_sync_at_the_end_still_closes_the_file(tmp_path, monkeypatch):
    """Closing reports that the disk failed, and lets go of the file all the same."""
    book = Journal(tmp_path / "a.journal")
    book.append(THREE[0])
    with monkeypatch.context() as disk:
        disk.setattr(os, "fdatasync", refusing(errno.EIO))
        with pytest.raises(JournalBroken):
            book.close()

    book.close()
    with book.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_a_sync_with_nothing_new_does_not_touch_the_disk(tmp_path, monkeypatch):
    """The timer costs nothing while nothing happens."""
    book = Journal(tmp_path / "a.journal")
    book.append(THREE[0])
    book.sync()
    monkeypatch.setattr(os, "fdatasync", refusing(errno.EIO))

    book.sync()
    book.close()


def test_who_asks_while_a_sync_runs_waits_for_it(tmp_path, monkeypatch):
    """A second thread is not told that its record is durable while the first still syncs it."""
    book = Journal(tmp_path / "a.journal")
    book.append(THREE[0])
    running, may_end, order = threading.Event(), threading.Event(), []

    def slow(_):
        running.set()
        assert may_end.wait(10)
        order.append("synced")

    monkeypatch.setattr(os, "fdatasync", slow)
    first = threading.Thread(target=book.sync)
    second = threading.Thread(target=lambda: (book.sync(), order.append("second told")))
    first.start()
    assert running.wait(10)
    second.start()
    second.join(0.05)
    assert second.is_alive()
    may_end.set()
    first.join(10)
    second.join(10)

    assert order == ["synced", "second told"]
    book.close()


def test_a_new_file_is_made_known_to_its_folder(tmp_path, monkeypatch):
    """A journal that was synced must still be found after the machine died: its folder is synced, too."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))

    Journal(tmp_path / "a.journal").close()

    assert synced == [str(tmp_path)]


def test_a_file_is_never_opened_twice_for_writing(tmp_path):
    """A journal belongs to one incarnation: whoever comes second is refused, also after the first has ended."""
    book = Journal(tmp_path / "a.journal")
    with pytest.raises(FileExistsError):
        Journal(book.path)
    book.close()

    with pytest.raises(FileExistsError):
        Journal(book.path)


def test_the_lock_is_held_as_long_as_the_writer_lives(tmp_path):
    """That is how a new keeper tells a dead writer from a slow one."""
    book = Journal(tmp_path / "a.journal")
    with book.path.open("rb") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)

        book.close()

        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_a_closed_journal_takes_nothing(tmp_path):
    """Appending after the end is an error, never a silent loss."""
    book = Journal(tmp_path / "a.journal")
    book.close()

    with pytest.raises(JournalBroken):
        book.append(THREE[0])
