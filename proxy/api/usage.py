"""`GET /v1/usage`: what a customer may know of its own use, without any figure of what it cost us.

The keeper is asked once for all who ask about a customer within a few seconds, and so often a second at most, whoever
polls; beyond that the answer is 429.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from margin.sellbook import Plan
from proxy import limiting
from proxy.admission import KeeperAway
from proxy.api.answers import acted_for, headers_of, json_answer
from proxy.api.bodies import UsagePage, read_query
from proxy.identity import Principal
from proxy.limits.bundles import TOLD, subjects_of
from proxy.settings import RATES, Settings
from proxy.wire.errors import TooOften, Unavailable
from proxy.world import World

KEPT_S = 5.0
"""How old an answer may be. Polling faster shows the same."""
KEPT_MAX = 1_000
ASKS_PER_S_MAX = 50
"""Of one worker. The keeper answers one in some 0.2 ms, so eight workers take a tenth of it at most."""

Answer = dict[str, Any]


def routes(world: World) -> APIRouter:
    """Return the route of `/v1/usage`."""
    router = APIRouter()
    desk = _Desk(world)

    @router.get("/v1/usage")
    async def _usage(request: Request) -> Response:
        principal = acted_for(world, request, "usage")
        days = read_query(UsagePage, request.query_params.multi_items()).days
        member = limiting.member(world, principal, world.plan_of(principal.plan), headers_of(request), {})
        found = await desk.ask(principal.customer, days, principal.key, member)
        answer = json_answer(_shown(world, principal, member, found))
        answer.headers["cache-control"] = f"private, max-age={KEPT_S:.0f}"
        return answer

    return router


def _shown(world: World, principal: Principal, member: str | None, found: Answer) -> Answer:
    return {
        "object": "usage",
        "customer": principal.name,
        "as_of": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found["t_s"])),
        "plan": _plan(world.plan_of(principal.plan)),
        "credits": found["credits"],
        "limits": _limits(world, principal, member),
        "budgets": _budgets(found["budgets"]),
        "requests": _by_day(world.settings, found["rows"]),
    }


def _plan(plan: Plan) -> Answer:
    """Return what a customer's plan gives it and how far: nothing of what it is sold for, or earns."""
    terms = plan.credits
    return {
        "name": plan.name,
        "enforce": terms.enforce,
        "included_credits": _credits(terms.included_milli),
        "credits_per_request": {tier: _credits(milli) for tier, milli in terms.schedule_milli.items()},
        "metered": terms.metered is not None,
        "max_tier": "complex" if plan.max_tier is None else plan.max_tier,
    }


def _limits(world: World, principal: Principal, member: str | None) -> Answer:
    """Return the limits of the key that asks, its customer, and the member asked about; what has none is left out."""
    plan, limits = world.plan_of(principal.plan), world.settings.limits
    subjects = subjects_of(limiting.who_of(principal, plan, None, member), limits)
    return {
        kind: {name: limit for name, limit in zip(RATES, terms.rates(), strict=True) if limit is not None}
        for kind, _, terms in subjects
        if kind in TOLD
    }


def _budgets(rows: list[Answer]) -> list[Answer]:
    """Return how far budgets of the key that asks, its customer and a member are spent, as parts of them."""
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


def _by_day(settings: Settings, rows: list[list[Any]]) -> list[Answer]:
    """Return one row by day and model, under the name that customers know a model by."""
    names = {(each.provider.name, each.model): name for name, each in settings.deployments.items()}
    found: dict[tuple[str, str], Answer] = {}
    for day, provider, model, *sums in rows:
        name = names.get((provider, model), model)
        row = found.setdefault((day, name), {
            "day": day, "model": name, "requests": 0, "input_tokens": 0, "output_tokens": 0, "credits": 0,
        })  # fmt: skip
        requests, ins, out, milli = sums
        row["requests"] += requests
        row["input_tokens"] += ins
        row["output_tokens"] += out
        row["credits"] += milli
    return [row | {"credits": _credits(row["credits"])} for row in found.values()]


def _credits(milli: int) -> int | float:
    """Return credits as commands write them: whole ones as integers."""
    return milli // 1000 if milli % 1000 == 0 else milli / 1000


class _Desk:
    """Asks the keeper, seldom."""

    def __init__(self, world: World, clock: Callable[[], float] = time.monotonic) -> None:
        self._world, self._clock = world, clock
        self._kept: OrderedDict[tuple[int, int, str, str | None], tuple[float, asyncio.Future[Answer]]] = OrderedDict()
        self._second, self._asks = 0, 0

    async def ask(self, customer: int, days: int, key: str, member: str | None = None) -> Answer:
        """Return what the keeper says, or said a moment ago to whoever asked the same.

        Raises:
            TooOften: it was asked too much within this second.
            Unavailable: it does not answer.
        """
        now_s, name = self._clock(), (customer, days, key, member)
        asked_s, answer = self._kept.get(name, (0.0, None))
        if answer is None or now_s - asked_s > KEPT_S or (answer.done() and answer.exception() is not None):
            self._count(now_s)
            answer = asyncio.ensure_future(self._ask(*name))
            answer.add_done_callback(_seen)
            self._kept.pop(name, None)
            self._kept[name] = now_s, answer
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        try:
            return await asyncio.shield(answer)
        except KeeperAway:
            raise Unavailable("The books cannot be asked right now.") from None

    def _count(self, now_s: float) -> None:
        if int(now_s) != self._second:
            self._second, self._asks = int(now_s), 0
        if self._asks >= ASKS_PER_S_MAX:
            raise TooOften("Usage is asked for too often; try again in a second.")
        self._asks += 1

    async def _ask(self, customer: int, days: int, key: str, member: str | None) -> Answer:
        return {**await self._world.keeper.usage(customer, days, key, member), "t_s": time.time()}


def _seen(answer: asyncio.Future[Answer]) -> None:
    """Take note of how it ended, also when all who asked have left."""
    if not answer.cancelled():
        answer.exception()
