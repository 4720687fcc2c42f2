"""The calls of one exchange, one after the other until one is answered; and the error when none was.

Names in it are those of our deployments, which callers know; addresses, keys and providers' texts are not repeated.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from proxy.routing.health import PAUSE_S, Circuit, Vitals, say
from proxy.settings import Deployment
from proxy.wire.errors import (
    AllDown,
    Malformed,
    ProxyError,
    Refused,
    Rejected,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamLate,
)

_SAID: dict[type[UpstreamFailed], str] = {
    AllDown: "No model answered",
    UpstreamBusy: "Every model is over its rate limit",
    UpstreamLate: "No model answered in time",
}


def spared(deployments: Sequence[Deployment], calls: int) -> Sequence[Deployment]:
    """Return deployments with the last of so many calls kept for another tier, where the first tier has as many.

    What takes a tier's endpoints down is often one thing (a provider, a region, a model).
    """
    tier = deployments[0].listed_tier
    if calls < 2 or any(each.listed_tier != tier for each in deployments[:calls]):
        return deployments
    for at in range(calls, len(deployments)):
        if deployments[at].listed_tier != tier:
            last = calls - 1
            return (*deployments[:last], deployments[at], *deployments[last:at], *deployments[at + 1 :])
    return deployments


class Tries:
    """What an exchange tried. Moments are readings of `perf_counter`."""

    __slots__ = (
        "_began_s",
        "_circuit",
        "_deployment",
        "_failure",
        "_is_final",
        "_is_granted",
        "_kinds",
        "_limit",
        "_unsayable",
        "_vitals",
        "_wait_s",
        "_words",
        "is_over",
        "n",
    )

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals
        self._deployment: Deployment
        self._circuit: Circuit
        self.n = 0
        """Calls so far."""
        self.is_over = False
        """Whether no more may follow, whoever is next in line."""
        self._began_s = 0.0
        """When the last of them began."""
        self._words: list[str] = []
        self._kinds: set[type[UpstreamFailed]] = set()
        self._failure: ProxyError | None = None
        self._limit: Rejected | None = None
        self._unsayable: Malformed | None = None
        self._wait_s = math.inf
        self._is_final = True
        """Whether all that failed would fail again: a key that is wrong, or an account that is closed."""
        self._is_granted = False

    def may_call(self, deployment: Deployment, attempts_max: int, left_s: float) -> bool:
        """Tell whether a deployment may be called now.

        Args:
            deployment: The next in line.
            attempts_max: Calls that one exchange may take.
            left_s: How much of its time is left.
        """
        circuit = self._vitals.of(deployment)
        self._deployment, self._circuit = deployment, circuit
        if circuit.rests_until_s and not circuit.lets_through(now := time.perf_counter()):
            self._note("rests", UpstreamBusy if circuit.is_busy else AllDown, circuit.rests_until_s - now)
            return False
        if not self.n or self._is_granted:
            self._is_granted = False
            return True
        self.is_over = self.n >= attempts_max or left_s <= 0
        if not self.is_over and not self._vitals.budget.take(time.perf_counter()):
            self._words.append(f"{deployment.name} (not called, as too many calls fail)")
            self.is_over, self._is_final = True, False
        return not self.is_over

    def may_escalate(self, attempts_max: int, left_s: float) -> bool:
        """Tell whether an answer that is not good enough may be asked for again; then the next call is paid for."""
        if self.n >= attempts_max or left_s <= 0:
            return False
        self._is_granted = self._vitals.escalations.take(time.perf_counter())
        return self._is_granted

    def unsayable(self, error: Malformed) -> None:
        """A deployment's wire format has no word for the request."""
        self._unsayable = error

    def limited(self, error: Rejected) -> None:
        """A limit of ours has no room for it."""
        self._limit = self._limit or error

    def begin(self) -> float:
        """Count the call that is about to be made; return the moment."""
        self.n += 1
        self._began_s = time.perf_counter()
        return self._began_s

    def about(self, deployment: Deployment, began_s: float) -> None:
        """What is said next is about this call, of several that were under way."""
        self._deployment, self._circuit, self._began_s = deployment, self._vitals.of(deployment), began_s

    def answered(self, *, is_stream: bool) -> float:
        """The answer has begun; return the moment."""
        now_s = time.perf_counter()
        self._vitals.budget.request()
        if self._circuit.answered(self._began_s, now_s, is_stream=is_stream):
            say(self._deployment, "slow")
        return now_s

    def lost(self, phase: str, error: ProxyError) -> None:
        """The call brought no answer: `phase` is what ran out or broke."""
        self._fail(phase, error)
        # A caller in a hurry says nothing about the deployment.
        if phase != "total":
            self._vitals.failed(self._deployment, self._began_s, phase)

    def refused(self, status: int, error: ProxyError) -> bool:
        """The answer is an error; True when it is the request that is wrong, and nobody else need be asked."""
        self._fail(f"status {status}", error)
        if isinstance(error, Refused):
            self._circuit.answered(self._began_s, time.perf_counter())
            return True
        self._circuit.is_busy = isinstance(error, UpstreamBusy)
        self._vitals.failed(self._deployment, self._began_s, f"status {status}", error.retry_after_s)
        return False

    def _fail(self, why: str, error: ProxyError) -> None:
        self._failure = error
        kind = next((each for each in (UpstreamBusy, UpstreamLate) if isinstance(error, each)), AllDown)
        self._note(why, kind, error.retry_after_s, is_final=error.should_retry is False)

    def _note(self, why: str, kind: type[UpstreamFailed], wait_s: float | None, *, is_final: bool = False) -> None:
        self._words.append(f"{self._deployment.name} ({why})")
        self._kinds.add(kind)
        self._is_final = self._is_final and is_final
        if wait_s is not None and wait_s < self._wait_s:
            self._wait_s = wait_s

    @property
    def detour(self) -> str:
        """What the route's token says of them: `+fell` when a call failed, `+rest` when a deployment was left alone."""
        if not self._words:
            return ""
        return "+rest" if self._failure is None else "+fell"

    def error(self) -> ProxyError:
        """Return what the caller gets: of a request that is wrong what is wrong with it, else what was tried."""
        failure = self._failure
        if isinstance(failure, Refused):
            return failure
        if not self._words:
            return self._limit or self._unsayable or UpstreamFailed("No provider answered.")
        kind = self._kinds.pop() if len(self._kinds) == 1 else AllDown
        found = kind(f"{_SAID[kind]}. Tried: {', '.join(self._words)}.")
        if self._is_final:
            found.should_retry = False
            return found
        found.retry_after_s = math.ceil(PAUSE_S if math.isinf(self._wait_s) else max(self._wait_s, PAUSE_S))
        return found
