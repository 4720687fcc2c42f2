"""A folder of books with many customers, each prepaid, with credits and a key of its own; and a past, if one likes."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from benchmarks import copies, history
from benchmarks.copies import Spread
from benchmarks.history import Ledger, Past, grant_id
from benchmarks.stage import Penstock
from margin import records
from margin.ledger.store import connect
from proxy import identity
from proxy.keeper.directory import Directory
from proxy.keeper.lock import Lock
from proxy.keeper.office import Office
from proxy.settings import load

BATCH = 1000
CREDITS_MILLI = 10**9


def populate(served: Penstock, count: int) -> Path:
    """Add customers to a folder that nobody serves; return a file with their keys, one a line.

    What the commands do one by one, each with a sync of the disk, is done here in batches: 100,000 customers in
    seconds instead of an hour.
    """
    settings = load(served.config, environ=served.environment())
    lock = Lock(settings.server.data_dir)
    lock.acquire(10)
    office = Office(settings)
    try:
        first = max([0, *office.directory.numbers()]) + 1
        office.directory.close()
        _name(settings.server.data_dir / "directory.sqlite", range(first, first + count))
        office.directory = Directory(settings.server.data_dir / "directory.sqlite")
        keys = [_open(office, number) for number in range(first, first + count)]
    finally:
        office.close()
        lock.release()
    path = served.folder / "keys"
    path.write_text("\n".join(keys) + "\n")
    return path


def _name(path: Path, numbers: range) -> None:
    with sqlite3.connect(path) as directory:
        directory.executemany("INSERT INTO customers VALUES (?, ?)", [(each, f"crowd-{each}") for each in numbers])
    directory.close()


def _open(office: Office, number: int) -> str:
    id_, key, digest = identity.new_key()
    t = time.time_ns()
    for record in (
        records.customer(t=t, customer=number, plan="prepaid"),
        records.key(t=t, id=id_, digest=digest, customer=number, scopes=["serve"]),
        records.grant(t=t, id=grant_id(number), customer=number, credits_milli=CREDITS_MILLI, paid_nusd=0,
                      expires_t=None),
    ):  # fmt: skip
        office.books.record(record)
    if number % BATCH == 0:
        office.books.commit()
    return key


def remember(served: Penstock, past: Past, to: Spread) -> int:
    """Give a folder that nobody serves a past: `to.copies` of the exchanges of its crowd; return its rows.

    The rows are entries, charges and cost lines. The journals have none of it, so `ledger verify` will say that they
    make another ledger; a server starts and works on it all the same.
    """
    path = load(served.config, environ=served.environment()).server.data_dir / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.fold(history.exchanges(past, incarnation=f"{0:012x}", seed=1), BATCH * 10)
    ledger.close()
    copies.spread(path, past, to)
    os.sync()  # gigabytes that are still on their way to the disk would be in the figures
    with closing(connect(path, read_only=True)) as db:
        return sum(db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
                   for table in ("entries", "charges", "cost_lines"))  # fmt: skip
