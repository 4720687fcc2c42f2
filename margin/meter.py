"""Credits metered by usage: what a plan's tokens, or actions of so many tokens, cost in credits.

A rate is credits per 1,000 tokens, which is milli-credits per token: so a charge is the sum of tokens times rates, with
one rounding, to the milli-credit, half-even.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from margin.money import round_half_even
from margin.usage import BUCKETS, Usage

RATE_DIGITS_MAX: Final = 6
"""Places of a rate: a millionth of a credit for 1,000 tokens is a billionth for one, finer than any price list."""
_SCALE: Final = 10**RATE_DIGITS_MAX


@dataclass(frozen=True, slots=True)
class Meter:
    """Credits per 1,000 tokens.

    Args:
        input: Fresh input, of text, audio and images.
        output: Output, hidden reasoning included.
        cache_read: Input that the provider read from its prompt cache; `None`: as `input`.
        cache_write: Input that the provider wrote to it; `None`: as `input`.

    Raises:
        ValueError: A rate is negative or finer than `RATE_DIGITS_MAX` places.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    _scaled: tuple[int, int, int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        scaled = (_scaled(self.input), _scaled(read), _scaled(write), _scaled(self.output))
        object.__setattr__(self, "_scaled", scaled)

    def charge_milli(self, usage: Usage) -> int:
        """Return what a call's usage is charged, rounded once."""
        return round_half_even(self._total(usage), _SCALE)

    def residue(self, usage: Usage, charge_milli: int) -> tuple[int, int]:
        """Return a charge less what is exact, as (numerator, denominator): what rounding has added."""
        return charge_milli * _SCALE - self._total(usage), _SCALE

    def _total(self, usage: Usage) -> int:
        fresh, read, write, out = self._scaled
        return (
            (usage.input + usage.audio_in + usage.image_in) * fresh
            + usage.cache_read * read
            + (usage.cache_write_5m + usage.cache_write_1h) * write
            + usage.output_total * out
        )

    def ceiling_milli(self, *, input_tokens_max: int, output_tokens_max: int) -> int:
        """Return the most that so many tokens can be charged, whatever the provider's cache does."""
        dearest = max(self._scaled[:3])
        return round_half_even(input_tokens_max * dearest + output_tokens_max * self._scaled[3], _SCALE)

    def terms(self) -> dict[str, str | None]:
        """Return the rates as plain JSON values; equal rates are written equally."""
        rates = {"input": self.input, "cache_read": self.cache_read, "cache_write": self.cache_write}
        return {name: _plain(rate) for name, rate in (rates | {"output": self.output}).items()}


@dataclass(frozen=True, slots=True)
class Actions:
    """Credits per action: a request is one for each begun `tokens`, in and out, whatever they are made of.

    Args:
        milli: Milli-credits of an action.
        tokens: How many tokens one covers; the next one begins beyond them.

    Raises:
        ValueError: An action costs less than nothing, or covers no token.
    """

    milli: int
    tokens: int

    def __post_init__(self) -> None:
        if self.milli < 0 or self.tokens < 1:
            raise ValueError("an action must cost 0 or more, and cover a token at least")

    def charge_milli(self, usage: Usage) -> int:
        """Return what a call's usage is charged: one action at least."""
        return self.ceiling_milli(input_tokens_max=sum(getattr(usage, bucket) for bucket in BUCKETS))

    def residue(self, usage: Usage, charge_milli: int) -> tuple[int, int]:
        """Return a charge less what is exact: whole actions are not rounded."""
        return charge_milli - self.charge_milli(usage), 1

    def ceiling_milli(self, *, input_tokens_max: int, output_tokens_max: int = 0) -> int:
        """Return the most that so many tokens can be charged."""
        return self.milli * max(-(-(input_tokens_max + output_tokens_max) // self.tokens), 1)

    def terms(self) -> dict[str, str | None]:
        """Return the terms as plain JSON values."""
        return {"action": _plain(Decimal(self.milli).scaleb(-3)), "tokens": str(self.tokens)}


def read(terms: Mapping[str, str | None]) -> Meter | Actions:
    """Return the meter that wrote these terms."""
    if "action" in terms:
        return Actions(int(Decimal(str(terms["action"])) * 1000), int(str(terms["tokens"])))
    return Meter(**{name: None if rate is None else Decimal(rate) for name, rate in terms.items()})  # type: ignore[arg-type]


def _plain(rate: Decimal | None) -> str | None:
    return None if rate is None else f"{rate.normalize():f}"


def _scaled(rate: Decimal) -> int:
    numerator, denominator = rate.as_integer_ratio()
    scaled, rest = divmod(numerator * _SCALE, denominator)
    if scaled < 0 or rest:
        raise ValueError(f"a rate must be 0 or more, with at most {RATE_DIGITS_MAX} places, not {rate}")
    return scaled
