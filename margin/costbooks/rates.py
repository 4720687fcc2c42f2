"""Rates: US dollars per million tokens, by bucket. What may be one, who pays which, and exact sums of them."""

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from margin.money import NUSD_PER_USD
from margin.usage import BUCKETS

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
_NUSD_PLACES: Final = 3
assert 10**_NUSD_PLACES == _NUSD_PER_RATE, "a rate in thousandths is a whole number of nano-dollars a token"

Rates = Mapping[str, Decimal]
Tier = tuple[int, Rates]
"""Rates of a request with strictly more input tokens than the number."""

Row = tuple[int, ...]
"""What a token costs, by the order of `BUCKETS`: nano-dollars times the card's denominator."""


class UnpricedBucket(ValueError):
    """Tokens were used that this card has no price for, such as output of an embedding model."""


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


def checked_rates(rates: Rates) -> Rates:
    """Return the rates if each of them can be one.

    Raises:
        TypeError: A rate is not a `Decimal`.
        ValueError: An unknown bucket, or a rate that is negative, not finite, too large or too fine.
    """
    for bucket, rate in rates.items():
        if bucket not in BUCKETS:
            raise ValueError(f"unknown bucket {bucket!r}; the buckets are {', '.join(BUCKETS)}")
        if not isinstance(rate, Decimal):
            raise TypeError(f"the rate of {bucket} must be a Decimal, not {type(rate).__name__}")
        if not rate.is_finite() or not 0 <= rate <= RATE_MAX:
            raise ValueError(f"the rate of {bucket} must be from 0 to {RATE_MAX}, not {rate}")
        if _places(rate) > RATE_DIGITS_MAX:
            raise ValueError(f"the rate of {bucket} has over {RATE_DIGITS_MAX} decimals: {rate}")
    return dict(rates)


def _places(rate: Decimal) -> int:
    exponent = rate.as_tuple().exponent
    assert isinstance(exponent, int), "only finite rates get here"
    return -exponent


def levels_of(rates: Rates, tiers: Sequence[Tier]) -> list[Tier]:
    """Return the whole rates of each context size, the smallest first: tiers build on each other."""
    levels: list[Tier] = [(0, rates)]
    for above, own in tiers:
        levels.append((above, {**levels[-1][1], **own}))
    return levels


def rates_above(levels: Sequence[Tier], above: int) -> Rates:
    """Return the rates that hold just above a threshold."""
    return [rates for start, rates in levels if start <= above][-1]


def effective_rate(rates: Rates, bucket: str) -> Decimal | None:
    """Return what a bucket pays, fallbacks followed; `None` when no output rate was listed at all."""
    while bucket not in rates:
        if bucket not in FALLBACK:
            return None
        bucket = FALLBACK[bucket]
    return rates[bucket]


def compiled(levels: Sequence[Tier]) -> tuple[int, list[Row]]:
    """Turn rates into integers over one denominator: nano-dollars a token, times it.

    An unpriced output side counts as nothing here; its use is refused by the card.
    """
    found = [_places(rate) for _, rates in levels for rate in rates.values()]
    places = max(_NUSD_PLACES, *found) if found else _NUSD_PLACES
    rows = [_row(rates, 10**places) for _, rates in levels]
    return 10 ** (places - _NUSD_PLACES), rows


def _row(rates: Rates, scale: int) -> Row:
    scaled = {bucket: _scaled(rate, scale) for bucket, rate in rates.items()}
    row = []
    for bucket in BUCKETS:
        payer: str | None = bucket
        while payer is not None and payer not in scaled:
            payer = FALLBACK.get(payer)
        row.append(0 if payer is None else scaled[payer])
    return tuple(row)


def _scaled(rate: Decimal, scale: int) -> int:
    numerator, denominator = rate.as_integer_ratio()
    return numerator * scale // denominator


def digest(levels: Sequence[Tier]) -> str:
    """Hash the prices themselves: 0.10 and 0.1 are one price, and so one card."""
    lines = []
    for above, rates in levels:
        ratios = (f"{b}={n}:{d}" for b, (n, d) in sorted(_ratios(rates).items()))
        lines.append(f"{above} {' '.join(ratios)}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _ratios(rates: Rates) -> dict[str, tuple[int, int]]:
    return {bucket: rate.as_integer_ratio() for bucket, rate in rates.items()}
