r"""The journal: what happened, in order, written down before it takes effect.

One record is one line and one ``write()``::

    <crc32, 8 hex> <chain, 32 hex> <JSON>\n

*crc32* covers the rest of the line and tells a torn or flipped record; *chain* is BLAKE2b-128 over the previous
record's chain and this JSON, so records cannot be dropped, swapped or edited unnoticed. A file belongs to one
incarnation of one process: it is created with ``O_EXCL`` and never reopened for writing. A last line without its
newline was torn by a crash: it was never acknowledged, and readers stop in front of it.

Promise: a record handed to `append` survives the death of this process; `sync` makes it survive the machine's.
"""

from __future__ import annotations

import fcntl
import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

Record = dict[str, Any]

GENESIS = "0" * 32
"""The chain value before the first record of a file."""

_PREFIX_CHARS = 8 + 1 + 32 + 1

PROBE_BYTES = 256 * 1024
"""Room for some hundred records: with less, a fresh journal would break at once."""


class JournalBroken(Exception):
    """A write or sync failed. The file is closed for good: what a failed fsync left on disk is unknown."""


class JournalCorrupt(Exception):
    """A whole record does not match its checksum or its chain."""

    def __init__(self, path: Path, offset: int, why: str) -> None:
        super().__init__(f"{path.name} at byte {offset}: {why}")
        self.path, self.offset, self.why = path, offset, why


def chain_next(chain: str, payload: bytes) -> str:
    """Return the chain value after `payload`."""
    return blake2b(chain.encode() + payload, digest_size=16).hexdigest()


class Journal:
    """One open journal file; the only writer of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.chain = GENESIS
        self.is_broken = False
        self.is_doubtful = False
        """Whether a sync failed: what was written before it may not be on the disk, whoever reads it back now."""
        self._unsynced = False
        self._syncing = threading.Lock()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        # Held as long as this process lives: how a new keeper tells a dead writer from a slow one.
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A file's own sync does not promise that its folder knows it.
        sync_folder(path.parent)

    def append(self, record: Record) -> None:
        """Write one record with one ``write()``.

        Raises:
            JournalBroken: the disk refused, now or earlier.
        """
        if self.is_broken:
            raise JournalBroken(f"{self.path.name} is closed after an earlier disk error")
        payload = orjson.dumps(record)
        chain = blake2b(self.chain.encode() + payload, digest_size=16).hexdigest()
        rest = b"%b %b\n" % (chain.encode(), payload)
        line = b"%08x %b" % (zlib.crc32(rest), rest)
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            self.is_broken = True
            raise JournalBroken(f"cannot write {self.path.name}: {error.strerror}") from error
        if written != len(line):
            self.is_broken = True
            raise JournalBroken(f"only {written} of {len(line)} bytes fitted into {self.path.name}")
        self.chain = chain
        self.offset += written
        self._unsynced = True

    @property
    def is_synced(self) -> bool:
        """Whether a sync would have nothing to do."""
        return not self._unsynced

    def sync(self) -> None:
        """Make everything appended so far survive the machine; a no-op when nothing is new. Any thread may call it.

        Raises:
            JournalBroken: the disk refused, now or earlier: nothing may be called durable any more.
        """
        # Who comes second waits: what it wants durable may be what the first is still syncing.
        with self._syncing:
            if self.is_broken:
                raise JournalBroken(f"{self.path.name} is closed after an earlier disk error")
            if self._unsynced:
                self._sync()

    def _sync(self) -> None:
        self._unsynced = False
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            # A failed fsync may have dropped the dirty pages: retrying would report success falsely.
            self.is_broken = self.is_doubtful = True
            raise JournalBroken(f"cannot sync {self.path.name}: {error.strerror}") from error

    def close(self) -> None:
        """Sync, unless the disk has failed already, and close; further appends raise."""
        if self._fd >= 0:
            try:
                if not self.is_broken:
                    self.sync()
            finally:
                self.is_broken = True
                os.close(self._fd)
                self._fd = -1


def has_room(folder: Path) -> bool:
    """Tell whether a file in a folder can be written and synced now, by writing one."""
    path = folder / f"probe-{os.getpid()}"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            is_written = os.write(descriptor, bytes(PROBE_BYTES)) == PROBE_BYTES
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            path.unlink()
    except OSError:
        return False
    return is_written


def sync_folder(folder: Path) -> None:
    """Make the names of the files in a folder survive the machine."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read: the byte after the last whole record, and the chain there."""

    offset: int = 0
    chain: str = GENESIS


@dataclass(frozen=True, slots=True)
class Line:
    """One record read back, with the position after it."""

    record: Record
    after: Position


def read(path: Path, start: Position, *, end_offset: int | None = None) -> Iterator[Line]:
    """Yield the whole records of `path` from `start`, up to `end_offset` or the torn tail.

    Raises:
        JournalCorrupt: a whole line whose checksum, JSON or chain is wrong.
    """
    offset, chain = start.offset, start.chain
    with path.open("rb") as file:
        file.seek(offset)
        while end_offset is None or offset < end_offset:
            line = file.readline()
            if not line.endswith(b"\n"):
                _check_torn(path, offset, line)
                return
            record, chain = _decode(path, offset, line, chain)
            offset += len(line)
            yield Line(record, Position(offset, chain))


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records read back in order, with the position after the last."""

    records: list[Record]
    after: Position


def read_batch(path: Path, start: Position, *, records_max: int) -> Batch:
    """Return the next whole records of `path` from `start`, at most `records_max`; none at the torn tail.

    Raises:
        JournalCorrupt: a whole line whose checksum, JSON or chain is wrong.
    """
    records, offset, chain = [], start.offset, start.chain
    with path.open("rb") as file:
        file.seek(offset)
        for line in islice(file, records_max):
            if not line.endswith(b"\n"):
                _check_torn(path, offset, line)
                break
            record, chain = _decode(path, offset, line, chain)
            records.append(record)
            offset += len(line)
    return Batch(records, Position(offset, chain))


def _check_torn(path: Path, offset: int, tail: bytes) -> None:
    # A torn record lacks bytes; one that is whole but for a wrong last byte was not torn.
    line = tail[:-1] + b"\n"
    if len(line) > _PREFIX_CHARS and line[:9] == b"%08x " % zlib.crc32(line[9:]):
        raise JournalCorrupt(path, offset, "the line's end is damaged")


def _decode(path: Path, offset: int, line: bytes, chain: str) -> tuple[Record, str]:
    rest, payload = line[9:], line[_PREFIX_CHARS:-1]
    if line[:9] != b"%08x " % zlib.crc32(rest):
        raise JournalCorrupt(path, offset, "checksum does not match")
    expected = blake2b(chain.encode() + payload, digest_size=16).hexdigest()  # `chain_next`, for every record
    if line[9 : _PREFIX_CHARS - 1] != expected.encode():
        raise JournalCorrupt(path, offset, "chain does not follow from the record before it")
    record = orjson.loads(payload)
    assert isinstance(record, dict), "append writes objects only"
    return record, expected
