"""What a chat completion consists of → pieces: a whole answer, or the chunks of a streamed one. One choice only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from margin.usage import Usage, UsageError
from proxy.upstream.dialects import foreign
from proxy.upstream.dialects.openai.chat import read_usage
from proxy.upstream.dialects.translated import Unreadable
from proxy.wire.errors import UpstreamBroke
from proxy.wire.neutral import Argued, Called, Ended, Piece, Said, Started, Thought, Used

_Reason = Literal["said", "limit", "calls", "refused"]
_REASONS: Final[Mapping[str, _Reason]] = {
    "stop": "said", "length": "limit", "tool_calls": "calls", "function_call": "calls", "content_filter": "refused",
}  # fmt: skip


class Reader:
    """Reads a completion, chunk by chunk.

    Attributes:
        usage: What was used, once a chunk said so and the counts make sense.
        is_whole: The end mark was seen.
    """

    __slots__ = ("_has_begun", "_ids", "_reason", "_tier", "is_whole", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.is_whole = False
        self._has_begun = False
        self._reason: _Reason = "said"
        self._ids: list[str] = []
        """Of the calls, in their order."""
        self._tier: Any = None
        """The service tier by the first chunk; the last one may say so again."""

    def event(self, chunk: Any) -> Iterator[Piece]:
        """Yield the pieces in a chunk.

        Raises:
            Unreadable: it is not what the API says it is, or an error.
        """
        if self.is_whole:
            return  # what follows the end is nobody's
        if not isinstance(chunk, dict) or chunk.get("error") is not None:
            raise Unreadable("choices")
        if not self._has_begun:
            self._has_begun, self._tier = True, chunk.get("service_tier")
            yield Started(foreign.text(chunk.get("id")) or "", foreign.text(chunk.get("model")) or "")
        for choice in _list(chunk, "choices"):
            if not isinstance(choice, dict) or choice.get("index", 0) != 0:
                raise Unreadable("choices")
            delta = choice.get("delta", choice.get("message"))
            if isinstance(delta, dict):
                yield from self._delta(delta)
            reason = choice.get("finish_reason")
            if isinstance(reason, str) and self._reason != "refused":
                self._reason = _REASONS.get(reason, "said")
        self._report(chunk)

    def _delta(self, delta: Mapping[str, Any]) -> Iterator[Piece]:
        thought = delta.get("reasoning_content") or delta.get("reasoning")  # as newer servers call it (vLLM's)
        if isinstance(thought, str) and thought:
            yield Thought(thought)
        yield from _content(delta.get("content"))
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._reason = "refused"
            yield Said(refusal)
        for place, call in enumerate(_list(delta, "tool_calls")):
            yield from self._call(call, place)

    def _call(self, call: Any, place: int) -> Iterator[Piece]:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise Unreadable("tool_calls")
        identity, name = call.get("id"), function.get("name")
        index = self._index(call.get("index"), place, identity, name)
        if index == len(self._ids):
            if not isinstance(identity, str) or not isinstance(name, str):
                raise Unreadable("tool_calls")
            self._ids.append(identity)
            yield Called(index, identity, name)
        arguments = function.get("arguments")
        if isinstance(arguments, str) and arguments:
            yield Argued(index, arguments)

    def _index(self, told: Any, place: int, identity: Any, name: Any) -> int:
        """Return which call is spoken of. Some servers give no number, or each call the same: then its id says so."""
        calls = len(self._ids)
        index = told if told is not None else place if identity else max(calls - 1, 0)
        if type(index) is not int or not 0 <= index <= calls:
            raise Unreadable("tool_calls")
        is_other = index < calls and bool(identity) and bool(name) and identity != self._ids[index]
        return calls if is_other else index

    def _report(self, chunk: Mapping[str, Any]) -> None:
        if chunk.get("usage") is None:
            return
        try:
            self.usage = foreign.tiered(read_usage(chunk["usage"]), chunk.get("service_tier") or self._tier)
        except UsageError:
            self.usage = None

    def done(self) -> Iterator[Piece]:
        """Yield what the end mark says: the answer is whole."""
        self.is_whole = True
        yield Ended(self._reason)
        if self.usage is not None:
            yield Used(self.usage)

    def so_far(self, output_tokens: int) -> Usage | None:
        """Return what was reported before the end: nothing is."""
        return None


def read_completion(answer: Any) -> list[Piece]:
    """Return the pieces of a whole answer.

    Raises:
        UpstreamBroke: it is none.
    """
    reader = Reader()
    if not isinstance(answer, dict) or not answer.get("choices"):
        raise UpstreamBroke("The provider's answer has no choices.")
    try:
        return [*reader.event(answer), *reader.done()]
    except Unreadable as missing:
        raise UpstreamBroke(f"The provider's answer has no {missing}.") from None


def _content(content: Any) -> Iterator[Piece]:
    """Yield the words of a message: a text, or parts, as servers write whose models think (Mistral's).

    Parts that are no words (references to what was searched) are passed over.
    """
    if isinstance(content, str):
        if content:
            yield Said(content)
        return
    if content is not None and not isinstance(content, list):
        raise Unreadable("content")
    for part in content or ():
        kind = part.get("type") if isinstance(part, dict) else None
        said = part.get(kind) if kind in ("text", "thinking") else None
        for piece in _content(said):
            yield Thought(piece.text) if kind == "thinking" and isinstance(piece, Said) else piece


def _list(found: Mapping[str, Any], name: str) -> list[Any]:
    value = found.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unreadable(name)
    return value
