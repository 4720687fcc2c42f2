"""Tasks and outcomes as the keeper takes them in: once, in order or not, and by nobody who may not."""

import time

import pytest

from proxy.keeper import working
from proxy.keeper.administering import Administration
from tests.keeper.offices import Worker, again, office, sound
from tests.margin.bookkeeping import NS, called, held, line, settled

PLANS = """\
default: open
plans:
  open: {}
  agent:
    outcomes:
      resolution: {price: 0.99, window: 72h, definition: the customer does not come back within three days}
    tasks:
      support: {outcome: resolution, idle: 30m}
      report: {price: 2.00}
      chat: {}
"""
CENT = 10**7


class Desk:
    """An office with a customer on the plan, and a key that asks."""

    def __init__(self, found):
        self.office = found
        self.customer = found.open_customer("acme", "agent")
        self.worker = Worker(found, "worker-1")

    def ask(self, command, **args):
        """Ask as a worker does for a key."""
        event = args.pop("event", None)
        asked = {"customer": self.customer} | args
        if event is not None:
            asked |= {"event": event, "request": repr((command, sorted(args.items())))}
        message = {"command": command, "args": asked, "key": "k1", "claim": None, "request": ""}
        return Administration(self.office).perform(message)

    def open(self, type_="support", **more):
        """Open a task; return its id."""
        return self.ask("tasks.open", type=type_, **more)["result"]["id"]

    def call(self, x, task, cost=700):
        """Serve a request of a task."""
        record = held(x, 0, of=self.customer, plan="agent") | {"tk": task}
        self.worker.paper.write(record, called(x), settled(x, 0, line(cost)))

    def tell(self, task, outcome, at_t=None, **more):
        """Tell what came of it."""
        return self.ask("outcomes.tell", task=task, outcome=outcome, at_t=at_t, **more)

    def records(self):
        """Tell how far the keeper has journalled."""
        return self.office.books.journal.offset

    def owes(self):
        """Return what the customer was charged in nano-dollars."""
        query = "SELECT COALESCE(SUM(balance), 0) FROM accounts WHERE name = 'receivable' AND customer = ?"
        return self.office.books.store.db.execute(query, (self.customer,)).fetchone()[0]


@pytest.fixture
def desk(tmp_path):
    """A desk; its books are sound at the end."""
    found = Desk(office(tmp_path / "data", plans=PLANS))
    yield found
    assert sound(found.office) == []
    found.office.close()


def test_a_report_of_seven_calls_is_charged_once(desk):
    """Calls that lie unfolded when the task is closed are its calls."""
    task = desk.open("report")
    for number in range(7):
        desk.call(f"x{number}", task)

    closed = desk.ask("tasks.close", task=task, completed=True)["result"]
    assert (closed["calls"], closed["charged_nusd"], closed["status"]) == (7, 200 * CENT, "closed")
    assert desk.owes() == 200 * CENT


def test_the_same_key_and_body_answer_the_same_and_book_once(desk):
    """Also after a restart; the answer is the one given then, whatever came of the task since."""
    task = desk.open(event="e1")
    first = desk.tell(task, "confirmed", event="e2")
    desk.tell(task, "reversed", event="e3")
    desk.office = again(desk.office, plans=PLANS)

    assert desk.open(event="e1") == task
    assert desk.tell(task, "confirmed", event="e2") == first
    assert desk.owes() == 0


def test_the_same_key_with_another_body_is_a_conflict(desk):
    """And nothing is journalled for it."""
    task = desk.open()
    desk.tell(task, "pending", event="e1")
    before = desk.records()

    answer = desk.tell(task, "confirmed", event="e1")
    assert (answer["conflict"], answer["param"]) == (True, "idempotency-key")
    assert desk.records() == before


@pytest.mark.parametrize("bad", ["unknown", "foreign", "future", "before", "workflow", "assumed"])
def test_what_cannot_be_is_refused_before_it_is_journalled(desk, bad):
    """An unknown task, another customer's, a clock in the future, a time before the task, a task without an outcome."""
    task, other = desk.open(), desk.office.open_customer("rival", "agent")
    report, now = desk.open("report"), time.time_ns()
    before = desk.records()

    answer = {
        "unknown": lambda: desk.tell("task_nobody", "confirmed"),
        "foreign": lambda: desk.tell(task, "confirmed", customer=other),
        "future": lambda: desk.tell(task, "confirmed", at_t=now + 6 * 60 * NS),
        "before": lambda: desk.tell(task, "confirmed", at_t=now - 3600 * NS),
        "workflow": lambda: desk.tell(report, "confirmed"),
        "assumed": lambda: desk.tell(task, "assumed"),
    }[bad]()

    assert answer["unknown"] == (bad in {"unknown", "foreign"})
    assert "refused" in answer
    assert desk.records() == before
    assert desk.owes() == 0


def test_an_outcome_is_assumed_when_its_window_has_passed(desk, monkeypatch):
    """Three days after the task was done, not a moment before; a late word that it failed takes the charge back."""
    task = desk.open()
    due = desk.ask("tasks.close", task=task, completed=True)["result"]
    assert due["outcome"] == "pending"
    t = desk.office.books.state.work.find(task).due_t

    monkeypatch.setattr(working.time, "time_ns", lambda: t - 1)
    working.look(desk.office)
    assert desk.owes() == 0
    monkeypatch.setattr(working.time, "time_ns", lambda: t)
    working.look(desk.office)
    working.look(desk.office)
    assert desk.owes() == 99 * CENT
    assert desk.tell(task, "failed")["result"]["charged"] is False
    assert desk.owes() == 0


def test_an_idle_task_is_closed_and_one_with_a_call_under_way_is_not(desk, monkeypatch):
    """The plan's idle time runs from the last call's end."""
    quiet, busy = desk.open(), desk.open()
    desk.worker.paper.write(held("x1", 0, of=desk.customer, plan="agent") | {"tk": busy})
    desk.office.fold_all()
    later = time.time_ns() + 31 * 60 * NS

    monkeypatch.setattr(working.time, "time_ns", lambda: later)
    working.look(desk.office)
    assert desk.ask("tasks.get", task=quiet)["result"]["closed_because"] == "idle"
    assert desk.ask("tasks.get", task=busy)["result"]["status"] == "open"


def test_who_may_join(desk):
    """Requests of the same customer while it is open; they are told whether the task is charged in their place."""
    support, chat, other = desk.open(), desk.open("chat"), desk.office.open_customer("rival", "agent")

    assert desk.ask("tasks.join", task=support)["result"] == {"whole": True}
    assert desk.ask("tasks.join", task=chat)["result"] == {"whole": False}
    assert desk.ask("tasks.join", task=support, customer=other)["unknown"]
    desk.ask("tasks.close", task=support, completed=False)
    assert desk.ask("tasks.join", task=support)["conflict"]


def test_a_task_that_is_given_up_is_charged_nothing(desk):
    """Its cost is that of work that earned nothing, and closing it again is a conflict."""
    task = desk.open("report")
    desk.call("x1", task, cost=900)

    assert desk.ask("tasks.close", task=task, completed=False)["result"]["charged"] is False
    assert desk.ask("tasks.close", task=task, completed=True)["conflict"]
    assert desk.office.books.state.work.find(task).unearned_nusd == 900
    assert desk.owes() == 0


def test_a_type_that_the_plan_does_not_have_is_refused_with_those_it_has(desk):
    """A typo must not make work free."""
    answer = desk.ask("tasks.open", type="suport")

    assert (answer["param"], "chat, report, support" in answer["refused"]) == ("type", True)


def test_a_cost_is_told_late_once_and_taken_back(desk):
    """Also of a task that failed and is closed; under the same key once; no more is taken back than was told."""
    task = desk.open()
    desk.ask("tasks.close", task=task, completed=False)
    asked = {"task": task, "kind": "human", "at_t": None}

    first = desk.ask("tasks.cost", nusd=1200 * CENT, event="e1", **asked)
    assert desk.ask("tasks.cost", nusd=1200 * CENT, event="e1", **asked) == first
    desk.ask("tasks.cost", nusd=-200 * CENT, **asked)

    assert desk.ask("tasks.cost", nusd=-1001 * CENT, **asked)["param"] == "usd"
    assert desk.ask("tasks.cost", nusd=1, event="e1", **asked)["conflict"]
    found = desk.office.books.state.work.find(task)
    assert (found.other_nusd, found.unearned_nusd) == (1000 * CENT, 1000 * CENT)
    assert "cost" not in str(first["result"])


@pytest.mark.parametrize(
    ("bad", "param"),
    [
        ({"task": "task_nobody"}, None),
        ({"kind": "tax"}, "kind"),
        ({"nusd": 0}, "usd"),
        ({"nusd": -1}, "usd"),
        ({"at_t": 2 * 10**18}, "at"),
        ({"at_t": 1}, "at"),
    ],
)
def test_a_cost_that_cannot_be_is_refused(desk, bad, param):
    """Of no task, of no kind, of nothing, less than was told, in the future, before the task: nothing is journalled."""
    asked = {"task": desk.open(), "kind": "tool", "nusd": CENT, "at_t": None} | bad
    before = desk.records()

    answer = desk.ask("tasks.cost", **asked)

    assert (answer["param"], answer["unknown"]) == (param, "task" in bad)
    assert desk.records() == before


def test_an_operator_sees_all_customers_tasks_and_what_they_cost(desk):
    """The newest first, page by page; and closes one in its own name."""
    first, second = desk.open("report"), desk.open("support")
    desk.call("x1", first, cost=700)
    desk.ask("tasks.cost", task=first, kind="tool", nusd=CENT, at_t=None)
    desk.ask("tasks.close", task=second, completed=True)

    rows = desk.ask("tasks.list", customer=None)["result"]
    assert {row["id"] for row in rows} == {first, second}
    assert [row["id"] for row in desk.ask("tasks.list", customer=None, after=rows[0]["id"])["result"]] == [
        rows[1]["id"]
    ]
    assert [row["id"] for row in desk.ask("tasks.list", customer="acme", status="open")["result"]] == [first]
    assert [row["id"] for row in desk.ask("tasks.list", customer=None, status="pending")["result"]] == [second]
    assert desk.ask("tasks.list", customer="nobody")["unknown"]

    ended = desk.ask("tasks.end", task=first, completed=True)["result"]
    seen = desk.ask("tasks.show", task=first)["result"]
    assert (ended["charged_nusd"], seen["cost_nusd"], seen["model_cost_nusd"]) == (200 * CENT, 700 + CENT, 700)
    assert seen["other_costs_nusd"] == {"tool": CENT}
    assert desk.ask("tasks.end", task=first, completed=True)["conflict"]
    assert desk.ask("tasks.show", task="task_none")["unknown"]


def test_the_sell_book_says_who_is_on_it(desk):
    """Each plan with its terms."""
    rows = {row["plan"]: row for row in desk.ask("plans.list")["result"]}

    assert (rows["agent"]["customers"], rows["open"]["is_default"]) == (1, True)
    assert set(rows["agent"]["terms"]["tasks"]) == {"support", "report", "chat"}
