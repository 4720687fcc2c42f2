"""A copy of a data folder while it is served: what a machine that died at this moment would have left, and no lock.

The order makes it consistent. Ledger and heads go first, then the journals that explain them: those are on disk
before anything knows of them. Of these the keeper's go before the workers', since its *fold* records name bytes of
theirs. What is appended meanwhile is more than the ledger has folded, as after a crash, and an opening folds it. The
key that signs the heads is left out: it is no part of the books.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from margin.journal import sync_folder
from margin.ledger import archive, heads
from margin.ledger.behind import address
from margin.ledger.journals import journal_dir, keeper_journals, worker_journals


def backup(data_dir: Path, into: Path, *, databases: tuple[str, ...] = ()) -> None:
    """Copy ledger and journals to a folder, which is there only when the copy is whole and on disk.

    Args:
        data_dir: The folder, served or not.
        into: A folder that does not exist, in one that does.
        databases: Other SQLite files of the folder, copied last.

    Raises:
        FileExistsError: `into` is there already.
        OSError: a file cannot be read or written; what was copied is removed.
        sqlite3.Error: a database cannot be read.
    """
    if into.exists():
        raise FileExistsError(17, "is there already", str(into))
    partial = into.with_name(f"{into.name}.partial")
    partial.mkdir(mode=0o700)
    try:
        _copy_all(data_dir, partial, databases)
        partial.rename(into)
    except BaseException:  # whatever it was, half a backup must not be taken for one
        shutil.rmtree(partial)
        raise
    sync_folder(into.parent)


def _copy_all(data_dir: Path, into: Path, databases: tuple[str, ...]) -> None:
    _copy_database(data_dir / "ledger.sqlite", into)
    for each in archive.generations(data_dir):
        _copy_folder(each.path, into / archive.FOLDER / each.path.name)
    if (data_dir / heads.FILE_NAME).exists():
        _copy_file(data_dir / heads.FILE_NAME, into)
    source, folder = journal_dir(data_dir), journal_dir(into)
    folder.mkdir(mode=0o700)
    for _, path in keeper_journals(source):
        _copy_file(path, folder)
    for path in worker_journals(source):
        _copy_file(path, folder)
    for name in databases:
        _copy_database(data_dir / name, into)
    sync_folder(folder)
    sync_folder(into)


def _copy_database(path: Path, into: Path) -> None:
    # One step: the copy is of one moment, and in WAL a reader keeps no writer waiting.
    with (
        closing(sqlite3.connect(address(path), uri=True, timeout=10)) as source,
        closing(sqlite3.connect(into / path.name)) as copy,
    ):
        source.backup(copy)
    _sync(into / path.name)


def _copy_folder(folder: Path, into: Path) -> None:
    into.mkdir(parents=True, mode=0o700)
    for path in folder.iterdir():
        _copy_file(path, into)
    sync_folder(into)
    sync_folder(into.parent)


def _copy_file(path: Path, into: Path) -> None:
    shutil.copyfile(path, into / path.name)
    _sync(into / path.name)


def _sync(path: Path) -> None:
    path.chmod(0o600)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
