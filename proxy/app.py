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
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import uvicorn

import proxy
from margin import records
from margin.journal import Journal, JournalBroken
from margin.ledger.books import journal_dir
from proxy import settings as configuration
from proxy.api import routes
from proxy.api.accept import Acceptor
from proxy.api.hot import Receive, Scope, Send, chat_completions
from proxy.identity import Identity
from proxy.keeper.link import KeeperLink
from proxy.settings import Settings, SettingsError
from proxy.upstream.client import Upstream
from proxy.upstream.transport import PoolLimits, Transport
from proxy.world import World

log = logging.getLogger("penstock")

HOT_PATH = "/v1/chat/completions"
REPORT_S = 0.5
"""How often refusals are reported to the keeper."""
DRAIN_AT_END_S = 1.0
"""What streams whose caller left get when the process ends; they were drained up to here already."""
CUT_BEFORE_S = 1
"""Streams still running this long before the grace ends are cut, so that their error event gets out."""
ORPHANED_S = 4
"""A worker without a keeper closes within five seconds."""

App = Callable[[Scope, Receive, Send], Awaitable[None]]


def build(world: World, is_ready: Callable[[], bool]) -> App:
    """Return the ASGI app: hot routes are dispatched before the framework, everything else is the framework's."""
    framework = routes.build(world, is_ready)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == HOT_PATH and scope["method"] == "POST":
            await chat_completions(world, scope, receive, send)
        else:
            await framework(scope, receive, send)

    return app


def open_journal(settings: Settings) -> Journal:
    """Open this incarnation's journal."""
    folder = journal_dir(settings.server.data_dir)
    journal = Journal(folder / f"worker-{time.time_ns():020d}-{secrets.token_hex(3)}.journal")
    journal.append(records.opened(t=time.time_ns(), role="worker", version=proxy.__version__))
    return journal


class WorkerServer(uvicorn.Server):
    """uvicorn without its signal handling and its accepting; it ends when `stop` is called."""

    acceptors: list[Acceptor]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to us."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start with acceptors of our own."""
        await super().startup([])
        self.acceptors = [Acceptor(each, self._protocol) for each in sockets or []]

    def _protocol(self) -> asyncio.Protocol:
        protocol_class = self.config.http_protocol_class
        assert not isinstance(protocol_class, str)
        return protocol_class(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)  # type: ignore[call-arg]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, then end as uvicorn does."""
        for each in self.acceptors:
            each.close()
        await super().shutdown(sockets)

    def stop(self) -> None:
        """Stop accepting and let open requests finish."""
        self.should_exit = True


def server_config(world: World, is_ready: Callable[[], bool]) -> uvicorn.Config:
    """Return how the server serves this world."""
    return uvicorn.Config(
        build(world, is_ready), loop="uvloop", http="httptools", lifespan="off", access_log=False,
        log_level="warning", server_header=False, timeout_keep_alive=75, backlog=4096, ws="none",
        proxy_headers=False, timeout_graceful_shutdown=int(world.settings.server.shutdown_s),
    )  # fmt: skip


class WorkerProcess:
    """One worker: its world, its line to the keeper, its server."""

    def __init__(self, load: Callable[[], Settings], link: KeeperLink, identity: Identity) -> None:
        self.link, self._load = link, load
        link.on_reload = self.reload
        settings = load()
        journal = open_journal(settings)
        upstream = Upstream(Transport(limits=PoolLimits(idle_per_origin_max=512)))
        self.world = World(settings, identity, link.wallets, journal, upstream, link)
        config = server_config(self.world, self.is_ready)
        self.config = config
        self.server = WorkerServer(config)

    def reload(self) -> str:
        """Read the configuration again; return the version that serves now. Exchanges in flight keep theirs."""
        try:
            self.world.adopt(self._load())
        except SettingsError:
            # The file changed again since the keeper read it; the keeper will look again.
            log.warning("the configuration changed while it was read")
        return self.world.settings.version

    def is_ready(self) -> bool:
        """Whether this worker, the keeper and its metrics answer, and the journal can be written."""
        return self.link.is_ready and not self.world.is_closing and not self.world.journal.is_broken

    def stop(self) -> None:
        """Refuse new exchanges, finish open ones; streams that take too long end with an error event."""
        if self.world.is_closing:
            return
        self.world.is_closing = True
        grace = self.config.timeout_graceful_shutdown
        assert grace is not None
        asyncio.get_running_loop().call_later(max(grace - CUT_BEFORE_S, 0), self._cut_streams)
        self.server.stop()

    def _cut_streams(self) -> None:
        for relay in list(self.world.relays):
            relay.cut()

    def orphaned(self) -> None:
        """The keeper is gone: stop, and sooner."""
        self.config.timeout_graceful_shutdown = ORPHANED_S
        self.stop()

    async def run(self, listener: socket.socket) -> None:
        """Serve until `stop`, then settle what is open and leave."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the keeper reads it, and tells us
        chores = [
            asyncio.ensure_future(each) for each in (self.link.listen(self.orphaned), self._sync(), self._report())
        ]
        self.link.hello(self.world.journal.path.name)
        await self.server.serve(sockets=[listener])
        await self.world.tasks.finish(DRAIN_AT_END_S)
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        await self.world.upstream.close()
        self.link.report(self.world.refusals)
        self.world.journal.close()
        await self.link.close()

    async def _sync(self) -> None:
        """Bring the journal to the disk by timer: what the machine's death can take."""
        interval_s = self.world.settings.server.sync_interval_ms / 1000
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(interval_s)
            with contextlib.suppress(JournalBroken):  # readiness shows it, and every hold is refused
                await loop.run_in_executor(None, self.world.journal.sync)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            refusals, self.world.refusals = self.world.refusals, {}
            self.link.report(refusals)


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
