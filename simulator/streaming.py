"""Sending a streamed answer, with the faults that were asked for on the way."""

from typing import Final

from simulator.call import Call
from simulator.connection import AbortedError, Connection
from simulator.faults import Steering
from simulator.frames import EventStream
from simulator.world import World

_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
)


async def send_stream(
    connection: Connection, world: World, call: Call, stream: EventStream, steering: Steering
) -> None:
    """Send the events of `stream`, each when it is due.

    The invoice line is written after the last token and before the finish reason goes out, so
    whoever has the whole answer can read the line.

    Raises:
        ClientLeftError: The client left.
        AbortedError: A `cut` was asked for.
    """
    connection.watch()
    await connection.start(200, [*_HEADERS, *stream.headers])
    events = 0
    for frame in stream.content():
        if await _struck(connection, world, call, stream, steering, events):
            return
        await connection.wait_until(call.pace.due_s(events))
        await connection.send(frame.event, more=True)
        call.produced += frame.tokens
        events += 1
    if await _struck(connection, world, call, stream, steering, events):
        return
    call.settle(complete=True)
    for event in stream.ending(usage=not steering.no_usage, done=not steering.no_done):
        await connection.send(event, more=True)
    await connection.send(b"", more=False)


async def _struck(
    connection: Connection, world: World, call: Call, stream: EventStream, steering: Steering, events: int
) -> bool:
    """Let the faults happen that are due after so many events.

    Returns:
        Whether the stream is over.
    """
    if events == steering.cut:
        cut_short(world, call)
        raise AbortedError
    if events == steering.stall:
        await connection.wait_for_leaving()
    if events == steering.garbage:
        await connection.send(stream.garbage, more=True)
    if events != steering.error_in_stream:
        return False
    call.settle(complete=False)
    await connection.send(stream.error, more=True)
    await connection.send(b"", more=False)
    return True


def cut_short(world: World, call: Call) -> None:
    """Bill a call whose connection this side aborts: what was produced, or everything."""
    if world.options.after_disconnect == "finish":
        call.finish()
    call.settle(complete=False)
