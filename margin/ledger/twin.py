"""The ledger's twin: what the journals alone make of it, folded into a fresh file and compared row for row.

The one check that nothing escapes: every row of every table, its indexes' agreement with it, and the triggers' text. A
flipped bit in the ledger's file either shows here or is in bytes that no query reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from margin.ledger import refold
from margin.ledger.refold import Progress
from margin.ledger.store import Store

DIFFERENCES_MAX = 20
"""Rows that are named per table: enough to see a pattern, short enough to read."""


def differences(ledger: Store, data_dir: Path, progress: Progress) -> Iterator[str]:
    """Fold the journals up to where `ledger` is folded and yield every difference, in words.

    Args:
        ledger: A snapshot of the ledger.
        data_dir: The folder whose journals are the record.
        progress: Hears how far it is.
    """
    yield from damage(ledger.db)
    # A file without a name: SQLite spills it to its folder for temporary files and removes it with the process.
    twin = refold.rebuild(data_dir, None, until=ledger.reached(), progress=progress)
    try:
        yield from compare(ledger.db, twin.db, progress)
    finally:
        twin.close()


def damage(db: sqlite3.Connection) -> Iterator[str]:
    """Yield where SQLite finds the file's own structure, or an index, wrong."""
    for (said,) in db.execute(f"PRAGMA integrity_check({DIFFERENCES_MAX})"):
        if said != "ok":
            yield f"the ledger's file is damaged: {said}"


def compare(db: sqlite3.Connection, twin: sqlite3.Connection, progress: Progress) -> Iterator[str]:
    """Yield in what two ledgers differ: in their tables' definitions, or row by row."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name"
    for mine, other in zip_longest(db.execute(query), twin.execute(query)):
        if mine != other:
            yield f"the ledger defines {_named(mine, other)} in another way than it was created"
    tables = [name for (name,) in twin.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    yield from compare_tables(db, twin, tables, progress)


def compare_tables(
    db: sqlite3.Connection, twin: sqlite3.Connection, names: Iterable[str], progress: Progress
) -> Iterator[str]:
    """Yield in what some tables of two ledgers differ, row by row."""
    for name in names:
        yield from _compare_table(name, db, twin, progress)


def _named(*rows: tuple[str, ...] | None) -> str:
    return next(f"{row[0]} {row[1]}" for row in rows if row is not None)


def _compare_table(name: str, db: sqlite3.Connection, twin: sqlite3.Connection, progress: Progress) -> Iterator[str]:
    # Unindexed, so that what is read is the table and not a copy of it; integrity_check has compared the two.
    query = f"SELECT * FROM main.{name} NOT INDEXED"  # noqa: S608 - our names
    found = count = 0
    for mine, other in zip_longest(db.execute(query), twin.execute(query)):
        count += 1
        if count % 50_000 == 0:
            progress(f"comparing {name}", count)
        if mine == other and _types(mine) == _types(other):
            continue
        found += 1
        if found > DIFFERENCES_MAX:
            yield f"{name}: there are more"
            return
        yield f"{name}: the ledger has {_shown(mine)}, its journals make {_shown(other)}"


def _types(row: tuple[Any, ...]) -> list[type]:
    # 1 and 1.0 are equal and are shown as different numbers.
    return list(map(type, row))


def _shown(row: tuple[Any, ...] | None) -> str:
    return "no such row" if row is None else str(row)[:200]
