"""Which beginnings of prompts are worth a place in a provider's cache: learned from how soon they come back.

Providers bill what they write dearer than plain input (1.25 times for five minutes, twice for an hour, at Anthropic;
1.25 times for half an hour, at OpenAI) and what they read at a tenth. A prefix that does not come back in time costs
more for being written. Of each prefix that was seen it is counted how often it came back within each time; of a new one
the customer's others are taken. What is set aside for the cache is where the expected price of a use is below that of
plain input: docs/adr/0048. A conversation that holds answers has come back, whoever served it before: another worker,
or another machine.

Pure but for its memory, which is bounded; moments come in as arguments.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import Final, Literal, NamedTuple

Lifetime = Literal["5m", "30m", "1h"]

NS: Final = 1_000_000_000
FIVE_MINUTES_NS: Final = 300 * NS
HALF_HOUR_NS: Final = 1_800 * NS
HOUR_NS: Final = 3_600 * NS
KEPT_MAX: Final = 32_768
"""Prefixes that are remembered, some 10 MB: more than come within an hour at ten new ones a second would be lost."""
PRIOR: Final = 0.15
"""How likely a prefix comes back of which, and of whose customer, nothing is known: too seldom to be marked."""
PRIOR_UNASKED: Final = 0.5
"""The same where the provider writes by itself: it is kept from that only by what was seen, three prompts or so."""
PRIOR_WEIGHT: Final = 2.0
FADES: Final = 0.95
"""What each use leaves of what was counted before: the last twenty count most."""
GAIN_MIN: Final = 0.02
"""A mark must be expected to save this part of the prefix's price; below it, it is a bet on noise."""


Part = tuple[bytes, int]
"""A piece of a prompt after which a mark may stand: its bytes as they are sent, and about how many tokens."""


class Rates(NamedTuple):
    """What a token costs that is read, or written for so long, as a multiple of plain input. None: not on offer."""

    read: float
    write_5m: float | None
    write_1h: float | None
    write_30m: float | None = None
    prior: float = PRIOR
    """How likely a prefix comes back of which, and of whose customer, nothing is known."""


class Chances(NamedTuple):
    """How likely something comes back within five minutes, half an hour, and an hour."""

    in_5m: float
    in_30m: float
    in_1h: float


@dataclass(slots=True)
class _Returns:
    """How often something came back in time, of how many uses; older ones count less."""

    uses: float = 0.0
    in_5m: float = 0.0
    in_30m: float = 0.0
    in_1h: float = 0.0

    def note(self, gap_ns: int | None) -> None:
        """Count a use that came so long after the one before; None: nothing came before it."""
        self.uses = self.uses * FADES + 1
        self.in_5m = self.in_5m * FADES + (gap_ns is not None and gap_ns <= FIVE_MINUTES_NS)
        self.in_30m = self.in_30m * FADES + (gap_ns is not None and gap_ns <= HALF_HOUR_NS)
        self.in_1h = self.in_1h * FADES + (gap_ns is not None and gap_ns <= HOUR_NS)

    def chances(self, prior: Chances) -> Chances:
        """Return how likely the next use comes within each time."""
        total = self.uses + PRIOR_WEIGHT
        seen = (self.in_5m, self.in_30m, self.in_1h)
        return Chances(*((count + PRIOR_WEIGHT * before) / total for count, before in zip(seen, prior, strict=True)))


@dataclass(slots=True)
class _Chain:
    """One prefix with all that grew out of it: a conversation, or instructions that many share."""

    returns: _Returns
    last_t: int


class Prefixes:
    """What one worker has seen. Owners never share anything: their names are part of each key."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._chains: OrderedDict[bytes, _Chain] = OrderedDict()
        self._owners: OrderedDict[bytes, _Returns] = OrderedDict()

    def __len__(self) -> int:
        return len(self._chains)

    def choose(
        self, owner: str, parts: Sequence[Part], rates: Rates, tokens_min: int, t: int, *, goes_on: bool = False,
        workers: int = 1,
    ) -> tuple[Lifetime | None, ...]:  # fmt: skip
        """Note a prompt, and return after which of its parts a mark is to stand, and for how long.

        Args:
            owner: Whose cache it is: the customer, and where the call goes.
            parts: The prompt: instructions and tools first, then message by message.
            rates: What the cache costs there.
            tokens_min: The shortest prefix that is kept there; shorter ones are marked in vain.
            t: The moment, in nanoseconds.
            goes_on: Whether it holds answers.
            workers: Among how many requests are spread: instructions come back so many times as often as is seen here.
        """
        keys = _keys(owner, parts)
        sizes = list(accumulate(tokens for _, tokens in parts))
        marks: list[Lifetime | None] = [None] * len(parts)
        head = self._use(b"head" + owner.encode(), [b"head" + keys[0]], t, rates.prior, spread=workers)
        talk = self._use(b"talk" + owner.encode(), keys[1:], t, rates.prior, has_come_back=goes_on)
        if sizes[-1] >= tokens_min:
            marks[-1] = _lifetime(talk.chances, rates)
            if talk.known is not None and sizes[talk.known + 1] >= tokens_min:
                # Providers look back some blocks from a mark, no further: where the last prompt ended is marked again.
                marks[talk.known + 1] = marks[-1]
        if sizes[0] >= tokens_min:
            marks[0] = _lifetime(head.chances, rates)
            if marks[0] == "5m" and "1h" in marks:
                marks[0] = "1h"  # what lives longer must stand before what lives shorter
        return tuple(marks)

    def _use(
        self,
        owner: bytes,
        keys: Sequence[bytes],
        t: int,
        unknown: float,
        *,
        has_come_back: bool = False,
        spread: int = 1,
    ) -> _Use:
        """Note a use of the longest of these prefixes that is known; the whole belongs to it from then on."""
        returns = self._owners.setdefault(owner, _Returns())
        self._owners.move_to_end(owner)
        prior = returns.chances(Chances(unknown, unknown, unknown))
        known, chain = self._longest(keys)
        if chain is None:
            chain = _Chain(_Returns(), t)
            returns.note(0 if has_come_back else None)
        else:
            gap_ns, chain.last_t = (t - chain.last_t) // spread, t
            returns.note(gap_ns)
            chain.returns.note(gap_ns)
        self._chains[keys[-1]] = chain
        self._chains.move_to_end(keys[-1])
        self._forget()
        return _Use(chain.returns.chances(prior), known)

    def _longest(self, keys: Sequence[bytes]) -> tuple[int | None, _Chain | None]:
        for at in range(len(keys) - 1, -1, -1):
            found = self._chains.get(keys[at])
            if found is not None:
                return at, found
        return None, None

    def _forget(self) -> None:
        while len(self._chains) > self._kept_max:
            self._chains.popitem(last=False)
        while len(self._owners) > self._kept_max:
            self._owners.popitem(last=False)


class _Use(NamedTuple):
    """How likely a prefix comes back in time, and which of its parts ended the one that was known."""

    chances: Chances
    known: int | None


def _keys(owner: str, parts: Sequence[Part]) -> list[bytes]:
    """Return the name of the prefix that ends with each part."""
    chain = blake2b(owner.encode(), digest_size=16)
    found = []
    for content, _ in parts:
        chain.update(len(content).to_bytes(8, "little") + content)
        found.append(chain.copy().digest())
    return found


def _lifetime(chances: Chances, rates: Rates) -> Lifetime | None:
    """Return the lifetime with the lowest expected price of a use, if that is below the price of plain input."""
    offers: tuple[tuple[Lifetime, float, float | None], ...] = (
        ("5m", chances.in_5m, rates.write_5m),
        ("30m", chances.in_30m, rates.write_30m),
        ("1h", chances.in_1h, rates.write_1h),
    )
    prices = [(chance * rates.read + (1 - chance) * write, kept) for kept, chance, write in offers if write is not None]
    if not prices:
        return None
    price, lifetime = min(prices)
    return lifetime if price <= 1 - GAIN_MIN else None
