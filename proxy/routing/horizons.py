"""How many turns a conversation has still to come, as those of its customer went: learnt, bounded, never stored.

For each turn it is counted how many conversations came so far. Of those that came to turn n, the sum of all that came
further, divided by them, is the mean of what is still to come; conversations that still go on count as ended, so it is
rather too low, and too low means to stay. A turn that few came to is judged by the last one that enough came to: what
lived long lives on.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

TURNS_MAX: Final = 64
"""Turns told apart. Later ones are rare and alike, and are counted together."""
AT_LEAST: Final = 20
"""Conversations that came so far, before anything is concluded from them."""
ASSUMED: Final = 3.0
"""Turns still to come while nobody knows: few, so that a cold prefix is rather not paid."""
CUSTOMERS_MAX: Final = 1_024
"""Customers told apart, the latest; half a kilobyte each."""
COUNT_MAX: Final = 4_096
"""Then all counts are halved, so that they follow what changes."""


class Horizons:
    """Counts of one worker, by customer and of all together: of each turn, and in the last place of all later ones."""

    def __init__(self) -> None:
        self._all = [0] * (TURNS_MAX + 2)
        self._own: OrderedDict[int, list[int]] = OrderedDict()

    def reached(self, customer: int, turn: int) -> None:
        """Count a conversation that comes to a turn, counted from 1."""
        at = min(turn, TURNS_MAX + 1)
        own = self._own.get(customer)
        if own is None:
            if len(self._own) >= CUSTOMERS_MAX:
                self._own.popitem(last=False)
            own = self._own[customer] = [0] * (TURNS_MAX + 2)
        else:
            self._own.move_to_end(customer)
        for counts in (own, self._all):
            counts[at] += 1
            if counts[at] >= COUNT_MAX:
                counts[:] = [each // 2 for each in counts]

    def left(self, customer: int, turn: int) -> float:
        """Return the mean number of turns still to come after one."""
        for counts in (self._own.get(customer), self._all):
            if counts is None:
                continue
            for at in range(min(turn, TURNS_MAX), 0, -1):
                if counts[at] >= AT_LEAST:
                    return sum(counts[at + 1 :]) / counts[at]
        return ASSUMED
