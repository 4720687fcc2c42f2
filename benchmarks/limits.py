"""What limits cost a request: µs for looking them up, taking them, the ceiling, and giving them back.

`make bench-limits` prints the median CPU time of several rounds: for the shipped defaults (a budget and a
bound on open requests), a key with the usual four limits, and twenty-one at once. It fails where one of the first
two is above the bound; the last is there to be seen.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.inside import CUSTOMER, KEY, worker
from benchmarks.load import body
from classifiers import judge, read_ask
from proxy import limiting
from proxy.identity import Principal
from proxy.quote import quote
from proxy.routing import policy
from proxy.settings import Budget, Limits, Terms
from proxy.settlement import Case
from proxy.wire import chat

BOUND_US = 15.0
"""What the hot path may pay for the limits that are shipped, and for those that keys usually have."""
ROUNDS, REQUESTS = 9, 2_000
EXAMPLE = Terms(10**9, 10**12, concurrency=10**6, budgets=(Budget(10**17, "day"),))
BUSY = Terms(10**9, 10**12, 10**10, 10**13, 10**6, (Budget(10**17, "day"), Budget(10**18, "month")))
USUAL = "a key with rpm, tpm, concurrency, budget"
LINE = {"kind": "model", "cost": 1_000, "u": {"input": 500, "output": 50}}


class Asker:
    """One request after the other, as the exchange does it: look up, take, give back."""

    def __init__(self, world: Any, limits: Limits) -> None:
        self._world = world
        ask = chat.read(body("fast"))
        self._principal = Principal("key_1", CUSTOMER, "bench", "prepaid", frozenset({"serve"}))
        plan = world.plan_of("prepaid")
        route = policy.route(world.settings, plan, ask, judge(read_ask(ask.messages, tools=0, wants_schema=False)))
        self._plan, self._limits = plan, limits
        self.case = lambda bundle: _case(world, self._principal, plan, ask, route, bundle)

    def bundle(self) -> Any:
        """Look the limits up."""
        return limiting.bundle_of(self._world, self._principal, self._plan, limiting.feature({}, self._limits))

    async def one(self, case: Case) -> None:
        """Look up, take, give back."""
        self.bundle()
        right = await limiting.admit(self._world, case)
        right.end([LINE], 1_000)

    async def nothing(self, case: Case) -> None:
        """The call alone."""


def _case(world: Any, principal: Principal, plan: Any, ask: Any, route: Any, bundle: Any) -> Any:
    class Ticket:
        customer = CUSTOMER

    return Case(world.settings, principal, plan, ask, None, route, quote(plan, route, ask, world.outputs),  # type: ignore[arg-type]
                Ticket(), 0.0, False, bundle, None)  # type: ignore[arg-type] # fmt: skip


async def _us(step: Callable[[Case], Any], case: Case) -> float:
    found = []
    for _ in range(ROUNDS):
        before = time.process_time()
        for _ in range(REQUESTS):
            await step(case)
        found.append((time.process_time() - before) / REQUESTS * 1e6)
    return statistics.median(found)


async def measure(world: Any, limits: Limits) -> float:
    """Return the µs that a request pays under some limits."""
    object.__setattr__(world.settings, "limits", limits)
    asker = Asker(world, limits)
    case = asker.case(asker.bundle())
    await asker.one(case)  # the first one asks the lender
    return await _us(asker.one, case) - await _us(asker.nothing, case)


def main() -> int:
    """Measure and print; 1 when a bound breaks."""
    busy = Limits(key_defaults=BUSY, all=BUSY, customers={"bench": BUSY})
    with tempfile.TemporaryDirectory() as folder, worker(Path(folder)) as served:
        world = served.world
        rows = {"as shipped": Limits(), USUAL: Limits(key_defaults=EXAMPLE),
                "key, customer and all with seven limits each": busy}  # fmt: skip
        found = {name: asyncio.run(measure(world, limits)) for name, limits in rows.items()}
    for name, cpu_us in found.items():
        print(f"{name:<48}{cpu_us:6.1f} µs of CPU per request")
    print(f"{'bound of the first two':<48}{BOUND_US:6.1f}")
    return int(max(found["as shipped"], found[USUAL]) > BOUND_US)


if __name__ == "__main__":
    assert KEY  # the worker's own
    sys.exit(main())
