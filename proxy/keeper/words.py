"""How commands read names and write amounts and moments."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

from margin.ledger.questions import MarginRow
from proxy.identity import is_name
from proxy.keeper.office import NS
from proxy.keeper.refusing import Refused


def check_name(name: str) -> None:
    """Refuse what cannot be a customer's name."""
    if not is_name(name):
        raise Refused("a customer's name must be 1 to 128 printable characters")


def in_credits(milli: int) -> int | float:
    """Return milli-credits as credits, whole ones as integers: a number for JSON."""
    whole, rest = divmod(milli, 1000)
    return whole if rest == 0 else milli / 1000


def iso(t: int) -> str:
    """Write a moment in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t // NS))


def day(since: str | None) -> str:
    """Return the first day of a report as the rollup writes it; of none, a text before every day."""
    if since is None:
        return ""
    try:
        return date.fromisoformat(since).isoformat()
    except ValueError:
        raise Refused(f'"{since}" is no day; write it like 2026-11-20') from None


def margin_of(row: MarginRow) -> dict[str, Any]:
    """Return one row of a margin report."""
    model_cost = row.cost_nusd - row.other_cost_nusd
    return {"requests": row.requests, "cost_nusd": row.cost_nusd, "revenue_nusd": row.revenue_nusd,
            "margin_nusd": row.margin_nusd, "margin": share_of(row.margin_nusd, row.revenue_nusd),
            "savings_nusd": row.savings_nusd, "model_cost_nusd": model_cost, "other_cost_nusd": row.other_cost_nusd,
            "model_margin": share_of(row.revenue_nusd - model_cost, row.revenue_nusd)}  # fmt: skip


def share_of(nusd: int, revenue_nusd: int) -> float | None:
    """Return a margin as a share. With no revenue it is not 0 % but not applicable: the loss in dollars says it."""
    return None if revenue_nusd == 0 else round(nusd / revenue_nusd, 6)
