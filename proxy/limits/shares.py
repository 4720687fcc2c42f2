"""A worker's share of one limit: how much it may let through by itself, and how much of that is in use.

Three kinds, one face. `free` is what may be taken now, `take` takes it, `back` undoes a take, `end` says that what was
taken is over and what it really came to, `surrender` gives up what is not in use. Nothing here waits or asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from proxy.limits.windows import SPANS_NS, Room, Window

WORD_NS_MAX = 60 * 1_000_000_000
"""How long the keeper's word on a budget is passed on: an answer may take long to begin."""
FOREVER_NS = 1 << 62

Measure = Literal["requests", "tokens", "open", "cost", "charge"]
"""What a limit counts: requests, tokens, requests open at once, nano-dollars that we pay, nano-dollars charged."""


class Amounts(NamedTuple):
    """What one exchange, or one call of it, takes or came to, by measure. What nobody knows is None."""

    requests: int = 1
    tokens: int | None = 0
    cost_nusd: int | None = 0
    charge_nusd: int | None = 0


_PLACES: dict[Measure, int] = {"requests": 0, "open": 0, "tokens": 1, "cost": 2, "charge": 3}


@dataclass(frozen=True, slots=True)
class Name:
    """Which limit: whose (`kind` and `id`), of what, over which time (`minute`, `day`, none, or a budget's period)."""

    kind: str
    id: str
    measure: Measure
    per: str = ""

    @property
    def text(self) -> str:
        """The name in one line, as the keeper's messages have it."""
        return "\n".join((self.kind, self.id, self.measure, self.per))

    @classmethod
    def read(cls, text: str) -> Name:
        """Read what `text` wrote."""
        kind, id_, measure, per = text.split("\n")
        return cls(kind, id_, measure, per)  # type: ignore[arg-type]


class Share(Protocol):
    """A worker's part of one limit."""

    name: Name
    place: int
    """Which of the `Amounts` it counts."""
    limit: int
    size: int
    """What of the limit this worker may use. Less than what is in use only where a limit was lowered."""

    def free(self, t: int) -> int:
        """Return how much may be taken at `t`, by a monotonic clock. Below zero after answers longer than estimated."""
        ...

    def take(self, count: int, t: int) -> int:
        """Take; return what `back` and `end` want to know of it."""
        ...

    def back(self, count: int, taken: int) -> None:
        """Undo a take: nothing happened."""
        ...

    def end(self, count: int, taken: int, actual: int | None, t: int) -> None:
        """What was taken is over. `actual` is what it came to, None when nobody knows."""
        ...

    def surrender(self, t: int) -> int:
        """Give up what is not in use; return by how much the keeper's account of this worker falls."""
        ...

    def frees_ns(self, count: int, t: int) -> int | None:
        """Return in how long `count` may be free, if nobody else takes it; None when nobody can say."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in use, as of the last look, so that the share can be given up whole."""
        ...


class Rate:
    """A share of requests or tokens per minute or day: what is in the window is in use."""

    __slots__ = ("_window", "limit", "name", "place", "size")

    def __init__(self, name: Name, limit: int, room: Room) -> None:
        self.name, self.place, self.limit, self.size = name, _PLACES[name.measure], limit, 0
        self._window = Window(SPANS_NS[name.per], room)

    def free(self, t: int) -> int:
        """Return what the share holds beyond what is in the window."""
        size = min(self.limit, self.size)  # twice as fast as min()
        return size - self._window.slide(t)

    def take(self, count: int, t: int) -> int:
        """Count it; return its second."""
        return self._window.add(count, t)

    def back(self, count: int, taken: int) -> None:
        """Uncount it."""
        self._window.take_out(count, taken)

    def end(self, count: int, taken: int, actual: int | None, t: int) -> None:
        """Correct an estimate: what was too much never counted, what was too little counts from now on."""
        if actual is None or actual == count:
            return
        if actual < count:
            self._window.take_out(count - actual, taken)
        else:
            self._window.add(actual - count, t)

    def surrender(self, t: int) -> int:
        """Give up what is not in the window."""
        unused = max(self.size - self._window.slide(t), 0)  # below zero: in use beyond the share
        self.size -= unused
        return unused

    def frees_ns(self, count: int, t: int) -> int | None:
        """Return when the window has let go of enough; None of an empty one: it is not what is in the way."""
        short = count - self.free(t)
        return self._window.frees_ns(short, t) if self._window.total else None

    @property
    def is_idle(self) -> bool:
        """Whether the window was empty."""
        return self._window.total == 0


class Slots:
    """A share of the requests that may be open at once."""

    __slots__ = ("limit", "name", "open", "place", "size")

    def __init__(self, name: Name, limit: int) -> None:
        self.name, self.place, self.limit = name, _PLACES[name.measure], limit
        self.size = self.open = 0

    def free(self, t: int) -> int:
        """Return how many more may be open."""
        return (min(self.limit, self.size)) - self.open

    def take(self, count: int, t: int) -> int:
        """Open."""
        self.open += count
        return 0

    def back(self, count: int, taken: int) -> None:
        """Close."""
        self.open -= count

    def end(self, count: int, taken: int, actual: int | None, t: int) -> None:
        """Close."""
        self.open -= count

    def surrender(self, t: int) -> int:
        """Give up what is not open."""
        unused = max(self.size - self.open, 0)
        self.size -= unused
        return unused

    def frees_ns(self, count: int, t: int) -> int | None:
        """Nobody knows when a request ends."""
        return None

    @property
    def is_idle(self) -> bool:
        """Whether none is open."""
        return self.open == 0


class Purse:
    """A share of a budget in nano-dollars. What was spent leaves the share, as the ledger counts it from then on."""

    __slots__ = ("_since", "_spent", "_spent_all", "_word_t", "asked_t", "held", "limit", "name", "place", "resets_t",
                 "size")  # fmt: skip

    def __init__(self, name: Name, limit: int) -> None:
        self.name, self.place, self.limit = name, _PLACES[name.measure], limit
        self.size = self.held = self._spent = 0
        """`_spent` was journalled since the keeper last heard of this share: it still counts as lent there."""
        self.asked_t = -FOREVER_NS
        """When the keeper was last asked what is spent of the budget."""
        self._since = 0
        """Spent here since it was asked."""
        self._spent_all: int | None = None
        """What all have spent, by the keeper's word and what was spent here since."""
        self._word_t = 0
        """When it was asked for that word."""
        self.resets_t = 0
        """When that word no longer counts: the period ends."""

    def free(self, t: int) -> int:
        """Return what may be held."""
        return self.size - self.held

    def take(self, count: int, t: int) -> int:
        """Hold a ceiling."""
        self.held += count
        return 0

    def back(self, count: int, taken: int) -> None:
        """Let go of it."""
        self.held -= count

    def end(self, count: int, taken: int, actual: int | None, t: int) -> None:
        """Spend what it came to and was journalled; the rest may be held again. Of an unknown cost nothing is booked.

        More than the ceiling is spent all the same: the share may end below zero.
        """
        self.held -= count
        if actual is not None:
            self.size -= actual
            self._spent += actual
            self._since += actual
            if self._spent_all is not None:
                self._spent_all += actual

    def asked(self, t: int) -> None:
        """The keeper is asked what is spent of the budget."""
        self.asked_t, self._since = t, 0

    def told(self, spent: int, resets_t: int) -> None:
        """It said so. Spent here meanwhile may be among it, and is counted in any case: rather too little is left."""
        self._spent_all, self._word_t, self.resets_t = spent + self._since, self.asked_t, resets_t

    def left(self, t: int) -> int | None:
        """Return what is not spent of the budget; None when nobody has said so lately, or of the period that is now.

        Below zero after a bill beyond its ceiling.
        """
        if self._spent_all is None or t >= self.resets_t or t - self._word_t > WORD_NS_MAX:
            return None
        return self.limit - self._spent_all

    def surrender(self, t: int) -> int:
        """Give up what is not held, and tell what was spent: neither is lent any more."""
        returned = self.size - self.held + self._spent
        self.size, self._spent = self.held, 0
        return returned

    def frees_ns(self, count: int, t: int) -> int | None:
        """Nobody knows what a request under way will cost."""
        return None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is held."""
        return self.held == 0


def hundredths_left(left: int, limit: int) -> int:
    """Return what is left of a budget in whole hundredths: what we pay for one request cannot be read from it."""
    return max(left, 0) * 100 // limit


def share(name: Name, limit: int, room: Room) -> Share:
    """Return an empty share of a limit. `room`: where the buckets of its window are counted, if it has one."""
    if name.measure in {"requests", "tokens"}:
        return Rate(name, limit, room)
    return Slots(name, limit) if name.measure == "open" else Purse(name, limit)
