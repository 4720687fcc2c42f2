"""The fold of quantities: what an exchange, or a thing delivered, adds to its customer's month, and what that costs.

A month's quantity is counted by customer, plan and meter. What more of it costs is the total with it less the total
without it, so whatever is booked adds up to the price of the sum (I11). A month that has ended short of a minimum has
the shortfall booked; what comes late for it is charged only beyond what is booked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from margin.components import METER_PARTS, Metered
from margin.ledger import commitments
from margin.ledger.commitments import Charge
from margin.ledger.postings import USD, Effects, Leg, RollupKey, pair
from margin.ledger.state import Customer, Hold, MeteredKey, Quantity, State
from margin.ledger.terms import Period, Terms, day
from margin.money import round_half_even

Record = dict[str, Any]

BESIDE_METERS = frozenset({"commitment", "beyond"})
"""Lines that say how a charge was split, beside those of the meters that it comes from."""

_OUTPUT = frozenset({"output", "reasoning", "audio_out"})
_MS_NS = 1_000_000


class Rated(NamedTuple):
    """One line: what `cause` added to a meter in a month. An exchange's cause is its name; a shortfall adds 0."""

    cause: str
    meter: str
    t: int
    customer: int
    plan: str
    period: str
    quantity: int
    nusd: int


def exchange(
    state: State, hold: Hold, terms: Terms, t: int, usage: Mapping[str, int] | None, effects: Effects
) -> Charge:  # fmt: skip
    """Count an exchange on each of its plan's meters; return what it is charged for that."""
    charged = 0
    for meter, metered in terms.usage.items():
        quantity = measured(meter, hold, t, usage)
        if quantity:
            charged += _rate(state, (hold.customer, hold.plan, meter, _month(t)), metered, quantity, hold.x, t, effects)
    return _drawn(state, (hold.customer, hold.plan), charged, hold.x, t, effects)


def _drawn(
    state: State, of: tuple[int, str], nusd: int, cause: str, t: int, effects: Effects
) -> Charge:  # fmt: skip
    """Charge an amount to a customer on a plan: what it has promised to spend first."""
    charge, lines = commitments.draw(state, of[0], nusd, t, effects)
    for name, quantity, more in lines:
        state.count((*of, name, _month(t)), cause, t, quantity, more, effects.rated)
    return charge


def measured(meter: str, hold: Hold, t: int, usage: Mapping[str, int] | None) -> int:
    """Return an exchange's quantity in parts of the meter's unit. An answer from memory has no tokens."""
    if meter == "calls":
        return METER_PARTS["calls"]
    if meter == "compute_minutes":
        return max(t - hold.t, 0) // _MS_NS  # a clock that was set back takes nothing off
    if usage is None:
        return 0
    is_output = {"tokens": (True, False), "output_tokens": (True,), "input_tokens": (False,)}[meter]
    return sum(count for bucket, count in usage.items() if (bucket in _OUTPUT) in is_output)


def delivered(state: State, record: Record, effects: Effects) -> None:
    """Fold a *delivered* record: somebody says that so many of an item were."""
    key, customer = f"item:{record['id']}", state.customers.get(record["c"])
    meter, t = f"item.{record['item']}", record["t"]
    metered = None if customer is None else state.terms(customer).metered(meter)
    if customer is None or metered is None or record["n"] < 1:
        effects.refused.append((record["id"], "delivered, and the customer's plan sells no such item"))
        return
    if key in effects.names or state.history.has_txn(key):
        effects.refused.append((record["id"], "delivered twice"))
        return
    nusd = _rate(state, (customer.number, customer.plan, meter, _month(t)), metered, record["n"], key, t, effects)
    charge = _drawn(state, (customer.number, customer.plan), nusd, key, t, effects)
    effects.book(key, "item", t, legs(customer.number, charge))
    effects.add(RollupKey(day(t), customer.number, customer.plan), **sums(charge.nusd))


def take_back(state: State, record: Record, effects: Effects) -> Charge:
    """Take a reversed exchange's quantities off again; return what that gives back.

    Of the month that runs, what the rest costs less. Of one that has ended, what was booked.
    """
    t, back, cause = record["t"], 0, f"reverse:{record['x']}"
    for meter, plan, period, quantity, nusd in record.get("rated", ()):
        if meter in BESIDE_METERS:
            continue  # what is drawn again follows from the meters
        key: MeteredKey = (record["c"], plan, meter, period)
        metered, known = state.terms_of(plan).metered(meter), state.quantity(key)
        amount = nusd
        if metered is not None and period == _month(t) and not known.is_closed:
            amount = -metered.tiers.added_nusd(known.quantity, -quantity)
        after = known._replace(quantity=known.quantity - quantity, nusd=known.nusd - amount)
        _note(state, key, after, Rated(cause, meter, t, *key[:2], period, -quantity, -amount), effects)
        back += amount
    given = _drawn(state, (record["c"], record["row"][0]), -back, cause, t, effects)
    return Charge(-given.drawn_nusd, -given.owed_nusd)


def close_month(state: State, customer: Customer, period: Period, until: int, effects: Effects) -> None:
    """Book what a customer's minimums come to beyond what it used, for as much of the month as it was on the plan."""
    terms = state.terms(customer)
    if not terms.has_minimum:
        return
    share = (until - max(period.start_t, customer.plan_t), period.end_t - period.start_t)
    prefixed = {f"item.{name}": each for name, each in terms.items.items()}
    for meter, metered in sorted({**terms.usage, **prefixed}.items()):
        key: MeteredKey = (customer.number, customer.plan, meter, period.name)
        known = state.quantity(key)
        if known.is_closed or not metered.minimum:
            continue
        short = shortfall_nusd(metered, known.quantity, *share)
        state.put_quantity(key, known._replace(nusd=known.nusd + short, is_closed=until == period.end_t))
        if not short:
            continue
        cause = f"short:{customer.number}:{customer.plan}:{meter}:{until}"
        effects.rated.append(Rated(cause, meter, until, customer.number, customer.plan, period.name, 0, short))
        effects.post(cause, "shortfall", until,
                     *pair(customer.number, USD, short, to="receivable", from_="rev.shortfall"))  # fmt: skip
        effects.add(RollupKey(day(until - 1), customer.number, customer.plan), revenue_shortfall_nusd=short)


def shortfall_nusd(metered: Metered, quantity: int, elapsed: int = 1, whole: int = 1) -> int:
    """Return what a minimum comes to beyond a quantity; the minimum of a part of a month is its share, rounded once.

    By volume, less than the minimum may cost more than it: then nothing is missing.
    """
    wanted = round_half_even(metered.minimum * metered.tiers.parts * elapsed, whole)
    return max(metered.tiers.added_nusd(quantity, wanted - quantity), 0) if wanted > quantity else 0


def legs(customer: int, charge: Charge) -> tuple[Leg, ...]:
    """Return what a rated amount posts."""
    found = pair(customer, USD, charge.owed_nusd, to="receivable", from_="rev.metered")
    if charge.drawn_nusd:
        found += pair(customer, USD, charge.drawn_nusd, to="deferred.commit", from_="rev.metered")
    return found


def sums(nusd: int) -> dict[str, int]:
    """Return where a rated amount counts in the rollup; no sum falls, so one below zero has a column of its own."""
    return {"revenue_metered_nusd": nusd} if nusd >= 0 else {"revenue_metered_reversed_nusd": -nusd}


def _rate(
    state: State, key: MeteredKey, metered: Metered, quantity: int, cause: str, t: int, effects: Effects
) -> int:  # fmt: skip
    known = state.quantity(key)
    total = known.quantity + quantity
    try:
        nusd = metered.tiers.added_nusd(known.quantity, quantity)
        if known.is_closed:
            nusd = max(metered.tiers.total_nusd(total), known.nusd) - known.nusd
    except OverflowError:
        effects.refused.append((cause, f"charged more by {key[2]} than the books can count"))
        return 0
    after = known._replace(quantity=total, nusd=known.nusd + nusd)
    customer, plan, meter, period = key
    _note(state, key, after, Rated(cause, meter, t, customer, plan, period, quantity, nusd), effects)
    return nusd


def _note(state: State, key: MeteredKey, after: Quantity, line: Rated, effects: Effects) -> None:
    state.put_quantity(key, after)
    effects.rated.append(line)


def _month(t: int) -> str:
    return day(t)[:7]
