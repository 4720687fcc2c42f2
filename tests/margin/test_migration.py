"""A data folder of an earlier release opens, says the same, verifies and goes on; one of a later release is refused."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from margin.ledger import audit, questions
from margin.ledger.archive import archiving, dividing, shelf
from margin.ledger.store import FORMAT, LedgerFormat, Store
from tests.margin.bookkeeping import CREDIT, T0, USD, balance, held, open_books, settled, sound
from tests.margin.bookkeeping import Worker as Paper

RELEASED = Path(__file__).with_name("files") / "v0_1_0"
ARCHIVED = RELEASED.with_name("archive_format_14")


@pytest.fixture
def folder(tmp_path):
    """A copy of the folder that 0.1.0 left."""
    return Path(shutil.copytree(RELEASED, tmp_path / "data"))


def test_a_folder_of_0_1_0_reports_the_same_and_verifies(folder):
    """Margins and credits are those that 0.1.0 reported, and every invariant of today holds."""
    released = sqlite3.connect(RELEASED / "ledger.sqlite")
    of = "SELECT name, balance FROM accounts WHERE customer = ? AND commodity = 'CREDIT'"
    before = {who: dict(released.execute(of, (who,)).fetchall()) for who in (1, 2, 3)}
    released.close()

    found = open_books(folder)

    after = {who: balance(found, who) for who in (1, 2, 3)}
    rows = {row.customer: row for row in questions.margin_by_customer(found.store.db)}
    assert "format 2" in found.refolded_why
    assert after == {
        who: {name: was.get(f"credits.{name}", 0) for name in ("available", "held", "spent", "expired")}
        for who, was in before.items()
    }  # fmt: skip
    assert {who: (row.requests, row.cost_nusd) for who, row in rows.items()} == {
        1: (2, 300 + 700 + 40 + 9000), 2: (1, 0), 3: (1, 50_000)}  # fmt: skip
    assert rows[3].revenue_nusd == 13_266_666_667  # two of November's thirty days of 199 dollars, less nothing
    found.close()
    assert audit.audit(folder).violations == ("hold of x5 is older than its deadline",)


def test_a_folder_of_0_1_0_serves_on(folder):
    """What 0.1.0 journalled and did not fold is folded, and today's exchanges follow it."""
    found = open_books(folder)
    found.fold_worker(folder / "journal" / "worker-1.journal")
    found.commit()
    spent = balance(found)["spent"]
    paper = Paper(folder, "worker-2").write(held("x8", CREDIT, plan="prepaid", t=T0), settled("x8", CREDIT))

    found.fold_worker(paper.path)
    found.commit()

    assert spent == 3000 + 1500
    assert balance(found)["spent"] == spent + CREDIT
    assert sound(found) == []
    found.close()
    paper.close()


def test_an_archive_of_format_14_is_read_and_proved(tmp_path):
    """Sums, balances and old charges are what they were; its checkpoint is of today's format, and can be made again."""
    folder = Path(shutil.copytree(ARCHIVED, tmp_path / "data"))

    found = open_books(folder)

    db = found.store.db
    rows = {row.customer: (row.requests, row.cost_nusd, row.revenue_nusd) for row in questions.margin_by_customer(db)}
    assert rows == {
        1: (5, 4 * (300 + 700) + 500, 9 * CREDIT * 150 * USD // (1000 * CREDIT)),
        2: (1, 40 + 1000, 400_000_000),
        3: (0, 0, 2 * 199 * USD),
    }
    assert [questions.charge(db, f"x{n}")["credits_milli"] for n in (1, 3, 4, 5, 6, 7)] == [2000] * 2 + [1000] + [
        2000
    ] * 3
    assert balance(found)["spent"] == 9 * CREDIT
    found.close()
    assert audit.audit(folder).violations == ()
    assert dividing.format_of(shelf.newest(folder).path / "checkpoint.sqlite") == FORMAT
    assert list(archiving.differences(folder)) == []


def test_a_later_format_is_refused_with_a_sentence(folder):
    """Nothing is thrown away that this version does not understand."""
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'format'", (str(FORMAT + 1),))
    db.close()

    with pytest.raises(LedgerFormat, match=f"has format {FORMAT + 1}; this version reads format {FORMAT}"):
        open_books(folder)


@pytest.mark.parametrize("content", [b"", b"no ledger at all\n" * 100], ids=["empty", "a text"])
def test_a_file_that_is_no_ledger_is_refused_with_a_sentence(tmp_path, content):
    """Verifying makes no ledger of it."""
    (tmp_path / "ledger.sqlite").write_bytes(content)

    with pytest.raises(LedgerFormat, match="is not a ledger"):
        Store(tmp_path / "ledger.sqlite", read_only=True)
    assert (tmp_path / "ledger.sqlite").read_bytes() == content
