"""Conversations of the Responses surface: found before a request is judged, kept before its caller has the answer.

A provider that serves the surface itself stores them as it is asked to; what we keep is whose they are and where. Of
others we keep the conversation. Both lie with the keeper (docs/adr/0029), so that every worker finds them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import orjson

from margin.usage import UsageError
from proxy.admission import KeeperAway
from proxy.identity import Principal
from proxy.settlement import Call, Case
from proxy.upstream.dialects.openai.responses import read_usage
from proxy.wire import lenient, responses, sse
from proxy.wire.ask import BYTES_PER_TOKEN
from proxy.wire.errors import Malformed, Unavailable
from proxy.wire.responses import Before, ResponsesRequest
from proxy.world import World

SURFACE: Final = "responses"


async def read(world: World, principal: Principal, body: bytes) -> ResponsesRequest:
    """Read a request, with the conversation that it goes on with.

    Raises:
        Malformed: it is none, or there is no conversation by that id: foreign, forgotten and invented ones look alike.
            OpenAI's own 400.
        Unavailable: no word from the keeper.
    """
    ask = responses.read(body)
    if ask.previous is None:
        return ask
    try:
        found = await world.keeper.kept(principal.customer, ask.previous)
    except KeeperAway:
        raise Unavailable("The conversation cannot be looked up right now.") from None
    if found is None:
        raise Malformed(
            f"Previous response with id '{ask.previous}' not found.",
            param="previous_response_id", code="previous_response_not_found",
        )  # fmt: skip
    if "provider" in found:  # it weighs what its tokens would weigh here
        return ask.going_on(Before([], found["tokens"] * BYTES_PER_TOKEN, found["provider"]))
    return ask.going_on(Before(orjson.loads(found["items"]), len(found["items"])))


async def keep(world: World, case: Case, call: Call, answer: bytes) -> None:
    """Hand a response that is to be stored to the keeper. Without its word the answer goes out all the same.

    Args:
        world: The process.
        case: The exchange.
        call: Who answered.
        answer: The response, or the event that ends a stream of one.
    """
    ask = case.ask
    if not isinstance(ask, ResponsesRequest) or not ask.is_stored:
        return
    told = lenient.loads(sse.payload(answer) or b"{}" if ask.stream else answer)
    response = told.get("response", told)
    if not isinstance(response, dict) or not isinstance(response.get("id"), str):
        return
    kept = {"customer": case.principal.customer, "name": response["id"]}
    if call.deployment.provider.responses:
        kept |= {"provider": call.deployment.provider.name, "tokens": _tokens(ask, response)}
    else:
        said = lenient.dumps([*ask.items, *response["output"]]).decode()[1:-1]
        kept |= {"items": said, "response": lenient.dumps(response).decode(), "previous": ask.previous}
    if case.seat is not None:
        case.seat.goes_on_from(response["id"])
    with suppress(KeeperAway):
        await world.keeper.keep(kept)


def _tokens(ask: ResponsesRequest, response: dict[str, Any]) -> int:
    """Return how long a conversation is that a provider stores."""
    with suppress(UsageError):
        usage = read_usage(response.get("usage"))
        if usage is not None:
            return usage.total
    return (ask.body_bytes + len(lenient.dumps(response))) // BYTES_PER_TOKEN
