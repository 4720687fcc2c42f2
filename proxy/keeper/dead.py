"""Which workers are dead: by the lock that each holds on its journal as long as it lives."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from margin.ledger import books


def dead_journals(folder: Path, *, wait_s: float) -> set[str]:
    """Return the worker journals whose writer is gone, waiting up to `wait_s` for writers that still live.

    A worker holds a lock on its journal as long as it lives. One whose keeper died stops by itself within seconds.
    """
    deadline = time.monotonic() + wait_s
    waiting = set(books.worker_journals(folder))
    dead: set[str] = set()
    while waiting:
        gone = {path for path in waiting if not _is_locked(path)}
        dead |= {path.name for path in gone}
        waiting -= gone
        if waiting and time.monotonic() >= deadline:
            break
        if waiting:
            time.sleep(0.05)
    return dead


def _is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
