"""Answers on the machine's disk: one SQLite file that all workers share, bounded by bytes, the oldest going first.

It is a cache: nothing is synced, and a file that is damaged is put aside for a new one. A worker has one thread for it,
so that the loop never waits for the disk.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from proxy.caching.answers import SHARE_MAX
from proxy.caching.stores.store import Away

FILE_NAME: Final = "answers.sqlite"
BUSY_S: Final = 1.0
"""How long a write waits for another worker's."""
ROW_BYTES: Final = 128
"""What a row takes beyond its value: its numbers, its key twice, its part of a page's head."""
AT_ONCE: Final = 64
"""Rows that one write drops at most of those that have ended: the rest is the next one's."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answers (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL UNIQUE,
    ends_s REAL NOT NULL,
    bytes INTEGER NOT NULL,
    value BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_ends ON answers (ends_s);
CREATE TABLE IF NOT EXISTS used (bytes INTEGER NOT NULL);
INSERT INTO used SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM used);
CREATE TRIGGER IF NOT EXISTS answers_in AFTER INSERT ON answers BEGIN UPDATE used SET bytes = bytes + NEW.bytes; END;
CREATE TRIGGER IF NOT EXISTS answers_out AFTER DELETE ON answers BEGIN UPDATE used SET bytes = bytes - OLD.bytes; END;
"""
_DROP: Final = "DELETE FROM answers WHERE n IN (SELECT n FROM answers {} LIMIT ?)"

_Found = TypeVar("_Found")


class Disk:
    """The backend on a file.

    Args:
        path: The file; it and its folder are made at first use, for this account alone.
        bytes_max: What the rows may take.
    """

    def __init__(self, path: Path, bytes_max: int) -> None:
        self._path, self._bytes_max = path, bytes_max
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="answers")
        self._db: sqlite3.Connection | None = None
        self._inode = 0

    async def get(self, key: bytes, customer: int) -> bytes | None:
        """Return what is kept under a key."""
        return await self._in_thread(partial(self._get, key))

    async def put(self, key: bytes, customer: int, value: bytes, ttl_s: float) -> None:
        """Keep a value, and drop the oldest until all fit."""
        await self._in_thread(partial(self._put, key, value, time.time() + ttl_s))

    async def close(self) -> None:
        """Close the file once what the thread has in hand is done."""
        with suppress(Away):
            await self._in_thread(self._close)
        self._thread.shutdown(wait=False)

    async def _in_thread(self, step: Callable[[], _Found]) -> _Found:
        try:
            work = asyncio.get_running_loop().run_in_executor(self._thread, partial(self._tried, step))
        except RuntimeError as error:  # it was closed meanwhile, as the configuration asks for another
            raise Away("closed") from error
        return await work

    def _tried(self, step: Callable[[], _Found]) -> _Found:
        try:
            return step()
        except sqlite3.OperationalError as error:  # the disk is full, locked, or may not be written
            raise Away(str(error)) from error
        except sqlite3.DatabaseError as error:  # what lies there is damaged, or no database at all
            self._put_aside()
            raise Away(str(error)) from error
        except OSError as error:
            raise Away(str(error)) from error

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # its kin are made as it is
            self._inode = self._path.stat().st_ino
            self._db = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            self._db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_SCHEMA}")
        return self._db

    def _get(self, key: bytes) -> bytes | None:
        row = self._open().execute("SELECT value FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def _put(self, key: bytes, value: bytes, ends_s: float) -> None:
        size = len(value) + ROW_BYTES
        if size * SHARE_MAX > self._bytes_max:
            return
        db = self._open()
        with db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("DELETE FROM answers WHERE key = ?", (key,))
            db.execute(
                "INSERT INTO answers (key, ends_s, bytes, value) VALUES (?, ?, ?, ?)", (key, ends_s, size, value)
            )
            db.execute(_DROP.format("WHERE ends_s < ? ORDER BY ends_s"), (time.time(), AT_ONCE))
            while db.execute("SELECT bytes FROM used").fetchone()[0] > self._bytes_max:
                db.execute(_DROP.format("ORDER BY n"), (1,))

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _put_aside(self) -> None:
        """Begin with a new file, unless another worker did so already."""
        self._close()
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{self._path}{suffix}").unlink(missing_ok=True)
