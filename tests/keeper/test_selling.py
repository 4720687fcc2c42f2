"""Seats, deliveries and statements by command: booked once, in words that a customer can check."""

import time

import pytest

from margin.ledger import terms, verify
from proxy.keeper import selling
from proxy.keeper.commands import perform
from tests.keeper.offices import Worker, office, sound
from tests.margin.bookkeeping import USD, held, line, settled

PLANS = """\
default: sold
plans:
  sold:
    usage: {calls: {included: 2, price: 0.05}}
    seats: {price: 30, included: 100}
    items: {report: {tiers: [{up_to: 500, price: 0.99}, {price: 0.79}]}}
"""


@pytest.fixture
def found(tmp_path):
    """An open office with a customer."""
    opened = office(tmp_path / "data", plans=PLANS)
    perform(opened, "customers.create", {"customer": "acme", "plan": None}, by="uid 1000")
    yield opened
    opened.close()


def result(found, command, **args):
    """Perform a command that succeeds."""
    answer = perform(found, command, {"customer": "acme"} | args, by="uid 1000")
    assert set(answer) == {"result"}, answer
    return answer["result"]


def refusal(found, command, **args):
    """Perform a command that is refused."""
    answer = perform(found, command, {"customer": "acme"} | args, by="uid 1000")
    assert set(answer) == {"refused", "param", "unknown"}, answer
    return answer["refused"]


def month():
    """Return this month's name."""
    return terms.day(time.time_ns())[:7]


def test_seats_and_their_pool(found):
    """Three seats are 300 credits at once."""
    assert result(found, "customers.seats", seats=3) == {"customer": "acme", "seats": 3}

    assert result(found, "credits.balance")["available"] == 300
    assert "whole number" in refusal(found, "customers.seats", seats=-1)


def test_a_delivery_is_charged_once(found):
    """The same id again says that nothing was booked; an item that is not sold is named, with those that are."""
    asked = {"item": "report", "count": 501, "id": "r-17"}

    assert result(found, "customers.deliver", **asked)["booked"] is True
    assert result(found, "customers.deliver", **asked)["booked"] is False
    assert 'no item "brief"; its items are: report' in refusal(found, "customers.deliver", **asked | {"item": "brief"})
    assert result(found, "report.margin")["total"]["revenue_nusd"] == 495_790_000_000


def test_a_statement_adds_up_to_the_revenue(found):
    """Each meter by its bands, what is included among them; the total is what the ledger recognised."""
    result(found, "customers.seats", seats=1)
    result(found, "customers.deliver", item="report", count=501, id="r1")
    worker = Worker(found, "worker-1")
    t = time.time_ns()
    for x in ("a", "b", "c"):
        worker.paper.write(held(x, 0, plan="sold", t=t), settled(x, 0, line(10), t=t))

    said = result(found, "report.statement", month=month())

    rated = [each for each in said["lines"] if each["what"] in {"calls", "item.report"}]
    assert rated == [
        {"plan": "sold", "what": "calls", "quantity": 2.0, "nusd": 0, "included": True},
        {"plan": "sold", "what": "calls", "quantity": 1.0, "nusd": 50_000_000, "price": "0.05", "per": 1},
        {"plan": "sold", "what": "item.report", "quantity": 500.0, "nusd": 495 * USD, "price": "0.99", "per": 1},
        {"plan": "sold", "what": "item.report", "quantity": 1.0, "nusd": 790_000_000, "price": "0.79", "per": 1},
    ]
    with_seat = result(found, "report.margin")["total"]["revenue_nusd"]  # the seat accrues on
    assert 0 <= with_seat - said["total_nusd"] < 100_000_000
    assert verify.violations(found.books.store.db, found.books.state) == []
    assert "no month" in refusal(found, "report.statement", month="2026-13")
    worker.die()


def test_a_reversed_request_is_taken_off(found):
    """The third call cost five cents, and the second is free then; explain shows the line."""
    worker = Worker(found, "worker-1")
    t = time.time_ns()
    for x in ("a", "b", "c"):
        worker.paper.write(held(x, 0, plan="sold", t=t), settled(x, 0, line(10), t=t))
    worker.die()
    result(found, "report.margin")

    perform(found, "ledger.reverse", {"id": "a", "why": "test"}, by="uid 1000")

    assert result(found, "report.statement", month=month())["lines"] == [
        {"plan": "sold", "what": "calls", "quantity": 2.0, "nusd": 0, "included": True}
    ]
    assert verify.violations(found.books.store.db, found.books.state) == []


def test_a_customer_is_described(found):
    """A word that is left out stays, an empty one goes; the books say the same when they are folded anew."""
    assert result(found, "customers.describe", segment="smb", persona="developer") == {
        "customer": "acme", "segment": "smb", "persona": "developer",
    }  # fmt: skip
    assert result(found, "customers.describe", segment="", persona=None)["persona"] == "developer"

    (listed,) = result(found, "customers.list")
    assert (listed["segment"], listed["persona"]) == (None, "developer")
    assert verify.violations(found.books.store.db, found.books.state) == []
    assert sound(found) == []


def test_there_are_few_segments(found):
    """A row of a report and a series of a metric for each: a twenty-first is refused, and one that is known is not."""
    for number in range(selling.WORDS_MAX):
        perform(found, "customers.create", {"customer": f"c{number}", "plan": None}, by="uid 1000")
        result(found, "customers.describe", customer=f"c{number}", segment=f"s{number}", persona=None)

    assert "there are 20 segments already" in refusal(found, "customers.describe", segment="s20", persona=None)
    assert result(found, "customers.describe", segment="s7", persona=None)["segment"] == "s7"
    assert "printable" in refusal(found, "customers.describe", segment="a\nb", persona=None)
