"""The keeper's office: one writer, keys without secrets, names apart from books, and no moment to die that matters."""

import fcntl
import hashlib
import sqlite3
import subprocess
import sys
import time

import pytest

from margin.ledger import books, questions, verify
from margin.money import usd_to_nusd
from proxy.keeper.directory import Directory
from proxy.keeper.office import Lock, LockHeld, Office, UnknownName, dead_journals
from tests.keeper.offices import PLANS, SANDBOX, Worker, killed, office
from tests.margin.bookkeeping import CREDIT, held, line, settled, tables


class Killed(Exception):
    """The process was killed here."""


def kill(*_, **__):
    """Be killed."""
    raise Killed


@pytest.fixture
def found(tmp_path):
    """An open office."""
    opened = office(tmp_path / "data")
    yield opened
    opened.books.journal.close()
    opened.books.store.close()
    opened.directory.close()


def again(opened, **more):
    """Close an office and open it anew."""
    opened.close()
    return office(opened.settings.server.data_dir, **more)


def balance(opened, number=1):
    """Return a customer's credits as the ledger file has them."""
    return questions.credit_balance(opened.books.store.db, number)


def sound(opened):
    """Return what is wrong with an office's books, journals and rebuild."""
    data_dir = opened.settings.server.data_dir
    twin = books.rebuild(data_dir, data_dir.parent / f"{data_dir.name}-twin.sqlite")
    same = tables(twin.db) == tables(opened.books.store.db)
    twin.close()
    wrong = verify.violations(opened.books.store.db, opened.books.state)
    wrong += list(books.verify_journals(data_dir, opened.books.state.journals))
    return wrong if same else [*wrong, "a rebuild differs"]


# ---- the lock --------------------------------------------------------------------------------------------------------


def test_a_second_keeper_is_refused(tmp_path):
    """One folder has one writer; when it lets go, the next may come."""
    first, second = Lock(tmp_path), Lock(tmp_path)
    first.acquire(0)

    with pytest.raises(LockHeld):
        second.acquire(0)

    first.release()
    second.acquire(0)
    second.release()


def test_another_process_is_refused_too_and_its_death_lets_go(tmp_path):
    """The kernel holds the lock: a killed keeper leaves none behind, and no file to clean up."""
    script = "import sys, fcntl; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True)"
    script += "; sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "keeper.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"held\n"
    lock = Lock(tmp_path)
    with pytest.raises(LockHeld):
        lock.acquire(0)

    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()

    lock.acquire(0)
    lock.release()


def test_who_waits_gives_up_at_its_deadline(tmp_path):
    """Waiting is bounded."""
    first, second = Lock(tmp_path), Lock(tmp_path)
    first.acquire(0)
    began = time.monotonic()

    with pytest.raises(LockHeld):
        second.acquire(0.05)

    assert 0.05 <= time.monotonic() - began < 5
    first.release()
    second.release()


def test_the_living_are_told_from_the_dead_by_their_journals(found):
    """A worker holds a lock on its journal as long as it lives; a keeper's journals are not asked for."""
    living, dead = Worker(found, "worker-1"), Worker(found, "worker-2")
    dead.die()

    assert dead_journals(found.books.folder, wait_s=0) == {dead.name}

    living.die()
    assert dead_journals(found.books.folder, wait_s=0) == {living.name, dead.name}


# ---- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_is_kept_as_its_digest_only(found):
    """No file of the data folder contains the key or its secret part, in whatever journal, ledger or log of them."""
    made = found.create_key("acme", ["serve"])
    key = made["key"].encode()
    secret = key.split(b"-", 3)[3]
    found.close()

    digest = hashlib.sha256(key).hexdigest().encode()
    contents = [
        path.read_bytes() for path in found.settings.server.data_dir.rglob("*") if path.is_file()
    ]  # fmt: skip
    assert any(digest in content for content in contents)
    assert not any(key in content or secret in content for content in contents)


def test_a_key_lives_until_it_is_revoked(found):
    """Created, it is live, also after a restart; revoked, it is not, and cannot be revoked again."""
    made = found.create_key("acme", ["serve", "see-cost"])
    assert made["key"].startswith("sk-penstock-")
    assert (made["customer"], made["scopes"]) == ("acme", ["serve", "see-cost"])
    reopened = again(found)
    assert reopened.is_key(made["key"])

    reopened.revoke_key(made["id"])

    assert not reopened.is_key(made["key"])
    with pytest.raises(UnknownName):
        reopened.revoke_key(made["id"])
    with pytest.raises(UnknownName):
        reopened.revoke_key("never")
    reopened.close()


def test_two_keys_are_never_alike(found):
    """Each is random, ids included."""
    made = [found.create_key("acme", ["serve"]) for _ in range(20)]

    assert len({each["key"] for each in made}) == len({each["id"] for each in made}) == 20


# ---- customers -------------------------------------------------------------------------------------------------------


def test_a_customer_is_opened_once(found):
    """Whoever names it first opens it; later it keeps its number and its plan."""
    number = found.open_customer("acme", "hard")

    assert found.open_customer("acme") == number
    assert found.open_customer("acme", "starter") == number
    assert found.books.state.customers[number].plan == "hard"
    assert found.open_customer("globex") == number + 1
    assert again(found).open_customer("acme") == number


def test_what_changed_is_told_once(found):
    """Customers, keys, grants, moves: each change is taken by whoever tells the workers, and then gone."""
    found.create_key("acme", ["serve"])
    found.grant("acme", 5, paid_nusd=0, expires_t=None)
    found.move_customer("acme", "hard")

    changes = found.take_changes()

    assert [sorted(change) for change in changes] == [
        ["customer", "name", "plan"], ["customer", "digest", "key", "scopes"], ["granted"],
        ["customer", "name", "plan"],
    ]  # fmt: skip
    assert [change["plan"] for change in changes if "plan" in change] == ["open", "hard"]
    assert found.take_changes() == []
    assert [sorted(change) for change in found.everything()] == [
        ["customer", "name", "plan"], ["customer", "digest", "key", "scopes"],
    ]  # fmt: skip


def test_a_plan_that_is_not_there_is_refused_before_anything_is_written(found):
    """Neither the directory nor the journals hear of it."""
    before = found.books.journal.offset

    for attempt in (lambda: found.open_customer("acme", "gold"), lambda: found.move_customer("acme", "gold")):
        with pytest.raises(UnknownName, match="plans are: hard, open, prepaid, starter"):
            attempt()

    assert found.books.journal.offset == before
    assert found.directory.numbers() == []


def test_a_customer_that_is_not_there_cannot_be_moved(found):
    """Moving opens nobody."""
    with pytest.raises(UnknownName, match='no customer "nobody"'):
        found.move_customer("nobody", "hard")


def test_names_are_not_in_the_books(found):
    """Journals and ledger know a number; the name is in the directory, which can be erased."""
    found.create_key("Acme Müller GmbH", ["serve"])
    found.grant("Acme Müller GmbH", 5, paid_nusd=0, expires_t=None)
    found.close()

    for path in found.settings.server.data_dir.rglob("*"):
        if path.is_file() and "directory" not in path.name:
            assert "Müller".encode() not in path.read_bytes(), path.name


def test_an_erased_name_is_not_reused_and_its_number_neither(found):
    """Without the directory the books still balance; a new customer gets a new number."""
    found.open_customer("acme")
    found.close()
    (found.settings.server.data_dir / "directory.sqlite").unlink()

    reopened = office(found.settings.server.data_dir)

    assert reopened.directory.name(1) == "customer-1"
    assert reopened.open_customer("globex") == 2
    assert sound(reopened) == []
    reopened.close()


def test_a_customer_whose_plan_was_removed_is_told_as_on_the_default_plan(found):
    """What workers hear is what the ledger goes by."""
    found.open_customer("acme", "starter")

    reopened = again(found, plans=PLANS.replace("starter:", "beginner:"))

    assert reopened.everything()[0]["plan"] == "open"
    assert reopened.books.state.customers[1].plan == "starter"
    reopened.close()


# ---- grants ----------------------------------------------------------------------------------------------------------


def test_a_grant_is_available_at_once_and_after_a_restart(found):
    """It is committed before the call returns."""
    id_ = found.grant("acme", 5 * CREDIT, paid_nusd=usd_to_nusd(1), expires_t=None)

    assert balance(found)["available"] == 5 * CREDIT
    reopened = again(found)
    assert balance(reopened)["available"] == 5 * CREDIT
    assert reopened.books.state.grants[id_].basis_nusd == usd_to_nusd(1)
    reopened.close()


def test_a_grant_that_ended_expires_at_the_next_tick(found):
    """A tick stands a second in the past, so that what workers journalled before it has been folded."""
    found.grant("acme", 5 * CREDIT, paid_nusd=0, expires_t=time.time_ns() - 2 * 10**9)

    found.tick()

    assert balance(found) == {"available": 0, "held": 0, "spent": 0, "expired": 5 * CREDIT}


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
        made = found.create_key("acme", ["serve"])
        found.grant("acme", 7, paid_nusd=0, expires_t=None)

    after = office(killed(found, tmp_path / "after"))

    assert after.is_key(made["key"])
    assert balance(after)["available"] == 7
    assert sound(after) == []
    after.close()


@pytest.mark.parametrize("step", range(4))
def test_killed_while_a_sandbox_is_made(tmp_path, monkeypatch, step):
    """Whichever record was the last, the next start makes the rest, on the plans it should, with one grant."""
    real, made = Office._do, []

    def dying(self, record):
        if len(made) == step:
            raise Killed
        made.append(record)
        real(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(Office, "_do", dying)
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
    key = found.create_key("acme", ["serve"])["key"]
    found.grant("acme", 7, paid_nusd=0, expires_t=None)
    found.close()
    before = tables(sqlite3.connect(found.books.ledger_path))
    found.books.ledger_path.unlink()

    reopened = office(found.settings.server.data_dir)

    after = tables(reopened.books.store.db)
    assert {name: after[name] for name in ("txns", "entries", "accounts", "keys", "customers", "grants")} == {
        name: before[name] for name in ("txns", "entries", "accounts", "keys", "customers", "grants")
    }
    assert reopened.is_key(key)
    assert sound(reopened) == []
    reopened.close()


def test_a_ledger_ahead_of_the_journals_is_folded_again(found):
    """The machine died and kept less of the journal than of the ledger: the journal is the record, and it says why."""
    found.grant("acme", 7, paid_nusd=0, expires_t=None)
    found.close()
    path = found.books.journal.path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))

    reopened = office(found.settings.server.data_dir)

    assert "lacks bytes" in reopened.books.refolded_why
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


# ---- the directory ---------------------------------------------------------------------------------------------------


def test_names_survive_and_are_found_both_ways(tmp_path):
    """By name and by number; an unknown number has a name that says so."""
    directory = Directory(tmp_path / "directory.sqlite")
    directory.add(1, "acme")
    directory.close()

    directory = Directory(tmp_path / "directory.sqlite")

    assert (directory.number("acme"), directory.name(1)) == (1, "acme")
    assert (directory.number("globex"), directory.name(9)) == (None, "customer-9")
    assert directory.numbers() == [1]
    directory.close()


def test_a_name_that_could_not_be_stored_is_not_remembered(tmp_path):
    """Memory follows the disk."""
    directory = Directory(tmp_path / "directory.sqlite")
    directory.add(1, "acme")

    with pytest.raises(sqlite3.IntegrityError):
        directory.add(2, "acme")

    assert directory.number("acme") == 1
    directory.close()
