"""The office has no moment to die that matters: sandboxes are made once, folds are counted once."""

import fcntl
import sqlite3

import pytest

from margin.ledger import books
from margin.money import usd_to_nusd
from proxy.keeper.office import Office, UnknownName
from tests.keeper.offices import PLANS, SANDBOX, Worker, again, balance, create_key, is_key, killed, office, sound
from tests.margin.bookkeeping import CREDIT, Killed, held, kill, line, settled, tables

# ---- the sandbox -----------------------------------------------------------------------------------------------------


def test_a_sandboxes_customers_are_made_once(tmp_path):
    """However often it starts: the customers, their plans, and one grant."""
    data = tmp_path / "data"
    for _ in range(3):
        opened = office(data, more=SANDBOX)
        opened.close()

    opened = office(data, more=SANDBOX)
    assert balance(opened, opened.number("sandbox")) == {
        "available": 100_000 * CREDIT, "held": 0, "spent": 0, "expired": 0,
    }  # fmt: skip
    assert opened.books.state.customers[opened.number("acme")].plan == "starter"
    assert sound(opened) == []
    opened.close()


def test_a_sandboxes_grant_is_not_given_again_when_it_is_used_up(tmp_path):
    """Spent is spent."""
    opened = office(tmp_path / "data", more=SANDBOX)
    number = opened.number("sandbox")
    worker = Worker(opened, "worker-1")
    worker.paper.write(held("x1", 100_000 * CREDIT, of=number, plan="prepaid"), settled("x1", 100_000 * CREDIT, line()))
    opened.fold_all()
    worker.die()

    opened = again(opened, more=SANDBOX)

    assert balance(opened, number)["available"] == 0
    opened.close()


# ---- where the process can die ---------------------------------------------------------------------------------------


def test_killed_between_the_name_and_the_books(found, tmp_path, monkeypatch):
    """The name has a number nobody used: the customer is not there yet, and is opened as asked when next named."""
    with monkeypatch.context() as patch:
        patch.setattr(found.books, "record", kill)
        with pytest.raises(Killed):
            found.open_customer("acme", "hard")

    after = office(killed(found, tmp_path / "after"))
    assert after.directory.number("acme") == 1
    assert not after.is_customer("acme")
    assert after.everything() == []
    with pytest.raises(UnknownName):
        after.move_customer("acme", "starter")
    assert after.open_customer("globex") == 2
    assert after.open_customer("acme", "starter") == 1
    assert after.books.state.customers[1].plan == "starter"
    after.move_customer("acme", "hard")
    assert sound(after) == []
    after.close()


def test_killed_between_journal_and_ledger(found, tmp_path, monkeypatch):
    """The customer, its key and its grant are in the journal: the next opening has them."""
    with monkeypatch.context() as patch:
        patch.setattr(found.books, "commit", lambda: None)
        _, key = create_key(found, "acme")
        found.grant("acme", 7, paid_nusd=0, expires_t=None)

    after = office(killed(found, tmp_path / "after"))

    assert is_key(after, key)
    assert balance(after)["available"] == 7
    assert sound(after) == []
    after.close()


@pytest.mark.parametrize("step", range(4))
def test_killed_while_a_sandbox_is_made(tmp_path, monkeypatch, step):
    """Whichever record was the last, the next start makes the rest, on the plans it should, with one grant."""
    real, made = Office.act, []

    def dying(self, record):
        if len(made) == step:
            raise Killed
        made.append(record)
        real(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(Office, "act", dying)
        with pytest.raises(Killed):
            office(tmp_path / "data", more=SANDBOX)

    after = office(tmp_path / "data", more=SANDBOX)
    plans = {after.directory.name(number): each.plan for number, each in after.books.state.customers.items()}
    assert plans == {"sandbox": "prepaid", "acme": "starter"}
    assert balance(after, after.number("sandbox"))["available"] == 100_000 * CREDIT
    assert balance(after, after.number("acme"))["available"] == 500 * CREDIT
    assert sound(after) == []
    after.close()


def test_killed_between_a_fold_and_its_commit(found, tmp_path, monkeypatch):
    """The worker's records enter once, whoever stores them."""
    found.open_customer("acme")
    worker = Worker(found, "worker-1")
    worker.paper.write(held("x1", 1000), settled("x1", 1000, line(700)))
    with monkeypatch.context() as patch:
        patch.setattr(found.books, "commit", kill)
        with pytest.raises(Killed):
            found.fold_all()

    after = office(killed(found, tmp_path / "after"))
    assert after.fold_all() == 0

    assert balance(after)["spent"] == 1000
    assert sound(after) == []
    after.close()
    worker.die()


def test_a_full_disk_in_the_ledger_loses_nothing(found):
    """A commit that failed is made up by the next; the worker's records are not folded twice."""
    found.open_customer("acme")
    worker = Worker(found, "worker-1")
    worker.paper.write(held("x1", 1000), settled("x1", 1000, line(700)))
    found.books.store.db.execute(
        "CREATE TEMP TRIGGER stop BEFORE INSERT ON charges BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    )
    with pytest.raises(sqlite3.IntegrityError):
        found.fold_all()
    found.books.store.db.execute("DROP TRIGGER stop")

    assert found.fold_all() == 0
    found.tick()

    assert balance(found)["spent"] == 1000
    assert sound(found) == []
    worker.die()


def test_a_lost_ledger_is_folded_from_the_journals(found):
    """Customers, keys, plans, balances: all of it is in the journals."""
    _, key = create_key(found, "acme")
    found.grant("acme", 7, paid_nusd=0, expires_t=None)
    found.close()
    before = tables(sqlite3.connect(found.books.ledger_path))
    found.books.ledger_path.unlink()

    reopened = office(found.settings.server.data_dir)

    after = tables(reopened.books.store.db)
    assert {name: after[name] for name in ("txns", "entries", "accounts", "keys", "customers", "grants")} == {
        name: before[name] for name in ("txns", "entries", "accounts", "keys", "customers", "grants")
    }
    assert is_key(reopened, key)
    assert sound(reopened) == []
    reopened.close()


def test_a_ledger_ahead_of_the_journals_is_folded_again(found):
    """The machine died and kept less of the journal than of the ledger: the journal is the record, and it says why."""
    found.grant("acme", 7, paid_nusd=0, expires_t=None)
    found.close()
    path = found.books.journal.path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))

    reopened = office(found.settings.server.data_dir)

    assert "bytes; " in reopened.books.refolded_why
    assert balance(reopened)["available"] == 0
    assert sound(reopened) == []
    reopened.close()


# ---- folding ---------------------------------------------------------------------------------------------------------


def test_every_folded_record_is_shown_to_whoever_counts(found):
    """Once each, in order."""
    found.open_customer("acme")
    seen = []
    found.on_record = seen.append
    worker = Worker(found, "worker-1")
    worker.paper.write(held("x1", 0), settled("x1", 0))

    assert found.fold_some() == 2
    assert found.fold_some() == 0

    assert [record["k"] for record in seen] == ["held", "settled"]
    worker.die()


def test_the_lag_is_the_age_of_what_waits(found):
    """Nothing waits, nothing lags."""
    found.open_customer("acme")
    worker = Worker(found, "worker-1")
    assert found.lag_s() == 0

    worker.paper.write(held("x1", 0))
    assert 0 <= found.lag_s() < 60
    assert found.fold_all() == 1

    assert found.lag_s() == 0
    worker.die()


def test_a_torn_tail_of_a_dead_worker_does_not_lag(found):
    """Nobody will ever finish it."""
    worker = Worker(found, "worker-1")
    worker.die()
    with worker.paper.path.open("ab") as file:
        file.write(b"0123")

    found.recover({worker.name})

    assert found.lag_s() == 0


def test_a_changed_sell_book_is_adopted_after_what_was_done_under_the_old(found):
    """What workers journalled before the restart is folded first, at the prices it was done at."""
    found.open_customer("acme", "prepaid")
    worker = Worker(found, "worker-1")
    worker.paper.write(held("x1", 1000, plan="prepaid"), settled("x1", 1000, line(700)))

    reopened = again(found, plans=PLANS.replace("price: 0.05", "price: 0.50"))

    (revenue,) = reopened.books.store.db.execute("SELECT revenue_nusd FROM charges").fetchone()
    assert revenue == usd_to_nusd("0.05")
    assert reopened.books.state.plans["prepaid"].price_nusd_per_credit == usd_to_nusd("0.50")
    assert sound(reopened) == []
    reopened.close()
    worker.die()


def test_an_unchanged_sell_book_is_not_written_again(found):
    """A restart under the same plans adds nothing but its own first record."""
    version = found.books.state.sellbook_version

    reopened = again(found)

    assert reopened.books.state.sellbook_version == version
    kinds = [line.record["k"] for line in books.journal.read(reopened.books.journal.path, books.Position())]
    assert kinds == ["opened"]
    reopened.close()


def test_a_keepers_journal_is_locked_while_it_lives(found):
    """As every journal is."""
    with found.books.journal.path.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
