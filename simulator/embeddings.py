"""`POST /v1/embeddings`, and Gemini's: vectors in which texts that share words lie close together."""

import asyncio
import math
import re
import sys
from array import array
from base64 import b64encode
from hashlib import blake2b
from secrets import token_hex
from typing import Any, Final

import orjson

from simulator import tokens
from simulator.call import Call, Order
from simulator.chat_request import model_name, parse_object
from simulator.connection import ClientLeftError, Connection
from simulator.errors import ApiError
from simulator.faults import Steering
from simulator.models import Model, find
from simulator.refusals import answered_instead, request_headers
from simulator.world import World

INPUTS_MAX: Final = 2048
"""OpenAI's limit on inputs in one request."""

BATCH_MAX: Final = 100
"""Google's limit on requests in one batch."""

_WORD: Final = re.compile(r"\w+")
_Input = str | list[int]


async def embed(connection: Connection, world: World, body: bytes) -> None:
    """Answer an embeddings request.

    Raises:
        ApiError: It is refused; nothing is billed.
        ClientLeftError: The client left; the call is billed.
    """
    fields = parse_object(body)
    model = find(model_name(fields), "embeddings")
    inputs = read_inputs(fields.get("input"), "input")
    counts = [_count(one, model) for one in inputs]
    first = inputs[0]
    steering = world.faults.steer(model.name, first if isinstance(first, str) else "")
    if await answered_instead(connection, steering, stream=False):
        return
    vectors = _vectors(fields, model, inputs, world.options.seed)
    order = Order(f"req_{token_hex(16)}", "embeddings", model, stream=False, prompt_tokens=sum(counts))
    answer = _response(order, vectors, steering)
    await send(connection, world.open_call(order, steering), answer, steering, request_headers(order.call_id))


async def embed_for_gemini(connection: Connection, world: World, name: str, body: bytes) -> None:
    """Answer a request to `batchEmbedContents`: vectors as above, in Google's words. No answer of it names its call.

    Raises:
        ApiError: It is refused; nothing is billed.
        ClientLeftError: The client left; the call is billed.
    """
    model = find(name, "embeddings")
    asked = _read_batch(parse_object(body), name)
    texts = [each["content"]["parts"][0]["text"] for each in asked]
    steering = world.faults.steer(model.name, texts[0])
    if await answered_instead(connection, steering, stream=False):
        return
    salt, length = f"{world.options.seed} {model.name}", asked[0].get("outputDimensionality", model.dimensions)
    told: dict[str, Any] = {"embeddings": [{"values": _vector(text, salt, length).tolist()} for text in texts]}
    tokens_in = sum(_count(text, model) for text in texts)
    order = Order(f"gemini_{token_hex(16)}", "embeddings", model, stream=False, prompt_tokens=tokens_in)
    if not steering.no_usage:
        told["usageMetadata"] = {"promptTokenCount": tokens_in}
    await send(connection, world.open_call(order, steering), orjson.dumps(told), steering, [])


async def send(
    connection: Connection, call: Call, answer: bytes, steering: Steering, headers: list[tuple[bytes, bytes]]
) -> None:
    """Send a whole answer when it is due, and bill it.

    Raises:
        ClientLeftError: The client left; the call is billed.
    """
    try:
        if steering.hang:
            await connection.wait_for_leaving()
        await connection.wait_until(call.pace.due_s(1 if steering.slow else 0))
        call.settle(complete=True)
        await connection.respond(200, answer, headers)
    except (ClientLeftError, asyncio.CancelledError):
        call.settle(complete=False)
        raise


def _read_batch(fields: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the requests of a batch, each of one text.

    Raises:
        ApiError: They are none of that, too many, or of another model (400).
    """
    asked = fields.get("requests")
    if not isinstance(asked, list) or not 0 < len(asked) <= BATCH_MAX:
        raise ApiError(400, f"A batch holds 1 to {BATCH_MAX} requests.", param="requests")
    for each in asked:
        match each:
            case {"model": str(model), "content": {"parts": [{"text": str(text)}]}} if text:
                if model != f"models/{name}":
                    raise ApiError(400, "The model of each request must be that of the path.", param="requests.model")
            case _:
                raise ApiError(400, "A request must hold a model and one part that is a text.", param="requests")
    return asked


def read_inputs(value: Any, name: str) -> list[_Input]:
    """Return the inputs of a request, one or many, texts or token ids.

    Raises:
        ApiError: They are none of that, or too many (400).
    """
    if isinstance(value, str) or _is_token_ids(value):
        value = [value]
    if not isinstance(value, list) or not 0 < len(value) <= INPUTS_MAX:
        message = f"'{name}' takes a text, token ids, or a list of 1 to {INPUTS_MAX} of them."
        raise ApiError(400, message, param=name)
    for one in value:
        if not one or not (isinstance(one, str) or _is_token_ids(one)):
            raise ApiError(400, f"'{name}' must hold texts or token ids, none empty.", param=name)
    return value


def _is_token_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(one) is int for one in value)


def _count(one: _Input, model: Model) -> int:
    count = tokens.count(one) if isinstance(one, str) else len(one)
    if count > model.window_tokens:
        message = f"This model's maximum input length is {model.window_tokens} tokens."
        raise ApiError(400, message, param="input", code="context_length_exceeded")
    return count


def _vectors(fields: dict[str, Any], model: Model, inputs: list[_Input], seed: int) -> list[Any]:
    """Return the vectors as the request wants them: numbers, or base64 of 32-bit floats."""
    dimensions = fields.get("dimensions")
    if dimensions is None:
        dimensions = model.dimensions
    if type(dimensions) is not int or not 1 <= dimensions <= model.dimensions:
        message = f"'dimensions' must be from 1 to {model.dimensions}."
        raise ApiError(400, message, param="dimensions")
    vectors = (_vector(one, f"{seed} {model.name}", dimensions) for one in inputs)
    if fields.get("encoding_format") == "base64":
        return [b64encode(_little_endian(vector)).decode() for vector in vectors]
    return [vector.tolist() for vector in vectors]


def _vector(one: _Input, salt: str, dimensions: int) -> "array[float]":
    """Hash each word to eight signed positions and scale the sum to length 1."""
    words = _WORD.findall(one.lower()) or [one] if isinstance(one, str) else map(str, one)
    sums = [0.0] * dimensions
    for word in words:
        digest = blake2b(f"{salt} {word}".encode("utf-8", "surrogatepass"), digest_size=32).digest()
        for start in range(0, len(digest), 4):
            place = int.from_bytes(digest[start : start + 4], "big")
            sums[(place >> 1) % dimensions] += 1.0 if place & 1 else -1.0
    length = math.sqrt(math.fsum(value * value for value in sums))
    if length == 0.0:
        sums[0], length = 1.0, 1.0
    return array("f", (value / length for value in sums))


def _little_endian(vector: "array[float]") -> bytes:
    if sys.byteorder == "big":
        vector.byteswap()
    return vector.tobytes()


def _response(order: Order, vectors: list[Any], steering: Steering) -> bytes:
    listed = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    response: dict[str, Any] = {"object": "list", "data": listed, "model": order.model.name}
    if not steering.no_usage:
        usage = {"prompt_tokens": order.prompt_tokens, "total_tokens": order.prompt_tokens}
        response["usage"] = usage
    return orjson.dumps(response)
