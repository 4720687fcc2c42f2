"""A copy of a data folder while it is served: what a machine that died at this moment would have left, and no lock.

The order makes it consistent. Ledger and heads go first, then the journals that explain them: those are on disk
before anything knows of them. Of these the keeper's go before the workers', since its *fold* records name bytes of
theirs. What is appended meanwhile is more than the ledger has folded, as after a crash, and an opening folds it. No
journal is packed away and no ledger replaced meanwhile, and the copy has its name only when it is whole. The key that
signs the heads is left out: it is no part of the books.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from margin.journal import JournalCorrupt, sync_folder
from margin.ledger import heads, refold, still, trail
from margin.ledger.archive import shelf
from margin.ledger.archive.behind import address
from margin.ledger.journals import journal_dir, keeper_journals, worker_journals
from margin.ledger.refold import LedgerAheadError
from margin.ledger.store import LedgerFormat, LedgerOutdated, Store


class NotWhole(Exception):
    """The copy lacks what its ledger says there is, and was removed; the text says what."""


def backup(data_dir: Path, into: Path, *, databases: tuple[str, ...] = ()) -> None:
    """Copy ledger and journals to a folder, which is there only when the copy is whole and on disk.

    Args:
        data_dir: The folder, served or not.
        into: A folder that does not exist, in one that does.
        databases: Other SQLite files of the folder, copied last.

    Raises:
        FileExistsError: `into` is there already.
        BlockingIOError: the folder is being archived or rebuilt.
        OSError: a file cannot be read or written; what was copied is removed.
        sqlite3.Error: a database cannot be read.
        NotWhole: the folder itself lacks something.
    """
    if into.exists():
        raise FileExistsError(errno.EEXIST, "is there already", str(into))
    if into.resolve().is_relative_to(data_dir.resolve()):
        raise OSError(errno.EINVAL, "lies in the folder that is to be copied", str(into))
    with still.copied(data_dir), _partial(into) as partial:
        _copy_all(data_dir, partial, databases)
        _check(partial)
        partial.rename(into)
    sync_folder(into.parent)


@contextmanager
def _partial(into: Path) -> Iterator[Path]:
    """Make a folder beside a backup that is locked while it is written; what killed ones left of theirs goes."""
    beginning = f"{into.name}.partial-"
    for path in into.parent.glob("*"):
        if path.name.startswith(beginning) and (left := _lock(path)) is not None:
            shutil.rmtree(path)
            os.close(left)
    partial = Path(tempfile.mkdtemp(prefix=beginning, dir=into.parent))
    lock = _lock(partial)
    try:
        yield partial
    except BaseException:  # whatever it was, half a backup must not be taken for one
        shutil.rmtree(partial)
        raise
    finally:
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Return a descriptor that locks a folder; None while a living process has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _check(copy: Path) -> None:
    """Refuse a copy that does not have every byte its ledger has folded, or an archive that its ledger knows.

    Raises:
        NotWhole: it does not.
    """
    try:
        with closing(Store(copy / "ledger.sqlite", read_only=True, archived=shelf.behind(copy))) as ledger:
            refold.check_lengths(journal_dir(copy), ledger, shelf.archived(copy))
            missing = trail.archivings(ledger.db).keys() - {each.before for each in shelf.generations(copy)}
    except LedgerOutdated:
        return  # it is folded anew from the journals
    except (LedgerFormat, LedgerAheadError, JournalCorrupt) as error:
        raise NotWhole(f"the copy would not be whole: {error}") from error
    finally:
        for suffix in ("-wal", "-shm"):  # a reader makes them, and leaves them
            copy.joinpath(f"ledger.sqlite{suffix}").unlink(missing_ok=True)
    if missing:
        raise NotWhole(f"the copy would not be whole: it lacks {shelf.PREFIX}{min(missing)} of the archive")


def _copy_all(data_dir: Path, into: Path, databases: tuple[str, ...]) -> None:
    _copy_database(data_dir / "ledger.sqlite", into)
    for each in shelf.generations(data_dir):
        _copy_folder(each.path, into / shelf.FOLDER / each.path.name)
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
