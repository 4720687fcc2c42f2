"""What every command shares: its options, its way to the keeper, and how results and errors are shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
import orjson
from rich.console import Console

import proxy
from proxy import settings as configuration
from proxy.settings import Settings, SettingsError

SAYS_NO, USAGE, NOT_REACHABLE = 1, 2, 3
DEFAULT_CONFIG = "configs/penstock.yaml"
PACKAGED_CONFIG = Path(proxy.__file__).with_name("configs") / "penstock.yaml"
"""The same file where Penstock was installed from its wheel; a checkout has none there."""


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--config` and `--json`."""
    command = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else.")(
        command
    )
    config = click.option(
        "--config", "config", type=click.Path(path_type=Path), default=_default_config,
        show_default=DEFAULT_CONFIG, help="The configuration file; where there is none, the package's.",
    )  # fmt: skip
    return config(command)


def _default_config() -> Path:
    """Return the configuration of the working directory; without one, the package's."""
    own = Path(DEFAULT_CONFIG)
    return own if own.exists() or not PACKAGED_CONFIG.exists() else PACKAGED_CONFIG


def load(config: Path, *, simulator_url: str | None = None, quiet: bool = False) -> Settings:
    """Load the configuration; its warnings go to stderr, its errors end the command."""
    try:
        found = configuration.load(config, environ=os.environ, simulator_url=simulator_url)
    except SettingsError as error:
        fail(str(error), USAGE)
    if not quiet:
        for warning in found.warnings:
            click.echo(f"warning: {warning}", err=True)
    return found


def keeper(config: Path, command: str, args: dict[str, Any], progress: Callable[[str, int], None] | None = None) -> Any:
    """Have the keeper perform a command: the running server's, or here under the lock."""
    from margin.journal import JournalBroken, JournalCorrupt
    from margin.ledger.store import LedgerBusy, LedgerFormat
    from proxy.keeper.control import NotReachable, ask

    found = load(config, quiet=True)
    try:
        answer = ask(found, command, args) if progress is None else ask(found, command, args, progress)
    except NotReachable as error:
        fail(str(error), NOT_REACHABLE)
    except LedgerBusy as error:
        fail(f"the ledger cannot be written now: {error}", NOT_REACHABLE)
    except (LedgerFormat, JournalCorrupt, JournalBroken) as error:
        fail(f"the books cannot be read or written: {error}", SAYS_NO)
    except OSError as error:
        fail(f"cannot use the data folder {found.server.data_dir}: {error.strerror}", USAGE)
    if "failed" in answer:
        fail(answer["failed"], NOT_REACHABLE)
    if "refused" in answer:
        fail(answer["refused"], USAGE)
    return answer["result"]


def fail(sentence: str, code: int) -> NoReturn:
    """End the command with a sentence on stderr."""
    click.echo(sentence if sentence.startswith("error") else f"error: {sentence}", err=True)
    sys.exit(code)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def console() -> Console:
    """Return where tables go; plain text when it is no terminal."""
    return Console(highlight=False)
