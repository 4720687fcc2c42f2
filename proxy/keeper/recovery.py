"""What a dead worker left open is settled or voided from its journal.

Held and never called: voided. Called and no byte of an answer seen: voided for the customer, and what its input may
cost goes to suspense. Bytes seen: settled from the last checkpoint, marked *recovered*. Source: the crash table of
the reliability notes; the same distinction as in `proxy.life`.
"""

from __future__ import annotations

from typing import Any

from margin import records
from margin.ledger.state import Hold


def close(hold: Hold, t: int) -> dict[str, Any]:
    """Return the record that closes an orphaned hold."""
    if hold.call is None:
        return records.void(x=hold.x, t=t, why="recovered_unsent", attempts=[])
    before = hold.call.get("a", [])
    if hold.mark is None:
        return records.void(x=hold.x, t=t, why="recovered_unanswered", attempts=[*before, records.lost(hold.call)])
    usage = {"input": hold.call["in"], "output": hold.mark["out"]}
    line = records.lost(hold.call) | {
        "kind": "estimated",
        "u": usage,
        "cost": hold.mark["cost"],
        "id": hold.mark.get("id"),
    }
    decision = {"recovered": True, "charge_tier": hold.charge_tier, "served_tier": hold.served_tier}
    # A metered charge is known as far as the checkpoint; a fixed one was frozen when it was held.
    charge = min(hold.mark.get("cr", hold.held_milli), hold.held_milli)
    return records.settled(
        x=hold.x, t=t, outcome="recovered", credits_milli=charge, attempts=[*before, line], baseline_nusd=None,
        decision=decision,
    )  # fmt: skip
