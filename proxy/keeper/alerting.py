"""How far customers have used up what their plan includes in a month: told once at each of the plan's percentages.

Asked are the customers that a charge or an item was booked for since the last look. What was told stands in the trail,
so neither a restart nor a rebuild of the ledger tells it again, and there is one keeper, so nobody else does.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from margin import alerting
from margin.components import METER_PARTS
from margin.ledger import quantities, questions, trail
from margin.ledger.state import Customer
from margin.ledger.terms import Period
from proxy.keeper.office import Office
from proxy.keeper.webhooks import Webhooks

log = logging.getLogger("penstock")

LOOK_S = 1.0
"""How often it begins to look."""
AT_ONCE = 250
"""Customers looked at in one turn of the keeper's loop: some 20 ms, in which no worker is answered."""
ID_DIGITS = 24


class Crossed(NamedTuple):
    """What a customer has used of one thing that its plan includes, in milli-credits or parts of the meter's unit."""

    customer: int
    plan: str
    of: str
    percent: int
    used: int
    included: int

    def id(self, period: str) -> str:
        """Return its name, which is the same whenever it is told."""
        of = f"{self.customer}\n{period}\n{self.plan}\n{self.of}\n{self.percent}"
        return f"alert_{hashlib.sha256(of.encode()).hexdigest()[:ID_DIGITS]}"


class Alerting:
    """Who was told of what in the month that runs."""

    def __init__(self, office: Office, webhooks: Webhooks, now: Callable[[], int] = time.time_ns) -> None:
        self._office, self._webhooks, self._now = office, webhooks, now
        self._again_s = 0.0
        self._period = ""
        self._told: dict[int, set[tuple[str, str, int]]] = {}
        """By customer: plan, what is used, and percentage."""
        self._said: dict[int, str] = {}
        """What the workers say of a customer."""
        self._booked = questions.last_booked(office.books.store.db)
        self._due: list[int] = []
        """Who is still to be looked at, the next one last."""
        self.counts: Counter[tuple[str, str, int]] = Counter()
        """Alerts that this process told, by plan, what was used, and percentage."""
        self._turn()

    @property
    def webhooks(self) -> Webhooks:
        """Where they are sent."""
        return self._webhooks

    def told(self) -> list[dict[str, Any]]:
        """Return what a new worker must know."""
        return [{"alerted": number, "words": words} for number, words in self._said.items()]

    def look_if_due(self) -> None:
        """Go on looking, or begin to when it is time.

        Raises:
            LedgerBusy: nothing can be noted now; whoever was not looked at yet is next time.
        """
        if not self._due:
            now_s = time.monotonic()
            if now_s < self._again_s:
                return
            self._again_s = now_s + LOOK_S
            self._begin()
        self._go_on(AT_ONCE)

    def look(self) -> None:
        """Look at everybody that something was booked for."""
        self._begin()
        self._go_on(len(self._due))

    def _begin(self) -> None:
        self._booked, customers = questions.booked_since(self._office.books.store.db, self._booked)
        self._due = sorted({*self._due, *customers}, reverse=True)
        if Period.of(self._now()).name != self._period:
            self._office.tell(*({"alerted": number, "words": ""} for number in self._said))
            self._turn()

    def _turn(self) -> None:
        """Begin a month: with what was told in it already, and with everybody still to be looked at."""
        period = Period.of(self._now())
        self._period, self._told, self._said = period.name, {}, {}
        # A clock that was set back may have noted one of this month before it began.
        for _, alert in trail.alerts(self._office.books.store.db, 2 * period.start_t - period.end_t):
            if alert["period"] == period.name:
                self._told.setdefault(alert["c"], set()).add((alert["plan"], alert["of"], alert["percent"]))
        self._said = {number: words for number in self._told if (words := self._words(number))}
        self._due = sorted(self._office.books.state.customers, reverse=True)

    def _words(self, number: int) -> str:
        """Return how far a customer has used up what its plan includes, as ``credits=80, tokens=50``."""
        plan, highest = self._office.books.state.customers[number].plan, dict[str, int]()
        for of_plan, of, percent in self._told.get(number, ()):
            if of_plan == plan:
                highest[of] = max(percent, highest.get(of, 0))
        return ", ".join(f"{of}={percent}" for of, percent in sorted(highest.items()))

    def _go_on(self, count: int) -> None:
        looked = self._due[-count:] if count else []
        news = [each for number in reversed(looked) for each in self._crossed(number)]
        t, is_sent = self._now(), self._office.settings.alerts.webhook is not None
        noted = [alerting.alerted(t=t, id_=each.id(self._period), period=self._period, is_sent=is_sent,
                                  **each._asdict()) for each in news]  # fmt: skip
        if noted:
            self._office.act(*noted)
        del self._due[len(self._due) - len(looked) :]
        for each, alert in zip(news, noted, strict=True):
            self._note(each, t, alert)
        for number in looked:
            self._say(number)

    def _note(self, each: Crossed, t: int, alert: dict[str, Any]) -> None:
        self._told.setdefault(each.customer, set()).add((each.plan, each.of, each.percent))
        self.counts[each.plan, each.of, each.percent] += 1
        log.warning("customer %s on %s has used %d %% of its %s for %s", each.customer, each.plan, each.percent,
                    each.of, self._period)  # fmt: skip
        if alert["send"]:
            self._webhooks.put(t, alert)

    def _say(self, number: int) -> None:
        """Have the workers say it in the customer's answers, where that is not what they say."""
        said = self._words(number) if number in self._told else ""
        if said != self._said.get(number, ""):
            self._office.tell({"alerted": number, "words": said})
            self._said[number] = said

    def _crossed(self, number: int) -> Iterator[Crossed]:
        customer = self._office.books.state.customers.get(number)
        percents = () if customer is None else self._office.settings.alerts.percents(customer.plan)
        if customer is None or not percents:
            return
        told = self._told.get(number, set())
        for of, used, included in self._standing(customer):
            for percent in percents:
                if used * 100 >= included * percent and (customer.plan, of, percent) not in told:
                    yield Crossed(number, customer.plan, of, percent, used, included)

    def _standing(self, customer: Customer) -> Iterator[tuple[str, int, int]]:
        """Yield what a plan includes, as (of, used, included); what it does not include is none."""
        db, terms = self._office.books.store.db, self._office.books.state.terms(customer)
        seats = max(customer.seats, customer.seats_given(self._period))
        included_milli = terms.included_milli + terms.seat_milli * seats
        if included_milli:
            yield "credits", questions.credits_in(db, customer.number, customer.plan, self._period), included_milli
        metered = {**terms.usage, **{f"item.{name}": each for name, each in terms.items.items()}}
        included = {name: each.tiers.included * METER_PARTS.get(name, 1) for name, each in metered.items()}
        if not any(included.values()):
            return
        counted = quantities.counted(db, customer.number, self._period)
        used = {each.meter: each.quantity for each in counted if each.plan == customer.plan}
        yield from ((name, used.get(name, 0), most) for name, most in included.items() if most)
