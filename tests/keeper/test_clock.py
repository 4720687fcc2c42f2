"""A clock that is set an hour forward or back, as the keeper lives through it."""

import time
from types import SimpleNamespace

import pytest

from margin.ledger import audit
from margin.ledger.leaps import stale
from proxy.keeper import office as module
from proxy.keeper.auditor import known
from tests.keeper.offices import Worker, balance, sound
from tests.margin.bookkeeping import CREDIT, NS, held, line, settled

HOUR_NS = 3600 * NS
MINUTE_NS = 60 * NS


class Clock:
    """The wall's and the monotonic clock; the wall's can be set."""

    def __init__(self) -> None:
        self.passed_ns = self.set_ns = 0
        self._began = time.time_ns()

    def time_ns(self) -> int:
        """Return the wall's time."""
        return self._began + self.passed_ns + self.set_ns

    def monotonic_ns(self) -> int:
        """Return the time that only passes."""
        return self.passed_ns


@pytest.fixture
def clock(monkeypatch, found):
    """Put clocks of ours under an office, with a customer and an exchange that has a minute left to end in."""
    clock = Clock()
    monkeypatch.setattr(
        module, "time", SimpleNamespace(time_ns=clock.time_ns, monotonic_ns=clock.monotonic_ns, time=time.time)
    )
    found.stale_holds(0)  # it looks at the clocks
    found.open_customer("acme")
    return clock


@pytest.fixture
def worker(found, clock):
    """Return a worker with an exchange that has a minute left to end in."""
    opened = Worker(found, "worker-1")
    now = clock.time_ns()
    opened.paper.write(held("x1", CREDIT, t=now, deadline=now + MINUTE_NS))
    yield opened
    opened.die()


def test_a_clock_set_forward_reaps_nobody_who_is_in_time(found, clock, worker):
    """An exchange that lives is not closed by an estimate: its own settlement counts, once."""
    clock.set_ns, clock.passed_ns = HOUR_NS, 2 * NS

    assert found.reap() == 0
    worker.paper.write(settled("x1", CREDIT, line(700), t=clock.time_ns()))
    found.fold_all()

    assert balance(found)["spent"] == CREDIT
    assert sound(found) == []


def test_after_a_clock_was_set_forward_a_lost_exchange_is_reaped_in_its_own_time(found, clock, worker):
    """The minute that it had left still passes, and no more than that."""
    clock.set_ns, clock.passed_ns = HOUR_NS, 2 * NS
    assert found.reap() == 0

    clock.passed_ns = 2 * MINUTE_NS

    assert found.reap() == 1
    assert found.reap() == 0
    assert sound(found) == []


def test_what_began_after_the_jump_is_reaped_by_the_clock(found, clock, worker):
    """Its deadline was set by the new clock."""
    clock.set_ns, clock.passed_ns = HOUR_NS, 2 * NS
    now = clock.time_ns()
    worker.paper.write(held("x2", CREDIT, t=now, deadline=now + 10 * NS))
    assert found.reap() == 0

    clock.passed_ns += 50 * NS

    assert found.reap() == 1
    assert set(found.books.state.holds) == {"x1"}


def test_a_clock_set_back_reaps_nobody_and_lags_by_nothing(found, clock, worker):
    """An exchange is closed by its settlement, dated before its hold; the lag is never negative."""
    found.tick()
    clock.set_ns, clock.passed_ns = -HOUR_NS, 2 * NS

    assert found.reap() == 0
    worker.paper.write(settled("x1", CREDIT, line(700), t=clock.time_ns()))
    assert found.lag_s() >= 0
    found.tick()

    assert balance(found)["spent"] == CREDIT
    assert sound(found) == []


def test_a_clock_set_forward_makes_no_audit_cry_wolf(found, clock, worker):
    """What the reaper does not call stale the audit does not either, in its own process; what hangs both do."""
    found.fold_all()
    clock.set_ns, clock.passed_ns = HOUR_NS, 2 * NS
    told = audit.Known.heard(known(found).said())
    holds, start_t = found.books.state.holds.values(), clock.time_ns()

    assert found.stale_holds(start_t) == stale(holds, start_t, told.leaps) == []
    hung_t = start_t + 2 * MINUTE_NS
    assert found.stale_holds(hung_t) == stale(holds, hung_t, told.leaps) == ["x1"]


def test_an_audit_that_knows_of_no_leap_names_what_is_past_its_deadline(found):
    """And one that is told of it does not."""
    opened = Worker(found, "worker-1")
    found.open_customer("acme")
    now = time.time_ns()
    opened.paper.write(held("x1", CREDIT, t=now - 2 * HOUR_NS, deadline=now - HOUR_NS))
    found.fold_all()
    data_dir = found.settings.server.data_dir

    alone = audit.audit(data_dir)
    told = audit.audit(data_dir, known=audit.Known(leaps=((now - HOUR_NS, 2 * HOUR_NS),)))

    opened.die()
    assert alone.violations == ("hold of x1 is older than its deadline",)
    assert told.violations == ()
