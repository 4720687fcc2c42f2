"""The states of one exchange and the allowed moves between them, as data.

*Held* against *called* decides what a crash means: held and never called is voided; called is estimated. The keeper
reads the same distinction off the journal when a worker died.
"""

from __future__ import annotations

from enum import IntEnum


class Stage(IntEnum):
    """Where an exchange is. Numbers, as each exchange looks five moves up, and they hash as fast as any key."""

    RECEIVED = 0
    KNOWN = 1
    HELD = 2
    CALLED = 3
    STREAMING = 4
    DRAINING = 5
    SETTLING = 6
    CLOSED = 7
    VOID = 8


MOVES: dict[Stage, frozenset[Stage]] = {
    # read, and found to be a request of somebody we know
    Stage.RECEIVED: frozenset({Stage.KNOWN, Stage.CLOSED}),
    # judged, routed; refused without a trace in the books, or credits put aside
    Stage.KNOWN: frozenset({Stage.HELD, Stage.CLOSED}),
    # nothing was sent: giving up here is free, and an answer from memory is charged from here
    Stage.HELD: frozenset({Stage.CALLED, Stage.CLOSED, Stage.VOID}),
    # something may be billed; another attempt is another call
    Stage.CALLED: frozenset({Stage.CALLED, Stage.STREAMING, Stage.SETTLING, Stage.VOID}),
    # the caller got a first byte: no attempt may follow
    Stage.STREAMING: frozenset({Stage.DRAINING, Stage.SETTLING}),
    # the caller left; we read on within a budget to learn the true bill
    Stage.DRAINING: frozenset({Stage.SETTLING}),
    Stage.SETTLING: frozenset({Stage.CLOSED}),
    Stage.CLOSED: frozenset(),
    Stage.VOID: frozenset(),
}


class ForbiddenMove(Exception):
    """A bug of ours: the exchange is not where the code thinks it is."""


def move(now: Stage, to: Stage) -> Stage:
    """Return `to` if the table allows it.

    Raises:
        ForbiddenMove: it does not.
    """
    if to not in MOVES[now]:
        raise ForbiddenMove(f"{now.name.lower()} → {to.name.lower()}")
    return to
