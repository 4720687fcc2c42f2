"""`penstock reconcile`: our cost lines against a provider's account, and the corrections that follow from it.

A comparison with the whole account is journalled, so that the metrics show the last one also after a restart.
Corrections are posted only when they are asked for: an estimate whose call the account names is taken out of suspense
and the bill put in its place.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import compress
from pathlib import Path
from typing import Any

from margin import records
from margin.exports import anthropic, openai, simulator
from margin.exports.account import Account
from margin.exports.refusing import ExportRefused
from margin.ledger import capacity, questions
from margin.ledger.questions import CostLine
from margin.ledger.terms import day
from margin.money import round_half_even
from margin.reconcile import NUSD_PER_USD, Billed, Booked, Reconciliation, corrigible, reconcile
from margin.reconcile_days import DayReconciliation, reconcile_days
from proxy.keeper.office import NS, Office
from proxy.keeper.refusing import Args, Refused

EXPORT_BYTES_MAX = 1 << 30
"""A gigabyte: some three million calls, which take a few gigabytes to compare. More is compared day by day."""
FOREVER_T = 2**63 - 1

_DAY_READERS: dict[str, Callable[[bytes], Account]] = {"openai": openai.read, "anthropic": anthropic.read}
"""Accounts by day and model; the simulator's is by call."""


def ledger_reconcile(office: Office, args: Args) -> Any:
    """Compare cost lines with a provider's own account; with `apply`, correct the estimates that it settles."""
    office.fold_all()
    asked = _asked(office, args)
    try:
        if asked.account in _DAY_READERS:
            return _by_day(office, asked, apply=bool(args.get("apply")))
        return _by_call(office, asked, apply=bool(args.get("apply")))
    except ExportRefused as error:
        raise Refused(f"{asked.name}:{error}") from None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is compared: an account, with the cost lines of some providers (None: all) in [since, until)."""

    account: str
    name: str
    content: bytes
    providers: frozenset[str] | None
    since_t: int
    until_t: int

    @property
    def is_whole(self) -> bool:
        """Whether all days of the account are compared: only that says what share of it the books explain."""
        return (self.since_t, self.until_t) == (0, FOREVER_T)

    @property
    def source(self) -> str:
        return f"{self.account}:{hashlib.sha256(self.content).hexdigest()[:16]}"


def _asked(office: Office, args: Args) -> _Asked:
    account, path = args.get("format") or "simulator", Path(args["export"])
    if account not in _DAY_READERS and account != "simulator":
        raise Refused(f'there is no format "{account}"; formats are: simulator, {", ".join(_DAY_READERS)}')
    content = _content(path)
    since_t, until_t = span(args.get("since"), args.get("until"))
    return _Asked(account, path.name, content, _providers(office, account, args.get("provider")), since_t, until_t)


def _providers(office: Office, account: str, named: str | None) -> frozenset[str] | None:
    """Return whose calls an account can be about: the one named, or those that speak its company's format."""
    if named is not None or account == "simulator":
        return None if named is None else frozenset({named})
    found = frozenset(each.name for each in office.settings.providers.values() if str(each.dialect) == account)
    if not found:
        raise Refused(f"no provider of the configuration speaks {account}'s format; name the one meant with --provider")
    return found


def _by_call(office: Office, asked: _Asked, *, apply: bool) -> Any:
    account = simulator.read(asked.content)
    lines, billed = _cut(asked, _lines(office, asked), account)
    better = _better(lines, billed)
    result, applied = reconcile(map(_booked, lines), billed), 0
    _check_amounts(result)
    if apply and better:
        applied = _apply(office, better, asked.source)
        lines, billed = _cut(asked, _lines(office, asked), account)
        result = reconcile(map(_booked, lines), billed)
    _note(office, asked, result, applied)
    return _shown(asked, result) | {
        "basis": "dollars",
        "corrigible": 0 if applied else len(better),
        "corrected": applied,
    }


def _by_day(office: Office, asked: _Asked, *, apply: bool) -> Any:
    if apply:
        raise Refused(f"{asked.account}'s account names no calls, so no estimate can be replaced by its bill")
    account = _DAY_READERS[asked.account](asked.content)
    days = frozenset(each for each in account.days if _is_within(each, asked.since_t, asked.until_t))
    account = replace(
        account, days=days, uses=tuple(each for each in account.uses if each.day in days),
        costs=tuple(each for each in account.costs if each.day in days),
    )  # fmt: skip
    result = reconcile_days(map(_booked, _lines(office, asked, of_days=True)), account)
    _check_amounts(result)
    _note(office, asked, result, 0)
    return _shown(asked, result) | {"basis": result.basis, "corrigible": 0, "corrected": 0}


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise Refused(f"{path} is no file; name the provider's account with --export")
    if path.stat().st_size > EXPORT_BYTES_MAX:
        raise Refused(f"{path} is larger than {EXPORT_BYTES_MAX} bytes; export fewer days at once")
    return path.read_bytes()


def span(since: str | None, until: str | None) -> tuple[int, int]:
    """Return [since, until) in nanoseconds; `until` is the last day that counts."""
    start_t = 0 if since is None else _day_t(since)
    end_t = FOREVER_T if until is None else _day_t(until) + 86_400 * NS
    if start_t >= end_t:
        raise Refused(f"no day lies between {since} and {until}")
    return start_t, end_t


def _day_t(text: str) -> int:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Refused(f'"{text}" is no day; write it like 2026-11-20') from None
    return int(datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp()) * NS


def _is_within(billed_day: str, since_t: int, until_t: int) -> bool:
    if not billed_day:
        return True
    return since_t <= _day_t(billed_day) < until_t


def _cut(asked: _Asked, lines: Iterable[CostLine], billed: list[Billed]) -> tuple[list[CostLine], list[Billed]]:
    """Keep what is of the days that are asked for. A call that both sides know is of the day of its bill.

    A stream over midnight is booked on the day after, and what a crash left open days later.
    """
    bills: dict[str, Billed] = {}
    for bill in billed:
        bills.setdefault(bill.call_id, bill)
    kept, days = list[CostLine](), dict[str, str]()
    for line in lines:
        found = bills.get(line.call_id) if line.call_id else None
        its_day = day(line.t) if found is None or not found.day else found.day
        if found is not None:
            days.setdefault(found.call_id, its_day)
        if _is_within(its_day, asked.since_t, asked.until_t):
            kept.append(line)
    of_day = (each.day or days.get(each.call_id, "") for each in billed)
    within = [_is_within(each, asked.since_t, asked.until_t) for each in of_day]
    return kept, list(compress(billed, within))


def _lines(office: Office, asked: _Asked, *, of_days: bool = False) -> Iterable[CostLine]:
    """Return all lines, or those of the days that are asked for by the moment they were booked."""
    since_t, until_t = (asked.since_t, asked.until_t) if of_days else (0, FOREVER_T)
    found = questions.cost_lines(office.books.store.db, since_t=since_t, until_t=until_t)
    return (line for line in found if asked.providers is None or line.provider in asked.providers)


def _booked(line: CostLine) -> Booked:
    name = "" if line.call_id is None else line.call_id
    return Booked(name, line.provider, line.model, line.kind, line.cost_nusd, day(line.t), line.usage)


def _better(lines: list[CostLine], billed: list[Billed]) -> list[tuple[CostLine, Billed]]:
    """Return the estimates that the account settles, each with its bill."""
    found = corrigible(map(_booked, lines), billed)
    return [(line, found[line.call_id]) for line in lines if line.call_id in found and line.kind != "model"]


def _apply(office: Office, better: list[tuple[CostLine, Billed]], source: str) -> int:
    moved = sum(capacity.moved_nusd(line.cost_nusd, _cost_nusd(bill)) for line, bill in better)
    capacity.check_costs(office.books.store.db, moved)
    for line, bill in better:
        usage, cost = line.usage if bill.usage is None else dict(bill.usage), _cost_nusd(bill)
        before = attempt(line, line.kind, line.usage, line.cost_nusd)
        # No card made this amount: the bill is the price, and re-rating leaves it alone.
        after = attempt(line, "model", usage, cost) | {"card": None}
        office.books.record(
            records.corrected(
                x=line.x, n=line.n, revision=line.revision + 1, t=time.time_ns(), customer=line.customer,
                plan=line.plan, charge_tier=line.charge_tier, served_tier=line.served_tier, before=before, after=after,
                why="the provider's account", source=source,
            )
        )  # fmt: skip
    office.books.commit()
    return len(better)


def _cost_nusd(bill: Billed) -> int:
    exact = bill.amount_usd * NUSD_PER_USD
    return round_half_even(exact.numerator, exact.denominator)


def attempt(line: CostLine, kind: Any, usage: dict[str, int] | None, cost_nusd: int | None) -> records.Record:
    """Return a booked cost line as the journal has one, with these amounts."""
    return records.attempt(
        n=line.n, provider=line.provider, deployment=line.deployment, model=line.model, card=line.card, kind=kind,
        usage=usage, cost_nusd=cost_nusd, call_id=line.call_id, status=line.status,
    )  # fmt: skip


def _check_amounts(result: Reconciliation | DayReconciliation) -> None:
    off = result.difference_nusd
    if off is not None and abs(off) > capacity.SUM_MAX:
        raise Refused("the account differs by more than the books can count; are its amounts in US dollars?")


def _note(office: Office, asked: _Asked, result: Reconciliation | DayReconciliation, applied: int) -> None:
    """Journal the comparison, and with it what the metrics show, unless it is of some days only."""
    if not asked.is_whole:
        return
    share, off = result.explained_share, result.difference_nusd
    office.books.record(
        records.reconciled(
            t=time.time_ns(), account=asked.account, source=asked.source,
            explained_ppb=None if share is None else round_half_even(share.numerator * 10**9, share.denominator),
            difference_nusd=None if off is None else round_half_even(off.numerator, off.denominator),
            differences=sum(each.calls for each in result.differences), corrected=applied,
        )
    )  # fmt: skip
    office.books.commit()


def _shown(asked: _Asked, result: Reconciliation | DayReconciliation) -> dict[str, Any]:
    return {
        "ok": result.agrees,
        "whole": asked.is_whole,
        "explained_share": _number(result.explained_share),
        "difference_nusd": _number(result.difference_nusd),
        "rounding_bound_nusd": _number(result.rounding_bound_nusd),
        "booked_nusd": result.booked_nusd,
        "billed_nusd": _number(result.billed_nusd),
        "postings": result.postings,
        "lines": [
            {"model": each.model, "day": each.day or None, "reason": each.reason, "calls": each.calls,
             "booked_nusd": each.booked_nusd, "billed_nusd": _number(each.billed_nusd), "tokens": each.tokens}
            for each in result.differences
        ],
    }  # fmt: skip


def _number(exact: Fraction | None) -> float | None:
    return None if exact is None else float(exact)
