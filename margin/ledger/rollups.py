"""The sums beside the entries, kept in the transaction that stores them, so that no question adds up requests.

From fine to coarse: `rollup` by customer, day, tier, model and outcome; `margin_days`, `margin_weeks` and
`margin_months` by customer, for margin questions; `tier_days` by day and charge tier, for the page; `rollup_totals` by
what metrics are labelled with, without customer and day, for the exporter.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from margin.ledger.postings import ROLLUP_SUMS, RollupKey
from margin.records import COST_KINDS, OTHER_COSTS

TOTALS_KEY = ("plan", "charge_tier", "provider", "model", "outcome")
MARGIN_SUMS = ("requests", "cost_nusd", "revenue_nusd", "saving_nusd", "unpriced", "cost_other_nusd")

COSTS = tuple(f"cost_{kind}_nusd" for kind in COST_KINDS)
_REVENUES = (
    "revenue_credits_nusd", "revenue_usage_nusd", "revenue_fee_nusd", "revenue_breakage_nusd", "revenue_metered_nusd",
    "revenue_seats_nusd", "revenue_shortfall_nusd", "revenue_tasks_nusd",
)  # fmt: skip
_REVERSED = (
    "revenue_credits_reversed_nusd", "revenue_usage_reversed_nusd", "revenue_metered_reversed_nusd",
    "revenue_tasks_reversed_nusd",
)  # fmt: skip

_OTHERS = tuple(f"cost_{kind}_nusd" for kind in OTHER_COSTS)
MODEL_COST = f"{' + '.join(COSTS)} - cost_corrected_nusd"
"""Cost of calls in a row of the rollup, as SQL."""
OTHER_COST = f"{' + '.join(_OTHERS)} - cost_other_corrected_nusd"
"""Cost of what was no call."""
COST = f"{MODEL_COST} + {OTHER_COST}"
"""All cost."""
REVENUE = f"{' + '.join(_REVENUES)} - {' - '.join(_REVERSED)}"
"""Revenue in a row of the rollup, as SQL."""
_SAVINGS = ("saving_trims_nusd", "saving_cache_nusd", "saving_routing_nusd", "saving_prompt_nusd")
SAVING = f"{' + '.join(_SAVINGS)} - cost_overhead_nusd"
"""What all levers saved in a row of the rollup, less the calls made beside exchanges, as SQL."""

WEEK = "substr(day, 1, 7) || '/' || ((substr(day, 9) - 1) / 7 + 1)"
"""The week of a day, as SQL; `week` says what that is."""

Sums = dict[str, int]
Row = tuple[Any, ...]

_totals_key = itemgetter(*(RollupKey._fields.index(name) for name in TOTALS_KEY))


def columns(names: Iterable[str]) -> str:
    """Return the declaration of columns that add up. A sum past 64 bits fails; SQLite would make it a rounded REAL."""
    return ", ".join(f"{name} INTEGER NOT NULL DEFAULT 0 CHECK (typeof({name}) = 'integer')" for name in names)


def week(day: str) -> str:
    """Return the week of a day: a month's weeks begin on its 1st, 8th, 15th, 22nd and 29th."""
    return f"{day[:7]}/{(int(day[8:]) - 1) // 7 + 1}"


def write(db: sqlite3.Connection, rollup: Mapping[RollupKey, Sums]) -> None:
    """Add a batch's sums to every rollup."""
    totals, days = dict[Row, Sums](), dict[Row, Sums]()
    weeks, months, tiers = dict[Row, Sums](), dict[Row, Sums](), dict[Row, Sums]()
    for key, sums in rollup.items():
        _add(totals, _totals_key(key), sums)
        _add(tiers, (key.day, key.charge_tier), sums)
        _add(days, (key.day, key.customer), _margin(sums))
    for (day, customer), margin in days.items():
        _add(weeks, (week(day), customer), margin)
        _add(months, (day[:7], customer), margin)
    _store(db, "rollup", RollupKey._fields, ROLLUP_SUMS, rollup)
    _store(db, "rollup_totals", TOTALS_KEY, ROLLUP_SUMS, totals)
    _store(db, "tier_days", ("day", "charge_tier"), ROLLUP_SUMS, tiers)
    _store(db, "margin_days", ("day", "customer"), MARGIN_SUMS, days)
    _store(db, "margin_weeks", ("week", "customer"), MARGIN_SUMS, weeks)
    _store(db, "margin_months", ("month", "customer"), MARGIN_SUMS, months)


def _margin(sums: Sums) -> Sums:
    """Return what a row of the rollup adds to a customer's margin."""
    other = sum(sums.get(name, 0) for name in _OTHERS) - sums.get("cost_other_corrected_nusd", 0)
    cost = sum(sums.get(name, 0) for name in COSTS) - sums.get("cost_corrected_nusd", 0) + other
    saving = sum(sums.get(name, 0) for name in _SAVINGS)
    saving -= sums.get("cost_overhead_nusd", 0)
    revenue = sum(sums.get(name, 0) for name in _REVENUES) - sum(sums.get(name, 0) for name in _REVERSED)
    return {"requests": sums.get("requests", 0), "cost_nusd": cost, "revenue_nusd": revenue,
            "saving_nusd": saving, "unpriced": sums.get("unpriced", 0), "cost_other_nusd": other}  # fmt: skip


def _add(rows: dict[Row, Sums], key: Row, sums: Sums) -> None:
    row = rows.get(key)
    if row is None:
        rows[key] = dict(sums)
        return
    for name, amount in sums.items():
        row[name] = row.get(name, 0) + amount


def _store(
    db: sqlite3.Connection, table: str, keys: tuple[str, ...], names: tuple[str, ...], rows: Mapping[Any, Sums]
) -> None:
    marks = ", ".join("?" * (len(keys) + len(names)))
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in names)
    db.executemany(
        f"INSERT INTO {table} ({', '.join((*keys, *names))}) VALUES ({marks}) ON CONFLICT DO UPDATE SET {added}",  # noqa: S608 - our names
        [(*key, *(sums.get(name, 0) for name in names)) for key, sums in rows.items()],
    )
