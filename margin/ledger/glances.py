"""What a page that is looked at all day asks the ledger: sums of tiers by day, and the charges booked last."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

import orjson

from margin.ledger import rollups


class TierRow(NamedTuple):
    """What requests of one charge tier cost and saved, in nano-dollars.

    The cost has the calls of voided exchanges in it, by the tier that would have been charged. The baseline and the
    savings are of requests whose baseline and cost are known; `unpriced` are the others.
    """

    tier: str
    requests: int
    cost_nusd: int
    baseline_nusd: int
    response_cache_nusd: int
    routing_nusd: int
    prompt_cache_nusd: int
    prompt_optimisation_nusd: int
    overhead_nusd: int
    unpriced: int


def by_tier(db: sqlite3.Connection, since_day: str) -> list[TierRow]:
    """Return the sums of each charge tier that was asked for, or cost anything, from a day on."""
    rows = db.execute(
        f"""SELECT charge_tier, SUM(requests), SUM({rollups.COST}), SUM(baseline_nusd), SUM(saving_cache_nusd),
            SUM(saving_routing_nusd), SUM(saving_prompt_nusd), SUM(saving_trims_nusd), SUM(cost_overhead_nusd),
            SUM(unpriced)
        FROM tier_days WHERE day >= ? GROUP BY charge_tier
        HAVING SUM(requests) <> 0 OR SUM({rollups.COST}) <> 0 ORDER BY charge_tier""",  # noqa: S608 - our names
        (since_day,),
    )
    return [TierRow(*row) for row in rows]


LOOKED_BACK = 20_000
"""Charges among which a customer's last ones are looked for: some 20 ms of reading where it has none."""


def last_charges(db: sqlite3.Connection, limit: int, customer: int | None = None) -> list[dict[str, Any]]:
    """Return the charges booked last, the last first; of a customer, those among the last `LOOKED_BACK` of all.

    Amounts are as they were booked; `is_reversed` tells whether they were taken back.
    """
    of, values = ("", ()) if customer is None else ("AND customer = ?", (customer,))
    rows = db.execute(
        f"""SELECT x, t, customer, plan, charge_tier, served_tier, outcome, provider, deployment, model, credits_milli,
            revenue_nusd, cost_nusd, decision, x IN (SELECT x FROM reversals) AS is_reversed
        FROM main.charges WHERE rowid > (SELECT MAX(rowid) FROM main.charges) - ? {of} ORDER BY rowid DESC LIMIT ?""",  # noqa: S608 - our names
        (LOOKED_BACK, *values, limit),
    )
    names = [column[0] for column in rows.description]
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [each | {"decision": orjson.loads(each["decision"])} for each in found]
