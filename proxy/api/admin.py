"""`/admin`: keys, customers, credits, tasks and plans over HTTP, for keys of the scope `admin`.

Each route reads its own shape and asks the keeper for the command of the same name; the trail names the key that asked.
What makes something may carry an `idempotency-key`: then it is made once, however often it is asked for.
"""

from __future__ import annotations

from hashlib import blake2b, sha256
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from margin.money import usd_to_nusd
from proxy.admission import KeeperAway
from proxy.api.answers import authenticated, headers_of, json_answer, refusal
from proxy.api.bodies import (
    CustomerChange,
    CustomerPage,
    Delivery,
    KeyChange,
    KeyPage,
    NewCustomer,
    NewGrant,
    NewKey,
    Nothing,
    Rotation,
    StatementOf,
    TaskEnd,
    TaskPage,
    WhoseBalance,
    read_body,
    read_query,
)
from proxy.idempotency import HEADER, KEY_CHARS_MAX
from proxy.wire.errors import Malformed, Unavailable
from proxy.world import World


def routes(world: World) -> APIRouter:
    """Return the routes of `/admin`."""
    router = APIRouter(prefix="/admin")
    _keys(router, world)
    _customers(router, world)
    _credits(router, world)
    _tasks(router, world)
    return router


def _keys(router: APIRouter, world: World) -> None:
    @router.post("/keys")
    async def _create(request: Request) -> Response:
        asked = _Asked(world, request)
        return await asked.command("keys.create", read_body(NewKey, await request.body()).model_dump())

    @router.get("/keys")
    async def _list(request: Request) -> Response:
        asked = _Asked(world, request)
        page = read_query(KeyPage, request.query_params.multi_items())
        return await asked.page("keys.list", page.model_dump(), page.limit)

    @router.patch("/keys/{id_}")
    async def _change(request: Request, id_: str) -> Response:
        asked = _Asked(world, request)
        stated = read_body(KeyChange, await request.body()).stated()
        if not stated:
            raise Malformed(f"Say what is to change: {', '.join(KeyChange.model_fields)}.")
        return await asked.command("keys.change", {"id": id_, **stated})

    @router.post("/keys/{id_}/rotate")
    async def _rotate(request: Request, id_: str) -> Response:
        asked = _Asked(world, request)
        return await asked.command("keys.rotate", {"id": id_, **read_body(Rotation, await request.body()).model_dump()})

    @router.delete("/keys/{id_}")
    async def _revoke(request: Request, id_: str) -> Response:
        asked = _Asked(world, request)
        read_body(Nothing, await request.body())
        return await asked.command("keys.revoke", {"id": id_, "again": True})


def _customers(router: APIRouter, world: World) -> None:
    @router.post("/customers")
    async def _create(request: Request) -> Response:
        asked = _Asked(world, request)
        return await asked.command("customers.create", read_body(NewCustomer, await request.body()).model_dump())

    @router.get("/customers")
    async def _list(request: Request) -> Response:
        asked = _Asked(world, request)
        page = read_query(CustomerPage, request.query_params.multi_items())
        return await asked.page("customers.list", page.model_dump(), page.limit)

    @router.patch("/customers/{name:path}")
    async def _change(request: Request, name: str) -> Response:
        asked = _Asked(world, request)
        change = read_body(CustomerChange, await request.body())
        if (change.plan is None) == (change.seats is None):
            raise Malformed("Say what is to change, one at a time: plan or seats.")
        if change.plan is not None:
            return await asked.command("customers.move", {"customer": name, "plan": change.plan})
        return await asked.command("customers.seats", {"customer": name, "seats": change.seats})

    @router.post("/deliveries")
    async def _deliver(request: Request) -> Response:
        asked = _Asked(world, request)
        return await asked.command("customers.deliver", read_body(Delivery, await request.body()).model_dump())

    @router.get("/statement")
    async def _statement(request: Request) -> Response:
        asked = _Asked(world, request)
        whose = read_query(StatementOf, request.query_params.multi_items())
        return await asked.command("report.statement", whose.model_dump())

    @router.get("/plans")
    async def _plans(request: Request) -> Response:
        asked = _Asked(world, request)
        return await asked.listed("plans.list")


def _tasks(router: APIRouter, world: World) -> None:
    @router.get("/tasks")
    async def _list(request: Request) -> Response:
        asked = _Asked(world, request)
        page = read_query(TaskPage, request.query_params.multi_items())
        return await asked.page("tasks.list", page.model_dump(), page.limit)

    @router.get("/tasks/{id_}")
    async def _show(request: Request, id_: str) -> Response:
        return await _Asked(world, request).command("tasks.show", {"task": id_})

    @router.post("/tasks/{id_}/close")
    async def _close(request: Request, id_: str) -> Response:
        asked = _Asked(world, request)
        end = read_body(TaskEnd, await request.body())
        return await asked.command("tasks.end", {"task": id_, "completed": end.completed})


def _credits(router: APIRouter, world: World) -> None:
    @router.post("/credits")
    async def _grant(request: Request) -> Response:
        asked = _Asked(world, request)
        grant = read_body(NewGrant, await request.body())
        return await asked.command("credits.grant", {
            "customer": grant.customer, "credits_milli": int(grant.credits * 1000),
            "paid_nusd": usd_to_nusd(grant.paid_usd), "expires_s": grant.expires, "priority": grant.priority,
        })  # fmt: skip

    @router.get("/credits")
    async def _balance(request: Request) -> Response:
        asked = _Asked(world, request)
        whose = read_query(WhoseBalance, request.query_params.multi_items())
        return await asked.command("credits.balance", {"customer": whose.customer})


class _Asked:
    """One request of an admin key."""

    def __init__(self, world: World, request: Request) -> None:
        self._world, self._request = world, request
        self._key = authenticated(world, request, "admin").key

    async def page(self, command: str, args: dict[str, Any], limit: int) -> Response:
        """Answer a part of a list, and whether there is more."""
        rows = await self._result(command, args | {"limit": limit + 1})
        return json_answer({"object": "list", "data": rows[:limit], "has_more": len(rows) > limit})

    async def listed(self, command: str) -> Response:
        """Answer a whole list."""
        return json_answer({"object": "list", "data": await self._result(command, {}), "has_more": False})

    async def command(self, command: str, args: dict[str, Any]) -> Response:
        """Answer what the command does."""
        return json_answer(await self._result(command, args))

    async def _result(self, command: str, args: dict[str, Any]) -> Any:
        claim, request = self._claim(), sha256(orjson.dumps([command, args])).hexdigest()
        try:
            answer = await self._world.keeper.command(command, args, self._key, claim=claim, request=request)
        except KeeperAway:
            raise Unavailable("The keeper did not answer in time; whether it was done is not known.") from None
        if "result" not in answer:
            raise refusal(answer)
        return answer["result"]

    def _claim(self) -> str | None:
        """Return the digest of the idempotency key, or None."""
        key = headers_of(self._request).get(HEADER)
        if key is None or self._request.method != "POST":
            return None
        if not 0 < len(key) <= KEY_CHARS_MAX:
            raise Malformed(f"`idempotency-key` must be 1 to {KEY_CHARS_MAX} characters.", param="idempotency-key")
        return blake2b(key, digest_size=16).hexdigest()
