"""`/_simulator/…`: paths that only a simulator has, for tests to steer and to look inside."""

from typing import Any

import orjson

from simulator.connection import Connection
from simulator.errors import ApiError
from simulator.faults import read_rules
from simulator.refusals import REDIRECTED_PATH
from simulator.world import World

PREFIX = "/_simulator/"
"""Where they are; they need no key."""


async def serve(connection: Connection, world: World, body: bytes) -> None:
    """Answer an admin request.

    Raises:
        ApiError: There is no such path or method (404), or rules cannot be read (400).
    """
    answer = _answer(connection, world, body)
    await connection.respond(200, orjson.dumps(answer))


def _answer(connection: Connection, world: World, body: bytes) -> Any:
    route = (connection.method, connection.path.removeprefix(PREFIX))
    if connection.path == REDIRECTED_PATH:
        world.note(connection, body)
        return {"redirected": True}
    if route == ("GET", "invoice"):
        return world.invoice.lines()
    if route == ("GET", "last"):
        return [seen.shown() for seen in world.received]
    if route[1] == "faults":
        return _faults(connection.method, world, body)
    raise ApiError(404, f"The simulator has no {connection.method} {connection.path}.")


def _faults(method: str, world: World, body: bytes) -> Any:
    if method == "POST":
        try:
            world.faults.add(read_rules(orjson.loads(body)))
        except orjson.JSONDecodeError:
            raise ApiError(400, "Rules come as a JSON list.") from None
    elif method == "DELETE":
        world.faults.clear()
    elif method != "GET":
        raise ApiError(405, "Rules take GET, POST and DELETE.")
    return {"rules": world.faults.listed()}
