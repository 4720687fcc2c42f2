"""Notes the heads of the journals: at each start, with the first tick of each UTC day, and when asked.

See `margin.ledger.heads`. Noting reads nothing but the last notes and the fold's memory, and syncs one line.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from margin.ledger import heads
from margin.ledger.books import Books
from margin.ledger.heads import HeadsError
from margin.ledger.terms import day
from proxy.settings import Settings

log = logging.getLogger("penstock")


def key_path(settings: Settings) -> Path:
    """Return where the key is that signs the heads."""
    stated = settings.store.heads_key
    return settings.server.data_dir / heads.KEY_NAME if stated is None else stated


class Noting:
    """Notes the heads of one data folder's journals."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._path = books.ledger_path.with_name(heads.FILE_NAME)
        self._day: str | None = None
        """The day of the last note; None until the file was asked."""

    def note(self, settings: Settings) -> None:
        """Note how far each journal is folded and on the disk.

        Raises:
            HeadsError: the file of heads is damaged, or the key is none.
            OSError: they cannot be read or written.
        """
        now = time.time_ns()
        for lost in heads.lost(self._path.parent, key_path(settings), self._books.state.journals):
            log.error("%s", lost)
        key = heads.key_of(key_path(settings), make=True)
        heads.note(self._path, key, t=now, folder=self._books.folder_id, positions=self._books.state.journals)
        self._day = day(now)

    def note_if_due(self, settings: Settings) -> None:
        """Note if a UTC day has begun since the last note. What keeps it from that is logged, and tried again."""
        try:
            if self._day is None:
                notes = heads.read(self._path)
                self._day = day(notes[-1].t) if notes else ""
            if day(time.time_ns()) != self._day:
                self.note(settings)
        except (HeadsError, OSError) as error:
            log.error("the heads of the journals are not noted: %s", error)  # noqa: TRY400 - the sentence says it all
