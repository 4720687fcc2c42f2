"""Ledgers that knew more than the journals: set aside when the books are folded anew, and kept until they are removed.

A machine that died may have taken journalled records with it that the ledger had folded. The journals are the record,
so the books go on as they say; what they lack is in the file that lies aside, for whoever operates this to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from margin.journal import sync_folder

PREFIX = "ledger.sqlite.ahead-"
LOGS = ("-wal", "-shm")
"""What SQLite may have left beside a file: it is of that file, and goes where that goes."""


def put(ledger: Path) -> Path:
    """Give a ledger that nobody has open another name; return it."""
    aside = ledger.with_name(f"{PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    for suffix in (*LOGS, ""):
        if Path(f"{ledger}{suffix}").exists():
            Path(f"{ledger}{suffix}").rename(f"{aside}{suffix}")
    sync_folder(ledger.parent)
    return aside


def kept(data_dir: Path) -> list[Path]:
    """Return the ledgers that lie aside in a folder, oldest first."""
    return sorted(path for path in data_dir.glob(f"{PREFIX}*") if not path.name.endswith(LOGS))


def violations(data_dir: Path) -> Iterator[str]:
    """Yield, in words, that each of them lies there."""
    for path in kept(data_dir):
        yield f"{path.name} had folded records that the journals have lost; see what it has, then remove it"
