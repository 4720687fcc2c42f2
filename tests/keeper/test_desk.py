"""The desk's word on credit at the turn of a month, and what a crash keeps of earlier attempts."""

import asyncio
from typing import Any

import pytest

from margin.ledger.state import Hold
from proxy.keeper import recovery
from proxy.keeper.desk import UNKNOWN, Desk

ASKED = {"customer": 1, "need": 1000, "wish": 1000, "returned": 0}


class Month:
    """An office at the turn of a month: a tick gives what is due, unless it still lies in the old month."""

    def __init__(self, given_milli: int, *, ticks_needed: int) -> None:
        self.left_milli, self.given_milli, self.ticks_needed, self.ticks = 0, given_milli, ticks_needed, 0
        self.books = self.state = self.lending = self

    def fold_all(self) -> None:
        """Nothing waits."""

    def available_milli(self, *_: Any) -> int:
        return self.left_milli

    def free_milli(self, *_: Any) -> int:
        return self.left_milli

    def earliest_expiry_t(self, *_: Any) -> None:
        return None

    def lend(self, *_: Any) -> None:
        """Noted elsewhere."""

    def is_grant_due(self, _: int) -> bool:
        return self.ticks < self.ticks_needed

    def tick(self) -> None:
        self.ticks += 1
        if self.ticks == self.ticks_needed:
            self.left_milli += self.given_milli


class OneWorker:
    """A worker with a journal."""

    journal = "worker-1.journal"


@pytest.mark.parametrize(
    ("given", "ticks", "answer"),
    [
        (5000, 1, {"customer": 1, "milli": 5000, "expires": None}),
        (500, 1, {"short": 500}),
        (5000, 2, UNKNOWN),
        (0, 0, {"short": 0}),
    ],
    ids=["given", "given too little", "not yet", "nothing due"],
)
def test_a_new_month_is_never_a_false_no(given: int, ticks: int, answer: Any):
    """Included credits that are due are given before anybody hears no; while they cannot be, nobody knows."""
    worker: Any = OneWorker()
    office: Any = Month(given, ticks_needed=ticks)

    assert asyncio.run(Desk(office, {worker}).lend(worker, dict(ASKED))) == answer


@pytest.mark.parametrize("mark", [None, {"out": 7, "cost": 30}], ids=["no byte seen", "bytes seen"])
def test_a_crash_keeps_the_cost_of_earlier_attempts(mark: Any):
    """What a first attempt may cost is booked although the process died in the second."""
    first = {"n": 1, "cost": 11}
    call = {"n": 2, "p": "p", "d": "d", "m": "m", "card": None, "in": 5, "inc": 20, "a": [first]}
    hold = Hold("x1", "worker-1.journal", 1, "k", "open", "v", "simple", "simple", 0, 1, 0, (), 0, call=call, mark=mark)

    record = recovery.close(hold, 9)

    assert [(line["n"], line["cost"]) for line in record["a"]] == [(1, 11), (2, 20 if mark is None else 30)]
