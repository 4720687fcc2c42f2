"""I13, I18: amounts are computed again from what is stored beside them, and must come out the same, to the last digit.

A cost line's by its usage and the price card it was booked by, and a correction's likewise; a charge's by its plan's
terms, as far as they are stored: the meter in its decision record, or the schedule of its plan's version in the trail.
What the books do not say is not asked: a card from before cards were kept, the bill of a provider, an estimate from a
checkpoint, the price of a model that was named.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

import orjson

from margin import meter
from margin.card import Card, UnpricedBucket
from margin.ledger import questions
from margin.ledger.burning import revenue_nusd
from margin.ledger.exchanges import CACHE
from margin.ledger.rounding import MILLI, NUSD, Rounding
from margin.money import round_half_even, share_milli
from margin.rerating import read_card
from margin.savings import saved_nusd
from margin.usage import Usage

NAMED_MAX = 20
"""Amounts that are named of each kind: enough to see a pattern."""

PAYING = frozenset({"ok", "client_gone"})
"""Outcomes of which the whole price is charged; a crash is charged by its last checkpoint."""
FREE = frozenset({"error", "cut"})
"""Outcomes of which nothing is charged: the provider broke off."""
ROUTED = frozenset({"auto", "auto:simple", "auto:medium", "auto:complex"})
"""What is asked for at the plan's own prices by tier; a named model may have one of its own."""


def violations(db: sqlite3.Connection, rounding: Rounding) -> Iterator[str]:
    """Yield, in words, which amounts do not follow from what is stored; `rounding` counts those that do."""
    cards = {id_: read_card(levels) for id_, levels in questions.cards(db).items()}
    yield from islice(_costs(db, cards, rounding), NAMED_MAX)
    yield from islice(_charges(db, _schedules(db), rounding), NAMED_MAX)
    yield from islice(rounding.violations(), NAMED_MAX)


def _costs(db: sqlite3.Connection, cards: Mapping[str, Card], rounding: Rounding) -> Iterator[str]:
    lines = """SELECT l.x, n, 0, usage, card, l.cost_nusd FROM cost_lines AS l LEFT JOIN charges ON charges.x = l.x
        WHERE kind <> 'estimated' OR outcome IS NOT 'recovered'"""
    corrections = "SELECT x, n, revision, usage, card, cost_nusd FROM corrections"
    for query in (lines, corrections):
        for x, n, revision, usage, card, cost in db.execute(query):
            if usage is None or cost is None or card not in cards:
                continue
            used = _usage(usage)
            expected = None if used is None else _cost_nusd(cards[card], used)
            which = f"correction {revision} of call {n} of {x}" if revision else f"call {n} of {x}"
            if used is None or cost != expected:
                yield f"I13: {which} costs {cost} nUSD, its usage by {card} {expected}"
            elif not rounding.add(NUSD, card, cards[card].residue(used, cost)):
                yield f"I18: {which} costs {cost} nUSD, which is not its exact cost by {card}, rounded"


def _usage(stored: str) -> Usage | None:
    try:
        return Usage.from_dict(orjson.loads(stored))
    except ValueError:
        return None


def _cost_nusd(card: Card, usage: Usage) -> int | None:
    try:
        return card.cost_nusd(usage)
    except UnpricedBucket:
        return None


def _schedules(db: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """Return the credits of each tier by the plan's version, as far as the trail has them."""
    books = (orjson.loads(content) for (content,) in db.execute("SELECT content FROM trail WHERE kind = 'sellbook'"))
    plans = (plan for book in books for plan in book["plans"].values())
    return {plan["version"]: plan["schedule"] for plan in plans if "schedule" in plan}


_CHARGES = """SELECT x, outcome, charge_tier, plan_version, credits_milli, revenue_nusd, cost_nusd, baseline_nusd,
    saving_nusd, spared_nusd, marks_nusd, trims_nusd, decision, burnt,
    (SELECT usage FROM cost_lines AS l WHERE l.x = charges.x ORDER BY n DESC LIMIT 1),
    (SELECT CASE COUNT(*) WHEN COUNT(cost_nusd)
        THEN COALESCE(SUM(cost_nusd), CASE charges.provider WHEN '{cache}' THEN 0 END) END
        FROM cost_lines AS l WHERE l.x = charges.x)
    FROM charges""".replace("{cache}", CACHE)


def _charges(
    db: sqlite3.Connection, schedules: Mapping[str, Mapping[str, int]], rounding: Rounding
) -> Iterator[str]:  # fmt: skip
    for (
        x, outcome, tier, version, milli, revenue, cost, baseline, saving, spared, marks, trims, decision, burnt,
        usage, lines,
    ) in db.execute(_CHARGES):  # fmt: skip
        saved = saved_nusd(baseline, cost, spared_nusd=spared, marks_nusd=marks, trims_nusd=trims)
        parts = orjson.loads(burnt)
        asked = {
            "revenue in nUSD": (revenue, sum(revenue_nusd(parts))),
            "usage charged in nUSD": (revenue_nusd(parts)[1], _uncovered_nusd(parts)),
            "credits burnt": (milli, sum(part[1] for part in parts)),
            "cost in nUSD": (cost, lines),
            "saving in nUSD": (saving, None if saved is None else saved.total),
        }
        price = _price(orjson.loads(decision), outcome, usage, schedules.get(version, {}).get(tier))
        if price is not None:
            asked["credits in thousandths"] = (milli, price.milli)
        for what, (stored, expected) in asked.items():
            if stored != expected:
                yield f"I13: {what} of {x}: {stored} is stored, and {expected} follows"
        if price is None or price.residue is None or price.milli != milli:
            continue
        if not rounding.add(MILLI, f"the meter of {version}", price.residue):
            yield f"I18: credits in thousandths of {x}: {milli} is not its exact price, rounded"


class _Price(NamedTuple):
    """What a charge is by its terms; the residue of its rounding, where a meter made it."""

    milli: int
    residue: tuple[int, int] | None = None


def _uncovered_nusd(parts: list[Any]) -> int:
    """Return what credits without a grant come to: each part by its own price, rounded once."""
    return sum(round_half_even(rest[0] * milli, 1000) for grant, milli, _, *rest in parts if grant is None)


def _price(decision: dict[str, Any], outcome: str, usage: str | None, scheduled: int | None) -> _Price | None:
    """Return what the terms charge; None where the books do not say."""
    if "joined" in decision and decision["joined"][1]:
        return _Price(0)  # its task is charged in its place
    if decision.get("cache") in {"hit", "semantic"}:
        return _repeated(decision, scheduled)
    if "usage_source" not in decision:
        return None
    if outcome in FREE:
        return _Price(0)
    if outcome not in PAYING or usage is None:
        return None
    if "metered" not in decision:
        return None if scheduled is None or decision.get("requested") not in ROUTED else _Price(scheduled)
    if decision["usage_source"] != "reported":
        return None  # at most what was held, which the charge does not say
    terms, used = meter.read(decision["metered"]), Usage.from_dict(orjson.loads(usage))
    price = terms.charge_milli(used)
    return _Price(price, terms.residue(used, price))


def _repeated(decision: dict[str, Any], scheduled: int | None) -> _Price | None:
    """Return what the terms charge for an answer from memory: the plan's share of the tier's credits."""
    if scheduled is None or decision.get("requested") not in ROUTED:
        return None
    return _Price(share_milli(scheduled, Decimal(decision["cached_share"])))
