"""The trail: every deliberate change is listed with who made it, also those made while nobody served."""

import sqlite3

import pytest

from margin.ledger import refold, trail
from proxy.keeper.commands import perform
from proxy.settings import difference
from tests.keeper.offices import PLANS, office, settings

UID = "uid 1000"


def asked(found, command, **args):
    """Perform a command for an account of this machine."""
    return perform(found, command, args, by=UID)["result"]


def told(found):
    """Return the trail as (kind, by), oldest first."""
    return [(each["kind"], each["by"]) for each in asked(found, "ledger.changes")]


def test_each_change_names_who_asked(tmp_path):
    """What a start does is the keeper's; what a command does is its account's."""
    found = office(tmp_path / "data")
    made = asked(found, "keys.create", customer="acme", scopes=["serve"])
    asked(found, "credits.grant", customer="acme", credits_milli=5000, paid_nusd=0, expires_s=None)
    asked(found, "customers.move", customer="acme", plan="hard")
    asked(found, "keys.revoke", id=made["id"])
    found.tick()

    kinds = ["customer", "key", "grant", "moved", "key_revoked"]
    assert told(found) == [("configured", "keeper"), ("sellbook", "keeper"), *((kind, UID) for kind in kinds)]
    found.close()


def test_it_names_customers_and_no_secret(tmp_path):
    """The name comes from the directory; neither a key nor its digest is told."""
    found = office(tmp_path / "data")
    made = asked(found, "keys.create", customer="acme", scopes=["serve"])

    last = asked(found, "ledger.changes")[-1]

    assert last["content"] == {"id": made["id"], "customer": "acme", "scopes": ["serve"]}
    found.close()


def test_what_had_no_effect_is_not_a_change(tmp_path):
    """A grant that was given before is refused by the fold, and leaves no row."""
    found = office(tmp_path / "data")
    found.grant("acme", 1000, paid_nusd=0, expires_t=None, id_="one")
    before = told(found)

    found.grant("acme", 1000, paid_nusd=0, expires_t=None, id_="one")

    assert told(found) == before
    found.close()


def test_a_configuration_changed_while_nobody_served_is_told_with_its_difference(tmp_path):
    """The next start compares with what the books last knew, value by value."""
    office(tmp_path / "data").close()
    again = office(tmp_path / "data", more="aliases: {fast: auto:simple}\n")

    changes = [each["content"] for each in asked(again, "ledger.changes") if each["kind"] == "configured"]

    assert [change["before"] for change in changes] == [None, changes[0]["version"]]
    assert ["aliases.fast", None, "auto:simple"] in changes[1]["diff"]
    assert len(changes[1]["diff"]) < len(changes[0]["diff"])
    again.close()


def test_a_start_with_the_same_configuration_is_no_change(tmp_path):
    """Nothing is added to the trail."""
    office(tmp_path / "data").close()
    again = office(tmp_path / "data")

    assert [kind for kind, _ in told(again)].count("configured") == 1
    again.close()


def test_a_reload_is_compared_with_what_it_replaced(tmp_path):
    """And what the books know of the configuration follows."""
    found = office(tmp_path / "data")
    old, new = found.settings, settings(tmp_path / "data", plans=PLANS.replace("0.05", "0.06"))
    found.adopt(new, difference(old, new))
    found.close()

    again = office(tmp_path / "data", plans=PLANS.replace("0.05", "0.06"))

    assert [kind for kind, _ in told(again)] == ["configured", "sellbook", "configured", "sellbook"]
    again.close()


def test_the_trail_is_rebuilt_from_the_journals(tmp_path):
    """Row for row."""
    found = office(tmp_path / "data")
    asked(found, "keys.create", customer="acme", scopes=["serve"])
    live = trail.changes(found.books.store.db, count_max=100)
    found.close()

    rebuilt = refold.rebuild(tmp_path / "data", tmp_path / "again.sqlite")

    assert trail.changes(rebuilt.db, count_max=100) == live
    rebuilt.close()


def test_no_row_can_be_changed_or_deleted(tmp_path):
    """The file itself refuses."""
    found = office(tmp_path / "data")

    for statement in ("UPDATE trail SET by = 'nobody'", "DELETE FROM trail"):
        with pytest.raises(sqlite3.IntegrityError):
            found.books.store.db.execute(statement)
    found.close()
