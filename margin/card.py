"""One entry of a provider's price list: what each token bucket costs at one moment."""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final

from margin.costbooks.rates import (
    FALLBACK,
    INPUT_SIDE,
    OUTPUT_SIDE,
    RATE_DIGITS_MAX,
    RATE_MAX,
    TOKENS_PER_RATE,
    Rates,
    Row,
    Tier,
    UnpricedBucket,
    checked_rates,
    compiled,
    digest,
    exact_rate,
    levels_of,
    rates_above,
)
from margin.money import NUSD_MAX, NUSD_PER_USD, round_half_even
from margin.usage import BUCKETS, Usage

__all__ = [
    "FALLBACK",
    "INPUT_SIDE",
    "OUTPUT_SIDE",
    "RATE_DIGITS_MAX",
    "RATE_MAX",
    "SERVICE_TIERS",
    "STANDARD",
    "TOKENS_PER_RATE",
    "Card",
    "Rates",
    "Tier",
    "UnpricedBucket",
    "exact_rate",
]

STANDARD: Final = "standard"
"""What the price list itself is called among its service tiers; OpenAI reports it as `default`."""

SERVICE_TIERS: Final = ("batch", "flex", "priority", "fast", "ultrafast")
"""Service tiers that providers price apart: by the field `service_tier`, and by their batch endpoints.

OpenAI and Google list batch, flex and priority; OpenAI's answers also name `fast` (its priority) and
`ultrafast`; Anthropic, Mistral, xAI and Groq list batch, and Anthropic `speed: fast`.
"""


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
        service_tiers: The whole card of each service tier that is priced apart; see `repriced`.

    The id is of these rates and tiers alone: a service tier's card has an id of its own, and that
    is the one to record for a call billed by it.

    Raises:
        TypeError: A rate is not a `Decimal`.
        ValueError: No input rate, an unknown bucket, a rate that is negative, not finite, above
            `RATE_MAX` or finer than `RATE_DIGITS_MAX` places, tiers that do not ascend, or a
            service tier that is unknown or has service tiers itself.
    """

    rates: Rates
    tiers: tuple[Tier, ...] = ()
    service_tiers: "Mapping[str, Card]" = field(default_factory=dict)
    id: str = field(init=False)
    _denominator: int = field(init=False, repr=False)
    _base: Row = field(init=False, repr=False)
    _rows: tuple[tuple[int, Row], ...] = field(init=False, repr=False)  # dearest context first
    _dearest: tuple[tuple[int, int, int], ...] = field(init=False, repr=False)  # above, of any input, of any output
    _output_priced: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rates = checked_rates(self.rates)
        tiers = tuple((above, checked_rates(own)) for above, own in self.tiers)
        if "input" not in rates:
            raise ValueError("a card needs an input rate")
        thresholds = [above for above, _ in tiers]
        _check_ascending(thresholds)
        levels = levels_of(rates, tiers)
        denominator, rows = compiled(levels)
        put = object.__setattr__
        put(self, "rates", rates)
        put(self, "tiers", tiers)
        put(self, "service_tiers", _checked_service_tiers(self.service_tiers))
        put(self, "id", "card_" + digest(levels))
        put(self, "_denominator", denominator)
        put(self, "_base", rows[0])
        put(self, "_rows", tuple(zip(thresholds, rows[1:], strict=True))[::-1])
        dearest = [(_dearest(row, INPUT_SIDE), _dearest(row, OUTPUT_SIDE)) for row in rows]
        put(self, "_dearest", tuple((above, *both) for above, both in zip((0, *thresholds), dearest, strict=True)))
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
        service_tiers: Mapping[str, Mapping[str, Decimal | int | str]] | None = None,
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
        standard = cls(rates, tuple((above, _tier_rates(own)) for above, own in tiers))
        if service_tiers is None:
            return standard
        return standard.with_service_tiers({n: standard.repriced(_tier_rates(r)) for n, r in service_tiers.items()})

    def repriced(self, rates: Rates, tiers: Iterable[Tier] = ()) -> "Card":
        """Return a card that bills some buckets otherwise: another service tier's, or other hours'.

        A bucket that is not named keeps the rate it has here, at each context size; a named one has
        its new rate at every context size, unless `tiers` name another.
        """
        own = levels_of(rates, tuple(tiers))
        here = levels_of(self.rates, self.tiers)
        thresholds = sorted({above for above, _ in (*own, *here)} - {0})
        levels = {above: {**rates_above(here, above), **rates_above(own, above)} for above in (0, *thresholds)}
        return Card(levels[0], tuple((above, levels[above]) for above in thresholds))

    def with_service_tiers(self, service_tiers: "Mapping[str, Card]") -> "Card":
        """Return this card with these service tiers and no others."""
        made = copy(self)
        object.__setattr__(made, "service_tiers", _checked_service_tiers(service_tiers))
        return made

    def for_service_tier(self, name: str | None) -> "Card":
        """Return the card that a call in a service tier is billed by.

        The standard one when the tier is not priced apart, and for `None`, `auto`, `default` and
        `standard`. For batch and flex that bills too much rather than too little; for priority and
        fast too little, so ask `name in card.service_tiers` where a ceiling must hold.
        """
        if name is None:
            return self
        return self.service_tiers.get(name, self)

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

    def residue(self, usage: Usage, cost_nusd: int) -> tuple[int, int]:
        """Return a cost less what is exact, in nano-dollars, as (numerator, denominator): what rounding has added.

        Raises:
            UnpricedBucket: Output tokens on a card without an output rate.
        """
        return cost_nusd * self._denominator - self._cost_scaled(usage), self._denominator

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

    def _row(self, input_tokens: int) -> Row:
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
        scaled = 0
        for above, of_input, of_output in self._dearest:
            if above and input_tokens_max <= above:
                break
            scaled = max(scaled, input_tokens_max * of_input + output_tokens_max * of_output)
        return -(-scaled // self._denominator)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Card) and self.id == other.id and self.service_tiers == other.service_tiers

    def __hash__(self) -> int:
        return hash(self.id)


def _tier_rates(own: Mapping[str, Decimal | int | str]) -> Rates:
    return {_bucket(name): exact_rate(rate) for name, rate in own.items()}


def _bucket(name: str) -> str:
    return "cache_write_5m" if name == "cache_write" else name


def _check_ascending(thresholds: list[int]) -> None:
    floor = 0
    for above in thresholds:
        if type(above) is not int or above <= floor:
            raise ValueError(f"tier thresholds must be ascending integers above 0: {thresholds}")
        floor = above


def _checked_service_tiers(cards: Mapping[str, Card]) -> Mapping[str, Card]:
    for name, card in cards.items():
        if name not in SERVICE_TIERS:
            raise ValueError(f"unknown service tier {name!r}; the service tiers are {', '.join(SERVICE_TIERS)}")
        if card.service_tiers:
            raise ValueError(f"the service tier {name} cannot have service tiers itself")
    return dict(cards)


def _dearest(row: Row, side: Iterable[str]) -> int:
    return max(row[BUCKETS.index(bucket)] for bucket in side)
