"""Pieces of an answer → a chat completion, or the chunks of one. Meaning of the fields: OpenAI's API reference.

What is not OpenAI's own: `reasoning_content`, which carries thinking where a provider shows it, as others that speak
this format do; absent where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from margin.usage import Usage
from proxy.wire import lenient, sse
from proxy.wire.errors import ProxyError, openai_body
from proxy.wire.neutral import Argued, Called, Ended, Piece, Said, Started, Thought, Used

END: Final = sse.event(sse.DONE)

_FINISH: Final[Mapping[str, str]] = {
    "said": "stop",
    "limit": "length",
    "calls": "tool_calls",
    "refused": "content_filter",
}


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return usage as chat reports it: what was cached is inside the prompt, what was thought inside the completion."""
    return {
        "prompt_tokens": usage.input_total,
        "completion_tokens": usage.output_total,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "audio_tokens": usage.audio_in,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_out},
    }


def fault(error: ProxyError) -> bytes:
    """Return the event that says that a stream breaks off."""
    return sse.event(lenient.dumps(openai_body(error)))


def completion(pieces: Iterable[Piece], at_s: int) -> bytes:
    """Return a whole answer as a chat completion."""
    told: dict[str, Any] = {"id": "", "object": "chat.completion", "created": at_s, "model": ""}
    said, thought, calls = [], [], list[dict[str, Any]]()
    finish, usage = "stop", None
    for piece in pieces:
        match piece:
            case Started(identity, model):
                told |= {"id": identity, "model": model}
            case Said(text):
                said.append(text)
            case Thought(text):
                thought.append(text)
            case Called(_, identity, name):
                calls.append({"id": identity, "type": "function", "function": {"name": name, "arguments": ""}})
            case Argued(index, text):
                calls[index]["function"]["arguments"] += text
            case Ended(reason):
                finish = _FINISH[reason]
            case Used(found):
                usage = found
    message: dict[str, Any] = {"role": "assistant", "content": "".join(said), "refusal": None, "annotations": []}
    if thought:
        message["reasoning_content"] = "".join(thought)
    if calls:
        message["content"] = message["content"] or None
        message["tool_calls"] = calls
    told["choices"] = [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}]
    if usage is not None:
        told["usage"] = usage_of(usage)
    return lenient.dumps(told)


class Chunks:
    """Writes pieces as the events of one streamed completion; `[DONE]` is the exchange's to say.

    Args:
        include_usage: Whether the caller asked for the usage: then it comes last, and is null before.
        at_s: When the answer began, in unix seconds.
    """

    __slots__ = ("_head", "_include_usage")

    def __init__(self, *, include_usage: bool, at_s: int) -> None:
        self._include_usage = include_usage
        self._head: dict[str, Any] = {"id": "", "object": "chat.completion.chunk", "created": at_s, "model": ""}

    def write(self, piece: Piece) -> bytes:
        """Return a piece as bytes; empty where chat has nothing to say."""
        match piece:
            case Started(identity, model):
                self._head |= {"id": identity, "model": model}
                return self._delta({"role": "assistant", "content": "", "refusal": None})
            case Said(text):
                return self._delta({"content": text})
            case Thought(text):
                return self._delta({"reasoning_content": text})
            case Called(index, identity, name):
                opened = {"id": identity, "type": "function", "function": {"name": name, "arguments": ""}}
                return self._delta({"tool_calls": [{"index": index, **opened}]})
            case Argued(index, text):
                return self._delta({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
            case Ended(reason):
                return self._delta({}, _FINISH[reason])
            case Used(usage):
                return self._event([], usage_of(usage)) if self._include_usage else b""

    def end(self) -> bytes:
        """Return the end of a whole stream."""
        return END

    def fault(self, error: ProxyError) -> bytes:
        """Return the event that says that the stream breaks off here."""
        return fault(error)

    def _delta(self, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._event([choice], None)

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        chunk = {**self._head, "choices": choices}
        if self._include_usage:
            chunk["usage"] = usage
        return sse.event(lenient.dumps(chunk))
