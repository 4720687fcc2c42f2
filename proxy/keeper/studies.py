"""Commands that read every cost line and then correct some: `ledger rerate` and `reconcile`.

Each has three steps, so that a server can have the long one done elsewhere (`proxy.keeper.studying`): the keeper
completes what was asked into plain JSON, `read` looks at one snapshot and writes corrections down, and the keeper posts
those, some at a time, and answers. Where nobody serves, `perform` does all of it here.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from margin.ledger.archive import shelf
from margin.ledger.books import BATCH_RECORDS_MAX
from margin.ledger.refold import Progress
from margin.ledger.store import Store
from margin.rerating import read_card
from proxy.keeper import pricing, reconciling, rerating
from proxy.keeper.office import Office
from proxy.keeper.reading import Reading
from proxy.keeper.refusing import Args


class Study(NamedTuple):
    """The three steps of a command."""

    ask: Callable[[Office, Args], Args]
    read: Callable[[Reading, Args], dict[str, Any]]
    tell: Callable[[Office, Args, dict[str, Any]], Any]


STUDIES = {
    "ledger.rerate": Study(rerating.ask, rerating.read, rerating.tell),
    "ledger.reconcile": Study(reconciling.ask, reconciling.read, reconciling.tell),
}

CORRECTIONS = "corrections"
"""The file in which they wait to be posted."""


def perform(name: str, office: Office, args: Args) -> Any:
    """Read, post and answer, one after the other."""
    asked = begin(name, office, args)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        found = read(name, office.settings.server.data_dir, asked, Path(folder), office.progress)
        for _ in post(office, found, Path(folder), office.progress):
            pass
    return STUDIES[name].tell(office, asked, found)


def begin(name: str, office: Office, args: Args) -> Args:
    """Complete what was asked, and have everything in the books that was journalled before."""
    asked = STUDIES[name].ask(office, args)
    office.fold_all()
    return asked


def read(name: str, data_dir: Path, asked: Args, folder: Path, progress: Progress) -> dict[str, Any]:
    """Read one snapshot; corrections go to a file in a folder. Needs no lock and changes nothing."""
    ledger = Store(data_dir / "ledger.sqlite", read_only=True, archived=shelf.behind(data_dir))
    try:
        with (folder / CORRECTIONS).open("wb") as file:
            return STUDIES[name].read(Reading(ledger, file, progress), asked)
    finally:
        ledger.close()


def post(office: Office, found: dict[str, Any], folder: Path, progress: Progress) -> Iterator[None]:
    """Post what was written down, a batch for each step.

    Raises:
        LedgerBusy: the ledger cannot be written now. What was posted stays; asked again, the command goes on behind it.
    """
    pricing.keep_cards(office.books, map(read_card, found["cards"]))
    count = 0
    with (folder / CORRECTIONS).open("rb") as file:
        while lines := list(islice(file, BATCH_RECORDS_MAX)):
            office.try_again()
            office.correct(orjson.loads(line) | {"t": time.time_ns()} for line in lines)
            count += len(lines)
            progress("posting corrections", count)
            yield
