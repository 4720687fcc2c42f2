"""A flipped bit in the ledger's file or in a journal is found, or no question has another answer."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from margin.ledger import audit, questions
from margin.ledger.postings import ROLLUP_SUMS
from margin.ledger.store import LedgerFormat
from tests.margin.bookkeeping import (
    CREDIT,
    USD,
    Worker,
    called,
    customer,
    grant,
    held,
    line,
    open_books,
    sellbook,
    settled,
    void,
)

METERED = {"cache": "bypass", "usage_source": "reported", "metered": {"input": "1.5", "output": "1.5"}}
"""Why a charge is what it is: a credit and a half for a thousand tokens, of which `line` has a hundred and twenty."""
FLIPS = 24
"""Sampled by default, of some million bits; the release size takes more."""
release = [pytest.mark.full, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Closed books with an exchange of each kind; nothing in them is left open."""
    folder = tmp_path_factory.mktemp("books")
    found = open_books(folder)
    for record in [sellbook(), customer(1, "prepaid"), customer(2, "overage"),
                   grant("g1", 1000 * CREDIT, paid=150 * USD), grant("g2", 9 * CREDIT, to=2)]:  # fmt: skip
        found.record(record)
    worker = Worker(folder).write(
        held("x1", 3000, plan="prepaid"), called("x1"), settled("x1", 2000, line(300, kind="failed"), line(700, n=2)),
        held("x2", 1000, plan="prepaid"), void("x2", line(40, kind="failed")),
        held("x3", 1000, of=2, plan="overage"), settled("x3", 1000, line(None)),
        held("x4", 1000, plan="prepaid") | {"met": 1}, settled("x4", 180, line(90)) | {"dec": METERED},
    )  # fmt: skip
    found.fold_worker(worker.path)
    found.close()
    worker.close()
    return folder


def answers(folder):
    """Return what every public question says, or that it cannot be asked."""
    db = sqlite3.connect(f"file:{folder / 'ledger.sqlite'}?mode=ro", uri=True)
    try:
        return [
            questions.margin_by_customer(db),
            [(questions.credit_balance(db, who), questions.grants(db, who)) for who in (1, 2)],
            questions.totals(db, ("plan", "model", "outcome"), tuple(ROLLUP_SUMS)),
            questions.credit_totals(db),
            [questions.charge(db, x) for x in ("x1", "x2", "x3")],
            list(questions.cost_lines(db)),
            [questions.overdraft_milli(db), questions.refused_records(db), questions.last_reconciled(db)],
        ]
    finally:
        db.close()


def is_found(folder):
    """Tell whether a proof says that something is wrong."""
    try:
        return not audit.audit(folder).ok
    except LedgerFormat:
        return True


@pytest.fixture
def spoilt(written, tmp_path):
    """Return a function that gives a copy of the folder in which one bit of one file is another."""
    copy = Path(shutil.copytree(written, tmp_path / "copy"))

    def flip(name, bit):
        content = bytearray((written / name).read_bytes())
        content[bit // 8] ^= 1 << bit % 8
        for path in copy.glob(f"{name}*"):  # with what SQLite laid beside the last one
            path.unlink()
        (copy / name).write_bytes(content)
        return copy

    return flip


def sample(bits, count):
    """Return some bits of a list, by a seed that a failure shows."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed).sample(bits, min(count, len(bits)))


def test_sound_books_are_proved(written):
    """What we wrote is what its journals make of it."""
    assert audit.audit(written).violations == ()


def written_bits(content):
    """Return the bits of bytes that are not zero: unused space is mostly zero."""
    return [bit for byte, value in enumerate(content) if value for bit in range(byte * 8, byte * 8 + 8)]


@pytest.mark.parametrize("count", [FLIPS, pytest.param(8_000, marks=release)])
def test_a_flipped_bit_in_the_ledger_is_found_or_changes_no_answer(written, spoilt, count):
    """Wherever it is in the file."""
    content = (written / "ledger.sqlite").read_bytes()
    before = answers(written)

    for bit in sample(written_bits(content), count):
        copy = spoilt("ledger.sqlite", bit)

        assert is_found(copy) or answers(copy) == before, bit


@pytest.mark.parametrize(
    ("text", "place"), [(b'["g1",2000,300000000]', 10), (b'"input":"1.5"', 10)], ids=["burnt", "metered"]
)
def test_a_stored_text_of_another_shape_is_found(written, spoilt, text, place):
    """A comma that became a point, or the other way round: still a text, and none that can be reckoned with."""
    at = (written / "ledger.sqlite").read_bytes().index(text) + place

    assert is_found(spoilt("ledger.sqlite", at * 8 + 1))


def entry_bits(folder):
    """Return the bits of the stored entries: the cells of the table's one page, as SQLite's file format has them."""
    db = sqlite3.connect(folder / "ledger.sqlite")
    page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entries'").fetchone()[0]
    size = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    start = (page - 1) * size
    header = (folder / "ledger.sqlite").read_bytes()[start : start + 8]
    assert header[0] == 13, "a leaf of a table"
    return list(range((start + int.from_bytes(header[5:7], "big")) * 8, (start + size) * 8))


@pytest.mark.parametrize("count", [FLIPS, pytest.param(100_000, marks=release)])
def test_a_flipped_bit_in_an_entry_is_found(written, spoilt, count):
    """Every one that any reader sees: amount, account, transaction or number. The release size takes them all.

    SQLite ignores one bit of each row: a placeholder of no bytes for the number, which it takes from the row's key, may
    say NULL or zero.
    """
    before = (written / "ledger.sqlite").read_bytes()
    for bit in sample(entry_bits(written), count):
        found = is_found(spoilt("ledger.sqlite", bit))
        assert found or (bit % 8 == 3 and before[bit // 8] == 0), bit


@pytest.mark.parametrize("count", [FLIPS // 2, pytest.param(20_000, marks=release)])
@pytest.mark.parametrize("name", ["journal/worker-1.journal", "journal/keeper-000001.journal"])
def test_a_flipped_bit_in_a_journal_is_found(written, spoilt, name, count):
    """In any byte: there are none that no checksum covers. The release size takes them all, with a bit of each.

    That a journal's reader sees all eight is shown where it is tested (`test_every_flipped_bit_is_noticed`).
    """
    for byte in sample(list(range((written / name).stat().st_size)), count):
        bit = byte * 8 + byte % 8
        assert is_found(spoilt(name, bit)), bit
