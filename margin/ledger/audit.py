"""The whole proof of a data folder's books, over one read-only snapshot: it needs no lock and disturbs nobody.

``python -m margin.ledger.audit FOLDER`` prints the verdict as JSON. A keeper runs it as a process of its own, so that
neither its loop nor its interpreter lock is held while millions of rows are read.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from margin.journal import JournalCorrupt
from margin.ledger import ahead, amounts, heads, journals, trail, twin, verify
from margin.ledger.archive import shelf
from margin.ledger.leaps import Leap, stale
from margin.ledger.refold import Progress, silent
from margin.ledger.rounding import Rounding
from margin.ledger.state import State
from margin.ledger.store import UNREADABLE, LedgerFormat, Store

STALE_AFTER_NS = 60_000_000_000
"""A hold this long past its deadline was not reaped: twice what the reaper waits."""


@dataclass(frozen=True, slots=True)
class Known:
    """What an audit is told, as no file of the folder says it.

    Args:
        leaps: When the clock was set forward while the folder was served.
        key: The file of the key that signs the heads; they are proved as far as it can be read.
    """

    leaps: tuple[Leap, ...] = ()
    key: Path | None = None

    def said(self) -> str:
        """Return it as one word of a command line."""
        return orjson.dumps([self.leaps, None if self.key is None else str(self.key.absolute())]).decode()

    @classmethod
    def heard(cls, said: str) -> Known:
        """Return what was said so."""
        leaps, key = orjson.loads(said)
        return cls(tuple((at, ns) for at, ns in leaps), None if key is None else Path(key))


NOTHING = Known()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. `imbalance_nusd` is what transactions fail to balance by.

    `rounding` is what rounding has added to costs, `{"lines", "residue_nusd"}`, over the lines that were priced again.
    """

    ok: bool
    transactions: int
    imbalance_nusd: int
    open_holds: int
    violations: tuple[str, ...]
    rounding: dict[str, int] = field(default_factory=dict)


def audit(data_dir: Path, progress: Progress = silent, known: Known = NOTHING) -> Verdict:
    """Check the ledger of a folder against itself, the journals, and what the journals make of it.

    Raises:
        LedgerFormat: there is no ledger, or none that this version reads.
    """
    try:
        ledger = Store(data_dir / "ledger.sqlite", read_only=True, archived=shelf.behind(data_dir))
    except UNREADABLE as error:
        raise LedgerFormat(f"{data_dir / 'ledger.sqlite'} cannot be read: {error}") from error
    try:
        return _audited(ledger, data_dir, progress, known)
    except UNREADABLE as error:
        return Verdict(False, 0, 0, 0, (f"the ledger's file is damaged: {error}",))
    finally:
        ledger.close()


def _audited(ledger: Store, data_dir: Path, progress: Progress, known: Known) -> Verdict:
    found = []
    try:
        found += list(twin.differences(ledger, data_dir, progress))
    except JournalCorrupt as error:
        found.append(f"the journals do not fold any more: {error}")
    state = ledger.state()
    progress("checking the invariants", 0)
    found = [*verify.violations(ledger.db, state), *_stale(state, known), *found]
    progress("computing the amounts again", 0)
    rounding = Rounding()
    found += amounts.violations(ledger.db, rounding)
    imbalance = verify.imbalance_nusd(ledger.db)
    progress("reading the journals", 0)
    found += shelf.damage(data_dir, trail.archivings(ledger.db))
    found += _journals(data_dir, state, known)
    found += ahead.violations(data_dir)
    transactions = ledger.db.execute("SELECT COUNT(*) FROM txns").fetchone()[0]
    added = {"lines": rounding.lines, "residue_nusd": rounding.residue_nusd}
    return Verdict(not found and imbalance == 0, transactions, imbalance, len(state.holds), tuple(found), added)


def _journals(data_dir: Path, state: State, known: Known) -> Iterator[str]:
    """Yield what is wrong with the journals: their chains, how far they are folded, their noted heads."""
    noted = {}
    try:
        noted = heads.positions(heads.read(data_dir / heads.FILE_NAME))
        yield from heads.unproved_own(data_dir, known.key)
    except heads.HeadsError as error:
        yield str(error)
    if known.key is not None:
        yield from heads.lost(data_dir, known.key, state.journals)
    yield from journals.verify_journals(data_dir, state.journals, noted, shelf.archived(data_dir))


def _stale(state: State, known: Known) -> Iterator[str]:
    for x in stale(state.holds.values(), time.time_ns() - STALE_AFTER_NS, known.leaps):
        yield f"hold of {x} is older than its deadline"


def main() -> None:
    """Print the verdict of the folder that is named on the command line; `--known` is followed by what `Known` said.

    With `--nice`, work when nobody else does; with `--progress`, say on stderr how far it is, one JSON array a line.
    """
    if "--nice" in sys.argv:
        os.nice(19)
    known = Known.heard(sys.argv[sys.argv.index("--known") + 1]) if "--known" in sys.argv else NOTHING
    verdict = audit(Path(sys.argv[1]), _tell if "--progress" in sys.argv else silent, known)
    sys.stdout.buffer.write(orjson.dumps(asdict(verdict)))


def _tell(what: str, count: int) -> None:
    sys.stderr.buffer.write(orjson.dumps([what, count]) + b"\n")
    sys.stderr.buffer.flush()


if __name__ == "__main__":
    main()
