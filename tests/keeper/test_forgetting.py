"""Why a charge was routed as it was is forgotten after a while; what it came to is not, and a proof knows the rule."""

import time

import pytest

from margin import records
from margin.ledger import audit, forgetting, questions, refold
from tests.keeper.offices import Worker, office
from tests.margin.bookkeeping import DAY, T0, called, held, line, settled, tables

STORE = "store: {decisions: 10d}\n"
DECISION = {"config": "cfg", "classifier": "c1", "cost_book": "b", "sell_book": "s", "features": {"a": 1},
            "probabilities": [0.5, 0.4, 0.1], "reasons": ["short"], "candidates": ["m1"], "tier": "simple"}  # fmt: skip


def exchange(x, t):
    """Return the records of an exchange."""
    return [held(x, 0, t=t), called(x, t=t), settled(x, 0, line(700), t=t) | {"dec": DECISION}]


@pytest.fixture
def found(tmp_path):
    """An office that keeps details for ten days."""
    opened = office(tmp_path / "data", more=STORE)
    opened.open_customer("acme")
    yield opened
    opened.books.journal.close()
    opened.books.store.close()
    opened.directory.close()


def decisions(found):
    """Return each charge's decision record."""
    rows = found.books.store.db.execute("SELECT x FROM charges ORDER BY x").fetchall()
    return {x: questions.charge(found.books.store.db, x)["decision"] for (x,) in rows}


def written(found, name, *days):
    """Journal and fold an exchange for each of some days before now."""
    worker = Worker(found, name)
    for number, days_ago in enumerate(days):
        worker.paper.write(*exchange(f"{name}-{number}", time.time_ns() - days_ago * DAY))
    worker.die()
    found.fold_all()


def test_old_details_go_and_the_rest_stays(found):
    """Versions, amounts and usage of the old charge; all of the young one."""
    written(found, "worker-1", 11, 9)
    before = questions.charge(found.books.store.db, "worker-1-0")

    found.tick()

    after = decisions(found)
    assert after["worker-1-0"] == {name: DECISION[name] for name in ("config", "classifier", "cost_book", "sell_book")}
    assert after["worker-1-1"] == DECISION
    assert questions.charge(found.books.store.db, "worker-1-0") | {"decision": DECISION} == before


def test_they_do_not_come_back(found):
    """The twin forgets the same at the same place, in batches of another size; so does a ledger that is made anew."""
    written(found, "worker-1", 30, 20, 11)
    found.tick()
    written(found, "worker-2", 15, 1)
    once = decisions(found)
    found.tick()
    twice = decisions(found)

    assert audit.audit(found.settings.server.data_dir).violations == ()
    found.close()
    for path in found.settings.server.data_dir.glob("ledger.sqlite*"):
        path.unlink()
    later = office(found.settings.server.data_dir, more=STORE)
    assert "features" in once["worker-2-0"]
    assert "features" not in twice["worker-2-0"]
    assert decisions(later) == twice
    later.close()


def test_one_record_forgets_some(found, monkeypatch):
    """The next goes on where it stopped; then none is due."""
    monkeypatch.setattr(forgetting, "FORGOTTEN_MAX", 2)
    written(found, "worker-1", 30, 20, 11, 9)
    until_t = time.time_ns() - 10 * DAY
    left = []

    for _ in range(2):
        assert forgetting.is_due(found.books.store.db, until_t)
        found.tick()
        left.append(sum("features" in each for each in decisions(found).values()))

    assert left == [2, 1]
    assert not forgetting.is_due(found.books.store.db, until_t)
    offset = found.books.journal.offset
    forgetting_record = records.forgot(t=1, until_t=2)
    found.tick()
    assert found.books.journal.offset - offset < 2 * len(str(forgetting_record)) + 200


def test_a_charge_that_is_booked_after_the_record_is_not_forgotten_by_it(found, tmp_path):
    """Neither live, where it comes in a later batch, nor in a rebuild, where it comes in the same."""
    written(found, "worker-1", 11)
    found.tick()
    written(found, "worker-2", 11)

    assert "features" in decisions(found)["worker-2-0"]
    twin = refold.rebuild(found.settings.server.data_dir, tmp_path / "twin.sqlite")
    assert tables(twin.db) == tables(found.books.store.db)
    twin.close()


def test_without_the_setting_nothing_is_forgotten(tmp_path):
    """However old."""
    opened = office(tmp_path / "data")
    opened.open_customer("acme")
    worker = Worker(opened, "worker-1")
    worker.paper.write(*exchange("x1", T0 - 4000 * DAY))
    worker.die()
    opened.tick()

    assert decisions(opened) == {"x1": DECISION}
    opened.close()
