"""Members of a customer: each has limits of its own, and its name is in no journal."""

from dataclasses import replace

import pytest

from proxy.identity import member_digest
from proxy.limits import bundles
from proxy.limits.bundles import REST, Bundles, Who
from proxy.limits.shares import Purse
from proxy.settings import Budget, Limits, Terms
from proxy.wire.errors import Malformed, OverBudget, OverLimit
from tests.proxy.scene import CUSTOMER, Scene, scene
from tests.proxy.test_limits import in_loop, share, under

NUSD = 10**9
EACH = Limits(key_defaults=Terms(), members=Terms(rpm=1))
ADA = {b"x-penstock-member": b"ada@example.com"}
BOB = {b"x-penstock-member": b"bob@example.com"}


def member_of(found: Scene, name: str) -> str:
    """Return what a member of the scene's customer is counted under."""
    return f"{CUSTOMER}:{member_digest(found.world.identity.member_secret, CUSTOMER, name)}"


@in_loop
async def test_each_member_has_limits_of_its_own(tmp_path):
    """One a minute each: the second of the same member is refused, and told its own limit; who names none is free."""
    async with scene(tmp_path) as found:
        under(found, EACH)
        served = await found.ask(headers=ADA)
        await found.ask(headers=BOB)
        with pytest.raises(OverLimit) as refused:
            await found.ask(headers=ADA)
        await found.ask()

        assert dict(served.headers)[b"x-ratelimit-remaining-requests"] == b"0"
        assert "The limit of this member is 1 requests per minute" in refused.value.message


@pytest.mark.parametrize(
    ("fields", "headers", "name"),
    [
        ({"user": "u-1"}, {}, "u-1"),
        ({"safety_identifier": "s-1"}, {}, "s-1"),
        ({"user": "u-1", "safety_identifier": "s-1"}, {}, "s-1"),
        ({"user": "u-1", "safety_identifier": "s-1"}, ADA, "ada@example.com"),
        ({"user": "", "safety_identifier": None}, {}, None),
        ({"user": "ü" * 5_000}, {}, "ü" * 5_000),
    ],
    ids=["user", "safety_identifier", "the newer one", "the header", "neither", "a long one"],
)
@in_loop
async def test_openai_s_fields_name_a_member_where_the_header_does_not(tmp_path, fields, headers, name):
    """Whatever was named last counts, and only its digest is written down."""
    async with scene(tmp_path) as found:
        under(found, EACH)
        await found.ask(headers=headers, **fields)

        held = found.records()[0]
        assert (f"{CUSTOMER}:{held['mb']}" if "mb" in held else None) == (
            None if name is None else member_of(found, name)
        )
        assert name is None or name.encode() not in found.journal.path.read_bytes()


@pytest.mark.parametrize("value", [b"", b" ", b"a\x01b", b"m" * 129, b"\xff\xfe"])
@in_loop
async def test_a_header_that_is_no_name_is_refused(tmp_path, value):
    """Before anything is held."""
    async with scene(tmp_path) as found:
        under(found, EACH)
        with pytest.raises(Malformed) as refused:
            await found.ask(headers={b"x-penstock-member": value})

        assert (refused.value.param, found.records()) == ("x-penstock-member", [])


@in_loop
async def test_a_member_s_budget_holds_and_spends(tmp_path):
    """It is as exact as any: a ceiling that does not fit is a 402, and the cost leaves the purse."""
    async with scene(tmp_path) as found:
        under(found, Limits(key_defaults=Terms(), members=Terms(budgets=(Budget(200_000, "day"),))))
        await found.ask(max_tokens=100, headers=ADA)
        purse, cost = share(found, "member", member_of(found, "ada@example.com"), "cost", "day cost hard"), found.end()
        assert isinstance(purse, Purse)
        assert (purse.size, purse.held) == (200_000 - cost["a"][0]["cost"], 0)
        with pytest.raises(OverBudget) as refused:
            await found.ask(max_tokens=1_000, headers=ADA)

        assert "The budget of this member for the day" in refused.value.message


@in_loop
async def test_the_tightest_of_all_members_the_customer_s_and_the_plan_s_binds(tmp_path):
    """Each may be stated; where none is, members are not even told apart."""
    async with scene(tmp_path) as found:
        tight, loose = {"sandbox": Terms(rpm=1)}, {"sandbox": Terms(rpm=9)}
        for limits in (
            replace(EACH, members_of_customers=loose),
            Limits(key_defaults=Terms(), members_of_customers=tight, members_of_plans=loose),
            Limits(key_defaults=Terms(), members_of_customers=loose, members_of_plans=tight),
        ):
            assert limits.of_member("sandbox", "sandbox").rpm == 1
        under(found, Limits(key_defaults=Terms(), members_of_customers={"other": Terms(rpm=1)}))
        await found.ask(headers=ADA)

        assert "mb" not in found.records()[0]


def test_the_same_name_is_another_member_elsewhere():
    """At another customer, and in another deployment: nobody can look one up from the other."""
    digests = {member_digest(secret, customer, "ada") for secret in (b"1" * 32, b"2" * 32) for customer in (1, 2)}

    assert len(digests) == 4


def named(found: Bundles, customer: int, names: range) -> list[str]:
    """Have members counted, and look their limits up."""
    counted = [found.counted(customer, f"{number:032x}") for number in names]
    for each in counted:
        found.look_up(Who("key", None, customer, "acme", "open", None, each), Limits(members=Terms(rpm=5)))
    return counted


def test_a_crowd_of_made_up_members_stays_small(monkeypatch):
    """Half of the room is one customer's, of what is left half is another's; the others of each count as one."""
    monkeypatch.setattr(bundles, "MEMBERS_MAX", 64)
    found = Bundles()

    crowd, other = named(found, 1, range(1_000)), named(found, 2, range(1_000))

    assert (len(set(crowd)), crowd[-1], len(set(other)), other[-1]) == (33, REST, 17, REST)
    assert len(found.guard.names("member")) == 33 + 17
    assert named(found, 1, range(3)) == crowd[:3]


def test_members_that_nothing_is_in_use_of_make_room(monkeypatch):
    """Their shares go back; who has something open stays."""
    monkeypatch.setattr(bundles, "MEMBERS_MAX", 64)
    found = Bundles()
    crowd = named(found, 1, range(100))
    busy = found.look_up(Who("key", None, 1, "acme", "open", None, crowd[0]), Limits(members=Terms(concurrency=5)))
    next(each for each in busy.shares if each.name.kind == "member").take(1, 0)

    found.drop_idle()

    assert [name.id for name in found.guard.names("member")] == [f"1:{crowd[0]}"]
    assert REST not in named(found, 1, range(200, 220))


@in_loop
async def test_a_plan_s_customers_share_what_it_has_together(tmp_path):
    """One a minute for all of them: the other customer of the plan is refused, and hears no figure."""
    async with scene(tmp_path) as found:
        under(found, Limits(key_defaults=Terms(), together={"sandbox": Terms(rpm=1)}))
        served = await found.ask()
        found.principal = replace(found.principal, key="key_2", customer=2, name="other")
        with pytest.raises(OverLimit) as refused:
            await found.ask()

        assert "A limit of this plan is reached" in refused.value.message
        assert not any(name.startswith(b"x-ratelimit") for name, _ in served.headers)
