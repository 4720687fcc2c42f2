"""Which deployments are worth a call, by what their last calls came to, and how many calls may follow a failed one.

Each deployment has a circuit: *closed* while its calls succeed; *open* when too many failed, or its provider asked for
a pause: then it rests and nobody calls it; *half open* when the rest is over: one call tries, and decides.
Moments are readings of `perf_counter`. Of one worker, in memory, as large as the configuration.
"""

from __future__ import annotations

import logging
import time
from decimal import Decimal

from proxy.routing.delays import Delays
from proxy.settings import Deployment, Health, Settings

log = logging.getLogger("penstock")

TRICKLE_PER_S = 0.2
"""Calls after the first that come back with time alone, so that a quiet server may fall back, too: one in five
seconds, as often as a rest of the usual length ends and its try fails."""
PAUSE_S = 1.0
"""When to come back where nobody said: calls under way end at any moment."""


class Circuit:
    """One deployment's. Counts are of the present half of the window and of the one before: no list, no timer."""

    __slots__ = (
        "_began_s",
        "_calls",
        "_calls_before",
        "_failures",
        "_failures_before",
        "_head_before_s",
        "_head_s",
        "_rest_s",
        "_terms",
        "_turns_s",
        "is_busy",
        "rests_until_s",
    )

    def __init__(self, terms: Health) -> None:
        self._terms = terms
        self.rests_until_s = 0.0
        """Until when nobody calls it; 0 while it is closed."""
        self.is_busy = False
        """Whether it rests for its provider's rate limit."""
        self._began_s = 0.0
        """When it opened: calls of before decide nothing any more."""
        self._rest_s = terms.rest_s
        self._turns_s = 0.0
        self._calls = self._failures = self._calls_before = self._failures_before = 0
        self._head_s = self._head_before_s = 0.0

    def lets_through(self, now_s: float) -> bool:
        """Tell whether an open circuit lets a call try: one for each rest. Its silence is another rest long."""
        if now_s < self.rests_until_s:
            return False
        self.rests_until_s = now_s + self._rest_s
        return True

    def answered(self, began_s: float, now_s: float, *, is_stream: bool = False) -> bool:
        """Note a call whose answer has begun, or that was refused for what it says; True when it is rested for it."""
        slow_s = self._terms.slow_s
        if is_stream and slow_s is not None and now_s - began_s > slow_s:
            return self.failed(began_s, now_s)
        if now_s >= self._turns_s:
            self._turn(now_s)
        self._calls += 1
        self._head_s += now_s - began_s
        if self.rests_until_s and began_s >= self._began_s:
            self._close()
        return False

    def failed(self, began_s: float, now_s: float, pause_s: float | None = None) -> bool:
        """Note a call without an answer; True when the deployment begins to rest for it.

        Args:
            began_s: When the call began.
            now_s: Now.
            pause_s: How long its provider asked to be left alone, if it did.
        """
        if now_s >= self._turns_s:
            self._turn(now_s)
        self._calls += 1
        self._failures += 1
        return self._judge(began_s, now_s, pause_s)

    def broke(self, began_s: float, now_s: float) -> bool:
        """Note that an answer which had begun broke off: a call that was counted failed after all."""
        if now_s >= self._turns_s:
            self._turn(now_s)
        self._failures += 1
        return self._judge(began_s, now_s, None)

    def _judge(self, began_s: float, now_s: float, pause_s: float | None) -> bool:
        terms = self._terms
        if self.rests_until_s:
            if began_s < self._began_s:
                return False
            self._rest_s = min(self._rest_s * 2, terms.rest_max_s)
        elif pause_s is None:
            calls, failures = self._calls + self._calls_before, self._failures + self._failures_before
            if calls < terms.calls_min or failures < calls * terms.failed_share:
                return False
        rest_s = self._rest_s if pause_s is None else min(max(pause_s, PAUSE_S), terms.rest_max_s)
        self._began_s, self.rests_until_s = now_s, now_s + rest_s
        return True

    def _close(self) -> None:
        self.rests_until_s, self._rest_s = 0.0, self._terms.rest_s
        # What failed before the rest is over: the next failure is judged among what follows.
        self._failures = self._failures_before = 0

    def _turn(self, now_s: float) -> None:
        """Begin the next half of the window; after a long silence nothing is left of the one before."""
        half_s = self._terms.window_s / 2
        is_next = now_s < self._turns_s + half_s
        self._calls_before, self._failures_before, self._head_before_s = (
            (self._calls, self._failures, self._head_s) if is_next else (0, 0, 0.0)
        )
        self._calls = self._failures = 0
        self._head_s = 0.0
        self._turns_s = now_s + half_s

    @property
    def head_s(self) -> float | None:
        """How long the window's answers took to begin, on the mean; None without any."""
        answered = self._calls + self._calls_before - self._failures - self._failures_before
        return (self._head_s + self._head_before_s) / answered if answered > 0 else None


class Budget:
    """Calls beyond the first: a share of all requests, and a few besides. In thousandths of a call."""

    __slots__ = ("_filled_s", "_milli", "_most_milli", "_share_milli", "_trickle_per_s")

    def __init__(self, share: Decimal, burst: int, trickle_per_s: float = TRICKLE_PER_S) -> None:
        self._trickle_per_s = trickle_per_s
        self._share_milli = int(share * 1000)
        self._milli = self._most_milli = burst * 1000
        self._filled_s: float | None = None

    def request(self) -> None:
        """Count a request."""
        if self._milli < self._most_milli:
            self._milli += self._share_milli

    def take(self, now_s: float) -> bool:
        """Take one call; False when there is none."""
        if self._filled_s is not None:
            trickled = int((now_s - self._filled_s) * self._trickle_per_s * 1000)
            self._milli = min(self._milli + trickled, self._most_milli)
        self._filled_s = now_s
        if self._milli < 1000:
            return False
        self._milli -= 1000
        return True


class Vitals:
    """The circuits of one worker's deployments, and its budget of further calls."""

    __slots__ = ("_circuits", "_deployments", "_routing", "advice", "budget", "delays", "escalations", "hedges")

    def __init__(self, settings: Settings, old: Vitals | None = None) -> None:
        self._routing, self._deployments = settings.routing, settings.deployments
        kept = {} if old is None else old.kept(settings)
        names = [*settings.deployments, *(_flex(each.name) for each in settings.deployments.values() if each.flex)]
        self._circuits = {name: kept.get(name) or Circuit(settings.routing.health) for name in names}
        retries = settings.routing.retries
        self.budget = Budget(retries.share, retries.burst)
        """Calls that follow a failed one."""
        self.delays: Delays = Delays() if old is None else old.delays
        """How long their answers take to begin, where that decides when a call is slow."""
        self.hedges = Budget(Decimal(0) if settings.routing.hedge is None else settings.routing.hedge.share, 1, 0)
        """Calls that are made beside a slow one: a share of requests, and nothing for waiting."""
        advisor = settings.classifier.advisor
        self.advice = Budget(Decimal(0) if advisor is None else advisor.share, 1, 0)
        """Questions to a model where the judge is in doubt: a share of requests, and nothing for waiting."""
        self.escalations = Budget(retries.escalated_share, retries.burst)
        """Calls that follow an answer which is not good enough: of their own, so that they never cost an outage its
        fallbacks."""

    def kept(self, settings: Settings) -> dict[str, Circuit]:
        """Return the circuits that hold on: of what is called as before, under the same terms."""
        if settings.routing.health != self._routing.health:
            return {}
        return {
            name: circuit
            for name, circuit in self._circuits.items()
            if name in settings.deployments and _is_same(self._deployments[name], settings.deployments[name])
        }

    def of(self, deployment: Deployment) -> Circuit:
        """Return a deployment's circuit; one that a reload took away has one that nobody keeps."""
        name = deployment.name
        found = self._circuits.get(name if deployment.asks_tier is None else _flex(name))
        return Circuit(self._routing.health) if found is None else found

    def failed(self, deployment: Deployment, began_s: float, why: str, pause_s: float | None = None) -> None:
        """Note a call without an answer; say so when the deployment begins to rest for it."""
        if self.of(deployment).failed(began_s, time.perf_counter(), pause_s):
            say(deployment, why)

    def broke(self, deployment: Deployment, began_s: float) -> None:
        """Note that an answer which had begun broke off."""
        if self.of(deployment).broke(began_s, time.perf_counter()):
            say(deployment, "answers break off")

    def rests(self, deployment: Deployment) -> bool:
        """Tell whether nobody calls a deployment now."""
        return self.of(deployment).rests_until_s > time.perf_counter()

    def resting(self, now_s: float) -> list[str]:
        """Return the names of those that nobody calls now."""
        return [name for name, circuit in self._circuits.items() if circuit.rests_until_s > now_s]


def _flex(name: str) -> str:
    """Return the name of the circuit of a model's cheaper service tier: without room there, the other has some."""
    return f"{name} (flex)"


def say(deployment: Deployment, why: str) -> None:
    """Log that a deployment is left alone."""
    log.warning("%s is left alone for a while: its calls fail (%s)", deployment.name, why)


def _is_same(one: Deployment, other: Deployment) -> bool:
    return one.provider == other.provider and one.model == other.model
