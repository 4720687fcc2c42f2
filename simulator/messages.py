"""`POST /v1/messages`: Anthropic's Messages API, from the body to the last byte and the invoice line."""

from secrets import token_hex

from simulator import answers, chat_request, message_frames, messages_request
from simulator.call import Order
from simulator.connection import Connection
from simulator.delivery import Plain, deliver
from simulator.errors import ApiError
from simulator.message_frames import MessageStream
from simulator.messages_request import MessagesRequest
from simulator.models import Model, find
from simulator.prompt_cache import CacheUse
from simulator.refusals import answered_instead, messages_headers
from simulator.world import World


async def answer(connection: Connection, world: World, body: bytes) -> None:
    """Answer a Messages request.

    Raises:
        ApiError: It is refused; nothing is billed.
        ClientLeftError: The client left; the call is billed.
        AbortedError: The connection is to be cut; the call is billed.
    """
    api_key = _api_key(connection)
    fields = chat_request.parse_object(body)
    model = _model(chat_request.model_name(fields))
    request = messages_request.read(fields)
    _check_window(request, model)
    steering = world.faults.steer(model.name, request.chat.last_user_text)
    if await answered_instead(connection, steering, stream=request.chat.stream):
        return
    (planned,) = answers.plan(request.chat, model, steering, world.options.seed)
    order = Order(
        call_id=f"msg_{token_hex(12)}",
        kind="messages",
        model=model,
        stream=request.chat.stream,
        prompt_tokens=request.chat.prompt_tokens,
        cache=_cache_use(world, request, model, api_key),
        output_tokens=planned.tokens,
        reasoning_tokens=planned.reasoning,
    )
    headers, usage = messages_headers(f"req_{token_hex(12)}"), not steering.no_usage
    reply: Plain | MessageStream
    if order.stream:
        reply = MessageStream(order, planned, usage, headers)
    else:
        reply = Plain(message_frames.message(order, planned, usage=usage), headers)
    await deliver(connection, world, world.open_call(order, steering), steering, reply)


def _api_key(connection: Connection) -> str:
    key = connection.headers.get(b"x-api-key", b"").decode("latin-1").strip()
    if not key:
        raise ApiError(401, "x-api-key header is required")
    if b"anthropic-version" not in connection.headers:
        raise ApiError(400, "header is required", param="anthropic-version")
    return key


def _model(name: str) -> Model:
    try:
        return find(name, "messages")
    except ApiError:
        raise ApiError(404, name, param="model") from None


def _check_window(request: MessagesRequest, model: Model) -> None:
    tokens = request.chat.prompt_tokens
    if tokens > model.window_tokens:
        raise ApiError(400, f"prompt is too long: {tokens} tokens > {model.window_tokens} maximum")


def _cache_use(world: World, request: MessagesRequest, model: Model, api_key: str) -> CacheUse:
    """Return what the prompt cache does: it keeps what is marked, to the token, and nothing unasked."""
    used = world.prompt_cache.use(f"{api_key}\n{model.name}", request.cached, step=1)
    hour = min(used.written, max(request.hour_tokens - used.read, 0))
    return CacheUse(used.read, used.written, hour)
