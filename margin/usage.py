"""What a call used, in disjoint token buckets: each token is in exactly one.

Providers report overlapping counts in different ways; most cost bugs are double counts that follow.
OpenAI (platform.openai.com/docs, prompt caching) and Gemini (ai.google.dev, UsageMetadata) report
the cached tokens inside the prompt count: use `Usage.nested`. Anthropic (docs.claude.com, prompt
caching) reports them beside `input_tokens`: fill the buckets directly.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, Self

Source = Literal["reported", "estimated"]

BUCKETS: Final = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_in",
    "audio_out",
    "image_in",
)

PARTS_IN: Final = ("cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in")
PARTS_OUT: Final = ("reasoning", "audio_out")

TOKENS_MAX: Final = 10**12
"""Tokens in a bucket. A thousand times what fits a day's batch; more is a bug in what was read."""


class UsageError(ValueError):
    """Counts that cannot be: negative, not whole, or parts larger than their total."""


class _Counts(NamedTuple):
    """The fields of a usage. A tuple: each call makes three, and a frozen dataclass takes thrice as long."""

    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    reasoning: int
    audio_in: int
    audio_out: int
    image_in: int
    source: Source
    service_tier: str | None


class Usage(_Counts):
    """Tokens of one call, in disjoint buckets.

    Args:
        input: Fresh input text, neither read from nor written to a prompt cache.
        cache_read: Input served from the provider's prompt cache.
        cache_write_5m: Input written to it for its shortest (or only) lifetime.
        cache_write_1h: Input written to it for an hour.
        output: Visible output text.
        reasoning: Hidden output: thinking.
        audio_in: Audio input.
        audio_out: Audio output.
        image_in: Image input.
        source: Whether the provider said so, or we counted ourselves.
        service_tier: Which of its service tiers the provider says it billed, if it is not its standard one.

    Raises:
        UsageError: A count is not an integer from 0 to `TOKENS_MAX`.
    """

    __slots__ = ()

    def __new__(
        cls,
        input: int = 0,  # noqa: A002 -- the bucket's name
        cache_read: int = 0,
        cache_write_5m: int = 0,
        cache_write_1h: int = 0,
        output: int = 0,
        reasoning: int = 0,
        audio_in: int = 0,
        audio_out: int = 0,
        image_in: int = 0,
        source: Source = "reported",
        service_tier: str | None = None,
    ) -> Self:
        """Check every count."""
        counts = (
            input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, audio_in, audio_out, image_in,
        )  # fmt: skip
        for count in counts:
            if type(count) is not int or not 0 <= count <= TOKENS_MAX:
                _check_each(BUCKETS, counts)
        return tuple.__new__(cls, (*counts, source, service_tier))

    @classmethod
    def nested(
        cls,
        *,
        input_total: int,
        output_total: int,
        cache_read: int = 0,
        cache_write_5m: int = 0,
        cache_write_1h: int = 0,
        audio_in: int = 0,
        image_in: int = 0,
        reasoning: int = 0,
        audio_out: int = 0,
        source: Source = "reported",
        service_tier: str | None = None,
    ) -> "Usage":
        """Read counts whose details are parts of the totals, as OpenAI and Gemini report them.

        The details must not overlap each other: a cached audio token is named once, by the caller's
        choice. Gemini's thoughts stand beside its candidates: add them to `output_total` first.

        Raises:
            UsageError: The parts exceed their total; the message has both numbers.
        """
        parts_in = (cache_read, cache_write_5m, cache_write_1h, audio_in, image_in)
        parts_out = (reasoning, audio_out)
        for count in (input_total, *parts_in, output_total, *parts_out):
            if type(count) is not int or not 0 <= count <= TOKENS_MAX:
                _check_each(("input_total", *PARTS_IN), (input_total, *parts_in))
                _check_each(("output_total", *PARTS_OUT), (output_total, *parts_out))
        counts = (
            _rest("input_total", input_total, PARTS_IN, parts_in), cache_read, cache_write_5m, cache_write_1h,
            _rest("output_total", output_total, PARTS_OUT, parts_out), reasoning, audio_in, audio_out, image_in,
        )  # fmt: skip
        return tuple.__new__(cls, (*counts, source, service_tier))

    @classmethod
    def from_dict(cls, buckets: Mapping[str, int], *, source: Source = "reported") -> "Usage":
        """Read what `as_dict` wrote; missing buckets are zero.

        Raises:
            UsageError: An unknown bucket, or a count that cannot be.
        """
        unknown = sorted(set(buckets) - set(BUCKETS))
        if unknown:
            raise UsageError(f"unknown buckets {unknown}; the buckets are {', '.join(BUCKETS)}")
        return cls(**buckets, source=source)  # type: ignore[arg-type] # only counts: checked above

    @property
    def input_total(self) -> int:
        """Every token that went in: what context windows and context tiers count."""
        return self.input + self.cached + self.audio_in + self.image_in

    @property
    def output_total(self) -> int:
        """Every token that came out, hidden reasoning included."""
        return self.output + self.reasoning + self.audio_out

    @property
    def total(self) -> int:
        """Every token, in and out."""
        return self.input_total + self.output_total

    @property
    def cached(self) -> int:
        """Every input token that the provider's prompt cache read or wrote."""
        return self.cache_read + self.cache_write_5m + self.cache_write_1h

    def uncached(self) -> "Usage":
        """Return the same tokens as if there were no prompt cache."""
        return self._replace(input=self.input + self.cached, cache_read=0, cache_write_5m=0, cache_write_1h=0)

    def as_dict(self) -> dict[str, int]:
        """Return the buckets that are not zero; source and service tier are kept beside them by the caller."""
        return {bucket: count for bucket, count in zip(BUCKETS, self[:-2], strict=True) if count != 0}

    def __add__(self, other: "Usage") -> "Usage":  # type: ignore[override] # two usages are no longer tuple
        """Sum bucket by bucket; the sum is reported only if both were, and of a service tier only if both are of it."""
        sums = {bucket: getattr(self, bucket) + getattr(other, bucket) for bucket in BUCKETS}
        both = self.source == other.source == "reported"
        tier = self.service_tier if self.service_tier == other.service_tier else None
        return Usage(**sums, source="reported" if both else "estimated", service_tier=tier)


def _check_each(names: tuple[str, ...], counts: tuple[object, ...]) -> None:
    for name, count in zip(names, counts, strict=True):
        # `type is` because a bool is an int and JSON's true must not count as one token
        if type(count) is not int or not 0 <= count <= TOKENS_MAX:
            raise UsageError(f"{name} must be an integer from 0 to {TOKENS_MAX}, not {count!r}")


def _rest(name: str, total: int, names: tuple[str, ...], parts: tuple[int, ...]) -> int:
    """Return what of a total its parts leave over.

    A negative rest is never clamped: it means a provider's counts were read the wrong way round,
    and every bill after it would be wrong.
    """
    named = sum(parts)
    if named > total:
        listed = ", ".join(f"{part} {count}" for part, count in zip(names, parts, strict=True) if count)
        raise UsageError(f"{name} is {total}, but its parts add up to {named} ({listed})")
    return total - named
