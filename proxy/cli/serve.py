"""`penstock serve`: the server. This process is the keeper; workers and simulator are its children."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import click

import proxy
from proxy import settings as configuration
from proxy.cli.frame import USAGE, common, fail, load
from proxy.settings import Settings, startup_errors

SANDBOX_CONFIG = "sandbox.yaml"
PREDECESSOR_S = 10.0
"""How long a start waits for workers of a keeper that died: they close within five seconds."""


@click.command()
@click.option("--or-sandbox", is_flag=True, help="Without any provider key, serve the sandbox instead of failing.")
@common
def serve(or_sandbox: bool, config: Path, as_json: bool) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    del as_json
    settings = load(config)
    if or_sandbox and not settings.servable:
        config = config.with_name(SANDBOX_CONFIG)
        click.echo(f"No provider key is set: serving {config}, whose answers come from the simulator.", err=True)
        settings = load(config)
    for sentence in startup_errors(settings):
        fail(sentence, USAGE)
    import uvloop

    uvloop.run(_serve(settings, config))


async def _serve(settings: Settings, config: Path) -> None:
    from proxy.keeper.office import Lock, LockHeld

    try:
        lock = Lock(settings.server.data_dir)
        lock.acquire(0)
    except LockHeld:
        fail(f"another server keeps {settings.server.data_dir}; stop it or choose another PENSTOCK_DATA_DIR", USAGE)
    except OSError as error:
        fail(f"cannot write to the data folder {settings.server.data_dir}: {error.strerror}", USAGE)
    try:
        await _keep(settings, config)
    finally:
        lock.release()


async def _keep(settings: Settings, config: Path) -> None:
    from margin.ledger.books import journal_dir
    from proxy.keeper import sandbox
    from proxy.keeper.office import Office, dead_journals
    from proxy.keeper.server import KeeperServer, Sockets

    server = settings.server
    sockets = Sockets(_bind(server.host, server.port, "PORT"), _bind(server.host, server.metrics_port, "METRICS_PORT"))
    folder = journal_dir(server.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    dead = dead_journals(folder, wait_s=PREDECESSOR_S)
    office = Office(settings)
    simulator: subprocess.Popen[bytes] | None = None
    url: str | None = None
    try:
        recovered = office.recover(dead)
        if recovered:
            click.echo(f"{recovered} exchanges that an earlier process left open were settled or voided.", err=True)
        argv = [sys.executable, "-m", "proxy.app", "--config", str(config)]
        if settings.wants_simulator:
            simulator, url = await sandbox.start_simulator(server.data_dir)
            argv += ["--simulator-url", url]
        key = _write_sandbox(settings, office, sockets) if settings.sandbox is not None else None
        load_again = partial(configuration.load, config, environ=os.environ, simulator_url=url)
        keeper = KeeperServer(office, sockets, argv, load_again)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, keeper.stop)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, keeper.ask_reload)
        await keeper.run(lambda: _banner(settings, sockets, key))
        if keeper.failure is not None:
            raise keeper.failure
    except sandbox.SimulatorFailed as error:
        fail(str(error), USAGE)
    finally:
        office.close()
        if simulator is not None:
            _end(simulator)


def _bind(host: str, port: int, variable: str) -> socket.socket:
    from proxy.keeper.workers import listen

    try:
        return listen(host, port)
    except OSError as error:
        fail(f"cannot listen on {host}:{port}: {error.strerror}; choose another with {variable}=", USAGE)


def _write_sandbox(settings: Settings, office: object, sockets: object) -> str:
    from proxy.keeper import sandbox
    from proxy.keeper.office import Office
    from proxy.keeper.server import Sockets

    assert isinstance(office, Office)
    assert isinstance(sockets, Sockets)
    _, key = sandbox.write_env(office, _base_url(settings, sockets.api))
    return key


def _base_url(settings: Settings, listener: socket.socket) -> str:
    host = settings.server.host
    return f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{listener.getsockname()[1]}/v1"  # noqa: S104


def _banner(settings: Settings, sockets: object, key: str | None) -> None:
    from proxy.keeper.server import Sockets

    assert isinstance(sockets, Sockets)
    metrics = sockets.metrics.getsockname()
    click.echo(f"Penstock {proxy.__version__} serves {settings.path} ({settings.version})")
    click.echo(f"  base URL   {_base_url(settings, sockets.api)}")
    if key is not None:
        env = settings.server.data_dir / "sandbox.env"
        click.echo(f"  API key    {key}")
        click.echo(f"             both are in {os.path.relpath(env)}: source it, and any OpenAI SDK works")
    click.echo(f"  metrics    http://{metrics[0]}:{metrics[1]}/metrics")
    click.echo(f"  data       {settings.server.data_dir}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(2)
        return
    process.kill()
