"""The ledger in SQLite (WAL): one writer, any number of readers.

`Store.write` stores one batch (entries, balances, rows, rollup, the fold's memory, the position reached) in one
transaction, so that after a crash the file is exactly the fold up to its position.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import orjson

from margin.journal import Position
from margin.ledger import forgetting, quantities, rollups, spending
from margin.ledger.archive import behind
from margin.ledger.archive.behind import Behind
from margin.ledger.grants import Grant
from margin.ledger.postings import ROLLUP_SUMS, Effects
from margin.ledger.state import Customer, Hold, Key, MeteredKey, Quantity, State
from margin.ledger.terms import Terms

FORMAT = 29

UNREADABLE = (sqlite3.Error, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What reading a damaged file raises: SQLite's word, or ours where a stored value has another shape."""

ENTRIES_AT_ONCE = 32
"""Entries stored by one statement: half the time of one by one, and hardly more than by more."""

ACCOUNTS_REMEMBERED = 100_000
"""Numbers of accounts kept in memory, some 20 MB: those of ten thousand customers. Others are looked up again."""

_BOOKED = "SELECT value FROM json_each(?) AS asked WHERE EXISTS (SELECT 1 FROM txns WHERE key = asked.value)"


class LedgerFormat(Exception):
    """The file was written by another format of the ledger, or is no ledger."""


class LedgerBusy(Exception):
    """The file cannot be written now: another process has locked it, or its disk is full or fails."""


_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
"""Primary result codes (https://sqlite.org/rescode.html) that say nothing about the file, only about the moment."""


def is_passing(error: sqlite3.Error) -> bool:
    """Tell whether the same statement may succeed later."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _PASSING


class LedgerOutdated(LedgerFormat):
    """The file was written by an earlier format: it can be folded anew from the journals."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far the keeper's journals are folded: the incarnation, the byte, the chain there."""

    incarnation: int = 0
    offset: int = 0
    chain: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """An exchange that holds an idempotency key, the digest of its request, and whether it answered."""

    x: str
    request: str
    is_answered: bool


def connect(path: Path | None, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the file with the house's settings; waits up to 10 s for a lock. None is a file that goes when it closes."""
    if read_only:
        assert path is not None, "there is something to read"
        connection = sqlite3.connect(behind.address(path), uri=True, timeout=10, isolation_level=None)
    else:
        connection = sqlite3.connect("" if path is None else path, timeout=10, isolation_level=None, uri=True)
        connection.execute("PRAGMA journal_mode = WAL")
        # The journals are the record and are synced before they are folded: a commit lost with the machine is refolded.
        connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -32768")
    return connection


class Store:
    """The one writer of a ledger file; or, read-only, one snapshot of it, which any number of processes may hold."""

    def __init__(self, path: Path | None, *, read_only: bool = False, archived: Behind | None = None) -> None:
        """Open the file. `archived` is what it begins behind, and what a new one begins with."""
        self.path = path
        try:
            self.db = connect(path, read_only=read_only)
            if archived is not None and not read_only:
                behind.begin(self.db, archived.checkpoint)
            if not read_only:
                self._create()
            self._check_format(None if archived is None else archived.name)
            if archived is not None:
                behind.attach(self.db, archived.rows)
            if read_only:
                self.db.execute("BEGIN")  # all that is read from here on is of one moment
        except sqlite3.DatabaseError as error:
            if is_passing(error):
                raise LedgerBusy(f"{path}: {error}") from error
            raise LedgerFormat(f"{path} is not a ledger: {error}") from error
        self._accounts: dict[tuple[int, str, str], int] = {}
        self._last_txn = 0
        self._stored_holds: set[str] = set()
        self._looked_up: dict[str, bool] = {}
        self._recall()

    def _recall(self) -> None:
        """Read what is known of the file between two writes."""
        self._accounts.clear()
        self._last_txn = self.db.execute("SELECT COALESCE(MAX(id), 0) FROM main.txns").fetchone()[0]
        self._stored_holds = {x for (x,) in self.db.execute("SELECT x FROM holds")}

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def wait(self, lock_s: float) -> None:
        """Wait this long for a lock from here on."""
        self.db.execute(f"PRAGMA busy_timeout = {round(lock_s * 1000)}")

    def _create(self) -> None:
        schema = (Path(__file__).with_name("schema.sql")).read_text()
        for place, names in (
            ("{rollup_sums}", ROLLUP_SUMS),
            ("{margin_sums}", rollups.MARGIN_SUMS),
            ("{spending_sums}", spending.Sums._fields),
        ):
            schema = schema.replace(place, rollups.columns(names))
        self.db.executescript(schema)
        self.db.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(FORMAT),))

    def _check_format(self, archived: str | None) -> None:
        found = self._meta("format")
        if found is None or not found.isdecimal():
            raise LedgerFormat(f"{self.path} is not a ledger: it does not say of which format it is")
        if found != str(FORMAT):
            kind = LedgerOutdated if int(found) < FORMAT else LedgerFormat
            raise kind(f"{self.path} has format {found}; this version reads format {FORMAT}")
        begins = self._meta("behind")
        if begins != archived:
            if archived is None:
                raise LedgerFormat(f"{self.path} begins behind the archive {begins}, which is missing")
            raise LedgerOutdated(f"{self.path} does not begin behind the archive {archived}")

    def _meta(self, name: str) -> str | None:
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _set_meta(self, name: str, value: str) -> None:
        self.db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (name, value)
        )

    # ---- writing --------------------------------------------------------------------------------------------------

    def write(self, state: State, effects: Effects, reached: Reached) -> None:
        """Store one batch. All of it, or on any error nothing.

        Raises:
            LedgerBusy: the file cannot be written now; the same batch, or a longer one, may be later.
        """
        try:
            self._write(state, effects, reached)
        except sqlite3.OperationalError as error:
            if is_passing(error):
                raise LedgerBusy(f"{'a new ledger' if self.path is None else self.path.name}: {error}") from error
            raise
        state.changed.clear()
        state.used_up.clear()
        state.work.stored()
        state.quantities.clear()

    def _write(self, state: State, effects: Effects, reached: Reached) -> None:
        self._looked_up = {}
        self.db.execute("BEGIN IMMEDIATE")
        try:
            self._write_entries(effects)
            self._write_rows(effects)
            if effects.forgotten:
                forgetting.forget(self.db, effects.forgotten, charges=len(effects.charges))
            self._write_claims(effects)
            self._write_state(state)
            state.work.write(self.db)
            self._set_meta("reached", orjson.dumps(asdict(reached)).decode())
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:  # on some errors SQLite has rolled back by itself
                self.db.execute("ROLLBACK")
            self._recall()  # the batch's accounts, numbers and holds are gone
            raise

    def _write_entries(self, effects: Effects) -> None:
        txns, entries, known = [], list[int](), self._accounts
        balances, totals = defaultdict[tuple[int, str, str], int](int), defaultdict[tuple[str, str], int](int)
        for id_, (key, kind, t, legs) in enumerate(effects.txns, start=self._last_txn + 1):
            txns.append((id_, key, kind, t))
            for customer, name, commodity, amount in legs:
                place = (customer, name, commodity)
                entries += (id_, known.get(place) or self._account(place), amount)
                balances[place] += amount
        for (_, name, commodity), amount in balances.items():
            totals[name, commodity] += amount
        self._last_txn += len(txns)
        self.db.executemany("INSERT INTO main.txns VALUES (?, ?, ?, ?)", txns)
        self._insert_entries(entries)
        self.db.executemany(
            "UPDATE accounts SET balance = balance + ? WHERE id = ?",
            [(amount, self._account(place)) for place, amount in balances.items() if amount],
        )
        self.db.executemany(
            "INSERT INTO balances VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET balance = balance + excluded.balance",
            [(*total, amount) for total, amount in totals.items()],
        )

    def _insert_entries(self, values: list[int]) -> None:
        whole = len(values) - len(values) % (3 * ENTRIES_AT_ONCE)
        for rows, begin, end in ((ENTRIES_AT_ONCE, 0, whole), (1, whole, len(values))):
            marks, width = ", ".join(["(?, ?, ?)"] * rows), 3 * rows
            chunks = [values[at : at + width] for at in range(begin, end, width)]
            self.db.executemany(f"INSERT INTO main.entries (txn, account, amount) VALUES {marks}", chunks)  # noqa: S608

    def _account(self, key: tuple[int, str, str]) -> int:
        found = self._accounts.get(key)
        if found is None:
            if len(self._accounts) >= ACCOUNTS_REMEMBERED:
                self._accounts.clear()
            found = self._accounts[key] = self._find_account(key)
        return found

    def _find_account(self, key: tuple[int, str, str]) -> int:
        query = "SELECT id FROM accounts WHERE customer = ? AND name = ? AND commodity = ?"
        found = self.db.execute(query, key).fetchone()
        if found is not None:
            return int(found[0])
        cursor = self.db.execute("INSERT INTO accounts (customer, name, commodity) VALUES (?, ?, ?)", key)
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _write_rows(self, effects: Effects) -> None:
        self._insert("charges", effects.charges, 22)
        self._insert("cost_lines", effects.cost_lines, 14)
        self._insert("corrections", effects.corrections, 13)
        self._insert("reconciliations", [(None, *row) for row in effects.reconciliations], 8)
        self._insert("reversals", effects.reversals, 6)
        self._insert("task_events", effects.task_events, 6)
        self._insert("task_costs", effects.task_costs, 7)
        self._insert("rated", effects.rated, 8)
        self.db.executemany("INSERT INTO trail (t, kind, by, content) VALUES (?, ?, ?, ?)", effects.trail)
        self.db.executemany("INSERT OR IGNORE INTO cards VALUES (?, ?, ?)", effects.cards)
        self.db.executemany("INSERT OR IGNORE INTO costbooks VALUES (?, ?, ?, ?, ?)", effects.costbooks)
        self.db.executemany("INSERT INTO refused (subject, why) VALUES (?, ?)", effects.refused)
        rollups.write(self.db, effects.rollup)
        spending.write(self.db, effects.spent, effects.spent_until_hour)

    def _write_claims(self, effects: Effects) -> None:
        # An exchange takes its key before it ends, in one batch or in two.
        self.db.executemany("INSERT INTO claims (customer, key, request, x, t) VALUES (?, ?, ?, ?, ?)", effects.claims)
        self.db.executemany("UPDATE claims SET answered = 1 WHERE x = ?", effects.claims_answered)
        self.db.executemany("DELETE FROM claims WHERE x = ?", effects.claims_free)
        if effects.claims_until_t:
            self.db.execute("DELETE FROM claims WHERE answered AND t < ?", (effects.claims_until_t,))

    def _insert(self, table: str, rows: Iterable[tuple[Any, ...]], width: int) -> None:
        self.db.executemany(f"INSERT INTO main.{table} VALUES ({', '.join('?' * width)})", rows)  # noqa: S608 - our names

    def _write_state(self, state: State) -> None:
        for kind, name in state.changed:
            if kind == "hold":  # nearly all
                self._write_hold(state.holds.get(name), name)
            elif kind == "plans":
                self._write_plans(state)
            elif kind == "configuration":
                content = {"version": state.configuration_version, "values": state.configuration}
                self._set_meta("configuration", orjson.dumps(content).decode())
            elif kind == "customer":
                values = astuple(state.customers[name])
                self.db.execute(f"INSERT OR REPLACE INTO customers VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608
            elif kind == "key":
                self._write_key(state.keys[name])
            elif kind == "quantity":
                quantities.write(self.db, name, state.quantities[name])
            elif kind == "grant":
                self._write_grant(state.grants[name] if name in state.grants else state.used_up[name])
            else:
                position = state.journals[name]
                row = (name, position.offset, position.chain)
                self.db.execute("INSERT OR REPLACE INTO journals VALUES (?, ?, ?)", row)

    def _write_plans(self, state: State) -> None:
        terms = {name: each.stored() for name, each in state.plans.items()}
        content = {"version": state.sellbook_version, "default": state.default_plan, "plans": terms}
        self._set_meta("sellbook", orjson.dumps(content).decode())

    def _write_key(self, key: Key) -> None:
        terms = orjson.dumps(key.terms, option=orjson.OPT_SORT_KEYS).decode()
        row = (key.id, key.digest, key.customer, " ".join(key.scopes), key.created_t, key.revoked_t, terms)
        self.db.execute("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _write_grant(self, grant: Grant) -> None:
        self.db.execute(f"INSERT OR REPLACE INTO grants VALUES ({', '.join('?' * len(grant))})", grant)  # noqa: S608

    def _write_hold(self, hold: Hold | None, name: str) -> None:
        if hold is not None:
            content = orjson.dumps(hold._asdict()).decode()
            row = (name, hold.customer, hold.covered_milli, hold.uncovered_milli, content)
            self.db.execute("INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?)", row)
            self._stored_holds.add(name)
        elif name in self._stored_holds:  # most open and close within one batch and were never stored
            self.db.execute("DELETE FROM holds WHERE x = ?", (name,))
            self._stored_holds.remove(name)

    # ---- what was used ----------------------------------------------------------------------------------------------

    def has_txn(self, key: str) -> bool:
        """Tell whether a transaction of this key was stored."""
        found = self._looked_up.get(key)
        return bool(self._booked([key])) if found is None else found

    def look_up(self, keys: list[str]) -> None:
        """Ask for many at once, ahead, what `has_txn` asks of one: a third of the time. It holds until a write."""
        self._looked_up = dict.fromkeys(keys, False) | dict.fromkeys(self._booked(keys), True)

    def _booked(self, keys: list[str]) -> list[str]:
        return [key for (key,) in self.db.execute(_BOOKED, (orjson.dumps(keys).decode(),))]

    def grant(self, id_: str) -> Grant | None:
        """Return a grant as it was last stored, used up or not."""
        row = self.db.execute("SELECT * FROM grants WHERE id = ?", (id_,)).fetchone()
        return None if row is None else Grant.stored(row)

    def quantity(self, key: MeteredKey) -> Quantity:
        """Return what was last stored of a meter; nothing where nothing was."""
        return quantities.read(self.db, key)

    def claims(self, customer: int, key: str, since_t: int) -> list[Claim]:
        """Return the exchanges that hold an idempotency key: those that answered since then, and those still open."""
        rows = self.db.execute(
            "SELECT x, request, answered FROM claims WHERE customer = ? AND key = ? AND (t > ? OR NOT answered)",
            (customer, key, since_t),
        )
        return [Claim(x, request, bool(answered)) for x, request, answered in rows]

    def has_claim(self, x: str) -> bool:
        """Tell whether an exchange's claim was stored."""
        return bool(self.db.execute("SELECT EXISTS (SELECT 1 FROM claims WHERE x = ?)", (x,)).fetchone()[0])

    # ---- reading back ------------------------------------------------------------------------------------------------

    def reached(self) -> Reached:
        """Return how far this file is folded."""
        found = self._meta("reached")
        return Reached() if found is None else Reached(**orjson.loads(found))

    def state(self) -> State:
        """Return the fold's memory as of the last batch."""
        state = State(history=self)
        self._read_plans(state)
        configuration = self._meta("configuration")
        if configuration is not None:
            content = orjson.loads(configuration)
            state.configuration_version, state.configuration = content["version"], content["values"]
        for row in self.db.execute("SELECT * FROM customers"):
            state.put_customer(Customer(*row))
        for id_, digest, number, scopes, created_t, revoked_t, terms in self.db.execute("SELECT * FROM keys"):
            state.put_key(Key(id_, digest, number, tuple(scopes.split()), created_t, revoked_t, orjson.loads(terms)))
        for row in self.db.execute("SELECT * FROM grants WHERE left_milli <> 0 OR held_milli <> 0 ORDER BY seq"):
            state.put_grant(Grant.stored(row))
        for name, offset, chain in self.db.execute("SELECT * FROM journals"):
            state.journals[name] = Position(offset, chain)
        for (content,) in self.db.execute("SELECT hold FROM holds"):
            fields = orjson.loads(content)
            fields["parts"] = tuple((name, milli) for name, milli in fields["parts"])
            state.put_hold(Hold(**fields))
        state.work.read(self.db)
        state.grant_seq = int(self.db.execute("SELECT COALESCE(MAX(seq), 0) FROM grants").fetchone()[0])
        balances = dict(self.db.execute("SELECT account, balance FROM balances"))
        state.issued_milli, state.cash_nusd = -balances.get("credits.issued", 0), balances.get("cash", 0)
        state.changed.clear()
        return state

    def _read_plans(self, state: State) -> None:
        found = self._meta("sellbook")
        if found is not None:
            content = orjson.loads(found)
            state.sellbook_version, state.default_plan = content["version"], content["default"]
            state.plans = {name: Terms.read(name, record) for name, record in content["plans"].items()}
