"""`/v1/webhooks/outcomes/NAME`: what came of tasks, told by a signed message instead of with a key."""

from __future__ import annotations

import time
from hashlib import blake2b

from fastapi import APIRouter, Request, Response

from proxy.api.answers import headers_of
from proxy.api.bodies import OutcomeSigned, read_body
from proxy.api.tasks import Desk, moment
from proxy.identity import signatures
from proxy.wire.errors import Malformed, Unauthenticated, UnknownName
from proxy.world import World


def routes(world: World, desk: Desk) -> APIRouter:
    """Return the route of signed messages; `desk` asks the keeper."""
    router = APIRouter()

    @router.post("/v1/webhooks/outcomes/{name}")
    async def _judge(request: Request, name: str) -> Response:
        body = await request.body()
        event, own = _signed(world, request, name, body)
        told = read_body(OutcomeSigned, body)
        if own is not None and told.customer not in {None, own}:
            raise Malformed("This webhook speaks for another customer.", param="customer")
        customer = world.identity.number(told.customer if own is None else own)
        if customer is None:
            raise UnknownName("There is no such customer.", param="customer")
        args = {"customer": customer, "task": told.task, "outcome": told.outcome, "at_t": moment(told.at)}
        return await desk.ask("outcomes.tell", args, f"webhook:{name}", event)

    return router


def _signed(world: World, request: Request, name: str, body: bytes) -> tuple[str, str | None]:
    """Return the digest of a message's id, for whom its sender speaks; an unknown sender looks like a wrong signature.

    Raises:
        Unauthenticated: Nobody we know signed it, or not now.
    """
    webhook = world.settings.webhooks.get(name)
    if webhook is None:
        raise Unauthenticated("The webhook's signature is not one of ours.")
    id_ = signatures.signed_id(
        headers_of(request), body, webhook.secrets, now_s=time.time(), tolerance_s=webhook.tolerance_s
    )
    return blake2b(b"%b\n%b" % (name.encode(), id_), digest_size=16).hexdigest(), webhook.customer
