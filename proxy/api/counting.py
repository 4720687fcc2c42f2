"""`POST /v1/messages/count_tokens`: what a request would take, without asking anybody. Nothing is charged for it.

It is our estimate, as routes and holds go by it: no provider publishes its tokenizer for every model, and nobody is
asked.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from proxy.api.answers import authenticated, json_answer
from proxy.routing.capability import input_estimate
from proxy.wire import messages
from proxy.wire.errors import TooLarge
from proxy.world import World


def routes(world: World) -> APIRouter:
    """Return the route."""
    router = APIRouter()

    @router.post("/v1/messages/count_tokens")
    async def _count(request: Request) -> Response:
        authenticated(world, request, "messages")
        body = await request.body()
        if len(body) > world.settings.server.body_bytes_max:
            raise TooLarge(f"The body is larger than {world.settings.server.body_bytes_max} bytes.")
        return json_answer({"input_tokens": input_estimate(messages.read(body, needs_limit=False))})

    return router
