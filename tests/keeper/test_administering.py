"""What admin keys ask for: once per idempotency key, in the key's name, and nothing that is not theirs to ask."""

import time

import pytest

from proxy.keeper.administering import KEPT_MAX, KEPT_NS, Administration
from proxy.keeper.commands import perform
from tests.keeper.offices import again, create_key, office, sound

KEY = "0123456789ab"
ACME = {"customer": "acme", "scopes": ["serve"]}


@pytest.fixture
def found(tmp_path):
    """An office; the test closes it."""
    return office(tmp_path / "data")


def ask(desk, command, args, *, claim=None, request="r1", key=KEY):
    """Ask as a worker does."""
    return desk.perform({"command": command, "args": args, "key": key, "claim": claim, "request": request})


def grant(milli=5_000, customer="acme"):
    """The arguments of a grant."""
    return {"customer": customer, "credits_milli": milli, "paid_nusd": 0, "expires_s": None}


def test_the_trail_names_the_key(found):
    """Whoever changes something over HTTP is a key, as others are accounts."""
    made = ask(Administration(found), "keys.create", ACME)["result"]

    last = ask(Administration(found), "keys.list", {})["result"]
    changes = [(each["by"], each["kind"]) for each in found_changes(found)]
    assert [row["id"] for row in last] == [made["id"]]
    assert changes[-2:] == [(f"key {KEY}", "customer"), (f"key {KEY}", "key")]
    found.close()


def found_changes(found):
    """Return the trail."""
    return perform(found, "ledger.changes", {}, by="uid 1")["result"]


@pytest.mark.parametrize(
    "command", ["ledger.reconcile", "ledger.reverse", "keys.import", "report.margin", "brew.coffee"]
)
def test_what_is_not_theirs_is_refused(found, command):
    """A worker that was taken over could ask no more than the routes it has."""
    assert ask(Administration(found), command, {"export": "/etc/passwd"})["unknown"] is True
    found.close()


def test_a_bug_in_a_command_is_an_answer(found):
    """The keeper lives on, and who asked hears that it failed."""
    assert ask(Administration(found), "keys.create", {"nonsense": 1}) == {
        "failed": "the server failed at this command; its log says why"
    }
    found.close()


@pytest.mark.parametrize(
    ("command", "args"),
    [("keys.create", ACME), ("credits.grant", grant()), ("customers.create", {"customer": "new", "plan": None})],
)
def test_asked_again_it_is_answered_and_not_done_again(found, command, args):
    """The same idempotency key and request: the first answer, a new key's text included."""
    desk = Administration(found)

    first = ask(desk, command, args, claim="i1")
    before = found.books.journal.offset
    second = ask(desk, command, args, claim="i1")

    assert first == second
    assert "result" in first
    assert found.books.journal.offset == before
    found.close()


def test_another_request_under_the_same_key_is_told_so(found):
    """And another admin key's idempotency keys are its own."""
    desk = Administration(found)
    first = ask(desk, "keys.create", ACME, claim="i1")

    assert ask(desk, "keys.create", ACME, claim="i1", request="r2") == {"reused": True}
    assert ask(desk, "keys.create", ACME, claim="i1", key="other")["result"]["id"] != first["result"]["id"]
    found.close()


def test_what_was_refused_may_be_asked_again(found):
    """A refusal is not kept: nothing was done."""
    desk = Administration(found)
    refused = ask(desk, "customers.move", {"customer": "acme", "plan": "hard"}, claim="i1")
    create_key(found, "acme")

    assert refused["unknown"] is True
    assert "result" in ask(desk, "customers.move", {"customer": "acme", "plan": "hard"}, claim="i1")
    found.close()


def test_after_a_restart_a_key_is_not_made_again(found):
    """What was made is named; its text is nowhere."""
    made = ask(Administration(found), "keys.create", ACME, claim="i1")["result"]
    old, _ = create_key(found, "acme")
    rotated = ask(Administration(found), "keys.rotate", {"id": old, "overlap": "1h"}, claim="i2")["result"]

    reopened = again(found)
    desk = Administration(reopened)

    for command, args, id_, claim in (
        ("keys.create", ACME, made["id"], "i1"),
        ("keys.rotate", {"id": old, "overlap": "1h"}, rotated["id"], "i2"),
    ):
        answer = ask(desk, command, args, claim=claim)
        assert list(answer) == ["gone"]
        assert id_ in answer["gone"]
    assert len(reopened.books.state.keys) == 3
    reopened.close()


def test_after_a_restart_a_grant_is_not_given_again(found):
    """The balance is that of today; another amount under the same idempotency key is another request."""
    first = ask(Administration(found), "credits.grant", grant(), claim="i1")["result"]

    reopened = again(found)

    def again_asked(**other):
        return ask(Administration(reopened), "credits.grant", grant(**other), claim="i1")

    assert again_asked()["result"] == first
    assert again_asked(milli=7_000) == {"reused": True}
    assert again_asked(customer="globex") == {"reused": True}
    assert first["available"] == 5
    assert sound(reopened) == []
    reopened.close()


def test_what_is_kept_is_bounded(found, monkeypatch):
    """In number and in age. A grant is still not given twice: its name follows from the idempotency key."""
    desk = Administration(found)
    monkeypatch.setattr("proxy.keeper.administering.KEPT_MAX", 3)
    for n in range(5):
        ask(desk, "credits.grant", grant(), claim=f"i{n}")
    assert len(desk._kept) == 3 < KEPT_MAX

    ask(desk, "credits.grant", grant(), claim="i0")
    now = time.time_ns() + KEPT_NS + 1
    monkeypatch.setattr(time, "time_ns", lambda: now)
    answer = ask(desk, "credits.grant", grant(), claim="i0")

    assert len(desk._kept) == 1
    assert answer["result"]["available"] == 5 * 5
    found.close()
