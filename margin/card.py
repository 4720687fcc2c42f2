"""One entry of a provider's price list: what each token bucket costs at one moment."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import lcm
from typing import Final

from margin.money import NUSD_MAX, NUSD_PER_USD, round_half_even
from margin.usage import BUCKETS, Usage

TOKENS_PER_RATE: Final = 1_000_000
"""Rates are US dollars per this many tokens, as every provider's price page states them."""

RATE_MAX: Final = Decimal(1_000_000)
"""A dollar a token. The dearest listed in November 2026 is 600 per million."""

RATE_DIGITS_MAX: Final = 12
"""Decimal places of a rate. Converted per-token prices use up to ten."""

INPUT_SIDE: Final = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_in",
    "image_in",
)
OUTPUT_SIDE: Final = ("output", "reasoning", "audio_out")

FALLBACK: Final[Mapping[str, str]] = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "audio_in": "input",
    "image_in": "input",
    "reasoning": "output",
    "audio_out": "output",
}
"""Which rate an unpriced bucket pays: the one of the wider bucket that holds it.

- `cache_read`, `cache_write_5m` → `input`: a provider that lists no cache price bills every prompt
  token alike (OpenAI before gpt-4o; OpenAI's writes before gpt-5.6).
- `cache_write_1h` → `cache_write_5m`, then `input`: Anthropic and its resellers list both
  lifetimes; a list with one write price (OpenAI's gpt-6) bills every write alike.
- `audio_in`, `image_in` → `input` and `audio_out` → `output`: priced apart only where a medium
  differs from text (OpenAI's audio models; Gemini's audio input).
- `reasoning` → `output`: OpenAI, Anthropic and Gemini all bill thinking as output tokens.

genai-prices falls back the same way (`decompose.py`: the usage of a unit that has no price stays
with the ancestor that has one).
"""

_NUSD_PER_RATE: Final = NUSD_PER_USD // TOKENS_PER_RATE

Rates = Mapping[str, Decimal]
Tier = tuple[int, Rates]
_Row = tuple[int, ...]


class UnpricedBucket(ValueError):
    """Tokens were used that this card has no price for, such as output of an embedding model."""


@dataclass(frozen=True, eq=False)
class Card:
    """One price list entry, valid at one moment.

    Args:
        rates: US dollars per million tokens, by bucket; `input` is required. Unpriced buckets pay
            the rate that `FALLBACK` names.
        tiers: `(above, rates)` ascending. For a request with strictly more than `above` input
            tokens these rates replace the ones below them, for the whole request: crossing the
            line reprices every token, cached and output ones included. That is how OpenAI,
            Anthropic, Google and xAI bill long contexts, and what genai-prices computes. A bucket
            that a tier does not name keeps the rate of the tier below.

    Raises:
        TypeError: A rate is not a `Decimal`.
        ValueError: No input rate, an unknown bucket, a rate that is negative, not finite, above
            `RATE_MAX` or finer than `RATE_DIGITS_MAX` places, or tiers that do not ascend.
    """

    rates: Rates
    tiers: tuple[Tier, ...] = ()
    id: str = field(init=False)
    _denominator: int = field(init=False, repr=False)
    _base: _Row = field(init=False, repr=False)
    _rows: tuple[tuple[int, _Row], ...] = field(init=False, repr=False)  # dearest context first
    _output_priced: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rates = _checked_rates(self.rates)
        tiers = tuple((above, _checked_rates(own)) for above, own in self.tiers)
        if "input" not in rates:
            raise ValueError("a card needs an input rate")
        _check_ascending([above for above, _ in tiers])
        levels = [(0, rates)]
        for above, own in tiers:
            levels.append((above, {**levels[-1][1], **own}))
        denominator, rows = _compile([level for _, level in levels])
        thresholds = [above for above, _ in tiers]
        put = object.__setattr__
        put(self, "rates", rates)
        put(self, "tiers", tiers)
        put(self, "id", "card_" + _digest(levels))
        put(self, "_denominator", denominator)
        put(self, "_base", rows[0])
        put(self, "_rows", tuple(zip(thresholds, rows[1:], strict=True))[::-1])
        put(self, "_output_priced", all("output" in level for _, level in levels))

    @classmethod
    def of(
        cls,
        *,
        input: Decimal | int | str,  # noqa: A002 -- the bucket's name
        output: Decimal | int | str | None = None,
        cache_read: Decimal | int | str | None = None,
        cache_write: Decimal | int | str | None = None,
        cache_write_1h: Decimal | int | str | None = None,
        reasoning: Decimal | int | str | None = None,
        audio_in: Decimal | int | str | None = None,
        audio_out: Decimal | int | str | None = None,
        image_in: Decimal | int | str | None = None,
        tiers: Iterable[tuple[int, Mapping[str, Decimal | int | str]]] = (),
    ) -> "Card":
        """Make a card from rates as people write them; `cache_write` is the 5-minute write.

        Raises:
            TypeError: A rate is a float: write it in quotes, or as a `Decimal`.
            ValueError: A rate is not a number, or the card would be invalid.
        """
        named: dict[str, Decimal | int | str | None] = {
            "input": input,
            "cache_read": cache_read,
            "cache_write_5m": cache_write,
            "cache_write_1h": cache_write_1h,
            "output": output,
            "reasoning": reasoning,
            "audio_in": audio_in,
            "audio_out": audio_out,
            "image_in": image_in,
        }
        rates = {bucket: exact_rate(rate) for bucket, rate in named.items() if rate is not None}
        return cls(rates, tuple((above, _tier_rates(own)) for above, own in tiers))

    def cost_nusd(self, usage: Usage) -> int:
        """Return what the usage costs in nano-dollars, rounded once, half-even.

        Raises:
            UnpricedBucket: Output tokens on a card without an output rate.
            OverflowError: More than 64 bits of nano-dollars.
        """
        cost = round_half_even(self._cost_scaled(usage), self._denominator)
        if cost > NUSD_MAX:
            raise OverflowError(f"a cost of {cost} nano-dollars does not fit 64 bits")
        return cost

    def cost_exact(self, usage: Usage) -> Fraction:
        """Return what the usage costs in dollars, not rounded: for re-rating and for tests.

        Raises:
            UnpricedBucket: Output tokens on a card without an output rate.
        """
        return Fraction(self._cost_scaled(usage), self._denominator * NUSD_PER_USD)

    def _cost_scaled(self, usage: Usage) -> int:
        """Return nano-dollars times the card's denominator; unrolled, since it is on every call."""
        row = self._base
        if self._rows:
            row = self._row(usage.input_total)
        if not self._output_priced and usage.output_total:
            raise UnpricedBucket(f"{usage.output_total} output tokens, but {self.id} prices none")
        return (
            usage.input * row[0]
            + usage.cache_read * row[1]
            + usage.cache_write_5m * row[2]
            + usage.cache_write_1h * row[3]
            + usage.output * row[4]
            + usage.reasoning * row[5]
            + usage.audio_in * row[6]
            + usage.audio_out * row[7]
            + usage.image_in * row[8]
        )

    def _row(self, input_tokens: int) -> _Row:
        for above, row in self._rows:
            if input_tokens > above:
                return row
        return self._base

    def ceiling_nusd(self, *, input_tokens_max: int, output_tokens_max: int) -> int:
        """Return an upper bound of the cost of any usage within both limits, rounded up.

        Every input token is priced at the dearest input-side rate, cache writes included, and every
        output token at the dearest output-side rate, over each context tier that can be reached.

        Raises:
            UnpricedBucket: Output is allowed on a card without an output rate.
            ValueError: A limit is negative.
        """
        if input_tokens_max < 0 or output_tokens_max < 0:
            raise ValueError(f"negative limits: {input_tokens_max} in, {output_tokens_max} out")
        if not self._output_priced and output_tokens_max:
            raise UnpricedBucket(f"{output_tokens_max} output tokens, but {self.id} prices none")
        rows = [self._base] + [row for above, row in self._rows if input_tokens_max > above]
        scaled = max(
            input_tokens_max * _dearest(row, INPUT_SIDE) + output_tokens_max * _dearest(row, OUTPUT_SIDE)
            for row in rows
        )
        return -(-scaled // self._denominator)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Card) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


def exact_rate(rate: object) -> Decimal:
    """Read a rate that was written exactly.

    Raises:
        TypeError: A float, a bool, or not a number at all.
        ValueError: Text that is not a decimal number.
    """
    if isinstance(rate, bool) or not isinstance(rate, Decimal | int | str):
        raise TypeError(f"a rate must be a decimal in quotes, not the {type(rate).__name__} {rate}")
    try:
        return Decimal(rate)
    except InvalidOperation:
        raise ValueError(f"{rate!r} is not a decimal number") from None


def _tier_rates(own: Mapping[str, Decimal | int | str]) -> Rates:
    return {_bucket(name): exact_rate(rate) for name, rate in own.items()}


def _bucket(name: str) -> str:
    return "cache_write_5m" if name == "cache_write" else name


def _checked_rates(rates: Rates) -> Rates:
    for bucket, rate in rates.items():
        if bucket not in BUCKETS:
            raise ValueError(f"unknown bucket {bucket!r}; the buckets are {', '.join(BUCKETS)}")
        if not isinstance(rate, Decimal):
            raise TypeError(f"the rate of {bucket} must be a Decimal, not {type(rate).__name__}")
        if not rate.is_finite() or not 0 <= rate <= RATE_MAX:
            raise ValueError(f"the rate of {bucket} must be from 0 to {RATE_MAX}, not {rate}")
        if -_places(rate) > RATE_DIGITS_MAX:
            raise ValueError(f"the rate of {bucket} has over {RATE_DIGITS_MAX} decimals: {rate}")
    return dict(rates)


def _places(rate: Decimal) -> int:
    exponent = rate.as_tuple().exponent
    assert isinstance(exponent, int), "only finite rates get here"
    return exponent


def _check_ascending(thresholds: list[int]) -> None:
    floor = 0
    for above in thresholds:
        if type(above) is not int or above <= floor:
            raise ValueError(f"tier thresholds must be ascending integers above 0: {thresholds}")
        floor = above


def _compile(levels: list[Rates]) -> tuple[int, list[_Row]]:
    """Turn rates into integers over one denominator: nano-dollars a token, times it."""
    exact = [[Fraction(_rate(level, b)) * _NUSD_PER_RATE for b in BUCKETS] for level in levels]
    denominator = lcm(*(rate.denominator for row in exact for rate in row))
    rows = [tuple(r.numerator * (denominator // r.denominator) for r in row) for row in exact]
    return denominator, rows


def _rate(rates: Rates, bucket: str) -> Decimal:
    """Follow the fallbacks; an unpriced output side counts as nothing, and is refused when used."""
    while bucket not in rates:
        if bucket not in FALLBACK:
            return Decimal(0)
        bucket = FALLBACK[bucket]
    return rates[bucket]


def _dearest(row: _Row, side: Iterable[str]) -> int:
    return max(row[BUCKETS.index(bucket)] for bucket in side)


def _digest(levels: list[tuple[int, Rates]]) -> str:
    """Hash the prices themselves: 0.10 and 0.1 are one price, and so one card."""
    lines = []
    for above, rates in levels:
        ratios = (f"{b}={n}:{d}" for b, (n, d) in sorted(_ratios(rates).items()))
        lines.append(f"{above} {' '.join(ratios)}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _ratios(rates: Rates) -> dict[str, tuple[int, int]]:
    return {bucket: rate.as_integer_ratio() for bucket, rate in rates.items()}
