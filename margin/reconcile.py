"""Reconciles our books against a provider's own account of what it billed, call by call.

Both sides are exact up to our one rounding per posting (half a nano-dollar), so over n postings an honest difference
is at most n / 2 nano-dollars. Anything beyond that is a wrong price, a lost call or a call that was booked twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from margin.records import SURE

NUSD_PER_USD = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Billed:
    """One call as the provider billed it. `usage` is in our disjoint buckets, None when the account does not say."""

    call_id: str
    model: str
    amount_usd: Fraction
    day: str = ""
    usage: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Booked:
    """One cost line of ours. An empty `call_id`: the provider's answer never told us its name."""

    call_id: str
    provider: str
    model: str
    kind: str
    cost_nusd: int | None
    day: str = ""
    usage: Mapping[str, int] | None = None


@dataclass(slots=True)
class Difference:
    """What does not match, for one model, one day and one reason.

    `tokens` has the buckets that differ as [booked, billed].
    """

    model: str
    day: str
    reason: str
    calls: int = 0
    booked_nusd: int = 0
    billed_nusd: Fraction = field(default_factory=Fraction)
    tokens: dict[str, list[int]] = field(default_factory=dict)


Differences = dict[tuple[str, str, str], Difference]
"""By (model, day, reason)."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The result. `explained_share` is the share of billed dollars that a matching cost line of ours explains.

    None: nothing was billed, so nobody knows.
    """

    booked_nusd: int
    billed_nusd: Fraction
    explained_share: Fraction | None
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
    """Match cost lines and invoice lines by call id, one to one."""
    found: Differences = {}
    theirs, total_usd = _by_call(billed, found)
    matched: set[str] = set()
    explained_usd, booked_nusd, postings = Fraction(0), 0, 0
    for line in booked:
        match = theirs.get(line.call_id) if line.call_id else None
        if match is None and line.cost_nusd == 0:
            continue
        # Also a line that rounded to nothing, when something was billed for it: its rounding is part of the bound.
        postings += line.cost_nusd != 0 or (match is not None and match.amount_usd != 0)
        booked_nusd += 0 if line.cost_nusd is None else line.cost_nusd
        if match is not None and line.call_id in matched:
            _note(found, "booked twice", line, None)
            continue
        matched.add(line.call_id)
        why = _why_not(line, match)
        if why is not None:
            _note(found, why, line, match)
        elif match is not None:
            explained_usd += match.amount_usd
    for bill in theirs.values():
        if bill.call_id not in matched:
            _note(found, "billed, not booked", None, bill)
    return Reconciliation(
        booked_nusd=booked_nusd,
        billed_nusd=total_usd * NUSD_PER_USD,
        explained_share=share(explained_usd, total_usd),
        postings=postings,
        differences=tuple(sorted(found.values(), key=lambda each: (each.model, each.day, each.reason))),
    )


def _by_call(billed: Iterable[Billed], found: Differences) -> tuple[dict[str, Billed], Fraction]:
    """Return the invoice's lines by call id, and its total; note what is billed twice or bears no name."""
    theirs: dict[str, Billed] = {}
    total_usd = Fraction(0)
    for bill in billed:
        total_usd += bill.amount_usd
        if bill.call_id and bill.call_id not in theirs:
            theirs[bill.call_id] = bill
        else:
            _note(found, "billed twice" if bill.call_id else "billed, not named", None, bill)
    return theirs, total_usd


def _why_not(line: Booked, match: Billed | None) -> str | None:
    """Say why a bill does not explain a cost line; None when it does."""
    if match is None:
        return "booked, not billed" if line.kind in SURE else "estimated, not billed under a name we know"
    if line.cost_nusd is None:
        return "cost unknown"
    if abs(line.cost_nusd - match.amount_usd * NUSD_PER_USD) > Fraction(1, 2):
        return "amounts differ" if line.kind in SURE else "estimate differs from the bill"
    if line.usage is not None and match.usage is not None and _without_zeros(line.usage) != _without_zeros(match.usage):
        return "tokens differ"
    return None


def _without_zeros(usage: Mapping[str, int]) -> dict[str, int]:
    return {bucket: count for bucket, count in usage.items() if count}


def different_tokens(booked: Mapping[str, int], billed: Mapping[str, int]) -> dict[str, list[int]]:
    """Return the buckets whose counts differ, as [booked, billed]."""
    both = {bucket: [booked.get(bucket, 0), billed.get(bucket, 0)] for bucket in {*booked, *billed}}
    return {bucket: counts for bucket, counts in sorted(both.items()) if counts[0] != counts[1]}


def share(part: Fraction, whole: Fraction) -> Fraction | None:
    """Return the exact share; of nothing there is none."""
    if whole == 0:
        return None
    return Fraction(part.numerator * whole.denominator, part.denominator * whole.numerator)


def _note(found: Differences, reason: str, line: Booked | None, bill: Billed | None) -> None:
    side: Booked | Billed | None = bill if line is None else line
    assert side is not None, "a difference is of a line or of a bill"
    row = found.setdefault((side.model, side.day, reason), Difference(side.model, side.day, reason))
    row.calls += 1
    if line is not None and line.cost_nusd is not None:
        row.booked_nusd += line.cost_nusd
    if bill is not None:
        row.billed_nusd += bill.amount_usd * NUSD_PER_USD
    ours = None if line is None else line.usage
    theirs = None if bill is None else bill.usage
    for bucket, counts in different_tokens({} if ours is None else ours, {} if theirs is None else theirs).items():
        kept = row.tokens.setdefault(bucket, [0, 0])
        kept[0] += counts[0]
        kept[1] += counts[1]


def corrigible(booked: Iterable[Booked], billed: Iterable[Billed]) -> dict[str, Billed]:
    """Return, by call id, the bills that can take an estimate's place.

    Both sides must name the call exactly once: of two bills, or two lines, nobody knows which is meant.
    """
    ours, theirs = _once(booked), _once(billed)
    return {
        name: bill for name, bill in theirs.items() if (line := ours.get(name)) is not None and line.kind not in SURE
    }


def _once(lines: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    again: set[str] = set()
    for line in lines:
        again |= {line.call_id} & set(found)
        found[line.call_id] = line
    return {name: line for name, line in found.items() if name and name not in again}
