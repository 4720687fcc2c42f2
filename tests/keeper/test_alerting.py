"""Alerts of quotas over real books: at which percentages, of what, how often, and what a worker says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from margin import records
from margin.ledger import trail
from margin.ledger.store import LedgerBusy
from proxy.identity import Identity
from proxy.keeper.alerting import Alerting
from proxy.keeper.commands import perform
from proxy.keeper.link import KeeperLink
from proxy.keeper.office import Office
from proxy.keeper.webhooks import Webhooks
from proxy.settings.alerts import Alerts
from tests.keeper.offices import office
from tests.keeper.test_spending import Clock
from tests.margin import bookkeeping
from tests.margin.bookkeeping import CREDIT, begun, line, settled

PLANS = """\
default: starter
plans:
  starter: {credits: {included: 500, enforce: soft, overage: 0.40}}
  pro: {credits: {included: 2000, enforce: soft, overage: 0.40}}
  agent: {usage: {tokens: {price: 2, per: 1000000, included: 1200}}, items: {review: {price: 250, included: 2}}}
  team: {seats: {price: 30, included: 100}}
  quiet: {credits: {included: 500}, alerts: []}
"""


@pytest.fixture
def clock() -> Clock:
    """Noon of some day."""
    return Clock("2026-11-20T12:00:00")


@pytest.fixture
def found(tmp_path: Path):
    """Return an office with a customer, number 1, on the plan starter."""
    opened = office(tmp_path / "data", plans=PLANS)
    opened.open_customer("acme")
    opened.take_changes()
    yield opened
    opened.close()


class Traffic:
    """Exchanges of customer 1, by as many workers as there are names."""

    def __init__(self, found: Office, *names: str) -> None:
        self._found, self._count = found, 0
        self._workers = [bookkeeping.Worker(found.settings.server.data_dir, name) for name in names or ("worker-1",)]

    def spend(self, credits_count: int, t: int, *, plan: str = "starter", fold: bool = True) -> None:
        """Charge one exchange so many credits; each settles 120 tokens."""
        self._count += 1
        x, milli = f"x{self._count}", credits_count * CREDIT
        worker = self._workers[self._count % len(self._workers)]
        worker.write(begun(x, milli, plan=plan, t=t), settled(x, milli, line(), t=t))
        if fold:
            self._found.fold_all()


def alerting(found: Office, clock: Clock) -> Alerting:
    """Return what looks at quotas, as after a start."""
    return Alerting(found, Webhooks(found, now=clock), clock)


def noted(found: Office) -> list[tuple[str, int]]:
    """Return what the trail knows of alerts: of what, and at which percentage."""
    return [(alert["of"], alert["percent"]) for _, alert in trail.alerts(found.books.store.db, 0)]


def said(found: Office) -> list[tuple[int, str]]:
    """Return what workers are told since the last time."""
    return [(each["alerted"], each["words"]) for each in found.take_changes() if "alerted" in each]


def test_each_percentage_is_told_once(found: Office, clock: Clock) -> None:
    """Of 500 credits: 249 say nothing; 250, 400, 500 and 600 are 50, 80, 100 and 120 %; more says nothing new."""
    traffic, looking = Traffic(found), alerting(found, clock)
    told = []
    for credits_count in (249, 1, 150, 100, 99, 1, 400):
        traffic.spend(credits_count, clock.t)
        looking.look()
        looking.look()
        told.append(said(found))

    assert told == [
        [], [(1, "credits=50")], [(1, "credits=80")], [(1, "credits=100")], [], [(1, "credits=120")], [],
    ]  # fmt: skip
    assert noted(found) == [("credits", percent) for percent in (50, 80, 100, 120)]
    assert looking.counts == {("starter", "credits", percent): 1 for percent in (50, 80, 100, 120)}


def test_many_workers_at_once_cross_a_percentage_once(found: Office, clock: Clock) -> None:
    """Four workers' journals hold 40 charges that cross all four; folded in whatever order, each is told once."""
    traffic, looking = Traffic(found, "worker-1", "worker-2", "worker-3", "worker-4"), alerting(found, clock)
    for _ in range(40):
        traffic.spend(15, clock.t, fold=False)

    while found.fold_some():
        looking.look()
    looking.look()

    assert noted(found) == [("credits", percent) for percent in (50, 80, 100, 120)]
    assert said(found)[-1] == (1, "credits=120")


def test_neither_a_restart_nor_a_rebuild_tells_again(found: Office, clock: Clock, tmp_path: Path) -> None:
    """The process is killed and its ledger lost: the journals know what was told, and the next answers say it."""
    Traffic(found).spend(410, clock.t)
    alerting(found, clock).look()
    folder = bookkeeping.killed(found.settings.server.data_dir, tmp_path / "after" / "data")
    for file in folder.glob("ledger.sqlite*"):
        file.unlink()

    again = Office(replace(found.settings, server=replace(found.settings.server, data_dir=folder)), serving=True)
    try:
        looking = alerting(again, clock)
        assert looking.told() == [{"alerted": 1, "words": "credits=80"}]
        looking.look()
        assert noted(again) == [("credits", 50), ("credits", 80)]
        assert looking.counts == {}
    finally:
        again.close()


def test_what_was_booked_before_a_crash_is_told_after_it(found: Office, clock: Clock) -> None:
    """Nobody looked between the charge and the end."""
    Traffic(found).spend(300, clock.t)

    looking = alerting(found, clock)
    looking.look()

    assert noted(found) == [("credits", 50)]


def test_a_month_begins_with_nothing_told(found: Office, clock: Clock) -> None:
    """Workers forget what was so in the last one; the same percentage is told anew."""
    traffic, looking = Traffic(found), alerting(found, clock)
    traffic.spend(500, clock.t)
    looking.look()
    said(found)

    clock.t = bookkeeping.at("2026-12-01T00:00:05")
    looking.look()
    assert said(found) == [(1, "")]
    assert looking.told() == []

    traffic.spend(250, clock.t)
    looking.look()
    assert said(found) == [(1, "credits=50")]
    assert noted(found) == [("credits", 50), ("credits", 80), ("credits", 100), ("credits", 50)]


def test_of_another_plan_another_quota_is_told(found: Office, clock: Clock) -> None:
    """What was used on the plan before is that plan's; the answers say what is so of the present one."""
    traffic, looking = Traffic(found), alerting(found, clock)
    traffic.spend(500, clock.t)
    looking.look()
    said(found)

    found.move_customer("acme", "pro")
    traffic.spend(999, clock.t, plan="pro")
    looking.look()
    assert said(found) == [(1, "")]

    traffic.spend(1, clock.t, plan="pro")
    looking.look()
    assert said(found) == [(1, "credits=50")]
    assert noted(found)[-1] == ("credits", 50)


def test_quantities_have_quotas_too(found: Office, clock: Clock) -> None:
    """Of 1,200 tokens eight exchanges of 120 are 80 %; of two reviews that are included, one is a half."""
    found.move_customer("acme", "agent")
    traffic, looking = Traffic(found), alerting(found, clock)
    for _ in range(8):
        traffic.spend(0, clock.t, plan="agent")
    looking.look()
    assert noted(found) == [("tokens", 50), ("tokens", 80)]

    found.act(records.delivered(t=clock.t, id="r1", customer=1, item="review", count=1))
    looking.look()
    assert noted(found)[2:] == [("item.review", 50)]


def test_seats_add_to_what_is_included(found: Office, clock: Clock) -> None:
    """Three seats of 100 credits: 150 are a half. A seat that is given up has given its credits."""
    found.move_customer("acme", "team")
    perform(found, "customers.seats", {"customer": "acme", "seats": 3}, by="test")
    traffic, looking = Traffic(found), alerting(found, clock)

    traffic.spend(149, clock.t, plan="team")
    looking.look()
    assert noted(found) == []
    traffic.spend(1, clock.t, plan="team")
    looking.look()
    assert noted(found) == [("credits", 50)]


def test_a_plan_that_states_none_is_not_looked_at(found: Office, clock: Clock) -> None:
    """`alerts: []`; a plan that includes nothing has nothing to be used up."""
    found.move_customer("acme", "quiet")
    traffic, looking = Traffic(found), alerting(found, clock)
    traffic.spend(600, clock.t, plan="quiet")
    looking.look()

    assert noted(found) == []


def test_what_cannot_be_noted_is_told_later(found: Office, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal cannot be written: nobody hears of it before it stands there."""
    traffic, looking = Traffic(found), alerting(found, clock)
    traffic.spend(250, clock.t)

    def busy(*_: Any) -> None:
        raise LedgerBusy("it is full")

    with monkeypatch.context() as broken:
        broken.setattr(found.books, "record", busy)
        with pytest.raises(LedgerBusy):
            looking.look()
    assert said(found) == []

    looking.look()
    assert said(found) == [(1, "credits=50")]


def test_percentages_are_the_configuration_s(found: Office, clock: Clock) -> None:
    """As a reload changes them: what was passed meanwhile is told."""
    traffic, looking = Traffic(found), alerting(found, clock)
    traffic.spend(200, clock.t)
    looking.look()
    assert noted(found) == []

    found.settings = replace(found.settings, alerts=Alerts({"starter": (30, 90)}))
    traffic.spend(1, clock.t)
    looking.look()
    assert noted(found) == [("credits", 30)]


def test_a_worker_learns_and_forgets_words() -> None:
    """What the keeper says of a customer's quota is a header; nothing is none."""
    link = KeeperLink(None, Identity())  # type: ignore[arg-type]

    link._apply({"alerted": 1, "words": "credits=80"})
    assert link.alerted == {1: b"credits=80"}
    link._apply({"alerted": 1, "words": ""})
    assert link.alerted == {}
