r"""Heads: where the chain of each journal stood, noted once a day and signed with a key that need not lie beside them.

A chain tells that nothing in a journal was changed by somebody who could not write the rest of it anew. Who can write
the whole folder can do that, and make another ledger of it. They cannot sign; and they do not reach a copy of the heads
that was exported. `heads.log` is only ever appended to, one note a line::

    <HMAC-SHA-256, 64 hex> <JSON>\n

The HMAC is over the JSON, which names the moment, the folder, the key by its fingerprint, the HMAC of the line before,
and each journal that has gone on since then, with its length in bytes and its chain there. Only what is on the disk is
noted. A last line without its newline was torn by a crash; the next note takes its place.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from margin.journal import Position, sync_folder
from margin.ledger import journals
from margin.ledger.archive import shelf
from margin.ledger.terms import day

FILE_NAME = "heads.log"
KEY_NAME = "heads.key"
KEY_BYTES = 32
"""As long as what SHA-256 gives, which RFC 2104 recommends."""
KEY_BYTES_MIN = 16
"""Shorter ones could be guessed."""
FIRST = "0" * 64
"""What stands for the line before the first."""


class HeadsError(Exception):
    """The file of heads is damaged, or the key is none; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Note:
    """One line. `heads` are the journals that had gone on, `key` the fingerprint of what signed it."""

    hmac: str
    payload: bytes
    t: int
    folder: str | None
    key: str
    before: str
    heads: Mapping[str, Position]


def read(path: Path) -> list[Note]:
    """Return the whole lines of a file of heads, oldest first; none where there is no file.

    Raises:
        HeadsError: a line is no note.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [_decoded(path, number, line) for number, line in enumerate(lines, start=1)]


def _decoded(path: Path, number: int, line: bytes) -> Note:
    mac, _, payload = line.partition(b" ")
    try:
        content = orjson.loads(payload)
        heads = {name: Position(offset, chain) for name, offset, chain in content["heads"]}
        return Note(
            mac.decode("ascii"), payload, content["t"], content["folder"], content["key"], content["before"], heads
        )
    except (ValueError, TypeError, KeyError) as error:
        raise HeadsError(f"{path}: line {number} is no note of heads") from error


def key_of(path: Path, *, make: bool) -> bytes:
    """Return the key in a file; where there is none and `make`, it is made, readable by this account alone.

    Raises:
        HeadsError: the file holds less than a key.
        OSError: it cannot be read or made.
    """
    if make and not path.exists():
        _write_key(path)
    found = path.read_bytes().strip()
    if len(found) < KEY_BYTES_MIN:
        raise HeadsError(f"{path} holds less than {KEY_BYTES_MIN} bytes, which is no key to sign heads with")
    return found


def _write_key(path: Path) -> None:
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secrets.token_hex(KEY_BYTES).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.rename(path)
    sync_folder(path.parent)


def fingerprint(key: bytes) -> str:
    """Return what names a key without telling it."""
    return _signed(key, b"penstock heads")[:16]


def _signed(key: bytes, payload: bytes) -> str:
    return hmac.new(key, payload, hashlib.sha256).hexdigest()


def note(path: Path, key: bytes, *, t: int, folder: str | None, positions: Mapping[str, Position]) -> None:
    """Append a note of the journals that went on since the last, and sync it. Only the folder's keeper may.

    Raises:
        HeadsError: the file is damaged.
        OSError: it cannot be written.
    """
    notes = read(path)
    known = noted(notes)
    moved = [
        (name, each.offset, each.chain)
        for name, each in sorted(positions.items())
        if known.get(name, Position()) != each
    ]
    content = {"t": t, "day": day(t), "folder": folder, "key": fingerprint(key),
               "before": notes[-1].hmac if notes else FIRST, "heads": moved}  # fmt: skip
    payload = orjson.dumps(content)
    whole = sum(len(each.hmac) + 1 + len(each.payload) + 1 for each in notes)
    _append(path, whole, b"%b %b\n" % (_signed(key, payload).encode(), payload))


def _append(path: Path, whole_bytes: int, line: bytes) -> None:
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, whole_bytes)  # a torn tail goes
        written = os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        sync_folder(path.parent)
    if written != len(line):
        raise OSError(28, "only part of a note fitted", str(path))


def noted(notes: Iterable[Note]) -> dict[str, Position]:
    """Return the last head of each journal."""
    return {name: head for each in notes for name, head in each.heads.items()}


def positions(notes: Iterable[Note]) -> dict[str, set[Position]]:
    """Return every head of each journal."""
    found: dict[str, set[Position]] = {}
    for each in notes:
        for name, head in each.heads.items():
            found.setdefault(name, set()).add(head)
    return found


def unproved_own(data_dir: Path, key: Path | None) -> Iterator[str]:
    """Yield, in words, what of a folder's own heads does not follow from the one before, or is not what was signed.

    Args:
        data_dir: The folder.
        key: The file of the key; signatures are proved of the notes it signed, if it can be read. The key may have
            been another once, so others are only held to their order.

    Raises:
        HeadsError: the file is damaged.
    """
    notes = read(data_dir / FILE_NAME)
    own = journals.folder_id(journals.journal_dir(data_dir))
    found = None
    if key is not None:
        with suppress(OSError, HeadsError):
            found = key_of(key, make=False)
    for each, before in zip(notes, (FIRST, *(each.hmac for each in notes)), strict=False):
        yield from _unlinked(each, before, own)
        if found is not None and each.key == fingerprint(found):
            yield from _forged(each, found)


def lost(data_dir: Path, key: Path, folded: Iterable[str]) -> Iterator[str]:
    """Yield, in words, that there is no note although the folder was served, which begins with one.

    Args:
        data_dir: The folder.
        key: The file of the key, which is made with the first note. A backup has heads and no key.
        folded: The names of the journals that were folded: workers' are there since a server ran.
    """
    is_served = any(name.startswith("worker-") for name in folded)
    path = data_dir / FILE_NAME
    if is_served and key.exists() and not (path.exists() and path.stat().st_size):
        yield f"{FILE_NAME} is missing or empty, and this folder was served: earlier heads are lost"


def unproved(data_dir: Path, exported: Path, key: bytes) -> Iterator[str]:
    """Yield, in words, what of an exported file of heads is not ours, or not in the folder's journals any more.

    Raises:
        HeadsError: the file is damaged.
    """
    notes = read(exported)
    if not notes:
        yield f"{exported} has no heads"
    own = journals.folder_id(journals.journal_dir(data_dir))
    yield from _unsigned(notes, own, key)
    if shelf.newest(data_dir) is None:
        yield from _uncontained(data_dir, positions(notes))
        return
    with shelf.unpacked(data_dir) as whole:
        yield from _uncontained(whole, positions(notes))


def _uncontained(data_dir: Path, heads: Mapping[str, set[Position]]) -> Iterator[str]:
    yield from journals.verify_journals(data_dir, {}, heads)
    for path in journals.worker_journals(journals.journal_dir(data_dir)):
        if path.name not in heads and journals.is_nameless(path):
            yield f"journal {path.name} names no folder, and no head knows it"


def _unsigned(notes: list[Note], own: str | None, key: bytes) -> Iterator[str]:
    before = notes[0].before if notes else FIRST  # an export may begin later than the file
    for each in notes:
        if each.key != fingerprint(key):
            yield f"{_which(each)} was signed with another key, {each.key}"
        else:
            yield from _forged(each, key)
        yield from _unlinked(each, before, own)
        before = each.hmac


def _forged(note: Note, key: bytes) -> Iterator[str]:
    if not hmac.compare_digest(note.hmac, _signed(key, note.payload)):
        yield f"{_which(note)} is not what was signed"


def _unlinked(note: Note, before: str, own: str | None) -> Iterator[str]:
    if note.before != before:
        yield f"{_which(note)} does not follow the note before it"
    if note.folder != own:
        yield f"{_which(note)} is of another data folder"


def _which(note: Note) -> str:
    return f"the note of {day(note.t)} ({note.hmac[:8]})"
