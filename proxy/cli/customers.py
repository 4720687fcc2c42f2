"""`penstock customers`: who pays, on which plan."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from proxy.cli.frame import USAGE, console, fail, keeper, print_json, shared_options


@click.group()
def customers() -> None:
    """Open customers, list them, move them between plans."""


@customers.command()
@click.argument("customer")
@click.option("--plan", help="A plan of the sell book; its default plan unless said otherwise.")
@shared_options
def create(customer: str, plan: str | None, config: Path, as_json: bool) -> None:
    """Open a customer on a plan."""
    made = keeper(config, "customers.create", {"customer": customer, "plan": plan})
    print_json(made) if as_json else click.echo(f"{customer} is on the plan {made['plan']}")


@customers.command()
@click.argument("customer")
@click.argument("plan")
@shared_options
def move(customer: str, plan: str, config: Path, as_json: bool) -> None:
    """Put a customer on another plan, from now on."""
    made = keeper(config, "customers.move", {"customer": customer, "plan": plan})
    print_json(made) if as_json else click.echo(f"{customer} is on the plan {made['plan']} from now on")


@customers.command()
@click.argument("customer")
@click.argument("count", type=int)
@shared_options
def seats(customer: str, count: int, config: Path, as_json: bool) -> None:
    """Give a customer so many seats, from now on."""
    made = keeper(config, "customers.seats", {"customer": customer, "seats": count})
    print_json(made) if as_json else click.echo(f"{customer} has {made['seats']:,} seats from now on")


@customers.command()
@click.argument("customer")
@click.option("--segment", help="The group it is in, such as smb; an empty text takes it out again.")
@click.option("--persona", help="Who uses it there, such as developer; an empty text takes it off again.")
@shared_options
def describe(customer: str, segment: str | None, persona: str | None, config: Path, as_json: bool) -> None:
    """Say what segment a customer is in and who uses it there, for reports; it changes no charge."""
    if segment is None and persona is None:
        fail("say --segment or --persona", USAGE)
    made = keeper(config, "customers.describe", {"customer": customer, "segment": segment, "persona": persona})
    if as_json:
        print_json(made)
        return
    click.echo(f"{customer}: segment {made['segment'] or 'none'}, persona {made['persona'] or 'none'}")


@customers.command()
@click.argument("customer")
@click.argument("item")
@click.argument("count", type=int, default=1)
@click.option(
    "--id", "id_", required=True, help="A name of the delivery: it is charged once, however often it is told."
)
@shared_options
def deliver(customer: str, item: str, count: int, id_: str, config: Path, as_json: bool) -> None:
    """Charge a customer for an item of its plan: a milestone, a deliverable."""
    made = keeper(config, "customers.deliver", {"customer": customer, "item": item, "count": count, "id": id_})
    if as_json:
        print_json(made)
        return
    click.echo(f"{item} × {count:,} for {customer}" if made["booked"] else f"{id_} was charged before; nothing changes")


@customers.command("list")
@shared_options
def list_(config: Path, as_json: bool) -> None:
    """List customers with their plans."""
    found = keeper(config, "customers.list", {})
    if as_json:
        print_json(found)
        return
    table = Table("customer", "plan", "since", "segment", "persona", box=None, pad_edge=False)
    for each in found:
        table.add_row(each["customer"], each["plan"], each["since"], each["segment"], each["persona"])
    console().print(table)
