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
from margin.records import SURE
from proxy.keeper.correcting import correction
from proxy.keeper.office import Office
from proxy.keeper.reading import Reading
from proxy.keeper.refusing import Args, Refused
from proxy.keeper.spans import EVERYTHING, Span
from proxy.settings import Settings

EXPORT_BYTES_MAX = 1 << 30
"""A gigabyte: some three million calls, which take a few gigabytes to compare. More is compared day by day."""

_DAY_READERS: dict[str, Callable[[bytes], Account]] = {"openai": openai.read, "anthropic": anthropic.read}
"""Accounts by day and model; the simulator's is by call."""


def ask(office: Office, args: Args) -> Args:
    """Complete what was asked: whose calls an account can be about, as the configuration has them."""
    account = args.get("format") or "simulator"
    if account not in _DAY_READERS and account != "simulator":
        raise Refused(f'there is no format "{account}"; formats are: simulator, {", ".join(_DAY_READERS)}')
    return args | {"format": account, "providers": _providers(office.settings, account, args.get("provider"))}


def read(reading: Reading, args: Args) -> dict[str, Any]:
    """Compare cost lines with a provider's own account; with `apply`, write down what corrects the estimates."""
    asked = _asked(args)
    try:
        if asked.account in _DAY_READERS:
            return _by_day(reading, asked)
        return _by_call(reading, asked)
    except ExportRefused as error:
        raise Refused(f"{asked.name}:{error}") from None


def tell(office: Office, _: Args, found: dict[str, Any]) -> Any:
    """Journal the comparison, and with it what the metrics show, unless it is of some days only; answer it."""
    if found["noted"] is not None:
        office.books.record(found["noted"] | {"t": time.time_ns()})
        office.books.commit()
    return found["shown"]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is compared: an account, with the cost lines of some providers (None: all) in a span of days."""

    account: str
    name: str
    content: bytes
    providers: frozenset[str] | None
    span: Span
    applies: bool

    @property
    def source(self) -> str:
        return f"{self.account}:{hashlib.sha256(self.content).hexdigest()[:16]}"


def _asked(args: Args) -> _Asked:
    path, providers = Path(args["export"]), args["providers"]
    span = Span.of(args.get("since"), args.get("until"))
    return _Asked(
        args["format"], path.name, _content(path), None if providers is None else frozenset(providers), span,
        bool(args.get("apply")),
    )  # fmt: skip


def _providers(settings: Settings, account: str, named: str | None) -> list[str] | None:
    """Return whose calls an account can be about: the one named, or those that speak its company's format."""
    if named is not None or account == "simulator":
        return None if named is None else [named]
    found = [each.name for each in settings.providers.values() if str(each.dialect) == account]
    if not found:
        raise Refused(f"no provider of the configuration speaks {account}'s format; name the one meant with --provider")
    return found


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise Refused(f"{path} is no file; name the provider's account with --export")
    if path.stat().st_size > EXPORT_BYTES_MAX:
        raise Refused(f"{path} is larger than {EXPORT_BYTES_MAX} bytes; export fewer days at once")
    return path.read_bytes()


def _by_call(reading: Reading, asked: _Asked) -> dict[str, Any]:
    lines, billed = _cut(asked, _lines(reading, asked), simulator.read(asked.content))
    result = reconcile(map(_booked, lines), billed)
    _check_amounts(result)
    better = _better(lines, billed)
    for line, bill in better.values():
        reading.move(line.cost_nusd, _cost_nusd(bill))
    applied = len(better) if asked.applies else 0
    if applied:
        for line, bill in better.values():
            reading.correct(_correction(line, bill, asked.source))
        result = reconcile((_settled(line, better) for line in lines), billed)
    more = {"basis": "dollars", "corrigible": 0 if applied else len(better), "corrected": applied}
    return reading.found(shown=_shown(asked, result) | more, noted=_noted(asked, result, applied))


def _by_day(reading: Reading, asked: _Asked) -> dict[str, Any]:
    if asked.applies:
        raise Refused(f"{asked.account}'s account names no calls, so no estimate can be replaced by its bill")
    account = _DAY_READERS[asked.account](asked.content)
    days = frozenset(each for each in account.days if asked.span.has(each))
    account = replace(
        account, days=days, uses=tuple(each for each in account.uses if each.day in days),
        costs=tuple(each for each in account.costs if each.day in days),
    )  # fmt: skip
    result = reconcile_days(map(_booked, _lines(reading, asked, of=asked.span)), account)
    _check_amounts(result)
    more = {"basis": result.basis, "corrigible": 0, "corrected": 0}
    return reading.found(shown=_shown(asked, result) | more, noted=_noted(asked, result, 0))


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
        if asked.span.has(its_day):
            kept.append(line)
    of_day = (each.day or days.get(each.call_id, "") for each in billed)
    return kept, list(compress(billed, map(asked.span.has, of_day)))


def _lines(reading: Reading, asked: _Asked, *, of: Span = EVERYTHING) -> Iterable[CostLine]:
    """Return lines by the moment they were booked. Without a span all: only who matched them knows their day."""
    found = reading.told(questions.cost_lines(reading.ledger.db, since_t=of.since_t, until_t=of.until_t))
    return (line for line in found if asked.providers is None or line.provider in asked.providers)


def _booked(line: CostLine) -> Booked:
    name = "" if line.call_id is None else line.call_id
    return Booked(name, line.provider, line.model, line.kind, line.cost_nusd, day(line.t), line.usage)


def _better(lines: list[CostLine], billed: list[Billed]) -> dict[tuple[str, int], tuple[CostLine, Billed]]:
    """Return the estimates that the account settles, each with its bill, by exchange and call."""
    found = corrigible(map(_booked, lines), billed)
    return {
        (line.x, line.n): (line, found[line.call_id])
        for line in lines
        if line.call_id in found and line.kind not in SURE
    }


def _correction(line: CostLine, bill: Billed, source: str) -> records.Record:
    usage = line.usage if bill.usage is None else dict(bill.usage)
    # No card made this amount: the bill is the price, and re-rating leaves it alone.
    return correction(line, kind=records.sure_kind(line.x), usage=usage, cost_nusd=_cost_nusd(bill), card=None,
                      why="the provider's account", source=source)  # fmt: skip


def _settled(line: CostLine, better: dict[tuple[str, int], tuple[CostLine, Billed]]) -> Booked:
    """Return a line as its correction leaves it."""
    booked = _booked(line)
    if (line.x, line.n) not in better:
        return booked
    _, bill = better[line.x, line.n]
    usage = booked.usage if bill.usage is None else bill.usage
    return replace(booked, kind=records.sure_kind(line.x), cost_nusd=_cost_nusd(bill), usage=usage)


def _cost_nusd(bill: Billed) -> int:
    exact = bill.amount_usd * NUSD_PER_USD
    return round_half_even(exact.numerator, exact.denominator)


def _check_amounts(result: Reconciliation | DayReconciliation) -> None:
    off = result.difference_nusd
    if off is not None and abs(off) > capacity.SUM_MAX:
        raise Refused("the account differs by more than the books can count; are its amounts in US dollars?")


def _noted(asked: _Asked, result: Reconciliation | DayReconciliation, applied: int) -> records.Record | None:
    """Return the record of a comparison; None of one with some days, of which any share can be had."""
    if not asked.span.is_everything:
        return None
    share, off = result.explained_share, result.difference_nusd
    return records.reconciled(
        t=time.time_ns(), account=asked.account, source=asked.source,
        explained_ppb=None if share is None else round_half_even(share.numerator * 10**9, share.denominator),
        difference_nusd=None if off is None else round_half_even(off.numerator, off.denominator),
        differences=sum(each.calls for each in result.differences), corrected=applied,
    )  # fmt: skip


def _shown(asked: _Asked, result: Reconciliation | DayReconciliation) -> dict[str, Any]:
    return {
        "ok": result.agrees,
        "whole": asked.span.is_everything,
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
