"""Pieces of an answer → a response of the Responses API, or the events of one.

Source: OpenAI's API reference, "The response object" and "Streaming events", checked against the types of its Python
SDK. Thinking that a provider shows is a reasoning item's summary. A plain answer is what the events add up to, so both
come from one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from margin.usage import Usage
from proxy.wire import lenient
from proxy.wire.errors import ProxyError
from proxy.wire.neutral import Argued, Called, Ended, Piece, Said, Started, Thought, Used

_ECHOED: Final[Mapping[str, Any]] = {
    "instructions": None, "max_output_tokens": None, "max_tool_calls": None, "metadata": {},
    "parallel_tool_calls": True, "previous_response_id": None, "prompt_cache_key": None, "safety_identifier": None,
    "store": True, "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
    "top_p": 1.0, "truncation": "disabled", "user": None,
}  # fmt: skip
"""What a response repeats of its request, with OpenAI's defaults."""

Item = dict[str, Any]


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return usage in Responses' words: what was cached is inside the input, what was thought inside the output."""
    return {
        "input_tokens": usage.input_total,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "output_tokens": usage.output_total,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def error_event(code: str | None, message: str, param: str | None, number: int) -> bytes:
    """Return the event that says that a stream ends before its time; it has the next event's number."""
    told = {"type": "error", "sequence_number": number, "code": code, "message": message, "param": param}
    return b"event: error\ndata: %b\n\n" % lenient.dumps(told)


def response(pieces: Iterable[Piece], fields: Mapping[str, Any], identity: str, at_s: int) -> bytes:
    """Return a whole answer.

    Args:
        pieces: What it consists of.
        fields: The request.
        identity: The response's id.
        at_s: When it was made, in unix seconds.
    """
    events = Events(fields, identity, at_s)
    for piece in pieces:
        events.write(piece)
    return lenient.dumps(events.whole())


class Events:
    """Writes pieces as the events of one streamed response, numbered from 0.

    Args:
        fields: The request.
        identity: The response's id; its items' ids are made of it.
        at_s: When it was made, in unix seconds.

    Attributes:
        number: The next event's.
        items: The output so far.
    """

    __slots__ = (
        "_at_s",
        "_calls",
        "_echo",
        "_identity",
        "_model",
        "_open",
        "_reason",
        "_said",
        "_usage",
        "items",
        "number",
    )

    def __init__(self, fields: Mapping[str, Any], identity: str, at_s: int) -> None:
        self._identity, self._at_s, self._model = identity, at_s, str(fields.get("model"))
        self._echo = {name: usual if fields.get(name) is None else fields[name] for name, usual in _ECHOED.items()}
        reasoning = fields.get("reasoning") or {}
        self._echo["reasoning"] = {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")}
        self.items: list[Item] = []
        self.number = 0
        self._open: int | None = None
        """The text or reasoning that goes on."""
        self._said: dict[int, list[str]] = {}
        """What each item that goes on has said so far: joined once, when it ends."""
        self._calls: list[int] = []
        """Which item each call is."""
        self._reason = "said"
        self._usage: Usage | None = None

    def write(self, piece: Piece) -> bytes:
        """Return the events that a piece makes. What ends the whole is `end`'s to say."""
        match piece:
            case Started(_, model):
                self._model = model or self._model
                begun = self._whole("in_progress", None)
                return self._event("response.created", response=begun) + self._event(
                    "response.in_progress", response=begun
                )
            case Said(text):
                return self._grown("message", text)
            case Thought(text):
                return self._grown("reasoning", text)
            case Called(_, identity, name):
                return self._shut() + self._called(identity, name)
            case Argued(index, text):
                return self._argued(self._calls[index], text)
            case Ended(reason):
                self._reason = reason
                return self._shut() + b"".join(self._call_done(at) for at in self._calls)
            case Used(usage):
                self._usage = usage
                return b""

    def fault(self, error: ProxyError) -> bytes:
        """Return the event that says that the response ends before its time."""
        return error_event(error.code, error.message, error.param, self.number)

    def end(self) -> bytes:
        """Return the last event: the whole response."""
        whole = self.whole()
        return self._event(f"response.{whole['status']}", response=whole)

    def whole(self) -> Item:
        """Return the response as it is at its end."""
        found = self._whole(self._status, None if self._usage is None else usage_of(self._usage))
        if self._usage is not None and self._usage.service_tier is not None:
            found["service_tier"] = self._usage.service_tier
        if self._status == "incomplete":
            reason = "max_output_tokens" if self._reason == "limit" else "content_filter"
            found["incomplete_details"] = {"reason": reason}
        return found

    @property
    def _status(self) -> str:
        return "incomplete" if self._reason in {"limit", "refused"} else "completed"

    def _whole(self, status: str, usage: dict[str, Any] | None) -> Item:
        return {
            "id": self._identity, "object": "response", "created_at": self._at_s, "status": status, "error": None,
            "incomplete_details": None, "model": self._model, "output": list(self.items), "usage": usage,
            "background": False, "service_tier": "default", **self._echo,
        }  # fmt: skip

    # ---- text and reasoning ----------------------------------------------------------------------------------------

    def _grown(self, kind: str, text: str) -> bytes:
        """Add words to the item that is open, or to a new one."""
        before = b""
        if self._open is None or self.items[self._open]["type"] != kind:
            before = self._shut() + self._opened(kind)
        assert self._open is not None
        self._said[self._open].append(text)
        return before + self._delta(self._open, text)

    def _opened(self, kind: str) -> bytes:
        at = self._open = len(self.items)
        self._said[at] = []
        identity = self._name("msg" if kind == "message" else "rs")
        if kind == "message":
            item: Item = {"id": identity, "type": kind, "status": "in_progress", "role": "assistant", "content": []}
            part: Item = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            where, added = {"content_index": 0}, "response.content_part.added"
        else:
            item, part = {"id": identity, "type": kind, "summary": []}, {"type": "summary_text", "text": ""}
            where, added = {"summary_index": 0}, "response.reasoning_summary_part.added"
        opening = self._event("response.output_item.added", output_index=at, item=item)
        opening += self._event(added, item_id=identity, output_index=at, **where, part=part)
        self.items.append({**item, "content" if kind == "message" else "summary": [dict(part)]})
        return opening

    def _delta(self, at: int, text: str) -> bytes:
        item = self.items[at]
        if item["type"] == "message":
            return self._event("response.output_text.delta", item_id=item["id"], output_index=at, content_index=0,
                               delta=text, logprobs=[])  # fmt: skip
        return self._event("response.reasoning_summary_text.delta", item_id=item["id"], output_index=at,
                           summary_index=0, delta=text)  # fmt: skip

    def _shut(self) -> bytes:
        """Close the text or reasoning that is open."""
        if self._open is None:
            return b""
        at, item = self._open, self.items[self._open]
        self._open = None
        part, identity = _part(item), item["id"]
        part["text"] = "".join(self._said.pop(at))
        if item["type"] == "message":
            item["status"] = self._status
            found = self._event("response.output_text.done", item_id=identity, output_index=at, content_index=0,
                                text=part["text"], logprobs=[])  # fmt: skip
            found += self._event("response.content_part.done", item_id=identity, output_index=at, content_index=0,
                                 part=part)  # fmt: skip
        else:
            found = self._event("response.reasoning_summary_text.done", item_id=identity, output_index=at,
                                summary_index=0, text=part["text"])  # fmt: skip
            found += self._event("response.reasoning_summary_part.done", item_id=identity, output_index=at,
                                 summary_index=0, part=part)  # fmt: skip
        return found + self._event("response.output_item.done", output_index=at, item=item)

    # ---- calls -----------------------------------------------------------------------------------------------------

    def _called(self, call_id: str, name: str) -> bytes:
        at = len(self.items)
        self._calls.append(at)
        self._said[at] = []
        item = {"id": self._name("fc"), "type": "function_call", "status": "in_progress", "call_id": call_id,
                "name": name, "arguments": ""}  # fmt: skip
        self.items.append(item)
        return self._event("response.output_item.added", output_index=at, item=item)

    def _argued(self, at: int, text: str) -> bytes:
        item = self.items[at]
        self._said[at].append(text)
        return self._event("response.function_call_arguments.delta", item_id=item["id"], output_index=at, delta=text)

    def _call_done(self, at: int) -> bytes:
        """Close a call: only at the end, as providers may still add to the first when the second has begun."""
        item = self.items[at]
        item["status"], item["arguments"] = self._status, "".join(self._said.pop(at))
        found = self._event("response.function_call_arguments.done", item_id=item["id"], output_index=at,
                            name=item["name"], arguments=item["arguments"])  # fmt: skip
        return found + self._event("response.output_item.done", output_index=at, item=item)

    def _name(self, prefix: str) -> str:
        return f"{prefix}_{self._identity.removeprefix('resp_')}{len(self.items):02d}"

    def _event(self, kind: str, **fields: Any) -> bytes:
        told = {"type": kind, "sequence_number": self.number, **fields}
        self.number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), lenient.dumps(told))


def _part(item: Item) -> Item:
    found: list[Item] = item["content"] if item["type"] == "message" else item["summary"]
    return found[0]
