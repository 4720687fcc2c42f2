"""An answer in the format of Google's Gemini API: whole, or as server-sent events, each a response of its own.

Source: Google's API reference, "Generating content".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from simulator.answers import Answer, Delta, arguments_of, pieces_of_call
from simulator.call import Order
from simulator.connection import Headers
from simulator.frames import Frame

_FINISHES: Final = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}
SIGNATURE_START: Final = "c2ltdWxhdGVk+/"
"""What signatures of the simulator begin with: as real ones they are base64, which uses these two letters."""

GARBAGE: Final = b'data: {"candidates": [{"content": {"parts": [{"te\r\n\r\n'
"""An event whose data is not JSON."""

ERROR: Final = (
    b'data: {"error": {"code": 503,"message": "The model is overloaded. Please try again later.",'
    b'"status": "UNAVAILABLE"}}\r\n\r\n'
)
"""An error in the middle of a stream."""


def whole(order: Order, answer: Answer, *, usage: bool) -> bytes:
    """Return a whole answer."""
    parts = [part for deltas in answer.groups() for part in _joined(order, deltas)]
    told = _response(order, _signed(order, parts), _FINISHES[answer.finish])
    if usage:
        told["usageMetadata"] = order.gemini_usage(order.output_tokens)
    return orjson.dumps(told)


def _response(order: Order, parts: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}} if parts else {}
    candidate |= {"index": 0} if finish is None else {"finishReason": finish, "index": 0}
    return {"candidates": [candidate], "modelVersion": order.model.name, "responseId": order.call_id}


def _joined(order: Order, deltas: list[Delta]) -> Iterator[dict[str, Any]]:
    """Yield what a group of deltas is: the text, or a call, of which the API never gives a piece."""
    if "content" in deltas[0]:
        yield {"text": "".join(delta["content"] for delta in deltas)}
        return
    function = deltas[0]["tool_calls"][0]["function"]
    call: dict[str, Any] = {"name": function["name"], "args": arguments_of("".join(pieces_of_call(deltas)))}
    if order.model.signs:
        call["id"] = deltas[0]["tool_calls"][0]["id"].removeprefix("call_")
    yield {"functionCall": call}


def _signed(order: Order, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts with the first call signed, if the model does that."""
    first = next((number for number, part in enumerate(parts) if "functionCall" in part), None)
    if first is None or not order.model.signs:
        return parts
    signature = {"thoughtSignature": f"{SIGNATURE_START}{order.call_id.replace('-', '+').replace('_', '/')}=="}
    return [*parts[:first], parts[first] | signature, *parts[first + 1 :]]


@dataclass(frozen=True, slots=True)
class GeminiStream:
    """The events of one answer.

    Args:
        order: Whose answer.
        answer: What it says.
        usage: Whether each event tells the usage up to it.
        headers: Of the response.
        garbage: An event whose data is not JSON.
        error: An error in the middle of a stream.
    """

    order: Order
    answer: Answer
    usage: bool
    headers: Headers = ()
    garbage: bytes = GARBAGE
    error: bytes = ERROR

    def content(self) -> Iterator[Frame]:
        """Yield the text a token at a time, and each call in one piece; the thinking comes with the first."""
        produced, thought, called = 0, self.answer.reasoning, False
        for parts, own in self._pieces():
            told = parts if called else _signed(self.order, parts)
            called = called or told is not parts
            tokens, thought = own + thought, 0
            produced += tokens
            yield Frame(self._event(told, None, produced if self.usage else None), tokens)

    def _pieces(self) -> Iterator[tuple[list[dict[str, Any]], int]]:
        for deltas in self.answer.groups():
            if "content" in deltas[0]:
                yield from (([{"text": delta["content"]}], 1) for delta in deltas)
            else:
                yield list(_joined(self.order, deltas)), len(deltas)

    def ending(self, *, usage: bool, done: bool) -> Iterator[bytes]:
        """Yield why it ends, with the usage; there is no other end."""
        finish = _FINISHES[self.answer.finish] if done else None
        yield self._event([{"text": ""}], finish, self.order.output_tokens if usage else None)

    def _event(self, parts: list[dict[str, Any]], finish: str | None, produced: int | None) -> bytes:
        told = _response(self.order, parts, finish)
        if produced is not None:
            told["usageMetadata"] = self.order.gemini_usage(produced)
        return b"data: %b\r\n\r\n" % orjson.dumps(told)
