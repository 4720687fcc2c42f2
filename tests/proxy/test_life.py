"""The table of moves: what an exchange may do next, and that it ends."""

import itertools

import pytest

from proxy.life import MOVES, ForbiddenMove, Stage, move

ENDS = {Stage.CLOSED, Stage.VOID}
BILLABLE = {Stage.CALLED, Stage.STREAMING, Stage.DRAINING, Stage.SETTLING}


def reachable(start: Stage, avoiding: frozenset[Stage] = frozenset()) -> set[Stage]:
    """All stages that moves lead to from one, without passing through some."""
    found, waiting = {start}, [start]
    while waiting:
        fresh = MOVES[waiting.pop()] - found - avoiding
        found |= fresh
        waiting += fresh
    return found


@pytest.mark.parametrize(("now", "to"), list(itertools.product(Stage, Stage)), ids=lambda stage: stage.name)
def test_a_move_is_in_the_table_or_forbidden(now: Stage, to: Stage) -> None:
    """`move` is the table and nothing else."""
    if to in MOVES[now]:
        assert move(now, to) is to
    else:
        with pytest.raises(ForbiddenMove, match=f"{now.name.lower()} → {to.name.lower()}"):
            move(now, to)


def test_every_stage_is_in_the_table() -> None:
    """None is forgotten, and each is reached from the beginning."""
    assert set(MOVES) == set(Stage) == reachable(Stage.RECEIVED)


@pytest.mark.parametrize("end", sorted(ENDS, key=str), ids=str)
def test_an_end_is_an_end(end: Stage) -> None:
    """Nothing is settled twice, or settled after it was voided."""
    assert MOVES[end] == frozenset()


@pytest.mark.parametrize("stage", Stage, ids=str)
def test_every_stage_can_come_to_an_end(stage: Stage) -> None:
    """No exchange can be stuck in the table."""
    assert reachable(stage) & ENDS


def test_nothing_is_billed_before_it_was_held_and_called() -> None:
    """Without a hold no call; without a call no settlement."""
    assert not reachable(Stage.RECEIVED, frozenset({Stage.HELD})) & BILLABLE
    assert not reachable(Stage.HELD, frozenset({Stage.CALLED})) & BILLABLE


def test_after_the_first_byte_there_is_no_other_attempt_and_no_void() -> None:
    """What the caller has seen part of can only be settled."""
    for stage in (Stage.STREAMING, Stage.DRAINING, Stage.SETTLING):
        assert not reachable(stage) & {Stage.CALLED, Stage.VOID}


def test_a_second_attempt_is_another_call() -> None:
    """Fallbacks stay *called*."""
    assert move(Stage.CALLED, Stage.CALLED) is Stage.CALLED
