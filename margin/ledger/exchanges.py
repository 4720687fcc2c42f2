"""The fold of one exchange's records: hold, calls and marks, then one settlement or void; or an answer from memory.

A hold is state: it takes credits from the customer's grants and posts nothing (docs/adr/0036). The close is one
transaction, whose key is the exchange's trace for ever. Postings of a settlement: what is charged of the hold goes from
*balance* to *spent* (what was held too much goes back to the same grants and expires at once where the grant has ended
meanwhile); each burnt grant's cash basis becomes revenue; credits no grant covers are charged at the plan's overage or
prepaid price; every attempt is a cost line of its own under the one charge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from margin import records
from margin.ledger import burning, ending, rating, spending, tasks
from margin.ledger.burning import Burnt, revenue_nusd
from margin.ledger.grants import allocate
from margin.ledger.overdrafts import cover, exceed
from margin.ledger.postings import NOBODY, USD, Effects, Leg, RollupKey, pair
from margin.ledger.state import Hold, State
from margin.ledger.terms import Terms, day
from margin.money import round_half_even
from margin.savings import Saved, saved_nusd

Record = dict[str, Any]

UNANSWERED = frozenset({"error", "cut"})
"""Outcomes of a provider that failed: nothing was charged, so whoever asks again with the same key is served anew."""

CACHE = "cache"
"""Who served an answer from memory, where a provider's name stands."""

COST_ACCOUNTS: dict[str, str] = {kind: f"cogs.{kind}" for kind in records.COST_KINDS}
COST_SUMS = {kind: f"cost_{kind}_nusd" for kind in COST_ACCOUNTS}
TOKEN_SUMS = {
    "input": "input", "cache_read": "cache_read", "cache_write_5m": "cache_write", "cache_write_1h": "cache_write",
    "output": "output", "reasoning": "output",
}  # fmt: skip
"""Which sum of the rollup a bucket of usage counts in; those of audio and images count in none."""

WASTED = {"escalation": "cost_escalated_nusd", "hedge": "cost_hedged_nusd"}
"""Where calls are counted whose answer nobody got, by what they were made for."""


def is_closed(state: State, x: str, effects: Effects) -> bool:
    """Tell whether an exchange was settled or voided."""
    key = _close_key(x)
    return key in effects.names or state.history.has_txn(key)


def trace(record: Record) -> str | None:
    """Return the key of the transaction that tells whether the exchange which a record begins was there before."""
    return _close_key(record["x"]) if record["k"] in {"held", "repeated"} else None


def _close_key(x: str) -> str:
    return f"close:{x}"


def _held(state: State, record: Record, effects: Effects, journal: str) -> None:
    why = _senseless_hold(state, record, effects)
    if why is not None:
        effects.refused.append((record["x"], why))
        return
    hold = _hold_of(state, record, journal)
    state.put_hold(hold)
    if hold.claimed:
        effects.claims.append((hold.customer, *record["i"], hold.x, hold.t))
    if hold.task:
        tasks.touch(state.work, hold.task, hold.t)


def _hold_of(state: State, record: Record, journal: str) -> Hold:
    """Take the credits from the customer's grants, as far as they reach."""
    parts = allocate(state.live_grants(record["c"]), record["cr"], record["t"])
    for name, taken in parts:
        state.put_grant(state.grants[name].hold(taken))
    terms = state.terms_of(record["plan"])
    return Hold(
        record["x"], journal, record["c"], record["key"], record["plan"], record["pv"], record["tier"],
        record["served"], record["t"], record["dl"], record["cr"], tuple(parts), terms.uncovered_nusd_per_credit,
        record.get("call"), None, "i" in record, _excess(record, terms), record.get("f", ""), record.get("mb", ""),
        record.get("tk", ""),
    )  # fmt: skip


def _excess(record: Record, terms: Terms) -> str:
    if "met" not in record:
        return "refused"
    return "owed" if terms.enforce == "hard" else "charged"


def _senseless_hold(state: State, record: Record, effects: Effects) -> str | None:
    x = record["x"]
    if x in state.holds or is_closed(state, x, effects):
        return "held twice"
    if record["c"] not in state.customers:
        return f"held for customer {record['c']}, who does not exist"
    return "held less than nothing" if record["cr"] < 0 else None


def _called(state: State, record: Record, effects: Effects, _: str) -> None:
    hold = state.holds.get(record["x"])
    if hold is None:
        effects.refused.append((record["x"], "called without a hold"))
        return
    state.put_hold(hold._replace(call=record))


def _mark(state: State, record: Record, effects: Effects, _: str) -> None:
    hold = state.holds.get(record["x"])
    if hold is None:
        effects.refused.append((record["x"], "marked without a hold"))
        return
    state.put_hold(hold._replace(mark=record))


def _void(state: State, record: Record, effects: Effects, _: str) -> None:
    hold, t = state.pop_hold(record["x"]), record["t"]
    if hold is None:
        effects.refused.append((record["x"], "voided without a hold"))
        return
    _end_claim(hold, effects, is_answered=False)
    key = _close_key(hold.x)
    _close(state, hold, 0, t, effects)
    effects.book(key, "void", t, _costs(hold, record, _row(hold, _served(record), "", t), effects))
    spending.note(effects.spent, hold, record["a"], 0)
    if hold.task:
        tasks.count(state.work, hold.task, record["a"], t, effects, is_call=False)
    _follow(state, hold, key, t, effects)


def _settled(state: State, record: Record, effects: Effects, _: str) -> None:
    hold, charge, t = state.holds.get(record["x"]), record["cr"], record["t"]
    if hold is None:
        effects.refused.append((record["x"], "settled without a hold"))
        return
    if charge < 0 or (charge > hold.held_milli and hold.excess == "refused"):
        # It stays open, and the reaper closes it: a charge nobody held is never taken.
        effects.refused.append((record["x"], f"charges {charge} of {hold.held_milli} held"))
        return
    state.pop_hold(hold.x)
    _end_claim(hold, effects, is_answered=record["o"] not in UNANSWERED)
    key, within = _close_key(hold.x), min(charge, hold.held_milli)
    burnt = _close(state, hold, within, t, effects)
    served = _served(record)
    row = _row(hold, served, record["o"], t)
    legs = burning.legs(hold.customer, burnt) + _costs(hold, record, row, effects)
    effects.book(key, "charge", t, legs + _metered(state, hold, served, row, t, effects))
    if charge > within:
        burnt += exceed(state, hold, charge - within, t, effects)
    elif within < hold.held_milli:
        _follow(state, hold, key, t, effects)
    spending.note(effects.spent, hold, record["a"], charge)
    if hold.task:
        tasks.count(state.work, hold.task, record["a"], t, effects, is_call=True)
    _book(hold, record, served, burnt, row, effects)


def _repeated(state: State, record: Record, effects: Effects, journal: str) -> None:
    """An answer from memory: held and charged at once, in one transaction; it has no cost line."""
    why = _senseless_hold(state, record, effects)
    if why is not None:
        effects.refused.append((record["x"], why))
        return
    hold, t, charge = _hold_of(state, record, journal), record["t"], record["cr"]
    if hold.claimed:
        effects.claims.append((hold.customer, *record["i"], hold.x, t))
        _end_claim(hold, effects, is_answered=True)
    burnt = _close(state, hold, charge, t, effects)
    served = _served(record)
    row = _row(hold, served, record["o"], t)
    legs = burning.legs(hold.customer, burnt) + _metered(state, hold, served, row, t, effects)
    effects.book(_close_key(hold.x), "charge", t, legs)
    spending.note(effects.spent, hold, [served], charge)
    if hold.task:
        tasks.count(state.work, hold.task, [], t, effects, is_call=True)
    _book(hold, record, served, burnt, row, effects)


def _metered(
    state: State, hold: Hold, served: Record, row: RollupKey, t: int, effects: Effects
) -> tuple[Leg, ...]:  # fmt: skip
    """Count what the plan charges by quantity, and return its legs; what was not answered is no quantity."""
    terms = state.terms_of(hold.plan)
    if (
        not terms.usage
        or _is_charged_by_task(state, hold)
        or row.outcome in UNANSWERED
        or records.aside_of(hold.x) is not None
    ):
        return ()
    charge = rating.exchange(state, hold, terms, t, served["u"], effects)
    effects.add(row, **rating.sums(charge.nusd))
    return rating.legs(hold.customer, charge)


def _is_charged_by_task(state: State, hold: Hold) -> bool:
    task = state.work.find(hold.task) if hold.task else None
    return task is not None and task.is_charged_whole


def _end_claim(hold: Hold, effects: Effects, *, is_answered: bool) -> None:
    """An idempotency key stays with the exchange that answered; of one that did not, it is free again."""
    if hold.claimed:
        (effects.claims_answered if is_answered else effects.claims_free).append((hold.x,))


def _close(state: State, hold: Hold, charge_milli: int, t: int, effects: Effects) -> list[Burnt]:
    """Spend a charge of what is held, in burn order, and give the rest back to its grants; return what was burnt.

    What no grant stands behind is spent last.
    """
    if charge_milli < hold.held_milli and charge_milli < hold.covered_milli:
        ending.end_before_return(state, hold.grants, t, effects)
    burnt: list[Burnt] = []
    left = charge_milli
    for name, taken in hold.parts:
        spent = min(left, taken)
        grant, cash = state.grants[name].close(taken, spent)
        state.put_grant(grant)
        if spent:
            burnt.append((name, spent, cash))
        left -= spent
    if left:
        price = hold.uncovered_nusd_per_credit
        burnt.append((None, left, round_half_even(price * left, 1000), price))
    return burnt


def _follow(state: State, hold: Hold, key: str, t: int, effects: Effects) -> None:
    """Book what follows from credits that went back: those of ended grants expire, others cover what is owed."""
    ending.end_returned(state, hold.grants, hold.x, t, effects)
    cover(state, hold.customer, key, t, effects)


def _costs(hold: Hold, record: Record, row: RollupKey, effects: Effects) -> tuple[Leg, ...]:
    """Return the legs of all attempts. In the rollup they stand by the exchange's outcome (none for a void).

    `row` is where the request itself stands: by who served it last.
    """
    legs: tuple[Leg, ...] = ()
    for line in record["a"]:
        is_last = line is record["a"][-1]
        its_row = row if is_last else row._replace(provider=line["p"], model=line["m"])
        legs += _cost(hold, line, record["t"], its_row, effects)
    return legs


def _cost(hold: Hold, line: Record, t: int, row: RollupKey, effects: Effects) -> tuple[Leg, ...]:
    """Return one attempt's legs, and note its row. An unknown cost has a row and no legs: never a zero."""
    usage, cost, kind, provider = line["u"], line["cost"], line["kind"], line["p"]
    effects.cost_lines.append(
        (hold.x, line["n"], t, hold.customer, provider, line["d"], line["m"], kind, line["id"], line["st"],
         None if usage is None else orjson.dumps(usage).decode(), line.get("svc"), line["card"], cost)
    )  # fmt: skip
    if cost is None:
        return ()
    sums = {COST_SUMS[kind]: cost}
    if "for" in line:
        sums[WASTED[line["for"]]] = cost
    if records.aside_of(hold.x) is not None:
        sums["cost_overhead_nusd"] = cost
    effects.add(row, **sums)
    return pair(hold.customer, USD, cost, to=COST_ACCOUNTS[kind], from_=f"ap.{provider}", from_customer=NOBODY)


def _row(hold: Hold, line: Record, outcome: str, t: int) -> RollupKey:
    place = (day(t), hold.customer, hold.plan, hold.charge_tier, hold.served_tier, line["p"], line["m"], outcome)
    return tuple.__new__(RollupKey, place)


def _book(hold: Hold, record: Record, last: Record, burnt: list[Burnt], row: RollupKey, effects: Effects) -> None:
    """Note the charge's own row and its sums in the day's rollup."""
    lines, outcome, t = record["a"], record["o"], record["t"]
    revenue_credits, revenue_usage = revenue_nusd(burnt)
    costs = [line["cost"] for line in lines] if lines else [last["cost"]]
    cost = None if None in costs else sum(costs)
    baseline, charge, spared, marks = record["base"], record["cr"], record.get("spared", 0), record.get("marks", 0)
    trims = record.get("trims", 0)
    saved = saved_nusd(baseline, cost, spared_nusd=spared, marks_nusd=marks, trims_nusd=trims)
    saving = None if saved is None else saved.total
    effects.charges.append(
        (hold.x, t, hold.customer, hold.key, hold.plan, hold.plan_version, hold.charge_tier, hold.served_tier, outcome,
         last["p"], last["d"], last["m"], charge, revenue_credits + revenue_usage, cost, baseline, saving, spared,
         marks, trims, orjson.dumps(record["dec"]).decode(), orjson.dumps(burnt).decode())
    )  # fmt: skip
    sums = _saved(baseline, saved)
    sums |= {"requests": 1, "credits_milli": charge, "revenue_credits_nusd": revenue_credits,
             "revenue_usage_nusd": revenue_usage}  # fmt: skip
    for bucket, count in (last["u"] or {}).items():
        name = TOKEN_SUMS.get(bucket)
        if name is not None:
            sums[name] = sums.get(name, 0) + count
    if lines and cost == 0 and any((last["u"] or {}).values()):
        sums["costless"] = 1
    if lines and "total_us" in record["dec"]:
        sums["busy_us"] = record["dec"]["total_us"] - record["dec"]["overhead_us"]
    would = record["dec"].get("would")
    if would is not None and would["cost_nusd"] is not None and cost is not None:
        sums |= {"observed": 1, "saving_observed_nusd": cost - would["cost_nusd"]}
    if outcome == "ok" and lines and last["kind"] == "estimated":
        sums["usage_unusable"] = 1
    effects.add(row, **sums)


def _served(record: Record) -> Record:
    """Return the cost line of who served last; one that cost nothing for an answer from memory."""
    if record["a"]:
        last: Record = record["a"][-1]
        return last
    if record["k"] == "repeated":
        return {"p": CACHE, "d": record["d"], "m": record["m"], "u": None, "cost": 0}
    return {"p": "", "d": "", "m": "", "u": None, "cost": None}


def _saved(baseline: int | None, saved: Saved | None) -> dict[str, int]:
    """Return the rollup's sums of what an exchange saved; an unknown saving is counted, not guessed."""
    if saved is None or baseline is None:
        return {"unpriced": 1}
    found = {"baseline_nusd": baseline, "saving_routing_nusd": saved.routing}
    if saved.prompt_optimisation:
        found["saving_trims_nusd"] = saved.prompt_optimisation
    if saved.response_cache:
        found["saving_cache_nusd"] = saved.response_cache
    if saved.prompt_cache:
        found["saving_prompt_nusd"] = saved.prompt_cache
    if saved.prompt_cache < 0:
        found["saving_prompt_negative_nusd"] = -saved.prompt_cache
    return found if saved.routing >= 0 else found | {"saving_negative_nusd": -saved.routing}


STEPS: dict[str, Callable[[State, Record, Effects, str], None]] = {
    "held": _held,
    "called": _called,
    "mark": _mark,
    "void": _void,
    "settled": _settled,
    "repeated": _repeated,
}
