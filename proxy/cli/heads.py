"""`penstock ledger heads`: where the journals' chains stood, to be kept elsewhere; and what `verify --heads` proves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import orjson
from rich.table import Table

from proxy.cli.frame import SAYS_NO, USAGE, console, fail, keeper, load, print_json, shared_options

HMAC_SHOWN = 16
"""Digits of an HMAC in the table: enough to tell two apart. JSON and exports have all of it."""


@click.command()
@click.option("--export", "into", type=click.Path(path_type=Path), help="Copy them to this file, which must be new.")
@shared_options
def heads(into: Path | None, config: Path, as_json: bool) -> None:
    """Note where the chain of each journal stands now, and show or export all notes, each signed by HMAC."""
    from margin.ledger import heads as noted

    if into is not None and into.exists():
        fail(f"{into} is there already, and may say what today's does not any more", USAGE)
    keeper(config, "ledger.heads", {})
    path = load(config, quiet=True).server.data_dir / noted.FILE_NAME
    with _readable():
        notes = noted.read(path)
        if into is not None:
            _export(path, into)
    if as_json:
        print_json({"notes": [orjson.loads(each.payload) | {"hmac": each.hmac} for each in notes]})
    elif into is None:
        console().print(_table(notes))
    else:
        click.echo(f"{into} has {len(notes):,} notes. Keep it where this machine cannot write.")


def _export(path: Path, into: Path) -> None:
    descriptor = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(path.read_bytes())
        file.flush()
        os.fsync(descriptor)


def _table(notes: list[Any]) -> Table:
    from proxy.keeper.words import iso

    table = Table(title="heads", box=None, pad_edge=False, title_justify="left")
    for name in ("noted", "journals", "key", "hmac"):
        table.add_column(name, justify="right" if name == "journals" else "left")
    for each in notes:
        table.add_row(iso(each.t), f"{len(each.heads):,}", each.key, each.hmac[:HMAC_SHOWN])
    return table


def unproved(config: Path, exported: Path) -> list[str]:
    """Return, in words, which heads of a file the folder's journals do not contain any more."""
    from margin.ledger import heads as noted
    from proxy.keeper.noting import key_path

    settings = load(config, quiet=True)
    with _readable():
        key = noted.key_of(key_path(settings), make=False)
        return list(noted.unproved(settings.server.data_dir, exported, key))


@contextmanager
def _readable() -> Iterator[None]:
    """End the command with a sentence where the heads or their key cannot be read."""
    from margin.ledger.heads import HeadsError

    try:
        yield
    except HeadsError as error:
        fail(str(error), SAYS_NO)
    except OSError as error:
        fail(f"cannot use {error.filename}: {error.strerror}", USAGE)
