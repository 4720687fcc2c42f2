"""What is asked of many customers at once: margins by any group, who comes back, members, tasks by type, busy hours.

Read from the sums that are kept anyway; tasks are read one by one, as their medians are of single tasks.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import orjson

from margin.ledger import questions, rollups
from margin.ledger.exchanges import CACHE
from margin.ledger.questions import MarginRow
from margin.ledger.tasks import CHARGED

GROUPS = {
    "plan": "plan", "tier": "charge_tier", "served": "served_tier", "provider": "provider", "model": "model",
    "day": "day", "month": "substr(day, 1, 7)",
}  # fmt: skip
"""What a margin can be asked by, as the rollup has it; besides by customer, segment and persona."""
DESCRIBED = ("segment", "persona")
"""What is said of customers: theirs today, whatever it was before."""


class Group(NamedTuple):
    """The margin of one group; the groups of a question add up to everything. `name` is empty for what has none."""

    name: str
    sums: MarginRow


def margin_by(db: sqlite3.Connection, by: str, since_day: str = "") -> list[Group]:
    """Return margins by one of `GROUPS` or `DESCRIBED`, in the order of their names."""
    if by in DESCRIBED:
        source, values = questions.margins_since(since_day)
        query = f"""SELECT COALESCE({by}, ''), SUM(requests), SUM(cost_nusd), SUM(revenue_nusd), SUM(saving_nusd),
            SUM(unpriced), SUM(cost_other_nusd) FROM ({source})
            LEFT JOIN customers ON number = customer GROUP BY 1 ORDER BY 1"""  # noqa: S608 - our names
        rows = db.execute(query, values)
    else:
        query = f"""SELECT {GROUPS[by]}, SUM(requests), SUM({rollups.COST}), SUM({rollups.REVENUE}),
            SUM({rollups.SAVING}), SUM(unpriced), SUM({rollups.OTHER_COST})
            FROM rollup WHERE day >= ? GROUP BY 1 ORDER BY 1"""  # noqa: S608 - our names
        rows = db.execute(query, (since_day,))
    return [Group(name, MarginRow(None, *sums)) for name, *sums in rows]


class Activity(NamedTuple):
    """On which days a customer was served; days without a request, on which only fees accrue, are none."""

    customer: int
    first_day: str
    last_day: str
    days: int
    requests: int


def activity(db: sqlite3.Connection, since_day: str = "", until_day: str = "~") -> list[Activity]:
    """Return when customers were served, from a day on and before another, those with most requests first."""
    rows = db.execute(
        """SELECT customer, MIN(day), MAX(day), COUNT(*), SUM(requests) FROM margin_days
        WHERE requests > 0 AND day >= ? AND day < ? GROUP BY customer ORDER BY SUM(requests) DESC, customer""",
        (since_day, until_day),
    )
    return [Activity(*row) for row in rows]


def members(db: sqlite3.Connection, hour: int) -> dict[int, int]:
    """Return how many members of each customer were served from an hour on; an exact count, kept for 62 days."""
    rows = db.execute(
        """SELECT CAST(substr(id, 1, instr(id, ':') - 1) AS INTEGER), COUNT(DISTINCT id) FROM spending
        WHERE kind = 'member' AND hour >= ? GROUP BY 1""",
        (hour,),
    )
    return dict(rows.fetchall())


class Busy(NamedTuple):
    """How long one provider worked for callers, of exchanges that it served, and what those cost."""

    provider: str
    requests: int
    busy_us: int
    cost_nusd: int


def busy(db: sqlite3.Connection, since_day: str = "") -> list[Busy]:
    """Return how long each provider worked, from a day on."""
    rows = db.execute(
        f"""SELECT provider, SUM(requests), SUM(busy_us), SUM({rollups.COST}) FROM rollup
        WHERE day >= ? AND provider NOT IN ('', ?) GROUP BY provider ORDER BY provider""",  # noqa: S608 - our names
        (since_day, CACHE),
    )
    return [Busy(*row) for row in rows]


class TaskType:
    """All tasks of one type and metric that were opened since a moment: what they cost, and what they earned.

    A task is done when it was closed otherwise than as abandoned, and resolved while its outcome is charged.
    """

    def __init__(self, type_: str, metric: str, name: str) -> None:
        self.type, self.metric, self.name = type_, metric, name
        self.opened = self.done = self.calls = self.unpriced = 0
        self.cost_nusd = self.charged_nusd = self.unearned_nusd = self.resolved_cost_nusd = 0
        self.costs: list[int] = []
        """Of each task that is done."""
        self.calls_each: list[int] = []
        self.outcomes: dict[str, int] = defaultdict(int)

    @property
    def resolved(self) -> int:
        """How many outcomes are charged."""
        return sum(self.outcomes.get(state, 0) for state in CHARGED)

    def add(self, *, is_done: bool, calls: int, cost_nusd: int, outcome: str) -> None:
        """Count one task."""
        self.opened += 1
        self.calls += calls
        self.cost_nusd += cost_nusd
        if is_done:
            self.done += 1
            self.costs.append(cost_nusd)
            self.calls_each.append(calls)
        if outcome:
            self.outcomes[outcome] += 1
        if outcome in CHARGED:
            self.resolved_cost_nusd += cost_nusd


def tasks_by_type(db: sqlite3.Connection, since_t: int = 0) -> list[TaskType]:
    """Return the tasks that were opened since a moment, by type and what they are charged by."""
    found: dict[tuple[str, str, str], TaskType] = {}
    for type_, terms, closed_t, why, outcome, calls, cost, unpriced, charged, unearned in _tasks(db, since_t):
        said = orjson.loads(terms)
        key = (type_, said["metric"], said["name"])
        row = found.setdefault(key, TaskType(*key))
        row.add(is_done=closed_t is not None and why != "abandoned", calls=calls, cost_nusd=cost, outcome=outcome)
        row.unpriced += unpriced
        row.charged_nusd += charged
        row.unearned_nusd += unearned
    return [found[key] for key in sorted(found)]


def _tasks(
    db: sqlite3.Connection, since_t: int
) -> Iterator[tuple[str, str, int | None, str, str, int, int, int, int, int]]:
    yield from db.execute(
        """SELECT type, terms, closed_t, why, outcome, calls, cost_nusd + other_nusd, unpriced, charged_nusd,
            unearned_nusd FROM tasks WHERE opened_t >= ?""",
        (since_t,),
    )


def credits_left(db: sqlite3.Connection, t: int) -> list[tuple[int, int]]:
    """Return what each customer with grants has left, and was given by those it has something left of.

    In milli-credits, of grants that have not ended by `t`. Who has used up all has nothing left of nothing.
    """
    return db.execute(
        """SELECT SUM(left_milli), SUM(CASE WHEN left_milli > 0 THEN given_milli ELSE 0 END) FROM grants
        WHERE expires_t > ? AND is_ended = 0 GROUP BY customer""",
        (t,),
    ).fetchall()


def plans(db: sqlite3.Connection) -> dict[int, str]:
    """Return the plan that each customer is on."""
    return dict(db.execute("SELECT number, plan FROM customers").fetchall())
