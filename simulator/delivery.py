"""From a planned answer to its last byte and its invoice line, whatever the API."""

import asyncio
from dataclasses import dataclass

from simulator.call import Call
from simulator.connection import AbortedError, ClientLeftError, Connection, Headers
from simulator.faults import Steering
from simulator.frames import EventStream
from simulator.streaming import cut_short, send_stream
from simulator.world import World


@dataclass(frozen=True, slots=True)
class Plain:
    """An answer in one piece."""

    body: bytes
    headers: Headers


async def deliver(
    connection: Connection, world: World, call: Call, steering: Steering, reply: Plain | EventStream
) -> None:
    """Send an answer when it is due, with the faults that were asked for, and bill it.

    Raises:
        ClientLeftError: The client left; the call is billed.
        AbortedError: The connection is to be cut; the call is billed.
    """
    try:
        if steering.hang:
            await connection.wait_for_leaving()
        if isinstance(reply, Plain):
            await _generate(connection, call)
            await _send_plain(connection, call, reply, steering)
        else:
            await send_stream(connection, world, call, reply, steering)
    except ClientLeftError:
        await world.abandon(call)
        raise
    except asyncio.CancelledError:
        cut_short(world, call)
        raise


async def _generate(connection: Connection, call: Call) -> None:
    """Wait until all tokens are there, or count how many were when the client left."""
    total = call.order.output_tokens
    try:
        await connection.wait_until(call.pace.due_s(total))
    except (ClientLeftError, asyncio.CancelledError):
        call.produced = call.pace.produced(asyncio.get_running_loop().time(), total)
        raise
    call.finish()


async def _send_plain(connection: Connection, call: Call, reply: Plain, steering: Steering) -> None:
    middle = len(reply.body) // 2
    if steering.cut is not None or steering.stall is not None:
        await connection.start(200, [*reply.headers, (b"content-length", b"%d" % len(reply.body))])
        await connection.send(reply.body[:middle], more=True)
        await _stop_midway(connection, call, steering)
    call.settle(complete=True)
    whole = reply.body if steering.garbage is None else reply.body[:middle]
    await connection.respond(200, whole, reply.headers)


async def _stop_midway(connection: Connection, call: Call, steering: Steering) -> None:
    if steering.cut is None:
        await connection.wait_for_leaving()
    call.settle(complete=False)
    raise AbortedError
