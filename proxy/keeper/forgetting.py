"""Has the ledger forget why old charges were routed as they were, some at a time, if `store.decisions` says so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from margin import records
from margin.ledger import forgetting

if TYPE_CHECKING:
    from proxy.keeper.office import Office

NS = 1_000_000_000


def forget_some(office: Office) -> None:
    """Forget the details of the oldest charges that are old enough; there may be more.

    Raises:
        LedgerBusy: the ledger cannot be written now.
    """
    kept_s, now = office.settings.store.decisions_s, time.time_ns()
    if kept_s is None or office.books.deferred_why is not None:
        return
    until_t = now - round(kept_s * NS)
    if forgetting.is_due(office.books.store.db, until_t):
        office.books.record(records.forgot(t=now, until_t=until_t))
        office.books.commit()
