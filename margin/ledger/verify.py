"""Checks the books against themselves. Each check is a question whose right answer is no rows.

I1 transactions balance · I3 balances are the sums of their entries · I4 one charge per exchange · I6 held = open holds,
by grant · I7 issued = balance + spent + expired + overdraft, and balance = what the grants have, left and held · I10
deferred = the cash behind the grants · I16 customers add up to the whole · rollup = entries. The numbering is that of
the ledger's design notes; the journals' chains are checked by the caller, who knows the files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import TypeVar

from margin.ledger import commitments, tasks
from margin.ledger.postings import ROLLUP_SUMS
from margin.ledger.rollups import COST, MARGIN_SUMS, OTHER_COST, REVENUE, SAVING, TOTALS_KEY, WEEK
from margin.ledger.state import State
from margin.records import ASIDES

Name = TypeVar("Name", int, str)

_STANDING = "(SELECT COALESCE(SUM({0}), 0) FROM charges) - (SELECT COALESCE(SUM({0}), 0) FROM reversals)"

_IS_ASIDE = " OR ".join(f"x LIKE '%.{kind}'" for kind in ASIDES)

_PAIRS = {
    "cost in the rollup and in the entries": (
        f"SELECT COALESCE(SUM({COST}), 0) FROM rollup",  # noqa: S608 - our names
        "SELECT COALESCE(SUM(balance), 0) FROM accounts WHERE name LIKE 'cogs.%'",
    ),
    "revenue in the rollup and in the entries": (
        f"SELECT COALESCE(SUM({REVENUE}), 0) FROM rollup",  # noqa: S608 - our names
        "SELECT COALESCE(-SUM(balance), 0) FROM accounts WHERE name LIKE 'rev.%'",
    ),
    "cost owed to providers and others, and cost booked": (
        "SELECT COALESCE(-SUM(balance), 0) FROM accounts WHERE name LIKE 'ap.%' OR name LIKE 'accrued.%'",
        "SELECT COALESCE(SUM(balance), 0) FROM accounts WHERE name LIKE 'cogs.%'",
    ),
    "requests in the rollup and charges": (
        "SELECT COALESCE(SUM(requests), 0) FROM rollup",
        "SELECT COUNT(*) FROM charges",
    ),
    "charges and their transactions": (
        "SELECT COUNT(*) FROM charges",
        """SELECT COUNT(*) FROM charges WHERE EXISTS
            (SELECT 1 FROM txns WHERE key = 'close:' || charges.x AND kind = 'charge')""",
    ),
    "cost lines, costs of tasks, and cost booked": (
        """SELECT (SELECT COALESCE(SUM(cost_nusd), 0) FROM current_cost_lines)
            + (SELECT COALESCE(SUM(nusd), 0) FROM task_costs)""",
        "SELECT COALESCE(SUM(balance), 0) FROM accounts WHERE name LIKE 'cogs.%'",
    ),
    "what tasks cost beside their calls, in the tasks and line by line": (
        "SELECT COALESCE(SUM(other_nusd), 0) FROM tasks",
        "SELECT COALESCE(SUM(nusd), 0) FROM task_costs",
    ),
    "charges' revenue less reversals and revenue booked": (
        f"SELECT {_STANDING.format('revenue_nusd')}",
        "SELECT COALESCE(-SUM(balance), 0) FROM accounts WHERE name IN ('rev.credits', 'rev.usage')",
    ),
    "what tasks are charged and revenue booked of them": (
        "SELECT COALESCE(SUM(charged_nusd), 0) FROM tasks",
        "SELECT COALESCE(-SUM(balance), 0) FROM accounts WHERE name IN ('rev.tasks', 'rev.outcomes')",
    ),
    "what tasks cost that earned nothing, in the rollup and in the tasks": (
        "SELECT COALESCE(SUM(cost_unearned_nusd - cost_unearned_corrected_nusd), 0) FROM rollup",
        "SELECT COALESCE(SUM(unearned_nusd), 0) FROM tasks",
    ),
    "what was rated and what was booked for it": (
        "SELECT COALESCE(SUM(nusd), 0) FROM rated",
        "SELECT COALESCE(-SUM(balance), 0) FROM accounts WHERE name IN ('rev.metered', 'rev.shortfall')",
    ),
    "what was rated by month and line by line": (
        "SELECT COALESCE(SUM(nusd), 0) FROM quantities",
        "SELECT COALESCE(SUM(nusd), 0) FROM rated",
    ),
    "quantities by month and line by line": (
        "SELECT COALESCE(SUM(quantity), 0) FROM quantities",
        "SELECT COALESCE(SUM(quantity), 0) FROM rated",
    ),
    "credits in the rollup and in the charges": (
        "SELECT COALESCE(SUM(credits_milli), 0) FROM rollup",
        "SELECT COALESCE(SUM(credits_milli), 0) FROM charges",
    ),
    "credits reversed in the rollup and in the reversals": (
        "SELECT COALESCE(SUM(credits_reversed_milli), 0) FROM rollup",
        "SELECT COALESCE(SUM(credits_milli), 0) FROM reversals",
    ),
    "reversals and their transactions": (
        "SELECT COUNT(*) FROM reversals",
        "SELECT COUNT(*) FROM reversals JOIN txns ON txns.key = 'reverse:' || reversals.x",
    ),
    "reversals and the charges they take back": (
        "SELECT COUNT(*) FROM reversals",
        "SELECT COUNT(*) FROM reversals JOIN charges USING (x, customer, credits_milli, revenue_nusd)",
    ),
    "credits charged less reversals and credits spent": (
        f"SELECT {_STANDING.format('credits_milli')}",
        "SELECT COALESCE(SUM(balance), 0) FROM accounts WHERE name = 'credits.spent'",
    ),
    "savings in the rollup and in the charges": (
        """SELECT COALESCE(SUM(saving_trims_nusd + saving_cache_nusd + saving_routing_nusd + saving_prompt_nusd), 0)
        FROM rollup""",
        "SELECT COALESCE(SUM(saving_nusd), 0) FROM charges",
    ),
    "calls beside exchanges in the rollup and their cost lines": (
        "SELECT COALESCE(SUM(cost_overhead_nusd), 0) FROM rollup",
        f"SELECT COALESCE(SUM(cost_nusd), 0) FROM cost_lines WHERE {_IS_ASIDE}",  # noqa: S608 - our names
    ),
    "negative savings in the rollup and in the charges": (
        "SELECT COALESCE(SUM(saving_negative_nusd), 0) FROM rollup",
        """SELECT COALESCE(SUM(trims_nusd + spared_nusd + marks_nusd - saving_nusd), 0) FROM charges
        WHERE saving_nusd < trims_nusd + spared_nusd + marks_nusd""",
    ),
    "what marks for prompt caches saved in the rollup and in the charges": (
        "SELECT COALESCE(SUM(saving_prompt_nusd), 0) FROM rollup",
        "SELECT COALESCE(SUM(marks_nusd), 0) FROM charges WHERE saving_nusd IS NOT NULL",
    ),
    "what marks for prompt caches lost in the rollup and in the charges": (
        "SELECT COALESCE(SUM(saving_prompt_negative_nusd), 0) FROM rollup",
        "SELECT COALESCE(SUM(-marks_nusd), 0) FROM charges WHERE saving_nusd IS NOT NULL AND marks_nusd < 0",
    ),
    "what was left out of prompts in the rollup and in the charges": (
        "SELECT COALESCE(SUM(saving_trims_nusd), 0) FROM rollup",
        "SELECT COALESCE(SUM(trims_nusd), 0) FROM charges WHERE saving_nusd IS NOT NULL",
    ),
    "what answers from memory spared in the rollup and in the charges": (
        "SELECT COALESCE(SUM(saving_cache_nusd), 0) FROM rollup",
        "SELECT COALESCE(SUM(spared_nusd), 0) FROM charges WHERE saving_nusd IS NOT NULL",
    ),
    "baselines in the rollup and in the charges": (
        "SELECT COALESCE(SUM(baseline_nusd), 0) FROM rollup",
        "SELECT COALESCE(SUM(baseline_nusd), 0) FROM charges WHERE saving_nusd IS NOT NULL",
    ),
    "unpriced requests in the rollup and in the charges": (
        "SELECT COALESCE(SUM(unpriced), 0) FROM rollup",
        "SELECT COUNT(*) FROM charges WHERE saving_nusd IS NULL",
    ),
    "savings: baseline minus cost, over priced charges": (
        "SELECT COALESCE(SUM(saving_nusd), 0) FROM charges",
        "SELECT COALESCE(SUM(baseline_nusd - cost_nusd), 0) FROM charges WHERE saving_nusd IS NOT NULL",
    ),
}


_COARSER = {
    "months": ("SELECT customer, substr(day, 1, 7), {margin} FROM rollup GROUP BY 1, 2",
               "SELECT customer, month, {kept} FROM margin_months"),
    "weeks": ("SELECT customer, {week}, {margin} FROM rollup GROUP BY 1, 2",
              "SELECT customer, week, {kept} FROM margin_weeks"),
    "days": ("SELECT customer, day, {margin} FROM rollup GROUP BY 1, 2",
             "SELECT customer, day, {kept} FROM margin_days"),
    "totals": ("SELECT {labels}, {sums} FROM rollup GROUP BY {labels}",
               "SELECT {labels}, {columns} FROM rollup_totals"),
    "tiers": ("SELECT day, charge_tier, {sums} FROM rollup GROUP BY 1, 2",
              "SELECT day, charge_tier, {columns} FROM tier_days"),
    "balances": ("SELECT name, commodity, SUM(balance) FROM accounts GROUP BY 1, 2",
                 "SELECT account, commodity, balance FROM balances"),
}  # fmt: skip
_SQL = {
    "week": WEEK,
    "margin": f"SUM(requests), SUM({COST}), SUM({REVENUE}), SUM({SAVING}), SUM(unpriced), SUM({OTHER_COST})",
    "kept": ", ".join(MARGIN_SUMS),
    "labels": ", ".join(TOTALS_KEY),
    "sums": ", ".join(f"SUM({name})" for name in ROLLUP_SUMS),
    "columns": ", ".join(ROLLUP_SUMS),
}


def coarser(db: sqlite3.Connection) -> list[str]:
    """Compare each coarser sum with the finer ones it stands for, both ways."""
    found = []
    for name, queries in _COARSER.items():
        fine, coarse = (query.format(**_SQL) for query in queries)
        for left, right in ((fine, coarse), (coarse, fine)):
            rows = db.execute(f"SELECT * FROM ({left}) EXCEPT SELECT * FROM ({right}) LIMIT 20")  # noqa: S608 - our names
            found += [f"I16: the {name} do not add up to the rows beneath them: {row}" for row in rows]
    return found


def imbalance_nusd(db: sqlite3.Connection) -> int:
    """Return the dollars by which transactions fail to balance, in absolute terms; 0 in sound books."""
    query = """SELECT COALESCE(SUM(ABS(off)), 0) FROM (
        SELECT SUM(amount) AS off FROM entries JOIN accounts ON accounts.id = account
        WHERE commodity = 'USD' GROUP BY txn HAVING SUM(amount) <> 0)"""
    return int(db.execute(query).fetchone()[0])


def violations(db: sqlite3.Connection, state: State) -> list[str]:
    """Return every broken invariant in words; empty when the books are sound."""
    found = [*_unbalanced(db), *_drifted(db), *_disagreeing(db), *coarser(db), *misplaced_credits(db)]
    found += [*_holds(db, state), *_grants(db, state), *_owed(db, state)]
    found += tasks.violations(db)
    refused = db.execute("SELECT COUNT(*) FROM refused").fetchone()[0]
    if refused:
        found.append(f"{refused} journal records had no effect (a settlement without a hold, or the like)")
    return found


def _unbalanced(db: sqlite3.Connection) -> list[str]:
    query = """SELECT txns.key, commodity, SUM(amount) FROM entries JOIN accounts ON accounts.id = account
        JOIN txns ON txns.id = txn GROUP BY txn, commodity HAVING SUM(amount) <> 0 LIMIT 20"""
    return [f"I1: transaction {key} is off by {off} {commodity}" for key, commodity, off in db.execute(query)]


def _drifted(db: sqlite3.Connection) -> list[str]:
    query = """SELECT customer, name, balance, COALESCE(total, 0) FROM accounts LEFT JOIN
        (SELECT account, SUM(amount) AS total FROM entries GROUP BY account) ON account = accounts.id
        WHERE balance <> COALESCE(total, 0) LIMIT 20"""
    return [
        f"I3: {name} of customer {who} says {kept}, its entries {real}" for who, name, kept, real in db.execute(query)
    ]


def _disagreeing(db: sqlite3.Connection) -> list[str]:
    found = []
    for name, (left, right) in _PAIRS.items():
        one, other = db.execute(left).fetchone()[0], db.execute(right).fetchone()[0]
        if one != other:
            found.append(f"I16: {name}: {one} and {other}")
    return found


def misplaced_credits(db: sqlite3.Connection) -> list[str]:
    """Find customers whose credits are not where they can be, or below zero."""
    query = """SELECT customer, SUM(balance) FROM accounts WHERE commodity = 'CREDIT'
        GROUP BY customer HAVING SUM(balance) <> 0"""
    found = [f"I7: credits of customer {who} are off by {off}" for who, off in db.execute(query)]
    negative = """SELECT customer, available FROM (SELECT accounts.customer, balance - COALESCE(held, 0) AS available
        FROM accounts LEFT JOIN (SELECT customer, SUM(covered_milli) AS held FROM holds GROUP BY customer) AS open
        ON open.customer = accounts.customer WHERE name = 'credits.balance') WHERE available < 0"""
    return found + [f"I5: customer {who} has {available} available" for who, available in db.execute(negative)]


def _owed(db: sqlite3.Connection, state: State) -> list[str]:
    owed = {number: each.owed_milli for number, each in state.customers.items() if each.owed_milli}
    names = "SELECT customer, -balance FROM accounts WHERE name = 'credits.overdraft'"
    drawn = dict(db.execute(names).fetchall())
    return [
        f"I5: customer {who} owes {milli}, its overdraft is {drawn.get(who, 0)}"
        for who, milli in owed.items()
        if not 0 < milli <= drawn.get(who, 0)
    ]


def _holds(db: sqlite3.Connection, state: State) -> list[str]:
    query = "SELECT x, customer, covered_milli, uncovered_milli FROM holds"
    summed = {x: tuple(row) for x, *row in db.execute(query)}
    said = {x: (hold.customer, hold.covered_milli, hold.uncovered_milli) for x, hold in state.holds.items()}
    return [
        f"I6: the open hold {x} counts as {summed.get(x)}, and says {said.get(x)}"
        for x in sorted(summed.keys() | said.keys())
        if summed.get(x) != said.get(x)
    ]


def _grants(db: sqlite3.Connection, state: State) -> list[str]:
    kept = _summed((grant.customer, grant.left_milli + grant.held_milli) for grant in state.grants.values())
    basis = _summed((grant.customer, -grant.basis_nusd) for grant in state.grants.values())
    parts = _summed(part for hold in state.holds.values() for part in hold.parts)
    found = [
        f"I7: customer {who} has a balance of {booked}, the grants say {left}"
        for who, booked, left in _differing(db, "credits.balance", kept)
    ]
    found += [
        f"I10: {booked} nUSD are deferred for customer {who}, the grants say {kept}"
        for who, booked, kept in _differing(db, "deferred.credits", basis)
    ]
    promised = {number: -commitments.left_nusd(each) for number, each in state.customers.items()}
    found += [
        f"I10: {booked} nUSD of commitments are deferred for customer {who}, its term says {left}"
        for who, booked, left in _differing(db, "deferred.commit", promised)
    ]
    return found + [
        f"I6: grant {name} holds {grant.held_milli}, open holds say {parts.get(name, 0)}"
        for name, grant in state.grants.items()
        if grant.held_milli != parts.get(name, 0)
    ]


def _summed(pairs: Iterable[tuple[Name, int]]) -> dict[Name, int]:
    found: dict[Name, int] = {}
    for name, amount in pairs:
        found[name] = found.get(name, 0) + amount
    return found


def _differing(db: sqlite3.Connection, account: str, kept: dict[int, int]) -> list[tuple[int, int, int]]:
    """Return (customer, balance, what the fold's memory says) wherever an account and the memory differ."""
    booked = dict(db.execute("SELECT customer, balance FROM accounts WHERE name = ?", (account,)).fetchall())
    both = [(who, booked.get(who, 0), kept.get(who, 0)) for who in sorted({*booked, *kept})]
    return [each for each in both if each[1] != each[2]]
