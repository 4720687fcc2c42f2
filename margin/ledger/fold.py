"""The fold: one journal record in, postings out. Pure: the same records in the same order give the same books.

A record that makes no sense here (a second settlement, a hold that was never opened) changes nothing and is listed
under `Effects.refused`; the journals were written by us, so each is a bug or a replay and is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from heapq import nsmallest
from typing import Any

from margin.ledger import commitments, ending, exchanges, pricebooks, rating, reversing, spending, tasks, trail
from margin.ledger.capacity import SUM_MAX
from margin.ledger.corrections import corrected, reconciled
from margin.ledger.grants import NEVER_T, PRIORITY_INCLUDED, Grant
from margin.ledger.overdrafts import cover
from margin.ledger.postings import CREDIT, USD, Effects, RollupKey, pair
from margin.ledger.state import Customer, Key, State
from margin.ledger.terms import Period, Terms, day
from margin.money import round_half_even

Record = dict[str, Any]

CLAIM_KEPT_NS = 8 * 24 * 3600 * 1_000_000_000
"""A day more than the longest time for which a configuration may keep idempotency keys."""

ACCRUED_MAX = 1_000
"""Fees that one tick books, so that it does not hold the keeper up. With a tick a minute, that of each of 10,000
customers is booked every ten minutes; 100,000 add 1.4 million transactions a day, not 144."""


def apply(state: State, record: Record, effects: Effects, *, journal: str) -> None:
    """Apply one record, read from `journal`, to the state and collect what it posts.

    Kinds this version does not know are skipped: an older ledger must be able to read a newer journal's extras.
    """
    kind = record["k"]
    exchange_step = exchanges.STEPS.get(kind)
    if exchange_step is not None:  # nearly all there are
        exchange_step(state, record, effects, journal)
        return
    step = _STEPS.get(kind)
    if step is not None:
        refused = len(effects.refused)
        step(state, record, effects)
        if kind in trail.KINDS and len(effects.refused) == refused:
            effects.trail.append(trail.row(record))


def _sellbook(state: State, record: Record, effects: Effects) -> None:
    # The old terms hold up to this moment; the new ones from it.
    _accrue_each(state, state.periodic, record["t"], effects)
    _end_grants(state, record["t"], effects)
    state.plans = {name: Terms.read(name, terms) for name, terms in record["plans"].items()}
    state.default_plan, state.sellbook_version = record["default"], record["version"]
    state.changed.add(("plans", ""))
    for number in sorted(state.customers):
        _begin_accrual(state, state.customers[number], state.customers[number].plan, record["t"], effects)


def _customer(state: State, record: Record, effects: Effects) -> None:
    number, t = record["c"], record["t"]
    if number in state.customers:
        effects.refused.append((str(number), "customer exists"))
        return
    fresh = Customer(number, record["plan"], t, t, t, 0, "", plan_t=t)
    _begin_accrual(state, fresh, record["plan"], t, effects)


def _moved(state: State, record: Record, effects: Effects) -> None:
    customer = state.customers.get(record["c"])
    if customer is None:
        effects.refused.append((str(record["c"]), "moved, and does not exist"))
        return
    t = record["t"]
    _accrue(state, customer, t, effects)
    left = state.customers[customer.number]
    rating.close_month(state, left, Period.of(left.accrued_to_t), left.accrued_to_t, effects)
    _begin_accrual(state, replace(left, plan_t=max(t, left.accrued_to_t)), record["plan"], t, effects)


def _seats(state: State, record: Record, effects: Effects) -> None:
    customer = state.customers.get(record["c"])
    if customer is None or record["n"] < 0:
        effects.refused.append((str(record["c"]), "given seats, and does not exist"))
        return
    _accrue(state, customer, record["t"], effects)
    seated = replace(state.customers[customer.number], seats=record["n"])
    _begin_accrual(state, seated, seated.plan, record["t"], effects)


def _described(state: State, record: Record, effects: Effects) -> None:
    customer = state.customers.get(record["c"])
    if customer is None:
        effects.refused.append((str(record["c"]), "described, and does not exist"))
        return
    state.put_customer(replace(customer, segment=record["segment"], persona=record["persona"]))


def _begin_accrual(state: State, customer: Customer, plan: str, t: int, effects: Effects) -> None:
    # A clock that was set back does not make a customer pay for the same time twice.
    begin_t = max(t, customer.accrued_to_t)
    begun = replace(
        customer, plan=plan, accrued_from_t=begin_t, accrued_to_t=begin_t, accrued_nusd=0, accrued_seats_nusd=0
    )
    state.put_customer(begun)
    _include(state, commitments.renewed(state, begun, begin_t, effects), begin_t, effects)


def _key(state: State, record: Record, _: Effects) -> None:
    _begin_key(state, record, record["t"])


def _keys_imported(state: State, record: Record, _: Effects) -> None:
    for each in record["keys"]:
        _begin_key(state, each, record["t"])


def _begin_key(state: State, key: Record, t: int) -> None:
    state.put_key(Key(key["id"], key["digest"], key["c"], tuple(key["scopes"]), t, terms=key.get("terms", {})))


def _key_changed(state: State, record: Record, effects: Effects) -> None:
    found = state.keys.get(record["id"])
    if found is None or found.revoked_t is not None:
        effects.refused.append((record["id"], "no such live key"))
        return
    after = {name: value for name, _, value in record["diff"]}
    scopes = tuple(after.pop("scopes", found.scopes))
    terms = {name: value for name, value in {**found.terms, **after}.items() if value is not None}
    state.put_key(replace(found, scopes=scopes, terms=terms))


def _key_revoked(state: State, record: Record, effects: Effects) -> None:
    found = state.keys.get(record["id"])
    if found is None or found.revoked_t is not None:
        effects.refused.append((record["id"], "no such live key"))
        return
    state.put_key(replace(found, revoked_t=record["t"]))


def _grant(state: State, record: Record, effects: Effects) -> None:
    expires = NEVER_T if record["exp"] is None else record["exp"]
    why = _senseless_grant(state, record, effects)
    if why is not None:
        effects.refused.append((record["id"], why))
        return
    _give(
        state,
        record["id"],
        record["c"],
        record["cr"],
        record["paid"],
        expires,
        record["prio"],
        record["t"],
        effects,
    )


def _senseless_grant(state: State, record: Record, effects: Effects) -> str | None:
    key = f"grant:{record['id']}"
    if key in effects.names or state.history.has_txn(key):
        return "granted twice"
    if record["c"] not in state.customers:
        return f"granted to customer {record['c']}, who does not exist"
    return None if record["cr"] > 0 else "a grant of nothing"


def _give(
    state: State,
    id_: str,
    number: int,
    milli: int,
    paid_nusd: int,
    expires_t: int,
    priority: int,
    t: int,
    effects: Effects,
) -> None:
    if max(state.issued_milli + milli, state.cash_nusd + paid_nusd) > SUM_MAX:
        effects.refused.append((id_, "a grant of more than the books can count"))
        return
    state.issued_milli, state.cash_nusd = state.issued_milli + milli, state.cash_nusd + paid_nusd
    state.grant_seq += 1
    state.put_grant(
        Grant.fresh(id_, state.grant_seq, number, milli, paid_nusd, t, expires_t=expires_t, priority=priority)
    )
    effects.post(f"grant:{id_}", "grant", t,
                 *pair(number, CREDIT, milli, to="credits.balance", from_="credits.issued"),
                 *pair(number, USD, paid_nusd, to="cash", from_="deferred.credits"))  # fmt: skip
    cover(state, number, f"grant:{id_}", t, effects)


def _tick(state: State, record: Record, effects: Effects) -> None:
    t = record["t"]
    _accrue_each(state, _furthest_behind(state, t), t, effects)
    _end_grants(state, t, effects)
    effects.claims_until_t = max(effects.claims_until_t, t - CLAIM_KEPT_NS)
    forgotten = t // spending.HOUR_NS - spending.KEPT_HOURS
    spending.forget(effects.spent, forgotten)
    effects.spent_until_hour = max(effects.spent_until_hour, forgotten)


def _furthest_behind(state: State, t: int) -> Iterable[int]:
    """Return whose fees a tick brings up to `t`: all, or of many those furthest behind and those a month ended for."""
    if len(state.periodic) <= ACCRUED_MAX:
        return state.periodic
    accrued = {number: state.customers[number].accrued_to_t for number in state.periodic}
    month_t = Period.of(t).start_t
    ended = {number for number, until in accrued.items() if until < month_t}
    return ended.union(nsmallest(ACCRUED_MAX, accrued, key=lambda number: (accrued[number], number)))


def _accrue_each(state: State, numbers: Iterable[int], t: int, effects: Effects) -> None:
    for number in sorted(numbers):
        _accrue(state, state.customers[number], t, effects)


def _end_grants(state: State, t: int, effects: Effects) -> None:
    for grant in state.pop_ended(t):
        ending.end(state, grant, effects)


def _accrue(state: State, customer: Customer, t: int, effects: Effects) -> None:
    """Bring a customer's fee up to `t`, month by month, and give each new month's included credits."""
    while customer.accrued_to_t < t:
        period = Period.of(customer.accrued_to_t)
        until = min(t, period.end_t)
        customer = _accrue_within(state, customer, period, until, effects)
        if until == period.end_t:
            rating.close_month(state, customer, period, until, effects)
            customer = replace(customer, accrued_from_t=until, accrued_nusd=0, accrued_seats_nusd=0)
            state.put_customer(customer)
            customer = _include(state, customer, until, effects)
    commitments.renewed(state, state.customers[customer.number], t, effects)


def _accrue_within(state: State, customer: Customer, period: Period, until: int, effects: Effects) -> Customer:
    # The whole segment's share minus what was booked of it: roundings do not pile up, and a full month is the exact
    # fee.
    terms, whole = state.terms(customer), period.end_t - period.start_t
    elapsed = until - customer.accrued_from_t
    due = round_half_even(terms.fee_nusd_month * elapsed, whole)
    seats_due = round_half_even(terms.seat_nusd_month * customer.seats * elapsed, whole)
    amount, for_seats = due - customer.accrued_nusd, seats_due - customer.accrued_seats_nusd
    effects.post(f"fee:{customer.number}:{customer.accrued_to_t}", "fee", until,
                 *pair(customer.number, USD, amount, to="receivable", from_="rev.subscription"),
                 *pair(customer.number, USD, for_seats, to="receivable", from_="rev.seats"))  # fmt: skip
    if amount or for_seats:
        row = RollupKey(day(until - 1), customer.number, customer.plan)
        effects.add(row, revenue_fee_nusd=amount, revenue_seats_nusd=for_seats)
    after = replace(customer, accrued_to_t=until, accrued_nusd=due, accrued_seats_nusd=seats_due)
    state.put_customer(after)
    return after


def _include(state: State, customer: Customer, t: int, effects: Effects) -> Customer:
    """Give the period's included credits, whole, once per plan and period; they end with the period."""
    terms, period = state.terms(customer), Period.of(t)
    given = customer.included_period.split("\n")
    if given[0] != period.name:
        given = [period.name]
    customer, given = _include_seats(state, customer, period, given, t, effects)
    if terms.included_milli == 0 or customer.plan in given[1:]:
        return customer
    id_ = f"included:{customer.number}:{customer.plan}/{period.name}"
    _give(state, id_, customer.number, terms.included_milli, 0, period.end_t, PRIORITY_INCLUDED, t, effects)
    # What was just given may have covered what was owed.
    after = replace(state.customers[customer.number], included_period="\n".join([*given, customer.plan]))
    state.put_customer(after)
    return after


def _include_seats(
    state: State, customer: Customer, period: Period, given: list[str], t: int, effects: Effects
) -> tuple[Customer, list[str]]:  # fmt: skip
    """Give the credits of seats that gave none in this period: the most seats there were, whoever came and went.

    They are one pool. Which have given is noted beside the plan's name, as ``pro=5``.
    """
    each_milli, mark = state.terms(customer).seat_milli, f"{customer.plan}="
    before = customer.seats_given(period.name)
    if customer.seats <= before or each_milli == 0:
        return customer, given
    id_ = f"seats:{customer.number}:{customer.plan}/{period.name}/{customer.seats}"
    milli = (customer.seats - before) * each_milli
    _give(state, id_, customer.number, milli, 0, period.end_t, PRIORITY_INCLUDED, t, effects)
    given = [name for name in given if not name.startswith(mark)] + [f"{mark}{customer.seats}"]
    after = replace(state.customers[customer.number], included_period="\n".join(given))
    state.put_customer(after)
    return after, given


def _configured(state: State, record: Record, _: Effects) -> None:
    for path, _before, after in record["diff"]:
        if after is None:
            state.configuration.pop(path, None)
        else:
            state.configuration[path] = after
    state.configuration_version = record["version"]
    state.changed.add(("configuration", ""))


def _forgot(_: State, record: Record, effects: Effects) -> None:
    effects.forgotten.append((record["u"], len(effects.charges)))


def _task_opened(state: State, record: Record, effects: Effects) -> None:
    if record["c"] not in state.customers:
        effects.refused.append((record["id"], f"opened for customer {record['c']}, who does not exist"))
        return
    tasks.opened(state.work, record, effects)


def _task_closed(state: State, record: Record, effects: Effects) -> None:
    tasks.closed(state.work, record, effects)


def _task_cost(state: State, record: Record, effects: Effects) -> None:
    key = f"task-cost:{record['id']}"
    if key in effects.names or state.history.has_txn(key):
        effects.refused.append((record["id"], "told twice"))
        return
    tasks.costed(state.work, record, effects)


def _outcome(state: State, record: Record, effects: Effects) -> None:
    tasks.judged(state.work, record, effects)


def _told(_state: State, _record: Record, _effects: Effects) -> None:
    """Nothing changes in the books; the trail keeps it."""


_STEPS: dict[str, Callable[[State, Record, Effects], None]] = {
    "sellbook": _sellbook,
    "customer": _customer,
    "moved": _moved,
    "seats": _seats,
    "described": _described,
    "delivered": rating.delivered,
    "key": _key,
    "keys_imported": _keys_imported,
    "key_changed": _key_changed,
    "key_revoked": _key_revoked,
    "grant": _grant,
    "configured": _configured,
    "archived": _told,
    "forgot": _forgot,
    "runaway": _told,
    "budgets_spent": _told,
    "guarded": _told,
    "alerted": _told,
    "alert_sent": _told,
    "tick": _tick,
    "corrected": corrected,
    "reconciled": reconciled,
    "reversed": reversing.apply,
    "task_opened": _task_opened,
    "task_closed": _task_closed,
    "outcome": _outcome,
    "task_cost": _task_cost,
    "card": pricebooks.card,
    "costbook": pricebooks.costbook,
}
