"""`POST /v1/messages/count_tokens`: what a request would take, without asking anybody. Nothing is charged for it.

It is our estimate, as routes and holds go by it: no provider publishes its tokenizer for every model, and nobody is
asked. It is the same for all models, and of one that is served nowhere there is none.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from proxy.api.answers import authenticated, json_answer
from proxy.routing.policy import model_names
from proxy.wire import messages
from proxy.wire.ask import input_estimate
from proxy.wire.errors import UnknownModel
from proxy.world import World


def routes(world: World) -> APIRouter:
    """Return the route."""
    router = APIRouter()

    @router.post("/v1/messages/count_tokens")
    async def _count(request: Request) -> Response:
        principal = authenticated(world, request, "messages")
        asked = messages.read(await request.body(), needs_limit=False)
        if asked.model not in model_names(world.settings, principal.terms):
            raise UnknownModel(f"The model `{asked.model[:80]}` does not exist.", param="model")
        return json_answer({"input_tokens": input_estimate(asked)})

    return router
