"""Reconciles our books against an account that a provider gives by day and model: per bucket of tokens, and in dollars.

A day of a model is explained when every bucket has the very tokens that we booked and its dollars are ours up to
rounding. Where the account states no dollars the share is one of tokens; where it states them by day only, a day's
dollars are explained when they match and no model of that day has other tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from margin.exports.account import Account, Buckets, bare
from margin.reconcile import NUSD_PER_USD, Booked, Difference, different_tokens, share

EVERY_MODEL = "*"
"""The model of dollars that are stated by day only."""

Place = tuple[str, str]
"""(day, model)."""


@dataclass(slots=True)
class _Tokens:
    """Both sides' tokens of a model on a day."""

    calls: int = 0
    estimates: int = 0
    booked_nusd: int = 0
    booked: dict[str, int] = field(default_factory=dict)
    billed: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Dollars:
    """Both sides' dollars of a model, or of all, on a day."""

    calls: int = 0
    postings: int = 0
    unknown: int = 0
    booked_nusd: int = 0
    billed_nusd: Fraction = field(default_factory=Fraction)
    rounding_nusd: Fraction = field(default_factory=Fraction)

    @property
    def bound_nusd(self) -> Fraction:
        """The largest difference that rounding alone can make."""
        return self.rounding_nusd + Fraction(self.postings, 2)


@dataclass(frozen=True, slots=True)
class DayReconciliation:
    """The result; `billed_nusd` and `difference_nusd` are None where the account states no dollars."""

    basis: Literal["dollars", "tokens"]
    booked_nusd: int
    billed_nusd: Fraction | None
    explained_share: Fraction | None
    rounding_bound_nusd: Fraction
    postings: int
    differences: tuple[Difference, ...]

    @property
    def difference_nusd(self) -> Fraction | None:
        """Our books minus the account."""
        return None if self.billed_nusd is None else self.booked_nusd - self.billed_nusd

    @property
    def agrees(self) -> bool:
        """Whether rounding explains the whole difference and nothing is left over on either side."""
        off = self.difference_nusd
        return not self.differences and (off is None or abs(off) <= self.rounding_bound_nusd)


def reconcile_days(booked: Iterable[Booked], account: Account) -> DayReconciliation:
    """Compare cost lines with an account; only the days that it covers count."""
    lines = [line for line in booked if line.day in account.days]
    tokens, dollars = _tokens(lines, account), _dollars(lines, account)
    found = {place: each for place, cell in tokens.items() if (each := _other_tokens(place, cell)) is not None}
    explained: set[Place] = set()
    for place, money in dollars.items():
        off = _other_dollars(place, money)
        if off is not None and (place not in found or place[1] == EVERY_MODEL):
            found[place] = off
        if off is None and not _is_within(found, place):
            explained.add(place)
    billed = sum((each.billed_nusd for each in dollars.values()), Fraction(0))
    return DayReconciliation(
        basis="dollars" if account.costs else "tokens",
        booked_nusd=sum(line.cost_nusd for line in lines if line.cost_nusd is not None),
        billed_nusd=billed if account.costs else None,
        explained_share=_share(tokens, dollars, explained, set(found), account),
        rounding_bound_nusd=sum((each.bound_nusd for each in dollars.values()), Fraction(0)),
        postings=sum(each.postings for each in dollars.values()),
        differences=tuple(sorted(found.values(), key=lambda each: (each.model, each.day, each.reason))),
    )


def _tokens(lines: list[Booked], account: Account) -> dict[Place, _Tokens]:
    """Return both sides' tokens; nothing where the account states none, or we booked nothing that has any."""
    cells: dict[Place, _Tokens] = {}
    if not account.uses:
        return cells
    for line in lines:
        if line.usage is None and not line.cost_nusd:
            continue  # a call that was refused, or never got there
        cell = cells.setdefault((line.day, line.model), _Tokens())
        cell.calls += 1
        cell.estimates += line.kind != "model"
        cell.booked_nusd += 0 if line.cost_nusd is None else line.cost_nusd
        _add(cell.booked, account.coarse({} if line.usage is None else line.usage))
    known = {line.model for line in lines}
    for use in account.uses:
        _add(cells.setdefault((use.day, bare(use.model, known)), _Tokens()).billed, use.tokens)
    return cells


def _add(sums: dict[str, int], more: Buckets) -> None:
    for bucket, count in more.items():
        sums[bucket] = sums.get(bucket, 0) + count


def _dollars(lines: list[Booked], account: Account) -> dict[Place, _Dollars]:
    cells: dict[Place, _Dollars] = {}
    if not account.costs:
        return cells
    is_by_model = any(each.model for each in account.costs)
    for line in lines:
        if line.cost_nusd == 0:
            continue
        cell = cells.setdefault((line.day, line.model if is_by_model else EVERY_MODEL), _Dollars())
        cell.calls += 1
        cell.postings += 1
        cell.unknown += line.cost_nusd is None
        cell.booked_nusd += 0 if line.cost_nusd is None else line.cost_nusd
    known = {line.model for line in lines}
    for each in account.costs:
        model = bare(each.model, known) if each.model else EVERY_MODEL
        cell = cells.setdefault((each.day, model), _Dollars())
        cell.billed_nusd += each.amount_usd * NUSD_PER_USD
        cell.rounding_nusd += each.rounding_nusd
    return cells


def _other_tokens(place: Place, cell: _Tokens) -> Difference | None:
    off = different_tokens(cell.booked, cell.billed)
    if not off:
        return None
    if not cell.calls:
        reason = "billed, not booked"
    elif not any(cell.billed.values()):
        reason = "booked, not billed"
    else:
        reason = "tokens differ, with estimates among them" if cell.estimates else "tokens differ"
    return Difference(place[1], place[0], reason, cell.calls, cell.booked_nusd, Fraction(0), off)


def _other_dollars(place: Place, cell: _Dollars) -> Difference | None:
    if abs(cell.booked_nusd - cell.billed_nusd) <= cell.bound_nusd and not cell.unknown:
        return None
    if not cell.calls:
        reason = "billed, not booked"
    elif cell.billed_nusd == 0:
        reason = "booked, not billed"
    else:
        reason = "cost unknown" if cell.unknown else "amounts differ"
    return Difference(place[1], place[0], reason, cell.calls, cell.booked_nusd, cell.billed_nusd)


def _is_within(found: Iterable[Place], place: Place) -> bool:
    """Tell whether a difference concerns these dollars."""
    day, model = place
    return any(other == place or (model == EVERY_MODEL and other[0] == day) for other in found)


def _share(
    tokens: dict[Place, _Tokens], dollars: dict[Place, _Dollars], explained: set[Place], wrong: set[Place],
    account: Account,
) -> Fraction | None:  # fmt: skip
    """Return the explained share of what was billed; None of nothing."""
    if account.costs:
        part = sum((dollars[place].billed_nusd for place in explained), Fraction(0))
        whole = sum((each.billed_nusd for each in dollars.values()), Fraction(0))
    else:
        right = [each for place, each in tokens.items() if place not in wrong]
        part = Fraction(sum(sum(each.billed.values()) for each in right))
        whole = Fraction(sum(sum(each.billed.values()) for each in tokens.values()))
    return share(part, whole)
