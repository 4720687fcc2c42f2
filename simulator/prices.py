"""What the simulated provider charges: a price list written by hand, in exact fractions.

This list is the oracle that the product's cost book is tested against, so it must not come from
the same place. The figures are OpenAI's (platform.openai.com/docs/pricing) and Anthropic's
(platform.claude.com/docs/en/about-claude/pricing) and Google's (ai.google.dev/gemini-api/docs/pricing), USD per million
tokens, found equal to genai-prices 0.2.3 on 2026-11-20. `ft:gpt-6-luna:acme` is invented.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Final

_PER_MILLION: Final = 1_000_000
DEFAULT: Final = "default"
"""What OpenAI calls its standard service tier."""


@dataclass(frozen=True, slots=True)
class LongPrompts:
    """What a long prompt does to a price.

    Args:
        above: A prompt with more tokens than this is long: all of it is billed at the higher rates.
        prompt: What the rates of the prompt's side are multiplied by.
        output: What the output's rate is multiplied by.
    """

    above: int
    prompt: Fraction
    output: Fraction


_GPT: Final = LongPrompts(272_000, Fraction(2), Fraction("1.5"))
_HAIKU: Final = LongPrompts(100_000, Fraction(5), Fraction(5))
_PRO: Final = LongPrompts(200_000, Fraction(2), Fraction("1.5"))


@dataclass(frozen=True, slots=True)
class BilledUsage:
    """Tokens as the invoice counts them.

    Args:
        input: Prompt tokens neither read from nor written to the prompt cache.
        cache_read: Prompt tokens read from it.
        cache_write: Prompt tokens written to it, for its usual lifetime.
        output: Tokens generated, reasoning included.
        reasoning: The part of `output` that was reasoning.
        cache_write_1h: Prompt tokens written to it for an hour, on request.
    """

    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int
    cache_write_1h: int = 0

    @property
    def prompt(self) -> int:
        """All prompt tokens, as `usage.prompt_tokens` counts them."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens, exact.

    Args:
        input: Fresh prompt tokens.
        cache_read: Cached prompt tokens; None where the model has no prompt cache.
        cache_write: Prompt tokens written to the cache; None where writing is free.
        output: Generated tokens, reasoning included.
        cache_write_1h: Prompt tokens written to the cache for an hour; None where that cannot be asked for.
        long: What long prompts cost; None where they cost the same.
        service_tiers: The price of each service tier that is sold apart, by what requests call it.
    """

    input: Fraction
    cache_read: Fraction | None
    cache_write: Fraction | None
    output: Fraction
    cache_write_1h: Fraction | None = None
    long: LongPrompts | None = None
    service_tiers: Mapping[str, "Price"] = field(default_factory=dict)

    def in_tier(self, name: str) -> "Price":
        """Return the price in a service tier; `default` is this one."""
        return self if name == DEFAULT else self.service_tiers[name]

    def times(self, factor: str) -> "Price":
        """Return a price that is this many times as high."""
        by = Fraction(factor)
        read, write, hour = (None if rate is None else rate * by for rate in self._cached)
        return Price(self.input * by, read, write, self.output * by, hour, self.long)

    @property
    def _cached(self) -> tuple[Fraction | None, ...]:
        return self.cache_read, self.cache_write, self.cache_write_1h

    def amount_usd(self, usage: BilledUsage) -> Fraction:
        """Return the exact price of `usage` in USD, never rounded."""
        prompt_side = (
            usage.input * self.input
            + usage.cache_read * _rate(self.cache_read, usage.cache_read)
            + usage.cache_write * _rate(self.cache_write, usage.cache_write)
            + usage.cache_write_1h * _rate(self.cache_write_1h, usage.cache_write_1h)
        )
        output_side = usage.output * self.output
        if self.long is not None and usage.prompt > self.long.above:
            prompt_side, output_side = prompt_side * self.long.prompt, output_side * self.long.output
        return (prompt_side + output_side) / _PER_MILLION


def _rate(rate: Fraction | None, tokens: int) -> Fraction:
    assert rate is not None or tokens == 0, "the model was billed for a bucket that it does not have"
    return Fraction(0) if rate is None else rate


def _price(
    fresh: str,
    read: str | None,
    write: str | None,
    output: str,
    *,
    write_1h: str | None = None,
    long: LongPrompts | None = None,
    tiers: Mapping[str, str | Price] | None = None,
) -> Price:
    standard = Price(
        input=Fraction(fresh),
        cache_read=None if read is None else Fraction(read),
        cache_write=None if write is None else Fraction(write),
        output=Fraction(output),
        cache_write_1h=None if write_1h is None else Fraction(write_1h),
        long=long,
    )
    if tiers is None:
        return standard
    sold = {name: each if isinstance(each, Price) else standard.times(each) for name, each in tiers.items()}
    return replace(standard, service_tiers=sold)


_TIERS: Final = {"flex": "0.5", "priority": "2"}
"""How many times the standard price OpenAI's service tiers cost, of its newer models."""

PRICES: Final[Mapping[str, Price]] = {
    "gpt-6-luna": _price("0.10", "0.01", "0.125", "0.50", long=_GPT, tiers=_TIERS),
    "gpt-6.1-sol": _price("2.00", "0.10", "2.50", "10.00", long=_GPT, tiers=_TIERS),
    "gpt-6.1-terra": _price("1.00", "0.05", "1.25", "5.00", long=_GPT, tiers=_TIERS),
    "gpt-6-astra": _price("10.00", "1.00", "12.50", "50.00", long=_GPT, tiers=_TIERS),
    "gpt-4o-mini": _price("0.15", "0.075", None, "0.60", tiers={"priority": _price("0.25", "0.125", None, "1.00")}),
    "gpt-3.5-turbo-instruct": _price("1.50", None, None, "2.00"),
    "ft:gpt-6-luna:acme": _price("0.20", "0.02", None, "1.00"),
    "claude-haiku-5-5": _price("0.10", "0.01", "0.125", "0.50", write_1h="0.20", long=_HAIKU),
    "claude-sonnet-5-5": _price("2.00", "0.10", "2.50", "10.00", write_1h="4.00"),
    "claude-opus-5-5": _price("4.00", "0.20", "5.00", "20.00", write_1h="8.00"),
    "gemini-2.5-flash": _price("0.30", "0.03", None, "2.50"),
    "gemini-2.5-pro": _price("1.25", "0.125", None, "10.00", long=_PRO),
    "gemini-3.8-flash": _price("0.75", "0.075", None, "3.75"),
    "gemini-4-argon": _price("2.00", "0.10", None, "10.00"),
    "gemini-embedding-001": _price("0.15", None, None, "0"),
    "text-embedding-3-small": _price("0.02", None, None, "0"),
    "text-embedding-3-large": _price("0.13", None, None, "0"),
}
"""Every model that is served, with its price."""

_CHANGES: Final[Mapping[str, tuple[date, str]]] = {
    "gemini-3.8-flash": (date(2027, 1, 1), "2"),
    "gemini-4-argon": (date(2026, 12, 1), "2"),
}
"""When an introductory price ends, and how many times as high it is from then on."""


def price_on(model: str, day: date) -> Price:
    """Return what a model costs on a day (UTC)."""
    price, change = PRICES[model], _CHANGES.get(model)
    return price if change is None or day < change[0] else price.times(change[1])
