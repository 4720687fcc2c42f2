"""What the simulated provider charges: a price list written by hand, in exact fractions.

This list is the oracle that the product's cost book is tested against, so it must not come from
the same place. The figures are OpenAI's, USD per million tokens (platform.openai.com/docs/pricing),
read on 2026-11-20 and found equal to genai-prices 0.2.3. `ft:gpt-6-luna:acme` is invented.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

LONG_PROMPT_TOKENS: Final = 272_000
"""A prompt with more tokens than this is long: all of it is billed at the long-context rates."""

_LONG_INPUT: Final = Fraction(2)
_LONG_OUTPUT: Final = Fraction("1.5")
_PER_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class BilledUsage:
    """Tokens as the invoice counts them.

    Args:
        input: Prompt tokens neither read from nor written to the prompt cache.
        cache_read: Prompt tokens read from it.
        cache_write: Prompt tokens written to it.
        output: Tokens generated, reasoning included.
        reasoning: The part of `output` that was reasoning.
    """

    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int

    @property
    def prompt(self) -> int:
        """All prompt tokens, as `usage.prompt_tokens` counts them."""
        return self.input + self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens, exact.

    Args:
        input: Fresh prompt tokens.
        cache_read: Cached prompt tokens; None where the model has no prompt cache.
        cache_write: Prompt tokens written to the cache; None where writing is free.
        output: Generated tokens, reasoning included.
        long_context: Whether prompts above `LONG_PROMPT_TOKENS` cost more.
    """

    input: Fraction
    cache_read: Fraction | None
    cache_write: Fraction | None
    output: Fraction
    long_context: bool = False

    def amount_usd(self, usage: BilledUsage) -> Fraction:
        """Return the exact price of `usage` in USD, never rounded."""
        long = self.long_context and usage.prompt > LONG_PROMPT_TOKENS
        prompt_side = (
            usage.input * self.input
            + usage.cache_read * _rate(self.cache_read, usage.cache_read)
            + usage.cache_write * _rate(self.cache_write, usage.cache_write)
        )
        output_side = usage.output * self.output
        if long:
            prompt_side, output_side = prompt_side * _LONG_INPUT, output_side * _LONG_OUTPUT
        return (prompt_side + output_side) / _PER_MILLION


def _rate(rate: Fraction | None, tokens: int) -> Fraction:
    assert rate is not None or tokens == 0, "the model was billed for a bucket that it does not have"
    return Fraction(0) if rate is None else rate


def _price(fresh: str, read: str | None, write: str | None, output: str, *, long_context: bool = False) -> Price:
    return Price(
        input=Fraction(fresh),
        cache_read=None if read is None else Fraction(read),
        cache_write=None if write is None else Fraction(write),
        output=Fraction(output),
        long_context=long_context,
    )


PRICES: Final[Mapping[str, Price]] = {
    "gpt-6-luna": _price("0.10", "0.01", "0.125", "0.50", long_context=True),
    "gpt-6.1-sol": _price("2.00", "0.10", "2.50", "10.00", long_context=True),
    "gpt-6.1-terra": _price("1.00", "0.05", "1.25", "5.00", long_context=True),
    "gpt-6-astra": _price("10.00", "1.00", "12.50", "50.00", long_context=True),
    "gpt-4o-mini": _price("0.15", "0.075", None, "0.60"),
    "ft:gpt-6-luna:acme": _price("0.20", "0.02", None, "1.00"),
    "text-embedding-3-small": _price("0.02", None, None, "0"),
    "text-embedding-3-large": _price("0.13", None, None, "0"),
}
"""Every model that is served, with its price."""
