"""The archive of closed periods: where it lies, what is in it, and how a ledger begins behind it.

`archive/before-YYYY-MM` in the data folder is one archiving. Each has the journals that had ended by then, compressed,
and a manifest. The newest also has the *checkpoint*, that is the ledger at the cut without its old rows, and the *rows*
that all archivings took out. A ledger is the checkpoint, and what the journals that are left say after it; questions
that name a charge or a cost line read the rows too.

The manifest names the journals with their chains. Its digest is in the keeper's journal, and so below a signed head.
Checkpoint and rows are not the record: the archived journals make them again.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from margin.journal import JournalCorrupt, Position
from margin.ledger.archive.behind import Behind
from margin.ledger.journals import journal_dir
from margin.ledger.store import Reached

FOLDER = "archive"
PREFIX = "before-"
PARTIAL = ".partial"
"""An archiving that is not whole. One that a crash left is thrown away."""
UNPACKED = ".unpacked-"
MANIFEST = "manifest.json"
JOURNALS = "journals.tar.gz"
CHECKPOINT = "checkpoint.sqlite"
ROWS = "rows.sqlite"
MADE = "made.json"
"""Digests of the two, which are made of the journals, and made again when the ledger's format is another."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One archiving: what was folded before the cut.

    Args:
        path: Its folder.
        before: The month it ends before, such as `2026-11`.
        reached: The cut, in the keeper's journals.
        journals: How long each journal in it was, and the chain there.
        packed: The SHA-256 of the file they are packed in.
        keeps_decisions: Whether the charges in it have kept why they were routed as they were.
        digest: The SHA-256 of the manifest, which says all this.
    """

    path: Path
    before: str
    reached: Reached
    journals: Mapping[str, Position]
    packed: str
    keeps_decisions: bool
    digest: str = ""

    def manifest(self) -> bytes:
        """Return what its manifest says."""
        content = {
            "before": self.before,
            "reached": asdict(self.reached),
            "journals": [[name, each.offset, each.chain] for name, each in sorted(self.journals.items())],
            "packed": self.packed,
            "keeps_decisions": self.keeps_decisions,
        }
        return orjson.dumps(content, option=orjson.OPT_INDENT_2)

    @property
    def behind(self) -> Behind:
        """Return what a ledger behind this archiving begins with."""
        return Behind(self.path.name, self.path / CHECKPOINT, self.path / ROWS)

    @property
    def made(self) -> dict[str, str]:
        """Return the SHA-256 of what was made of the journals, by the file's name."""
        return dict(_loaded(self.path / MADE))


def generations(data_dir: Path) -> list[Generation]:
    """Return a folder's archivings, oldest first.

    Raises:
        JournalCorrupt: a manifest is none.
    """
    return [read(path) for path in sorted((data_dir / FOLDER).glob(f"{PREFIX}*"))]


def read(path: Path) -> Generation:
    """Return the archiving in a folder.

    Raises:
        JournalCorrupt: its manifest is none.
    """
    found = _loaded(path / MANIFEST)
    try:
        journals = {name: Position(offset, chain) for name, offset, chain in found["journals"]}
        return Generation(path, found["before"], Reached(**found["reached"]), journals, found["packed"],
                          found["keeps_decisions"], digest(path / MANIFEST))  # fmt: skip
    except (ValueError, TypeError, KeyError) as error:
        raise JournalCorrupt(path / MANIFEST, 0, f"it does not say what was archived ({error})") from error


def _loaded(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (ValueError, FileNotFoundError) as error:
        raise JournalCorrupt(path, 0, f"it does not say what was archived ({error})") from error
    if not isinstance(found, dict):
        raise JournalCorrupt(path, 0, "it does not say what was archived")
    return found


def newest(data_dir: Path) -> Generation | None:
    """Return the archiving that the ledger begins behind; None where nothing is archived."""
    found = generations(data_dir)
    return found[-1] if found else None


def behind(data_dir: Path) -> Behind | None:
    """Return what the ledger of a folder begins behind; None: it begins with the first record."""
    found = newest(data_dir)
    return None if found is None else found.behind


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def archived(data_dir: Path) -> dict[str, Position]:
    """Return how far each archived journal went."""
    return {name: end for each in generations(data_dir) for name, end in each.journals.items()}


def damage(data_dir: Path, noted: Mapping[str, str]) -> Iterator[str]:
    """Yield, in words, which files of the archive are not what was archived.

    Args:
        data_dir: The folder.
        noted: The digest of each archiving's manifest, by month, as the journal has it.
    """
    found = generations(data_dir)
    for each in found:
        if noted.get(each.before) != each.digest:
            yield f"the manifest of {each.path.name} is not what was archived"
        # Of the older ones only the journals are kept: the newest has what it needs of the rest.
        made = each.made if each is found[-1] else {}
        for name, expected in ({JOURNALS: each.packed} | made).items():
            path = each.path / name
            if not path.exists():
                yield f"{each.path.name}/{name} is missing from the archive"
            elif digest(path) != expected:
                yield f"{each.path.name}/{name} is not what was archived"
    for before in sorted(noted.keys() - {each.before for each in found}):
        yield f"the archive lacks {PREFIX}{before}"


@contextmanager
def unpacked(data_dir: Path) -> Iterator[Path]:
    """Make a data folder that has every journal, archived or not, for as long as the block runs.

    Raises:
        JournalCorrupt: an archive of journals is missing or cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix=UNPACKED, dir=data_dir / FOLDER) as name:
        whole = Path(name)
        folder = journal_dir(whole)
        folder.mkdir()
        packed = archived(data_dir)
        for path in journal_dir(data_dir).glob("*.journal"):
            if path.name in packed:
                continue  # not cleared away yet
            folder.joinpath(path.name).symlink_to(path.absolute())
        for each in generations(data_dir):
            _unpack(each.path / JOURNALS, folder)
        yield whole


def _unpack(path: Path, into: Path) -> None:
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content is not None, "journals are plain files"
                with (into / Path(member.name).name).open("xb") as file:  # never through a link, into a journal
                    shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise JournalCorrupt(path, 0, f"the archived journals cannot be read ({error})") from error
