"""Grants as they are listed, balances at the moment of asking, and charges that are taken back."""

import time

import pytest

from tests.keeper.offices import Worker, balance, office, sound
from tests.keeper.test_commands import given, refusal, result
from tests.margin.bookkeeping import CREDIT, USD, held, line, settled

NS = 10**9


@pytest.fixture
def charged(found):
    """Three credits of acme's paid grant are charged; the other grant is a gift that burns later."""
    given(found, paid=10 * USD)
    result(found, "credits.grant", customer="acme", credits_milli=5 * CREDIT, paid_nusd=0, expires_s=None, priority=90)
    worker = Worker(found, "worker-1")
    worker.paper.write(held("x1", 3 * CREDIT, plan="open"), settled("x1", 3 * CREDIT, line(700)))
    worker.die()
    return found


def test_grants_are_listed_in_burn_order_with_what_became_of_them(charged):
    """What is left, held, burnt and expired, and the cash behind it, adds up for each."""
    paid, gift = result(charged, "credits.list", customer="acme")

    assert (paid["left"], paid["held"], paid["burnt"], paid["expired"]) == (97, 0, 3, 0)
    assert (paid["paid_nusd"], paid["basis_nusd"], paid["promotional"]) == (10 * USD, 9_700_000_000, False)
    assert (gift["left"], gift["priority"], gift["promotional"], gift["state"]) == (5, 90, True, "live")


def test_an_ended_grant_is_listed_and_counted_as_such_before_any_tick(found):
    """A tick stands a second in the past; the answer is of this moment all the same."""
    given(found)
    number = found.number("acme")
    grant = next(iter(found.books.state.grants.values()))
    found.grant("acme", 7 * CREDIT, paid_nusd=0, expires_t=time.time_ns() + NS // 50)
    while time.time_ns() <= found.books.state.earliest_expiry_t(number, 0):
        pass

    said = result(found, "credits.balance", customer="acme")
    first, second = result(found, "credits.list", customer="acme")

    assert (said["available"], said["expired"]) == (100, 7)
    assert found.books.state.available_milli(number, time.time_ns()) == 100 * CREDIT
    assert (first["grant"], first["state"]) == (grant.id, "live")
    assert (second["state"], second["left"], second["expired"]) == ("ended", 0, 7)


def test_a_charge_is_reversed_once(charged):
    """Credits, revenue and grants are as before the charge, the cost stays, workers are told, the books are sound."""
    result(charged, "credits.balance", customer="acme")
    charged.take_changes()

    said = result(charged, "ledger.reverse", id="x1", why="the answer was wrong")

    assert (said["customer"], said["credits"], said["revenue_nusd"]) == ("acme", 3, -300_000_000)
    assert [(each["credits"], each["expired"]) for each in said["grants"]] == [(3, False)]
    assert charged.take_changes() == [{"granted": 1}]
    assert balance(charged) == {"available": 105 * CREDIT, "held": 0, "spent": 0, "expired": 0}
    total = result(charged, "report.margin")["total"]
    assert (total["revenue_nusd"], total["cost_nusd"], total["requests"]) == (0, 700, 1)
    assert sound(charged) == []
    assert refusal(charged, "ledger.reverse", id="x1", why="again").startswith("the charge was reversed already, at 20")


def test_a_reversal_survives_the_process(charged):
    """Opened anew, the books say the same, and the used-up grants are still listed."""
    result(charged, "ledger.reverse", id="x1", why="the answer was wrong")
    listed = result(charged, "credits.list", customer="acme")
    charged.close()

    again = office(charged.settings.server.data_dir)

    assert result(again, "credits.list", customer="acme") == listed
    assert sound(again) == []
    again.close()


@pytest.mark.parametrize(("args", "sentence"), [
    ({"id": "none", "why": "because"}, 'there is no charge "none"'),
    ({"id": "x1", "why": "  "}, "say why in one line of up to 500 characters"),
    ({"id": "x1", "why": "a\nb"}, "say why in one line of up to 500 characters"),
])  # fmt: skip
def test_what_cannot_be_reversed_is_refused_in_a_sentence(charged, args, sentence):
    """Nothing is written."""
    charged.fold_all()

    assert refusal(charged, "ledger.reverse", **args) == sentence


def test_a_charge_of_nothing_is_not_reversed(found):
    """A request that broke off was charged nothing."""
    given(found)
    worker = Worker(found, "worker-1")
    worker.paper.write(held("x1", 3 * CREDIT, plan="open"), settled("x1", 0, line(700), outcome="error"))
    worker.die()
    found.fold_all()

    said = refusal(found, "ledger.reverse", id="x1", why="because")

    assert said == "the charge took no credits, so there is nothing to reverse"
