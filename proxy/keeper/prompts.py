"""Asks of customers who opted in, in the keeper's memory until a label is made of one: only then is it written down.

A restart forgets them. Bounded by age and bytes, the oldest go; nothing of other customers ever comes here.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

ENTRY_BYTES = 300
"""What an entry takes beside its text."""


class _Asked(NamedTuple):
    t_s: float
    text: str


class Prompts:
    """What was asked lately, by customer and exchange."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._asked: OrderedDict[tuple[int, str], _Asked] = OrderedDict()
        self._bytes = 0

    def keep(self, customer: int, x: str, text: str, bytes_max: int, ttl_s: float) -> None:
        """Keep what an exchange asked."""
        self.drop(customer, x)
        self._asked[customer, x] = _Asked(self._now_s(), text)
        self._bytes += ENTRY_BYTES + len(text)
        before_s = self._now_s() - ttl_s
        while self._asked and (self._bytes > bytes_max or next(iter(self._asked.values())).t_s < before_s):
            self.drop(*next(iter(self._asked)))

    def find(self, customer: int, x: str, ttl_s: float) -> str | None:
        """Return what a customer's exchange asked; None where it is not kept, or for too long."""
        found = self._asked.get((customer, x))
        return None if found is None or found.t_s < self._now_s() - ttl_s else found.text

    def drop(self, customer: int, x: str) -> None:
        """Forget one."""
        found = self._asked.pop((customer, x), None)
        if found is not None:
            self._bytes -= ENTRY_BYTES + len(found.text)

    def erase(self, customer: int | None) -> None:
        """Forget a customer's, or all."""
        for number, x in [each for each in self._asked if customer is None or each[0] == customer]:
            self.drop(number, x)
