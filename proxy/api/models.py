"""`/v1/models`: the models that a key reaches, in OpenAI's words, or in Anthropic's for who sends its version header.

Source of the latter: Anthropic's API reference, "List Models": pages by id, and the epoch where a date is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from proxy.api.answers import authenticated, json_answer, surface_of
from proxy.routing.policy import model_names
from proxy.wire.errors import Malformed, UnknownModel
from proxy.world import World

PAGE_DEFAULT = 20
"""Anthropic's own."""
PAGE_MAX = 1_000


def routes(world: World) -> APIRouter:
    """Return the routes of `/v1/models`."""
    router = APIRouter()

    @router.get("/v1/models")
    async def _list(request: Request) -> Response:
        names = _names(world, request)
        if surface_of(request) == "messages":
            return json_answer(_page(names, request.query_params))
        return json_answer({"object": "list", "data": [_openai(world, name) for name in names]})

    @router.get("/v1/models/{name:path}")
    async def _retrieve(request: Request, name: str) -> Response:
        if name not in _names(world, request):
            raise UnknownModel(f"The model `{name[:80]}` does not exist.", param="model")
        return json_answer(_anthropic(name) if surface_of(request) == "messages" else _openai(world, name))

    return router


def _names(world: World, request: Request) -> list[str]:
    return list(model_names(world.settings, authenticated(world, request, "models").terms))


def _openai(world: World, name: str) -> dict[str, Any]:
    deployment = world.settings.deployments.get(name)
    owner = "penstock" if deployment is None else deployment.provider.name
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def _anthropic(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}


def _page(names: Sequence[str], asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the models after one, or before one, as many as are asked for.

    Raises:
        Malformed: the page is asked for in words that it is not.
    """
    size, after, before = _size(asked.get("limit")), asked.get("after_id"), asked.get("before_id")
    if after is not None and before is not None:
        raise Malformed("`after_id` and `before_id` exclude each other.", param="before_id")
    if before is not None:
        left = names[: _place(names, before, "before_id")]
        found, more = left[-size:], len(left) > size
    else:
        left = names if after is None else names[_place(names, after, "after_id") + 1 :]
        found, more = left[:size], len(left) > size
    ends = (found[0], found[-1]) if found else (None, None)
    return {"data": [_anthropic(name) for name in found], "has_more": more, "first_id": ends[0], "last_id": ends[1]}


def _size(limit: str | None) -> int:
    if limit is None:
        return PAGE_DEFAULT
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= PAGE_MAX):
        raise Malformed(f"`limit` must be an integer from 1 to {PAGE_MAX}.", param="limit")
    return int(limit)


def _place(names: Sequence[str], name: str, field: str) -> int:
    if name not in names:
        raise Malformed(f"`{field}` names no model.", param=field)
    return names.index(name)
