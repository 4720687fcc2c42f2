"""Tasks: many exchanges, and at most one charge for all of them, when they are done or for what came of them.

The state of an outcome is the furthest that was told of it (docs/adr/0060), so events in any order end alike. A charge
stands exactly while it is assumed or confirmed. What a month's tasks of one name and price come to is the price of
their number, and each charge or reversal is what that rises or falls by.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from margin.ledger.postings import NOBODY, USD, Effects, RollupKey, pair
from margin.ledger.terms import Period, day
from margin.records import OTHER_COSTS
from margin.tiering import Tiers

Record = dict[str, Any]

RANKS: Mapping[str, int] = {
    "": 0, "pending": 1, "assumed": 2, "confirmed": 3, "failed": 4, "handed_off": 4, "reversed": 5,
}  # fmt: skip
"""How far a state of an outcome is from its start; none goes back. The empty one: nothing was told."""
TYPES_MAX = 100
"""Types that are counted by name. Who opens a task may name its type where the plan sells none, and every series of a
metric is kept for ever; further types count as `other`."""
OTHER = "other"

CHARGED = frozenset({"assumed", "confirmed"})
UNEARNED = frozenset({"failed", "handed_off", "reversed"})


class Task(NamedTuple):
    """One piece of work for a customer.

    `terms` are those of its type on the day it was opened, as JSON: *metric*, *name*, *price* (`Tiers.terms`), *idle*
    and *window* in nanoseconds. `month` is that of its charge, empty where there is none; `charged_nusd` what stands.
    `cost_nusd` is what its calls cost as far as that is known, `unpriced` how many calls have an unknown cost.
    """

    id: str
    customer: int
    plan: str
    type: str
    terms: str
    opened_t: int
    last_t: int
    closed_t: int | None = None
    why: str = ""
    calls: int = 0
    cost_nusd: int = 0
    unpriced: int = 0
    outcome: str = ""
    outcome_t: int | None = None
    due_t: int | None = None
    month: str = ""
    charged_nusd: int = 0
    unearned_nusd: int = 0
    other_nusd: int = 0
    """What it cost beside its calls."""

    @property
    def is_live(self) -> bool:
        """Whether time alone may change it: it is open, or its outcome is awaited."""
        return self.closed_t is None or self.due_t is not None

    @property
    def is_charged_whole(self) -> bool:
        """Whether its requests are charged nothing by themselves."""
        return bool(_terms(self.terms)["metric"])

    @property
    def is_charged(self) -> bool:
        """Whether a charge stands."""
        metric = _terms(self.terms)["metric"]
        return self.outcome in CHARGED if metric == "outcome" else self.month != ""

    @property
    def metric(self) -> str:
        """What it is charged by: `workflow`, `outcome`, or nothing of its own."""
        return str(_terms(self.terms)["metric"])

    @property
    def idle_t(self) -> int | None:
        """When it is closed if nothing more happens; None for never."""
        idle = _terms(self.terms)["idle"]
        return None if idle is None or self.closed_t is not None else self.last_t + int(idle)


class Month(NamedTuple):
    """What a month's charges of one name and price come to, as they stand."""

    units: int = 0
    nusd: int = 0
    late_units: int = 0
    """Taken back after the month had ended: its statement has them, and that of a later month what came back."""


MonthKey = tuple[int, str, str, str, str]
"""Customer, plan, month, name (`outcome:resolution`), and the price as JSON."""


@lru_cache(maxsize=1024)
def _terms(text: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(text)
    return found


@lru_cache(maxsize=256)
def _tiers(text: str) -> Tiers:
    return Tiers.read(orjson.loads(text))


class Work:
    """The fold's memory of tasks: those that may change, and what was looked up since the last batch was stored."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.months: dict[MonthKey, Month] = {}
        self.changed: set[tuple[str, Any]] = set()
        self.types: set[str] = set()
        self.totals: dict[tuple[str, str], list[int]] = {}
        """By type and event, how often and at what cost, since the last batch was stored."""
        self.db: sqlite3.Connection | None = None
        """What earlier batches stored; None: nothing was."""

    def find(self, id_: str) -> Task | None:
        """Return a task, however long it is closed; None when there never was one."""
        found = self.tasks.get(id_)
        if found is None and self.db is not None:
            row = self.db.execute("SELECT * FROM tasks WHERE id = ?", (id_,)).fetchone()
            found = None if row is None else Task(*row)
        return found

    def put(self, task: Task) -> None:
        """Store a task's new state."""
        self.tasks[task.id] = task
        self.changed.add(("task", task.id))

    def month(self, key: MonthKey) -> Month:
        """Return what a month came to so far."""
        found = self.months.get(key)
        if found is None and self.db is not None:
            query = """SELECT units, nusd, late_units FROM task_months
                WHERE customer = ? AND plan = ? AND month = ? AND name = ? AND price = ?"""
            row = self.db.execute(query, key).fetchone()
            found = None if row is None else Month(*row)
        return Month() if found is None else found

    def put_month(self, key: MonthKey, month: Month) -> None:
        """Store what a month came to."""
        self.months[key] = month
        self.changed.add(("month", key))

    def tell(self, type_: str, event: str, count: int = 1, cost_nusd: int = 0) -> None:
        """Count something that happened to a task, for metrics."""
        if type_ not in self.types and len(self.types) >= TYPES_MAX:
            type_ = OTHER
        else:
            self.types.add(type_)
        sums = self.totals.setdefault((type_, event), [0, 0])
        sums[0] += count
        sums[1] += cost_nusd

    def live(self) -> Iterable[Task]:
        """Return the tasks that time may change."""
        return [each for each in self.tasks.values() if each.is_live]

    def write(self, db: sqlite3.Connection) -> None:
        """Store what changed, in the batch's transaction."""
        marks = ", ".join("?" * len(Task._fields))
        tasks = [self.tasks[name] for kind, name in self.changed if kind == "task"]
        months = [(*name, *self.months[name]) for kind, name in self.changed if kind == "month"]
        db.executemany(f"INSERT OR REPLACE INTO tasks VALUES ({marks})", tasks)  # noqa: S608 - marks only
        db.executemany("INSERT OR REPLACE INTO task_months VALUES (?, ?, ?, ?, ?, ?, ?, ?)", months)
        db.executemany(
            """INSERT INTO task_totals VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
            SET count = count + excluded.count, cost_nusd = cost_nusd + excluded.cost_nusd""",
            [(*name, *sums) for name, sums in self.totals.items()],
        )

    def stored(self) -> None:
        """Let go of what the file has and time cannot change."""
        self.changed.clear()
        self.months.clear()
        self.totals.clear()
        self.tasks = {each.id: each for each in self.tasks.values() if each.is_live}

    def read(self, db: sqlite3.Connection) -> None:
        """Remember what time may change, of a file."""
        self.db = db
        rows = db.execute("SELECT * FROM tasks WHERE closed_t IS NULL OR due_t IS NOT NULL")
        self.tasks = {row[0]: Task(*row) for row in rows}
        self.types = {type_ for (type_,) in db.execute("SELECT DISTINCT type FROM task_totals")}


# ---- the fold -------------------------------------------------------------------------------------------------------


def opened(work: Work, record: Record, effects: Effects) -> None:
    """Begin a task."""
    if work.find(record["id"]) is not None:
        effects.refused.append((record["id"], "opened twice"))
        return
    task = Task(record["id"], record["c"], record["plan"], record["type"], record["terms"], record["t"], record["t"])
    work.tell(task.type, "opened")
    _told(work, task, record, effects)


def closed(work: Work, record: Record, effects: Effects) -> None:
    """End a task: charge it if it is charged as a whole, or await its outcome."""
    task, t = work.find(record["id"]), record["t"]
    if task is None or task.closed_t is not None:
        effects.refused.append((record["id"], "closed, and is not open"))
        return
    task = task._replace(closed_t=t, why=record["why"])
    work.tell(task.type, record["why"])
    if record["why"] == "abandoned":
        task = _moved(work, task, "failed", t, t, effects)
    elif task.metric == "outcome":
        task = _moved(work, task, "pending", t, t, effects)
    elif task.metric == "workflow" and task.calls:
        task = _charge(work, task, "task", t, effects)
    _told(work, task, record, effects)


def judged(work: Work, record: Record, effects: Effects) -> None:
    """Take in what came of a task, or that its window has passed."""
    task = work.find(record["id"])
    if task is None or task.metric != "outcome":
        effects.refused.append((record["id"], "judged, and has no outcome"))
        return
    _told(work, _moved(work, task, record["o"], record["at"], record["t"], effects), record, effects)


def _told(work: Work, task: Task, record: Record, effects: Effects) -> None:
    work.put(task)
    if "ev" in record:
        event, request = record["ev"]
        answer = orjson.dumps(task._asdict()).decode()
        effects.task_events.append((task.customer, event, request, record["t"], task.id, answer))


def touch(work: Work, id_: str, t: int) -> None:
    """Note that an exchange of a task began or ended."""
    task = work.find(id_)
    if task is not None and t > task.last_t:
        work.put(task._replace(last_t=t))


def count(work: Work, id_: str, lines: list[Record], t: int, effects: Effects, *, is_call: bool) -> None:
    """Add an exchange that ended to its task; of one that earned nothing, its cost counts as such at once."""
    task = work.find(id_)
    if task is None:
        effects.refused.append((id_, "called, and there is no such task"))
        return
    costs = [line["cost"] for line in lines]
    task = task._replace(
        last_t=max(t, task.last_t), calls=task.calls + is_call,
        cost_nusd=task.cost_nusd + sum(cost for cost in costs if cost is not None),
        unpriced=task.unpriced + costs.count(None),
    )  # fmt: skip
    work.tell(task.type, "call", is_call, sum(cost for cost in costs if cost is not None))
    work.put(_unearned(task, t, effects) if task.outcome in UNEARNED else task)


def costed(work: Work, record: Record, effects: Effects) -> None:
    """Book what a task cost beside its calls, or what of it was wrong."""
    task, t, nusd, kind = work.find(record["task"]), record["t"], record["nusd"], record["kind"]
    if task is None or kind not in OTHER_COSTS:
        effects.refused.append((record["id"], "a cost of no task, or of no kind that there is"))
        return
    effects.book(f"task-cost:{record['id']}", "task-cost", t,
                 pair(task.customer, USD, nusd, to=f"cogs.{kind}", from_=f"accrued.{kind}",
                      from_customer=NOBODY))  # fmt: skip
    effects.task_costs.append((record["id"], task.id, task.customer, kind, t, record["at"], nusd))
    name = f"cost_{kind}_nusd" if nusd >= 0 else "cost_other_corrected_nusd"
    effects.add(RollupKey(day(t), task.customer, task.plan), **{name: abs(nusd)})
    task = task._replace(other_nusd=task.other_nusd + nusd)
    _told(work, _unearned(task, t, effects) if task.outcome in UNEARNED else task, record, effects)


def _moved(work: Work, task: Task, to: str, at: int, t: int, effects: Effects) -> Task:
    """Return a task whose outcome has gone as far as `to`; what is nearer to the start moves nothing."""
    if RANKS[to] <= RANKS[task.outcome]:
        return task
    was = task.outcome in CHARGED
    work.tell(task.type, to)
    window = _terms(task.terms)["window"]
    due = at + int(window) if to == "pending" and window is not None else None
    task = task._replace(outcome=to, outcome_t=at, due_t=due)
    if to in CHARGED and not was:
        task = _charge(work, task, "outcome", t, effects)
    elif was and to not in CHARGED:
        task = _reverse(work, task, t, effects)
    return _unearned(task, t, effects) if to in UNEARNED else task


def _charge(work: Work, task: Task, kind: str, t: int, effects: Effects) -> Task:
    month = Period.of(t).name
    nusd = _add(work, task, month, 1)
    effects.book(f"{kind}:{task.id}", kind, t,
                 pair(task.customer, USD, nusd, to="receivable", from_=f"rev.{kind}s"))  # fmt: skip
    _note(task, nusd, t, effects)
    return task._replace(month=month, charged_nusd=nusd)


def _reverse(work: Work, task: Task, t: int, effects: Effects) -> Task:
    nusd = _add(work, task, task.month, -1, is_late=Period.of(t).name != task.month)
    effects.book(f"outcome-reversed:{task.id}", "outcome-reversed", t,
                 pair(task.customer, USD, nusd, to="receivable", from_="rev.outcomes"))  # fmt: skip
    _note(task, nusd, t, effects)
    return task._replace(charged_nusd=task.charged_nusd + nusd)


def _add(work: Work, task: Task, month: str, units: int, *, is_late: bool = False) -> int:
    """Count a unit of a month, or one less; return what the month comes to more."""
    key = _month_key(task, month)
    before = work.month(key)
    nusd = _tiers(key[-1]).added_nusd(before.units, units)
    late_units = before.late_units - units if is_late else before.late_units
    work.put_month(key, Month(before.units + units, before.nusd + nusd, late_units))
    return nusd


def _month_key(task: Task, month: str) -> MonthKey:
    terms = _terms(task.terms)
    name = f"{terms['metric']}:{terms['name']}"
    return task.customer, task.plan, month, name, orjson.dumps(terms["price"]).decode()


def _note(task: Task, nusd: int, t: int, effects: Effects) -> None:
    """Add to the day's sums, none of which ever falls: what is taken back stands in a sum of its own."""
    name = "revenue_tasks_nusd" if nusd >= 0 else "revenue_tasks_reversed_nusd"
    effects.add(RollupKey(day(t), task.customer, task.plan), **{name: abs(nusd)})


def _unearned(task: Task, t: int, effects: Effects) -> Task:
    whole = task.cost_nusd + task.other_nusd
    more = whole - task.unearned_nusd
    name = "cost_unearned_nusd" if more >= 0 else "cost_unearned_corrected_nusd"
    effects.add(RollupKey(day(t), task.customer, task.plan), **{name: abs(more)})
    return task._replace(unearned_nusd=whole)


# ---- what must hold -------------------------------------------------------------------------------------------------


def violations(db: sqlite3.Connection) -> list[str]:
    """Return in words where charges of tasks are not what their state and their months' prices say."""
    found: list[str] = []
    counted: dict[MonthKey, int] = {}
    for row in db.execute("SELECT * FROM tasks"):
        task = Task(*row)
        kind = "task" if task.metric == "workflow" else "outcome"
        if task.is_charged:
            key = _month_key(task, task.month)
            counted[key] = counted.get(key, 0) + 1
        booked = _booked(db, f"{kind}:{task.id}") - _booked(db, f"outcome-reversed:{task.id}")
        if task.metric and booked != task.is_charged:
            found.append(
                f"I4: {booked} charges stand for the task {task.id}, whose outcome is {task.outcome or 'none'}"
            )
    for customer, plan, month, name, price, units, nusd, _ in db.execute("SELECT * FROM task_months"):
        key = (customer, plan, month, name, price)
        if units != counted.pop(key, 0):
            found.append(f"I4: {units} of {name} are counted for customer {customer} in {month}, and not as many stand")
        if nusd != _tiers(price).total_nusd(units):
            found.append(f"I11: {units} of {name} come to {nusd} nUSD for customer {customer} in {month}")
    return found + [f"I4: {units} of {key[3]} stand in {key[2]} and are not counted" for key, units in counted.items()]


def _booked(db: sqlite3.Connection, key: str) -> int:
    return int(db.execute("SELECT COUNT(*) FROM txns WHERE key = ?", (key,)).fetchone()[0])


def other_costs(db: sqlite3.Connection, id_: str) -> dict[str, int]:
    """Return what a task cost beside its calls, in nano-dollars by kind; kinds that it has."""
    return dict(db.execute("SELECT kind, SUM(nusd) FROM task_costs WHERE task = ? GROUP BY kind", (id_,)).fetchall())


def event(db: sqlite3.Connection, customer: int, name: str) -> tuple[str, Task] | None:
    """Return the digest of what was asked under an idempotency key, and the task as that left it; None: it is free."""
    query = "SELECT request, answer FROM task_events WHERE customer = ? AND event = ?"
    row = db.execute(query, (customer, name)).fetchone()
    return None if row is None else (row[0], Task(**orjson.loads(row[1])))
