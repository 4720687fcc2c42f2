"""A chat answer in its other form: the events of a stream as one completion, a completion as the events of a stream.

Exact, or not at all: where events say what this file does not know, there is no completion of them. Meaning of the
fields: OpenAI's API reference, "The chat completion object" and "The chat completion chunk object".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from proxy.wire import lenient, sse

_HEAD: Final = ("id", "created", "model", "system_fingerprint", "service_tier")
_IGNORED: Final = frozenset({"obfuscation"})
"""Random bytes that hide the length of a text from who watches the network; they say nothing."""
_TEXTS: Final = ("content", "refusal", "reasoning_content")
_PIECES: Final = re.compile(r"\s*\S{1,24}|\s+")
"""About a word, as models stream; a long one in parts."""


class _Unknown(Exception):
    """An event says what is not known here."""


def completion(stream: bytes, usage: Mapping[str, Any]) -> bytes | None:
    """Return the answer that a whole stream of one choice gave; None where it cannot be told exactly.

    `usage` is what it used, as chat reports it, for a stream whose caller did not ask for it.
    """
    try:
        return _completion(stream, usage)
    except (_Unknown, LookupError, TypeError, AttributeError, ValueError):
        return None


def _completion(stream: bytes, used: Mapping[str, Any]) -> bytes | None:
    head: dict[str, Any] = {}
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    calls: list[dict[str, Any]] = []
    logprobs: dict[str, list[Any]] = {}
    finish, usage = None, used
    for event in sse.events(stream):
        data = sse.payload(event)
        if data is None or data.strip() == sse.DONE:
            continue
        chunk = orjson.loads(data)
        _only(chunk, {*_HEAD, "object", "choices", "usage"})
        head |= {name: chunk[name] for name in _HEAD if chunk.get(name) is not None}
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            _only(choice, {"index", "delta", "logprobs", "finish_reason"})
            if choice["index"] != 0:
                raise _Unknown
            _add(message, calls, choice["delta"])
            for name, more in (choice.get("logprobs") or {}).items():
                logprobs[name] = logprobs.get(name, []) + (more or [])
            finish = choice.get("finish_reason") or finish
    if finish is None:
        return None
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "logprobs": logprobs or None, "finish_reason": finish}
    told = {"id": head.pop("id"), "object": "chat.completion", **head, "choices": [choice], "usage": usage}
    return lenient.dumps(told)


def _add(message: dict[str, Any], calls: list[dict[str, Any]], delta: Mapping[str, Any]) -> None:
    _only(delta, {"role", *_TEXTS, "tool_calls"})
    for name in _TEXTS:
        if delta.get(name) is not None:
            message[name] = (message.get(name) or "") + delta[name]
    for call in delta.get("tool_calls") or ():
        _only(call, {"index", "id", "type", "function"})
        if call["index"] == len(calls):
            calls.append({"id": call["id"], "type": call["type"], "function": {"name": "", "arguments": ""}})
        function = calls[call["index"]]["function"]
        for name, more in call["function"].items():
            function[name] += more


def _only(found: Mapping[str, Any], known: set[str]) -> None:
    if not known.union(_IGNORED).issuperset(found):
        raise _Unknown


def events(body: bytes, *, include_usage: bool) -> list[bytes] | None:
    """Return a completion of one choice as the events of a stream, without its end; None where it says more."""
    try:
        return list(_events(orjson.loads(body), include_usage=include_usage))
    except (_Unknown, LookupError, TypeError, AttributeError, ValueError):
        return None


def _events(told: Mapping[str, Any], *, include_usage: bool) -> Iterator[bytes]:
    _only(told, {*_HEAD, "object", "choices", "usage"})
    (choice,) = told["choices"]
    _only(choice, {"index", "message", "logprobs", "finish_reason"})
    message = choice["message"]
    if choice.get("logprobs") is not None or message.get("annotations"):
        raise _Unknown
    _only(message, {"role", *_TEXTS, "tool_calls", "annotations"})
    head = {"id": told["id"], "object": "chat.completion.chunk"}
    head |= {name: told[name] for name in _HEAD[1:] if name in told}

    def event(delta: Mapping[str, Any] | None, finish: str | None = None, usage: Any = None) -> bytes:
        choices = [] if delta is None else [
            {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        ]  # fmt: skip
        return sse.event(lenient.dumps({**head, "choices": choices, **({"usage": usage} if include_usage else {})}))

    yield event({"role": "assistant", "content": "", "refusal": None})
    for name in ("reasoning_content", "content", "refusal"):
        for piece in _PIECES.findall(message.get(name) or ""):
            yield event({name: piece})
    for index, call in enumerate(message.get("tool_calls") or ()):
        _only(call, {"id", "type", "function"})
        opened = {"name": call["function"]["name"], "arguments": ""}
        yield event({"tool_calls": [{"index": index, "id": call["id"], "type": call["type"], "function": opened}]})
        for piece in _PIECES.findall(call["function"]["arguments"]):
            yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield event({}, choice["finish_reason"])
    if include_usage:
        yield event(None, usage=told["usage"])
