"""The keeper's process from its first step to its last: lock, ports, what a predecessor left, simulator, server.

Everything that can go wrong at the start is one sentence (`StartFailed`), and leaves nothing half-started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from margin.journal import JournalCorrupt
from margin.ledger.capacity import NoRoom
from margin.ledger.heads import HeadsError
from margin.ledger.journals import journal_dir
from proxy import settings as configuration
from proxy.keeper import sandbox
from proxy.keeper.lock import Lock, LockHeld, dead_journals, is_kept
from proxy.keeper.office import Office
from proxy.keeper.server import KeeperServer, Sockets, StartFailed
from proxy.keeper.workers import listen
from proxy.settings import Settings

PREDECESSOR_S = 10.0
"""How long a start waits for workers of a keeper that died: they close within five seconds."""
EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True)
class Launch:
    """How to read the configuration, here and in every worker: the same file with the same words from outside."""

    config: Path
    local_model: str | None = None
    simulator_url: str | None = None

    def load(self) -> Settings:
        """Read the configuration; raises `SettingsError`."""
        return configuration.load(
            self.config, environ=os.environ, simulator_url=self.simulator_url, local_model=self.local_model
        )

    def worker_argv(self) -> list[str]:
        """Return the command that starts a worker."""
        argv = [sys.executable, "-P", "-m", "proxy.app", "--config", str(self.config)]
        if self.simulator_url is not None:
            argv += ["--simulator-url", self.simulator_url]
        if self.local_model is not None:
            argv += ["--local-model", self.local_model]
        return argv


@dataclass(frozen=True, slots=True)
class Started:
    """What an operator wants to know of a server that is ready. `key`: of a sandbox, beside `env_file`."""

    settings: Settings
    base_url: str
    metrics_url: str
    key: str | None
    env_file: Path | None


async def keep(
    settings: Settings, launch: Launch, on_ready: Callable[[Started], None], on_note: Callable[[str], None]
) -> None:
    """Serve until told to stop.

    Raises:
        StartFailed: it could not start; the text is for the operator.
    """
    os.umask(0o077)  # journals, ledger and names are for this account alone
    stopping = _stop_at_signals()
    with ExitStack() as stack:
        # A folder that nobody kept yet is made when the ports are ours, so that one in use leaves nothing behind.
        sockets = None if is_kept(settings.server.data_dir) else _sockets(settings, stack)
        stack.enter_context(_locked(settings))
        # First, as a predecessor's workers may still hold the ports; in a thread, as a signal must be heard meanwhile.
        dead = await asyncio.to_thread(dead_journals, _journals(settings), wait_s=PREDECESSOR_S)
        if sockets is None:
            sockets = _sockets(settings, stack)
        office = stack.enter_context(contextlib.closing(_office(settings)))
        recovered = _recovered(office, dead)
        if recovered:
            on_note(f"{recovered} exchanges that an earlier process left open were settled or voided.")
        if settings.sandbox is None and sandbox.revoke_key(office):
            on_note("This folder was a sandbox's: its key is revoked, so that play does not spend real money.")
        for plan, count in office.unknown_plans().items():
            on_note(f'The sell book has no plan "{plan}": {count} customers on it are on the default plan meanwhile.')
        async with _simulated(settings, launch) as complete:
            await _serve(office, sockets, complete, stopping, on_ready)


def _stop_at_signals() -> asyncio.Event:
    """Return an event that SIGTERM and Ctrl-C set: from the first step on, so that an early one is not lost."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


async def _serve(
    office: Office, sockets: Sockets, launch: Launch, stopping: asyncio.Event, on_ready: Callable[[Started], None]
) -> None:
    started = _started(office, sockets)
    server = KeeperServer(office, sockets, launch.worker_argv(), launch.load, stopping)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, server.ask_reload)
    await server.run(partial(on_ready, started))
    if server.failure is not None:
        raise server.failure


def _started(office: Office, sockets: Sockets) -> Started:
    settings = office.settings
    host, port = sockets.api.getsockname()[:2]
    base_url = f"http://{_url_host(host)}:{port}/v1"
    metrics_host, metrics_port = sockets.metrics.getsockname()[:2]
    metrics_url = f"http://{_url_host(metrics_host)}:{metrics_port}/metrics"
    if settings.sandbox is None:
        return Started(settings, base_url, metrics_url, None, None)
    # Written before anybody can see readiness.
    env_file, key = sandbox.write_env(office, base_url)
    return Started(settings, base_url, metrics_url, key, env_file)


def _url_host(host: str) -> str:
    if host in EVERYWHERE:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    folder = settings.server.data_dir
    try:
        lock = Lock(folder)
        lock.acquire(0)
    except LockHeld:
        raise StartFailed(f"another server keeps {folder}; stop it, or choose another PENSTOCK_DATA_DIR") from None
    except OSError as error:
        raise StartFailed(f"cannot write to the data folder {folder}: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def _sockets(settings: Settings, stack: ExitStack) -> Sockets:
    server = settings.server
    bound = []
    for port, variable in ((server.port, "PORT"), (server.metrics_port, "METRICS_PORT")):
        try:
            bound.append(stack.enter_context(contextlib.closing(listen(server.host, port))))
        except OSError as error:
            where = f"{server.host}:{port}"
            raise StartFailed(f"cannot listen on {where}: {error.strerror}; choose another with {variable}=") from None
    return Sockets(*bound)


def _journals(settings: Settings) -> Path:
    folder = journal_dir(settings.server.data_dir)
    with _readable():
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _office(settings: Settings) -> Office:
    with _readable():
        return Office(settings, serving=True)


def _recovered(office: Office, dead: set[str]) -> int:
    with _readable():
        return office.recover(dead)


@contextmanager
def _readable() -> Iterator[None]:
    """Turn what the files of an earlier process, or the lack of them, may come to into a sentence."""
    try:
        yield
    except JournalCorrupt as error:
        raise StartFailed(f"a journal was altered or damaged: {error}; nothing was changed") from None
    except (HeadsError, NoRoom) as error:
        raise StartFailed(str(error)) from None
    except OSError as error:
        raise StartFailed(f"cannot use the data folder: {error.filename}: {error.strerror}") from None


@asynccontextmanager
async def _simulated(settings: Settings, launch: Launch) -> AsyncIterator[Launch]:
    """Run the simulator while the block runs, if the configuration wants it; it is the last to end."""
    if not settings.wants_simulator:
        yield launch
        return
    simulator = sandbox.Simulator(settings.server.data_dir)
    try:
        url = await simulator.start()
    except sandbox.SimulatorFailed as error:
        raise StartFailed(str(error)) from None
    watch = asyncio.ensure_future(simulator.keep())
    try:
        yield replace(launch, simulator_url=url)
    finally:
        watch.cancel()
        simulator.end()
