"""The journal's words for quotas that are used up so far, and for what became of telling somebody.

`of` is what is used: `credits` in milli-credits, or one of the ledger's meters in parts of its unit.
"""

from __future__ import annotations

from typing import Any

Record = dict[str, Any]


def alerted(
    *, t: int, id_: str, customer: int, plan: str, period: str, of: str, percent: int, used: int, included: int,
    is_sent: bool,
) -> Record:  # fmt: skip
    """A customer has used `percent` of what a plan includes in a month; noted once each. `is_sent`: to a webhook."""
    return {"k": "alerted", "t": t, "id": id_, "c": customer, "plan": plan, "period": period, "of": of,
            "percent": percent, "used": used, "included": included, "send": is_sent}  # fmt: skip


def alert_sent(*, t: int, id_: str, result: str, attempts: int) -> Record:
    """An alert reached its webhook (`delivered`), or is not tried again (`given_up`)."""
    return {"k": "alert_sent", "t": t, "id": id_, "result": result, "attempts": attempts}
