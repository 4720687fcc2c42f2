"""A ledger that was lost, outdated or ahead is folded anew; a journal that was damaged is refused."""

import sqlite3

import pytest

from margin import records
from margin.journal import JournalCorrupt
from margin.ledger import ahead, audit, books, questions, refold
from margin.ledger.store import LedgerFormat, Store
from tests.margin.bookkeeping import (
    CREDIT,
    EXCHANGE,
    OPENING,
    T0,
    Killed,
    Ledger,
    Worker,
    balance,
    grant,
    held,
    killed,
    line,
    open_books,
    settled,
    sound,
    void,
)

# ---- catching up -----------------------------------------------------------------------------------------------------


def many(folder, count):
    """Journal and fold exchanges in a first life whose ledger is then lost."""
    first = open_books(folder)
    for record in OPENING:
        first.record(record)
    worker = Worker(folder)
    for number in range(count):
        x = f"x{number}"
        worker.write(held(x, 1000, plan="prepaid"), settled(x, 1000, line(700)))
        first.fold_worker(worker.path, records_max=2)
    first.close()
    worker.close()
    (folder / "ledger.sqlite").unlink()


def test_a_lost_ledger_is_folded_again_in_batches(folder, monkeypatch):
    """No batch holds more than it may, plus the range of one *fold* record; together they are the whole history."""
    many(folder, 30)
    sizes, write = [], Store.write
    monkeypatch.setattr(refold, "CATCH_UP_RECORDS", 10)

    def counted(self, state, effects, reached):
        sizes.append(len(effects.charges))
        write(self, state, effects, reached)

    monkeypatch.setattr(Store, "write", counted)
    found = open_books(folder)

    assert sum(sizes) == 30
    assert max(sizes) <= 6
    assert len(sizes) > 5
    assert sound(found) == []
    found.close()


@pytest.mark.parametrize("batch", range(1, 7))
def test_a_crash_between_batches_resumes_where_it_was(folder, tmp_path, monkeypatch, batch):
    """What earlier batches stored stays; the next opening folds the rest, and the books are the same."""
    many(folder, 30)
    written, write = [], Store.write

    def dying(self, state, effects, reached):
        if len(written) == batch:
            raise Killed
        written.append(reached)
        write(self, state, effects, reached)

    with monkeypatch.context() as patch:
        patch.setattr(refold, "CATCH_UP_RECORDS", 10)
        patch.setattr(Store, "write", dying)
        with pytest.raises(Killed):
            open_books(folder)
    copy = killed(folder, tmp_path / "after")
    left = Store(copy / "ledger.sqlite")
    assert left.reached() == written[-1]
    left.close()

    after = open_books(copy)

    assert balance(after) == {"available": 970 * CREDIT, "held": 0, "spent": 30 * CREDIT, "expired": 0}
    assert sound(after) == []
    after.close()


# ---- what is lost, damaged or foreign --------------------------------------------------------------------------------


def lived(folder):
    """Live once: a customer, a grant, one exchange, all folded and closed."""
    first = open_books(folder)
    for record in OPENING:
        first.record(record)
    worker = Worker(folder).write(*EXCHANGE)
    first.fold_worker(worker.path)
    first.record(grant("g2", 5000))
    first.close()
    worker.close()
    return first.journal.path, worker.path


def test_a_lost_ledger_is_folded_again(folder):
    """Without its file the ledger is what the journals say."""
    lived(folder)
    (folder / "ledger.sqlite").unlink()

    found = open_books(folder)

    assert balance(found) == {"available": 1003 * CREDIT, "held": 0, "spent": 2000, "expired": 0}
    assert sound(found) == []
    found.close()


@pytest.mark.parametrize("loss", ["the tail", "the file"])
def test_a_ledger_ahead_of_the_journals_is_folded_again(folder, loss):
    """The machine died and took what the keeper had journalled: what the journals still have is the record."""
    keeper, _ = lived(folder)
    if loss == "the file":
        keeper.unlink()
    else:
        lines = keeper.read_bytes().splitlines(keepends=True)
        keeper.write_bytes(b"".join(lines[:-1]))

    found = open_books(folder)

    assert found.refolded_why is not None
    expected = 998 * CREDIT if loss == "the tail" else 0
    assert balance(found)["available"] == expected
    assert sound(found) == []
    found.close()


def test_a_ledger_that_knew_more_is_kept_and_told_of_until_it_is_removed(folder):
    """Money is missing from the books: the file that has it is set aside whole, and every audit says so."""
    keeper, _ = lived(folder)
    lines = keeper.read_bytes().splitlines(keepends=True)
    keeper.write_bytes(b"".join(lines[:-1]))

    found = open_books(folder)

    assert found.refolded_why is not None
    assert keeper.name in found.refolded_why
    (kept,) = ahead.kept(folder)
    assert found.set_aside == kept
    found.close()
    old = Store(kept, read_only=True)
    assert questions.credit_balance(old.db, 1)["available"] == 1003 * CREDIT  # 998 and the five of the lost grant
    old.close()
    assert any(each.startswith(kept.name) for each in audit.audit(folder).violations)
    kept.unlink()
    assert not any("ahead" in each for each in audit.audit(folder).violations)
    again = open_books(folder)
    assert again.set_aside is None
    again.close()


def test_an_earlier_format_is_folded_again_and_a_later_one_refused(folder):
    """The journals outlive the ledger's format; a file of a newer version is left alone."""
    lived(folder)
    for number, outcome in (("1", "folded"), ("99", "refused")):
        with sqlite3.connect(folder / "ledger.sqlite") as db:
            db.execute("UPDATE meta SET value = ? WHERE name = 'format'", (number,))
        db.close()

        if outcome == "folded":
            found = open_books(folder)
            assert found.refolded_why is not None
            assert balance(found)["spent"] == 2000
            found.close()
        else:
            with pytest.raises(LedgerFormat, match="99"):
                open_books(folder)


def test_a_file_that_is_no_ledger_is_left_alone(folder):
    """Whatever lies there is not overwritten."""
    (folder / "ledger.sqlite").write_bytes(b"shopping list" * 1000)

    with pytest.raises(LedgerFormat, match="not a ledger"):
        open_books(folder)

    assert (folder / "ledger.sqlite").read_bytes().startswith(b"shopping")


@pytest.mark.parametrize("loss", ["the tail", "the file", "another cut"])
def test_a_workers_journal_that_lost_what_was_folded_is_refused(folder, loss):
    """It was on disk when the keeper folded it: less of it would be another history, so nothing is made up."""
    _, worker = lived(folder)
    (folder / "ledger.sqlite").unlink()
    whole = worker.read_bytes()
    if loss == "the file":
        worker.unlink()
    else:
        worker.write_bytes(whole[:-1] if loss == "the tail" else whole[:-1] + b"x")

    with pytest.raises(JournalCorrupt):
        open_books(folder)


@pytest.mark.parametrize("loss", ["the tail", "the file"])
def test_a_workers_journal_that_is_shorter_than_folded_is_refused_at_the_opening(folder, loss):
    """With the ledger that folded it at hand, too: what only that knows is not served on in silence."""
    _, worker = lived(folder)
    whole = worker.read_bytes()
    if loss == "the file":
        worker.unlink()
    else:
        worker.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(JournalCorrupt, match=rf"worker-1.journal.*folded up to byte {len(whole)}"):
        open_books(folder)

    worker.write_bytes(whole)
    found = open_books(folder)
    assert sound(found) == []
    found.close()


def test_a_damaged_journal_is_refused_before_anything_of_it_is_folded(opened, folder):
    """A flipped bit in a record that waits to be folded stops the fold; the books stay as they were."""
    worker = Worker(folder).write(*EXCHANGE)
    data = bytearray(worker.path.read_bytes())
    data[len(data) // 2] ^= 4
    worker.path.write_bytes(data)

    with pytest.raises(JournalCorrupt):
        opened.fold_worker(worker.path)

    opened.commit()
    assert balance(opened)["available"] == 1000 * CREDIT
    assert sound(opened) == [f"journal {JournalCorrupt(worker.path, 0, '').path.name} " + _why(worker.path)]
    worker.close()


def _why(path):
    """Return the words a reader has for a damaged file, after its name."""
    with pytest.raises(JournalCorrupt) as raised:
        list(books.journal.read(path, books.Position()))
    return str(raised.value).removeprefix(f"{path.name} ")


def test_a_torn_record_of_a_worker_is_not_folded_until_it_is_whole(opened, folder):
    """A write that is still on its way is no record yet."""
    worker = Worker(folder).write(*EXCHANGE)
    whole = worker.path.read_bytes()
    worker.path.write_bytes(whole[:-7])
    assert [each["k"] for each in opened.fold_worker(worker.path)] == ["held", "called"]

    worker.path.write_bytes(whole)

    assert [each["k"] for each in opened.fold_worker(worker.path)] == ["settled"]
    opened.commit()
    assert sound(opened) == []
    worker.close()


def test_a_name_is_not_used_twice_over_batches_and_lives(opened, folder, tmp_path):
    """A replay of what earlier batches, or an earlier keeper, have booked is refused, not booked again."""
    worker = Worker(folder).write(*EXCHANGE)
    opened.fold_worker(worker.path)
    opened.commit()
    worker.write(held("x1", 1000, plan="prepaid"), settled("x1", 1000, line(1)))
    opened.record(grant("g1", 7))
    opened.fold_worker(worker.path)
    opened.commit()
    after = open_books(killed(folder, tmp_path / "after"))
    after.record(grant("g1", 7))
    after.commit()

    assert balance(after) == {"available": 998 * CREDIT, "held": 0, "spent": 2000, "expired": 0}
    refused = after.store.db.execute("SELECT subject, why FROM refused").fetchall()
    assert refused == [
        ("g1", "granted twice"), ("x1", "held twice"), ("x1", "settled without a hold"), ("g1", "granted twice"),
    ]  # fmt: skip
    after.close()
    worker.close()


GONE = (held("x3", 0), void("x3"), held("x4", 5, plan="prepaid"), void("x4"))
"""Exchanges that ended before anybody was called."""


def test_a_free_exchange_that_cost_nothing_known_cannot_be_booked_twice(opened, folder):
    """Also one that moved no credit and no dollar has left a trace."""
    worker = Worker(folder).write(held("x1", 0), settled("x1", 0), held("x2", 0), void("x2", line(None)), *GONE)
    for _ in range(2):
        opened.fold_worker(worker.path)
        opened.commit()
        worker.write(held("x1", 0), settled("x1", 0), held("x2", 0), void("x2", line(None)), *GONE)

    opened.fold_worker(worker.path)
    opened.commit()

    assert opened.store.db.execute("SELECT COUNT(*) FROM charges").fetchone() == (1,)
    assert opened.store.db.execute("SELECT COUNT(*) FROM cost_lines").fetchone() == (1,)
    assert opened.store.db.execute("SELECT COUNT(*) FROM txns WHERE key LIKE 'close:%'").fetchone() == (4,)
    assert opened.store.db.execute("SELECT COUNT(*) FROM refused WHERE why = 'held twice'").fetchone() == (2 * 4,)
    worker.close()


def test_the_memory_of_the_fold_survives_a_restart(opened, folder, tmp_path):
    """Read back from its file, the state is the one that was stored."""
    worker = Worker(folder).write(*EXCHANGE[:2], held("x2", 10, plan="prepaid"))
    opened.record(records.key(t=T0, id="k1", digest="d", customer=1, scopes=["serve", "admin"]))
    opened.record(records.moved(t=T0 + 1, customer=1, plan="starter"))
    opened.fold_worker(worker.path)
    opened.commit()
    state = opened.state

    read = opened.store.state()

    for name in ("plans", "default_plan", "sellbook_version", "customers", "keys", "grants", "holds", "journals",
                 "grant_seq", "periodic"):  # fmt: skip
        assert getattr(read, name) == getattr(state, name), name
    assert sorted(read.ending) == sorted(state.ending)
    worker.close()


def test_the_ledger_in_a_file_is_the_fold_in_memory(opened, folder):
    """Balances on disk are the sums of the legs that the pure fold returns."""
    memory = Ledger(*OPENING, *EXCHANGE)
    worker = Worker(folder).write(*EXCHANGE)
    opened.fold_worker(worker.path)
    opened.commit()

    rows = opened.store.db.execute("SELECT name, customer, balance FROM accounts").fetchall()

    assert {name: balance for name, _, balance in rows} == {
        name: memory.balance(name, of=number) for name, number, _ in rows
    }
    worker.close()
