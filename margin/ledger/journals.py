"""The journals of one data folder: which there are, whose they are, and whether each still says what it said.

A data folder has an id, made once and written into the first record of every journal. A journal of another folder is
never folded. One of 0.1.0 names no folder, and is taken for this one's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from margin import journal
from margin.journal import JournalCorrupt, Position


class JournalForeign(JournalCorrupt):
    """A journal that was written in another data folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, 0, "it was written in another data folder")


def journal_dir(data_dir: Path) -> Path:
    """Return where a data folder keeps its journals."""
    return data_dir / "journal"


def keeper_journals(folder: Path) -> list[tuple[int, Path]]:
    """Return the keeper's journals as (incarnation, path), oldest first.

    Raises:
        JournalCorrupt: a file of such a name that no keeper gives.
    """
    found = []
    for path in folder.glob("keeper-*.journal"):
        number = path.stem.removeprefix("keeper-")
        if not (number.isascii() and number.isdigit()):
            raise JournalCorrupt(path, 0, "no keeper gave it this name")
        found.append((int(number), path))
    return sorted(found)


def worker_journals(folder: Path) -> list[Path]:
    """Return the workers' journals, by name."""
    return sorted(folder.glob("worker-*.journal"))


def folder_id(folder: Path) -> str | None:
    """Return the id that the oldest of the keeper's journals with one names; None where only 0.1.0 has written."""
    for _, path in keeper_journals(folder):
        try:
            first = journal.read_batch(path, Position(), records_max=1).records
        except JournalCorrupt:
            continue  # whoever reads all of it says so
        if first and first[0].get("folder") is not None:
            return str(first[0]["folder"])
    return None


def is_nameless(path: Path) -> bool:
    """Tell whether a journal names no folder; one that cannot be read does not."""
    try:
        first = journal.read_batch(path, Position(), records_max=1).records
    except JournalCorrupt:
        return True
    return not first or first[0].get("folder") is None


def check_origin(path: Path, first: dict[str, Any], folder: str | None) -> None:
    """Refuse a journal whose first record names another folder.

    Raises:
        JournalForeign: it does.
    """
    if first["k"] == "opened" and first.get("folder") not in {None, folder}:
        raise JournalForeign(path)


def verify_journals(
    data_dir: Path, folded: Mapping[str, Position], heads: Mapping[str, Iterable[Position]] | None = None,
    archived: Mapping[str, Position] | None = None,
) -> Iterator[str]:  # fmt: skip
    """Read every journal from its first byte; yield what is wrong with each, in words. A torn tail is not wrong.

    Args:
        data_dir: The folder whose journals are read.
        folded: How far each file is folded (`State.journals`): one that does not lead there was cut, replaced or
            removed.
        heads: Where each file's chain stood when it was noted: one that does not lead there any more was written anew.
        archived: How far those went that lie in the archive.
    """
    folder, noted = journal_dir(data_dir), {} if heads is None else heads
    stored = {} if archived is None else archived
    own = folder_id(folder)
    paths = [path for _, path in keeper_journals(folder)] + worker_journals(folder)
    for path in paths:
        end = folded.get(path.name, Position())
        wanted = {each.offset: each.chain for each in (end, *noted.get(path.name, ())) if each.offset}
        try:
            _seek(path, own, wanted)
        except JournalCorrupt as error:
            yield f"journal {error}"
            continue
        for offset in sorted(wanted):
            why = "up to which it was folded" if offset == end.offset else "where its head was noted"
            yield f"journal {path.name} has no record that ends at byte {offset}, {why}"
    for name in sorted({*folded, *noted} - {path.name for path in paths}):
        if name not in stored:
            yield f"journal {name} is missing"
        elif not _led_to(stored[name], (*noted.get(name, ()), folded.get(name, stored[name]))):
            yield f"journal {name} is another one in the archive than was folded and noted"


def _led_to(end: Position, wanted: Iterable[Position]) -> bool:
    """Tell whether a journal that ended there may have stood at each position: what lies in between is not read."""
    return all(each == end or each.offset < end.offset for each in wanted)


def _seek(path: Path, own: str | None, wanted: dict[int, str]) -> None:
    """Read a journal and take out of `wanted` each offset at which the chain is what is wanted."""
    is_first = True
    for line in journal.read(path, Position()):
        if is_first:
            check_origin(path, line.record, own)
            is_first = False
        if wanted.get(line.after.offset) == line.after.chain:
            del wanted[line.after.offset]
