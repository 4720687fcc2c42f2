"""A correction of a booked cost line, as the journal has it."""

from __future__ import annotations

import time
from typing import Any

from margin import records
from margin.ledger.questions import CostLine


def correction(
    line: CostLine, *, kind: Any, usage: dict[str, int] | None, cost_nusd: int | None, card: str | None, why: str,
    source: str,
) -> records.Record:  # fmt: skip
    """Return the record that puts these amounts in the place of a line's, as its next revision."""
    before = records.attempt(
        n=line.n, provider=line.provider, deployment=line.deployment, model=line.model, card=line.card, kind=line.kind,  # type: ignore[arg-type]
        usage=line.usage, cost_nusd=line.cost_nusd, call_id=line.call_id, status=line.status,
    )  # fmt: skip
    return records.corrected(
        x=line.x, n=line.n, revision=line.revision + 1, t=time.time_ns(), customer=line.customer, plan=line.plan,
        charge_tier=line.charge_tier, served_tier=line.served_tier, before=before,
        after=before | {"kind": kind, "u": usage, "cost": cost_nusd, "card": card}, why=why, source=source,
    )  # fmt: skip
