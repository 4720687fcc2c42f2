"""`penstock keys`: API keys of customers."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from proxy.cli.frame import console, keeper, print_json, shared_options


@click.group()
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command()
@click.option("--customer", required=True, help="Who pays; opened on the default plan at first use.")
@click.option("--scope", "scopes", multiple=True, help="serve (default), attribute, outcomes, costs, see-cost, admin.")
@shared_options
def create(customer: str, scopes: tuple[str, ...], config: Path, as_json: bool) -> None:
    """Create a key. It is shown once: only its digest is stored."""
    made = keeper(config, "keys.create", {"customer": customer, "scopes": list(scopes) or ["serve"]})
    if as_json:
        print_json(made)
        return
    click.echo(made["key"])
    click.echo(
        f"key {made['id']} for {customer}; scopes: {', '.join(made['scopes'])}. It is not shown again.", err=True
    )


@keys.command("list")
@shared_options
def list_(config: Path, as_json: bool) -> None:
    """List all keys, without their secrets."""
    found = keeper(config, "keys.list", {})
    if as_json:
        print_json(found)
        return
    table = Table("id", "customer", "scopes", "created", "revoked", box=None, pad_edge=False)
    for key in found:
        table.add_row(key["id"], key["customer"], " ".join(key["scopes"]), key["created"], key["revoked"] or "")
    console().print(table)


@keys.command()
@click.argument("id_", metavar="ID")
@shared_options
def revoke(id_: str, config: Path, as_json: bool) -> None:
    """Revoke a key by its id (see `penstock keys list`). The next request with it is refused."""
    done = keeper(config, "keys.revoke", {"id": id_})
    if as_json:
        print_json(done)
    else:
        click.echo(f"key {id_} is revoked")
