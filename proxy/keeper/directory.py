"""Names of customers, notes about keys, and what members are digested with. Here and nowhere else: it can be erased.

The books still balance then: journals and ledger know a customer by number only; this file is not part of what a
rebuild rebuilds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_bytes

from margin.ledger.store import LedgerBusy, LedgerFormat, is_passing

SECRET_BYTES = 32
NUMBERS_SHOWN = 5
"""Of those without a name: enough to see which file it once was."""


class DirectoryLost(LedgerFormat):
    """The file lacks customers that the books know: it was lost, or is an old copy. The text says what to do."""


class Directory:
    """Numbers and names, and the metadata of keys, in a SQLite file of its own."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS customers (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS key_metadata"
            " (key TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key, name)) WITHOUT ROWID"
        )
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
        )
        self._path = path
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
        self.add_all({number: name})

    def add_all(self, names: Mapping[int, str]) -> None:
        """Store new names, all or none.

        Raises:
            LedgerBusy: the file cannot be written now.
        """
        with self._transaction():
            self._db.executemany("INSERT INTO customers VALUES (?, ?)", names.items())
        self._name_of.update(names)
        self._number_of.update({name: number for number, name in names.items()})

    def member_secret(self) -> bytes:
        """Return what members' names are digested with, made at first use: without it nobody can tell who was who."""
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO secrets VALUES ('members', ?)", (token_bytes(SECRET_BYTES),))
        found = self._db.execute("SELECT value FROM secrets WHERE name = 'members'").fetchone()[0]
        assert isinstance(found, bytes)
        return found

    def metadata(self, key: str) -> dict[str, str]:
        """Return what is noted about a key."""
        found = self._db.execute("SELECT name, value FROM key_metadata WHERE key = ? ORDER BY name", (key,))
        return dict(found.fetchall())

    def note(self, metadata: Mapping[str, Mapping[str, str]]) -> None:
        """Replace what is noted about some keys, of all or of none.

        Raises:
            LedgerBusy: the file cannot be written now.
        """
        if not metadata:
            return
        rows = [(key, name, value) for key, noted in metadata.items() for name, value in noted.items()]
        with self._transaction():
            self._db.executemany("DELETE FROM key_metadata WHERE key = ?", [(key,) for key in metadata])
            self._db.executemany("INSERT INTO key_metadata VALUES (?, ?, ?)", rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Store all that the block writes, or nothing; tell what will pass from what will not."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if is_passing(error):
                raise LedgerBusy(f"directory.sqlite: {error}") from error
            raise
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def numbers(self) -> list[int]:
        """Return all numbers that have a name, ascending."""
        return sorted(self._name_of)

    def check(self, customers: Iterable[int]) -> None:
        """Refuse a file that lacks one of the books' customers: under their names others would be opened.

        A name is stored before the books know the number, and an erased one is another name, such as `customer-7`.

        Raises:
            DirectoryLost: it does.
        """
        lost = sorted(set(customers) - self._name_of.keys())
        if lost:
            shown = ", ".join(str(number) for number in lost[:NUMBERS_SHOWN]) + (", …" if lost[NUMBERS_SHOWN:] else "")
            raise DirectoryLost(
                f"{self._path} lacks the names of {len(lost):,} customers that the books have ({shown}): "
                "put it back from a backup (docs/deploying.md, Backup and restore)"
            )

    def wait(self, lock_s: float) -> None:
        """Wait this long for a lock from here on."""
        self._db.execute(f"PRAGMA busy_timeout = {round(lock_s * 1000)}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
