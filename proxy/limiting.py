"""What an exchange must pass before anybody is called: the limits and budgets that it meets.

Taken together or not at all, before the credits are; given back when the ticket closes, by what the exchange came to. A
model's own limits are met by each call: a route goes on to the next model where one has no room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from margin.ledger.spending import most_nusd
from margin.records import Record
from margin.sellbook import Plan
from proxy import refusing
from proxy.ceilings import OUTPUT_ASSUMED_TOKENS, asks_for_dearer, ceiling_nusd
from proxy.identity import Principal, is_name, member_digest, member_name
from proxy.limits.bundles import Bundle, Who
from proxy.limits.guard import Away, Guard, Reached
from proxy.limits.passage import Passage
from proxy.limits.shares import Amounts
from proxy.settings import Deployment, Limits
from proxy.wire.errors import Malformed, OverBudget, OverLimit, Unavailable

if TYPE_CHECKING:
    from proxy.settlement import Case
    from proxy.world import World

NS = 1_000_000_000
FEATURE = "x-penstock-feature"
UNKNOWN = "The limits cannot be checked right now."


class UsedUp(Exception):
    """A budget that serves cheaper when it is used up does not cover an exchange. Nothing was taken."""

    def __init__(self, reached: Reached) -> None:
        super().__init__(reached.share.name)
        self.reached = reached


class Right:
    """An exchange's right to go on, until its ticket closes. It closes what the exchange took of every limit."""

    __slots__ = ("_customer", "_tokens", "_world", "begun_nusd", "beside", "bundle", "call", "covers", "held_nusd",
                 "nusd_per_credit", "passage")  # fmt: skip

    def __init__(self, world: World, case: Case, passage: Passage, amounts: Amounts) -> None:
        self._world, self._customer = world, case.ticket.customer
        self.bundle, self.passage, self.nusd_per_credit = case.bundle, passage, nusd_per_credit(case.plan)
        self.covers: Deployment | None = case.route.deployments[0]
        """Whose ceiling was held; None as soon as somebody is called."""
        self._tokens = amounts.tokens or 0
        """What was reserved for one call."""
        self.held_nusd, self.begun_nusd = amounts.cost_nusd or 0, 0
        """What is held of the budgets, and the ceilings of the calls that were let through: never more."""
        self.call: Passage | None = None
        """What the call that is under way took of its model's limits."""
        self.beside: Passage | None = None
        """What another took that is made beside it."""

    def end(self, attempts: list[Record], credits_milli: int) -> None:
        """The exchange is closed and journalled: it came to this. Where nobody was called it never counted."""
        if not attempts:
            self.undo()
            return
        self._world.crowd.leave(self._customer)
        last, tokens = attempts[-1], 0
        cost = most_nusd(last) if len(attempts) == 1 else sum(map(most_nusd, attempts))
        if self.bundle.tokens:
            for each in attempts:
                tokens += _tokens(each, self._tokens)
            output = _output(last) if last["kind"] == "model" else 0
            if output:  # embeddings have none, and say nothing of how long answers are
                self.bundle.learn(output)
        self.passage.end(Amounts(1, tokens, cost, credits_milli * self.nusd_per_credit // 1000))
        self.end_call(attempts)

    def repeat(self, credits_milli: int) -> None:
        """It was answered from memory: a request, and its charge; no tokens, and no cost."""
        self._world.crowd.leave(self._customer)
        self.passage.end(Amounts(1, 0, 0, credits_milli * self.nusd_per_credit // 1000))

    def begin(self, nusd: int) -> None:
        """Somebody is called: this much of what is held is for calls that were let through."""
        self.begun_nusd, self.covers = nusd, None

    def end_call(self, attempts: list[Record]) -> None:
        """A call is over: the last line is its own."""
        if self.call is not None:
            self.call.end(Amounts(1, _tokens(attempts[-1], self._tokens), most_nusd(attempts[-1]), 0))
            self.call = None

    def undo(self) -> None:
        """Nobody was called, as something else refused: it never counted."""
        self._world.crowd.leave(self._customer, is_end=False)
        self.passage.undo()
        for each in (self.call, self.beside):
            if each is not None:
                each.undo()
        self.call = self.beside = None


def _output(line: Record) -> int:
    return int(line["u"].get("output", 0) + line["u"].get("reasoning", 0))


def _tokens(line: Record, reserved: int) -> int:
    """Return what a call used; where nobody saw its answer, no less than was reserved for it."""
    if line["u"] is None:
        return 0  # the provider refused it, or never had it
    used = int(sum(line["u"].values()))
    return max(used, reserved) if line["kind"] == "failed" else used


def feature(found: Mapping[bytes, bytes], limits: Limits) -> str | None:
    """Return the feature that a request names, if it has limits: what a caller makes up is nobody's to count.

    Raises:
        Malformed: it is empty, too long or not printable.
    """
    value = found.get(b"x-penstock-feature")
    if value is None:
        return None
    name = value.decode("utf-8", "surrogateescape").strip()
    if not is_name(name):
        raise Malformed(f"`{FEATURE}` must be 1 to 128 printable characters.", param=FEATURE)
    return name if name in limits.features else None


def member(
    world: World, principal: Principal, plan: Plan, found: Mapping[bytes, bytes], fields: Mapping[str, Any]
) -> str | None:
    """Return which member a request is for, as it is counted; None where none is named, or members have no limits.

    Raises:
        Malformed: its header is empty, too long or not printable.
    """
    if not world.settings.limits.counts_members(principal.name, plan.name):
        return None
    name = member_name(found, fields)
    if name is None:
        return None
    return world.limits.counted(
        principal.customer, member_digest(world.identity.member_secret, principal.customer, name)
    )


def bundle_of(
    world: World, principal: Principal, plan: Plan, feature_name: str | None, member_id: str | None = None
) -> Bundle:
    """Return the limits that a request meets."""
    own = None if principal.terms is None else principal.terms.limits
    limits, customer = world.settings.limits, principal.customer
    found = world.limits.found(principal.key, customer, feature_name, member_id)
    if found is not None and found.is_of(plan.name, own, limits):
        return found
    return world.limits.look_up(who_of(principal, plan, feature_name, member_id), limits)


def who_of(principal: Principal, plan: Plan, feature_name: str | None, member_id: str | None = None) -> Who:
    """Return whose limits are meant."""
    own = None if principal.terms is None else principal.terms.limits
    return Who(principal.key, own, principal.customer, principal.name, plan.name, feature_name, member_id)


def enter(world: World, customer: int) -> None:
    """Let one more request of a customer in; `world.crowd.leave` ends it.

    Raises:
        OverLimit: it has as many open as it may while the house is nearly full.
    """
    if not world.crowd.enter(customer, world.exchanges_open, world.settings.server.exchanges_max):
        raise OverLimit("Too many of this customer's requests are open.", reason="over_share",
                        retry_after_s=world.crowd.wait_s(world.exchanges_open, customer))  # fmt: skip


async def admit(world: World, case: Case) -> Right:
    """Take what an exchange needs of all its limits.

    Raises:
        OverLimit, OverBudget: one has no room.
        Malformed: nothing bounds what it may cost, and it must stay within a budget.
        Unavailable: nobody can tell.
        UsedUp: it is to be served cheaper.
    """
    customer, bundle = case.ticket.customer, case.bundle
    enter(world, customer)
    right = lower = None
    try:
        lower = await _pass_downgrades(world, case)  # first: what is served cheaper may fit what refuses
        amounts = _amounts(case, bundle, world.now() // NS)
        passage = await world.limits.guard.admit(bundle.shares, amounts)
        if lower is not None:
            passage.join(lower)
        right = Right(world, case, passage, amounts)
        if bundle.told_purses:
            world.limits.guard.inquiry.want(bundle.told_purses)
    except Reached as reached:
        raise refusing.refusal(reached, case.principal.scopes, world.limits.guard.clock()) from None
    except Away:
        raise Unavailable(UNKNOWN) from None
    finally:
        if right is None:
            world.crowd.leave(customer, is_end=False)
            if lower is not None:
                lower.undo()
    return right


def nusd_per_credit(plan: Plan) -> int:
    """Return what budgets of charges count a credit as: what it costs beyond the balance, else what it is sold for."""
    terms = plan.credits
    for price in (terms.overage_nusd_per_credit, terms.price_nusd_per_credit):
        if price is not None:
            return price
    return 0


def _amounts(case: Case, bundle: Bundle, at_s: int) -> Amounts:
    if case.found is not None:  # nobody is called: no tokens, and no cost
        return Amounts(1, 0, 0, _charge(case) if bundle.charges else 0)
    cost = _ceiling(case, case.route.deployments[0], at_s, is_strict=bundle.is_strict) if bundle.counts_cost else 0
    return Amounts(1, _reserved(case, bundle), cost, _charge(case) if bundle.charges else 0)


def _reserved(case: Case, bundle: Bundle) -> int:
    """Return the tokens that are reserved for a call."""
    out = bundle.output_tokens if case.ask.output_max is None else case.ask.output_max
    return case.route.input_estimate + out * case.ask.choices


def _ceiling(case: Case, deployment: Deployment, at_s: int, *, is_strict: bool) -> int:
    found = ceiling_nusd(deployment, case.ask, at_s, assumed_out=None if is_strict else OUTPUT_ASSUMED_TOKENS)
    if found is not None:
        return found
    if not is_strict:
        return 0
    if asks_for_dearer(deployment, case.ask) and case.ask.output_max is not None:
        raise Malformed(
            "A budget covers this request, and what the model costs in this `service_tier` is not known.",
            param="service_tier",
        )
    raise Malformed(
        "`max_tokens` is needed: a budget covers this request, and nothing else bounds what it may cost.",
        param="max_tokens",
    )


async def call(world: World, case: Case, deployment: Deployment, *, is_beside: bool = False) -> int | None:
    """Take what the next call of an exchange needs: of its model's limits, and of the budgets what is not held yet.

    What is held is the ceiling of the route's first model. Where that was passed over, the next may be a dearer one.

    `is_beside`: it is made while the one before it goes on.

    Returns what stated budgets count of the call if nobody learns what it cost; None where none was stated.

    Raises:
        OverLimit, OverBudget, Malformed, Unavailable: as `admit`; then this model is not called.
    """
    right = case.ticket.right
    if not isinstance(right, Right):
        return None
    if not is_beside:
        right.end_call(case.ticket.attempts)
    bundle, shares = right.bundle, world.limits.of_model(deployment.name, case.settings.limits)
    is_held = deployment is right.covers or not bundle.costs
    if is_held and not shares:
        right.begin(right.held_nusd)
        return right.held_nusd if bundle.is_strict and bundle.counts_cost else None
    guard, at_s = world.limits.guard, world.now() // NS
    is_strict = bundle.is_strict or any(each.name.measure == "cost" for each in shares)
    cost = _ceiling(case, deployment, at_s, is_strict=is_strict)
    taken: Passage | None = None
    try:
        if shares:
            taken = await guard.admit(shares, Amounts(1, _reserved(case, bundle), cost, 0))
        if not is_held:
            await _hold_more(guard, right, cost)
        right.begin(right.held_nusd if is_held else right.begun_nusd + cost)
        if is_beside:
            right.beside, taken = taken, None
        else:
            right.call, taken = taken, None
    except Reached as reached:
        raise refusing.refusal(reached, case.principal.scopes, guard.clock()) from None
    except Away:
        raise Unavailable(UNKNOWN) from None
    finally:
        if taken is not None:
            taken.undo()
    return cost if is_strict else None


def end_call(case: Case) -> None:
    """Close what the last call of an exchange took of its model's limits, as the last cost line is its own."""
    if isinstance(case.ticket.right, Right):
        case.ticket.right.end_call(case.ticket.attempts)


def end_one(case: Case, *, is_beside: bool) -> None:
    """Close what one of two calls took of its model's limits, as the last cost line is its own."""
    right = case.ticket.right
    if not isinstance(right, Right):
        return
    if is_beside:
        right.call, right.beside = right.beside, right.call
    right.end_call(case.ticket.attempts)
    if is_beside:
        right.call, right.beside = right.beside, None


def goes_on(case: Case, *, is_beside: bool) -> None:
    """Of two calls this one goes on alone."""
    right = case.ticket.right
    if isinstance(right, Right) and is_beside:
        right.call, right.beside = right.beside, None


async def _hold_more(guard: Guard, right: Right, cost_nusd: int) -> None:
    """Hold what the calls let through so far and this one may cost, beyond what is held: of all budgets, or of none.

    Of those that serve cheaper when they are used up, what they hold: the next request meets them.
    """
    missing = right.begun_nusd + cost_nusd - right.held_nusd
    if missing <= 0:
        return
    await guard.more(right.passage, right.bundle.costs, missing)
    guard.more_of_what_is_left(right.passage, right.bundle.cost_downgrades, missing)
    right.held_nusd += missing


async def _pass_downgrades(world: World, case: Case) -> Passage | None:
    """Take what an exchange needs of the budgets that serve cheaper when they are used up.

    Of one that is served cheaper already, what they hold; the books count it in any case.

    Raises:
        UsedUp: one of them does not cover it.
    """
    guard, shares = world.limits.guard, case.bundle.downgrades
    if not shares:
        return None
    cost = 0 if case.found is not None else ceiling_nusd(
        case.route.deployments[0], case.ask, world.now() // NS, assumed_out=OUTPUT_ASSUMED_TOKENS
    )  # fmt: skip
    amounts = Amounts(1, 0, 0 if cost is None else cost, _charge(case))
    if case.is_lowered:
        return guard.take(shares, amounts)
    try:
        return await guard.admit(shares, amounts)
    except Reached as reached:
        raise UsedUp(reached) from None
    except Away:
        return None


def _charge(case: Case) -> int:
    return -(-case.quote.hold_milli * nusd_per_credit(case.plan) // 1000)


def unserved(world: World, case: Case, used: UsedUp) -> OverLimit | OverBudget:
    """Return the refusal of an exchange that is to be served cheaper, by what its key may not use."""
    found = refusing.refusal(used.reached, case.principal.scopes, world.limits.guard.clock())
    found.message += " What serves meanwhile is cheaper, and not this key's to use."
    return found


def cheaper(plan: Plan) -> Plan:
    """Return a plan as it serves while such a budget is used up: its lowest tier, whatever is asked for."""
    return replace(plan, max_tier="simple" if plan.min_tier is None else plan.min_tier, gate_policy="down")
