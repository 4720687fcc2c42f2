"""The end of a demo: the last report, whether the books are sound, and what it all says in a few sentences."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from margin.money import format_usd
from proxy.cli.demo.gauges import Figures, Gauges
from proxy.settings import Settings

QUIET_S = 2.0
"""How long answers that nobody reads any more may take to be booked."""


@dataclass(frozen=True, slots=True)
class Closing:
    """What is left of a demo: the last figures, and what the two checks of the books say.

    `before` is how many requests the books held when it began.
    """

    figures: Figures
    before: int
    ledger: Mapping[str, Any]
    reconciliation: Mapping[str, Any]
    cheapest: str
    frontier: str


def close_books(settings: Settings, gauges: Gauges, before: int) -> Closing:
    """Wait until nothing is under way, then read the figures and check the books."""
    deadline = time.monotonic() + QUIET_S
    while gauges.read().open and time.monotonic() < deadline:
        time.sleep(0.1)
    invoice = settings.server.data_dir / "simulator" / "invoice.jsonl"
    reconciliation = _reconciled(gauges, str(invoice.absolute())) if invoice.exists() else _NOTHING_BILLED
    return Closing(
        gauges.read(),
        before,
        gauges.ask("ledger.verify"),
        reconciliation,
        settings.tiers["simple"][0].name,
        settings.tiers["complex"][0].name,
    )


_NOTHING_BILLED: Mapping[str, Any] = {"ok": True, "billed_nusd": 0.0, "booked_nusd": 0, "lines": []}


def _reconciled(gauges: Gauges, invoice: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = gauges.ask("ledger.reconcile", {"export": invoice})
    return found


def document(closing: Closing, seed: int) -> dict[str, Any]:
    """Return it as one JSON document."""
    return {
        "seed": seed,
        "margin": closing.figures.report,
        "simple_share": simple_share(closing.figures),
        "out_of_credit": closing.figures.out_of_credit,
        "ledger": closing.ledger,
        "reconcile": closing.reconciliation,
    }


def simple_share(figures: Figures) -> float | None:
    """Return the share of requests that the cheapest tier served; None when there were none."""
    everything = sum(each.requests for each in figures.tiers.values())
    return figures.tiers["simple"].requests / everything if everything else None


def sentences(closing: Closing) -> Iterator[str]:
    """Yield what the figures say, to somebody who sees them for the first time."""
    if simple_share(closing.figures) is None:
        yield "No request was sent."
    else:
        yield _routing(closing)
        yield from _customers(closing)
    yield _books(closing)
    if closing.before:
        yield f"{closing.before:,} of the requests were in these books before the demo began."


def _routing(closing: Closing) -> str:
    total, share = closing.figures.report["total"], simple_share(closing.figures)
    saved, all_frontier = total["savings_nusd"], total["savings_nusd"] + total["cost_nusd"]
    sent = f"{share:.0%} of the requests went to the cheapest tier ({closing.cheapest})."
    if saved <= 0 or all_frontier <= 0:
        return f"{sent} Routing saved nothing against sending everything to {closing.frontier}."
    return (
        f"{sent} The same tokens would have cost {format_usd(all_frontier)} at {closing.frontier}: "
        f"routing saved {format_usd(saved)} of that, {saved / all_frontier:.0%}."
    )


def _customers(closing: Closing) -> Iterator[str]:
    figures = closing.figures
    losing = [row for row in figures.report["customers"] if row["margin_nusd"] < 0 and row["revenue_nusd"]]
    unpaid = [row["customer"] for row in figures.report["customers"] if row["cost_nusd"] and not row["revenue_nusd"]]
    for row in losing:
        plan = figures.plans.get(row["customer"], "?")
        yield (
            f"{row['customer']} loses money: {format_usd(row['cost_nusd'])} of cost, "
            f"{format_usd(row['revenue_nusd'])} of revenue on the plan {plan}."
        )
    if not losing:
        yield "Every customer that pays brought in more than it cost."
    if unpaid:
        verb = "pays" if len(unpaid) == 1 else "pay"
        yield f"{' and '.join(unpaid)} {verb} nothing: without revenue there is no margin, only the dollars lost."
    if figures.out_of_credit:
        yield f"{figures.out_of_credit} requests were refused with 402, because their customer had no credits left."


def _books(closing: Closing) -> str:
    ledger, reconciled = closing.ledger, closing.reconciliation
    if ledger["ok"]:
        sound = f"The books are sound ({ledger['transactions']:,} transactions, each sums to zero)"
    else:
        sound = f"The books are NOT sound: {'; '.join(ledger['violations'][:3]) or 'they do not sum to zero'}"
    billed = format_usd(round(reconciled["billed_nusd"]))
    if reconciled["ok"]:
        return f"{sound} and agree with the provider's own invoice of {billed}, call by call."
    reasons = "; ".join(f"{each['model']}: {each['reason']}, {each['calls']} calls" for each in reconciled["lines"][:3])
    return f"{sound}, but they do NOT agree with the provider's invoice of {billed}: {reasons or 'beyond rounding'}."
