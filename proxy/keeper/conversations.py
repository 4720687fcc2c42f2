"""Responses that their customers may go on with, or ask for, in the keeper's memory, so that any worker finds them.

They hold customers' content and never touch a disk; a restart forgets them. One that a provider stores is a pin here:
which provider, and how long its conversation was. One that we keep has its conversation, in parts that it shares with
the responses it goes on from, as each turn of a talk would hold all earlier ones once more. Bounded by age, count and
bytes, for each customer and for all; the oldest go first. Somebody else's, a forgotten and an invented one look alike.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from proxy.keeper.frames import Message
from proxy.settings import Conversations as Bounds

ENTRY_BYTES = 400
"""What an entry takes beside its content: its name twice in a dictionary, and its parts' places."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one turn added to a conversation: the text of JSON items, without the brackets around them."""

    items: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """A response: the parts of its conversation and itself as JSON text, or who stores it."""

    t: float
    parts: tuple[_Part, ...]
    response: str | None
    provider: str | None
    tokens: int

    @property
    def own_bytes(self) -> int:
        """Its bytes but for its parts, which others may share."""
        return ENTRY_BYTES + (0 if self.response is None else len(self.response))


class Conversations:
    """All responses that are kept.

    Args:
        bounds: How much is kept; asked each time, as a configuration may be reloaded.
        now_s: A clock that only goes forward, in seconds.
    """

    def __init__(self, bounds: Callable[[], Bounds], now_s: Callable[[], float] = time.monotonic) -> None:
        self._bounds, self._now_s = bounds, now_s
        self._kept: OrderedDict[tuple[int, str], _Kept] = OrderedDict()
        """By customer and its id, the oldest first."""
        self._of: dict[int, OrderedDict[str, None]] = {}
        """The ids of each customer, the oldest first."""
        self._uses: Counter[_Part] = Counter()
        self._bytes: Counter[int] = Counter()
        """By customer."""
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, asked: Message) -> bool:
        """Keep a response; False: what it goes on from is gone, or it is too long."""
        customer = asked["customer"]
        before: tuple[_Part, ...] = ()
        self._forget_old()
        previous = asked.get("previous")
        if previous is not None:
            found = self._kept.get((customer, previous))
            if found is None or found.provider is not None:
                return False
            before = found.parts
        parts = (*before, _Part(asked["items"])) if asked.get("items") else before
        kept = _Kept(self._now_s(), parts, asked.get("response"), asked.get("provider"), asked.get("tokens", 0))
        if sum(len(part.items) for part in parts) + kept.own_bytes > self._bounds().conversation_bytes_max:
            return False
        self.drop(asked)
        self._add(customer, asked["name"], kept)
        self._make_room(customer)
        return True

    def find(self, asked: Message) -> Message | None:
        """Return a response of a customer's: what it holds, or None."""
        self._forget_old()
        kept = self._kept.get((asked["customer"], asked["name"]))
        if kept is None:
            return None
        if kept.provider is not None:
            return {"provider": kept.provider, "tokens": kept.tokens}
        return {"items": f"[{','.join(part.items for part in kept.parts)}]", "response": kept.response}

    def drop(self, asked: Message) -> bool:
        """Forget a response of a customer's; False: it is none, or gone already. Those that go on from it stay."""
        customer, identity = asked["customer"], asked["name"]
        kept = self._kept.pop((customer, identity), None)
        if kept is None:
            return False
        ids = self._of[customer]
        del ids[identity]
        if not ids:
            del self._of[customer]
        self._count(customer, -kept.own_bytes)
        for part in kept.parts:
            self._uses[part] -= 1
            if not self._uses[part]:
                del self._uses[part]
                self._count(customer, -len(part.items))
        return True

    def _add(self, customer: int, identity: str, kept: _Kept) -> None:
        self._kept[customer, identity] = kept
        self._of.setdefault(customer, OrderedDict())[identity] = None
        self._count(customer, kept.own_bytes)
        for part in kept.parts:
            self._uses[part] += 1
            if self._uses[part] == 1:
                self._count(customer, len(part.items))

    def _count(self, customer: int, size: int) -> None:
        self.bytes += size
        self._bytes[customer] += size
        if not self._bytes[customer]:
            del self._bytes[customer]

    def _make_room(self, customer: int) -> None:
        """Forget the customer's oldest beyond its own bounds, then anybody's beyond those of all."""
        bounds = self._bounds()
        while (ids := self._of.get(customer)) and (
            self._bytes[customer] > bounds.customer_bytes_max or len(ids) > bounds.customer_responses_max
        ):
            self.drop({"customer": customer, "name": next(iter(ids))})
        while self._kept and self.bytes > bounds.bytes_max:
            self._drop_oldest()

    def _forget_old(self) -> None:
        before_s = self._now_s() - self._bounds().ttl_s
        while self._kept and next(iter(self._kept.values())).t < before_s:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        customer, identity = next(iter(self._kept))
        self.drop({"customer": customer, "name": identity})
