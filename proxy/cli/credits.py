"""`penstock credits`: what customers may spend."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click
from rich.table import Table

from margin.money import format_usd, usd_to_nusd
from proxy.cli.frame import USAGE, console, fail, keeper, print_json, shared_options

TABLE_COLUMNS = 132
"""What a row of grants takes; a narrower terminal wraps it rather than cutting amounts short."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.group()
def credits() -> None:  # noqa: A001 - the command's name
    """Give customers credits and see what they have."""


@credits.command()
@click.argument("customer")
@click.argument("amount")
@click.option("--expires", help="How long they last, such as 30d or 12h; without it they never end.")
@click.option("--paid", metavar="USD", help="What the customer paid; without it they are promotional and earn nothing.")
@click.option("--promotional", is_flag=True, help="Say that they are a gift; the same as no --paid.")
@click.option(
    "--priority", type=click.IntRange(0, 100), default=50, show_default=True,
    help="Lower burns first; credits that a fee includes have 10.",
)  # fmt: skip
@shared_options
def grant(
    customer: str,
    amount: str,
    expires: str | None,
    paid: str | None,
    promotional: bool,
    priority: int,
    config: Path,
    as_json: bool,
) -> None:
    """Give CUSTOMER an AMOUNT of credits."""
    if promotional and paid is not None:
        fail("--promotional contradicts --paid: what was paid for is no gift", USAGE)
    args = {
        "customer": customer,
        "credits_milli": _milli(amount),
        "expires_s": None if expires is None else _duration_s(expires),
        "paid_nusd": 0 if paid is None else _nusd(paid),
        "priority": priority,
    }
    made = keeper(config, "credits.grant", args)
    print_json(made) if as_json else click.echo(f"{customer} has {made['available']} credits available")


@credits.command("list")
@click.argument("customer")
@shared_options
def list_(customer: str, config: Path, as_json: bool) -> None:
    """List CUSTOMER's grants in the order in which they burn; then those that ended or are used up."""
    found = keeper(config, "credits.list", {"customer": customer})
    if as_json:
        print_json(found)
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("grant", no_wrap=True)
    for name in ("state", "priority", "paid", "expires"):
        table.add_column(name)
    for name in ("left", "held", "burnt", "expired", "basis"):
        table.add_column(name, justify="right")
    for row in found:
        paid = "promotional" if row["promotional"] else format_usd(row["paid_nusd"])
        amounts = [f"{row[name]:,}" for name in ("left", "held", "burnt", "expired")]
        ends = "never" if row["expires"] is None else row["expires"]
        table.add_row(
            row["grant"], row["state"], str(row["priority"]), paid, ends, *amounts, format_usd(row["basis_nusd"])
        )
    shown = console()
    shown.width = max(shown.width, TABLE_COLUMNS)
    shown.print(table)


@credits.command()
@click.argument("customer")
@shared_options
def balance(customer: str, config: Path, as_json: bool) -> None:
    """Show what a customer has: available, held, spent, expired."""
    found = keeper(config, "credits.balance", {"customer": customer})
    if as_json:
        print_json(found)
        return
    for name, amount in found.items():
        click.echo(f"{name:<10} {amount:>12,}")


def _milli(text: str) -> int:
    milli = _decimal(text, "credits") * 1000
    if milli != milli.to_integral_value():
        fail(f"{text} credits: the smallest part of a credit is 0.001", USAGE)
    return int(milli)


def _nusd(text: str) -> int:
    amount = _decimal(text.removeprefix("$"), "US dollars")
    if amount < 0:
        fail(f"{text}: what was paid cannot be negative", USAGE)
    return usd_to_nusd(amount)


def _decimal(text: str, unit: str) -> Decimal:
    try:
        value = Decimal(text.replace(",", "").replace("_", ""))
    except InvalidOperation:
        fail(f"{text} is no amount of {unit}", USAGE)
    if not value.is_finite() or abs(value) > 10**12:
        fail(f"{text} is no amount of {unit}", USAGE)
    return value


def _duration_s(text: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None or int(found[1]) == 0:
        fail(f"{text} is no duration; write it like 30d, 12h, 90m or 60s", USAGE)
    return int(found[1]) * _SECONDS[found[2]]
