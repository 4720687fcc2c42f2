"""A data folder that holds still: while it is copied, no journal is packed away and no ledger replaced.

A lock on the folder itself, apart from the keeper's: many may copy, while a server runs or not. The kernel lets go of
it when its process dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def copied(data_dir: Path) -> Iterator[None]:
    """Keep a folder's files in their places while the block reads them.

    Raises:
        BlockingIOError: they are about to leave them.
    """
    with _locked(data_dir, fcntl.LOCK_SH, "is being archived or rebuilt; try again when that is done"):
        yield


@contextmanager
def rearranged(data_dir: Path) -> Iterator[None]:
    """Have a folder's files for oneself while the block moves them.

    Raises:
        BlockingIOError: they are being copied.
    """
    with _locked(data_dir, fcntl.LOCK_EX, "a backup of it is being made; try again when that is done"):
        yield


@contextmanager
def _locked(folder: Path, kind: int, otherwise: str) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(errno.EAGAIN, otherwise, str(folder)) from None
        yield
    finally:
        os.close(descriptor)
