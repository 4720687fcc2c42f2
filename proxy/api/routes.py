"""Every route that is not hot: models, usage, admin, health, and typed 501s for what is not served."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

import proxy
from proxy.api import admin, counting, feedback, models, page, responses, tasks, usage, webhooks
from proxy.api.answers import json_answer, surface_of
from proxy.api.hot import HOT
from proxy.wire import errors
from proxy.wire.errors import MethodNotAllowed, NotServed, ProxyError
from proxy.wire.surfaces import SURFACES
from proxy.world import World

NOT_SERVED = (
    "/v1/messages/batches", "/v1/batches", "/v1/files",
    "/v1/images", "/v1/audio", "/v1/moderations",
)  # fmt: skip
"""Endpoints of the API that are not built; the README lists them too."""


def build(world: World, why_unready: Callable[[], str | None]) -> FastAPI:
    """Return the app for everything but the hot routes. `why_unready` says what is wrong; None: nothing."""
    app = FastAPI(title="Penstock", version=proxy.__version__, docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(ProxyError)
    async def _refused(request: Request, error: ProxyError) -> Response:
        return _error(world, request, error)

    @app.exception_handler(HTTPException)
    async def _no_route(request: Request, error: HTTPException) -> Response:
        return _error(world, request, _from_framework(error))

    @app.get("/healthz")
    async def _healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def _readyz() -> Response:
        why = why_unready()
        return (
            json_answer({"status": "ready"}) if why is None else json_answer({"status": "not ready", "why": why}, 503)
        )

    app.include_router(models.routes(world))
    app.include_router(usage.routes(world))
    app.include_router(feedback.routes(world))
    desk = tasks.Desk(world)
    app.include_router(tasks.routes(world, desk))
    app.include_router(webhooks.routes(world, desk))
    app.include_router(admin.routes(world))
    app.include_router(page.routes(world))
    app.include_router(counting.routes(world))
    app.include_router(responses.routes(world))
    # Their POSTs never come here.
    for path in map(bytes.decode, HOT):
        app.add_api_route(path, _post_only, methods=["GET", "PUT", "PATCH", "DELETE"])
    for path in NOT_SERVED:
        app.add_api_route(path, _not_served, methods=["GET", "POST", "DELETE"])
        app.add_api_route(path + "/{rest:path}", _not_served, methods=["GET", "POST", "DELETE"])
    return app


async def _post_only() -> Response:
    raise MethodNotAllowed("This endpoint takes POST only.")


async def _not_served(request: Request) -> Response:
    raise NotServed(f"{request.scope['path'][:80]} is not served yet.")


def _error(world: World, request: Request, error: ProxyError) -> Response:
    """Answer with an error in the words of the API whose path, or whose header, it is."""
    world.refuse(error.reason)
    found = {name.decode(): value.decode() for name, value in errors.headers(error)}
    body = SURFACES[surface_of(request)].error_body(error)
    return Response(orjson.dumps(body), error.status, found, "application/json")


def _from_framework(error: HTTPException) -> ProxyError:
    if error.status_code == 405:
        return MethodNotAllowed(
            "This endpoint does not take that method.", allowed=(error.headers or {}).get("Allow", "")
        )
    ours = errors.Rejected("There is no such endpoint.")
    ours.status, ours.reason = error.status_code, "no_route"
    return ours
