"""The label store: what is known of how well answers did, of each ask its features; never its words.

A SQLite file of its own beside the books, `labels.sqlite`: it can be erased, of one customer or whole, and nothing that
balances depends on it. Bounded by number and age.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from margin.ledger.store import LedgerBusy, is_passing
from proxy.settings import Labels

FILE = "labels.sqlite"
NS = 1_000_000_000


class Kept(NamedTuple):
    """One label.

    Attributes:
        customer: Whose exchange it was, by number.
        x: The exchange.
        source: Who says so: `feedback`, `retry`, `escalation`; or that compared answers of two tiers, `shadow`, or
            `shadow_model` where a model did.
        t: When it was said, in nanoseconds since 1970 UTC.
        good: Whether the answer did; None where only `needed` is known.
        served: The tier that gave it; of two answers compared the lower one.
        needed: The lowest tier that does; None where nobody said.
        task: As judged; `medium` and `hard` are the probabilities of medium and complex.
        propensity: How likely it was to be known: 1 where it follows from what was done, else the share of samples.
        features: `classifiers.featuring`.
    """

    customer: int
    x: str
    source: str
    t: int
    good: bool | None
    served: str
    needed: str | None
    task: str
    medium: float
    hard: float
    propensity: float
    features: bytes


_TABLE = """
CREATE TABLE IF NOT EXISTS labels (
    customer INTEGER NOT NULL, x TEXT NOT NULL, source TEXT NOT NULL, t INTEGER NOT NULL, good INTEGER,
    served TEXT NOT NULL, needed TEXT, task TEXT NOT NULL, medium REAL NOT NULL, hard REAL NOT NULL,
    propensity REAL NOT NULL, features BLOB NOT NULL, PRIMARY KEY (customer, x, source)
) WITHOUT ROWID
"""


_PROMPTS = """
CREATE TABLE IF NOT EXISTS prompts (
    customer INTEGER NOT NULL, x TEXT NOT NULL, t INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (customer, x)
) WITHOUT ROWID
"""


class LabelStore:
    """The file, opened for one piece of work."""

    def __init__(self, data_dir: Path) -> None:
        self._db = sqlite3.connect(data_dir / FILE, timeout=1, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten
        self._db.execute(_TABLE)
        self._db.execute(_PROMPTS)
        self._db.execute("CREATE INDEX IF NOT EXISTS by_age ON labels (t)")
        self._db.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID")

    def close(self) -> None:
        """Close it."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Store all that the block does, or nothing.

        Raises:
            LedgerBusy: the file cannot be written now.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if is_passing(error):
                raise LedgerBusy(f"{FILE}: {error}") from error
            raise
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def put(self, label: Kept, bounds: Labels) -> None:
        """Keep a label; a later one of the same source takes its place, and the oldest go when there are too many."""
        self._db.execute("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", label)
        own = "FROM labels WHERE customer = ?"
        self._drop_oldest(own, (label.customer,), bounds.customer_max)
        self._drop_oldest("FROM labels", (), bounds.all_max)

    def _drop_oldest(self, of: str, values: tuple[int, ...], most: int) -> None:
        (count,) = self._db.execute(f"SELECT COUNT(*) {of}", values).fetchone()
        if count > most:
            oldest = f"SELECT customer, x, source {of} ORDER BY t LIMIT ?"
            self._db.execute(
                f"DELETE FROM labels WHERE (customer, x, source) IN ({oldest})",  # noqa: S608 - words of ours
                (*values, count - most),
            )

    def keep_prompt(self, customer: int, x: str, t: int, text: str) -> None:
        """Keep what the ask of a label was, of a customer who opted in."""
        self._db.execute("INSERT OR REPLACE INTO prompts VALUES (?, ?, ?, ?)", (customer, x, t, text))

    def prompts(self) -> dict[tuple[int, str], str]:
        """Return the prompts that are kept, by customer and exchange."""
        return {(customer, x): text for customer, x, text in self._db.execute("SELECT customer, x, text FROM prompts")}

    def expire(self, before_t: int, prompts_before_t: int = 0) -> None:
        """Drop labels that are older, and prompts that are, or that have no label any more."""
        self._db.execute("DELETE FROM labels WHERE t < ?", (before_t,))
        self._db.execute("DELETE FROM prompts WHERE t < ?", (prompts_before_t,))
        self._db.execute("DELETE FROM prompts WHERE (customer, x) NOT IN (SELECT customer, x FROM labels)")

    def erase(self, customer: int | None) -> int:
        """Forget the labels of a customer with their prompts, or all; return how many labels those were."""
        whose, values = ("", ()) if customer is None else (" WHERE customer = ?", (customer,))
        self._db.execute(f"DELETE FROM prompts{whose}", values)  # noqa: S608 - words of ours
        return self._db.execute(f"DELETE FROM labels{whose}", values).rowcount  # noqa: S608

    def compact(self) -> None:
        """Take what was erased out of the write-ahead log, too."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def everything(self) -> list[Kept]:
        """Return all labels, the oldest first."""
        rows = self._db.execute("SELECT * FROM labels ORDER BY t, x, source")
        return [Kept(*row)._replace(good=None if row[4] is None else bool(row[4])) for row in rows]

    def reached(self) -> int:
        """Return up to which charge outcomes were looked for, by the ledger's row."""
        found = self._db.execute("SELECT value FROM meta WHERE name = 'reached'").fetchone()
        return 0 if found is None else int(found[0])

    def reach(self, row: int) -> None:
        """Note up to which charge they were."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('reached', ?)", (row,))
