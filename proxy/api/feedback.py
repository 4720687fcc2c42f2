"""`POST /v1/feedback`: a customer's word about an answer that it got, which the judge may learn from.

It moves no charge. Whoever may ask may say how the answer was, of its own customer's exchanges.
"""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response

from proxy.admission import KeeperAway
from proxy.api.answers import authenticated, json_answer, refusal
from proxy.api.bodies import Feedback, read_body
from proxy.identity import customer_name
from proxy.wire.errors import Malformed, TooOften, Unavailable, UnknownName
from proxy.world import World

WORDS_PER_S_MAX = 50
"""Of one worker: each is a write of the keeper's, of some half a millisecond."""


def routes(world: World) -> APIRouter:
    """Return the route of `/v1/feedback`."""
    router = APIRouter()
    counted = [0, 0]  # the second, and the words in it

    @router.post("/v1/feedback")
    async def _feedback(request: Request) -> Response:
        principal = authenticated(world, request, "feedback")
        name = customer_name(dict(request.scope["headers"]))
        if name is not None:
            found = world.identity.attributed(principal, name)
            if found is None:
                raise UnknownName("There is no such customer.", param="x-penstock-customer")
            principal = found
        said = read_body(Feedback, await request.body())
        if said.good is None and said.tier is None:
            raise Malformed("Say `good`, true or false, or the lowest `tier` that would have done.", param="good")
        _count(counted)
        if said.good is False:
            world.meaning().complained(said.id, principal.customer)
        args = {"id": said.id, "customer": principal.customer, "good": said.good, "needed": said.tier}
        try:
            answer = await world.keeper.command("labels.give", args, principal.key, claim=None, request="")
        except KeeperAway:
            raise Unavailable("The keeper did not answer in time.") from None
        if "result" not in answer:
            raise refusal(answer)
        return json_answer({"object": "feedback", "id": said.id, "kept": True})

    return router


def _count(counted: list[int]) -> None:
    second = int(time.monotonic())
    if second != counted[0]:
        counted[:] = second, 0
    if counted[1] >= WORDS_PER_S_MAX:
        raise TooOften("Feedback comes too often; try again in a second.")
    counted[1] += 1
