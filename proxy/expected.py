"""What a request is expected to cost at a deployment: the cost book times tokens that are known or learnt.

Input is known. Of it the share that the deployment read from its provider's prompt cache so far counts at that price.
Output is the median of what the model's answers to such tasks were. Reserved capacity costs nothing more until it is
used up. Of one worker, in memory, bounded; what is expected decides an order, never an amount in the books.
"""

from __future__ import annotations

import time
from typing import Final

from margin.costbook import NoPrice, UnpricedBucket
from margin.usage import Usage
from proxy.outputs import Outputs
from proxy.settings import Deployment
from proxy.wire.ask import Ask, input_estimate

MEDIAN: Final = 0.5
OUTPUT_ASSUMED_TOKENS: Final = 256
"""Until enough answers were seen: about a paragraph. The same for all, so that input prices and rates decide."""
DEPLOYMENTS_MAX: Final = 1_024
"""Deployments remembered; each is five numbers. Those that a reload took away go first."""
TOKENS_SEEN_MAX: Final = 10_000_000
"""Then the sums are halved, so that the share follows what changes."""
HALF_S: Final = 30
"""A minute in two halves, as reserved capacity is sold by the minute."""


class Seen:
    """What one deployment's answers used: how much of the input came from a cache, and how much in the last minute."""

    __slots__ = ("_before", "_cached", "_input", "_now", "_turns_s")

    def __init__(self) -> None:
        self._input = self._cached = 0
        self._now = self._before = self._turns_s = 0

    def add(self, usage: Usage, now_s: int) -> None:
        """Count one answer."""
        self._input += usage.input_total
        self._cached += usage.cache_read
        if self._input > TOKENS_SEEN_MAX:
            self._input, self._cached = self._input // 2, self._cached // 2
        self._turn(now_s)
        self._now += usage.input_total + usage.output_total

    def cached_of(self, tokens: int) -> int:
        """Return how many of so many input tokens are expected to come from the provider's cache."""
        return tokens * self._cached // self._input if self._input else 0

    def minute(self, now_s: int) -> int:
        """Return the tokens used within about the last minute, never fewer than in its younger half."""
        self._turn(now_s)
        return self._now + self._before

    def _turn(self, now_s: int) -> None:
        half = now_s // HALF_S
        if half != self._turns_s:
            self._before = self._now if half == self._turns_s + 1 else 0
            self._now, self._turns_s = 0, half


class Expected:
    """The expectations of one worker."""

    def __init__(self) -> None:
        self._outputs = Outputs()
        self._seen: dict[str, Seen] = {}

    def learn(self, deployment: Deployment, task: str, usage: Usage, now_s: int) -> None:
        """Take note of a whole answer, as its provider reports it."""
        if usage.source != "reported":
            return
        self._outputs.of(deployment.model, task).add(usage.output_total)
        found = self._seen.get(deployment.name)
        if found is None:
            if len(self._seen) >= DEPLOYMENTS_MAX:
                del self._seen[next(iter(self._seen))]
            found = self._seen[deployment.name] = Seen()
        found.add(usage, now_s)

    def nusd(self, deployment: Deployment, ask: Ask, task: str, now_s: int | None = None) -> int | None:
        """Return what a request is expected to cost, in nano-dollars; None when no price is known."""
        at_s = int(time.time()) if now_s is None else now_s
        seen = self._seen.get(deployment.name)
        reserved = deployment.reserved_tpm
        if deployment.free or (reserved is not None and (seen is None or seen.minute(at_s) < reserved)):
            return 0
        if deployment.prices is None:
            return None
        ins = input_estimate(ask)
        cached = 0 if seen is None else seen.cached_of(ins)
        try:
            card = deployment.prices.at(at_s)
            return card.cost_nusd(
                Usage(input=ins - cached, cache_read=cached, output=self._output(deployment, ask, task))
            )
        except (NoPrice, UnpricedBucket):
            return None

    def _output(self, deployment: Deployment, ask: Ask, task: str) -> int:
        learnt = self._outputs.of(deployment.model, task).quantile(MEDIAN)
        tokens = OUTPUT_ASSUMED_TOKENS if learnt is None else learnt
        if ask.output_max is not None and ask.output_max < tokens:
            tokens = ask.output_max
        return tokens * ask.choices
