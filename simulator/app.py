"""The simulator as an ASGI application: who is asking, and for what."""

from collections.abc import MutableMapping
from typing import Any

import orjson

from simulator import admin, chat, completions, embeddings, gemini, messages, responses
from simulator.connection import ClientLeftError, Connection, Receive, Send
from simulator.errors import ApiError, unknown_model
from simulator.invoice import Invoice
from simulator.models import MODELS, describe
from simulator.options import SimulatorOptions
from simulator.refusals import GEMINI_PREFIX, MESSAGES_PATH, refuse, request_headers
from simulator.world import World

_MODELS_PATH = "/v1/models"


class Simulator:
    """An ASGI application that is a provider.

    Args:
        options: Its settings.
    """

    def __init__(self, options: SimulatorOptions) -> None:
        self._world = World(options)
        self._shelf = responses.Shelf()

    @property
    def invoice(self) -> Invoice:
        """The invoice it keeps."""
        return self._world.invoice

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one HTTP request; anything else is left unanswered."""
        if scope["type"] != "http":
            return
        connection = Connection(scope, receive, send)
        try:
            await self._serve(connection)
        except ApiError as error:
            await refuse(connection, error)
        except ClientLeftError:
            pass
        finally:
            connection.close()

    async def _serve(self, connection: Connection) -> None:
        body = await connection.body()
        if connection.path.startswith(admin.PREFIX):
            await admin.serve(connection, self._world, body)
            return
        self._world.note(connection, body)
        if (connection.method, connection.path) == ("POST", MESSAGES_PATH):
            await messages.answer(connection, self._world, body)
            return
        if connection.path.startswith(GEMINI_PREFIX):
            await gemini.answer(connection, self._world, body)
            return
        api_key = _api_key(connection)
        route = (connection.method, connection.path)
        if route == ("POST", "/v1/chat/completions"):
            await chat.complete(connection, self._world, body, api_key)
        elif route == ("POST", "/v1/completions"):
            await completions.complete(connection, self._world, body)
        elif route == ("POST", "/v1/embeddings"):
            await embeddings.embed(connection, self._world, body)
        elif connection.path.startswith(responses.PATH):
            await responses.answer(connection, self._world, self._shelf, body, api_key)
        elif connection.method == "GET" and connection.path.startswith(_MODELS_PATH):
            await _models(connection)
        else:
            raise _no_such_url(connection)


def build(options: SimulatorOptions) -> Simulator:
    """Return a simulator to serve or to mount in a test; its `invoice` is at hand.

    Mounted in a test, `hang` and `stall` never end, since no client can be seen leaving there,
    and `cut` raises `AbortedError` into the test.
    """
    return Simulator(options)


def _api_key(connection: Connection) -> str:
    scheme, _, key = connection.headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        message = "You didn't provide an API key. Provide it as 'Authorization: Bearer YOUR_KEY'."
        raise ApiError(401, message, code="invalid_api_key")
    return key.strip()


async def _models(connection: Connection) -> None:
    wanted = connection.path.removeprefix(_MODELS_PATH).strip("/")
    if not wanted:
        listed: dict[str, Any] = {"object": "list", "data": [describe(one) for one in MODELS.values()]}
    elif wanted in MODELS:
        listed = describe(MODELS[wanted])
    else:
        raise unknown_model(wanted)
    await connection.respond(200, orjson.dumps(listed), request_headers())


def _no_such_url(connection: Connection) -> ApiError:
    known = connection.path in {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        MESSAGES_PATH,
        _MODELS_PATH,
    }
    if known:
        return ApiError(405, f"Not allowed to {connection.method} on {connection.path}.")
    return ApiError(404, f"Invalid URL ({connection.method} {connection.path})")
