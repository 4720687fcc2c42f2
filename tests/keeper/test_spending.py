"""Budgets as the keeper knows them: spent by the ledger, in the period that is now, whoever died meanwhile."""

import asyncio
import time
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from margin import records
from proxy.cli import changes
from proxy.keeper.budgets import Budgets, band
from proxy.keeper.commands import perform
from proxy.keeper.counter import Counter
from proxy.keeper.loans import Loans
from proxy.keeper.runaway import Runaway
from proxy.keeper.server import KeeperServer
from proxy.keeper.spending import Ledgered
from proxy.limits.periods import HOUR_NS
from proxy.limits.shares import Name
from proxy.settings import Budget, Limits
from proxy.settings import Runaway as Terms
from proxy.settings import Terms as Limited
from tests.keeper.offices import office, sound
from tests.margin import bookkeeping
from tests.margin.bookkeeping import at, begun, line, settled

NUSD = 10**9
DAILY = Name("key", "k1", "cost", "day cost hard")
MONTHLY = Name("customer", "1", "cost", "month cost hard")
ROLLING = Name("all", "", "cost", "24h cost hard")
REQUESTS = Name("key", "k1", "requests", "day")


class Clock:
    """The wall clock, as a test sets it."""

    def __init__(self, text: str) -> None:
        self.t = at(text)

    def __call__(self) -> int:
        return self.t


class Alone:
    """The only worker."""

    def __init__(self, journal: str) -> None:
        self.journal: str | None = journal

    async def recall_share(self, name: Name, need: int) -> int | None:
        """Nobody asks it."""
        raise NotImplementedError


@pytest.fixture
def found(tmp_path):
    """Return an office with customer 1."""
    opened = office(tmp_path / "data")
    opened.open_customer("acme")
    yield opened
    opened.close()


def spend(found, worker, x: str, cost: int, t: int) -> None:
    """Have a worker journal an exchange that was admitted at `t`."""
    worker.write(begun(x, 0, t=t), settled(x, 0, line(cost), t=t + 10**9))


@pytest.fixture
def worker(found):
    """Return a worker's journal."""
    return bookkeeping.Worker(found.settings.server.data_dir)


def test_what_is_spent_is_of_the_period_that_is_now(found, worker):
    """A day, a month with a leap day, and rolling hours, each to the second."""
    clock = Clock("2028-02-29T23:59:59")
    books = Ledgered(found, clock)
    spend(found, worker, "x1", 100, at("2028-02-01T00:00:00"))
    spend(found, worker, "x2", 20, at("2028-02-29T12:00:00"))
    spend(found, worker, "x3", 3, at("2028-02-29T23:59:59"))

    assert [books.spent_nusd(each) for each in (DAILY, MONTHLY, ROLLING)] == [23, 123, 23]
    assert books.resets_ns(DAILY) == books.resets_ns(MONTHLY) == 10**9
    clock.t += 10**9
    assert [books.spent_nusd(each) for each in (DAILY, MONTHLY, ROLLING)] == [0, 0, 23]
    clock.t = at("2028-03-01T12:59:59")
    assert books.spent_nusd(ROLLING) == 23
    clock.t = at("2028-03-01T13:00:00")
    assert books.spent_nusd(ROLLING) == 3


def test_members_and_plans_are_counted_and_told(found, worker):
    """A member's part is told with its customer's; a plan's together is a metric, with what is left and until when."""
    clock = Clock("2026-11-20T12:00:00")
    limits = Limits(
        members=Limited(budgets=(Budget(1_000, "day"),)), together={"open": Limited(budgets=(Budget(2_000, "day"),))}
    )
    found.settings = replace(found.settings, limits=limits)
    worker.write(begun("x1", 0, t=clock.t) | {"mb": "abc"}, settled("x1", 0, line(250), t=clock.t))
    books = Ledgered(found, clock)

    assert books.spent_nusd(Name("member", "1:abc", "cost", "day cost hard")) == 250
    assert books.spent_nusd(Name("plan", "open", "cost", "day cost hard")) == 250
    told = Budgets(found, clock)
    (row,) = told.of_customer(1, None, "abc")
    assert (row["kind"], row["spent"], row["remaining"], row["resets"]) == (
        "member",
        0.25,
        0.75,
        "2026-11-21T00:00:00Z",
    )
    (left,) = told.look().left
    assert (left.kind, left.subject, left.remaining_usd, left.reset_s) == ("plan", "open", 1_750 / NUSD, 12 * 3600)
    assert told.look().least["plan", "hard"] == 0.875


def test_a_budget_of_charges_is_told_in_dollars(found, worker):
    """Customers know what they pay; of what we pay they hear parts."""
    clock = Clock("2026-11-20T12:00:00")
    limits = Limits(customers={"acme": Limited(budgets=(Budget(NUSD, "day", of="charge"), Budget(NUSD, "day")))})
    found.settings = replace(found.settings, limits=limits)

    charge, cost = Budgets(found, clock).of_customer(1, None)

    assert (charge["remaining_usd"], "remaining_usd" in cost) == (1.0, False)


def test_a_restart_and_a_dead_worker_lose_no_cent(found, worker, tmp_path):
    """What a worker journalled counts for the next keeper, also what it never closed."""
    t = at("2026-11-20T10:00:00")
    spend(found, worker, "x1", 700, t)
    worker.write(begun("x2", 0, t=t, cost=50))
    found.recover({worker.path.name})

    books = Ledgered(found, Clock("2026-11-20T10:30:00"))

    assert books.spent_nusd(DAILY) == 750
    assert books.used(REQUESTS) == [(2, int(24.5 * HOUR_NS))]
    assert sound(found) == []


def test_a_dead_lone_worker_leaves_the_day_but_for_what_it_used(found, worker):
    """Lent a thousand requests of a day, it made one: the next worker is lent 999, by the books."""
    clock = Clock("2026-11-20T10:00:00")
    holder = Alone(worker.path.name)
    counter = Counter(Loans(), [holder], Ledgered(found, clock), lambda: clock.t)
    minute = Name("key", "k1", "requests", "minute")
    asked = {"limit": 1_000, "need": 1, "wish": 1, "back": 0, "frees": None}
    for name in (REQUESTS, minute):
        assert asyncio.run(counter.lend(holder, asked | {"name": name.text}))["count"] == 1_000
    spend(found, worker, "x1", 100, clock.t)

    asyncio.run(counter.bury(worker.path.name))
    holder.journal = "another"

    for name in (REQUESTS, minute):
        assert asyncio.run(counter.lend(holder, asked | {"name": name.text}))["count"] == 999


def test_a_lease_of_one_period_goes_on_in_the_next(found, worker):
    """1,000 a day: 600 spent, 400 lent. After midnight the 400 are still lent, and 600 more are, not 1,000."""
    clock = Clock("2026-11-20T23:59:00")
    loans = Loans()
    holder = Alone(worker.path.name)
    counter = Counter(loans, [holder], Ledgered(found, clock))
    spend(found, worker, "x1", 600, clock.t)
    asked = {"name": DAILY.text, "limit": 1_000, "need": 10, "wish": 10, "back": 0, "frees": None}

    first = asyncio.run(counter.lend(holder, dict(asked)))
    clock.t += 120 * 10**9
    second = asyncio.run(counter.lend(holder, dict(asked)))
    third = asyncio.run(counter.lend(holder, dict(asked)))

    assert (first["count"], second["count"]) == (400, 600)
    assert (first["spent"], first["resets"]) == (600, 60 * 10**9)
    assert third == {"no": DAILY.text, "available": 1_000, "final": False, "frees": None, "spent": 0,
                     "resets": 24 * HOUR_NS - 60 * 10**9}  # fmt: skip


def test_no_is_final_when_it_is_spent(found, worker):
    """It says when the period ends."""
    clock = Clock("2026-11-20T23:00:00")
    counter = Counter(Loans(), [holder := Alone(worker.path.name)], Ledgered(found, clock))
    spend(found, worker, "x1", 995, clock.t)

    said = asyncio.run(
        counter.lend(holder, {"name": DAILY.text, "limit": 1_000, "need": 10, "wish": 10, "back": 0, "frees": None})
    )

    assert said == {"no": DAILY.text, "available": 5, "final": True, "frees": HOUR_NS, "spent": 995, "resets": HOUR_NS}


def test_a_no_of_rolling_hours_says_when_enough_is_forgotten(found, worker):
    """595 spent at 20:00 and 400 at 22:00 of a thousand in 24 hours: room for ten comes with the first of them."""
    clock = Clock("2026-11-20T22:30:00")
    counter = Counter(Loans(), [holder := Alone(worker.path.name)], Ledgered(found, clock))
    spend(found, worker, "x1", 595, at("2026-11-20T20:00:00"))
    spend(found, worker, "x2", 400, at("2026-11-20T22:00:00"))
    asked = {"name": ROLLING.text, "limit": 1_000, "wish": 10, "back": 0, "frees": None}

    said = [asyncio.run(counter.lend(holder, asked | {"need": need}))["frees"] for need in (10, 601)]

    assert said == [int(22.5 * HOUR_NS), int(24.5 * HOUR_NS)]


def limited(found, **limits) -> None:
    """Put an office under other limits."""
    from dataclasses import replace

    found.settings = replace(found.settings, limits=Limits(**limits))


def test_budgets_are_told_by_how_far_they_are_spent(found, worker):
    """Every key's default, the customer's soft one, and a hard one that was overshot by what a provider billed."""
    limited(
        found,
        key_defaults=Limited(budgets=(Budget(1_000, "day"),)),
        customers={"acme": Limited(budgets=(Budget(800, "month", action="soft"),))},
        all=Limited(budgets=(Budget(600, "24h"),)),
    )
    spend(found, worker, "x1", 700, at("2026-11-20T10:00:00"))
    found.fold_all()

    spread = Budgets(found, Clock("2026-11-20T11:00:00")).look()

    said = {labels: count for labels, count in spread.counts.items() if count}
    assert said == {
        ("key", "hard", "50_to_80"): 1, ("customer", "soft", "80_to_100"): 1, ("all", "hard", "spent"): 1,
    }  # fmt: skip
    assert spread.overshot_nusd == 100


def test_a_spent_budget_is_told_of_without_a_scrape(found, worker, caplog):
    """The keeper's own turn looks; nobody need read its metrics."""
    limited(found, all=Limited(budgets=(Budget(600, "24h"),)))
    worker.write(begun("x1", 0, t=time.time_ns()), settled("x1", 0, line(700), t=time.time_ns()))
    found.fold_all()
    server = KeeperServer(found, sockets_of_nobody(), [], lambda: found.settings, asyncio.Event())

    server._look_at_spending()

    assert "the hard budget of all  per 24h is spent" in caplog.text


def sockets_of_nobody() -> Any:
    """Return ports that nothing binds."""
    return SimpleNamespace(api=None, metrics=None)


def test_a_customer_hears_of_its_budgets_in_parts(found, worker):
    """Which part is spent and when it begins anew, of itself and of its keys; in hundredths, no amount."""
    made = found_key(found)
    limited(found, customers={"acme": Limited(budgets=(Budget(8_000, "month", action="soft"),))})
    t = at("2026-11-20T10:00:00")
    worker.write(of_key(begun("x1", 0, t=t), made), settled("x1", 0, line(700), t=t))
    found.fold_all()

    rows = Budgets(found, Clock("2026-11-20T11:00:00")).of_customer(1, made)

    assert rows == [
        {
            "kind": "customer", "id": "1", "per": "month", "of": "cost", "action": "soft", "spent": 0.09,
            "remaining": 0.91, "resets": "2026-12-01T00:00:00Z",
        },
        {
            "kind": "key", "id": made, "per": "day", "of": "cost", "action": "hard", "spent": 0.01,
            "remaining": 0.99, "resets": "2026-11-21T00:00:00Z",
        },
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spent", "word"), [(0, "below_50"), (499, "below_50"), (500, "50_to_80"), (800, "80_to_100"), (1_000, "spent")]
)
def test_bands(spent, word):
    """Their edges belong to the band above."""
    assert band(spent, 1_000) == word


def test_who_spends_far_above_the_usual_is_told_of_and_paused(found, worker):
    """Usually a dollar an hour; twenty-one dollars in a minute are told once, and the key that spent them stops."""
    limited(found, runaway=Terms(Decimal(20), 5 * NUSD, "pause"))
    clock = Clock("2026-11-20T09:00:00")
    made = found_key(found)
    for day in range(1, 6):
        hour = at(f"2026-11-1{day}T10:00:00")
        worker.write(of_key(begun(f"u{day}", 0, t=hour), made), settled(f"u{day}", 0, line(NUSD), t=hour))
    found.fold_all()
    guard = Runaway(found, clock)
    assert round(guard.usual_nusd("1")) == round(NUSD / 60)

    clock.t += 60 * 10**9
    worker.write(of_key(begun("x1", 0, t=clock.t), made), settled("x1", 0, line(21 * NUSD), t=clock.t))
    found.fold_all()
    guard.look()
    clock.t += 60 * 10**9
    guard.look()

    assert guard.count == 1
    assert found.books.state.keys[made].terms == {"paused": True}
    trail = [row[0] for row in found.books.store.db.execute("SELECT kind FROM trail ORDER BY id")]
    assert trail[-2:] == ["runaway", "key_changed"]
    told = [
        row
        for row in perform(found, "ledger.changes", {"since": None}, by="test")["result"]
        if row["kind"] == "runaway"
    ]
    assert list(changes._told("runaway", told[0]["content"])) == [
        f"acme costs $21.00 a minute, usually $0.0167; key {made} is paused"
    ]
    assert sound(found) == []


def test_while_it_goes_on_the_next_key_is_paused(found, worker):
    """Two keys, the dearer one first; the other a minute later, within the hour that one telling is for."""
    limited(found, runaway=Terms(Decimal(20), 5 * NUSD, "pause"))
    clock = Clock("2026-11-20T09:00:00")
    dear, cheap = found_key(found), found_key(found)
    guard = Runaway(found, clock)
    paused = []
    for minute in range(3):
        clock.t += 60 * 10**9
        for key, cost in ((dear, 30 * NUSD), (cheap, 20 * NUSD)):  # what was under way is billed after the pause
            x = f"{key}-{minute}"
            worker.write(of_key(begun(x, 0, t=clock.t), key), settled(x, 0, line(cost), t=clock.t))
        found.fold_all()
        guard.look()
        paused.append([bool(found.books.state.keys[each].terms.get("paused")) for each in (dear, cheap)])

    assert paused == [[True, False], [True, True], [True, True]]
    assert guard.count == 1


def test_who_spends_as_usual_is_left_alone(found, worker):
    """Ten dollars a minute, as on all days, is above the floor and nobody's concern."""
    limited(found, runaway=Terms(Decimal(2), 5 * NUSD, "pause"))
    clock = Clock("2026-11-20T09:00:00")
    for day in range(1, 6):
        spend(found, worker, f"u{day}", 600 * NUSD, at(f"2026-11-1{day}T10:00:00"))
    found.fold_all()
    guard = Runaway(found, clock)

    clock.t += 60 * 10**9
    spend(found, worker, "x1", 10 * NUSD, clock.t)
    found.fold_all()
    guard.look()

    assert guard.count == 0


def found_key(found) -> str:
    """Return the id of a new key of customer 1."""
    from proxy.keeper import keyring
    from proxy.keeper.keyring import Wish

    made, _ = keyring.create(found, Wish("acme", ["serve"], {}, {}))
    return made.id


def of_key(record: records.Record, key: str) -> records.Record:
    """Return a hold of another key."""
    return record | {"key": key}


def rows_of(found) -> list[list]:
    """Return the budgets that the trail says were told of."""
    listed = perform(found, "ledger.changes", {"since": None}, by="test")["result"]
    return [row for each in listed if each["kind"] == "budgets_spent" for row in each["content"]["budgets"]]


def test_a_restart_tells_no_budget_again(found, worker):
    """Soft ones of a day once a day, of rolling hours once within so many, however often the keeper starts."""
    budgets = (Budget(500, "day", action="soft"), Budget(600, "3h", action="soft"), Budget(900, "day"))
    limited(found, all=Limited(budgets=budgets))
    clock = Clock("2026-11-20T10:30:00")
    spend(found, worker, "x1", 700, clock.t)
    found.fold_all()

    def told() -> list[list]:
        """What a keeper that just started tells."""
        before = len(rows_of(found))
        Budgets(found, clock).tell()
        return rows_of(found)[before:]

    first, again = told(), told()
    clock.t += HOUR_NS
    an_hour_later = told()
    clock.t = at("2026-11-21T08:00:00")
    spend(found, worker, "x2", 700, clock.t)
    found.fold_all()
    next_day = told()

    assert [row[:3] for row in first] == [["all", "", "3h cost soft"], ["all", "", "day cost soft"]]
    assert (again, an_hour_later) == ([], [])
    assert [row[2] for row in next_day] == ["3h cost soft", "day cost soft"]
    assert list(changes._told("budgets_spent", {"budgets": first})) == [
        "told that budgets are spent: all (3h cost soft), all (day cost soft)"
    ]
    assert sound(found) == []
