"""`penstock keys`: API keys of customers, and what each allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from proxy.cli.frame import USAGE, console, fail, keeper, print_json, shared_options
from proxy.cli.key_files import read_keys
from proxy.identity import SURFACES

ANY = "any"
"""Takes a bound away; `never` does for an expiry."""
TABLE_COLUMNS = 132

RATES = {
    "tpd": "Tokens within any 24 hours.", "rpd": "Requests within any 24 hours.",
    "tpm": "Tokens within any minute.", "rpm": "Requests within any minute.",
}  # fmt: skip

Command = Callable[..., Any]


def _terms(command: Command) -> Command:
    """Give a command the options that say what a key allows; each may be given more than once, or with commas."""
    for option in (
        click.option("--metadata", "metadata", multiple=True, metavar="NAME=VALUE", help="A note for operators."),
        click.option("--budget", "budget", multiple=True, help="US dollars of cost, as 5/day, 100/month or 20/7d."),
        click.option("--concurrency", help="Requests open at once."),
        *(click.option(f"--{name}", help=text) for name, text in RATES.items()),
        click.option("--ips", "ips", multiple=True, metavar="NETWORK", help="Where requests may come from."),
        click.option("--surfaces", "surfaces", multiple=True, help=f"{', '.join(SURFACES)}; all without it."),
        click.option("--tiers", "tiers", multiple=True, help="Tiers that may serve; all without it."),
        click.option("--models", "models", multiple=True, help="Models that may be called; all without it."),
        click.option("--expires", help="When it ends: 30d, 12h, or a moment such as 2026-12-31T00:00:00Z."),
        click.option("--scope", "scopes", multiple=True, help="serve, attribute, outcomes, costs, see-cost, admin."),
    ):
        command = option(command)
    return command


@click.group()
def keys() -> None:
    """Create, list, change, rotate, revoke and import API keys."""


@keys.command()
@click.option("--customer", required=True, help="Who pays; opened on the default plan at first use.")
@_terms
@shared_options
def create(customer: str, config: Path, as_json: bool, **stated: Any) -> None:
    """Create a key, with the scope `serve` unless said otherwise. It is shown once: only its digest is stored."""
    asked = {"scopes": ["serve"], **_asked(stated)}
    made = keeper(config, "keys.create", {"customer": customer, **asked})
    _show_secret(made, as_json=as_json)


@keys.command("list")
@click.option("--customer", help="Only this customer's.")
@shared_options
def list_(customer: str | None, config: Path, as_json: bool) -> None:
    """List all keys, without their secrets."""
    found = keeper(config, "keys.list", {"customer": customer})
    if as_json:
        print_json(found)
        return
    table = Table("id", "customer", "scopes", "created", "ends", "allows", box=None, pad_edge=False)
    for key in found:
        ends = f"revoked {key['revoked']}" if key["revoked"] else key["expires"] or ""
        table.add_row(key["id"], key["customer"], " ".join(key["scopes"]), key["created"], ends, _bounds(key))
    shown = console()
    shown.width = max(shown.width, TABLE_COLUMNS)
    shown.print(table)


@keys.command()
@click.argument("id_", metavar="ID")
@_terms
@shared_options
def change(id_: str, config: Path, as_json: bool, **stated: Any) -> None:
    """Change what a key allows. What is not stated stays; `any` (`--expires never`) takes a bound away."""
    asked = _asked(stated)
    if not asked:
        fail("say what is to change; see --help", USAGE)
    made = keeper(config, "keys.change", {"id": id_, **asked})
    if as_json:
        print_json(made)
    else:
        click.echo(f"key {id_}: {_summary(made)}")


@keys.command()
@click.argument("id_", metavar="ID")
@shared_options
def pause(id_: str, config: Path, as_json: bool) -> None:
    """Have a key serve nothing until it is resumed: its next request gets 403."""
    _switch(id_, config, as_json=as_json, paused=True)


@keys.command()
@click.argument("id_", metavar="ID")
@shared_options
def resume(id_: str, config: Path, as_json: bool) -> None:
    """Let a paused key serve again."""
    _switch(id_, config, as_json=as_json, paused=None)


def _switch(id_: str, config: Path, *, as_json: bool, paused: bool | None) -> None:
    made = keeper(config, "keys.change", {"id": id_, "paused": paused})
    if as_json:
        print_json(made)
    else:
        click.echo(f"key {id_} {'is paused' if paused else 'serves again'}")


@keys.command()
@click.argument("id_", metavar="ID")
@click.option("--overlap", default="1h", show_default=True, help="How long the old key still works.")
@click.option("--expires", help="When the new key ends; without it, when the old one would have.")
@shared_options
def rotate(id_: str, overlap: str, expires: str | None, config: Path, as_json: bool) -> None:
    """Make a new key like another one, which ends after the overlap. The new one is shown once."""
    made = keeper(config, "keys.rotate", {"id": id_, "overlap": overlap, "expires": expires})
    _show_secret(made, as_json=as_json)
    if not as_json:
        click.echo(f"key {id_} ends {made['old_expires']}", err=True)


@keys.command()
@click.argument("id_", metavar="ID")
@shared_options
def revoke(id_: str, config: Path, as_json: bool) -> None:
    """Revoke a key by its id (see `penstock keys list`). The next request with it is refused, its streams are cut."""
    done = keeper(config, "keys.revoke", {"id": id_})
    if as_json:
        print_json(done)
    else:
        click.echo(f"key {id_} is revoked")


@keys.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@shared_options
def import_(file: Path, config: Path, as_json: bool) -> None:
    """Take over the keys in FILE (JSON lines or CSV), so that apps keep theirs: all, or with any mistake none."""
    made = keeper(config, "keys.import", {"keys": read_keys(file)})
    if as_json:
        print_json(made)
    else:
        click.echo(f"{len(made)} keys were imported")


def _asked(stated: dict[str, Any]) -> dict[str, Any]:
    """Return what was stated, as the keeper is asked: lists, null for no bound."""
    asked: dict[str, Any] = {}
    for name in ("scopes", "models", "tiers", "surfaces", "ips"):
        words = [word.strip() for each in stated[name] for word in each.split(",")]
        if words:
            asked[name] = None if words == [ANY] and name != "scopes" else words
    for name in (*RATES, "concurrency"):
        if stated[name] is not None:
            asked[name] = None if stated[name] == ANY else _whole(name, stated[name])
    if stated["budget"]:
        asked["budget"] = None if stated["budget"] == (ANY,) else list(stated["budget"])
    if stated["expires"] is not None:
        asked["expires"] = None if stated["expires"] == "never" else stated["expires"]
    if stated["metadata"]:
        asked["metadata"] = dict(_pair(each) for each in stated["metadata"])
    return asked


def _whole(name: str, text: str) -> int:
    if not text.isdecimal():
        fail(f"--{name} takes a whole number, not {text}", USAGE)
    return int(text)


def _pair(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not equals:
        fail(f"{text}: write --metadata NAME=VALUE; NAME= takes a note away", USAGE)
    return name, value or None


def _show_secret(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    click.echo(made["key"])
    click.echo(f"key {made['id']} for {made['customer']}; {_summary(made)}. It is not shown again.", err=True)


def _summary(key: dict[str, Any]) -> str:
    bounds, ends = _bounds(key), key["expires"]
    parts = [f"scopes: {', '.join(key['scopes'])}", *([bounds] if bounds else []), *([f"ends {ends}"] if ends else [])]
    return "; ".join(parts)


def _bounds(key: dict[str, Any]) -> str:
    lists = [f"{name}: {', '.join(key[name])}" for name in ("models", "tiers", "surfaces", "ips") if key[name]]
    lists += [f"{name}: {key[name]:,}" for name in (*RATES, "concurrency") if key[name] is not None]
    lists += ["paused"] if key["paused"] else []
    lists += [f"budget: {', '.join(_budget(each) for each in key['budget'])}"] if key["budget"] else []
    return "; ".join(lists + [f"{name}={value}" for name, value in key["metadata"].items()])


def _budget(shown: str | dict[str, str]) -> str:
    return shown if isinstance(shown, str) else f"{shown['limit']} of {shown['of']}, {shown['action']}"
