"""The books under everything that can happen to them, and archived and made to forget at any moment besides."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import precondition, rule

from margin import records
from margin.ledger import audit, journals
from margin.ledger.archive import archiving, shelf
from tests.margin.bookkeeping import Worker, open_books
from tests.margin.test_ledger_machine import QUICK, BooksMachine

FOREVER_T = 2**63 - 1


class ArchivedBooksMachine(BooksMachine):
    """One data folder that is archived now and then, up to the last record."""

    archived = 0

    @precondition(lambda self: self.archived < 3)
    @rule()
    def archive(self):
        """Nobody serves: the workers end, all is folded, and what there is is archived."""
        for worker in self.workers:
            worker.close()
        self.fold_all()
        self.books.commit()
        self.archived += 1
        before = f"2027-{self.archived:02d}"
        made = archiving.prepare(self.data, before, FOREVER_T, keeps_decisions=self.archived != 2)
        self.keep(records.archived(t=self.later(), before=before, manifest=made.digest))
        self.books.close()
        archiving.settle(self.data)
        self.books = open_books(self.data)
        self.workers = [Worker(self.data, f"worker-{number}-{next(self.names)}") for number in (1, 2)]

    @rule()
    def forget(self):
        """Why the oldest charges were routed as they were is forgotten."""
        self.keep(records.forgot(t=self.later(), until_t=self.t))

    def _included_milli(self, who):
        if not self.archived:
            return super()._included_milli(who)
        return self.books.store.db.execute(
            "SELECT COALESCE(-SUM(amount), 0) FROM (SELECT txn, account, amount FROM old.entries UNION ALL"
            " SELECT txn, account, amount FROM main.entries) JOIN txns ON txns.id = txn JOIN accounts ON"
            " accounts.id = account WHERE name = 'credits.issued' AND customer = ? AND key LIKE 'grant:incl%'",
            (who,),
        ).fetchone()[0]

    def _journals(self):
        stored = shelf.archived(self.data)
        return list(journals.verify_journals(self.data, self.books.state.journals, None, stored))

    def _rebuilds(self):
        super()._rebuilds()
        assert [
            each for each in audit.audit(self.data).violations if "no effect" not in each and "hold" not in each
        ] == []
        assert list(archiving.differences(self.data)) == []


class TestArchivedBooks(ArchivedBooksMachine.TestCase):
    settings = settings(QUICK, max_examples=8, stateful_step_count=30)


@pytest.mark.full
@pytest.mark.timeout(1800)
class TestArchivedBooksAtLength(ArchivedBooksMachine.TestCase):
    settings = settings(QUICK, max_examples=300, stateful_step_count=60)
