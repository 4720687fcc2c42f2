"""`penstock check`: is the configuration good?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from proxy.cli.frame import common, load, print_json
from proxy.settings import TIERS, Settings, startup_errors


@click.command()
@common
def check(config: Path, as_json: bool) -> None:
    """Check the configuration and say what it means. Exit 2 when it cannot be used."""
    found = load(config)
    if as_json:
        print_json(_summary(found))
        return
    click.echo(f"{config} is good ({found.version}).")
    for tier in TIERS:
        click.echo(f"  {tier:<8} {', '.join(each.name for each in found.tiers[tier])}")
    for sentence in startup_errors(found):
        click.echo(f"note: it cannot serve yet: {sentence}", err=True)


def _summary(found: Settings) -> dict[str, Any]:
    return {
        "ok": True,
        "version": found.version,
        "cost_book": found.costbook.version,
        "sell_book": found.sellbook.version,
        "tiers": {tier: [each.name for each in found.tiers[tier]] for tier in TIERS},
        "aliases": dict(found.aliases),
        "plans": sorted(found.sellbook.plans),
        "providers": {name: {"enabled": each.enabled} for name, each in found.providers.items()},
        "servable": found.servable,
        "warnings": list(found.warnings),
    }
