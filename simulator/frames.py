"""Server-sent events of a streamed chat answer, as bytes (OpenAI's chat.completion.chunk)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final, Protocol

import orjson

from simulator.answers import Answer
from simulator.call import Order
from simulator.connection import Headers

DONE: Final = b"data: [DONE]\n\n"
"""The end of a stream."""

GARBAGE: Final = b'data: {"id":"chatcmpl-garbage","choices":[{"ind\n\n'
"""An event whose data is not JSON."""

ERROR: Final = (
    b'data: {"error":{"message":"The server had an error while processing your request.",'
    b'"type":"server_error","param":null,"code":null}}\n\n'
)
"""An error in the middle of a stream."""

FINGERPRINT: Final = "fp_51e0c1a7"
"""`system_fingerprint`: the simulated backend never changes."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An event and the output tokens that it hands over."""

    event: bytes
    tokens: int


class EventStream(Protocol):
    """The events of one answer, in one API's format."""

    @property
    def garbage(self) -> bytes:
        """An event whose data is not JSON."""

    @property
    def error(self) -> bytes:
        """An error in the middle of a stream."""

    @property
    def headers(self) -> Headers:
        """The headers of the answer, but for its content type."""

    def content(self) -> Iterator[Frame]:
        """Yield what is paced and can be cut off: the answer's tokens and what is around them."""

    def ending(self, *, usage: bool, done: bool) -> Iterator[bytes]:
        """Yield what follows the content.

        Args:
            usage: Whether to tell the usage if it was asked for.
            done: Whether to say that this is the end.
        """


@dataclass(frozen=True, slots=True)
class Stream:
    """The events of one answer of the chat API.

    Args:
        order: Whose answer.
        created: Unix seconds.
        answers: Its choices.
        include_usage: Whether the client asked for the usage.
    """

    order: Order
    created: int
    answers: Sequence[Answer]
    include_usage: bool
    headers: Headers
    garbage: bytes = GARBAGE
    error: bytes = ERROR

    def content(self) -> Iterator[Frame]:
        """Yield the roles, then the choices' deltas side by side, a token each."""
        for index, answer in enumerate(self.answers):
            yield Frame(self._chunk(index, answer.role, None), answer.reasoning)
        for step in zip_longest(*(answer.deltas for answer in self.answers)):
            for index, delta in enumerate(step):
                if delta is not None:
                    yield Frame(self._chunk(index, delta, None), 1)

    def ending(self, *, usage: bool, done: bool) -> Iterator[bytes]:
        """Yield what follows the content.

        Args:
            usage: Whether to tell the usage if it was asked for.
            done: Whether to say that this is the end.
        """
        for index, answer in enumerate(self.answers):
            yield self._chunk(index, {}, answer.finish)
        if self.include_usage and usage:
            yield self._event([], self.order.openai_usage())
        if done:
            yield DONE

    def _chunk(self, index: int, delta: dict[str, Any], finish: str | None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._event([choice], None)

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        chunk = {
            "id": self.order.call_id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.order.model.name,
            "service_tier": self.order.service_tier,
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        }
        if self.include_usage:
            chunk["usage"] = usage
        return b"data: %b\n\n" % orjson.dumps(chunk)
