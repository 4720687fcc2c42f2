"""What the fold must remember between records: customers, keys, live grants, open holds, the current plans.

Everything here is small beside the history (it grows with customers and open exchanges, not with requests), is stored
with the entries in one database transaction, and can be rebuilt from the journals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, NamedTuple, Protocol

from margin.journal import Position
from margin.ledger.grants import NEVER_T, Grant
from margin.ledger.tasks import Work
from margin.ledger.terms import Period, Terms


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer's subscription: which plan, and how far its fee has accrued since its terms last changed."""

    number: int
    plan: str
    since_t: int
    accrued_from_t: int
    accrued_to_t: int
    accrued_nusd: int
    included_period: str
    """The period whose included credits were given, and the plans they were given under, so that each gives once. One
    per line."""
    owed_milli: int = 0
    """Overdraft of a plan that serves nothing past the balance: until it is covered, nothing is available."""
    plan_t: int = 0
    """When it came onto its plan."""
    seats: int = 0
    accrued_seats_nusd: int = 0
    """What its seats have accrued since then."""
    commit_nusd: int = 0
    """What it has promised to spend in the term that runs."""
    commit_end_t: int = 0
    """When that ends; 0: none runs."""
    commit_used_nusd: int = 0
    """What the term has cost so far, at the plans' prices."""
    segment: str = ""
    """The group of customers that somebody put it in, such as `smb`; empty: in none."""
    persona: str = ""
    """Who uses it there, such as `developer`; empty: nobody said."""

    def seats_given(self, period: str) -> int:
        """Return how many seats have given their credits in a period on the plan that it is on."""
        given, mark = self.included_period.split("\n"), f"{self.plan}="
        if given[0] != period:
            return 0
        return max((int(name.removeprefix(mark)) for name in given[1:] if name.startswith(mark)), default=0)


class Quantity(NamedTuple):
    """What a customer used of a meter in a month on a plan, and what was booked for it, a shortfall included."""

    quantity: int = 0
    nusd: int = 0
    is_closed: bool = False
    """Whether the month's shortfall is booked."""


MeteredKey = tuple[int, str, str, str]
"""Customer, plan, meter, month."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. `terms` is what it allows beyond its scopes; nothing here reads them."""

    id: str
    digest: str
    customer: int
    scopes: tuple[str, ...]
    created_t: int
    revoked_t: int | None = None
    terms: Mapping[str, Any] = field(default_factory=dict)


class Hold(NamedTuple):
    """An open exchange: credits put aside, and what is known of its calls so far."""

    x: str
    journal: str
    customer: int
    key: str
    plan: str
    plan_version: str
    charge_tier: str
    served_tier: str
    t: int
    deadline_t: int
    held_milli: int
    parts: tuple[tuple[str, int], ...]
    """(grant, credits), in burn order; their sum may be less than `held_milli` where the plan does not enforce."""
    uncovered_nusd_per_credit: int
    """What a credit without a grant costs, frozen when it was held."""
    call: dict[str, Any] | None = None
    """The last call, in *held* or as a *called* record of its own, or None: nothing was sent, so a crash voids."""
    mark: dict[str, Any] | None = None
    """The last *mark* record, or None: no byte of an answer was seen."""
    claimed: bool = False
    """Whether it holds an idempotency key: its claim follows how it ends."""

    excess: str = "refused"
    """What becomes of a charge beyond the hold: `refused` where the price was fixed, `charged` at the uncovered price,
    or `owed`: the plan serves nothing past the balance, and the customer's next credits cover it first."""
    feature: str = ""
    """The feature it is for, if that is counted."""
    member: str = ""
    """A digest of the customer's member it is for, if that is counted."""
    task: str = ""
    """The task it belongs to."""

    @property
    def grants(self) -> list[str]:
        """The grants that credits are held of, in burn order."""
        return [name for name, _ in self.parts]

    @property
    def covered_milli(self) -> int:
        """Held credits that grants stand behind."""
        return sum(milli for _, milli in self.parts)

    @property
    def uncovered_milli(self) -> int:
        """Held credits that no grant stands behind."""
        return self.held_milli - self.covered_milli


class History(Protocol):
    """What the books know beyond the fold's memory: the names that were used. None is ever used twice."""

    def has_txn(self, key: str) -> bool:
        """Tell whether a transaction of this key was booked."""
        ...

    def grant(self, id_: str) -> Grant | None:
        """Return a grant as it was last stored, used up or not."""
        ...

    def quantity(self, key: MeteredKey) -> Quantity:
        """Return what was last stored of a meter; nothing where nothing was."""
        ...


class NoHistory:
    """Nothing was booked before."""

    def has_txn(self, key: str) -> bool:
        """Tell that nothing was."""
        return False

    def grant(self, id_: str) -> Grant | None:
        """Return none."""
        return None

    def quantity(self, key: MeteredKey) -> Quantity:
        """Return nothing."""
        return Quantity()


@dataclass(slots=True)
class State:
    """The fold's memory, and which of it changed since it was last stored."""

    plans: dict[str, Terms] = field(default_factory=dict)
    default_plan: str = ""
    sellbook_version: str = ""
    configuration_version: str = ""
    configuration: dict[str, Any] = field(default_factory=dict)
    """What the configuration last said, by dotted path, secrets redacted: what the next one is compared with."""
    customers: dict[int, Customer] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    grants_of: dict[int, list[str]] = field(default_factory=dict)
    used_up: dict[str, Grant] = field(default_factory=dict)
    """Grants that were used up since the last batch was stored; later only the history knows them."""
    holds: dict[str, Hold] = field(default_factory=dict)
    quantities: dict[MeteredKey, Quantity] = field(default_factory=dict)
    """What was counted since the last batch was stored, and what was looked up for it; the history knows the rest."""
    journals: dict[str, Position] = field(default_factory=dict)
    """How far each journal is folded, the keeper's own among them."""
    grant_seq: int = 0
    issued_milli: int = 0
    """Credits ever given, to all customers: one of the two sums that no grant may take past what the books count."""
    cash_nusd: int = 0
    """Dollars ever taken for them, the other."""
    periodic: set[int] = field(default_factory=set)
    ending: list[tuple[int, str]] = field(default_factory=list)
    """Heap of (expiry, grant), so that a tick looks only at grants that ended."""
    owing: set[int] = field(default_factory=set)
    """Customers that owe more since this was last looked at: what workers hold of them must come back."""
    changed: set[tuple[str, Any]] = field(default_factory=set)
    work: Work = field(default_factory=Work)
    """Tasks, and what their months come to."""
    history: History = field(default_factory=NoHistory)
    """What earlier batches booked."""

    def terms(self, customer: Customer) -> Terms:
        """Return the terms a customer is on."""
        return self.terms_of(customer.plan)

    def terms_of(self, plan: str) -> Terms:
        """Return a plan's terms; a plan that was removed falls back to the default plan."""
        found = self.plans.get(plan)
        return found if found is not None else self.plans[self.default_plan]

    def put_customer(self, customer: Customer) -> None:
        """Store a customer's new state."""
        self.customers[customer.number] = customer
        terms = self.terms(customer)
        is_periodic = terms.is_periodic or customer.commit_end_t
        (self.periodic.add if is_periodic else self.periodic.discard)(customer.number)
        self.changed.add(("customer", customer.number))

    def put_key(self, key: Key) -> None:
        """Store a key's new state."""
        self.keys[key.id] = key
        self.changed.add(("key", key.id))

    def put_grant(self, grant: Grant) -> None:
        """Store a grant's new state; one that is used up is no longer listed here."""
        id_ = grant.id
        self.changed.add(("grant", id_))
        is_listed = id_ in self.grants
        if grant.left_milli == 0 and grant.is_used_up:
            self.used_up[id_] = grant
            if is_listed:
                del self.grants[id_]
                self.grants_of[grant.customer].remove(id_)
            return
        if not is_listed:
            self.used_up.pop(id_, None)
            self.grants_of.setdefault(grant.customer, []).append(id_)
            if grant.expires_t < NEVER_T and not grant.is_ended:
                heappush(self.ending, (grant.expires_t, id_))
        self.grants[id_] = grant

    def grant(self, id_: str) -> Grant | None:
        """Return a grant, also one that is used up; None when there never was one of that name."""
        found = self.grants.get(id_)
        if found is None:
            found = self.used_up.get(id_)
        return self.history.grant(id_) if found is None else found

    def pop_ended(self, t: int) -> list[Grant]:
        """Return the grants whose expiry is at or before `t` and whose end is not booked, in order of expiry."""
        found: dict[str, Grant] = {}
        while self.ending and self.ending[0][0] <= t:
            _, name = heappop(self.ending)
            if name in self.grants and not self.grants[name].is_ended:
                found[name] = self.grants[name]
        return list(found.values())

    def quantity(self, key: MeteredKey) -> Quantity:
        """Return what was counted of a meter in a month."""
        found = self.quantities.get(key)
        if found is None:
            found = self.quantities[key] = self.history.quantity(key)
        return found

    def put_quantity(self, key: MeteredKey, quantity: Quantity) -> None:
        """Store what was counted of a meter in a month."""
        self.quantities[key] = quantity
        self.changed.add(("quantity", key))

    def count(self, key: MeteredKey, cause: str, t: int, quantity: int, nusd: int, lines: list[Any]) -> None:
        """Add to what was counted of a meter in a month, and add the line that says so; see `rating.Rated`."""
        known, (customer, plan, meter, period) = self.quantity(key), key
        self.put_quantity(key, known._replace(quantity=known.quantity + quantity, nusd=known.nusd + nusd))
        lines.append((cause, meter, t, customer, plan, period, quantity, nusd))

    def put_journal(self, name: str, position: Position) -> None:
        """Note how far a journal is folded."""
        self.journals[name] = position
        self.changed.add(("journal", name))

    def put_hold(self, hold: Hold) -> None:
        """Store a hold's new state."""
        self.holds[hold.x] = hold
        self.changed.add(("hold", hold.x))

    def pop_hold(self, x: str) -> Hold | None:
        """Close a hold; None when there is none open by that name."""
        hold = self.holds.pop(x, None)
        if hold is not None:
            self.changed.add(("hold", x))
        return hold

    def live_grants(self, customer: int) -> list[Grant]:
        """Return a customer's grants that still hold credits."""
        return [self.grants[each] for each in self.grants_of.get(customer, ())]

    def available_milli(self, customer: int, t: int) -> int:
        """Return what could be held at `t`: credits left on grants that have not ended, less what is owed."""
        known = self.customers.get(customer)
        owed = 0 if known is None else known.owed_milli
        return sum(each.left_milli for each in self.live_grants(customer) if each.expires_t > t) - owed

    def ended_milli(self, customer: int, t: int) -> int:
        """Return credits of grants that have ended by `t` and whose end no tick has booked yet."""
        return sum(each.left_milli for each in self.live_grants(customer) if each.expires_t <= t)

    def is_grant_due(self, number: int, t: int) -> bool:
        """Tell whether a customer's included credits of the period at `t` are still to be given."""
        customer = self.customers.get(number)
        if customer is None:
            return False
        terms = self.terms(customer)
        period, *plans = customer.included_period.split("\n")
        if period != Period.of(t).name:
            return terms.included_milli + terms.seat_milli * customer.seats > 0
        return terms.included_milli > 0 and customer.plan not in plans

    def earliest_expiry_t(self, customer: int, t: int) -> int | None:
        """Return when the next of the customer's live grants ends; None if none does or there is none."""
        ends = [each.expires_t for each in self.live_grants(customer) if each.left_milli > 0]
        return min((end for end in ends if t < end < NEVER_T), default=None)
