"""`/v1/tasks` and `/v1/outcomes`: where work begins and ends and what came of it, for keys of the scope `outcomes`.

A key that may only have requests served decides nothing of what it is charged for: here it is answered 403.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from margin.money import usd_to_nusd
from proxy.admission import KeeperAway
from proxy.api.answers import acted_for, headers_of, json_answer, refusal
from proxy.api.bodies import NewTask, OutcomeTold, TaskCost, TaskEnd, read_body
from proxy.idempotency import HEADER, KEY_CHARS_MAX
from proxy.identity import Principal
from proxy.wire.errors import Malformed, TooOften, Unavailable
from proxy.world import World

ASKS_PER_S_MAX = 200
"""Of one worker: each is a write of the keeper's, of some half a millisecond."""


def routes(world: World, desk: Desk) -> APIRouter:
    """Return the routes of tasks and outcomes; `desk` asks the keeper."""
    router = APIRouter()

    @router.post("/v1/tasks")
    async def _open(request: Request) -> Response:
        whose = acted_for(world, request, "tasks")
        return await desk.tell(request, whose, "tasks.open", read_body(NewTask, await request.body()).model_dump())

    @router.get("/v1/tasks/{id_}")
    async def _get(request: Request, id_: str) -> Response:
        return await desk.tell(request, acted_for(world, request, "tasks"), "tasks.get", {"task": id_})

    @router.post("/v1/tasks/{id_}/close")
    async def _close(request: Request, id_: str) -> Response:
        whose = acted_for(world, request, "tasks")
        end = read_body(TaskEnd, await request.body())
        return await desk.tell(request, whose, "tasks.close", {"task": id_, "completed": end.completed})

    @router.post("/v1/tasks/{id_}/costs")
    async def _cost(request: Request, id_: str) -> Response:
        whose = acted_for(world, request, "tasks")
        told = read_body(TaskCost, await request.body())
        args = {"task": id_, "kind": told.kind, "nusd": usd_to_nusd(told.usd), "at_t": moment(told.at)}
        return await desk.tell(request, whose, "tasks.cost", args)

    @router.post("/v1/outcomes")
    async def _judge(request: Request) -> Response:
        whose = acted_for(world, request, "tasks")
        told = read_body(OutcomeTold, await request.body())
        args = {"task": told.task, "outcome": told.outcome, "at_t": moment(told.at)}
        return await desk.tell(request, whose, "outcomes.tell", args)

    return router


def moment(text: str | None) -> int | None:
    """Return a moment in nanoseconds since 1970, of ISO 8601 with its offset from UTC.

    Raises:
        Malformed: it is no such text.
    """
    if text is None:
        return None
    wrong = Malformed("`at` must be a moment like 2026-11-20T12:00:00Z.", param="at")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise wrong from None
    if found.tzinfo is None:
        raise wrong
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


class Desk:
    """Asks the keeper, and not more often than it can write."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._second = self._asks = 0

    async def tell(self, request: Request, whose: Principal, command: str, args: dict[str, Any]) -> Response:
        """Answer what the keeper does for a key."""
        return await self.ask(command, args | {"customer": whose.customer}, whose.key, _event(request))

    async def ask(self, command: str, asked: dict[str, Any], key: str, event: str | None) -> Response:
        """Answer what the keeper does; `event` is the digest of what the same answer comes again under."""
        self._count()
        if event is not None:
            digest = sha256(orjson.dumps([command, asked], option=orjson.OPT_SORT_KEYS)).hexdigest()
            asked |= {"event": event, "request": digest}
        try:
            answer = await self._world.keeper.command(command, asked, key, claim=None, request="")
        except KeeperAway:
            raise Unavailable("The keeper did not answer in time; whether it was done is not known.") from None
        if "result" not in answer:
            raise refusal(answer)
        return json_answer(answer["result"])

    def _count(self) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._asks = second, 0
        if self._asks >= ASKS_PER_S_MAX:
            raise TooOften("Tasks are told of too often; try again in a second.")
        self._asks += 1


def _event(request: Request) -> str | None:
    """Return the digest of the idempotency key, or None."""
    key = headers_of(request).get(HEADER)
    if key is None or request.method != "POST":
        return None
    if not 0 < len(key) <= KEY_CHARS_MAX:
        raise Malformed(f"`idempotency-key` must be 1 to {KEY_CHARS_MAX} characters.", param="idempotency-key")
    return blake2b(key, digest_size=16).hexdigest()
