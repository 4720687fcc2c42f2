"""The crash table: what becomes of an exchange, by how far it had come when its worker died."""

import pytest

from margin.ledger import questions, verify
from proxy.keeper import recovery
from proxy.keeper.office import Office
from tests.keeper.offices import Worker, killed, office
from tests.margin.bookkeeping import (
    CREDIT,
    T0,
    Ledger,
    begun,
    called,
    customer,
    grant,
    held,
    line,
    mark,
    sellbook,
    settled,
)

OPENING = [sellbook(), customer(plan="prepaid"), grant("g1", 10 * CREDIT, paid=10**9)]
HELD = held("x1", 3 * CREDIT, plan="prepaid")


def recovered(*journalled):
    """Return a ledger in which a worker died after these records, and the record that closed its exchange."""
    books = Ledger(*OPENING, *journalled)
    record = recovery.close(books.state.holds["x1"], T0)
    return books.apply(record), record


def test_held_and_never_called_is_voided():
    """Nothing was sent: nobody pays, nothing is owed."""
    books, record = recovered(HELD)

    assert (record["k"], record["why"], record["a"]) == ("void", "recovered_unsent", [])
    assert books.credits() == {"available": 10_000, "held": 0, "spent": 0, "expired": 0, "overdraft": 0}
    assert books.effects.cost_lines == []


def test_called_and_unanswered_is_voided_and_its_input_may_cost():
    """The customer saw no byte and pays nothing; what the provider may bill for the input is booked as failed."""
    books, record = recovered(HELD, called("x1", cost=700))

    assert (record["k"], record["why"]) == ("void", "recovered_unanswered")
    assert books.credits()["available"] == 10_000
    assert books.balance("cogs.failed") == 700
    assert books.rollup("requests") == 0


def test_a_hold_with_its_call_is_closed_like_two_records():
    """Journals of before hold and first call became one record fold as ever, and end the same."""
    one = begun("x1", 3 * CREDIT, plan="prepaid", cost=700)

    for rest in ([], [mark("x1", output=40, cost=2_000)]):
        books, record = recovered(one, *rest)
        older, same = recovered(HELD, called("x1", cost=700), *rest)

        assert record == same
        assert books.credits() == older.credits()
        assert books.effects.cost_lines == older.effects.cost_lines


def test_called_at_a_price_nobody_knows_has_a_row_and_no_amount():
    """Unknown stays unknown."""
    books, _ = recovered(HELD, called("x1", cost=None))

    assert books.effects.cost_lines[0][-1] is None
    assert books.balance("cogs.failed") == 0


def test_an_answer_under_way_is_settled_from_its_last_checkpoint():
    """Bytes were seen: the customer pays what was held, the cost is the checkpoint's estimate, and it says so."""
    books, record = recovered(HELD, called("x1"), mark("x1", output=5, cost=800), mark("x1", output=40, cost=2_000))

    assert (record["k"], record["o"]) == ("settled", "recovered")
    assert books.credits() == {"available": 7_000, "held": 0, "spent": 3_000, "expired": 0, "overdraft": 0}
    assert books.balance("cogs.estimated") == 2_000
    assert record["a"][0]["u"] == {"input": 100, "output": 40}
    assert books.effects.charges[0][8] == "recovered"
    assert books.rollup("requests") == 1
    assert books.rollup("unpriced") == 1  # no baseline was kept: no saving is claimed


def test_a_fallback_is_recovered_as_its_last_call():
    """The attempt that was running names the cost line."""
    _, record = recovered(HELD, called("x1", n=1), called("x1", n=2, cost=900))

    assert (record["a"][0]["n"], record["a"][0]["cost"]) == (2, 900)


@pytest.mark.parametrize("journalled", [[HELD], [HELD, called("x1")], [HELD, called("x1"), mark("x1")]], ids=len)
def test_the_dead_workers_own_ending_comes_too_late(journalled):
    """Should its settlement turn up after all, it is refused: one exchange, one charge."""
    books, _ = recovered(*journalled)
    before = books.credits()

    books.apply(settled("x1", 3 * CREDIT, line()))

    assert books.credits() == before
    assert books.refused == ["settled without a hold"]
    assert len(books.effects.charges) <= 1


# ---- by the keeper ---------------------------------------------------------------------------------------------------


@pytest.fixture
def keeper(tmp_path):
    """An office with one customer, ten credits, and a worker with an exchange at every stage."""
    found = office(tmp_path / "data")
    found.grant("acme", 10 * CREDIT, paid_nusd=0, expires_t=None)
    found.move_customer("acme", "hard")
    worker = Worker(found, "worker-1")
    assert worker.lease(1, 10 * CREDIT)
    for deep in range(3):
        assert worker.hold(f"x{deep}", 1, CREDIT, "hard", deep)
    yield found, worker
    worker.die()
    if not found.books.journal.is_broken:
        found.close()


def balance(found):
    """Return acme's credits as the ledger file has them."""
    return questions.credit_balance(found.books.store.db, 1)


def sound(found):
    """Return what contradicts itself in an office's books."""
    return verify.violations(found.books.store.db, found.books.state)


def test_recovering_closes_every_exchange_of_the_dead_worker(keeper):
    """Two are voided, one is charged; its lease is free again, and nothing stays open."""
    found, worker = keeper
    worker.die()

    assert found.recover({worker.name}) == 3

    assert balance(found) == {"available": 9_000, "held": 0, "spent": 1_000, "expired": 0}
    assert found.lending.free_milli(found.books.state, 1, T0) == 9_000
    assert found.books.state.holds == {}
    assert sound(found) == []


def test_recovering_twice_changes_nothing(keeper):
    """A keeper that is told twice closes once."""
    found, worker = keeper
    found.recover({worker.name})

    assert found.recover({worker.name}) == 0

    assert balance(found)["spent"] == 1_000


def test_recovering_leaves_the_living_alone(keeper):
    """Only the dead worker's exchanges are closed."""
    found, worker = keeper
    other = Worker(found, "worker-2")
    other.paper.write(HELD | {"x": "y1", "cr": 0})

    assert found.recover({worker.name}) == 3

    assert list(found.books.state.holds) == ["y1"]
    other.die()


def test_a_keeper_that_dies_while_recovering_is_followed_by_one_that_finishes(keeper, tmp_path, monkeypatch):
    """Each exchange is closed once, whichever keeper did it."""
    found, worker = keeper
    made, close = [], recovery.close

    def dying(hold, t):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(hold.x)
        return close(hold, t)

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "close", dying)
        with pytest.raises(KeyboardInterrupt):
            found.recover({worker.name})

    after = office(killed(found, tmp_path / "after"))
    assert after.recover({worker.name}) == 1
    assert balance(after) == {"available": 9_000, "held": 0, "spent": 1_000, "expired": 0}
    assert sound(after) == []
    after.close()
    found.books.journal.close()


def test_a_new_keeper_finishes_what_both_left_behind(keeper, tmp_path):
    """Keeper and worker die at once, nothing folded: the next keeper folds, recovers, and the books are whole."""
    found, worker = keeper

    after = office(killed(found, tmp_path / "after"))
    assert after.recover({worker.name}) == 3

    assert balance(after) == {"available": 9_000, "held": 0, "spent": 1_000, "expired": 0}
    assert sound(after) == []
    after.close()
    found.books.journal.close()


def test_a_hold_past_its_deadline_is_reaped(keeper, monkeypatch):
    """A living worker that lost track of it no longer ties the credits up."""
    found, worker = keeper
    found.fold_all()
    monkeypatch.setattr("proxy.keeper.office.REAP_AFTER_NS", -(10**18) * 9)

    assert found.reap() == 3

    assert found.books.state.holds == {}
    assert balance(found) == {"available": 9_000, "held": 0, "spent": 1_000, "expired": 0}
    worker.end("x2", CREDIT)
    found.fold_all()
    assert balance(found)["spent"] == 1_000


def test_what_a_worker_has_closed_is_not_reaped(keeper, monkeypatch):
    """Its own settlement may wait in the journal: it is folded before anything is called stale."""
    found, worker = keeper
    found.fold_all()
    for x in list(worker.open):
        worker.end(x, CREDIT)
    monkeypatch.setattr("proxy.keeper.office.REAP_AFTER_NS", -(10**18) * 9)

    assert found.reap() == 0

    assert balance(found)["spent"] == 3_000
    assert questions.refused_records(found.books.store.db) == 0


def test_an_open_exchange_within_its_deadline_is_left_alone(tmp_path):
    """The reaper looks at deadlines, not at ages."""
    found: Office = office(tmp_path / "data")
    found.open_customer("acme")
    worker = Worker(found, "worker-1")
    worker.paper.write(held("x1", 0, deadline=2**62))
    found.fold_all()

    assert found.reap() == 0
    assert list(found.books.state.holds) == ["x1"]
    found.close()
    worker.die()


def test_a_metered_exchange_is_recovered_at_its_last_checkpoint():
    """The charge so far, at most the hold; the call's name, so that its bill can be found."""
    for so_far, charged in ((1_200, 1_200), (9_999, 3_000)):
        checkpoint = mark("x1") | {"cr": so_far, "id": "call7"}
        books = Ledger(*OPENING, held("x1", 3_000, plan="prepaid") | {"met": 1}, called("x1"), checkpoint)

        record = recovery.close(books.state.holds["x1"], T0)
        books.apply(record)

        assert record["cr"] == charged
        assert record["a"][-1]["id"] == "call7"
        assert books.credits()["spent"] == charged
