"""`POST /v1beta/models/…`: Google's Gemini API, from the body to the last byte and the invoice line."""

import re
from secrets import token_urlsafe
from typing import Final

from simulator import answers, chat_request, embeddings, gemini_frames, gemini_request
from simulator.answers import Answer
from simulator.call import Order
from simulator.chat import cache_use
from simulator.chat_request import ChatRequest
from simulator.connection import Connection
from simulator.delivery import Plain, deliver
from simulator.errors import ApiError
from simulator.gemini_frames import GeminiStream
from simulator.models import MODELS, Model
from simulator.refusals import GEMINI_PREFIX, answered_instead
from simulator.world import World

_PATH: Final = re.compile(rf"{GEMINI_PREFIX}([^/:]+):(generateContent|streamGenerateContent)")
_BATCH: Final = re.compile(rf"{GEMINI_PREFIX}([^/:]+):batchEmbedContents")


async def answer(connection: Connection, world: World, body: bytes) -> None:
    """Answer a request below `/v1beta/models/`.

    Raises:
        ApiError: It is refused; nothing is billed.
        ClientLeftError: The client left; the call is billed.
        AbortedError: The connection is to be cut; the call is billed.
    """
    api_key = _api_key(connection)
    batch = _BATCH.fullmatch(connection.path)
    if batch is not None and connection.method == "POST":
        await embeddings.embed_for_gemini(connection, world, batch[1], body)
        return
    name, stream = _called(connection)
    model = _model(name)
    fields = chat_request.parse_object(body)
    request = gemini_request.read(fields, model, stream=stream)
    _check_window(request, model)
    steering = world.faults.steer(model.name, request.last_user_text)
    if await answered_instead(connection, steering, stream=stream):
        return
    (planned,) = answers.plan(request, model, steering, world.options.seed)
    order = _order(world, request, model, api_key, planned)
    usage = not steering.no_usage
    reply: Plain | GeminiStream
    if stream:
        reply = GeminiStream(order, planned, usage)
    else:
        reply = Plain(gemini_frames.whole(order, planned, usage=usage), ())
    await deliver(connection, world, world.open_call(order, steering), steering, reply)


def _api_key(connection: Connection) -> str:
    key = connection.headers.get(b"x-goog-api-key", b"").decode("latin-1").strip()
    if not key:
        message = "Method doesn't allow unregistered callers (callers without established identity)."
        raise ApiError(403, message)
    return key


def _called(connection: Connection) -> tuple[str, bool]:
    """Return the model that the path names, and whether it asks for a stream."""
    found = _PATH.fullmatch(connection.path)
    if found is None or connection.method != "POST":
        raise ApiError(404, "The requested URL was not found on this server.")
    stream = found[2] == "streamGenerateContent"
    if stream and connection.query != b"alt=sse":
        raise ApiError(501, "The simulator streams server-sent events only: add alt=sse.")
    return found[1], stream


def _model(name: str) -> Model:
    model = MODELS.get(name)
    if model is None or model.kind != "gemini":
        message = f"models/{name} is not found for API version v1beta, or is not supported for generateContent."
        raise ApiError(404, message)
    return model


def _check_window(request: ChatRequest, model: Model) -> None:
    tokens = request.prompt_tokens
    if tokens > model.window_tokens:
        message = (
            f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({model.window_tokens})."
        )
        raise ApiError(400, message)


def _order(world: World, request: ChatRequest, model: Model, api_key: str, planned: Answer) -> Order:
    return Order(
        call_id=token_urlsafe(16),
        kind="gemini",
        model=model,
        stream=request.stream,
        prompt_tokens=request.prompt_tokens,
        cache=cache_use(world, request, model, api_key),
        output_tokens=planned.tokens,
        reasoning_tokens=planned.reasoning,
    )
