"""The sell book as the journal has it: what the ledger needs of each plan, and what its charges are proved by."""

from __future__ import annotations

from typing import Any

from margin.sellbook import SellBook


def written(book: SellBook) -> dict[str, dict[str, Any]]:
    """Return the terms of each plan, by name; see `margin.ledger.terms.Terms`."""
    return {
        name: {
            "version": plan.version,
            "fee": 0 if plan.fee_nusd_month is None else plan.fee_nusd_month,
            "included": plan.credits.included_milli,
            "enforce": plan.credits.enforce,
            "price": plan.credits.price_nusd_per_credit,
            "overage": plan.credits.overage_nusd_per_credit,
            "schedule": dict(plan.credits.schedule_milli),
            **plan.components(),
        }
        for name, plan in book.plans.items()
    }
