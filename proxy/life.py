"""The states of one exchange and the allowed moves between them, as data.

*Held* against *called* decides what a crash means: held and never called is voided; called is estimated. The keeper
reads the same distinction off the journal when a worker died.
"""

from __future__ import annotations

from enum import Enum


class Stage(Enum):
    """Where an exchange is."""

    RECEIVED = "received"
    KNOWN = "known"
    HELD = "held"
    CALLED = "called"
    STREAMING = "streaming"
    DRAINING = "draining"
    SETTLING = "settling"
    CLOSED = "closed"
    VOID = "void"


MOVES: dict[Stage, frozenset[Stage]] = {
    # read, and found to be a request of somebody we know
    Stage.RECEIVED: frozenset({Stage.KNOWN, Stage.CLOSED}),
    # judged, routed; refused without a trace in the books, or credits put aside
    Stage.KNOWN: frozenset({Stage.HELD, Stage.CLOSED}),
    # nothing was sent: giving up here is free
    Stage.HELD: frozenset({Stage.CALLED, Stage.VOID}),
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
        raise ForbiddenMove(f"{now.value} → {to.value}")
    return to
