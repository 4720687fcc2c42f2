"""A start on files that are not what they should be: one sentence, exit 2, and nothing changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.server import SANDBOX, Server
from tests.margin.bookkeeping import Worker, customer, held, open_books, sellbook, settled


def foreign_worker(data: Path) -> None:
    """Put a text where a worker's journal would be."""
    (data / "journal" / "worker-1.journal").write_text("notes of mine\n")


def foreign_keeper(data: Path) -> None:
    """Put a text where the keeper's journal would be."""
    (data / "journal" / "keeper-000001.journal").write_text("notes of mine\n")


def foreign_name(data: Path) -> None:
    """Put a file of a name like a journal's."""
    (data / "journal" / "keeper-notes.journal").write_text("notes of mine\n")


def foreign_ledger(data: Path) -> None:
    """Put a text where the ledger would be."""
    (data / "ledger.sqlite").write_text("notes of mine\n" * 100)


def no_folder(data: Path) -> None:
    """Put a file where the folder of journals would be."""
    (data / "journal").rmdir()
    (data / "journal").write_text("notes of mine\n")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (foreign_worker, "worker-1.journal"),
        (foreign_keeper, "keeper-000001.journal"),
        (foreign_name, "keeper-notes.journal"),
        (foreign_ledger, "ledger.sqlite"),
        (no_folder, "journal"),
    ],
    ids=["worker", "keeper", "name", "ledger", "folder"],
)
def test_foreign_files_end_a_start_with_a_sentence(tmp_path: Path, spoil: Callable[[Path], None], named: str):
    """Whatever lies there that is not ours is named, and left as it was."""
    data = tmp_path / "data"
    (data / "journal").mkdir(parents=True)
    spoil(data)
    (before,) = [path.read_bytes() for path in data.rglob("*") if path.is_file()]

    found = Server(data).shell("serve")

    assert found.code == 2
    assert found.out == ""
    assert len(found.err.strip().splitlines()) == 1
    assert named in found.err
    assert before in [path.read_bytes() for path in data.rglob("*") if path.is_file()]


def test_a_workers_journal_that_was_cut_ends_a_start_with_a_sentence(tmp_path: Path):
    """The ledger has folded more of it than there is."""
    data = tmp_path / "data"
    data.mkdir()
    books = open_books(data)
    books.record(sellbook())
    books.record(customer())
    worker = Worker(data).write(held("x1", 0), settled("x1", 0))
    books.fold_worker(worker.path)
    books.close()
    worker.close()
    worker.path.write_bytes(worker.path.read_bytes()[:100])

    found = Server(data).shell("serve")

    assert found.code == 2
    assert len(found.err.strip().splitlines()) == 1
    assert "worker-1.journal" in found.err


def test_a_folder_that_cannot_be_written_ends_a_start_with_a_sentence():
    """Read-only for whoever runs it, root too: the sentence names the folder."""
    found = Server(Path("/proc/penstock-test/data"), SANDBOX).shell("serve")

    assert found.code == 2
    assert len(found.err.strip().splitlines()) == 1
    assert "/proc/penstock-test/data" in found.err
