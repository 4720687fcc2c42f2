"""A ledger that cannot be written for a while: what is journalled waits, nothing is lost, nothing is told wrongly."""

import asyncio
import sqlite3
from typing import Any

import pytest

from margin.ledger.store import LedgerBusy
from proxy.keeper.claims import Claims
from proxy.keeper.commands import perform
from proxy.keeper.desk import UNKNOWN, Desk
from tests.keeper.offices import Worker, balance, sound
from tests.margin.bookkeeping import CREDIT, held, line, settled

LOCK_S = 0.01
ASKED = {"customer": 1, "need": 400, "wish": 400, "returned": 0}


@pytest.fixture
def lock(found):
    """Open a customer; return a second connection to the ledger, which holds its write lock until it rolls back."""
    found.open_customer("acme")
    found.books.store.wait(LOCK_S)
    other = sqlite3.connect(found.books.ledger_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def exchanges(worker: Worker, *names: str) -> None:
    """Journal exchanges of one credit each, from hold to settlement."""
    for x in names:
        worker.paper.write(held(x, CREDIT), settled(x, CREDIT, line(700)))


def test_a_locked_ledger_defers_the_commit_and_makes_it_up(found, lock):
    """One batch waits in memory, the rest in the journals; once the lock is gone all of it is booked, once."""
    worker = Worker(found, "worker-1")
    exchanges(worker, "x1", "x2")
    assert found.fold_some() == 4
    exchanges(worker, "x3")

    assert found.fold_some() == 0
    assert found.lag_s() > 0
    with pytest.raises(LedgerBusy):
        found.fold_all()
    with pytest.raises(LedgerBusy):
        found.try_again()
    with pytest.raises(LedgerBusy):
        found.tick()
    lock.execute("ROLLBACK")
    found.try_again()

    assert found.fold_all() == 2
    assert found.lag_s() == 0
    assert balance(found)["spent"] == 3 * CREDIT
    assert sound(found) == []
    worker.die()


def test_a_full_disk_under_the_ledger_defers_the_commit(found):
    """SQLite's own word for a full disk, from a file that may not grow; with room again all of it is booked."""
    worker = Worker(found, "worker-1")
    found.open_customer("acme")
    pages = found.books.store.db.execute("PRAGMA page_count").fetchone()[0]
    found.books.store.db.execute(f"PRAGMA max_page_count = {pages}")
    exchanges(worker, *(f"x{n}" for n in range(200)))

    assert found.fold_some() == 400
    assert "full" in str(found.books.deferred_why)
    found.books.store.db.execute("PRAGMA max_page_count = 1000000")
    found.try_again()

    assert balance(found)["spent"] == 200 * CREDIT
    assert sound(found) == []
    worker.die()


def test_while_the_ledger_is_locked_enough_credit_is_lent_and_too_little_is_unknown(found, lock):
    """What is left is known, so it is lent; that nothing is left is not, as what came back lies unfolded."""
    lock.execute("ROLLBACK")
    found.move_customer("acme", "hard")
    found.grant("acme", 500, paid_nusd=0, expires_t=None)
    lock.execute("BEGIN IMMEDIATE")
    worker = Worker(found, "worker-1")
    worker.paper.write(held("x1", 0))
    found.fold_some()
    asker: Any = type("Asker", (), {"journal": "worker-2.journal"})()
    desk = Desk(found, {asker})

    lent = asyncio.run(desk.lend(asker, dict(ASKED)))
    refused = asyncio.run(desk.lend(asker, dict(ASKED)))

    assert lent == {"customer": 1, "milli": 500, "expires": None}
    assert refused == UNKNOWN
    worker.die()


def test_while_the_ledger_is_locked_commands_say_so_and_change_nothing(found, lock):
    """A report would be of the past, and a change could not be shown: who asks is told to come back."""
    worker = Worker(found, "worker-1")
    exchanges(worker, "x1")
    found.fold_some()

    for name, args in [("report.margin", {}), ("customers.create", {"customer": "globex", "plan": None})]:
        assert "database is locked" in perform(found, name, args, by="test")["failed"]
    lock.execute("ROLLBACK")

    assert not found.is_customer("globex")
    assert "result" in perform(found, "report.margin", {}, by="test")
    assert sound(found) == []
    worker.die()


def test_while_the_ledger_is_locked_no_idempotency_key_is_forgotten(found, lock):
    """An answer whose claim the ledger does not have yet stays, however many there are."""
    worker = Worker(found, "worker-1")
    exchanges(worker, "x")
    found.fold_some()
    claims = Claims(found)
    bound = found.settings.idempotency.answers_max
    for n in range(bound + 1):
        asked = {"customer": 1, "key": f"k{n}", "request": "r", "x": f"x{n}"}
        claims.claim("worker-1.journal", asked)
        claims.answered(asked | {"content": None})

    assert claims.claim("worker-1.journal", {"customer": 1, "key": "k0", "request": "r", "x": "y"})["verdict"] == (
        "unavailable"
    )
    worker.die()
