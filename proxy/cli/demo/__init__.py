"""`penstock demo`: the sandbox, live traffic from several customers, and what it earns while you watch."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from proxy.cli.frame import USAGE, console, fail, load, print_json, shared_options
from proxy.cli.reports import margin_table
from proxy.cli.serve import SANDBOX_CONFIG

if TYPE_CHECKING:
    from proxy.cli.demo.closing import Closing


@click.command()
@click.option(
    "--duration", "duration_s", metavar="SECONDS", type=click.FloatRange(1, 86_400), default=60, show_default=True,
    envvar="DURATION", show_envvar=True, help="How long traffic is sent; Ctrl-C ends it earlier.",
)  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="Another number, other requests at other times.")
@shared_options
def demo(duration_s: float, seed: int, config: Path, as_json: bool) -> None:
    """Watch a minute of live traffic from six customers, and what each of them earns.

    Starts the server with the sandbox's configuration beside --config, sends requests with the real `openai` client
    and ends with the margin table. No provider is called and nothing is spent: a simulator answers. The books go to
    a temporary folder unless PENSTOCK_DATA_DIR names one.
    """
    _require_openai()
    from proxy.cli.demo.house import HouseFell
    from proxy.cli.demo.play import Show, play

    out = Console(highlight=False, stderr=True) if as_json else console()
    with _data_dir() as data_dir:
        show = Show(_sandbox(config), data_dir, duration_s, seed, out)
        try:
            closing = asyncio.run(play(show))
        except HouseFell as error:
            fail(str(error), error.code)
    _print(closing, seed, as_json=as_json)


def _require_openai() -> None:
    try:
        import openai  # noqa: F401
    except ImportError:
        fail("the demo needs the openai client, which is not installed; `make setup` installs it", USAGE)


@contextlib.contextmanager
def _data_dir() -> Iterator[Path]:
    """Yield the folder for the books: the one that was named, else one that is gone afterwards."""
    named = os.environ.get("PENSTOCK_DATA_DIR")
    if named:
        yield Path(named)
        return
    with tempfile.TemporaryDirectory(prefix="penstock-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _sandbox(config: Path) -> Path:
    """Return the configuration to serve: this one if it only knows the simulator, else the sandbox beside it."""
    found = load(config, quiet=True)
    enabled = [each for each in found.providers.values() if each.enabled]
    return config if enabled and all(each.simulated for each in enabled) else config.with_name(SANDBOX_CONFIG)


def _print(closing: Closing, seed: int, *, as_json: bool) -> None:
    from proxy.cli.demo.closing import document, sentences

    if as_json:
        print_json(document(closing, seed))
        return
    out = console()
    out.print(margin_table(dict(closing.figures.report)))
    out.print()
    for sentence in sentences(closing):
        out.print(sentence)
    if not os.environ.get("PENSTOCK_DATA_DIR"):
        out.print("These books are gone with their temporary folder; PENSTOCK_DATA_DIR=FOLDER keeps them.", style="dim")
