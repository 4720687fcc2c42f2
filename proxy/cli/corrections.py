"""`penstock ledger reverse` and `rerate`: what was booked is put right by further entries; none is ever changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from margin.money import format_usd
from proxy.cli.books import check_day
from proxy.cli.frame import console, keeper, print_json, shared_options
from proxy.cli.progress import shown


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
    amount = f"{found['credits']:,} credit{'' if found['credits'] == 1 else 's'}"
    said = f"{found['customer']} has {amount} back; revenue {format_usd(found['revenue_nusd'])}"
    return said + (f"; {expired:,} of the credits had ended and came back expired" if expired else "")


@click.command()
@click.option("--since", required=True, metavar="DAY", help="First day whose calls are re-rated, in UTC.")
@click.option("--until", metavar="DAY", help="Last day.")
@click.option("--customer", help="Only this customer's calls.")
@click.option("--prices", metavar="FILE|VERSION", help="A price file, a version of the cost book that was in use, or "
              "`stored`: what each call was booked by. Without it the configuration's.")  # fmt: skip
@click.option("--apply", is_flag=True, help="Post the differences as corrections; nothing that is booked is changed.")
@shared_options
def rerate(
    since: str, until: str | None, customer: str | None, prices: str | None, *, apply: bool, config: Path, as_json: bool
) -> None:
    """Price booked calls anew, each at the date it was made; show the differences, or post them with --apply."""
    for each in (since, until):
        if each is not None:
            check_day(each)
    asked = {
        "since": since, "until": until, "customer": customer, "apply": apply, "progress": sys.stderr.isatty(),
        "prices": str(Path(prices).absolute()) if prices is not None and Path(prices).is_file() else prices,
    }  # fmt: skip
    with shown() as progress:
        found = keeper(config, "ledger.rerate", asked, progress)
    if as_json:
        print_json(found)
        return
    console().print(_differences(found))
    click.echo(_counted(found))


def _differences(found: dict[str, Any]) -> Table:
    table = Table(title=f"re-rated by {found['prices']}", box=None, pad_edge=False, title_justify="left")
    table.add_column("customer")
    table.add_column("model")
    for name in ("lines", "booked", "re-rated", "difference"):
        table.add_column(name, justify="right")
    for row in [*found["groups"], {"customer": "total", "model": ""} | found["total"]]:
        amounts = [format_usd(row[f"{name}_nusd"]) for name in ("booked", "rerated", "difference")]
        table.add_row(row["customer"], row["model"], f"{row['lines']:,}", *amounts)
    return table


_COUNTED = {
    "unchanged": "cost the same",
    "unpriced": "have no price there",
    "billed": "stand as the provider billed them",
    "unratable": "were booked by a card that is not kept",
}


def _counted(found: dict[str, Any]) -> str:
    counts = found["counts"]
    kept = ", ".join(f"{counts[name]:,} {text}" for name, text in _COUNTED.items() if counts[name])
    changed = f"{counts['changed']:,} line{'' if counts['changed'] == 1 else 's'}"
    if not counts["changed"]:
        done = "Nothing differs"
    elif found["applied"]:
        done = f"Corrected: {changed}"
    else:
        done = f"Differing: {changed}; --apply posts the differences"
    return done + (f". Of the others, {kept}." if kept else ".")
