"""The conversations that one worker remembers: bounded in number, by age, and fair between customers.

Each customer's are apart, so that no name of one finds another's. What changed is collected for the other workers,
where there are any (docs/adr/0043). A pin that is forgotten costs a cold prefix, and never an answer.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final

from proxy.routing.sessions import Session, Warm

CHANGES_MAX: Final = 4_096
"""Changes that wait to be told; when more come between two tellings, the others learn of some later, or not."""


class Pins:
    """What is remembered.

    Args:
        now_s: A clock that all workers of a machine share and that only goes forward, in seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self.now_s = now_s
        self.on_change: Callable[[], None] | None = None
        """Told of the first change that waits; None where no other worker need know."""
        self._of: OrderedDict[int, OrderedDict[bytes, Session]] = OrderedDict()
        """By customer, then by key; the longest unused first, of both."""
        self._count = 0
        self._changed: dict[tuple[int, bytes], Session] = {}

    def __len__(self) -> int:
        return self._count

    def find(self, customer: int, key: bytes, idle_s: float) -> Session | None:
        """Return a conversation; None when it is not known, or was idle for longer."""
        own = self._of.get(customer)
        found = None if own is None else own.get(key)
        if found is None or own is None:
            return None
        if self.now_s() - found.seen_s > idle_s:
            self._forget(customer, own, key)
            return None
        return found

    def put(self, customer: int, key: bytes, session: Session, most: int) -> None:
        """Remember a conversation, of at most so many."""
        self._keep(customer, key, session, most)
        if self.on_change is not None and len(self._changed) < CHANGES_MAX:
            if not self._changed:
                self.on_change()
            self._changed[customer, key] = session

    def changes(self) -> list[list[Any]]:
        """Return what the other workers have to know, and forget that it was to be told."""
        changed, self._changed = self._changed, {}
        return [
            [customer, key.hex(), *session[:-1], [list(each) for each in session.warm]]
            for (customer, key), session in changed.items()
        ]

    def learn(self, changes: Iterable[list[Any]], most: int) -> None:
        """Take in what another worker remembers; of two words about one conversation the later counts."""
        for customer, key, deployment, turns, needed, tools, moves, switches, seen_s, began, warm in changes:
            caches = tuple(Warm(*each) for each in warm)
            told = Session(deployment, turns, tuple(needed), tools, moves, switches, seen_s, began, caches)
            own = self._of.get(customer)
            known = None if own is None else own.get(bytes.fromhex(key))
            if known is None or known.seen_s < told.seen_s:
                self._keep(customer, bytes.fromhex(key), told, most)

    def _keep(self, customer: int, key: bytes, session: Session, most: int) -> None:
        own = self._of.get(customer)
        if own is None:
            own = self._of[customer] = OrderedDict()
        if key in own:
            own.move_to_end(key)
        else:
            self._count += 1
        own[key] = session
        self._of.move_to_end(customer)
        while self._count > most:
            self._make_room(customer)

    def _make_room(self, customer: int) -> None:
        """Forget one: of who keeps more than its part its own, else of who was quiet the longest."""
        own = self._of[customer]
        if len(own) * len(self._of) <= self._count:
            customer, own = next(iter(self._of.items()))
        self._forget(customer, own, next(iter(own)))

    def _forget(self, customer: int, own: OrderedDict[bytes, Session], key: bytes) -> None:
        del own[key]
        self._count -= 1
        if not own:
            del self._of[customer]
