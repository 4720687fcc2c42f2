"""`POST /v1/chat/completions`: from the body to the last byte and the invoice line."""

import asyncio
import time
from secrets import token_hex
from typing import Any

import orjson

from simulator import answers, chat_request
from simulator.answers import Answer
from simulator.call import Call, Order
from simulator.chat_request import ChatRequest
from simulator.connection import AbortedError, ClientLeftError, Connection
from simulator.errors import ApiError
from simulator.faults import Steering
from simulator.frames import FINGERPRINT, Stream
from simulator.models import Model, find
from simulator.prompt_cache import CacheUse
from simulator.refusals import answered_instead, request_headers
from simulator.streaming import cut_short, send_stream
from simulator.world import World


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
    _check_window(request, model)
    steering = world.faults.steer(model.name, request.last_user_text)
    if await answered_instead(connection, steering, stream=request.stream):
        return
    planned = answers.plan(request, model, steering, world.options.seed)
    order = _order(request, model, _cache_use(world, request, model, api_key), planned)
    call = world.open_call(order, steering, request.choices)
    try:
        await _answer(connection, world, call, request, steering, planned)
    except ClientLeftError:
        await world.abandon(call)
        raise
    except asyncio.CancelledError:
        cut_short(world, call)
        raise


async def _answer(
    connection: Connection,
    world: World,
    call: Call,
    request: ChatRequest,
    steering: Steering,
    planned: tuple[Answer, ...],
) -> None:
    if steering.hang:
        await connection.wait_for_leaving()
    created = int(time.time())
    if request.stream:
        stream = Stream(call.order, created, planned, request.include_usage)
        await send_stream(connection, world, call, stream, steering)
    else:
        await _generate(connection, call)
        await _send_plain(connection, call, _plain(call.order, created, planned, steering), steering)


def _check_window(request: ChatRequest, model: Model) -> None:
    if request.prompt_tokens > model.window_tokens:
        message = (
            f"This model's maximum context length is {model.window_tokens} tokens. However, your "
            f"messages resulted in {request.prompt_tokens} tokens."
        )
        raise ApiError(400, message, param="messages", code="context_length_exceeded")


def _cache_use(world: World, request: ChatRequest, model: Model, api_key: str) -> CacheUse:
    """Return what the prompt cache does, reporting only what the model has prices for."""
    used = world.prompt_cache.use(f"{api_key}\n{model.name}", request.prompt)
    read = 0 if model.price.cache_read is None else used.read
    return CacheUse(read, 0 if model.price.cache_write is None else used.written)


def _order(request: ChatRequest, model: Model, cache: CacheUse, planned: tuple[Answer, ...]) -> Order:
    return Order(
        call_id=f"chatcmpl-{token_hex(15)}",
        kind="chat",
        model=model,
        stream=request.stream,
        prompt_tokens=request.prompt_tokens,
        cache=cache,
        output_tokens=sum(answer.tokens for answer in planned),
        reasoning_tokens=sum(answer.reasoning for answer in planned),
    )


async def _generate(connection: Connection, call: Call) -> None:
    """Wait until all tokens are there, or count how many were when the client left."""
    total = call.order.output_tokens
    try:
        await connection.wait_until(call.pace.due_s(total))
    except (ClientLeftError, asyncio.CancelledError):
        call.produced = call.pace.produced(asyncio.get_running_loop().time(), total)
        raise
    call.finish()


async def _send_plain(connection: Connection, call: Call, body: bytes, steering: Steering) -> None:
    headers = request_headers()
    middle = len(body) // 2
    if steering.cut is not None or steering.stall is not None:
        await connection.start(200, [*headers, (b"content-length", b"%d" % len(body))])
        await connection.send(body[:middle], more=True)
        await _stop_midway(connection, call, steering)
    call.settle(complete=True)
    whole = body if steering.garbage is None else body[:middle]
    await connection.respond(200, whole, headers)


async def _stop_midway(connection: Connection, call: Call, steering: Steering) -> None:
    if steering.cut is None:
        await connection.wait_for_leaving()
    call.settle(complete=False)
    raise AbortedError


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
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }
    if steering.no_usage:
        del response["usage"]
    return orjson.dumps(response)
