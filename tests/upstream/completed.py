"""What the chunks of a translated stream come to, for the tests of every dialect that is translated."""

from __future__ import annotations

import itertools
from typing import Any

import orjson

from proxy.upstream.dialects.translated import TranslatedStream
from proxy.wire import sse


def chunks(data: bytes) -> list[dict[str, Any]]:
    """The chunks in what the caller got."""
    return [orjson.loads(sse.payload(event) or b"") for event in sse.split(data)]


def added_up(found: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client makes of chunks: a message, a finish reason, the usage."""
    text, thought, calls, finish, usage = "", "", {}, None, None
    for chunk in found:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            delta, finish = choice["delta"], choice["finish_reason"] or finish
            text += delta.get("content") or ""
            thought += delta.get("reasoning_content") or ""
            for part in delta.get("tool_calls", ()):
                call = calls.setdefault(part["index"], {"id": part.get("id"), "name": "", "arguments": ""})
                call["name"] += part["function"].get("name", "")
                call["arguments"] += part["function"]["arguments"]
    return {"text": text, "thought": thought, "calls": list(calls.values()), "finish": finish, "usage": usage}


def told(completion: dict[str, Any]) -> dict[str, Any]:
    """The same of a whole completion."""
    (choice,) = completion["choices"]
    answer = choice["message"]
    calls = [{"id": call["id"], **call["function"]} for call in answer.get("tool_calls", ())]
    return {
        "text": answer["content"] or "", "thought": answer.get("reasoning_content", ""), "calls": calls,
        "finish": choice["finish_reason"], "usage": completion.get("usage"),
    }  # fmt: skip


def fed_in_pieces(reader: TranslatedStream, sent: bytes, sizes: list[int]) -> bytes:
    """Feed a stream in pieces of these sizes, and then what is left; return what went to the caller."""
    got, at = b"", 0
    for size in itertools.chain(sizes, itertools.repeat(len(sent))):
        got += reader.feed(sent[at : at + size])
        at += size
        if at >= len(sent):
            return got
    raise AssertionError("sizes never end")
