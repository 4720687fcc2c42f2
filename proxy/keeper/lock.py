"""Who keeps the folder, and which workers still write to it: locks the kernel lets go of when their process dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from margin.ledger import journals

NAME = "keeper.lock"


class LockHeld(Exception):
    """Another process keeps this folder."""


class Lock:
    """`flock` on `keeper.lock`: whoever holds it is the keeper. The kernel lets go of it when its process dies."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(data_dir / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self, wait_s: float) -> None:
        """Take the lock, trying for `wait_s`.

        Raises:
            LockHeld: somebody else has it.
        """
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LockHeld("another process keeps this data folder") from None
                time.sleep(0.02)
            else:
                return

    def release(self) -> None:
        """Let go."""
        os.close(self._fd)


def is_kept(data_dir: Path) -> bool:
    """Tell whether anybody ever kept this folder. The file of the lock stays: who waits for it has it open."""
    return (data_dir / NAME).exists()


def dead_journals(folder: Path, *, wait_s: float) -> set[str]:
    """Return the worker journals whose writer is gone, waiting up to `wait_s` for writers that still live.

    A worker holds a lock on its journal as long as it lives. One whose keeper died stops by itself within seconds.
    """
    deadline = time.monotonic() + wait_s
    waiting = set(journals.worker_journals(folder))
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
