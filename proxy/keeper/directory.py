"""Names of customers. They live here and nowhere else, so that a name can be erased and the books still balance.

Journals and ledger know a customer by number only; this file is not part of what a rebuild rebuilds.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from margin.ledger.store import LedgerBusy, is_passing


class Directory:
    """Numbers and names, in a SQLite file of its own."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS customers (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)")
        rows = self._db.execute("SELECT number, name FROM customers").fetchall()
        self._name_of: dict[int, str] = dict(rows)
        self._number_of = {name: number for number, name in rows}

    def number(self, name: str) -> int | None:
        """Return a customer's number, None for a name that is not here."""
        return self._number_of.get(name)

    def name(self, number: int) -> str:
        """Return a customer's name; an erased one is shown by its number."""
        return self._name_of.get(number, f"customer-{number}")

    def add(self, number: int, name: str) -> None:
        """Store a new name.

        Raises:
            LedgerBusy: the file cannot be written now.
        """
        try:
            self._db.execute("INSERT INTO customers VALUES (?, ?)", (number, name))
        except sqlite3.OperationalError as error:
            if is_passing(error):
                raise LedgerBusy(f"directory.sqlite: {error}") from error
            raise
        self._name_of[number], self._number_of[name] = name, number

    def numbers(self) -> list[int]:
        """Return all numbers that have a name, ascending."""
        return sorted(self._name_of)

    def wait(self, lock_s: float) -> None:
        """Wait this long for a lock from here on."""
        self._db.execute(f"PRAGMA busy_timeout = {round(lock_s * 1000)}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
