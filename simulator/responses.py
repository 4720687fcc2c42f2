"""`/v1/responses`: OpenAI's Responses API, from the body to the last byte, the invoice line and what is stored."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

import orjson

from simulator import answers, chat_request, response_frames, responses_request
from simulator.answers import Answer
from simulator.call import Order
from simulator.chat import cache_use, check_window
from simulator.connection import Connection
from simulator.delivery import Plain, deliver
from simulator.errors import ApiError
from simulator.models import Model, find
from simulator.refusals import answered_instead, request_headers
from simulator.response_frames import Item, ResponseStream
from simulator.responses_request import ResponsesRequest
from simulator.world import World

PATH: Final = "/v1/responses"
"""What was stored lies below it, by its id."""

STORED_MAX: Final = 1000
"""Responses kept, the oldest forgotten first: OpenAI keeps them for 30 days."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A response that may be asked for, or gone on with, by who made it.

    Args:
        owner: The API key.
        whole: The response.
        conversation: All that was said up to its end, as chat messages.
    """

    owner: str
    whole: Item
    conversation: list[dict[str, Any]]


class Shelf:
    """The responses that are stored."""

    def __init__(self) -> None:
        self._stored: OrderedDict[str, Stored] = OrderedDict()

    def put(self, stored: Stored) -> None:
        """Store one."""
        self._stored[stored.whole["id"]] = stored
        if len(self._stored) > STORED_MAX:
            self._stored.popitem(last=False)

    def find(self, identity: str, owner: str) -> Stored | None:
        """Return one, if it is the owner's."""
        found = self._stored.get(identity)
        return found if found is not None and found.owner == owner else None

    def remove(self, identity: str) -> None:
        """Forget one."""
        del self._stored[identity]


async def answer(connection: Connection, world: World, shelf: Shelf, body: bytes, api_key: str) -> None:
    """Answer a request below `/v1/responses`.

    Raises:
        ApiError: It is refused; nothing is billed.
        ClientLeftError: The client left; the call is billed.
        AbortedError: The connection is to be cut; the call is billed.
    """
    if (connection.method, connection.path) == ("POST", PATH):
        await _create(connection, world, shelf, body, api_key)
    elif connection.method in {"GET", "DELETE"} and connection.path.startswith(PATH + "/"):
        await _kept(connection, shelf, api_key)
    else:
        raise ApiError(405, f"Not allowed to {connection.method} on {connection.path}.")


async def _kept(connection: Connection, shelf: Shelf, api_key: str) -> None:
    identity = connection.path.removeprefix(PATH + "/")
    stored = shelf.find(identity, api_key)
    if stored is None:
        raise ApiError(404, f"Response with id '{identity}' not found.")
    told = stored.whole
    if connection.method == "DELETE":
        shelf.remove(identity)
        told = {"id": identity, "object": "response", "deleted": True}
    await connection.respond(200, orjson.dumps(told), request_headers())


async def _create(connection: Connection, world: World, shelf: Shelf, body: bytes, api_key: str) -> None:
    fields = chat_request.parse_object(body)
    model = find(chat_request.model_name(fields), "chat")
    request = responses_request.read(fields, _before(shelf, fields, api_key))
    check_window(request.chat, model, "input")
    steering = world.faults.steer(model.name, request.chat.last_user_text)
    if await answered_instead(connection, steering, stream=request.chat.stream):
        return
    (planned,) = answers.plan(request.chat, model, steering, world.options.seed)
    order = _order(world, request, model, api_key, planned)
    items = response_frames.output(planned, summary=request.wants_summary)
    whole = response_frames.response(order, int(time.time()), planned, fields, items)
    reply: Plain | ResponseStream
    if order.stream:
        reply = ResponseStream(order, planned, fields, whole, request_headers())
    else:
        told = whole | {"usage": None} if steering.no_usage else whole
        reply = Plain(orjson.dumps(told), request_headers())
    if request.is_stored:
        # Before its last byte, so that whoever has the answer can go on with it.
        shelf.put(Stored(api_key, whole, [*request.conversation, planned.message()]))
    await deliver(connection, world, world.open_call(order, steering), steering, reply)


def _before(shelf: Shelf, fields: Mapping[str, Any], api_key: str) -> list[dict[str, Any]]:
    """Return the conversation that a request goes on with."""
    previous = fields.get("previous_response_id")
    if previous is None:
        return []
    stored = shelf.find(str(previous), api_key)
    if stored is None:
        message = f"Previous response with id '{previous}' not found."
        raise ApiError(400, message, param="previous_response_id", code="previous_response_not_found")
    return stored.conversation


def _order(world: World, request: ResponsesRequest, model: Model, api_key: str, planned: Answer) -> Order:
    return Order(
        call_id=f"resp_{token_hex(24)}",
        kind="responses",
        model=model,
        stream=request.chat.stream,
        prompt_tokens=request.chat.prompt_tokens,
        cache=cache_use(world, request.chat, model, api_key),
        output_tokens=planned.tokens,
        reasoning_tokens=planned.reasoning,
    )
