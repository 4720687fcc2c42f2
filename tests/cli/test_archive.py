"""`penstock ledger archive`: its exit codes, its words, and that a folder in use is left alone."""

import json

import pytest

from margin.ledger import still
from margin.ledger.books import Books
from proxy.keeper.directory import Directory
from proxy.keeper.lock import Lock
from tests.margin.bookkeeping import Worker, at, customer, held, sellbook, settled

OCTOBER = at("2026-10-10")


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """A data folder with an exchange in October."""
    folder = tmp_path / "data"
    folder.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("time.time_ns", lambda: OCTOBER)
        found = Books(folder, version="test")
        for record in (sellbook(t=OCTOBER), customer(t=OCTOBER)):
            found.record(record)
        worker = Worker(folder).write(held("x1", 0, t=OCTOBER), settled("x1", 0, t=OCTOBER))
        found.fold_worker(worker.path)
        found.close()
        worker.close()
        names = Directory(folder / "directory.sqlite")
        names.add(1, "acme")
        names.close()
    return folder


def test_a_closed_month_is_archived_once(ledger, data_dir):
    """The second time there is nothing; the books verify, the archive too, and the trail says who did it."""
    first = ledger("archive", "--before", "2026-11", "--json")
    again = ledger("archive", "--before", "2026-11")
    verified = ledger("verify", "--archived")
    changes = json.loads(ledger("changes", "--json").stdout)

    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["journals"] == 1
    assert not (data_dir / "journal" / "worker-1.journal").exists()
    assert again.exit_code == 2
    assert "nothing was journalled before 2026-11" in again.stderr
    assert verified.exit_code == 0, verified.output
    assert [each["by"].split()[0] for each in changes if each["kind"] == "archived"] == ["uid"]


def test_words_that_are_no_closed_month_exit_2(ledger):
    """A text, and a month to come."""
    for before, why in (
        ("November", "is no month"),
        ("2026-11-01", "is no month"),
        ("2026-9", "is no month"),
        ("2999-01", "has not begun"),
    ):
        found = ledger("archive", "--before", before)

        assert found.exit_code == 2
        assert why in found.stderr


def test_a_folder_in_use_is_not_archived(ledger, data_dir):
    """It says why, and exits with 3."""
    lock = Lock(data_dir)
    lock.acquire(0)

    found = ledger("archive", "--before", "2026-11")

    lock.release()
    assert found.exit_code == 3
    assert "keeps this data folder" in found.stderr
    assert not (data_dir / "archive").exists()


def test_a_folder_that_is_copied_is_not_archived(ledger, data_dir):
    """A backup would lack the journals that are packed away; nothing was changed."""
    with still.copied(data_dir):
        found = ledger("archive", "--before", "2026-11")

    assert found.exit_code == 2
    assert "a backup of it is being made" in found.stderr
    assert not (data_dir / "archive").exists()


def test_an_archive_that_was_altered_exits_1(ledger, data_dir):
    """The audit knows its digests."""
    ledger("archive", "--before", "2026-11")
    path = data_dir / "archive" / "before-2026-11" / "rows.sqlite"
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    found = ledger("verify")

    assert found.exit_code == 1
    assert "rows.sqlite is not what was archived" in found.stdout
