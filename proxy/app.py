"""Wires one worker: settings → parts → routes → the server. The only place that knows every part.

Run by the keeper as ``python -m proxy.app --config … --keeper-fd … --listen-fd …``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import proxy
from margin import records
from margin.journal import Journal, JournalBroken, has_room
from margin.ledger.journals import folder_id, journal_dir
from proxy import heap, staying
from proxy import settings as configuration
from proxy.api import routes
from proxy.api.framework import FrameworkTurn
from proxy.api.hot import HOT, ExchangeTurn
from proxy.caching.stores import opening
from proxy.identity import Identity
from proxy.keeper.link import KeeperLink
from proxy.limits.bundles import Bundles
from proxy.server.serving import Server
from proxy.server.turn import Head, Turn
from proxy.settings import AnswerStore, Settings, SettingsError
from proxy.upstream.client import Upstream
from proxy.upstream.transport import PoolLimits, Transport
from proxy.wire.errors import ProxyError
from proxy.world import World

log = logging.getLogger("penstock")

REPORT_S = 0.5
"""How often refusals are reported to the keeper."""
DRAIN_AT_END_S = 1.0
"""What streams whose caller left get when the process ends; they were drained up to here already."""
CUT_BEFORE_S = 1
"""Streams still running this long before the grace ends are cut, so that their error event gets out."""
SHARE_S = 0.02
"""How long changed conversations are collected before the other workers are told: less than most callers think."""
SWEEP_S = 2.0
"""How often streams are looked through for keys that have ended: 4,096 of them in under a millisecond."""
PROBE_S = 1.0
"""How often a full disk is asked whether it has room again."""
ORPHANED_S = 4
"""A worker without a keeper closes within five seconds."""


def build(world: World, why_unready: Callable[[], str | None], grace_s: float) -> Server:
    """Return the server: hot routes have a turn of their own, everything else is the framework's."""
    framework = routes.build(world, why_unready)

    def open_turn(head: Head) -> Turn:
        surface = HOT.get(head.target)
        if surface is None and b"?" in head.target:  # `?beta=true` of Anthropic's SDK: nothing of ours is in a query
            surface = HOT.get(head.target.partition(b"?")[0])
        if surface is not None and head.method == b"POST":
            return ExchangeTurn(world, head, surface)
        return FrameworkTurn(world, framework, head)

    def refuse(error: ProxyError) -> Turn:
        return FrameworkTurn(world, framework, Head(b"", b"", []), error)

    return Server(open_turn, refuse, grace_s)


def _answer_store(settings: Settings) -> AnswerStore | None:
    """Return where answers are to lie beside memory; None where none are kept."""
    return settings.caching.store if settings.caching.keeps_any else None


def open_journal(settings: Settings) -> Journal:
    """Open this incarnation's journal."""
    folder = journal_dir(settings.server.data_dir)
    journal = Journal(folder / f"worker-{time.time_ns():020d}-{secrets.token_hex(3)}.journal")
    journal.append(records.opened(t=time.time_ns(), role="worker", version=proxy.__version__, folder=folder_id(folder)))
    return journal


class WorkerProcess:
    """One worker: its world, its line to the keeper, its server."""

    def __init__(self, load: Callable[[], Settings], link: KeeperLink, identity: Identity) -> None:
        self.link, self._load = link, load
        link.on_reload = self.reload
        link.is_broken = lambda: self.world.journal.is_broken
        link.resting = lambda: self.world.vitals.resting(time.perf_counter())
        settings = load()
        settings.classifier.prepare()
        journal = open_journal(settings)
        upstream = Upstream(Transport(limits=PoolLimits(idle_per_origin_max=512)))
        self.world = World(settings, identity, link.wallets, journal, upstream, link, limits=Bundles(link.guard),
                           guarded=link.guarded, alerted=link.alerted)  # fmt: skip
        link.on_pins = lambda told: self.world.pins.learn(told, staying.most(self.world))
        if settings.server.workers > 1:
            self.world.pins.on_change = self._share_soon
        self.server = build(self.world, self.why_unready, settings.server.shutdown_s)

    def _share_soon(self) -> None:
        asyncio.get_running_loop().call_later(SHARE_S, lambda: self.link.tell_pins(self.world.pins.changes()))

    def reload(self) -> str:
        """Read the configuration again; return the version that serves now. Exchanges in flight keep theirs."""
        try:
            settings = self._load()
            settings.classifier.prepare()
            had = _answer_store(self.world.settings)
            self.world.adopt(settings)
            if _answer_store(settings) != had:
                self._open_answer_store()
        except SettingsError:
            # The file changed again since the keeper read it; the keeper will look again.
            log.warning("the configuration changed while it was read")
        return self.world.settings.version

    def _open_answer_store(self) -> None:
        """Keep answers where the configuration says; what was open is closed once its writes are through."""
        before, said = self.world.answer_store, _answer_store(self.world.settings)
        if before is not None:
            self.world.tasks.start(before.close(), "close the answer store")
        folder, secret = self.world.settings.server.data_dir, self.world.identity.member_secret
        self.world.answer_store = None if said is None else opening.opened(said, folder, secret)

    def why_unready(self) -> str | None:
        """Return what is wrong; None where worker, keeper and metrics answer and the journal can be written."""
        if self.world.is_closing:
            return "this worker is closing"
        if self.world.journal.is_broken:
            return "a journal cannot be written"
        return self.link.why_unready

    def stop(self) -> None:
        """Refuse new exchanges, finish open ones; streams that take too long end with an error event."""
        if self.world.is_closing:
            return
        self.world.is_closing = True
        self.link.told.set()  # nobody need wait for it any more
        asyncio.get_running_loop().call_later(max(self.server.grace_s - CUT_BEFORE_S, 0), self._cut_streams)
        self.server.stop()

    def _cut_streams(self) -> None:
        for relay in list(self.world.relays):
            relay.cut()

    def orphaned(self) -> None:
        """The keeper is gone: stop, and sooner."""
        self.server.grace_s = ORPHANED_S
        self.stop()

    async def run(self, listener: socket.socket) -> None:
        """Serve until `stop`, then settle what is open and leave."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the keeper reads it, and tells us
        chores = [
            asyncio.ensure_future(each)
            for each in (self.link.listen(self.orphaned), self._sync(), self._report(), self._sweep())
        ]
        await self.world.upstream.prepare(self.world.settings.providers.values())
        heap.settle()
        self.link.hello(self.world.journal.path.name)
        # Until we know the keys nobody may be refused for one: callers wait where the kernel queues them.
        await self.link.told.wait()
        self._open_answer_store()
        await self.server.serve(listener)
        await self.world.tasks.finish(DRAIN_AT_END_S)
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        await self.world.upstream.close()
        if self.world.answer_store is not None:
            await self.world.answer_store.close()
        self.link.report(self.world.refusals, self.world.counted())
        self.world.journal.close()
        await self.link.close()

    async def _sync(self) -> None:
        """Bring the journal to the disk by timer: what the machine's death can take."""
        interval_s = self.world.settings.server.sync_interval_ms / 1000
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(interval_s)
            if not self.world.journal.is_synced:  # a thread costs more than to look
                with contextlib.suppress(JournalBroken):
                    await loop.run_in_executor(None, self.world.journal.sync)
            if self.world.journal.is_broken and not self.world.is_closing:
                await self._outlast_disk_error(loop)

    async def _outlast_disk_error(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until the disk takes files again, then end: what is open here is closed as a dead worker's is.

        Until then this worker refuses every exchange with 503, and is not ready. Its successor opens its own journal.
        """
        log.error("%s is closed after a disk error; requests are refused", self.world.journal.path.name)
        while not await loop.run_in_executor(None, has_room, self.world.journal.path.parent):
            await asyncio.sleep(PROBE_S)
        log.warning("the disk takes files again; a new worker takes over with a new journal")
        self.stop()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            refusals, self.world.refusals = self.world.refusals, {}
            self.link.report(refusals, self.world.counted())
            self.link.give_back(self.world.limits.drop_idle())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.world.dismiss_ended()


async def work(load: Callable[[], Settings], keeper_fd: int, listen_fd: int) -> None:
    """Be a worker until told to stop."""
    identity = Identity()
    link = await KeeperLink.open(keeper_fd, identity)
    await WorkerProcess(load, link, identity).run(socket.socket(fileno=listen_fd))


def main() -> None:
    """Entry point of the worker process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--keeper-fd", type=int, required=True)
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--simulator-url")
    parser.add_argument("--local-model")
    given = parser.parse_args()
    load = partial(
        configuration.load, given.config, environ=os.environ, simulator_url=given.simulator_url,
        local_model=given.local_model,
    )  # fmt: skip
    import uvloop

    uvloop.run(work(load, given.keeper_fd, given.listen_fd))


if __name__ == "__main__":
    main()
