"""An answer in the format of Anthropic's Messages API: whole, or as server-sent events.

Source: Anthropic's API reference, "Streaming messages".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from simulator.answers import Answer, Delta, arguments_of, pieces_of_call
from simulator.call import Order
from simulator.connection import Headers
from simulator.frames import Frame

_STOPS: Final = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}
_SIGNATURE: Final = "c2ltdWxhdGVk"


def _event(name: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **fields}))


GARBAGE: Final = b'event: content_block_delta\ndata: {"type":"content_block_delta","ind\n\n'
"""An event whose data is not JSON."""

ERROR: Final = _event("error", error={"type": "overloaded_error", "message": "Overloaded"})
"""An error in the middle of a stream."""


def message(order: Order, answer: Answer, *, usage: bool) -> bytes:
    """Return a whole answer."""
    told = _message(order, list(_blocks(answer)), _STOPS[answer.finish])
    if usage:
        told["usage"] = order.anthropic_usage(order.output_tokens)
    return orjson.dumps(told)


def _message(order: Order, content: list[dict[str, Any]], stop: str | None) -> dict[str, Any]:
    return {
        "id": order.call_id, "type": "message", "role": "assistant", "model": order.model.name,
        "content": content, "stop_reason": stop, "stop_sequence": None,
    }  # fmt: skip


def _blocks(answer: Answer) -> Iterator[dict[str, Any]]:
    if answer.reasoning:
        yield {"type": "thinking", "thinking": "", "signature": _SIGNATURE}
    if not answer.deltas:
        return
    told = answer.message()
    if told["content"] is not None:
        yield {"type": "text", "text": told["content"]}
    for call in told.get("tool_calls", ()):
        yield _tool_use(call) | {"input": arguments_of(call["function"]["arguments"])}


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    identity = call["id"].replace("call_", "toolu_", 1)
    return {"type": "tool_use", "id": identity, "name": call["function"]["name"], "input": {}}


@dataclass(frozen=True, slots=True)
class MessageStream:
    """The events of one answer.

    Args:
        order: Whose answer.
        answer: What it says.
        usage: Whether its start tells the usage of the prompt.
        headers: Of the response.
        garbage: An event whose data is not JSON.
        error: An error in the middle of a stream.
    """

    order: Order
    answer: Answer
    usage: bool
    headers: Headers
    garbage: bytes = GARBAGE
    error: bytes = ERROR

    def content(self) -> Iterator[Frame]:
        """Yield the message's start, and its blocks one after the other: a delta is a token."""
        begun = _message(self.order, [], None)
        if self.usage:
            begun["usage"] = self.order.anthropic_usage(min(1, self.order.output_tokens))
        yield Frame(_event("message_start", message=begun), 0)
        yield Frame(_event("ping"), 0)
        yield from self._thought()
        first = 1 if self.answer.reasoning else 0
        for index, deltas in enumerate(self.answer.groups(), start=first):
            yield from _block(index, deltas)

    def _thought(self) -> Iterator[Frame]:
        """Yield the block of thinking: its text is not told, its signature is."""
        if self.answer.reasoning:
            block = {"type": "thinking", "thinking": "", "signature": ""}
            yield Frame(_event("content_block_start", index=0, content_block=block), self.answer.reasoning)
            signed = {"type": "signature_delta", "signature": _SIGNATURE}
            yield Frame(_event("content_block_delta", index=0, delta=signed), 0)
            yield Frame(_event("content_block_stop", index=0), 0)

    def ending(self, *, usage: bool, done: bool) -> Iterator[bytes]:
        """Yield why it ends, with the usage, and that it does."""
        delta = {"stop_reason": _STOPS[self.answer.finish], "stop_sequence": None}
        told = {"usage": _cumulative(self.order.anthropic_usage(self.order.output_tokens))} if usage else {}
        yield _event("message_delta", delta=delta, **told)
        if done:
            yield _event("message_stop")


def _cumulative(usage: dict[str, Any]) -> dict[str, Any]:
    """Return usage as a stream's end has it: totals, without what only its start says."""
    return {name: count for name, count in usage.items() if name not in {"cache_creation", "service_tier"}}


def _block(index: int, deltas: list[Delta]) -> Iterator[Frame]:
    if "content" in deltas[0]:
        opening, opened = {"type": "text", "text": ""}, 0
        said = [{"type": "text_delta", "text": delta["content"]} for delta in deltas]
    else:
        opening, opened = _tool_use(deltas[0]["tool_calls"][0]), 1
        said = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces_of_call(deltas)]
    yield Frame(_event("content_block_start", index=index, content_block=opening), opened)
    for delta in said:
        yield Frame(_event("content_block_delta", index=index, delta=delta), 1)
    yield Frame(_event("content_block_stop", index=index), 0)
