"""The margin guard over real books: what it reads, whom it tells, what it remembers, what it costs."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from margin.ledger import trail
from margin.ledger.store import LedgerBusy
from proxy.identity import Identity
from proxy.keeper.commands import perform
from proxy.keeper.guarding import AT_ONCE, Guarding
from proxy.keeper.link import KeeperLink
from proxy.settings.floors import Floor, Floors, Guard
from tests.keeper.offices import office
from tests.keeper.test_spending import Clock
from tests.margin import bookkeeping
from tests.margin.bookkeeping import begun, line, settled

USD = 10**9
FLOOR = Floor(Decimal("0.5"), ("tighten", "cap_simple", "alert", "refuse"))
TERMS = Guard(over="day", evidence_nusd=USD, loss_nusd=USD)
MINUTE = 60 * USD


@pytest.fixture
def clock() -> Clock:
    """Noon of some day."""
    return Clock("2026-11-20T12:00:00")


@pytest.fixture
def found(tmp_path):
    """Return an office whose customers of the plan open have a floor; 1 is acme, 2 globex."""
    opened = office(tmp_path / "data")
    opened.open_customer("acme")
    opened.open_customer("globex")
    guarded(opened, Floors(TERMS, plans={"open": FLOOR}))
    opened.take_changes()
    yield opened
    opened.close()


@pytest.fixture
def worker(found):
    """Return a worker's journal."""
    return bookkeeping.Worker(found.settings.server.data_dir)


def guarded(found, floors: Floors) -> None:
    """Put floors into the configuration."""
    routing = replace(found.settings.routing, floors=floors)
    found.settings = replace(found.settings, routing=routing)


def spend(found, worker, x: str, usd: float, t: int) -> None:
    """Have a customer's exchange cost something, now."""
    worker.write(begun(x, 0, t=t), settled(x, 0, line(round(usd * USD)), t=t))
    found.fold_all()


def steps(found) -> list[tuple[int, list[str]]]:
    """What the workers are told since the last time."""
    return [(each["guarded"], each["steps"]) for each in found.take_changes() if "guarded" in each]


def test_a_customer_below_its_floor_is_told_of_step_by_step(found, worker, clock):
    """The plan earns nothing, and its loss is bounded at a dollar: up the ladder, each step noted for good."""
    guarding = Guarding(found, clock)
    spend(found, worker, "x1", 0.99, clock.t)
    guarding.look()
    assert steps(found) == []

    spend(found, worker, "x2", 0.01, clock.t)
    told = []
    for _ in range(4):
        guarding.look()
        told += steps(found)
        clock.t += 5 * MINUTE
    assert told == [(1, list(FLOOR.steps[:count])) for count in (1, 2, 3, 4)]

    assert guarding.told() == [{"guarded": 1, "steps": list(FLOOR.steps)}]
    assert guarding.stands() == {("open", step): 1 for step in FLOOR.steps}
    assert (guarding.below, guarding.short_nusd) == ({"open": 1}, {"open": USD})
    rows = trail.changes(found.books.store.db, count_max=100)
    assert [row.content["steps"] for row in rows if row.kind == "guarded"] == [
        list(FLOOR.steps[:n]) for n in range(1, 5)
    ]


def test_after_a_restart_the_steps_hold(found, worker, clock):
    """The trail says where the guard stood; a ladder that was rewritten meanwhile begins anew."""
    spend(found, worker, "x1", 5, clock.t)
    Guarding(found, clock).look()
    steps(found)

    again = Guarding(found, clock)
    assert again.told() == [{"guarded": 1, "steps": ["tighten"]}]
    again.look()
    assert steps(found) == []

    guarded(found, Floors(TERMS, plans={"open": replace(FLOOR, steps=("alert",))}))
    rewritten = Guarding(found, clock)
    rewritten.look()
    assert steps(found) == [(1, ["alert"])]


def test_a_floor_that_is_taken_away_lets_go(found, worker, clock):
    """By a reload; the workers hear of it."""
    guarding = Guarding(found, clock)
    spend(found, worker, "x1", 5, clock.t)
    guarding.look()
    assert steps(found) == [(1, ["tighten"])]

    guarded(found, Floors())
    guarding.look_if_due()

    assert steps(found) == [(1, [])]
    assert guarding.told() == []


def test_a_single_customer_s_floor_goes_before_its_plan_s(found, worker, clock):
    """By name."""
    guarded(found, Floors(TERMS, everybody=FLOOR, customers={"acme": replace(FLOOR, steps=("alert",))}))
    spend(found, worker, "x1", 5, clock.t)

    Guarding(found, clock).look()

    assert steps(found) == [(1, ["alert"])]


def test_many_customers_are_looked_at_some_at_a_time(found, worker, clock):
    """One turn of the keeper's loop takes at most so many; nobody is left out."""
    guarding = Guarding(found, clock)
    spend(found, worker, "x1", 5, clock.t)
    guarding._begin()
    guarding._due = [1] + [2] * AT_ONCE
    guarding.look_if_due()
    assert steps(found) == []

    guarding.look_if_due()
    assert steps(found) == [(1, ["tighten"])]


def test_the_moves_of_a_turn_are_noted_together_or_not_at_all(found, worker, clock, monkeypatch):
    """One sync for all; while the ledger is locked nobody is told, and then everybody."""
    guarding = Guarding(found, clock)
    worker.write(*(each for n in (1, 2) for each in (begun(f"x{n}", 0, of=n, t=clock.t),
                                                     settled(f"x{n}", 0, line(5 * USD), t=clock.t))))  # fmt: skip
    found.fold_all()
    act, acts = found.act, []

    def busy(*done):
        raise LedgerBusy

    monkeypatch.setattr(found, "act", busy)
    with pytest.raises(LedgerBusy):
        guarding.look()
    assert (steps(found), guarding.told()) == ([], [])

    monkeypatch.setattr(found, "act", lambda *done: (acts.append(len(done)), act(*done)))
    guarding.look_if_due()
    assert acts == [2]
    assert steps(found) == [(1, ["tighten"]), (2, ["tighten"])]
    assert guarding.below == {"open": 2}


def test_the_report_names_customer_floor_and_what_is_missing(found, worker, clock, monkeypatch):
    """From the ledger and the trail, whether a server runs or not; who has no floor is not in it."""
    monkeypatch.setattr("time.time_ns", clock)
    guarded(found, Floors(TERMS, customers={"acme": FLOOR}))
    spend(found, worker, "x1", 5, clock.t)
    Guarding(found, clock).look()

    (row,) = perform(found, "report.floors", {}, by="test")["result"]

    assert row == {
        "customer": "acme", "plan": "open", "floor": 0.5, "margin": None, "revenue_nusd": 0, "cost_nusd": 5 * USD,
        "short_nusd": 5 * USD, "standing": "below", "steps": ["tighten"], "since": "2026-11-20T12:00:00Z",
    }  # fmt: skip


def test_a_worker_does_what_it_is_told_and_forgets_it() -> None:
    """Steps as a change; none is an end."""
    frames: Any = type("Frames", (), {"send": lambda _, message: None})()
    link = KeeperLink(frames, Identity())

    link._hear({"changes": [{"guarded": 1, "steps": ["tighten", "cap_medium", "refuse"]}], "number": 1})
    acts = link.guarded[1]
    assert (acts.tightens, acts.cap, acts.flex, acts.refuses) == (True, "medium", False, True)

    link._hear({"changes": [{"guarded": 1, "steps": []}], "number": 2})
    assert link.guarded == {}
