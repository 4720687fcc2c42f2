"""`rebuild` makes the same ledger of the journals, says where the live one differs, and can put itself in its place."""

import sqlite3

import pytest

from margin.journal import JournalCorrupt
from margin.ledger import audit, rebuilding
from tests.margin.bookkeeping import BOUGHT, CREDIT, EXCHANGE, Worker, balance, grant, held, open_books, settled


@pytest.fixture
def folder(tmp_path):
    """A folder with closed books and one exchange in them."""
    found = open_books(tmp_path)
    for record in BOUGHT:
        found.record(record)
    worker = Worker(tmp_path).write(*EXCHANGE)
    found.fold_worker(worker.path)
    found.close()
    worker.close()
    return tmp_path


def charge_more(folder):
    """Make the ledger say that one account has more than it has."""
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        db.execute("UPDATE accounts SET balance = balance + 1000 WHERE name = 'credits.spent'")
    db.close()


def test_a_sound_ledger_is_made_again(folder):
    """Row for row; the new file is kept where it was asked for."""
    made = rebuilding.rebuild(folder, folder / "copy.sqlite")

    assert made.differences == ()
    assert made.transactions > 0
    assert not made.replaced
    assert (folder / "copy.sqlite").exists()


def test_open_books_are_compared_up_to_where_they_are(folder):
    """What is journalled and not folded yet is no difference; whoever keeps the folder goes on."""
    opened = open_books(folder)
    worker = Worker(folder, "worker-2").write(held("x2", 1000, plan="prepaid"), settled("x2", 1000))

    told = rebuilding.rebuild(folder, None)

    assert told.differences == ()
    opened.fold_worker(worker.path)
    opened.close()
    worker.close()


def test_a_changed_balance_is_named_and_stays_until_it_is_replaced(folder):
    """Comparing changes nothing; replacing brings back what the journals make."""
    charge_more(folder)

    told = rebuilding.rebuild(folder, None)
    still = rebuilding.replace(folder)

    assert [each.partition(":")[0] for each in told.differences] == ["accounts"]
    assert still.differences == told.differences
    assert still.replaced
    assert audit.audit(folder).violations == ()


@pytest.mark.parametrize("content", [None, b"", b"no ledger at all\n" * 100], ids=["none", "empty", "a text"])
def test_what_is_no_ledger_is_replaced(folder, content):
    """The journals are the record: the books open with the same balance, whatever lay there."""
    (folder / "ledger.sqlite").unlink()
    if content is not None:
        (folder / "ledger.sqlite").write_bytes(content)

    made = rebuilding.replace(folder)

    assert made.differences[0].startswith("the ledger cannot be read")
    opened = open_books(folder)
    assert balance(opened)["spent"] == 2000
    opened.close()


def test_what_a_crash_left_unfolded_is_in_the_replacement(folder):
    """A ledger that is behind its journals does not differ from them; its replacement goes to their end."""
    early = (folder / "ledger.sqlite").read_bytes()
    later = open_books(folder)
    later.record(grant("g2", 7 * CREDIT))
    later.close()
    (folder / "ledger.sqlite").write_bytes(early)

    made = rebuilding.replace(folder)

    assert made.differences == ()
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        assert db.execute("SELECT COUNT(*) FROM txns WHERE key = 'grant:g2'").fetchone() == (1,)
    db.close()


def test_journals_that_do_not_fold_replace_nothing(folder):
    """The live ledger is then all there is."""
    before = (folder / "ledger.sqlite").read_bytes()
    journal = folder / "journal" / "worker-1.journal"
    content = bytearray(journal.read_bytes())
    content[100] ^= 1
    journal.write_bytes(content)

    with pytest.raises(JournalCorrupt):
        rebuilding.replace(folder)

    assert (folder / "ledger.sqlite").read_bytes() == before
