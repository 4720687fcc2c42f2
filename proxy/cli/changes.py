"""`penstock ledger changes`: who changed what, and when."""

from __future__ import annotations

import time
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


def _made(content: Content) -> str:
    for_ = f" in place of {content['for']}" if "for" in content else ""
    terms = "".join(f"; {_bound(name, value)}" for name, value in content.get("terms", {}).items())
    return f"key {content['id']} for {content['customer']}{for_}; scopes: {', '.join(content['scopes'])}{terms}"


def _rebound(content: Content) -> str:
    changed = ", ".join(_difference(*each) for each in content["diff"])
    return f"key {content['id']} changes: {changed}"


def _difference(name: str, before: Any, after: Any) -> str:
    if name == "metadata":
        return "metadata"  # what it says is in no journal, so that it can be erased
    return f"{_bound(name, before)} → {_value(name, after)}"


def _bound(name: str, value: Any) -> str:
    return f"{name.removesuffix('_t')} {_value(name, value)}"


def _value(name: str, value: Any) -> str:
    if value is None:
        return "any" if name != "expires_t" else "never"
    if name == "expires_t":
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(value // 1_000_000_000))
    if name == "budgets":
        return " ".join(f"{format_usd(nusd)}/{per}" + _besides(of, action) for nusd, per, of, action in value)
    return " ".join(value) if isinstance(value, list) else _written(value)


def _besides(of: str, action: str) -> str:
    """Return what a budget is of, and how it acts, unless it is as most are."""
    return "" if (of, action) == ("cost", "hard") else f" ({action}, of {of})"


def _ran_away(content: Content) -> str:
    paused = "" if content["paused"] is None else f"; key {content['paused']} is paused"
    cost, usual = format_usd(content["cost"]), format_usd(content["usual"])
    return f"{content['customer']} costs {cost} a minute, usually {usual}{paused}"


def _spent(content: Content) -> str:
    named = [f"{kind} {id_}".strip() + f" ({name})" for kind, id_, name, _ in content["budgets"]]
    return f"told that budgets are spent: {', '.join(named)}"


def _guarded(content: Content) -> str:
    margin = "n/a" if content["margin"] is None else f"{content['margin'] / 10_000:.1f}%"
    steps = ", ".join(content["steps"]) or "let go"
    return f"margin guard: {content['customer']} on {content['plan']}, margin {margin}: {steps}"


_SENTENCES: dict[str, Callable[[Content], str]] = {
    "sellbook": lambda content: f"plans {content['version']}: {', '.join(sorted(content['plans']))}",
    "customer": lambda content: f"{content['customer']} begins on the plan {content['plan']}",
    "moved": lambda content: f"{content['customer']} moves to the plan {content['plan']}",
    "key": _made,
    "keys_imported": lambda content: f"{len(content['keys'])} keys are imported: {', '.join(content['keys'])}",
    "key_changed": _rebound,
    "key_revoked": lambda content: f"key {content['id']} is revoked",
    "grant": _granted,
    "seats": lambda content: f"{content['customer']} has {content['n']:,} seats",
    "delivered": lambda content: f"{content['customer']}: {content['item']} × {content['n']:,} ({content['id']})",
    "task_opened": lambda content: f"task {content['id']} of {content['customer']} begins: {content['type']}",
    "task_closed": lambda content: f"task {content['id']} ends: {content['why']}",
    "task_cost": lambda content: f"task {content['task']} cost {format_usd(content['nusd'])} more: {content['kind']}",
    "outcome": lambda content: f"task {content['id']}: its outcome is {content['o']}",
    "runaway": _ran_away,
    "guarded": _guarded,
    "budgets_spent": _spent,
    "reversed": lambda content: f"the charge {content['x']} of {content['customer']} is taken back: {content['why']}",
}
