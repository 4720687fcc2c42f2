"""`penstock reconcile`: what we booked as cost against what a provider says it billed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from margin.money import format_usd
from proxy.cli.frame import SAYS_NO, keeper, load, print_json, shared_options
from proxy.cli.progress import shown

FORMATS = ("simulator", "openai", "anthropic")
LINES_SHOWN = 20
"""A screen; `--json` has them all."""


@click.command()
@click.option(
    "--export", type=click.Path(path_type=Path), help="The provider's own account; the simulator's without it."
)
@click.option("--format", "format_", type=click.Choice(FORMATS), default="simulator", show_default=True,
              help="What kind of account it is.")  # fmt: skip
@click.option("--provider", help="Compare what this provider of the configuration was called for; else all of it.")
@click.option("--since", metavar="DAY", help="First day to compare, in UTC, such as 2026-11-01.")
@click.option("--until", metavar="DAY", help="Last day to compare.")
@click.option("--apply", is_flag=True, help="Post the corrections: estimates whose bill is known leave suspense.")
@shared_options
def reconcile(
    export: Path | None, format_: str, provider: str | None, since: str | None, until: str | None, *, apply: bool,
    config: Path, as_json: bool,
) -> None:  # fmt: skip
    """Compare what we booked as cost with what the provider says it billed; exit 1 when they differ beyond rounding."""
    path = load(config, quiet=True).server.data_dir / "simulator" / "invoice.jsonl" if export is None else export
    asked = {"export": str(path.absolute()), "format": format_, "provider": provider, "since": since, "until": until,
             "apply": apply, "progress": sys.stderr.isatty()}  # fmt: skip
    with shown() as progress:
        found = keeper(config, "ledger.reconcile", asked, progress)
    if as_json:
        print_json(found)
    else:
        _print(found)
    sys.exit(0 if found["ok"] else SAYS_NO)


def _print(found: dict[str, Any]) -> None:
    booked = format_usd(found["booked_nusd"])
    if found["billed_nusd"] is None:
        click.echo(f"booked {booked}; the account states tokens and no dollars.")
    else:
        billed = format_usd(round(found["billed_nusd"]))
        click.echo(
            f"booked {booked}, billed {billed}: they differ by {found['difference_nusd']:,.1f} nano-dollars; rounding"
        )
        click.echo(f"explains up to {found['rounding_bound_nusd']:,.1f} over {found['postings']:,} postings.")
    if found["explained_share"] is None:
        click.echo("The account bills nothing, so no share of it can be explained.")
    else:
        click.echo(f"{found['explained_share']:.4%} of the billed {found['basis']} are explained.")
    if not found["whole"]:
        click.echo("Only some days were compared; the metrics keep the last comparison of a whole account.")
    for line in found["lines"][:LINES_SHOWN]:
        when = "" if line["day"] is None else f" on {line['day']}"
        click.echo(f"- {line['model']}{when}: {line['reason']}, {line['calls']} calls")
    if len(found["lines"]) > LINES_SHOWN:
        click.echo(f"- and {len(found['lines']) - LINES_SHOWN} more; --json has them all")
    if found["corrected"]:
        click.echo(f"{found['corrected']} estimates were replaced by their bills.")
    elif found["corrigible"]:
        click.echo(f"{found['corrigible']} estimates can be replaced by their bills: run it again with --apply.")
