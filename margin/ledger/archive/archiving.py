"""Archives what was folded before a month: its journals are packed, and its rows leave the ledger.

Nothing is changed before all of it is made and proved, beside what is there. Then the keeper's journal says so, one
rename makes it so, and the rest is clearing away, which whoever opens the books next does where a crash kept us from
it. Only who holds the folder's lock may archive, or settle.
"""

from __future__ import annotations

import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from margin import journal
from margin.journal import Position, sync_folder
from margin.ledger import refold, store, twin
from margin.ledger.archive import dividing, shelf
from margin.ledger.archive.behind import OPENING, SHADOWED, Behind
from margin.ledger.archive.shelf import CHECKPOINT, FOLDER, JOURNALS, MADE, MANIFEST, PARTIAL, PREFIX, ROWS, Generation
from margin.ledger.journals import journal_dir, keeper_journals, worker_journals
from margin.ledger.refold import Progress, silent
from margin.ledger.store import Reached, Store

LEDGER = "ledger.sqlite"
"""In an archiving that is not cleared away: the ledger as it goes on behind it."""
FULL = "full.sqlite"
"""The ledger at the cut, before it is divided."""


class NotArchived(Exception):
    """Nothing was archived; the text says why."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An archiving that is made and proved, and not in force: the keeper's journal must have its digest first."""

    before: str
    digest: str
    journals: int
    transactions: int


def prepare(data_dir: Path, before: str, cut_t: int, *, keeps_decisions: bool, progress: Progress = silent) -> Prepared:
    """Make an archiving of what was journalled before `cut_t`, beside what is there. All must be folded and stored.

    Raises:
        NotArchived: there is nothing before, or the ledger is not what its journals make.
        JournalCorrupt: the journals do not fold.
    """
    last = shelf.newest(data_dir)
    start = Reached() if last is None else last.reached
    reached = _cut(journal_dir(data_dir), start, cut_t)
    if reached == start:
        raise NotArchived(f"nothing was journalled before {before} that is not archived")
    if last is not None and before <= last.before:
        raise NotArchived(f"what was before {last.before} is archived already")
    place = data_dir / FOLDER / PARTIAL
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True, mode=0o700)
    full = refold.rebuild(data_dir, place / FULL, until=reached, progress=progress)
    with closing(full):
        transactions = int(full.db.execute("SELECT COUNT(*) FROM main.txns").fetchone()[0])
        ended = dict(_ended(data_dir, full.state().journals, reached))
    made = Generation(data_dir / FOLDER / f"{PREFIX}{before}", before, reached, ended, "", keeps_decisions)
    _divide(place, made, None if last is None else last.behind.rows)
    _prove(data_dir, replace(made, path=place), progress)
    progress("packing the journals", len(ended))
    _pack(journal_dir(data_dir), ended, place / JOURNALS)
    manifest = replace(made, packed=shelf.digest(place / JOURNALS)).manifest()
    _write(place / MANIFEST, manifest)
    (place / FULL).unlink()
    for path in place.iterdir():
        refold.sync_file(path)
    sync_folder(place)
    return Prepared(before, shelf.read(place).digest, len(ended), transactions)


def _cut(folder: Path, start: Reached, cut_t: int) -> Reached:
    """Return the last place in the keeper's journals, from `start` on, before anything at or after `cut_t`."""
    reached = start
    for incarnation, path in keeper_journals(folder):
        if incarnation < start.incarnation:
            continue
        position = Position(start.offset, start.chain) if incarnation == start.incarnation else Position()
        for line in journal.read(path, position):
            if line.record["t"] >= cut_t:
                return reached
            reached = Reached(incarnation, line.after.offset, line.after.chain)
    return reached


def _ended(data_dir: Path, folded: dict[str, Position], reached: Reached) -> Iterator[tuple[str, Position]]:
    """Yield the journals of which nothing is folded after the cut, with their ends. That of the cut itself stays."""
    folder = journal_dir(data_dir)
    keepers = [path for incarnation, path in keeper_journals(folder) if incarnation < reached.incarnation]
    with closing(Store(data_dir / "ledger.sqlite", read_only=True, archived=shelf.behind(data_dir))) as live:
        now = live.state().journals
    for path in [*keepers, *worker_journals(folder)]:
        end = folded.get(path.name)
        if end is not None and end == now.get(path.name) and end == _end(path):
            yield path.name, end


def _end(path: Path) -> Position:
    end = Position()
    for line in journal.read(path, end):
        end = line.after
    return end


def _divide(place: Path, made: Generation, earlier: Path | None) -> None:
    """Make checkpoint and rows of the ledger at the cut, and note their digests."""
    dividing.take_out(place / FULL, place / ROWS, earlier, keeps_decisions=made.keeps_decisions)
    dividing.leave(place / FULL, place / CHECKPOINT, made)
    digests = {name: shelf.digest(place / name) for name in (CHECKPOINT, ROWS)}
    _write(place / MADE, orjson.dumps(digests, option=orjson.OPT_INDENT_2))


def _write(path: Path, content: bytes) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    refold.sync_file(new)
    new.rename(path)


def _prove(data_dir: Path, made: Generation, progress: Progress) -> None:
    """Fold on behind the checkpoint to where the live ledger is, and compare: no sum and no state may differ."""
    behind = replace(made.behind, name=f"{PREFIX}{made.before}")
    with closing(Store(data_dir / "ledger.sqlite", read_only=True, archived=shelf.behind(data_dir))) as live:
        folder, until = journal_dir(data_dir), live.reached()
        with closing(refold.refold(folder, made.path / LEDGER, behind, until=until, progress=progress)) as new:
            found = list(twin.compare_tables(live.db, new.db, dividing.kept(live.db), progress))
            found += [f"{name}: rows were lost" for name in SHADOWED if _rows(live, name) != _rows(new, name)]
    if found:
        raise NotArchived(f"the ledger is not what its journals make; ask `penstock ledger verify` ({found[0]})")


def _rows(found: Store, name: str) -> int:
    """Count a table's rows, the old ones among them. An opening transaction stands for others."""
    only = f" WHERE kind <> '{OPENING}'" if name == "txns" else ""
    return int(found.db.execute(f"SELECT COUNT(*) FROM {name}{only}").fetchone()[0])  # noqa: S608 - our names


def _pack(folder: Path, ended: dict[str, Position], into: Path) -> None:
    with tarfile.open(into, "w:gz") as tar:
        for name in sorted(ended):
            tar.add(folder / name, arcname=name)


def settle(data_dir: Path) -> None:
    """Bring what an archiving left half done to an end: one that is journalled is put in force, another thrown away.

    A checkpoint of an earlier format of the ledger is made anew from the archived journals.
    """
    place = data_dir / FOLDER / PARTIAL
    if (place / MANIFEST).exists():
        made = shelf.read(place)
        if _is_journalled(journal_dir(data_dir), made.digest):
            place.rename(data_dir / FOLDER / f"{PREFIX}{made.before}")
            sync_folder(data_dir / FOLDER)
    _clear_away(data_dir)
    last = shelf.newest(data_dir)
    if last is not None and dividing.format_of(last.path / CHECKPOINT) < store.FORMAT:
        renew(data_dir, last)


def _is_journalled(folder: Path, digest: str) -> bool:
    known = keeper_journals(folder)
    lines = journal.read(known[-1][1], Position()) if known else ()
    return any(line.record["k"] == "archived" and line.record["manifest"] == digest for line in lines)


def _clear_away(data_dir: Path) -> None:
    found = shelf.generations(data_dir)
    for path in (data_dir / FOLDER).glob(".*"):
        shutil.rmtree(path)
    for each in found:
        for name in each.journals:
            journal_dir(data_dir).joinpath(name).unlink(missing_ok=True)
    for each in found[:-1]:
        for name in (CHECKPOINT, ROWS, MADE):
            (each.path / name).unlink(missing_ok=True)
    if found and (found[-1].path / LEDGER).exists():
        _replace(data_dir / "ledger.sqlite", found[-1].path / LEDGER)


def _replace(live: Path, new: Path) -> None:
    # A write-ahead log is of one file: left beside another, it would be played into it.
    for suffix in ("-wal", "-shm", ""):
        Path(f"{live}{suffix}").unlink(missing_ok=True)
    new.rename(live)
    sync_folder(live.parent)


def renew(data_dir: Path, last: Generation) -> None:
    """Make checkpoint and rows of the newest archiving anew. The checkpoint comes last: its format says it is done."""
    with remade(data_dir) as made:
        for name in (ROWS, MADE, CHECKPOINT):
            refold.sync_file(made.joinpath(name))
            made.joinpath(name).replace(last.path / name)
        sync_folder(last.path)


def differences(data_dir: Path, progress: Progress = silent) -> Iterator[str]:
    """Fold the archived journals again, from the first record on, and yield in what checkpoint and rows differ.

    Raises:
        JournalCorrupt: they do not fold.
    """
    last = shelf.newest(data_dir)
    if last is None:
        return
    with remade(data_dir, progress) as made:
        for name in (CHECKPOINT, ROWS):
            with (
                closing(sqlite3.connect(last.path / name)) as one,
                closing(sqlite3.connect(made.joinpath(name))) as other,
            ):
                for found in twin.compare(one, other, progress):
                    yield f"{last.path.name}/{name}: {found}"


@contextmanager
def remade(data_dir: Path, progress: Progress = silent) -> Iterator[Path]:
    """Make checkpoint and rows of the newest archiving again for as long as the block runs; yield where they are."""
    with shelf.unpacked(data_dir) as whole:
        behind: Behind | None = None
        for each in shelf.generations(data_dir):
            place = whole.joinpath(each.path.name)
            place.mkdir()
            refold.refold(journal_dir(whole), place / FULL, behind, until=each.reached, progress=progress).close()
            _divide(place, each, None if behind is None else behind.rows)
            (place / FULL).unlink()
            behind = Behind(each.path.name, place / CHECKPOINT, place / ROWS)
        assert behind is not None, "there is an archiving"
        yield behind.rows.parent
