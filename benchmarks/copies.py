"""Makes a large ledger out of a small one: exchanges that were folded are copied by SQL, to other customers and days.

Folding ten million exchanges takes an hour, copying their rows minutes. What a copy is: the same exchanges under other
names, of customers so many numbers further, so many days later. Every row and every sum that the fold would have
written is written, so the ledger's invariants hold (`margin.ledger.verify` says so); only the journals know nothing of
it. Customers, their keys and their grants are not copied: they must be there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.history import DAY, Past
from margin.ledger.postings import ROLLUP_SUMS, RollupKey
from margin.ledger.rollups import MARGIN_SUMS, TOTALS_KEY, WEEK

Progress = Callable[[int, int], None]
"""Called with how many of how many copies there are."""

CACHE_KIB = 512 * 1024
"""Of the database, while it grows: the ends of its tables, to which everything is added, stay in memory."""
PREFIX_CHARS = len("ex_") + 12
"""Of an exchange's name: the same in all that one process names."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How often exchanges are copied: to so many groups of customers, for so many stretches of days."""

    groups: int
    stretches: int

    @property
    def copies(self) -> int:
        """How many there are in the end of each exchange."""
        return self.groups * self.stretches


def spread(path: Path, folded: Past, to: Spread, progress: Progress = lambda _done, _of: None) -> None:
    """Copy what was folded last into a ledger that nobody has open: `to.copies` of each exchange are there then.

    `folded` says of which customers and days the exchanges are; the groups follow one another in number, the stretches
    in time.
    """
    with _open(path) as db:
        _set_aside(db, folded)
        for group in range(to.groups):
            _open_accounts(db, group, group * folded.customers)
        for copy in range(1, to.copies):
            stretch, group = divmod(copy, to.groups)
            _copy(db, _Copy(copy, group, group * folded.customers, stretch * folded.days))
            progress(copy + 1, to.copies)
        _add_up(db, folded, to)


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file to be filled: a crash loses it, and nothing is written twice."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}", "temp_store = MEMORY",
                        "locking_mode = EXCLUSIVE"):  # fmt: skip
            db.execute(f"PRAGMA {setting}").fetchall()
        yield db
        db.execute("PRAGMA locking_mode = NORMAL").fetchall()
        db.execute("PRAGMA journal_mode = WAL").fetchall()
    finally:
        db.close()


# ---- what is copied --------------------------------------------------------------------------------------------------


def _set_aside(db: sqlite3.Connection, folded: Past) -> None:
    """Keep the rows of the folded exchanges in memory, numbered from nought, with what they add to each account."""
    first, end = folded.first, folded.first + folded.customers
    db.executescript(
        f"""
        CREATE TEMP TABLE base_txns AS SELECT * FROM txns
            WHERE id > (SELECT COALESCE(MAX(id), 0) FROM txns WHERE key NOT LIKE '%:ex!_%' ESCAPE '!') ORDER BY id;
        CREATE TEMP TABLE base_entries AS SELECT * FROM entries
            WHERE txn >= (SELECT MIN(id) FROM base_txns) ORDER BY id;
        CREATE TEMP TABLE base_charges AS SELECT * FROM charges ORDER BY rowid;
        CREATE TEMP TABLE base_cost_lines AS SELECT * FROM cost_lines ORDER BY rowid;
        CREATE TEMP TABLE base_rollup AS SELECT * FROM rollup
            WHERE requests AND customer >= {first} AND customer < {end} ORDER BY day, customer;
        CREATE TEMP TABLE base_days AS SELECT * FROM margin_days
            WHERE requests AND customer >= {first} AND customer < {end} ORDER BY day, customer;
        CREATE TEMP TABLE base_grants AS SELECT * FROM grants WHERE customer >= {first} AND customer < {end};
        CREATE TEMP TABLE base_accounts (id INTEGER PRIMARY KEY, customer INTEGER, name TEXT, commodity TEXT,
            added INTEGER);
        INSERT INTO base_accounts SELECT accounts.id, customer, name, commodity, SUM(amount)
            FROM base_entries JOIN accounts ON accounts.id = account GROUP BY 1;
        CREATE TEMP TABLE copied_accounts (grp INTEGER, base INTEGER, id INTEGER, PRIMARY KEY (grp, base))
            WITHOUT ROWID;
        """
    )


def _open_accounts(db: sqlite3.Connection, group: int, customers: int) -> None:
    """Open what accounts a group of customers has none of yet, and note which stands for which; the house's are one."""
    who = {"group": group, "customers": customers}
    shifted = "CASE customer WHEN 0 THEN 0 ELSE customer + :customers END"
    db.execute(
        f"""INSERT OR IGNORE INTO accounts (customer, name, commodity)
        SELECT {shifted}, name, commodity FROM base_accounts ORDER BY id""",
        who,
    )
    db.execute(
        f"""INSERT INTO copied_accounts SELECT :group, base.id, accounts.id FROM
        (SELECT id, {shifted} AS customer, name, commodity FROM base_accounts) AS base
        JOIN accounts USING (customer, name, commodity)""",
        who,
    )


# ---- one copy --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Copy:
    number: int
    group: int
    customers: int
    days: int

    def values(self, db: sqlite3.Connection) -> dict[str, int | str]:
        """Return what the statements below ask for."""
        sizes = [db.execute(f"SELECT COUNT(*) FROM base_{name}").fetchone()[0] for name in ("txns", "entries")]
        return {
            "group": self.group, "customers": self.customers, "days": f"+{self.days} days", "later": self.days * DAY,
            "prefix": f"ex_{self.number:012x}", "call": f"{self.number:06x}",
            "txns": self.number * sizes[0], "entries": self.number * sizes[1],
        }  # fmt: skip


_NAME = f":prefix || substr(x, {PREFIX_CHARS + 1})"
_DAY = "date(day, :days)"


def _adding(table: str, keys: tuple[str, ...], names: tuple[str, ...], select: str) -> str:
    """Return the statement that adds rows of sums to a table of sums."""
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in names)
    columns = ", ".join((*keys, *names))
    return f"INSERT INTO {table} ({columns}) {select} ON CONFLICT DO UPDATE SET {added}"


def _listed(names: tuple[str, ...], form: str = "{0}") -> str:
    return ", ".join(form.format(name) for name in names)


_COPIES = (
    f"""INSERT INTO txns SELECT id + :txns, substr(key, 1, instr(key, ':')) || :prefix ||
        substr(key, instr(key, ':') + {PREFIX_CHARS + 1}), kind, t + :later FROM base_txns""",
    """INSERT INTO entries SELECT e.id + :entries, txn + :txns, a.id, amount FROM base_entries AS e
        CROSS JOIN copied_accounts AS a ON a.grp = :group AND a.base = e.account""",
    f"""INSERT INTO charges SELECT {_NAME}, t + :later, customer + :customers, key, plan, plan_version, charge_tier,
        served_tier, outcome, provider, deployment, model, credits_milli, revenue_nusd, cost_nusd, baseline_nusd,
        saving_nusd, spared_nusd, marks_nusd, trims_nusd, decision,
        replace(burnt, '"grant_' || customer || '"', '"grant_' || (customer + :customers) || '"')
        FROM base_charges""",
    f"""INSERT INTO cost_lines SELECT {_NAME}, n, t + :later, customer + :customers, provider, deployment, model, kind,
        substr(call_id, 1, 9) || :call || substr(call_id, 16), status, usage, service_tier, card,
        cost_nusd
        FROM base_cost_lines""",
    _adding("rollup", RollupKey._fields, ROLLUP_SUMS,
            f"""SELECT {_DAY}, customer + :customers, {_listed(RollupKey._fields[2:])}, {_listed(ROLLUP_SUMS)}
            FROM base_rollup WHERE true"""),
    _adding("tier_days", ("day", "charge_tier"), ROLLUP_SUMS,
            f"""SELECT {_DAY}, charge_tier, {_listed(ROLLUP_SUMS, "SUM({0})")}
            FROM base_rollup WHERE true GROUP BY 1, 2"""),
    _adding("margin_days", ("day", "customer"), MARGIN_SUMS,
            f"SELECT {_DAY}, customer + :customers, {_listed(MARGIN_SUMS)} FROM base_days WHERE true"),
    _adding("margin_weeks", ("week", "customer"), MARGIN_SUMS,
            f"""SELECT {WEEK.replace("day", _DAY)}, customer + :customers, {_listed(MARGIN_SUMS, "SUM({0})")}
            FROM base_days WHERE true GROUP BY 1, 2"""),
    _adding("margin_months", ("month", "customer"), MARGIN_SUMS,
            f"""SELECT substr({_DAY}, 1, 7), customer + :customers, {_listed(MARGIN_SUMS, "SUM({0})")}
            FROM base_days WHERE true GROUP BY 2, 1"""),
)  # fmt: skip


def _copy(db: sqlite3.Connection, copy: _Copy) -> None:
    values = copy.values(db)
    db.execute("BEGIN")
    for statement in _COPIES:
        db.execute(statement, values)
    db.execute("COMMIT")


# ---- sums over all of them -------------------------------------------------------------------------------------------


def _add_up(db: sqlite3.Connection, folded: Past, to: Spread) -> None:
    """Bring accounts, totals and grants to where all copies take them."""
    more = to.copies - 1
    db.execute("BEGIN")
    for group in range(to.groups):
        # The exchanges themselves are in the balances already.
        times = to.stretches - (group == 0)
        db.execute(
            """UPDATE accounts SET balance = balance + :times * base.added
            FROM base_accounts AS base JOIN copied_accounts AS copied ON copied.grp = :group AND copied.base = base.id
            WHERE accounts.id = copied.id""",
            {"times": times, "group": group},
        )
        db.execute(
            """UPDATE grants SET left_milli = grants.given_milli - :times * (base.given_milli - base.left_milli),
            basis_nusd = grants.paid_nusd - :times * (base.paid_nusd - base.basis_nusd)
            FROM base_grants AS base WHERE grants.id = 'grant_' || (base.customer + :customers)""",
            {"times": to.stretches, "customers": group * folded.customers},
        )
    db.execute(
        _adding("balances", ("account", "commodity"), ("balance",),
                f"SELECT name, commodity, {more} * SUM(added) FROM base_accounts WHERE true GROUP BY 1, 2")
    )  # fmt: skip
    db.execute(
        _adding("rollup_totals", TOTALS_KEY, ROLLUP_SUMS,
                f"""SELECT {_listed(TOTALS_KEY)}, {_listed(ROLLUP_SUMS, f"{more} * SUM({{0}})")}
                FROM base_rollup WHERE true GROUP BY {_listed(TOTALS_KEY)}""")
    )  # fmt: skip
    db.execute("COMMIT")
