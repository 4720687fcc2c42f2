"""An answer in the format of OpenAI's Responses API: whole, or as server-sent events.

Source: OpenAI's API reference, "The response object" and "Streaming events". A stream has no `[DONE]`: its last event
is `response.completed`, or `response.incomplete` where the limit was reached.
"""

from collections.abc import Iterator, Mapping
from secrets import token_hex
from typing import Any, Final

import orjson

from simulator.answers import Answer, Delta, pieces_of_call
from simulator.call import Order
from simulator.connection import Headers
from simulator.frames import Frame

_ECHOED: Final[Mapping[str, Any]] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response says of its request, with OpenAI's defaults."""

SUMMARY: Final = "**Thinking it over**\n\nThe question was weighed, and the shorter answer preferred."
"""What it says of its reasoning, if it is asked to."""

Item = dict[str, Any]
_Step = tuple[dict[str, Any], int]  # an event's fields, and the tokens that it hands over


def response(order: Order, created: int, answer: Answer, fields: Mapping[str, Any], items: list[Item]) -> Item:
    """Return a whole answer.

    Args:
        order: Whose answer.
        created: Unix seconds.
        answer: What it says.
        fields: The request.
        items: Its output, from `output`.
    """
    finished = _unfinished(order, created, fields) | {"status": _status(answer), "output": items}
    if answer.finish == "length":
        finished["incomplete_details"] = {"reason": "max_output_tokens"}
    else:
        finished["completed_at"] = created
    return finished | {"usage": order.responses_usage()}


def _unfinished(order: Order, created: int, fields: Mapping[str, Any]) -> Item:
    echoed = {name: usual if fields.get(name) is None else fields[name] for name, usual in _ECHOED.items()}
    reasoning = fields.get("reasoning") or {}
    return {
        "id": order.call_id, "object": "response", "created_at": created, "status": "in_progress", "error": None,
        "incomplete_details": None, "model": order.model.name, "output": [], "usage": None, "service_tier": "default",
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
    } | echoed  # fmt: skip


def _status(answer: Answer) -> str:
    return "incomplete" if answer.finish == "length" else "completed"


def output(answer: Answer, *, summary: bool) -> list[Item]:
    """Return what an answer consists of, item by item, each with an id of its own."""
    items: list[Item] = []
    if answer.reasoning:
        told = [{"type": "summary_text", "text": SUMMARY}] if summary else []
        items.append({"id": f"rs_{token_hex(16)}", "type": "reasoning", "summary": told})
    return items + [_item(deltas, _status(answer)) for deltas in answer.groups()]


def _item(deltas: list[Delta], status: str) -> Item:
    if "content" in deltas[0]:
        text = "".join(delta["content"] for delta in deltas)
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        identity = f"msg_{token_hex(16)}"
        return {"id": identity, "type": "message", "status": status, "role": "assistant", "content": [part]}
    call = deltas[0]["tool_calls"][0]
    return {
        "id": f"fc_{token_hex(16)}", "type": "function_call", "status": status, "call_id": call["id"],
        "name": call["function"]["name"], "arguments": "".join(pieces_of_call(deltas)),
    }  # fmt: skip


class ResponseStream:
    """The events of one answer, numbered from 0.

    Args:
        order: Whose answer.
        answer: What it says.
        fields: The request.
        whole: The response when it is finished.
        headers: Of the HTTP response.
    """

    def __init__(self, order: Order, answer: Answer, fields: Mapping[str, Any], whole: Item, headers: Headers) -> None:
        self._order, self._answer, self._fields, self._whole = order, answer, fields, whole
        self._number = 0
        self.headers = headers

    @property
    def garbage(self) -> bytes:
        """An event whose data is not JSON."""
        return b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","del\n\n'

    @property
    def error(self) -> bytes:
        """An error in the middle of a stream."""
        message = "The server had an error while processing your request."
        return self._event("error", code="server_error", message=message, param=None)

    def content(self) -> Iterator[Frame]:
        """Yield the response's start, and its items one after the other: a delta is a token."""
        for event, tokens in self._script():
            yield Frame(self._event(**event), tokens)
            # Only now it was sent: an error in its place has its number.
            self._number += 1

    def _script(self) -> Iterator[_Step]:
        begun = _unfinished(self._order, self._whole["created_at"], self._fields)
        yield {"kind": "response.created", "response": begun}, 0
        yield {"kind": "response.in_progress", "response": begun}, 0
        items = enumerate(self._whole["output"])
        if self._answer.reasoning:
            yield from self._thought(*next(items))
        for (index, item), deltas in zip(items, self._answer.groups(), strict=True):
            yield from self._said(index, item, deltas) if "content" in item else self._called(index, item, deltas)

    def ending(self, *, usage: bool, done: bool) -> Iterator[bytes]:
        """Yield the whole response: there is no other end."""
        whole = self._whole if usage else self._whole | {"usage": None}
        if done:
            yield self._event(f"response.{whole['status']}", response=whole)

    def _thought(self, index: int, item: Item) -> Iterator[_Step]:
        opened = item | {"summary": []}
        yield {"kind": "response.output_item.added", "output_index": index, "item": opened}, self._answer.reasoning
        for number, part in enumerate(item["summary"]):
            at = {"item_id": item["id"], "output_index": index, "summary_index": number}
            empty = part | {"text": ""}
            yield {"kind": "response.reasoning_summary_part.added", **at, "part": empty}, 0
            yield {"kind": "response.reasoning_summary_text.delta", **at, "delta": part["text"]}, 0
            yield {"kind": "response.reasoning_summary_text.done", **at, "text": part["text"]}, 0
            yield {"kind": "response.reasoning_summary_part.done", **at, "part": part}, 0
        yield {"kind": "response.output_item.done", "output_index": index, "item": item}, 0

    def _said(self, index: int, item: Item, deltas: list[Delta]) -> Iterator[_Step]:
        opened = item | {"status": "in_progress", "content": []}
        yield {"kind": "response.output_item.added", "output_index": index, "item": opened}, 0
        (part,) = item["content"]
        at = {"item_id": item["id"], "output_index": index, "content_index": 0}
        yield {"kind": "response.content_part.added", **at, "part": part | {"text": ""}}, 0
        for delta in deltas:
            yield {"kind": "response.output_text.delta", **at, "delta": delta["content"], "logprobs": []}, 1
        yield {"kind": "response.output_text.done", **at, "text": part["text"], "logprobs": []}, 0
        yield {"kind": "response.content_part.done", **at, "part": part}, 0
        yield {"kind": "response.output_item.done", "output_index": index, "item": item}, 0

    def _called(self, index: int, item: Item, deltas: list[Delta]) -> Iterator[_Step]:
        opened = item | {"status": "in_progress", "arguments": ""}
        yield {"kind": "response.output_item.added", "output_index": index, "item": opened}, 1
        at = {"item_id": item["id"], "output_index": index}
        for piece in pieces_of_call(deltas):
            yield {"kind": "response.function_call_arguments.delta", **at, "delta": piece}, 1
        yield {"kind": "response.function_call_arguments.done", **at, "arguments": item["arguments"]}, 0
        yield {"kind": "response.output_item.done", "output_index": index, "item": item}, 0

    def _event(self, kind: str, **fields: Any) -> bytes:
        told = {"type": kind, "sequence_number": self._number, **fields}
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(told))
