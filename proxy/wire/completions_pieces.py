"""Pieces of an answer → a legacy completion, or the chunks of one, for prompts that a model answered as a chat.

There is one choice, no tool on offer, and no place for thinking, which is left out. Source: OpenAI's API reference,
"The completion object".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from proxy.wire import chat_pieces, lenient, sse
from proxy.wire.chat_pieces import usage_of
from proxy.wire.errors import ProxyError
from proxy.wire.neutral import Ended, Piece, Said, Started, Used

_FINISH: Final[Mapping[str, str]] = {"said": "stop", "limit": "length", "calls": "stop", "refused": "content_filter"}


def completion(pieces: Iterable[Piece], at_s: int) -> bytes:
    """Return a whole answer."""
    told: dict[str, Any] = {"id": "", "object": "text_completion", "created": at_s, "model": ""}
    said, finish, usage = [], "stop", None
    for piece in pieces:
        match piece:
            case Started(identity, model):
                told |= {"id": identity, "model": model}
            case Said(text):
                said.append(text)
            case Ended(reason):
                finish = _FINISH[reason]
            case Used(found):
                usage = found
            case _:
                pass
    told["choices"] = [_choice("".join(said), finish)]
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
        self._head: dict[str, Any] = {"id": "", "object": "text_completion", "created": at_s, "model": ""}

    def write(self, piece: Piece) -> bytes:
        """Return a piece as bytes; empty where a completion has nothing to say."""
        match piece:
            case Started(identity, model):
                self._head |= {"id": identity, "model": model}
                return b""
            case Said(text):
                return self._event([_choice(text, None)], None)
            case Ended(reason):
                return self._event([_choice("", _FINISH[reason])], None)
            case Used(usage):
                return self._event([], usage_of(usage)) if self._include_usage else b""
            case _:
                return b""

    def end(self) -> bytes:
        """Return the end of a whole stream."""
        return chat_pieces.END

    def fault(self, error: ProxyError) -> bytes:
        """Return the event that says that the stream breaks off here."""
        return chat_pieces.fault(error)

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        chunk = {**self._head, "choices": choices}
        if self._include_usage:
            chunk["usage"] = usage
        return sse.event(lenient.dumps(chunk))


def _choice(text: str, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
