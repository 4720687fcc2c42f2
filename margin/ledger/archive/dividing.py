"""Divides a ledger at a cut: its old rows go into a file of their own, everything else stays behind an opening.

What stays are the sums, the state and the trail; in place of the transactions there is one, whose legs are all balances
and whose key carries the hash of the journal at the cut.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from margin.ledger.archive.behind import MOVED, OPENING
from margin.ledger.archive.shelf import Generation
from margin.ledger.forgetting import reduced
from margin.ledger.store import Store
from margin.ledger.terms import Period


def kept(db: sqlite3.Connection, schema: str = "main") -> list[str]:
    """Return the tables of a ledger that stay whole: all that do not move, but `meta`, which says where it is."""
    query = f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' ORDER BY name"  # noqa: S608 - our names
    return [name for (name,) in db.execute(query) if name != "meta" and name not in MOVED]


def take_out(full: Path, into: Path, earlier: Path | None, *, keeps_decisions: bool) -> None:
    """Write the old rows of a ledger at the cut to a new file, behind those that earlier archivings took out."""
    if earlier is not None:
        shutil.copyfile(earlier, into)
    with closing(_beside(into, full)) as db:
        if earlier is None:
            for sql in _definitions(db):
                db.execute(sql)
        for name in MOVED:
            db.execute(_TAKEN.get(name, f"INSERT INTO main.{name} SELECT * FROM cut.{name}"))  # noqa: S608 - our names
        if not keeps_decisions:
            db.create_function("reduced", 1, reduced, deterministic=True)
            db.execute("UPDATE main.charges SET decision = reduced(decision)")
        db.execute("COMMIT")


_TAKEN = {
    "txns": f"INSERT INTO main.txns SELECT * FROM cut.txns WHERE kind <> '{OPENING}'",  # noqa: S608 - our names
    # Their numbers begin anew behind each archiving, and nothing refers to them.
    "entries": f"""INSERT INTO main.entries (txn, account, amount) SELECT txn, account, amount FROM cut.entries
        WHERE txn NOT IN (SELECT id FROM cut.txns WHERE kind = '{OPENING}') ORDER BY id""",  # noqa: S608 - our names
    "charges": "INSERT INTO main.charges SELECT * FROM cut.charges ORDER BY rowid",
    "cost_lines": "INSERT INTO main.cost_lines SELECT * FROM cut.cost_lines ORDER BY rowid",
}


def _definitions(db: sqlite3.Connection) -> list[str]:
    query = f"SELECT sql FROM cut.sqlite_master WHERE type = 'table' AND name IN {MOVED} ORDER BY name"  # noqa: S608
    return [sql for (sql,) in db.execute(query)]


def leave(full: Path, into: Path, made: Generation) -> None:
    """Write what stays of a ledger at the cut to a new file: the checkpoint that a ledger begins with from here on."""
    Store(into).close()
    with closing(_beside(into, full)) as db:
        for name in ("meta", *kept(db, "cut")):
            db.execute(f"DELETE FROM main.{name}")  # noqa: S608 - our names
            db.execute(f"INSERT INTO main.{name} SELECT * FROM cut.{name}")  # noqa: S608 - our names
        db.execute("INSERT OR REPLACE INTO meta VALUES ('behind', ?)", (made.path.name,))
        db.execute("DELETE FROM meta WHERE name = 'forgotten'")  # it counted rows that have left
        _open(db, made)
        db.execute("COMMIT")


def _open(db: sqlite3.Connection, made: Generation) -> None:
    """Post the opening: every balance as it stands at the cut."""
    (last,) = db.execute("SELECT COALESCE(MAX(id), 0) FROM cut.txns").fetchone()
    key = f"{OPENING}:{made.before}:{made.reached.chain}"
    row = (last + 1, key, OPENING, Period.named(made.before).start_t)
    db.execute("INSERT INTO main.txns VALUES (?, ?, ?, ?)", row)
    db.execute(
        """INSERT INTO main.entries (txn, account, amount)
        SELECT ?, id, balance FROM main.accounts WHERE balance <> 0 ORDER BY id""",
        (last + 1,),
    )


def _beside(path: Path, full: Path) -> sqlite3.Connection:
    """Open a file that is one file, with the ledger at the cut beside it as `cut`, and begin a transaction."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute("ATTACH ? AS cut", (str(full),))
    db.execute("BEGIN")
    return db


def format_of(path: Path) -> int:
    """Return the format of a ledger's file."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()[0])
