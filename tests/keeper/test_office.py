"""The keeper's office: one writer, keys without secrets, and names apart from books."""

import hashlib
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from margin.money import usd_to_nusd
from proxy.keeper import keyring
from proxy.keeper.directory import Directory
from proxy.keeper.lock import Lock, LockHeld, dead_journals
from proxy.keeper.office import UnknownName
from tests.keeper.offices import PLANS, Worker, again, balance, create_key, is_key, office, sound
from tests.margin.bookkeeping import CREDIT

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
    key = create_key(found, "acme")[1].encode()
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
    id_, key = create_key(found, "acme", "serve", "see-cost")
    assert key.startswith(f"sk-penstock-{id_}-")
    reopened = again(found)
    assert is_key(reopened, key)

    keyring.revoke(reopened, id_)

    assert not is_key(reopened, key)
    with pytest.raises(UnknownName):
        keyring.revoke(reopened, id_)
    with pytest.raises(UnknownName):
        keyring.revoke(reopened, "never")
    reopened.close()


def test_two_keys_are_never_alike(found):
    """Each is random, ids included."""
    made = [create_key(found, "acme") for _ in range(20)]

    assert len({key for _, key in made}) == len({id_ for id_, _ in made}) == 20


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
    create_key(found, "acme")
    found.grant("acme", 5, paid_nusd=0, expires_t=None)
    found.move_customer("acme", "hard")

    changes = found.take_changes()

    assert [sorted(change) for change in changes] == [
        ["customer", "name", "plan"], ["customer", "digest", "key", "scopes", "terms"], ["granted"],
        ["customer", "name", "plan"],
    ]  # fmt: skip
    assert [change["plan"] for change in changes if "plan" in change] == ["open", "hard"]
    assert found.take_changes() == []
    assert [sorted(change) for change in found.everything()] == [
        ["customer", "name", "plan"], ["customer", "digest", "key", "scopes", "terms"],
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
    create_key(found, "Acme Müller GmbH")
    found.grant("Acme Müller GmbH", 5, paid_nusd=0, expires_t=None)
    found.close()

    for path in found.settings.server.data_dir.rglob("*"):
        if path.is_file() and "directory" not in path.name:
            assert "Müller".encode() not in path.read_bytes(), path.name


def test_an_erased_name_is_not_reused_and_its_number_neither(found):
    """Under a name that says nothing the books still balance; a new customer gets a new number."""
    found.open_customer("acme")
    found.close()
    with closing(sqlite3.connect(found.settings.server.data_dir / "directory.sqlite")) as names, names:
        names.execute("UPDATE customers SET name = 'customer-1' WHERE name = 'acme'")

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
