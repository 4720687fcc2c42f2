"""What a command reads that looks at every cost line, and where it writes the corrections that follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import orjson

from margin.card import Card
from margin.ledger import capacity
from margin.ledger.questions import CostLine
from margin.ledger.refold import Progress
from margin.ledger.store import Store
from margin.records import Record
from margin.rerating import write_card

TOLD_LINES = 100_000
"""The progress is told this often: every two seconds or so."""


@dataclass(slots=True)
class Reading:
    """One snapshot of the ledger, and a file for corrections: one record a line, in the order they are to be posted."""

    ledger: Store
    corrections: IO[bytes]
    progress: Progress
    cards: dict[str, Card] = field(default_factory=dict)
    """Price cards that corrections are made by: they are journalled first."""
    moved_nusd: int = 0

    def told(self, lines: Iterable[CostLine]) -> Iterator[CostLine]:
        """Pass lines on and tell how far it is."""
        for count, line in enumerate(lines):
            if count % TOLD_LINES == 0:
                self.progress("reading cost lines", count)
            yield line

    def move(self, *amounts: int | None) -> None:
        """Count what a correction would move, posted or not.

        Raises:
            NoRoom: it is more than the books can count.
        """
        self.moved_nusd += sum(abs(amount) for amount in amounts if amount is not None)
        if self.moved_nusd > capacity.ROOM:
            capacity.check_costs(self.ledger.db, self.moved_nusd)

    def correct(self, record: Record) -> None:
        """Write a correction down; nothing is posted yet."""
        self.corrections.write(orjson.dumps(record) + b"\n")

    def found(self, **content: Any) -> dict[str, Any]:
        """Return what was found, as plain JSON, once all of it fits into the books."""
        capacity.check_costs(self.ledger.db, self.moved_nusd)
        return content | {"cards": [write_card(each) for each in self.cards.values()]}
