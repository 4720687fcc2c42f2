"""What a fold returns: transactions of legs, and the rows that stand beside them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

CREDIT = "CREDIT"
"""Commodity in milli-credits."""
USD = "USD"
"""Commodity in nano-dollars."""

NOBODY = 0
"""The customer number of accounts that belong to the house."""


# Rollup keys and holds are named tuples: each exchange makes a few, and a frozen dataclass takes thrice as long to make
# and to hash. `tuple.__new__` makes one in a third of the time of its name, which is for where all of them come by. Of
# legs an exchange makes six, and a plain tuple takes a tenth of a named one.

Leg = tuple[int, str, str, int]
"""One entry: (customer, account, commodity, amount). Debit is positive."""


class Txn(NamedTuple):
    """A balanced set of legs. `key` is unique forever: a second transaction with it cannot be stored."""

    key: str
    kind: str
    t: int
    legs: tuple[Leg, ...]

    @classmethod
    def balanced(cls, key: str, kind: str, t: int, legs: tuple[Leg, ...]) -> Txn:
        """Return a transaction; an unbalanced one is refused."""
        credit = usd = 0
        for _, _, commodity, amount in legs:
            if commodity == CREDIT:
                credit += amount
            else:
                usd += amount
        assert credit == usd == 0, f"{kind} {key} does not balance: {credit} {CREDIT}, {usd} {USD}"
        return tuple.__new__(cls, (key, kind, t, legs))


def pair(
    customer: int,
    commodity: str,
    amount: int,
    *,
    to: str,
    from_: str,
    from_customer: int | None = None,
) -> tuple[Leg, ...]:
    """Return the two legs that move `amount` from one account to another; none when it is zero."""
    if amount == 0:
        return ()
    giver = customer if from_customer is None else from_customer
    return ((customer, to, commodity, amount), (giver, from_, commodity, -amount))


class RollupKey(NamedTuple):
    """A day of one customer on one plan, by tier, by who served and how it ended. Empty strings: not a request."""

    day: str
    customer: int
    plan: str
    charge_tier: str = ""
    served_tier: str = ""
    provider: str = ""
    model: str = ""
    outcome: str = ""


ROLLUP_SUMS = (
    "requests", "input", "cache_read", "cache_write", "output", "credits_milli", "cost_model_nusd",
    "cost_estimated_nusd", "cost_failed_nusd", "cost_classifier_nusd", "cost_shadow_nusd", "cost_overhead_nusd",
    "cost_corrected_nusd", "revenue_credits_nusd",
    "revenue_usage_nusd", "revenue_fee_nusd", "revenue_breakage_nusd",
    "baseline_nusd", "saving_cache_nusd", "saving_routing_nusd", "saving_negative_nusd", "saving_prompt_nusd",
    "saving_prompt_negative_nusd", "saving_trims_nusd", "unpriced",
    "credits_reversed_milli", "revenue_credits_reversed_nusd", "revenue_usage_reversed_nusd",
    "revenue_metered_nusd", "revenue_metered_reversed_nusd", "revenue_seats_nusd", "revenue_shortfall_nusd",
    "excess_milli", "usage_unusable", "cost_escalated_nusd", "cost_hedged_nusd", "observed", "saving_observed_nusd",
    "revenue_tasks_nusd", "revenue_tasks_reversed_nusd", "cost_unearned_nusd",
    "cost_tool_nusd", "cost_human_nusd", "cost_compute_nusd", "cost_other_corrected_nusd",
    "cost_unearned_corrected_nusd", "busy_us", "costless",
)  # fmt: skip
"""What a rollup row adds up. `saving_cache_nusd` is what answers from memory spared, `saving_prompt_nusd` what marks
for providers' prompt caches saved, net, and `saving_prompt_negative_nusd` its part below zero, sign turned;
`saving_trims_nusd` is what was left out of prompts;
`saving_routing_nusd` is the rest, net, and `saving_negative_nusd` its part below zero.
`unpriced` counts requests whose cost or baseline is not known, `usage_unusable` whole answers whose usage the provider
did not report, or contradicted itself in. `excess_milli` is what was charged beyond holds. The costs are what was ever
booked, and `cost_corrected_nusd` what corrections took out of them again; what was reversed stands in columns of its
own, on the day of the reversal: no sum ever falls, so counters can be made of them.
`cost_overhead_nusd` is the part of the costs that calls beside exchanges cost, whatever their cost lines stand on.
`cost_escalated_nusd` and `cost_hedged_nusd` are the parts of the costs that answers cost which nobody got. `observed`
counts requests that were served as before, `saving_observed_nusd` is what the policy would have saved of them, net: it
is in no other sum, as nobody saved it. `cost_unearned_nusd` is the part of the costs that tasks cost which failed, were
handed off or reversed. `cost_tool_nusd`, `cost_human_nusd` and `cost_compute_nusd` are what tasks cost beside calls;
`cost_other_corrected_nusd` is what of these was wrong, and `cost_unearned_corrected_nusd` the part of it that was
unearned. `busy_us` is how long callers waited for providers, in microseconds, of exchanges that were called and
settled live: what revenue per compute hour is divided by. `costless`
counts exchanges that used tokens and cost nothing: of a model that is free, or one whose price is missing a bucket."""


@dataclass(slots=True)
class Effects:
    """Everything one batch of records changes, collected to be stored in one database transaction."""

    txns: list[Txn] = field(default_factory=list)
    charges: list[tuple[Any, ...]] = field(default_factory=list)
    cost_lines: list[tuple[Any, ...]] = field(default_factory=list)
    corrections: list[tuple[Any, ...]] = field(default_factory=list)
    reconciliations: list[tuple[Any, ...]] = field(default_factory=list)
    reversals: list[tuple[Any, ...]] = field(default_factory=list)
    task_costs: list[tuple[Any, ...]] = field(default_factory=list)
    task_events: list[tuple[Any, ...]] = field(default_factory=list)
    rated: list[tuple[Any, ...]] = field(default_factory=list)
    cards: list[tuple[Any, ...]] = field(default_factory=list)
    costbooks: list[tuple[Any, ...]] = field(default_factory=list)
    rollup: dict[RollupKey, defaultdict[str, int]] = field(default_factory=dict)
    spent: dict[Any, Any] = field(default_factory=dict)
    """What budgets go by; see `margin.ledger.spending.Spent`."""
    spent_until_hour: int = 0
    """What is stored of hours before this one is forgotten before this batch's is added."""
    names: set[str] = field(default_factory=set)
    """Keys of the transactions in here."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """(exchange, why) of records that had no effect, such as a second settlement. Counted, never silent."""

    trail: list[tuple[int, str, str, str]] = field(default_factory=list)
    """Deliberate changes, as `margin.ledger.trail.row` writes them."""
    claims: list[tuple[int, str, str, str, int]] = field(default_factory=list)
    """(customer, key's digest, request's digest, exchange, moment) of idempotency keys that were taken."""
    claims_answered: list[tuple[str]] = field(default_factory=list)
    """Exchanges whose key stays taken: they answered."""
    claims_free: list[tuple[str]] = field(default_factory=list)
    """Exchanges whose key may be used again."""
    forgotten: list[tuple[int, int]] = field(default_factory=list)
    """(moment, how many charges of this batch were booked by then): charges from before it lose their details."""
    claims_until_t: int = 0
    """Claims from before this moment are forgotten."""

    def post(self, key: str, kind: str, t: int, *legs: Leg) -> None:
        """Add a transaction unless it moves nothing."""
        if legs:
            self.book(key, kind, t, legs)

    def book(self, key: str, kind: str, t: int, legs: tuple[Leg, ...]) -> None:
        """Add a transaction, also one that moves nothing: its key is taken from here on."""
        self.txns.append(Txn.balanced(key, kind, t, legs))
        self.names.add(key)

    def add(self, key: RollupKey, **sums: int) -> None:
        """Add to one rollup row."""
        row = self.rollup.get(key)
        if row is None:
            row = self.rollup[key] = defaultdict(int)
        for name, amount in sums.items():
            if amount:
                row[name] += amount
