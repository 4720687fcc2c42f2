"""Waiting for what another process does: ask again and again, up to a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

WITHIN_S = 15.0
POLL_S = 0.02


def until(ask: Callable[[], Found], what: str, *, within_s: float = WITHIN_S) -> Found:
    """Ask until the answer is true, and return it; fail with `what` when it does not come."""
    deadline = time.monotonic() + within_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(POLL_S)
    return answer
