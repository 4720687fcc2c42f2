"""Keys by command: what they may be bound to, how they change, rotate, end, and are taken over from elsewhere."""

import hashlib
import time

import orjson
import pytest

from proxy.keeper.commands import perform
from proxy.keeper.key_terms import TERMS, check_terms
from proxy.keeper.refusing import Refused
from tests.keeper.offices import again, office, sound
from tests.proxy.test_policy import _settings

UID = "uid 1000"
DAY_NS = 24 * 3600 * 10**9


@pytest.fixture
def found(tmp_path):
    """An open office."""
    opened = office(tmp_path / "data")
    yield opened
    opened.close()


def asked(found, command, **args):
    """Perform a command that succeeds; its answer is plain JSON."""
    answer = perform(found, command, args, by=UID)
    assert set(answer) == {"result"}, answer
    assert orjson.loads(orjson.dumps(answer)) == answer
    return answer["result"]


def refusal(found, command, **args):
    """Perform a command that is refused; nothing is written. Return the sentence and the field."""
    before = found.books.journal.offset
    answer = perform(found, command, args, by=UID)
    assert found.books.journal.offset == before
    return answer["refused"], answer["param"]


def made(found, **args):
    """Create a key of acme's."""
    return asked(found, "keys.create", **{"customer": "acme", "scopes": ["serve"], **args})


def listed(found):
    """Return all keys by id."""
    return {row["id"]: row for row in asked(found, "keys.list")}


BOUND = {
    "expires": "2200-12-31T00:00:00Z",
    "models": ["gpt-6-luna"],
    "tiers": ["complex", "simple"],
    "surfaces": ["usage", "chat"],
    "ips": ["10.1.2.3", "2001:DB8::/32", "10.1.2.3"],
    "metadata": {"team": "search", "ticket": "OPS-7"},
}


def test_everything_that_can_be_said_of_a_key(found):
    """It is said again when the key is made and listed, in one order and one spelling; workers hear of it."""
    key = made(found, **BOUND)

    terms = {
        "expires": "2200-12-31T00:00:00Z", "models": ["gpt-6-luna"], "tiers": ["simple", "complex"],
        "surfaces": ["chat", "usage"], "ips": ["10.1.2.3/32", "2001:db8::/32"], "metadata": BOUND["metadata"],
    }  # fmt: skip
    assert {name: key[name] for name in terms} == terms
    assert {name: listed(found)[key["id"]][name] for name in terms} == terms
    (told,) = [change for change in found.take_changes() if change.get("key") == key["id"]]
    assert told["terms"] == {
        "expires_t": told["terms"]["expires_t"], "models": ["gpt-6-luna"], "tiers": ["simple", "complex"],
        "surfaces": ["chat", "usage"], "ips": ["10.1.2.3/32", "2001:db8::/32"],
    }  # fmt: skip


def test_an_expiry_after_a_time(found):
    """A month from now, to the second."""
    key = made(found, expires="30d")

    (told,) = [change for change in found.take_changes() if "digest" in change]
    assert abs(told["terms"]["expires_t"] - time.time_ns() - 30 * DAY_NS) < 60 * 10**9
    assert key["expires"].endswith("Z")


@pytest.mark.parametrize(
    ("terms", "sentence", "param"),
    [
        ({"expires": "soon"}, "`expires` must be a time such as 30d", "expires"),
        ({"expires": "0s"}, "`expires` must be in the future", "expires"),
        ({"expires": "2020-01-01T00:00:00Z"}, "`expires` must be in the future", "expires"),
        ({"expires": "2999-01-01T00:00:00Z"}, "before the year 2262", "expires"),
        ({"expires": "2100-01-01T00:00:00"}, "`expires` must be a time", "expires"),
        ({"expires": 5}, "`expires` must be a time", "expires"),
        ({"models": ["gpt-6-lunar"]}, '"gpt-6-lunar" is no model; did you mean "gpt-6-luna"?', "models"),
        ({"models": ["gpt-4o"]}, '"gpt-4o" is an alias; name the model that it stands for', "models"),
        ({"models": []}, "`models` must name at least one", "models"),
        ({"models": "gpt-6-luna"}, "`models` must be a list of texts", "models"),
        ({"models": [5]}, "`models` must be a list of texts", "models"),
        ({"tiers": ["huge"]}, '"huge" is no tier; tiers are: simple, medium, complex', "tiers"),
        (
            {"surfaces": ["batch"]},
            '"batch" is no surface; surfaces are: chat, messages, responses, completions, embeddings, models, usage',
            "surfaces",
        ),
        ({"ips": ["10.1.2.3/8"]}, "the network is 10.0.0.0/8", "ips"),
        ({"ips": ["example.com"]}, '"example.com" in `ips` must be a network', "ips"),
        ({"ips": ["10.0.0.0/8"] * 101}, "`ips` may name up to 100", "ips"),
        ({"budget": ["5/day", "6/day"]}, "`budget` states two hard budgets of cost per day", "budget"),
        (
            {"budget": ["5/day", {"limit": "5/day", "action": "soft"}]},
            "`budget` has a soft budget that is not below the hard one per day",
            "budget",
        ),
        (
            {"budget": [{"limit": "6/day", "action": "downgrade"}, "5/day"]},
            "`budget` has a downgrade budget that is not below the hard one per day",
            "budget",
        ),
        ({"metadata": {"a": 5}}, "`metadata` must be texts by name", "metadata"),
        ({"metadata": ["a"]}, "`metadata` must be texts by name", "metadata"),
        ({"metadata": {"": "x"}}, "a name in `metadata` must be 1 to 64", "metadata"),
        ({"metadata": {"a": "x" * 513}}, "`metadata.a` must be up to 512", "metadata.a"),
        ({"metadata": {"a": "x\ny"}}, "`metadata.a` must be up to 512 printable", "metadata.a"),
        ({"metadata": {f"n{n}": "x" for n in range(17)}}, "`metadata` may have up to 16", "metadata"),
    ],
)
def test_what_cannot_be_said_of_a_key(found, terms, sentence, param):
    """A sentence and the field, and no key; not of a key that is there either."""
    key = made(found)

    for command, args in (
        ("keys.create", {"customer": "new", "scopes": ["serve"]}),
        ("keys.change", {"id": key["id"]}),
    ):
        said, field = refusal(found, command, **args, **terms)
        assert sentence in said
        assert field == param
    assert list(listed(found)) == [key["id"]]


def test_lists_that_leave_nothing_are_refused():
    """The one model is in none of the tiers: such a key could ask for nothing."""
    settings = _settings()

    check_terms(settings, {"models": ["small"], "tiers": ["simple"]})
    with pytest.raises(Refused, match="could ask for nothing"):
        check_terms(settings, {"models": ["small"], "tiers": ["complex"]})


def test_a_change_touches_what_it_names(found):
    """The rest stays, null takes a bound away, notes are merged; the trail says from what to what, and no note."""
    key = made(found, expires="30d", tiers=["simple"], metadata={"team": "search", "owner": "ada"})

    row = asked(
        found, "keys.change", id=key["id"], tiers=None, surfaces=["chat"], scopes=["serve", "see-cost"],
        metadata={"owner": None, "cost-centre": "7"},
    )  # fmt: skip

    assert (row["expires"], row["tiers"], row["surfaces"]) == (key["expires"], None, ["chat"])
    assert (row["scopes"], row["metadata"]) == (["serve", "see-cost"], {"team": "search", "cost-centre": "7"})
    last = asked(found, "ledger.changes")[-1]
    assert (last["by"], last["kind"], last["content"]["id"]) == (UID, "key_changed", key["id"])
    assert last["content"]["diff"] == [
        ["tiers", ["simple"], None], ["surfaces", None, ["chat"]], ["scopes", ["serve"], ["serve", "see-cost"]],
        ["metadata", None, None],
    ]  # fmt: skip
    assert "search" not in str(last)


def test_every_bound_can_be_taken_away(found):
    """Null for each of them, one at a time."""
    key = made(found, **BOUND, rpm=5, tpm=5, rpd=5, tpd=5, concurrency=5, budget="5/day", paused=True)

    for name in TERMS:
        row = asked(found, "keys.change", id=key["id"], **{name: None})
        assert not row[name], name


def test_a_change_that_changes_nothing_is_none(found):
    """No record, no row in the trail."""
    key = made(found, tiers=["simple"], metadata={"team": "search"})
    before = found.books.journal.offset

    asked(found, "keys.change", id=key["id"], tiers=["simple"], metadata={"team": "search"})

    assert found.books.journal.offset == before


def test_notes_are_taken_away_together(found):
    """Null for all of them."""
    key = made(found, metadata={"team": "search"})

    assert asked(found, "keys.change", id=key["id"], metadata=None)["metadata"] == {}


def test_a_rotated_key_goes_on_for_the_overlap(found):
    """The new one is like the old, notes included, and ends when the old one would have; the old one ends sooner."""
    old = made(found, expires="30d", tiers=["simple"], metadata={"team": "search"}, scopes=["serve", "see-cost"])

    new = asked(found, "keys.rotate", id=old["id"], overlap="1h", expires=None)

    same = ("customer", "scopes", "tiers", "metadata", "expires")
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert (new["replaces"], new["key"] != old["key"]) == (old["id"], True)
    assert listed(found)[old["id"]]["expires"] == new["old_expires"] < old["expires"]
    told = {change["key"]: change["terms"]["expires_t"] for change in found.take_changes() if "digest" in change}
    assert abs(told[old["id"]] - time.time_ns() - DAY_NS // 24) < 60 * 10**9


def test_a_rotation_with_an_end_of_its_own(found):
    """The old one's sooner end stays; a key that never ended gets one."""
    old, forever = made(found, expires="10m"), made(found)

    new = asked(found, "keys.rotate", id=old["id"], overlap="1h", expires="90d")
    other = asked(found, "keys.rotate", id=forever["id"], overlap="0s", expires=None)

    assert new["old_expires"] == old["expires"] < new["expires"]
    assert (other["expires"], listed(found)[forever["id"]]["expires"]) == (None, other["old_expires"])


@pytest.mark.parametrize(
    ("overlap", "sentence"), [("soon", "must be a duration"), (5, "must be a duration"), ("367d", "up to 366d")]
)
def test_an_overlap_is_a_duration_and_has_a_limit(found, overlap, sentence):
    """With the field named."""
    key = made(found)

    said, param = refusal(found, "keys.rotate", id=key["id"], overlap=overlap, expires=None)

    assert (sentence in said, param) == (True, "overlap")


def test_an_expired_key_is_rotated_only_with_a_new_end(found, monkeypatch):
    """Else the new one would be born dead."""
    old = made(found, expires="1h")
    later = time.time_ns() + DAY_NS
    monkeypatch.setattr(time, "time_ns", lambda: later)

    said, param = refusal(found, "keys.rotate", id=old["id"], overlap="1h", expires=None)

    assert ("has expired" in said, param) == (True, "expires")
    assert asked(found, "keys.rotate", id=old["id"], overlap="1h", expires="1d")["expires"]


@pytest.mark.parametrize("command", ["keys.change", "keys.rotate", "keys.revoke"])
def test_a_key_that_is_not_live_stays_as_it_is(found, command):
    """Revoked or never there: named as such."""
    key = made(found)
    asked(found, "keys.revoke", id=key["id"])

    for id_ in (key["id"], "never"):
        answer = perform(found, command, {"id": id_, "overlap": "1h", "tiers": ["simple"]}, by=UID)
        assert answer == {"refused": f'there is no live key "{id_}"', "param": None, "unknown": True}


def test_keys_are_listed_in_parts(found):
    """By customer, and from a key on."""
    keys = [made(found, customer=who)["id"] for who in ("acme", "globex", "acme", "acme")]

    mine = [row["id"] for row in asked(found, "keys.list", customer="acme")]
    assert set(mine) == {keys[0], keys[2], keys[3]}
    assert [row["id"] for row in asked(found, "keys.list", customer="acme", after=mine[0], limit=1)] == [mine[1]]
    assert refusal(found, "keys.list", after="never") == ('there is no key "never" to list on from', "after")


def digested(secret):
    """The digest of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def row(line, secret, **more):
    """A line of an import."""
    return {"line": line, "customer": "acme", "scopes": ["serve"], "digest": digested(secret), **more}


def test_an_import_takes_keys_over(found):
    """With their digests, terms and notes, in one record; the trail names them."""
    rows = [row(1, "sk-theirs-1", tiers=["simple"], metadata={"team": "search"}), row(2, "sk-theirs-2", customer="new")]

    made_ = asked(found, "keys.import", keys=rows)

    assert [(each["customer"], each["tiers"], each["metadata"]) for each in made_] == [
        ("acme", ["simple"], {"team": "search"}), ("new", None, {})
    ]  # fmt: skip
    digests = {change["digest"] for change in found.take_changes() if "digest" in change}
    assert digests == {digested("sk-theirs-1"), digested("sk-theirs-2")}
    last = asked(found, "ledger.changes")[-1]
    assert (last["kind"], last["content"]["keys"]) == ("keys_imported", [each["id"] for each in made_])


def test_an_import_with_mistakes_takes_none(found):
    """Each line's mistake is named; also keys that are there already, in the file or here, alive or not."""
    mine = made(found)
    asked(found, "keys.revoke", id=mine["id"])
    rows = [
        row(1, "sk-fine"), row(3, "sk-a", tiers=["huge"]), row(4, "sk-b", customer=""), row(5, "sk-fine"),
        row(6, mine["key"]), row(7, "sk-c") | {"digest": "abc"}, row(8, "sk-d", ips=["10.0.0.1/8"]),
    ]  # fmt: skip

    said, _ = refusal(found, "keys.import", keys=rows)

    assert said.splitlines() == [
        "nothing was imported",
        'line 3: "huge" is no tier; tiers are: simple, medium, complex',
        "line 4: a customer's name must be 1 to 128 printable characters",
        "line 5: the key is there already (line 1)",
        f"line 6: the key is there already (key {mine['id']})",
        "line 7: `digest` must be the SHA-256 of a key, in hex",
        'line 8: "10.0.0.1/8" in `ips` names an address within a network; the network is 10.0.0.0/8',
    ]
    assert list(listed(found)) == [mine["id"]]


def test_an_import_of_nothing_or_too_much(found):
    """Bounded, as one record of the journal holds it."""
    for rows in ([], [row(1, "sk-x")] * 10_001):
        assert "1 to 10000 keys" in refusal(found, "keys.import", keys=rows)[0]


def test_terms_outlive_a_restart_and_a_rebuild(tmp_path):
    """From the ledger as from the journals; notes are neither's."""
    found = office(tmp_path / "data")
    key = made(found, tiers=["simple"], expires="30d", metadata={"team": "canary-note"})
    asked(found, "keys.change", id=key["id"], surfaces=["chat"])
    asked(found, "keys.rotate", id=key["id"], overlap="1h", expires=None)
    asked(found, "keys.import", keys=[row(1, "sk-theirs", models=["gpt-6-luna"])])
    before = listed(found)

    reopened = again(found)

    assert listed(reopened) == before
    assert sound(reopened) == []
    for path in reopened.settings.server.data_dir.rglob("*"):
        assert "directory" in path.name or not path.is_file() or b"canary-note" not in path.read_bytes(), path
    reopened.close()
