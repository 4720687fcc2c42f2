"""The living keeper: starts workers, feeds the ledger from their journals, lends credits, answers commands.

One loop, one thread: nothing here races. Folding works in batches of some 30 ms, so a lease request never waits longer
behind one. The keeper is the last to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from margin.ledger import ahead, questions
from margin.ledger.books import BATCH_RECORDS_MAX
from margin.ledger.refold import Progress
from margin.ledger.store import LedgerBusy
from proxy import heap
from proxy import settings as configuration
from proxy.keeper import working
from proxy.keeper.alerting import Alerting
from proxy.keeper.auditor import Auditor, known
from proxy.keeper.budgets import Budgets
from proxy.keeper.claims import VERDICTS
from proxy.keeper.commands import perform
from proxy.keeper.control import SOCKET_NAME, peer, socket_address
from proxy.keeper.crew import Crew
from proxy.keeper.forgetting import forget_some
from proxy.keeper.frames import LINE_BYTES_MAX, Frames, Message
from proxy.keeper.guarding import Guarding
from proxy.keeper.listener import MetricsListener
from proxy.keeper.office import TICK_GRACE_NS, Office
from proxy.keeper.reload import Watcher
from proxy.keeper.runaway import Runaway
from proxy.keeper.standing import Standings
from proxy.keeper.studies import STUDIES
from proxy.keeper.studying import Studying
from proxy.keeper.webhooks import Webhooks
from proxy.settings import Settings, SettingsError
from proxy.telemetry.metrics import Books, Metrics, Reconciled
from proxy.telemetry.routed import NUSD

log = logging.getLogger("penstock")

LOOK_S = 1.0
"""How often tasks are looked at that are idle, or whose window has passed: a task is idle for minutes."""

WATCH_S = 1.0
"""How often the configuration's files are looked at."""
FOLD_S = 0.1
"""The ledger lags the journals by this and the folding itself; the promise is a quarter of a second."""
LEDGER_LOCK_S = 0.02
"""What a commit waits for another process's lock before it is deferred: the loop must answer workers meanwhile."""
TICK_S = 60.0
"""Fees accrue at least this often; reads accrue them too."""


class StartFailed(Exception):
    """The server cannot start; the text is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """The bound ports."""

    api: socket.socket
    metrics: socket.socket


class KeeperServer:
    """Everything that runs in the keeper's process."""

    def __init__(
        self,
        office: Office,
        sockets: Sockets,
        worker_argv: list[str],
        load: Callable[[], Settings],
        stopping: asyncio.Event,
    ) -> None:
        self.office, self._sockets, self._load = office, sockets, load
        self.settings = settings = office.settings
        self._watcher = Watcher(settings.path)
        self._crew = Crew(office, worker_argv, sockets.api, self._start)
        self._auditor = Auditor(settings.server.data_dir, partial(known, office))
        self._studying = Studying(office, stopping)
        self._stopping = stopping
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticked_s = 0.0
        self._looked_s = 0.0
        self._is_deferred = False
        self._budgets, self._runaway, self._guarding = Budgets(office), Runaway(office), Guarding(office)
        self._alerting = Alerting(office, Webhooks(office))
        self._crew.guarded = lambda: [*self._guarding.told(), *self._alerting.told()]
        self.metrics = Metrics(
            Books(
                self._totals,
                self._credits,
                self._gauges,
                self._baseline,
                self._reconciled,
                self._claims,
                self._budgets_by_band,
                self._crew.resting,
                lambda: self._budgets.spread().left,
                lambda: self._budgets.spread().least,
                self._guarding,
                lambda: questions.task_totals(office.books.store.db),
                Standings(office),
                self._alerting,
            )
        )
        office.on_record = self.metrics.observed.settled
        office.foreign = {}  # from here on one that is laid into the folder ends no service
        self._crew.on_refused = self.metrics.refused
        self._crew.on_meant = self.metrics.meant
        self._crew.on_stored = self.metrics.stored
        self._listener = MetricsListener(self._render)
        self.failure: BaseException | None = None
        """What ended the server, when it was not asked to end."""

    # ---- life -------------------------------------------------------------------------------------------------------

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until `stopping` is set; then end the workers, fold what they wrote, and return."""
        self.office.books.store.wait(LEDGER_LOCK_S)
        self.office.directory.wait(LEDGER_LOCK_S)
        control = await self._open_control()
        await self._listener.open(self._sockets.metrics)
        heap.settle()
        self._crew.begin()
        self._start(self._feed(), "feed")
        self._start(self._watch(), "watch")
        self._start(self._alerting.webhooks.run(), "webhooks")
        self._start(self._auditor.run(), "audit")
        try:
            await self._wait_ready()
            if not self._stopping.is_set():
                on_ready()
            await self._stopping.wait()
        finally:
            await self._end(control)

    def ask_reload(self) -> None:
        """Read the configuration again, soon."""
        self._watcher.ask()

    def _start(self, work: Any, name: str) -> None:
        task = asyncio.ensure_future(work)
        task.set_name(name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and self.failure is None:
            # The books must not go on without one of their parts: end in order, and say why.
            self.failure = task.exception()
            self._stopping.set()

    async def _wait_ready(self) -> None:
        up = asyncio.ensure_future(self._crew.all_up.wait())
        stop = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({up, stop}, return_when=asyncio.FIRST_COMPLETED)
        for each in (up, stop):
            each.cancel()

    async def _end(self, control: asyncio.Server) -> None:
        self._stopping.set()
        control.close()
        await self._crew.end()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.close()
        with contextlib.suppress(FileNotFoundError):
            (self.settings.server.data_dir / SOCKET_NAME).unlink()

    # ---- the configuration ------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            if self._watcher.is_due():
                await self.reload()

    async def reload(self) -> bool:
        """Read the configuration again and swap it in everywhere; on any problem the old one keeps serving.

        Exchanges in flight keep the version they began with.
        """
        try:
            new = self._load()
        except SettingsError as error:
            return self._keep_old(str(error))
        fixed = configuration.fixed_changes(self.settings, new)
        if fixed:
            return self._keep_old("; ".join(fixed))
        changes = configuration.difference(self.settings, new)
        if new.version == self.settings.version and not changes:  # a secret that was replaced is in no version
            self.metrics.reloaded(ok=True)
            return True
        log.warning("configuration %s → %s, %d changes", self.settings.version, new.version, len(changes))
        try:
            self.office.adopt(new, changes)
        except LedgerBusy as error:
            self._watcher.ask()  # again, until it can be written down
            return self._keep_old(str(error))
        self.settings = new
        taken = await self._crew.reload(new.version)
        await self._crew.announce()
        self.metrics.reloaded(ok=taken)
        return taken

    def _keep_old(self, why: str) -> bool:
        log.error("the configuration was not reloaded and %s keeps serving: %s", self.settings.version, why)
        self.metrics.reloaded(ok=False)
        return False

    # ---- the ledger -------------------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        while True:
            # Each batch costs two syncs and a commit, whatever its size: only a full one is followed at once.
            is_behind = self._fold_some() >= BATCH_RECORDS_MAX
            await self._crew.announce()
            await asyncio.sleep(0 if is_behind else FOLD_S)
            with contextlib.suppress(LedgerBusy):  # the next turn tries again
                self._tick_if_due()
                self._look_at_spending()

    def _look_at_spending(self) -> None:
        """Tell of budgets that are spent and costs that run away, and guard margins, whoever reads metrics."""
        self._budgets.tell()  # looks every few seconds at most
        if self._runaway.is_due:
            self._runaway.look()
        self._guarding.look_if_due()
        self._alerting.look_if_due()

    def _fold_some(self) -> int:
        with contextlib.suppress(LedgerBusy):
            self.office.try_again()
        folded = 0
        with contextlib.suppress(LedgerBusy):
            folded = self.office.fold_some()
        why = self.office.books.deferred_why
        if why is not None and not self._is_deferred:
            log.error("the ledger cannot be written and lags behind the journals, nothing is lost: %s", why)
        elif why is None and self._is_deferred:
            log.warning("the ledger is written again")
        self._is_deferred = why is not None
        return folded

    def _tick_if_due(self) -> None:
        forget_some(self.office)
        now_s = time.monotonic()
        if now_s - self._looked_s > LOOK_S:
            self._looked_s = now_s
            working.look(self.office)
        ending = self.office.books.state.ending
        is_ending = bool(ending) and ending[0][0] <= time.time_ns() - TICK_GRACE_NS
        if is_ending or now_s - self._ticked_s > TICK_S:
            self._ticked_s = now_s
            self.office.tick()
            self.office.reap()

    # ---- commands ---------------------------------------------------------------------------------------------------

    async def _open_control(self) -> asyncio.Server:
        path = self.settings.server.data_dir / SOCKET_NAME
        path.unlink(missing_ok=True)  # we hold the lock: whoever left it is dead
        address, folder = socket_address(self.settings.server.data_dir)
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            previous = os.umask(0o177)
            try:
                line.bind(address)
            finally:
                os.umask(previous)
        finally:
            os.close(folder)
        return await asyncio.start_unix_server(self._converse, sock=line, limit=LINE_BYTES_MAX)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = Frames(reader, writer)
        async for message in frames.receive():
            frames.send(await self._perform(message, peer(writer), frames))
            break
        await frames.close()

    async def _perform(self, message: Message, by: str, frames: Frames) -> Message:
        try:
            if message["command"] == "ledger.verify":
                with contextlib.suppress(LedgerBusy):  # what is proved is what is stored
                    self.office.tick()
                return {"result": await self._verify(message, frames)}
            if message["command"] in STUDIES:
                return await self._studying.perform(message["command"], message["args"], _heard(message, frames))
            answer = perform(self.office, message["command"], message["args"], by=by)
        except Exception:
            # A bug in one command must not take the keeper, or leave who asked without a word.
            log.exception("the command %s failed", message["command"])
            return {"failed": "the server failed at this command; its log says why"}
        await self._crew.announce()
        return answer

    async def _verify(self, message: Message, frames: Frames) -> Any:
        return await self._auditor.verify(_heard(message, frames))

    # ---- metrics ----------------------------------------------------------------------------------------------------

    def _render(self) -> bytes:
        with contextlib.suppress(LedgerBusy):  # `penstock_ledger_lag_seconds` says so
            self.office.fold_all()
        return self.metrics.render()

    def _totals(self, labels: tuple[str, ...], sums: tuple[str, ...]) -> list[tuple[Any, ...]]:
        return questions.totals(self.office.books.store.db, labels, sums)

    def _credits(self) -> dict[str, int]:
        return questions.credit_totals(self.office.books.store.db)

    def _baseline(self) -> str:
        return self.settings.routing.baseline

    def _reconciled(self) -> list[Reconciled]:
        return [
            Reconciled(
                each.account, each.t / 1e9, None if each.explained_ppb is None else each.explained_ppb / 1e9,
                None if each.difference_nusd is None else each.difference_nusd / NUSD, each.differences,
            )
            for each in questions.last_reconciled(self.office.books.store.db)
        ]  # fmt: skip

    def _claims(self) -> dict[str, int]:
        return {verdict: self._crew.claims.verdicts[verdict] for verdict in VERDICTS}

    def _budgets_by_band(self) -> dict[tuple[str, str, str], int]:
        return self._budgets.spread().counts

    def _gauges(self) -> dict[str, float]:
        state = self.office.books.state
        return {
            "penstock_reservations_open": len(state.holds),
            "penstock_reserved_credits": sum(hold.held_milli for hold in state.holds.values()) / 1000,
            "penstock_reservations_stale": len(self.office.stale_holds(time.time_ns())),
            "penstock_reservations_reaped": self.office.reaped,
            "penstock_credits_overdraft": questions.overdraft_milli(self.office.books.store.db) / 1000,
            "penstock_credits_owed": sum(each.owed_milli for each in state.customers.values()) / 1000,
            "penstock_ledger_lag_seconds": self.office.lag_s(),
            "penstock_idempotency_answers": len(self._crew.claims),
            "penstock_idempotency_answer_bytes": self._crew.claims.bytes,
            "penstock_conversations": len(self._crew.conversations),
            "penstock_conversation_bytes": self._crew.conversations.bytes,
            "penstock_journals_broken": self._crew.broken + self.office.books.journal.is_broken,
            "penstock_journals_foreign": len(self.office.foreign or ()),
            "penstock_budget_overshoot_usd": self._budgets.spread().overshot_nusd / NUSD,
            "penstock_runaways": self._runaway.count,
            "penstock_workers": self._crew.answering,
            "penstock_ledger_refolded": len(ahead.kept(self.office.settings.server.data_dir)),
            "penstock_ledger_refused_records": questions.refused_records(self.office.books.store.db),
        } | self._auditor.gauges()


def _heard(message: Message, frames: Frames) -> Progress | None:
    """Return what tells the progress to whoever asked for it."""
    if not message["args"].get("progress"):
        return None
    return lambda what, count: frames.send({"progress": [what, count]})
