"""`penstock ledger reverse`: what was booked is put right by further entries; none is ever changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from margin.money import format_usd
from proxy.cli.frame import keeper, print_json, shared_options


@click.command()
@click.argument("charge_id")
@click.option("--why", required=True, metavar="TEXT", help="The reason, kept with the correction.")
@shared_options
def reverse(charge_id: str, why: str, config: Path, as_json: bool) -> None:
    """Take the charge CHARGE_ID back: credits return to the grants they came from, revenue too; our cost stays."""
    found = keeper(config, "ledger.reverse", {"id": charge_id, "why": why})
    print_json(found) if as_json else click.echo(_reversal(found))


def _reversal(found: dict[str, Any]) -> str:
    expired = sum(each["credits"] for each in found["grants"] if each["expired"])
    said = f"{found['customer']} has {found['credits']:,} credits back; revenue {format_usd(found['revenue_nusd'])}"
    return said + (f"; {expired:,} of the credits had ended and came back expired" if expired else "")
