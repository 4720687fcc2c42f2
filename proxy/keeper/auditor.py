"""Has the books proved while they are served: when asked, and by itself in the background.

The proof (`margin.ledger.audit`) reads every row and every journal. It runs as a process of its own over a read-only
snapshot, so that a lease request never waits for it: in a thread it would share the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from margin.ledger.audit import Known
from margin.ledger.refold import Progress, silent
from proxy.keeper.errand import ErrandFailed, outcome
from proxy.keeper.noting import key_path

if TYPE_CHECKING:
    from proxy.keeper.office import Office

log = logging.getLogger("penstock")

FIRST_S = 60.0
"""The first audit waits this long, so that a start is not slowed down."""
REST_S = 3600.0
"""At least this long between two audits: a small ledger is proved every hour."""
REST_SHARE = 19
"""An audit is followed by at least this many times its own length of rest: a twentieth of one core, at lowest
priority, however large the ledger."""


@dataclass(frozen=True, slots=True)
class Audited:
    """The last audit's verdict; times in seconds. Violations are those that were listed."""

    at_s: float
    took_s: float
    ok: bool
    violations: int


def known(office: Office) -> Known:
    """Return what an audit of an office's folder is told."""
    return Known(tuple(office.leaps()), key_path(office.settings))


class Auditor:
    """Runs audits of one data folder."""

    def __init__(self, data_dir: Path, known: Callable[[], Known]) -> None:
        self._data_dir, self._known = data_dir, known
        self._asked = asyncio.Semaphore(1)
        self.last: Audited | None = None
        self.failed = False
        """Whether the newest audit ended without a verdict: what an older one found then says nothing of today."""

    async def verify(self, progress: Progress | None = None) -> Any:
        """Return the verdict of now; who asks meanwhile waits for their turn. `progress` hears how far it is.

        Raises:
            ErrandFailed: there is none.
        """
        async with self._asked:
            return await (self._audit() if progress is None else self._audit("--progress", progress=progress))

    async def run(self) -> None:
        """Audit for ever."""
        rest_s = FIRST_S
        while True:
            await asyncio.sleep(rest_s)
            rest_s = max(REST_S, REST_SHARE * await self._round())

    async def _round(self) -> float:
        """Audit once, at lowest priority; return how long it took."""
        start_s = time.monotonic()
        try:
            found = await self._audit("--nice")
        except (ErrandFailed, OSError):
            self.failed = True
            log.exception("the audit of the books did not finish")
            return time.monotonic() - start_s
        took_s = time.monotonic() - start_s
        self.failed = False
        self.last = Audited(time.time(), took_s, found["ok"], len(found["violations"]))
        for violation in found["violations"]:
            log.error("audit of the books: %s", violation)
        return took_s

    async def _audit(self, *options: str, progress: Progress = silent) -> Any:
        words = (str(self._data_dir.absolute()), "--known", self._known().said(), *options)
        return await outcome("margin.ledger.audit", *words, progress=progress)

    def gauges(self) -> dict[str, float]:
        """Return the last verdict as metrics; nothing before the first. An audit that failed found nothing sound."""
        if self.last is None:
            return {"penstock_ledger_audit_ok": 0.0} if self.failed else {}
        return {
            "penstock_ledger_audit_ok": float(self.last.ok and not self.failed),
            "penstock_ledger_audit_violations": self.last.violations,
            "penstock_ledger_audit_timestamp_seconds": self.last.at_s,
            "penstock_ledger_audit_duration_seconds": self.last.took_s,
        }
