"""What a call used, in disjoint token buckets: each token is in exactly one.

Providers report overlapping counts in different ways; most cost bugs are double counts that follow.
OpenAI (platform.openai.com/docs, prompt caching) and Gemini (ai.google.dev, UsageMetadata) report
the cached tokens inside the prompt count: use `Usage.nested`. Anthropic (docs.claude.com, prompt
caching) reports them beside `input_tokens`: fill the buckets directly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

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

TOKENS_MAX: Final = 10**12
"""Tokens in a bucket. A thousand times what fits a day's batch; more is a bug in what was read."""


class UsageError(ValueError):
    """Counts that cannot be: negative, not whole, or parts larger than their total."""


@dataclass(frozen=True, slots=True)
class Usage:
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

    Raises:
        UsageError: A count is not an integer from 0 to `TOKENS_MAX`.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_in: int = 0
    audio_out: int = 0
    image_in: int = 0
    source: Source = "reported"

    def __post_init__(self) -> None:
        for bucket in BUCKETS:
            count = getattr(self, bucket)
            if type(count) is not int or not 0 <= count <= TOKENS_MAX:
                _check(bucket, count)

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
    ) -> "Usage":
        """Read counts whose details are parts of the totals, as OpenAI and Gemini report them.

        The details must not overlap each other: a cached audio token is named once, by the caller's
        choice. Gemini's thoughts stand beside its candidates: add them to `output_total` first.

        Raises:
            UsageError: The parts exceed their total; the message has both numbers.
        """
        parts_in = {
            "cache_read": cache_read,
            "cache_write_5m": cache_write_5m,
            "cache_write_1h": cache_write_1h,
            "audio_in": audio_in,
            "image_in": image_in,
        }
        parts_out = {"reasoning": reasoning, "audio_out": audio_out}
        return cls(
            input=_rest("input_total", input_total, parts_in),
            output=_rest("output_total", output_total, parts_out),
            **parts_in,
            **parts_out,
            source=source,
        )

    @classmethod
    def from_dict(cls, buckets: Mapping[str, int], *, source: Source = "reported") -> "Usage":
        """Read what `as_dict` wrote; missing buckets are zero.

        Raises:
            UsageError: An unknown bucket, or a count that cannot be.
        """
        unknown = sorted(set(buckets) - set(BUCKETS))
        if unknown:
            raise UsageError(f"unknown buckets {unknown}; the buckets are {', '.join(BUCKETS)}")
        return cls(**buckets, source=source)

    @property
    def input_total(self) -> int:
        """Every token that went in: what context windows and context tiers count."""
        cached = self.cache_read + self.cache_write_5m + self.cache_write_1h
        return self.input + cached + self.audio_in + self.image_in

    @property
    def output_total(self) -> int:
        """Every token that came out, hidden reasoning included."""
        return self.output + self.reasoning + self.audio_out

    @property
    def total(self) -> int:
        """Every token, in and out."""
        return self.input_total + self.output_total

    def as_dict(self) -> dict[str, int]:
        """Return the buckets that are not zero; the source is kept beside them by the caller."""
        return {bucket: count for bucket in BUCKETS if (count := getattr(self, bucket)) != 0}

    def __add__(self, other: "Usage") -> "Usage":
        """Sum bucket by bucket; the sum is reported only if both were."""
        sums = {bucket: getattr(self, bucket) + getattr(other, bucket) for bucket in BUCKETS}
        both = self.source == other.source == "reported"
        return Usage(**sums, source="reported" if both else "estimated")


def _check(name: str, count: object) -> None:
    # `type is` because a bool is an int and JSON's true must not count as one token
    if type(count) is not int or not 0 <= count <= TOKENS_MAX:
        raise UsageError(f"{name} must be an integer from 0 to {TOKENS_MAX}, not {count!r}")


def _rest(name: str, total: int, parts: Mapping[str, int]) -> int:
    """Return what of a total its parts leave over.

    A negative rest is never clamped: it means a provider's counts were read the wrong way round,
    and every bill after it would be wrong.
    """
    _check(name, total)
    for part, count in parts.items():
        _check(part, count)
    named = sum(parts.values())
    if named > total:
        listed = ", ".join(f"{part} {count}" for part, count in parts.items() if count)
        raise UsageError(f"{name} is {total}, but its parts add up to {named} ({listed})")
    return total - named
