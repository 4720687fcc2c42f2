"""`POST /v1/chat/completions`: from the body to the last byte and the invoice line."""

import time
from secrets import token_hex
from typing import Any

import orjson

from simulator import answers, chat_request
from simulator.answers import Answer
from simulator.call import Order
from simulator.chat_request import ChatRequest
from simulator.connection import Connection
from simulator.delivery import Plain, deliver
from simulator.errors import ApiError
from simulator.faults import Steering
from simulator.frames import FINGERPRINT, Stream
from simulator.models import Model, find
from simulator.prices import DEFAULT
from simulator.prompt_cache import CacheUse
from simulator.refusals import answered_instead, request_headers
from simulator.world import World

_TIERS = (None, "auto", DEFAULT, "flex", "priority")
"""What a request may say; a model's own project setting, which `auto` means, is `default` here."""


async def complete(connection: Connection, world: World, body: bytes, api_key: str) -> None:
    """Answer a chat request.

    Raises:
        ApiError: It is refused; nothing is billed.
        ClientLeftError: The client left; the call is billed.
        AbortedError: The connection is to be cut; the call is billed.
    """
    fields = chat_request.parse_object(body)
    model = find(chat_request.model_name(fields), "chat")
    request = chat_request.read(fields)
    check_window(request, model, "messages")
    steering = world.faults.steer(model.name, request.last_user_text)
    if await answered_instead(connection, steering, stream=request.stream):
        return
    planned = answers.plan(request, model, steering, world.options.seed)
    served_tier = _served_tier(fields.get("service_tier"), model, steering)
    order = _order(request, model, cache_use(world, request, model, api_key), planned, served_tier)
    call = world.open_call(order, steering, request.choices)
    await deliver(connection, world, call, steering, _reply(call.order, request, steering, planned))


def _reply(order: Order, request: ChatRequest, steering: Steering, planned: tuple[Answer, ...]) -> Plain | Stream:
    created, headers = int(time.time()), request_headers()
    if request.stream:
        return Stream(order, created, planned, request.include_usage, headers)
    return Plain(_plain(order, created, planned, steering), headers)


def check_window(request: ChatRequest, model: Model, param: str) -> None:
    """See to it that a prompt fits.

    Raises:
        ApiError: It does not (400), the fault of the field `param`.
    """
    if request.prompt_tokens > model.window_tokens:
        message = (
            f"This model's maximum context length is {model.window_tokens} tokens. However, your "
            f"messages resulted in {request.prompt_tokens} tokens."
        )
        raise ApiError(400, message, param=param, code="context_length_exceeded")


def cache_use(world: World, request: ChatRequest, model: Model, api_key: str) -> CacheUse:
    """Return what the prompt cache does, reporting only what the model has prices for."""
    used = world.prompt_cache.use(f"{api_key}\n{model.name}", request.prompt, writes_tokens=request.written_tokens)
    read = 0 if model.price.cache_read is None else used.read
    return CacheUse(read, 0 if model.price.cache_write is None else used.written)


def _order(request: ChatRequest, model: Model, cache: CacheUse, planned: tuple[Answer, ...], served_tier: str) -> Order:
    return Order(
        call_id=f"chatcmpl-{token_hex(15)}",
        kind="chat",
        model=model,
        stream=request.stream,
        prompt_tokens=request.prompt_tokens,
        cache=cache,
        output_tokens=sum(answer.tokens for answer in planned),
        reasoning_tokens=sum(answer.reasoning for answer in planned),
        service_tier=served_tier,
    )


def _served_tier(asked: Any, model: Model, steering: Steering) -> str:
    """Return the service tier of a call: what is asked for, unless the model is not sold in it or a fault says another.

    Raises:
        ApiError: There is no such tier, or the model is not sold cheaper (400).
    """
    if asked not in _TIERS:
        message = f"Invalid value: '{asked}'. Supported values are: 'auto', 'default', 'flex', and 'priority'."
        raise ApiError(400, message, param="service_tier")
    if steering.tier is not None:
        return steering.tier
    if asked in model.price.service_tiers:
        return str(asked)
    if asked == "flex":
        raise ApiError(400, f"{model.name} is not available in the service tier flex.", param="service_tier")
    return DEFAULT


def _plain(order: Order, created: int, planned: tuple[Answer, ...], steering: Steering) -> bytes:
    choices = [
        {
            "index": index,
            "message": answer.message(),
            "logprobs": None,
            "finish_reason": answer.finish,
        }
        for index, answer in enumerate(planned)
    ]
    response: dict[str, Any] = {
        "id": order.call_id,
        "object": "chat.completion",
        "created": created,
        "model": order.model.name,
        "choices": choices,
        "usage": order.openai_usage(),
        "service_tier": order.service_tier,
        "system_fingerprint": FINGERPRINT,
    }
    if steering.no_usage:
        del response["usage"]
    return orjson.dumps(response)
