"""What a request is expected to cost at a deployment: the cost book times tokens that are known or learnt.

Input is known, and the service tier that is asked for. Of the input the share that the deployment read from its
provider's prompt cache so far counts at that price; of a conversation that goes on, what of it should be warm there,
times how much of such was found. What comes from no cache is billed as a write where the deployment's was.
Output is the median of what the model's answers to such tasks were. Reserved capacity costs nothing more until it is
used up. Of one worker, in memory, bounded; what is expected decides an order, never an amount in the books.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from margin.costbook import NoPrice, UnpricedBucket
from margin.usage import Usage
from proxy import metering
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
FOUND_ASSUMED: Final = 0.8
"""The share of a warm prefix that a provider's cache finds, until it was measured: most of it, in steps of tokens, if
the call reaches the machine that has it (OpenAI, Prompt caching)."""
FOLLOW: Final = 1 / 64
"""How fast shares follow what is measured: half of one is of the last 44 turns."""
HALF_S: Final = 30
"""A minute in two halves, as reserved capacity is sold by the minute."""


class Seen:
    """What one deployment's answers used: how much of the input came from a cache, and how much in the last minute."""

    __slots__ = ("_before", "_cached", "_input", "_now", "_turns_s", "_written", "found", "found_later")

    def __init__(self) -> None:
        self._input = self._cached = self._written = 0
        self.found = self.found_later = FOUND_ASSUMED
        """Of conversations that go on here, the share of what they were that comes from the cache: of those whose
        cache should still be kept, and of all."""
        self._now = self._before = self._turns_s = 0

    def add(self, usage: Usage, now_s: int) -> None:
        """Count one answer."""
        self._input += usage.input_total
        self._cached += usage.cache_read
        self._written += usage.cache_write_5m + usage.cache_write_1h
        if self._input > TOKENS_SEEN_MAX:
            self._input, self._cached, self._written = self._input // 2, self._cached // 2, self._written // 2
        self._turn(now_s)
        self._now += usage.input_total + usage.output_total

    def cached_of(self, tokens: int) -> int:
        """Return how many of so many input tokens are expected to come from the provider's cache."""
        return tokens * self._cached // self._input if self._input else 0

    def goes_on(self, usage: Usage, before_tokens: int, *, is_warm: bool) -> None:
        """Measure a turn of a conversation that was answered here before, with so many tokens."""
        share = min(usage.cache_read / before_tokens, 1.0)
        self.found_later += (share - self.found_later) * FOLLOW
        if is_warm:
            self.found += (share - self.found) * FOLLOW

    def written_of(self, tokens: int) -> int:
        """Return how many of so many tokens that come from no cache are expected to be billed as written to one."""
        fresh = self._input - self._cached
        return tokens * self._written // fresh if fresh else 0

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
    """The expectations of one worker.

    Args:
        now_s: A clock, in unix seconds: prices are dated.
    """

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._outputs = Outputs()
        self._seen: dict[str, Seen] = {}

    def learn(self, deployment: Deployment, task: str, usage: Usage, now_s: int) -> None:
        """Take note of a whole answer, as its provider reports it."""
        if usage.source != "reported":
            return
        self._outputs.of(deployment.model, task).add(usage.output_total)
        self._seen_of(deployment).add(usage, now_s)

    def goes_on(self, deployment: Deployment, usage: Usage, before_tokens: int, *, is_warm: bool) -> None:
        """Take note of how much of a conversation, so long before, a deployment's cache had."""
        if usage.source == "reported" and before_tokens:
            self._seen_of(deployment).goes_on(usage, before_tokens, is_warm=is_warm)

    def _seen_of(self, deployment: Deployment) -> Seen:
        found = self._seen.get(deployment.name)
        if found is None:
            if len(self._seen) >= DEPLOYMENTS_MAX:
                del self._seen[next(iter(self._seen))]
            found = self._seen[deployment.name] = Seen()
        return found

    def turn_nusd(self, deployment: Deployment, ask: Ask, task: str, warm_tokens: int) -> int | None:
        """Return what a turn of a conversation is expected to cost, in nano-dollars; None when no price is known.

        Args:
            deployment: Where it would go.
            ask: The turn.
            task: What it is about.
            warm_tokens: How much of it the cache there should hold.
        """
        share, _ = self._shares(deployment)
        return self.nusd(deployment, ask, task, cached=int(min(warm_tokens, input_estimate(ask)) * share))

    def later_nusd(self, deployment: Deployment, ask: Ask, task: str, grown: int, *, is_soon: bool) -> int | None:
        """Return what a later turn of a conversation is expected to cost, if it goes on at a deployment as others did.

        Args:
            deployment: Where it would go.
            ask: The turn before it.
            task: What it is about.
            grown: By how many tokens it is longer then.
            is_soon: Whether it comes while the cache there should still be kept, as turns of tools do.
        """
        soon, later = self._shares(deployment)
        cached = int(input_estimate(ask) * (soon if is_soon else later))
        return self.nusd(deployment, ask, task, cached=cached, grown=grown)

    def _shares(self, deployment: Deployment) -> tuple[float, float]:
        """Return the shares of what conversations were that were found in a deployment's cache: in time, and of all."""
        seen = self._seen.get(deployment.name)
        return (FOUND_ASSUMED, FOUND_ASSUMED) if seen is None else (seen.found, seen.found_later)

    def nusd(
        self, deployment: Deployment, ask: Ask, task: str, now_s: int | None = None, *, cached: int | None = None,
        grown: int = 0,
    ) -> int | None:  # fmt: skip
        """Return what a request is expected to cost, in nano-dollars; None when no price is known.

        Of its input `cached` comes from the provider's cache, None: the share that did so far. It is `grown` tokens
        longer than now.
        """
        at_s = int(self._now_s()) if now_s is None else now_s
        seen = self._seen.get(deployment.name)
        reserved = deployment.reserved_tpm
        if deployment.free or (reserved is not None and (seen is None or seen.minute(at_s) < reserved)):
            return 0
        if deployment.prices is None:
            return None
        ins = input_estimate(ask)
        if cached is None:
            cached = 0 if seen is None else seen.cached_of(ins)
        ins += grown
        written = 0 if seen is None else seen.written_of(ins - cached)
        output = self._output(deployment, ask, task)
        try:
            card = deployment.prices.at(at_s).for_service_tier(metering.service_tier_of(deployment, ask))
            return card.cost_nusd(
                Usage(input=ins - cached - written, cache_read=cached, cache_write_5m=written, output=output)
            )
        except (NoPrice, UnpricedBucket):
            return None

    def _output(self, deployment: Deployment, ask: Ask, task: str) -> int:
        learnt = self._outputs.of(deployment.model, task).quantile(MEDIAN)
        tokens = OUTPUT_ASSUMED_TOKENS if learnt is None else learnt
        if ask.output_max is not None and ask.output_max < tokens:
            tokens = ask.output_max
        return tokens * ask.choices
