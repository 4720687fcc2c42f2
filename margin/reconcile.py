"""Reconciles our books against a provider's own account of what it billed, call by call.

Both sides are exact up to our one rounding per posting (half a nano-dollar), so over n postings an honest difference
is at most n / 2 nano-dollars. Anything beyond that is a wrong price, a lost call or a call that was booked twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

NUSD_PER_USD = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Billed:
    """One call as the provider billed it."""

    call_id: str
    model: str
    amount_usd: Fraction


@dataclass(frozen=True, slots=True)
class Booked:
    """One cost line of ours. An empty `call_id`: the provider's answer never told us its name."""

    call_id: str
    provider: str
    model: str
    kind: str
    cost_nusd: int | None


@dataclass(slots=True)
class Difference:
    """What does not match, for one model and one reason."""

    model: str
    reason: str
    calls: int = 0
    booked_nusd: int = 0
    billed_nusd: Fraction = field(default_factory=Fraction)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The result. `explained_share` is the share of billed dollars that a matching cost line of ours explains."""

    booked_nusd: int
    billed_nusd: Fraction
    explained_share: Fraction
    postings: int
    differences: tuple[Difference, ...]

    @property
    def difference_nusd(self) -> Fraction:
        """Our books minus the invoice."""
        return self.booked_nusd - self.billed_nusd

    @property
    def rounding_bound_nusd(self) -> Fraction:
        """The largest difference that rounding alone can make."""
        return Fraction(self.postings, 2)

    @property
    def agrees(self) -> bool:
        """Whether rounding explains the whole difference and every call is found on both sides."""
        return abs(self.difference_nusd) <= self.rounding_bound_nusd and not self.differences


def reconcile(booked: Iterable[Booked], billed: Iterable[Billed]) -> Reconciliation:
    """Match cost lines and invoice lines by call id."""
    ours = [line for line in booked if line.cost_nusd != 0]
    theirs = {line.call_id: line for line in billed}
    named = {line.call_id: line for line in ours if line.call_id}
    found: dict[tuple[str, str], Difference] = {}
    explained = Fraction(0)
    for line in ours:
        match = theirs.get(line.call_id)
        if match is None:
            reason = "booked, not billed" if line.kind == "model" else "estimated, not billed under a name we know"
            _note(found, line.model, reason, line.cost_nusd, Fraction(0))
        elif line.cost_nusd is None:
            _note(found, line.model, "cost unknown", None, match.amount_usd)
        elif abs(line.cost_nusd - match.amount_usd * NUSD_PER_USD) > Fraction(1, 2):
            reason = "amounts differ" if line.kind == "model" else "estimate differs from the bill"
            _note(found, line.model, reason, line.cost_nusd, match.amount_usd)
        else:
            explained += match.amount_usd
    for bill in theirs.values():
        if bill.call_id not in named:
            _note(found, bill.model, "billed, not booked", None, bill.amount_usd)
    total = sum((line.amount_usd for line in theirs.values()), Fraction(0))
    return Reconciliation(
        booked_nusd=sum(line.cost_nusd for line in ours if line.cost_nusd is not None),
        billed_nusd=total * NUSD_PER_USD,
        explained_share=Fraction(1) if total == 0 else explained / total,
        postings=len(ours),
        differences=tuple(sorted(found.values(), key=lambda each: (each.model, each.reason))),
    )


def _note(
    found: dict[tuple[str, str], Difference], model: str, reason: str, booked_nusd: int | None, billed_usd: Fraction
) -> None:
    row = found.setdefault((model, reason), Difference(model, reason))
    row.calls += 1
    row.booked_nusd += 0 if booked_nusd is None else booked_nusd
    row.billed_nusd += billed_usd * NUSD_PER_USD
