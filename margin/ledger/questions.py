"""What people ask the ledger. Every question reads one snapshot; margin questions read the rollup only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from margin.ledger import rollups, terms
from margin.ledger.grants import Grant
from margin.records import ASIDES, aside

_MARGINS = f"customer, {', '.join(rollups.MARGIN_SUMS)}"
_MARGINS_SUMMED = ", ".join(f"SUM({name})" for name in rollups.MARGIN_SUMS)


@contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Hold one consistent view of the file for the length of the block."""
    db.execute("BEGIN")
    try:
        yield db
    finally:
        db.execute("ROLLBACK")


@dataclass(frozen=True, slots=True)
class MarginRow:
    """Margin of one customer, or of all. `savings_nusd` covers the requests whose baseline and cost are known."""

    customer: int | None
    requests: int
    cost_nusd: int
    revenue_nusd: int
    savings_nusd: int
    unpriced: int
    other_cost_nusd: int = 0
    """The part of the cost that was no call: what was told of tasks."""

    @property
    def margin_nusd(self) -> int:
        """Revenue minus cost; negative is a loss."""
        return self.revenue_nusd - self.cost_nusd


def margin_by_customer(
    db: sqlite3.Connection, *, since_day: str = "", customer: int | None = None, limit: int = -1
) -> list[MarginRow]:
    """Return customers' margins from `since_day` (inclusive, UTC) on, biggest loss first: all, one's, or so many."""
    source, values = margins_since(since_day)
    of = "" if customer is None else f"WHERE customer = {customer:d}"
    rows = db.execute(
        f"""SELECT customer, {_MARGINS_SUMMED}
            FROM ({source}) {of} GROUP BY customer ORDER BY SUM(revenue_nusd) - SUM(cost_nusd), customer
            LIMIT {limit:d}""",  # noqa: S608
        values,
    )
    return [MarginRow(*row) for row in rows]


class PlanRow(NamedTuple):
    """Margin of the customers who are on one plan today, whatever they were on before."""

    plan: str
    customers: int
    sums: MarginRow


def margin_by_plan(db: sqlite3.Connection, since_day: str) -> list[PlanRow]:
    """Return the margin of each plan's customers from a day on; adds up to everything."""
    source, values = margins_since(since_day)
    rows = db.execute(
        f"""SELECT COALESCE(plan, ''), COUNT(DISTINCT customer), {_MARGINS_SUMMED}
        FROM ({source}) LEFT JOIN customers ON number = customer GROUP BY 1 ORDER BY 1""",  # noqa: S608
        values,
    )
    return [PlanRow(plan, count, MarginRow(None, *sums)) for plan, count, *sums in rows]


def margins_since(day: str) -> tuple[str, dict[str, str]]:
    """Return where margins are read from: as few rows as can be, so months, then weeks, then days.

    Of the month in which the question begins, the rest of a week by its days and the weeks after it as such.
    """
    months = f"SELECT {_MARGINS} FROM margin_months WHERE month"  # noqa: S608 - our names
    if day[8:] in {"", "01"}:
        return f"{months} >= :month", {"month": day[:7]}
    # Weeks are written like 2026-11/3. "~" stands behind every week and every day of a month.
    weeks = f"SELECT {_MARGINS} FROM margin_weeks WHERE week > :week AND week < :month || '~'"  # noqa: S608
    days = f"SELECT {_MARGINS} FROM margin_days WHERE day >= :day AND day < :end"  # noqa: S608
    source = f"{months} > :month UNION ALL {weeks} UNION ALL {days}"
    week = rollups.week(day)
    end = f"{day[:8]}{int(week[8:]) * 7 + 1:02}"
    return source, {"month": day[:7], "week": week, "day": day, "end": end}


@dataclass(frozen=True, slots=True)
class SavingsRow:
    """What was saved of one customer's requests, in nano-dollars; of those whose baseline and cost are known.

    `escalated_nusd` and `hedged_nusd` are in `routing_nusd` already, as what it is smaller by. `overhead_nusd` is what
    calls beside them cost, in the bill and in no lever. `would_save_nusd` is
    what routing would have saved of `observed` requests that were served as before: in no other figure.
    """

    customer: int | None
    requests: int
    baseline_nusd: int
    response_cache_nusd: int
    routing_nusd: int
    prompt_cache_nusd: int
    prompt_optimisation_nusd: int
    escalated_nusd: int
    hedged_nusd: int
    overhead_nusd: int
    unpriced: int
    observed: int
    would_save_nusd: int


def savings_by_customer(db: sqlite3.Connection, *, since_day: str = "") -> list[SavingsRow]:
    """Return what was saved of each customer's requests from a day on, most first."""
    rows = db.execute(
        """SELECT customer, SUM(requests), SUM(baseline_nusd), SUM(saving_cache_nusd), SUM(saving_routing_nusd),
            SUM(saving_prompt_nusd), SUM(saving_trims_nusd), SUM(cost_escalated_nusd), SUM(cost_hedged_nusd),
            SUM(cost_overhead_nusd), SUM(unpriced), SUM(observed), SUM(saving_observed_nusd)
        FROM rollup WHERE day >= ? GROUP BY customer HAVING SUM(requests) > 0
        ORDER BY SUM({SAVING}) DESC, customer""".replace("{SAVING}", rollups.SAVING),
        (since_day,),
    )
    return [SavingsRow(*row) for row in rows]


def margin_in(db: sqlite3.Connection, customer: int, over: str, t: int) -> tuple[str, int, int]:
    """Return a customer's revenue and cost in nano-dollars, with the name of the `day` or `month` of a moment."""
    today = terms.day(t)
    table, period = ("margin_days", today) if over == "day" else ("margin_months", today[:7])
    row = db.execute(
        f"SELECT revenue_nusd, cost_nusd FROM {table} WHERE customer = ? AND {over} = ?",  # noqa: S608 - our names
        (customer, period),
    ).fetchone()
    return (period, 0, 0) if row is None else (period, *row)


def total(rows: list[MarginRow]) -> MarginRow:
    """Add rows up."""
    return MarginRow(
        None,
        sum(row.requests for row in rows),
        sum(row.cost_nusd for row in rows),
        sum(row.revenue_nusd for row in rows),
        sum(row.savings_nusd for row in rows),
        sum(row.unpriced for row in rows),
        sum(row.other_cost_nusd for row in rows),
    )


def credit_balance(db: sqlite3.Connection, customer: int) -> dict[str, int]:
    """Return a customer's credits in milli-credits: available, held, spent, expired."""
    query = "SELECT name, balance FROM accounts WHERE customer = ? AND commodity = 'CREDIT'"
    found = dict(db.execute(query, (customer,)).fetchall())
    covered, uncovered = _held_milli(db, customer)
    return {
        "available": found.get("credits.balance", 0) - covered, "held": covered + uncovered,
        "spent": found.get("credits.spent", 0), "expired": found.get("credits.expired", 0),
    }  # fmt: skip


def _held_milli(db: sqlite3.Connection, customer: int | None) -> tuple[int, int]:
    """Return what open exchanges hold of grants, and with none behind it, of one customer or of all."""
    query = "SELECT COALESCE(SUM(covered_milli), 0), COALESCE(SUM(uncovered_milli), 0) FROM holds"
    only, values = ("", ()) if customer is None else (" WHERE customer = ?", (customer,))
    covered, uncovered = db.execute(query + only, values).fetchone()
    return covered, uncovered


def usage_by_day(db: sqlite3.Connection, customer: int, days: list[str]) -> list[tuple[Any, ...]]:
    """Return (day, provider, model, requests, tokens in, tokens out, milli-credits) of a customer, the last day first.

    Reads the sums of those days only; what was reversed is taken off on the day of its reversal.
    """
    marks = ", ".join("?" * len(days))
    return db.execute(
        f"""SELECT day, provider, model, SUM(requests), SUM(input + cache_read + cache_write), SUM(output),
                SUM(credits_milli - credits_reversed_milli)
            FROM rollup WHERE day IN ({marks}) AND customer = ? GROUP BY day, provider, model
            HAVING SUM(requests) > 0 OR SUM(credits_reversed_milli) > 0 ORDER BY day DESC, model, provider""",  # noqa: S608 - marks only
        (*days, customer),
    ).fetchall()


def credits_in(db: sqlite3.Connection, customer: int, plan: str, month: str) -> int:
    """Return the milli-credits a customer was charged on a plan in a month such as 2026-11, less what came back."""
    days = [f"{month}-{number:02d}" for number in range(1, 32)]  # each is found by the table's key; a range is not
    query = f"""SELECT COALESCE(SUM(credits_milli - credits_reversed_milli), 0) FROM rollup
        WHERE day IN ({", ".join("?" * len(days))}) AND customer = ? AND plan = ?"""  # noqa: S608 - marks only
    return int(db.execute(query, (*days, customer, plan)).fetchone()[0])


def last_booked(db: sqlite3.Connection) -> tuple[int, int]:
    """Return where the charges and the transactions end, for `booked_since`."""
    charge = db.execute("SELECT COALESCE(MAX(rowid), 0) FROM main.charges").fetchone()[0]
    return charge, db.execute("SELECT COALESCE(MAX(id), 0) FROM main.txns").fetchone()[0]


def booked_since(db: sqlite3.Connection, last: tuple[int, int]) -> tuple[tuple[int, int], set[int]]:
    """Return where the books end now, and the customers that a charge or an item was booked for since `last`."""
    now = last_booked(db)
    charged = db.execute("SELECT DISTINCT customer FROM main.charges WHERE rowid > ?", (last[0],))
    found = {customer for (customer,) in charged}
    keys = db.execute("SELECT key FROM main.txns WHERE id > ? AND kind = 'item'", (last[1],)).fetchall()
    for key in keys:
        found |= {customer for (customer,) in db.execute("SELECT customer FROM main.rated WHERE cause = ?", key)}
    return now, found


def overdraft_milli(db: sqlite3.Connection, customer: int | None = None) -> int:
    """Return what is held or spent with no grant behind it, less what was covered since, of one customer or of all."""
    if customer is None:
        row = db.execute("SELECT -balance FROM balances WHERE account = 'credits.overdraft'").fetchone()
    else:
        query = "SELECT -balance FROM accounts WHERE customer = ? AND name = 'credits.overdraft'"
        row = db.execute(query, (customer,)).fetchone()
    return (0 if row is None else int(row[0])) + _held_milli(db, customer)[1]


def totals(db: sqlite3.Connection, labels: tuple[str, ...], sums: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Return `sums` over everything, grouped by `labels`: what the exporter turns into counters."""
    grouped = ", ".join(labels)
    summed = ", ".join(f"SUM({name})" for name in sums)
    return db.execute(f"SELECT {grouped}, {summed} FROM rollup_totals GROUP BY {grouped} ORDER BY {grouped}").fetchall()  # noqa: S608


def task_totals(db: sqlite3.Connection) -> list[tuple[str, str, int, int]]:
    """Return how often what happened to tasks, by type and event, and the cost of the calls."""
    return db.execute("SELECT type, event, count, cost_nusd FROM task_totals ORDER BY type, event").fetchall()


def credit_totals(db: sqlite3.Connection) -> dict[str, int]:
    """Return milli-credits given and expired, over all customers."""
    rows = dict(db.execute("SELECT account, balance FROM balances WHERE commodity = 'CREDIT'").fetchall())
    return {"granted": -rows.get("credits.issued", 0), "expired": rows.get("credits.expired", 0)}


@dataclass(frozen=True, slots=True)
class LastReconciled:
    """The latest comparison with one kind of account. The share is in billionths; what is unknown is None."""

    account: str
    t: int
    explained_ppb: int | None
    difference_nusd: int | None
    differences: int


def last_reconciled(db: sqlite3.Connection) -> list[LastReconciled]:
    """Return the latest comparison of each kind of account."""
    rows = db.execute(
        """SELECT account, t, explained_ppb, difference_nusd, differences FROM reconciliations
        WHERE id IN (SELECT MAX(id) FROM reconciliations GROUP BY account) ORDER BY account"""
    )
    return [LastReconciled(*row) for row in rows]


def refused_records(db: sqlite3.Connection) -> int:
    """Return how many journal records had no effect."""
    return int(db.execute("SELECT COUNT(*) FROM refused").fetchone()[0])


def charge(db: sqlite3.Connection, x: str) -> dict[str, Any] | None:
    """Return one charge with its cost lines, those of calls beside it as they stand, and its reversal; None: no charge.

    What is stored as JSON comes decoded.
    """
    found = _rows(db.execute("SELECT * FROM charges WHERE x = ?", (x,)), "decision", "burnt")
    if not found:
        return None
    lines = _rows(db.execute("SELECT * FROM cost_lines WHERE x = ? ORDER BY n", (x,)), "usage")
    corrections = _rows(db.execute("SELECT * FROM corrections WHERE x = ? ORDER BY n, revision", (x,)), "usage")
    shadow = aside(x, "shadow")  # what compares its answer is asked beside it
    names = (*(aside(x, kind) for kind in ASIDES), aside(shadow, "classifier"))
    beside = f"SELECT * FROM current_cost_lines WHERE x IN ({', '.join('?' * len(names))}) ORDER BY x, n"  # noqa: S608
    asides = _rows(db.execute(beside, names), "usage")
    reversals = _rows(db.execute("SELECT * FROM reversals WHERE x = ?", (x,)))
    rated = _rows(db.execute("SELECT * FROM rated WHERE cause = ? ORDER BY meter", (x,)))
    reversal = reversals[0] if reversals else None
    return found[0] | {
        "cost_lines": lines, "corrections": corrections, "asides": asides, "rated": rated, "reversal": reversal,
    }  # fmt: skip


class Decided(NamedTuple):
    """Why one charge was decided as it was. `row` is its place in the order in which charges were booked."""

    row: int
    x: str
    customer: int
    t: int
    served: str
    decision: dict[str, Any]


def decided(db: sqlite3.Connection, after: int, back_ns: int, limit: int) -> list[Decided]:
    """Return the charges booked after a row, and those of some time before it, in that order.

    Args:
        db: The ledger.
        after: The row up to which they were asked for before; 0 for none.
        back_ns: How long before that row to begin.
        limit: How many after it, at most.
    """
    found = db.execute("SELECT t FROM main.charges WHERE rowid = ?", (after,)).fetchone()
    first = after
    if found is not None:
        for row, t in db.execute("SELECT rowid, t FROM main.charges WHERE rowid <= ? ORDER BY rowid DESC", (after,)):
            if t < found[0] - back_ns:
                break
            first = row - 1
    rows = db.execute(
        "SELECT rowid, x, customer, t, served_tier, decision FROM main.charges WHERE rowid > ? ORDER BY rowid LIMIT ?",
        (first, after - first + limit),
    )
    return [Decided(*row)._replace(decision=orjson.loads(row[-1])) for row in rows]


def _rows(cursor: sqlite3.Cursor, *encoded: str) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description]
    found = [dict(zip(names, row, strict=True)) for row in cursor]
    for row in found:
        row |= {name: orjson.loads(row[name]) for name in encoded if row[name] is not None}
    return found


def cards(db: sqlite3.Connection) -> dict[str, list[Any]]:
    """Return the levels of every price card that was kept, by id."""
    return {id_: orjson.loads(levels) for id_, levels in db.execute("SELECT id, levels FROM cards")}


def costbook(db: sqlite3.Connection, version: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what a version of the cost book said, by provider and model; empty when it was never in use here."""
    rows = db.execute("SELECT provider, model, history FROM costbooks WHERE version = ?", (version,))
    return {(provider, model): orjson.loads(history) for provider, model, history in rows}


def costbook_versions(db: sqlite3.Connection) -> list[str]:
    """Return the versions of the cost book that were in use, the newest last."""
    rows = db.execute("SELECT version FROM costbooks GROUP BY version ORDER BY MIN(t), version")
    return [version for (version,) in rows]


def grants(db: sqlite3.Connection, customer: int) -> list[Grant]:
    """Return all grants a customer was ever given, oldest first."""
    rows = db.execute("SELECT * FROM grants WHERE customer = ? ORDER BY seq", (customer,))
    return [Grant.stored(row) for row in rows]


@dataclass(frozen=True, slots=True)
class CostLine:
    """One attempt that a provider may have billed, as it stands after all corrections.

    `plan` is the charge's; of an attempt without a charge it is the customer's today, and its tiers are empty.
    """

    x: str
    n: int
    t: int
    provider: str
    deployment: str
    model: str
    revision: int
    kind: str
    call_id: str | None
    status: int | None
    usage: dict[str, int] | None
    card: str | None
    cost_nusd: int | None
    customer: int
    plan: str
    charge_tier: str
    served_tier: str
    service_tier: str | None = None


def cost_lines(db: sqlite3.Connection, *, since_t: int = 0, until_t: int = 2**63 - 1) -> Iterator[CostLine]:
    """Yield the cost lines booked in [since, until)."""
    rows = db.execute(
        """SELECT l.x, n, l.t, l.provider, l.deployment, l.model, revision, kind, call_id, status, usage, card,
            l.cost_nusd, l.customer, COALESCE(charges.plan, customers.plan), COALESCE(charge_tier, ''),
            COALESCE(served_tier, ''), l.service_tier
        FROM current_cost_lines AS l LEFT JOIN charges ON charges.x = l.x
        LEFT JOIN customers ON customers.number = l.customer WHERE l.t >= ? AND l.t < ?""",
        (since_t, until_t),
    )
    for row in rows:
        line = CostLine(*row)
        yield line if row[10] is None else replace(line, usage=orjson.loads(row[10]))
