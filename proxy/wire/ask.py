"""What a request is to everything behind the wire, whatever API it was written in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

BYTES_PER_TOKEN: Final = 4
"""English prose under cl100k is 4.2 bytes a token; code and other scripts are less. For capability, never money."""
TOKENS_PER_MEDIA_PART: Final = 800
"""An image of a megapixel is 765 tokens at OpenAI's high detail; a minute of audio about 600."""


class Ask(Protocol):
    """A request that was read: the few fields that limits, routes, prices and judgements need; the rest by value."""

    @property
    def surface(self) -> str:
        """The API it was written in: a name in `proxy.wire.surfaces.SURFACES`."""
        ...

    @property
    def fields(self) -> Mapping[str, Any]:
        """The whole object as it was sent; never changed in place."""
        ...

    @property
    def body_bytes(self) -> int:
        """The size of its body: no tokenizer makes more tokens of it."""
        ...

    @property
    def model(self) -> str:
        """What was asked for by name."""
        ...

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation as a judge reads it: roles, and content as texts or parts."""
        ...

    @property
    def stream(self) -> bool:
        """Whether the answer is streamed."""
        ...

    @property
    def include_usage(self) -> bool:
        """Whether a stream tells its caller what was used."""
        ...

    @property
    def output_max(self) -> int | None:
        """The most tokens of each answer; None when the caller did not say."""
        ...

    @property
    def choices(self) -> int:
        """How many answers are made."""
        ...

    @property
    def prompts(self) -> int:
        """How many prompts it holds, each within a window of its own."""
        ...

    @property
    def tools(self) -> int:
        """How many tools are on offer."""
        ...

    @property
    def wants_schema(self) -> bool:
        """Whether the answer must be JSON."""
        ...

    @property
    def has_images(self) -> bool:
        """Whether it shows images."""
        ...

    @property
    def has_audio(self) -> bool:
        """Whether it holds audio."""
        ...

    @property
    def images(self) -> int:
        """How many images."""
        ...

    @property
    def media_parts(self) -> int:
        """How many parts are no text."""
        ...

    @property
    def media_bytes(self) -> int:
        """What they weigh in the body: their tokens do not follow their size."""
        ...

    def body_for(self, model: str) -> bytes:
        """Serialise what was judged, for a provider that speaks the same API and calls the model so."""
        ...


def input_estimate(ask: Ask) -> int:
    """Return about how many tokens the input is. An estimate: bills come from the provider's own count."""
    return (ask.body_bytes - ask.media_bytes) // BYTES_PER_TOKEN + ask.media_parts * TOKENS_PER_MEDIA_PART + 1
