"""`GET` and `DELETE /v1/responses/{id}`: what a customer's own responses said, where they are kept or stored."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from proxy.admission import KeeperAway
from proxy.api.answers import authenticated, headers_of, json_answer
from proxy.identity import Principal, customer_name
from proxy.settings import Deployment
from proxy.upstream.client import CallFailed
from proxy.upstream.dialects import openai
from proxy.wire.errors import Malformed, NotServed, ProxyError, Unavailable, UnknownName, UpstreamFailed
from proxy.world import World


def routes(world: World) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get("/v1/responses/{name}")
    async def _retrieve(request: Request, name: str) -> Response:
        principal = _whose(world, request)
        if request.query_params.get("stream", "false") != "false":
            raise Malformed("Responses that are stored are not streamed again.", param="stream")
        found = await _found(world, principal, name)
        if "provider" in found:
            return await _forwarded(world, "GET", found["provider"], name)
        return Response(found["response"], media_type="application/json")

    @router.delete("/v1/responses/{name}")
    async def _delete(request: Request, name: str) -> Response:
        principal = _whose(world, request)
        found = await _found(world, principal, name)
        if "provider" in found:
            # The provider first: what it did not delete must not look deleted.
            await _forwarded(world, "DELETE", found["provider"], name)
        try:
            await world.keeper.drop(principal.customer, name)
        except KeeperAway:
            raise Unavailable("The response cannot be deleted right now.") from None
        return json_answer({"id": name, "object": "response", "deleted": True})

    @router.post("/v1/responses/compact")
    @router.post("/v1/responses/input_tokens")
    @router.api_route("/v1/responses/{name}/{rest:path}", methods=["GET", "POST", "DELETE"])
    async def _not_served(request: Request) -> Response:
        raise NotServed(f"{request.scope['path'][:80]} is not served yet.")

    return router


def _whose(world: World, request: Request) -> Principal:
    """Return who asks, as the customer that its header names."""
    principal = authenticated(world, request, "responses")
    name = customer_name(headers_of(request))
    # Of a customer that nobody has opened there is nothing to be found.
    found = principal if name is None else world.identity.attributed(principal, name)
    if found is None:
        raise _unknown("")
    return found


async def _found(world: World, principal: Principal, name: str) -> dict[str, Any]:
    try:
        found = await world.keeper.kept(principal.customer, name)
    except KeeperAway:
        raise Unavailable("The response cannot be looked up right now.") from None
    if found is None:
        raise _unknown(name)
    return found


def _unknown(name: str) -> UnknownName:
    return UnknownName(f"Response with id '{name[:80]}' not found.")


async def _forwarded(world: World, method: str, provider_name: str, name: str) -> Response:
    """Return what the provider that stores a response answers; it bills nothing for that."""
    at = (each for each in world.settings.deployments.values() if each.provider.name == provider_name)
    deployment = next(at, None)
    if deployment is None or not deployment.provider.enabled:
        raise UpstreamFailed("The provider that stores this response is no longer configured.")
    status, body, retry_after = await _fetched(world, deployment, method, name)
    if status == 404:
        raise _unknown(name)
    if status != 200:
        error: ProxyError = openai.read_error(status, body, retry_after)
        raise error
    try:
        return json_answer(orjson.loads(body))
    except orjson.JSONDecodeError:
        raise UpstreamFailed("The provider's answer is not JSON.") from None


async def _fetched(world: World, deployment: Deployment, method: str, name: str) -> tuple[int, bytes, bytes | None]:
    try:
        answer = await world.upstream.fetch(deployment, method, f"/responses/{name}")
        return answer.status, await answer.read(), answer.header("retry-after")
    except CallFailed:
        raise UpstreamFailed("The provider that stores this response cannot be reached.") from None
