"""`penstock plans`: what is sold, and how many customers are on it."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from proxy.cli.frame import console, keeper, print_json, shared_options


@click.group()
def plans() -> None:
    """See the plans of the sell book."""


@plans.command("list")
@shared_options
def list_(config: Path, as_json: bool) -> None:
    """List plans with their versions; --json has their terms."""
    found = keeper(config, "plans.list", {})
    if as_json:
        print_json(found)
        return
    table = Table("plan", "version", "customers", "description", box=None, pad_edge=False)
    for each in found:
        name = f"{each['plan']} (default)" if each["is_default"] else each["plan"]
        table.add_row(name, each["version"], f"{each['customers']:,}", each["description"])
    console().print(table)
