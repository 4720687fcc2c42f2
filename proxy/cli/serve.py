"""`penstock serve`: the server. This process is the keeper; workers and simulator are its children."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

import proxy
from proxy.cli.frame import SAYS_NO, USAGE, fail, load, shared_options
from proxy.settings import Settings, startup_errors

if TYPE_CHECKING:
    from proxy.keeper.process import Launch, Started

SANDBOX_CONFIG = "sandbox.yaml"


@click.command()
@click.option("--or-sandbox", is_flag=True, help="Without any provider key, serve the sandbox instead of failing.")
@shared_options
def serve(or_sandbox: bool, config: Path, as_json: bool) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    del as_json
    if or_sandbox and not load(config, quiet=True).servable:
        config = config.with_name(SANDBOX_CONFIG)
        click.echo(f"No provider key is set: serving {config}, whose answers come from the simulator.", err=True)
    settings, launch = _launch(config)
    for sentence in startup_errors(settings):
        fail(sentence, USAGE)
    _run(settings, launch)


def _launch(config: Path) -> tuple[Settings, Launch]:
    """Load the configuration, asking a local server for its model when one fills the tiers."""
    from proxy.keeper.process import Launch
    from proxy.upstream.models import NoModel, first_model

    settings = load(config)
    if settings.local_url is None:
        return settings, Launch(config)
    try:
        launch = Launch(config, local_model=first_model(settings.local_url))
    except NoModel as error:
        fail(str(error), USAGE)
    return launch.load(), launch


def _run(settings: Settings, launch: Launch) -> None:
    import uvloop

    from margin.journal import JournalBroken, JournalCorrupt
    from margin.ledger.store import LedgerBusy, LedgerFormat
    from proxy.keeper.process import keep
    from proxy.keeper.server import StartFailed

    try:
        uvloop.run(keep(settings, launch, _banner, lambda note: click.echo(note, err=True)))
    except (StartFailed, LedgerFormat) as error:
        fail(str(error), USAGE)
    except LedgerBusy as error:
        fail(f"the ledger cannot be written: {error}", USAGE)
    except JournalCorrupt as error:
        fail(f"a journal was altered or damaged: {error}; nothing was changed", SAYS_NO)
    except JournalBroken as error:
        fail(f"the books can no longer be written: {error}", SAYS_NO)


def _banner(started: Started) -> None:
    settings = started.settings
    click.echo(f"Penstock {proxy.__version__} serves {settings.path} ({settings.version})")
    click.echo(f"  base URL   {started.base_url}")
    if started.key is not None and started.env_file is not None:
        click.echo(f"  API key    {started.key}")
        click.echo(f"             both are in {os.path.relpath(started.env_file)}: source it, and any OpenAI SDK works")
    takes = "" if settings.server.page == "loopback" else " (takes a key of the scope admin)"
    click.echo(f"  page       {started.base_url.removesuffix('v1')}{takes}")
    click.echo(f"  metrics    {started.metrics_url}")
    click.echo(f"  data       {settings.server.data_dir}")
