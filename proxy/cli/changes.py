"""`penstock ledger changes`: who changed what, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import orjson

from margin.money import format_usd
from proxy.cli.books import check_day
from proxy.cli.frame import keeper, print_json, shared_options

Content = dict[str, Any]

DIFF_LINES_MAX = 12
"""Of one change to the configuration; a first start has a line for every key, and --json has them all."""


@click.command()
@click.option("--since", help="First day to show, in UTC, such as 2026-11-01; everything without it.")
@shared_options
def changes(since: str | None, config: Path, as_json: bool) -> None:
    """Who changed what: keys, customers, credits, plans and the configuration, with the difference; oldest first."""
    if since is not None:
        check_day(since)
    found = keeper(config, "ledger.changes", {"since": since})
    if as_json:
        print_json(found)
        return
    for each in found:
        first, *more = _told(each["kind"], each["content"])
        click.echo(f"{each['at']}  {each['by']:<10}  {first}")
        for line in more:
            click.echo(f"    {line}")


def _told(kind: str, content: Content) -> Iterator[str]:
    sentence = _SENTENCES.get(kind)
    if kind == "configured":
        yield from _configured(content)
    else:
        yield kind if sentence is None else sentence(content)


def _configured(content: Content) -> Iterator[str]:
    before = content["before"] or "nothing"
    yield f"configuration {before} → {content['version']}, {len(content['diff'])} values"
    for path, old, new in content["diff"][:DIFF_LINES_MAX]:
        yield f"{path}: {_written(old)} → {_written(new)}"
    left = len(content["diff"]) - DIFF_LINES_MAX
    if left > 0:
        yield f"and {left} more; --json has them all"


def _written(value: Any) -> str:
    return "unset" if value is None else orjson.dumps(value).decode()


def _granted(content: Content) -> str:
    paid = "promotional" if content["paid"] == 0 else f"paid {format_usd(content['paid'])}"
    return f"{content['customer']} was given {content['cr'] / 1000:,.10g} credits ({paid}); grant {content['id']}"


_SENTENCES: dict[str, Callable[[Content], str]] = {
    "sellbook": lambda content: f"plans {content['version']}: {', '.join(sorted(content['plans']))}",
    "customer": lambda content: f"{content['customer']} begins on the plan {content['plan']}",
    "moved": lambda content: f"{content['customer']} moves to the plan {content['plan']}",
    "key": lambda content: f"key {content['id']} for {content['customer']}; scopes: {', '.join(content['scopes'])}",
    "key_revoked": lambda content: f"key {content['id']} is revoked",
    "grant": _granted,
    "reversed": lambda content: f"the charge {content['x']} of {content['customer']} is taken back: {content['why']}",
}
