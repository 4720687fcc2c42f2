"""`penstock report` and `ledger`: questions to the books."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from margin.money import format_usd
from proxy.cli.frame import SAYS_NO, USAGE, console, fail, keeper, print_json, shared_options


@click.group()
def report() -> None:
    """Reports from the ledger."""


@report.command()
@click.option("--since", help="First day to count, in UTC, such as 2026-11-01; everything without it.")
@shared_options
def margin(since: str | None, config: Path, as_json: bool) -> None:
    """Cost, revenue, margin and savings by customer; the biggest loss first."""
    if since is not None:
        check_day(since)
    found = keeper(config, "report.margin", {"since": since})
    if as_json:
        print_json(found)
        return
    console().print(margin_table(found))


def check_day(text: str) -> None:
    """End the command when a text is no day."""
    try:
        datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        fail(f"{text} is no day; write it like 2026-11-01", USAGE)


def margin_table(found: dict[str, Any]) -> Table:
    """Return the report as a table."""
    table = Table(title="margin", box=None, pad_edge=False, title_justify="left")
    table.add_column("customer")
    for name in ("requests", "cost", "revenue", "margin", "%", "savings"):
        table.add_column(name, justify="right")
    for row in found["customers"]:
        table.add_row(row["customer"], *_cells(row))
    table.add_section()
    table.add_row("total", *_cells(found["total"]), style="bold")
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    share = "n/a" if row["margin"] is None else f"{row['margin']:.1%}"
    amounts = [format_usd(row[f"{name}_nusd"]) for name in ("cost", "revenue", "margin")]
    return [f"{row['requests']:,}", *amounts, share, format_usd(row["savings_nusd"])]


@click.group()
def ledger() -> None:
    """The ledger itself."""


@ledger.command()
@shared_options
def verify(config: Path, as_json: bool) -> None:
    """Check the books against themselves and against the journals; exit 1 when anything is off."""
    found = keeper(config, "ledger.verify", {})
    if as_json:
        print_json(found)
    else:
        state = "The books are sound" if found["ok"] else "The books are NOT sound"
        click.echo(f"{state}: {found['transactions']:,} transactions, {found['open_holds']} open holds.")
        for violation in found["violations"]:
            click.echo(f"- {violation}")
    sys.exit(0 if found["ok"] else SAYS_NO)
