"""Tasks and outcomes in the books: one charge exactly where it is due, whatever order its events come in."""

from __future__ import annotations

import itertools

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin import records
from margin.ledger import questions, tasks, verify
from tests.margin.bookkeeping import (
    DAY,
    T0,
    USD,
    at,
    called,
    customer,
    held,
    killed,
    ledger,
    line,
    open_books,
    sellbook,
    settled,
    sound,
    void,
)

CENT = USD // 100
BANDS = [{"up_to": 500, "price": "0.99"}, {"up_to": None, "price": "0.79"}]


def price(*bands, included=0):
    """Write what each unit costs."""
    found = [*bands] or [{"up_to": None, "price": "0.99"}]
    return {"mode": "graduated", "included": included, "per": 1, "parts": 1, "tiers": found}


def terms(metric="outcome", *, window=None, idle=None, prices=None):
    """Write the terms of a type of task."""
    return {"metric": metric, "name": "resolution", "price": prices or price(), "idle": idle, "window": window}


def opened(id_="t1", metric="outcome", *, t=T0, of=1, **more):
    """Open a task."""
    text = orjson.dumps(terms(metric, **more)).decode()
    return records.task_opened(t=t, id=id_, customer=of, plan="open", type="support", terms=text)


def closed(id_="t1", why="done", *, t=T0):
    """Close a task."""
    return records.task_closed(t=t, id=id_, why=why)


def told(outcome, id_="t1", *, t=T0):
    """Tell what came of a task."""
    return records.outcome(t=t, id=id_, outcome=outcome, at=t)


def call(x, *lines, task="t1", of=1):
    """Serve a request of a task."""
    record = held(x, 0, of=of) | {"tk": task}
    return [record, called(x), settled(x, 0, *(lines or [line(700)]))]


def test_seven_calls_in_a_task_are_seven_cost_lines_and_one_charge():
    """Row 2: the work is charged once, when it is done, and every call keeps its cost."""
    calls = itertools.chain.from_iterable(call(f"x{number}") for number in range(7))
    found = ledger("open", opened(metric="workflow"), *calls, closed())

    assert len(found.effects.cost_lines) == 7
    assert [txn.key for txn in found.effects.txns if txn.kind == "task"] == ["task:t1"]
    assert found.balance("rev.tasks") == -99 * CENT
    assert found.state.work.find("t1").calls == 7
    assert found.state.work.find("t1").cost_nusd == 7 * 700


def test_a_task_without_a_call_is_no_work():
    """Nothing was done, so nothing is charged."""
    found = ledger("open", opened(metric="workflow"), closed())

    assert found.balance("rev.tasks") == 0
    assert not found.state.work.find("t1").is_charged


EVENTS = st.lists(st.sampled_from([*[*tasks.RANKS][1:], "close", "call"]), max_size=12)


@given(events=EVENTS)
def test_a_charge_stands_exactly_while_the_outcome_is_confirmed_or_assumed(events):
    """Row 3: after every event, in any order, also one that comes again."""
    found = ledger("open", opened(window=DAY))

    for number, event in enumerate(events):
        found.apply(*{"close": [closed()], "call": call(f"x{number}")}.get(event, [told(event)]))
        task = found.state.work.find("t1")
        assert found.balance("rev.outcomes") == (-99 * CENT if task.outcome in {"confirmed", "assumed"} else 0)
        assert found.balance("receivable") == -found.balance("rev.outcomes")
        unearned = task.outcome in {"failed", "handed_off", "reversed"}
        assert found.rollup("cost_unearned_nusd") == task.unearned_nusd == (task.cost_nusd if unearned else 0)


@given(events=st.permutations(["pending", "confirmed", "confirmed", "failed", "reversed", "assumed"]))
def test_the_order_of_events_does_not_matter(events):
    """What is said for the customer outweighs what is said for us, whichever comes first."""
    found = ledger("open", opened(), *map(told, events))

    assert found.state.work.find("t1").outcome == "reversed"
    assert found.balance("receivable") == 0


@pytest.mark.parametrize("outcome", ["handed_off", "failed"])
def test_the_margin_of_a_hand_off_is_its_cost(outcome):
    """Row 4: it earns nothing, and what it cost is the cost of work that earned nothing."""
    found = ledger("open", opened(), *call("x1"), *call("x2", line(300)), closed(), told(outcome))

    assert found.balance("rev.outcomes") == 0
    assert found.balance("cogs.model") == 700 + 300
    assert found.rollup("cost_unearned_nusd") == 700 + 300


def test_a_call_that_ends_after_its_task_failed_earned_nothing_either():
    """Also the cost of a call that was under way, or voided, belongs to the failure."""
    found = ledger("open", opened(), told("failed"), *call("x1"), held("x2", 0) | {"tk": "t1"}, called("x2"),
                   void("x2", line(50)))  # fmt: skip

    assert found.rollup("cost_unearned_nusd") == 700 + 50
    assert found.state.work.find("t1").calls == 1


def test_a_reversal_in_a_later_month_leaves_the_reported_month_as_it_was():
    """1.3h: the customer comes back in December for what November was charged; the contra entry is December's."""
    november, december = at("2026-11-30"), at("2026-12-02")
    found = ledger("open", opened(), told("confirmed", t=november), told("reversed", t=december))

    by_month = {key.day[:7]: dict(row) for key, row in found.effects.rollup.items() if "revenue" in str(dict(row))}
    assert by_month == {"2026-11": {"revenue_tasks_nusd": 99 * CENT},
                        "2026-12": {"revenue_tasks_reversed_nusd": 99 * CENT}}  # fmt: skip
    assert found.state.work.month((1, "open", "2026-11", "outcome:resolution", _price())) == (0, 0, 1)


def _price(**more):
    return orjson.dumps(price(**more)).decode()


@given(st.lists(st.sampled_from(["charge", "reverse"]), min_size=1, max_size=40))
def test_a_month_comes_to_the_price_of_what_stands(steps):
    """I11: with tiers and included units, charges less reversals are the price of how many stand, after every step."""
    prices = price({"up_to": 3, "price": "0.99"}, {"up_to": 7, "price": "0.79"}, {"up_to": None, "price": "0.59"},
                   included=2)  # fmt: skip
    found, names, standing = ledger("open"), itertools.count(), []

    for step in steps:
        if step == "charge":
            standing.append(f"t{next(names)}")
            found.apply(opened(standing[-1], prices=prices), told("confirmed", standing[-1]))
        elif standing:
            found.apply(told("reversed", standing.pop(len(standing) // 2)))
        cents = [0, 0, 99, 99, 99, 79, 79, 79, 79] + [59] * 40
        assert -found.balance("rev.outcomes") == sum(cents[: len(standing)]) * CENT


def test_five_hundred_and_one_resolutions_are_charged_by_tiers():
    """The golden sum of the brief's volume prices, outcome by outcome: 500 → $495.00, 501 → $495.79."""
    found = ledger("open")

    for number in range(500):
        found.apply(opened(f"t{number}", prices=price(*BANDS)), told("confirmed", f"t{number}"))
    assert found.balance("receivable") == 495 * USD
    found.apply(opened("last", prices=price(*BANDS)), told("confirmed", "last"))
    assert found.balance("receivable") == 495 * USD + 79 * CENT


def test_what_makes_no_sense_changes_nothing_and_is_counted():
    """Replays of the keeper's own records, and records about nothing."""
    found = ledger("open", opened(), closed(), opened(), closed(), told("confirmed", "nobody"), opened("t2", of=9))

    assert found.refused == ["opened twice", "closed, and is not open", "judged, and has no outcome",
                             "opened for customer 9, who does not exist"]  # fmt: skip


def cost(id_, nusd, kind="human", *, task="t1", t=T0):
    """Tell of a cost beside the calls."""
    return records.task_cost(t=t, id=id_, task=task, kind=kind, nusd=nusd, at=t)


def test_what_a_task_cost_beside_its_calls_is_cost_of_goods_and_no_models(tmp_path):
    """A person took over for $12: the model margin is as it was, the gross margin is not, and the failure cost both."""
    books = open_books(tmp_path / "data")
    for record in (sellbook(), customer(), opened(), *call("x1"), closed(), told("handed_off"), cost("c1", 12 * USD),
                   cost("c2", CENT, "tool"), opened("t2"), told("confirmed", "t2"), cost("c3", -2 * USD),
                   cost("c2", CENT, "tool")):  # fmt: skip
        books.record(record)
    books.commit()

    margin = questions.margin_by_customer(books.store.db)[0]
    assert (margin.revenue_nusd, margin.cost_nusd) == (99 * CENT, 700 + 10 * USD + CENT)
    assert margin.other_cost_nusd == 10 * USD + CENT
    assert tasks.other_costs(books.store.db, "t1") == {"human": 10 * USD, "tool": CENT}
    assert books.state.work.find("t1").unearned_nusd == margin.cost_nusd
    assert [each for each in sound(books) if "no effect" not in each] == []
    books.close()


STORY = [
    sellbook(), customer(), opened(window=DAY, prices=price(*BANDS)), *call("x1"), told("pending"), closed(),
    told("assumed", t=T0 + DAY), opened("t2", "workflow"), *call("x2", task="t2"), closed("t2", t=T0 + DAY),
    told("failed", t=T0 + 30 * DAY), opened("t3"), *call("x3", task="t3"), told("handed_off", "t3"),
    cost("c1", 5 * USD, task="t3"), cost("c2", 3 * USD, "compute"), cost("c3", -USD, task="t3"),
]  # fmt: skip


@pytest.mark.parametrize("deep", range(1, len(STORY) + 1))
def test_killed_at_any_step_the_books_are_the_fold_of_what_was_journalled(tmp_path, deep):
    """A keeper that dies after any record, stored or not, opens balanced books that equal their rebuild."""
    data = tmp_path / "data"
    books = open_books(data)
    for number, record in enumerate(STORY[:deep]):
        books.record(record)
        if number % 3 == deep % 3:
            books.commit()
    left = killed(data, tmp_path / "left")
    books.store.close()

    again = open_books(left)
    assert sound(again) == []
    again.close()


def test_verify_finds_a_charge_that_the_state_does_not_call_for(tmp_path):
    """Somebody who edits the file: a task that failed, and whose charge still stands."""
    books = open_books(tmp_path / "data")
    for record in STORY[:11]:
        books.record(record)
    books.commit()

    books.store.db.execute("UPDATE tasks SET outcome = 'failed' WHERE id = 't1'")
    found = verify.violations(books.store.db, books.state)
    assert any("I4: 1 charges stand for the task t1" in each for each in found)
    books.close()


def totals(found):
    """Return what metrics count of tasks: count and cost by type and event."""
    rows = found.store.db.execute("SELECT type, event, count, cost_nusd FROM task_totals")
    return {(type_, event): (count, cost) for type_, event, count, cost in rows}


def test_what_happened_to_tasks_is_counted_by_type(tmp_path):
    """Each event once, calls with what they cost; a restart goes on counting."""
    found = open_books(tmp_path / "data")
    for record in [sellbook(), customer(), opened(), *call("x1"), *call("x2", line(300)), closed(), told("confirmed")]:
        found.record(record)
    found.close()
    found = open_books(tmp_path / "data")
    found.record(opened("t2"))
    found.commit()

    assert totals(found) == {
        ("support", "opened"): (2, 0), ("support", "call"): (2, 700 + 300), ("support", "done"): (1, 0),
        ("support", "pending"): (1, 0), ("support", "confirmed"): (1, 0),
    }  # fmt: skip
    assert sound(found) == []
    found.close()


def test_types_that_callers_make_up_are_bounded(tmp_path, monkeypatch):
    """Beyond the bound they count as others, before and after a restart."""
    monkeypatch.setattr(tasks, "TYPES_MAX", 2)
    found = open_books(tmp_path / "data")
    for record in [sellbook(), customer(), *(opened(f"t{n}") | {"type": f"type{n}"} for n in range(3))]:
        found.record(record)
    found.close()
    found = open_books(tmp_path / "data")
    for number in range(3, 5):
        found.record(opened(f"t{number}") | {"type": f"type{number}"})
    found.commit()

    assert totals(found) == {("type0", "opened"): (1, 0), ("type1", "opened"): (1, 0), ("other", "opened"): (3, 0)}
    assert sound(found) == []
    found.close()
