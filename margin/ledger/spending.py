"""What each key, customer, member, plan, feature and model, and all together, used by the hour: what budgets go by.

By the hour of admission: what an exchange took from a budget belongs to the period in which it took it, however long it
ran. Costs are those that were booked with the exchange; later corrections are not among them. A call beside an exchange
is nobody's use but the house's: it counts of its model, its kind (`aside`) and all together, as cost and not as tokens.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

from margin.ledger.postings import NOBODY
from margin.ledger.state import Hold
from margin.records import aside_of

HOUR_NS = 3_600 * 1_000_000_000
KEPT_HOURS = 62 * 24
"""Twice the longest period of a budget: who asks about the past asks the rollups."""

Record = dict[str, Any]


class Place(NamedTuple):
    """Where an exchange, or one call of it, is counted."""

    hour: int
    customer: int
    key: str
    plan: str
    member: str
    feature: str
    deployment: str
    aside: str = ""


class Sums(NamedTuple):
    """What was used: exchanges, or calls of a model; tokens; nano-dollars of cost, and of charge at the list price.

    `unsure_nusd` is what calls may have cost beyond what was booked of them, as nobody saw their answer.
    """

    requests: int = 0
    tokens: int = 0
    cost_nusd: int = 0
    charge_nusd: int = 0
    unsure_nusd: int = 0

    @property
    def most_nusd(self) -> int:
        """The most that it cost: what budgets count."""
        return self.cost_nusd + self.unsure_nusd

    def plus(self, other: Sums) -> Sums:
        """Return both together."""
        return Sums(*map(int.__add__, self, other))


Spent = dict[Place, list[int]]
"""By place, what `Sums` has and the number of calls: added to in place, as every call is."""


def note(spent: Spent, hold: Hold, lines: list[Record], charge_milli: int) -> None:
    """Count an exchange that was settled or voided, each call where its model is."""
    hour, last = hold.t // HOUR_NS, len(lines) - 1
    aside = aside_of(hold.x)
    for index, line in enumerate(lines):
        its_own = (hour, hold.customer, hold.key, hold.plan, hold.member, hold.feature, line["d"], "")
        if aside is not None:
            its_own = (hour, NOBODY, "", "", "", "", line["d"], aside)
        place = tuple.__new__(Place, its_own)
        sums = spent.get(place)
        if sums is None:
            sums = spent[place] = [0] * (len(Sums._fields) + 1)
        cost = 0 if line["cost"] is None else line["cost"]  # nothing is booked of what nobody knows
        sums[1] += 0 if line["u"] is None or aside is not None else sum(line["u"].values())
        sums[2] += cost
        if "max" in line:
            sums[4] += most_nusd(line) - cost
        sums[5] += 1
        if index == last and aside is None:
            sums[0] += 1
            sums[3] += charge_milli * hold.uncovered_nusd_per_credit // 1000


def most_nusd(line: Record) -> int:
    """Return what budgets count of a call: what it cost; and where nobody knows that, the most that it may have cost.

    Where no stated budget held anything for it, what is booked is all there is to count: 0 of an unknown cost.
    """
    cost = 0 if line["cost"] is None else line["cost"]
    return max(int(cost), int(line.get("max", 0)))


def forget(spent: Spent, until_hour: int) -> None:
    """Drop what a batch has from before an hour, as what is stored is dropped: however records fall into batches."""
    for place in [place for place in spent if place.hour < until_hour]:
        del spent[place]


def by_subject(spent: Spent) -> dict[tuple[str, str, int], Sums]:
    """Return the sums of each subject and hour."""
    found: dict[tuple[str, str, int], Sums] = {}
    for place, (*counts, calls) in spent.items():
        sums = Sums(*counts)
        for kind, id_ in _subjects(place):
            row = (kind, id_, place.hour)
            counted = sums._replace(requests=calls) if kind == "model" else sums
            found[row] = found.get(row, Sums()).plus(counted)
    return found


def _subjects(place: Place) -> list[tuple[str, str]]:
    if place.aside:
        return [("aside", place.aside), ("model", place.deployment), ("all", "")]
    found = [("key", place.key), ("customer", str(place.customer)), ("plan", place.plan), ("model", place.deployment),
             ("all", "")]  # fmt: skip
    if place.member:
        found.append(("member", member_id(place.customer, place.member)))
    return [*found, ("feature", place.feature)] if place.feature else found


def member_id(customer: int, member: str) -> str:
    """Return what a customer's member is counted under."""
    return f"{customer}:{member}"


def write(db: sqlite3.Connection, spent: Spent, until_hour: int) -> None:
    """Forget what is stored from before an hour (0 forgets none), then add a batch's sums."""
    if until_hour:
        db.execute("DELETE FROM spending WHERE hour < ?", (until_hour,))
    db.executemany(
        f"INSERT INTO spending VALUES (?, ?, ?{', ?' * len(Sums._fields)}) ON CONFLICT DO UPDATE SET "  # noqa: S608
        + ", ".join(f"{name} = {name} + excluded.{name}" for name in Sums._fields),
        [(*row, *sums) for row, sums in by_subject(spent).items()],
    )


def since(db: sqlite3.Connection, pending: Spent, kind: str, id_: str, hour: int) -> dict[int, Sums]:
    """Return what a subject used in each hour from `hour` on; `pending` is applied and not stored yet."""
    query = f"SELECT hour, {', '.join(Sums._fields)} FROM spending WHERE kind = ? AND id = ? AND hour >= ?"  # noqa: S608
    found = {row[0]: Sums(*row[1:]) for row in db.execute(query, (kind, id_, hour))}
    for (its_kind, its_id, its_hour), sums in by_subject(pending).items():
        if (its_kind, its_id) == (kind, id_) and its_hour >= hour:
            found[its_hour] = found.get(its_hour, Sums()).plus(sums)
    return found


def subjects(db: sqlite3.Connection, kind: str, hour: int) -> Mapping[str, Sums]:
    """Return what each subject of a kind used from `hour` on, as far as it is stored."""
    sums = ", ".join(f"SUM({name})" for name in Sums._fields)
    query = f"SELECT id, {sums} FROM spending WHERE kind = ? AND hour >= ? GROUP BY id"  # noqa: S608
    return {row[0]: Sums(*row[1:]) for row in db.execute(query, (kind, hour))}
