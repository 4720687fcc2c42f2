"""How a ledger's file begins behind an archiving: from a checkpoint, with the old rows in a file beside it.

The old rows are attached read-only, and views of the same names put them before the file's own: whatever asks for
`charges` reads both. The ledger's writer names its tables as ``main.charges``.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

MOVED = ("txns", "entries", "charges", "cost_lines", "corrections", "reversals")
"""Tables whose rows grow with the exchanges: an archiving takes the old ones out."""

SHADOWED = tuple(name for name in MOVED if name != "entries")
"""Those that questions read whole. Of entries there is an opening transaction in place of the old ones."""

OPENING = "opening"
"""The kind of the transaction that an archiving leaves in place of all before it."""


@dataclass(frozen=True, slots=True)
class Behind:
    """What a ledger begins with: the name of an archiving, its checkpoint, and the rows that were taken out."""

    name: str
    checkpoint: Path
    rows: Path


def begin(db: sqlite3.Connection, checkpoint: Path) -> None:
    """Make a file that is empty the copy of a checkpoint; leave another one alone."""
    if db.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0]:
        return
    with closing(sqlite3.connect(f"{address(checkpoint)}&immutable=1", uri=True)) as source:
        source.backup(db)


def attach(db: sqlite3.Connection, rows: Path) -> None:
    """Have questions of this connection read the old rows too."""
    db.execute("ATTACH ? AS old", (f"{address(rows)}&immutable=1",))
    for name in SHADOWED:
        db.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM old.{name} UNION ALL SELECT * FROM main.{name}")  # noqa: S608
    (view,) = db.execute("SELECT sql FROM main.sqlite_master WHERE name = 'current_cost_lines'").fetchone()
    db.execute(view.replace("CREATE VIEW", "CREATE TEMP VIEW", 1))


def address(path: Path) -> str:
    """Return the URI that reads a SQLite file. In a path as it is, `#`, `?` and `%` would mean something."""
    return f"file:{quote(str(path.absolute()))}?mode=ro"
