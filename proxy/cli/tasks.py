"""`penstock tasks`: pieces of work, what came of them, what they cost and are charged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from margin.ledger.task_lists import STATUSES
from margin.money import format_usd
from proxy.cli.frame import console, keeper, print_json, shared_options

ID_CHARS = 23
"""Of a task's id, which is what the other commands are asked with."""


@click.group()
def tasks() -> None:
    """See what customers' tasks cost and came to, and close them."""


@tasks.command("list")
@click.option("--customer", help="Only this customer's.")
@click.option("--status", type=click.Choice(STATUSES), default="all", show_default=True,
              help="Not closed yet; closed, and its outcome awaited; or any.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.option("--after", help="Go on behind this task.")
@shared_options
def list_(
    customer: str | None, status: str, limit: int, after: str | None, config: Path, as_json: bool
) -> None:  # fmt: skip
    """List tasks, those opened last first."""
    args = {"customer": customer, "status": status, "limit": limit, "after": after}
    found = keeper(config, "tasks.list", args)
    if as_json:
        print_json(found)
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("task", no_wrap=True, min_width=ID_CHARS)
    for name in ("customer", "type", "status", "outcome"):
        table.add_column(name)
    for name in ("calls", "cost", "charged"):
        table.add_column(name, justify="right")
    for each in found:
        table.add_row(each["id"], each["customer"], each["type"], _status(each), each["outcome"] or "",
                      f"{each['calls']:,}", _cost(each), format_usd(each["charged_nusd"]))  # fmt: skip
    console().print(table)


@tasks.command()
@click.argument("task")
@shared_options
def show(task: str, config: Path, as_json: bool) -> None:
    """Show a task: what it is charged by, its outcome, and what it cost."""
    found = keeper(config, "tasks.show", {"task": task})
    if as_json:
        print_json(found)
        return
    click.echo(
        f"{found['id']}: {found['type']} of {found['customer']} on {found['plan']}, charged by {found['charged_by']}"
    )
    click.echo(f"  opened {found['opened']}, {_status(found)}" + (f" {found['closed']}" if found["closed"] else ""))
    if found["outcome"]:
        due = f", assumed at {found['outcome_due']}" if found["outcome_due"] else ""
        click.echo(f"  outcome: {found['outcome']}{due}")
    click.echo(f"  {found['calls']:,} calls, {_cost(found)}; charged {format_usd(found['charged_nusd'])}")
    for kind, nusd in found["other_costs_nusd"].items():
        click.echo(f"  of which {kind}: {format_usd(nusd)}")
    if found["unearned_nusd"]:
        click.echo(f"  earned nothing: {format_usd(found['unearned_nusd'])} of cost")


@tasks.command()
@click.argument("task")
@click.option("--abandoned", is_flag=True, help="Given up: nothing is charged for it.")
@shared_options
def close(task: str, abandoned: bool, config: Path, as_json: bool) -> None:
    """Close a task: as done, which charges it or awaits its outcome, or as given up."""
    found = keeper(config, "tasks.end", {"task": task, "completed": not abandoned})
    if as_json:
        print_json(found)
        return
    after = f"; its outcome is {found['outcome']}" if found["outcome"] else ""
    click.echo(f"{task} is closed, charged {format_usd(found['charged_nusd'])}{after}")


def _status(task: dict[str, Any]) -> str:
    return f"closed ({task['closed_because']})" if task["closed"] else "open"


def _cost(task: dict[str, Any]) -> str:
    unknown = f" and {task['unpriced_calls']} calls of unknown cost" if task["unpriced_calls"] else ""
    return f"{format_usd(task['cost_nusd'])}{unknown}"
