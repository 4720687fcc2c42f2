"""What each customer of the simulated month brings and costs, held against its floor by the product's own guard.

The keeper looks every five seconds; here it looks at a customer when it asks, and every five minutes while a step is
taken with it. Fees accrue by the second of a calendar month; credits beyond the included ones, and prepaid ones, earn
as they are charged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.routing.traffic import Customer, Turn
from benchmarks.routing.truth import START_S
from margin.ledger.terms import Period
from margin.sellbook import Plan
from proxy.routing import guard
from proxy.routing.guard import NS, Acts, State, Sums
from proxy.settings import Settings
from proxy.settings.floors import Floor

LOOK_NS = 300 * NS


class Missed(NamedTuple):
    """A customer below its floor at the end of a month, in nano-dollars; and what was done about it."""

    customer: str
    plan: str
    period: str
    revenue_nusd: int
    cost_nusd: int
    short_nusd: int
    steps: tuple[str, ...]
    is_refused: bool


@dataclass
class _Account:
    """One customer's calendar month."""

    period: Period
    cost_nusd: int = 0
    credits_milli: int = 0
    state: State | None = None
    looked_t: int = 0
    below_t: int | None = None
    """Since when it is below its floor and served; None: it is not."""


class Margins:
    """The guard of one played month."""

    def __init__(self, settings: Settings, customers: tuple[Customer, ...]) -> None:
        self._floors = settings.routing.floors
        self._plans = settings.sellbook.plans
        self._customers = {each.number: each for each in customers}
        self._accounts: dict[int, _Account] = {}
        self.missed: list[Missed] = []
        self.stepped: set[int] = set()
        self.refused = 0
        self.longest_s = 0.0
        """The longest that a customer whose ladder ends in *refuse* was below its floor, and served."""

    def acts(self, turn: Turn) -> Acts | None:
        """Look at the customer of a turn, and return what is done to it."""
        floor = self._floor(turn.customer)
        if floor is None:
            return None
        t = _t(turn.t_s)
        account = self._account(turn.customer, t)
        self._catch_up(turn.customer, account, t, floor)
        found = self._look(turn.customer, account, t, floor)
        self.refused += found is not None and found.refuses
        return found

    def _catch_up(self, number: int, account: _Account, t: int, floor: Floor) -> None:
        """Look as the keeper did meanwhile, while a step was taken."""
        while account.state is not None and account.state.step and account.looked_t + LOOK_NS < t:
            self._look(number, account, account.looked_t + LOOK_NS, floor)

    def _look(self, number: int, account: _Account, t: int, floor: Floor) -> Acts | None:
        terms, sums = self._floors.guard, self._sums(number, account, t)
        account.looked_t = t
        account.state = guard.moved(account.state or guard.fresh(sums, t, terms), sums, t, floor, terms)
        if account.state.step:
            self.stepped.add(number)
        found = guard.acts_of(floor.steps[: account.state.step])
        is_served = found is None or not found.refuses
        if guard.standing(sums, floor, terms) != "below" or not is_served:
            account.below_t = None
        else:
            account.below_t = t if account.below_t is None else account.below_t
            if "refuse" in floor.steps:
                self.longest_s = max(self.longest_s, (t - account.below_t) / NS)
        return found

    def booked(self, turn: Turn, cost_nusd: int, credits_milli: int) -> None:
        """Note what a turn cost and was charged."""
        account = self._account(turn.customer, _t(turn.t_s))
        account.cost_nusd += cost_nusd
        account.credits_milli += credits_milli

    @property
    def count(self) -> int:
        """How many customers there are."""
        return len(self._customers)

    def close(self, t_s: float) -> None:
        """End the month that is now: note who is below its floor."""
        for number, account in self._accounts.items():
            floor = self._floor(number)
            if floor is not None:
                self._catch_up(number, account, _t(t_s), floor)
            self._end(number, account, _t(t_s))

    def _account(self, number: int, t: int) -> _Account:
        account = self._accounts.get(number)
        if account is None:
            account = self._accounts[number] = _Account(Period.of(t))
        elif t >= account.period.end_t:
            self._end(number, account, account.period.end_t - 1)
            account.period, account.cost_nusd, account.credits_milli = Period.of(t), 0, 0
        return account

    def _end(self, number: int, account: _Account, t: int) -> None:
        floor = self._floor(number)
        if floor is None:
            return
        sums = self._sums(number, account, t)
        if guard.standing(sums, floor, self._floors.guard) != "below":
            return
        customer = self._customers[number]
        taken = floor.steps[: account.state.step] if account.state is not None else ()
        self.missed.append(Missed(customer.name, customer.plan, account.period.name, sums.revenue_nusd, sums.cost_nusd,
                                  sums.short_nusd(floor), taken, "refuse" in taken))  # fmt: skip

    def _sums(self, number: int, account: _Account, t: int) -> Sums:
        plan, period = self._plan(number), account.period
        begun = max(period.start_t, START_S * NS)
        fee = (plan.fee_nusd_month or 0) * (t - begun) // (period.end_t - period.start_t)
        price = plan.credits.price_nusd_per_credit or plan.credits.overage_nusd_per_credit or 0
        sold = max(account.credits_milli - plan.credits.included_milli, 0)
        return Sums(period.name, fee + sold * price // 1000, account.cost_nusd)

    def _plan(self, number: int) -> Plan:
        return self._plans[self._customers[number].plan]

    def _floor(self, number: int) -> Floor | None:
        customer = self._customers[number]
        return self._floors.of(customer.name, customer.plan)


def _t(t_s: float) -> int:
    return START_S * NS + int(t_s * NS)
