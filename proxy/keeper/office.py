"""The keeper's work, without sockets or processes: customers, keys, grants, folding, recovery.

Whoever holds the folder's lock may open an office. Every change is journalled, applied and committed; `take_changes`
returns what workers must hear of.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import proxy
from margin import records
from margin.journal import Position
from margin.ledger import capacity, journals, trail
from margin.ledger.books import Books
from margin.ledger.grants import PRIORITY
from margin.ledger.journals import JournalForeign
from margin.ledger.leaps import Leap, Leaps, stale
from margin.ledger.refold import Progress, silent
from margin.ledger.state import Key
from margin.ledger.store import LedgerBusy
from margin.money import usd_to_nusd
from margin.sellbook import SellBook
from proxy import settings as configuration
from proxy.keeper import forgetting, pricing, recovery, terms
from proxy.keeper.directory import Directory, DirectoryLost
from proxy.keeper.lending import Lending
from proxy.keeper.noting import Noting
from proxy.keeper.prompts import Prompts
from proxy.settings import Changed, Settings

log = logging.getLogger("penstock")

NS = 1_000_000_000
TICK_GRACE_NS = NS
"""A tick stands a second in the past: what a worker journalled before that moment has been folded by then."""
REAP_AFTER_NS = 30 * NS
"""Past its deadline an exchange is left alone this long: its worker's last record may be on its way."""

Change = dict[str, Any]


class UnknownName(Exception):
    """No customer, key or plan of that name; the text says which."""


class Office:
    """Everything the keeper does to the books."""

    def __init__(self, settings: Settings, *, serving: bool = False) -> None:
        """Open the books. Only a server adopts its configuration's plans and opens a sandbox's customers.

        A command goes by the terms in the books: it may have been given another configuration by mistake.
        """
        self.settings = settings
        data_dir = settings.server.data_dir
        data_dir.mkdir(parents=True, exist_ok=True)
        self.books = Books(data_dir, version=proxy.__version__)
        if self.books.set_aside is not None:
            log.warning("the journals lost records that the ledger had folded (%s): the books go on without them, and "
                        "what they were is in %s", self.books.refolded_why, self.books.set_aside)  # fmt: skip
        self.directory = Directory(data_dir / "directory.sqlite")
        self._check_directory()
        self.lending = Lending()
        self.noting = Noting(self.books)
        self.prompts = Prompts()
        self.progress: Progress = silent
        """Hears how far a command is that takes long."""
        self.foreign: dict[str, str] | None = None
        """Journals of another folder that lie in this one, with why they are not folded; None: one is an error."""
        self.on_record: Callable[[dict[str, Any]], None] = lambda _: None
        """Called for each record of a worker as it is folded: what metrics are made of."""
        self.acting = trail.KEEPER
        """Who asks for what is being done: an account of this machine, a key, or the keeper itself."""
        self._changes: list[Change] = []
        self._leaps = Leaps(time.time_ns(), time.monotonic_ns())
        self.reaped = 0
        """Holds closed because their deadline had passed."""
        self._finished: set[str] = set()
        self._enforcing: set[str] = set()
        """Versions of plans that spend from leases: what a hold's worker went by, also around a reload."""
        self._last_number = max([0, *self.directory.numbers(), *self.books.state.customers])
        is_new = not self.books.state.sellbook_version
        if serving:
            self._note_configuration(settings)
        if serving or is_new:
            self._adopt_sellbook(settings.sellbook)
            pricing.keep(self.books, settings)
            self._open_sandbox_customers()
        if serving:
            self.noting.note(settings)

    def _check_directory(self) -> None:
        try:
            self.directory.check(self.books.state.customers)
        except DirectoryLost:
            self.close()
            raise

    def close(self) -> None:
        """Commit and close."""
        try:
            self.books.close()
        finally:
            self.directory.close()

    def take_changes(self) -> list[Change]:
        """Return the changes made since the last call, for the workers."""
        taken, self._changes = self._changes, []
        return taken

    # ---- customers, keys, grants ------------------------------------------------------------------------------------

    def adopt(self, settings: Settings, changes: Sequence[Changed]) -> None:
        """Go on under another configuration; who changed what from what to what is journalled."""
        diff = [[each.path, each.before, each.after] for each in changes]
        before = self.settings.version
        self.act(records.configured(t=time.time_ns(), version=settings.version, before=before, diff=diff))
        self._adopt_sellbook(settings.sellbook)
        pricing.keep(self.books, settings)
        self.settings = settings
        # Whoever is on a plan that is gone goes by the default one until it is moved; its worker must know.
        gone = [each.number for each in self.books.state.customers.values() if each.plan not in settings.sellbook.plans]
        self._changes += [self._customer_change(number) for number in gone]

    def _note_configuration(self, settings: Settings) -> None:
        """Journal what changed while nobody served; at the first start, everything."""
        state = self.books.state
        changed = configuration.difference_of(state.configuration, configuration.effective(settings))
        if changed or state.configuration_version != settings.version:
            before = state.configuration_version or None
            diff = [[each.path, each.before, each.after] for each in changed]
            self.act(records.configured(t=time.time_ns(), version=settings.version, before=before, diff=diff))

    def _adopt_sellbook(self, book: SellBook) -> None:
        self._enforcing |= {plan.version for plan in book.plans.values() if plan.credits.enforce == "hard"}
        if self.books.state.sellbook_version == book.version:
            return
        self.fold_all()
        plans = terms.written(book)
        self.act(records.sellbook(t=time.time_ns(), version=book.version, default=book.default, plans=plans))

    def _open_sandbox_customers(self) -> None:
        sandbox = self.settings.sandbox
        if sandbox is None:
            return
        for name, wanted in sandbox.customers.items():
            number = self.open_customer(name, wanted.plan)
            # A name of its own, so that a start that was cut short grants at the next, and no start grants twice.
            id_, milli = f"sandbox_{number}", int(wanted.grant_credits * 1000)
            if milli and not self.books.store.has_txn(f"grant:{id_}"):
                self.grant(name, milli, paid_nusd=usd_to_nusd(wanted.paid_usd), expires_t=None, id_=id_)

    def act(self, *done: dict[str, Any]) -> None:
        """Journal records in the name of whoever acts, and store them together."""
        for record in done:
            self.books.record(record | {"by": self.acting})
        self.books.commit()

    def tell(self, *changes: Change) -> None:
        """Have the workers told of changes."""
        self._changes += changes

    def open_customer(self, name: str, plan: str | None = None) -> int:
        """Return a customer's number, opening it on `plan` (default: the sell book's) at first use.

        Raises:
            UnknownName: no such plan.
        """
        self.open_customers([name], plan)
        number = self.directory.number(name)
        assert number is not None, "it was opened"
        return number

    def open_customers(self, names: Iterable[str], plan: str | None = None) -> None:
        """Open those of the customers that are not known yet.

        Raises:
            UnknownName: no such plan.
        """
        wanted = self.settings.sellbook.default if plan is None else plan
        self._check_plan(wanted)
        new = [name for name in dict.fromkeys(names) if not self.is_customer(name)]
        if not new:
            return
        # Names first: a crash in between leaves numbers nobody used, never a customer without a name.
        unnamed = [name for name in new if self.directory.number(name) is None]
        if unnamed:
            self.directory.add_all(dict(enumerate(unnamed, start=self._last_number + 1)))
            self._last_number += len(unnamed)
        numbers = [found for name in new if (found := self.directory.number(name)) is not None]
        self.act(*(records.customer(t=time.time_ns(), customer=number, plan=wanted) for number in numbers))
        self._changes += [self._customer_change(number) for number in numbers]

    def move_customer(self, name: str, plan: str) -> None:
        """Put a customer on another plan, from now on."""
        self._check_plan(plan)
        number = self.number(name)
        self.fold_all()
        self.act(records.moved(t=time.time_ns(), customer=number, plan=plan))
        self._changes.append(self._customer_change(number))

    def _check_plan(self, plan: str) -> None:
        plans = self.settings.sellbook.plans
        if plan not in plans:
            raise UnknownName(f'there is no plan "{plan}"; plans are: {", ".join(sorted(plans))}')
        if plan not in self.books.state.plans:
            # A command that names a plan the books do not have yet means its configuration.
            self._adopt_sellbook(self.settings.sellbook)

    def number(self, name: str) -> int:
        """Return a known customer's number.

        Raises:
            UnknownName: it is not known.
        """
        found = self.directory.number(name)
        if found is None or not self.is_customer(name):
            raise UnknownName(f'there is no customer "{name}"')
        return found

    def is_customer(self, name: str) -> bool:
        """Tell whether a name is known to the directory and the books: a crash may leave it in the first only."""
        return self.directory.number(name) in self.books.state.customers

    def unknown_plans(self) -> dict[str, int]:
        """Return the plans that customers are on and the sell book does not have, with how many customers."""
        plans = Counter(each.plan for each in self.books.state.customers.values())
        return {plan: count for plan, count in plans.items() if plan not in self.settings.sellbook.plans}

    def grant(
        self, customer: str, credits_milli: int, *, paid_nusd: int, expires_t: int | None, id_: str | None = None,
        priority: int = PRIORITY,
    ) -> str:  # fmt: skip
        """Give credits; return the grant's id, a random one unless stated. A customer that is not known is opened.

        Raises:
            NoRoom: it is more than the books can count.
        """
        capacity.check_grant(self.books.store.db, credits_milli, paid_nusd)
        number = self.open_customer(customer)
        id_ = f"grant_{os.urandom(6).hex()}" if id_ is None else id_
        self.act(
            records.grant(
                t=time.time_ns(), id=id_, customer=number, credits_milli=credits_milli, paid_nusd=paid_nusd,
                expires_t=expires_t, priority=priority,
            )
        )  # fmt: skip
        self._changes.append({"granted": number})
        return id_

    def correct(self, corrections: Iterable[dict[str, Any]], customers: Iterable[int] = ()) -> None:
        """Journal corrections and store them at once; workers hear of customers whose credits changed."""
        for record in corrections:
            self.books.record(record)
        self.books.commit()
        self._changes += [{"granted": number} for number in customers]

    def _customer_change(self, number: int) -> Change:
        return {
            "customer": number,
            "name": self.directory.name(number),
            # Of a plan that the sell book no longer has, the terms are the default's, here as in the ledger.
            "plan": self.books.state.terms(self.books.state.customers[number]).name,
        }

    def everything(self) -> list[Change]:
        """Return all customers, and all keys that were not revoked, as changes: what a new worker must know."""
        state = self.books.state
        found = [self._customer_change(number) for number in state.customers]
        live = [key for key in state.keys.values() if key.revoked_t is None]
        return found + [key_change(key) for key in live]

    # ---- folding ----------------------------------------------------------------------------------------------------

    def fold_all(self) -> int:
        """Fold everything the workers have journalled; return how many records that were.

        Raises:
            LedgerBusy: the ledger cannot be written now, so that not everything is folded and stored.
        """
        folded = 0
        for path in self._unfolded():
            while count := self._fold_batch(path):
                folded += count
        self._check_stored()
        return folded

    def _check_stored(self) -> None:
        if self.books.deferred_why is not None:
            raise LedgerBusy(self.books.deferred_why)

    def try_again(self) -> None:
        """Store what was deferred, if anything was.

        Raises:
            LedgerBusy: the ledger still cannot be written.
        """
        if self.books.deferred_why is not None:
            self.books.commit()
            self._check_stored()

    def fold_some(self) -> int:
        """Fold at most one batch of each journal, so that the loop is not held up."""
        return sum(self._fold_batch(path) for path in self._unfolded())

    def _unfolded(self) -> list[Path]:
        known, foreign, done = self.books.state.journals, self.foreign or {}, self._finished
        paths = journals.worker_journals(self.books.folder)
        for name in foreign.keys() - {path.name for path in paths}:
            del foreign[name]  # it was taken away again
        mine = (path for path in paths if path.name not in done and path.name not in foreign)
        return [path for path in mine if path.stat().st_size > known.get(path.name, Position()).offset]

    def _fold_batch(self, path: Path) -> int:
        try:
            folded = self.books.fold_worker(path)
        except JournalForeign as error:
            if self.foreign is None:
                raise
            self.foreign[path.name] = str(error)
            log.error("a journal is left alone: %s", error)  # noqa: TRY400 - the sentence says it all
            return 0
        name, enforcing, on_record = path.name, self._enforcing, self.on_record
        for record in folded:
            self.lending.observe(name, record, enforced=record.get("pv") in enforcing)  # of what begins an exchange
            on_record(record)
        if folded:
            self.books.commit()
        # Who owes has nothing to spend: leases on it come back, and the next request asks here.
        self._changes += [{"granted": number} for number in sorted(self.books.state.owing)]
        self.books.state.owing.clear()
        return len(folded)

    def tick(self) -> None:
        """Let time pass in the books: fees accrue, grants end.

        Raises:
            LedgerBusy: the ledger cannot be written now.
        """
        now = time.time_ns()
        self.fold_all()
        self.act(records.tick(t=now - TICK_GRACE_NS))
        self._check_stored()
        self.noting.note_if_due(self.settings)
        forgetting.forget_some(self)

    def is_grant_due(self, number: int) -> bool:
        """Tell whether a new period's included credits are still to be given, which the next tick does."""
        return self.books.state.is_grant_due(number, time.time_ns())

    def recover(self, journals: set[str]) -> int:
        """Close what the dead workers behind `journals` left open; return how many exchanges that were."""
        self.fold_all()
        orphans = [hold for hold in self.books.state.holds.values() if hold.journal in journals]
        for hold in orphans:
            self.books.record(recovery.close(hold, time.time_ns()))
        for name in journals:
            self.lending.forget(name)
            self._finished.add(name)
        self.books.commit()
        return len(orphans)

    def reap(self) -> int:
        """Close holds past their deadline, which a living worker lost track of; return how many."""
        self.fold_all()  # what a worker has closed itself is no longer open
        stale = self.stale_holds(time.time_ns() - REAP_AFTER_NS)
        for x in stale:
            self.books.record(recovery.close(self.books.state.holds[x], time.time_ns()))
        self.books.commit()
        self.reaped += len(stale)
        return len(stale)

    def lag_s(self) -> float:
        """Return how long the oldest journalled record has waited to be folded and stored; 0 when none waits."""
        waiting = [path.stat().st_mtime for path in self._unfolded()]
        # A file's time is that of its last record: while nothing is folded, the first has waited longer.
        return max(time.time() - min(waiting) if waiting else 0, self.books.deferred_s)

    def stale_holds(self, t: int) -> list[str]:
        """Return open holds past their deadline: a bug, or a worker that hangs."""
        return stale(self.books.state.holds.values(), t, self.leaps())

    def leaps(self) -> list[Leap]:
        """Return when the clock was set forward, and how far, since this office was opened."""
        self._leaps.note(time.time_ns(), time.monotonic_ns())
        return self._leaps.seen


def key_change(key: Key) -> Change:
    """Return what workers must know of a key."""
    return {"key": key.id, "digest": key.digest, "customer": key.customer, "scopes": list(key.scopes),
            "terms": key.terms}  # fmt: skip
