"""What a response consists of → pieces. A stream's events are responses, too, each with what is new.

Parts of kinds that nobody here asked for (code that the provider ran, images) are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final, Literal

from margin.usage import Usage, UsageError
from proxy.upstream.dialects import foreign
from proxy.upstream.dialects.gemini.counts import read_usage
from proxy.upstream.dialects.signatures import Signature, sealed
from proxy.upstream.dialects.translated import Unreadable
from proxy.wire import lenient
from proxy.wire.errors import UpstreamBroke
from proxy.wire.neutral import Argued, Called, Ended, Piece, Said, Started, Thought, Used

_MADE_BYTES: Final = 12  # of an id that we make: as many letters as OpenAI's own have

_Reason = Literal["said", "limit", "calls", "refused"]
_REASONS: Final[Mapping[str, _Reason]] = {"STOP": "said", "MAX_TOKENS": "limit"}
"""All others say that Gemini went no further: of the content (SAFETY, RECITATION, …), or of a call it wrote wrongly."""
_UNSPECIFIED: Final = "FINISH_REASON_UNSPECIFIED"


class Reader:
    """Reads an answer, response by response.

    Attributes:
        reported: What was said of usage last: counts are cumulative.
        usage: What was used, once the answer's end came and the counts make sense.
        is_whole: The end was seen: a reason to finish, or to have blocked the prompt.
    """

    __slots__ = ("_calls", "_is_begun", "_name", "_version", "is_whole", "reported", "usage")

    def __init__(self) -> None:
        self.reported: Mapping[str, Any] | None = None
        self.usage: Usage | None = None
        self.is_whole = False
        self._is_begun = False
        self._name = self._version = ""
        self._calls = 0

    def event(self, event: Any) -> Iterator[Piece]:
        """Yield the pieces in a response.

        Raises:
            Unreadable: it is not what the API says it is, or an error.
        """
        if not isinstance(event, dict) or event.get("error") is not None:
            raise Unreadable("candidates")
        if not self._is_begun:
            yield self._started(event)
        if isinstance(event.get("usageMetadata"), dict):
            self.reported = event["usageMetadata"]
        candidate = _candidate(event)
        for part in _parts(candidate):
            yield from self._part(part)
        reason = self._reason(event, candidate)
        if reason is not None:
            self.is_whole = True
            yield Ended(reason)
        if self.is_whole and self.usage is None:
            yield from self._used()

    def done(self) -> Iterator[Piece]:
        """Yield nothing: this API has no bare end mark, and whoever sends one says nothing by it."""
        return iter(())

    def so_far(self, output_tokens: int) -> Usage | None:
        """Return what the last response reported, and of its output our own count if that is higher.

        Raises:
            UsageError: the counts contradict each other.
        """
        used = None if self.reported is None else read_usage(self.reported)
        if used is None or used.output_total >= output_tokens:
            return used
        return used._replace(output=used.output + output_tokens - used.output_total)

    def _started(self, event: Mapping[str, Any]) -> Piece:
        self._is_begun = True
        self._name, self._version = (_text(event.get(name)) for name in ("responseId", "modelVersion"))
        return Started(self._name, self._version)

    def _part(self, part: Any) -> Iterator[Piece]:
        if not isinstance(part, dict):
            raise Unreadable("parts")
        call, text = part.get("functionCall"), part.get("text")
        if call is None and not text:
            return
        if self.is_whole:
            raise Unreadable("end")  # words after it: what they belong to is not known
        if call is not None:
            yield from self._called(call, part.get("thoughtSignature"))
            return
        if not isinstance(text, str):
            raise Unreadable("text")
        yield Thought(text) if part.get("thought") is True else Said(text)

    def _called(self, call: Any, signature: Any) -> Iterator[Piece]:
        """Yield a call: its arguments are always whole. Without an id of Gemini's own it gets one of ours."""
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise Unreadable("function call")
        index, identity = self._calls, _text(call.get("id"))
        self._calls += 1
        if not identity:
            identity = _made(self._name, index)
        if isinstance(signature, str) and signature:
            identity = sealed(identity, Signature(self._version, signature))
        yield Called(index, identity, call["name"])
        arguments = call.get("args")
        yield Argued(index, lenient.dumps({} if arguments is None else arguments).decode())

    def _reason(self, event: Mapping[str, Any], candidate: Mapping[str, Any] | None) -> _Reason | None:
        """Return why the answer ends with this response; None when it goes on."""
        if self.is_whole:
            return None
        if candidate is None:
            feedback = event.get("promptFeedback")
            return "refused" if isinstance(feedback, dict) and feedback.get("blockReason") else None
        told = candidate.get("finishReason")
        if not isinstance(told, str) or told == _UNSPECIFIED:
            return None
        reason = _REASONS.get(told, "refused")
        return "calls" if reason == "said" and self._calls else reason

    def _used(self) -> Iterator[Piece]:
        try:
            self.usage = None if self.reported is None else read_usage(self.reported)
        except UsageError:
            return
        if self.usage is not None:
            yield Used(self.usage)


def read_response(response: Any) -> list[Piece]:
    """Return the pieces of a whole answer.

    Raises:
        UpstreamBroke: it is none.
    """
    reader = Reader()
    try:
        pieces = list(reader.event(response))
    except Unreadable as missing:
        raise UpstreamBroke(f"The provider's answer has no {missing}.") from None
    if not reader.is_whole:
        raise UpstreamBroke("The provider's answer has no end.")
    return pieces


def _candidate(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the answer; there is one, as more are never asked for."""
    found = event.get("candidates")
    if not found:
        return None
    if not isinstance(found, list) or not isinstance(found[0], dict):
        raise Unreadable("candidates")
    return found[0]


def _parts(candidate: Mapping[str, Any] | None) -> list[Any]:
    content = None if candidate is None else candidate.get("content")
    if content is None:
        return []
    parts = content.get("parts", []) if isinstance(content, dict) else None
    if not isinstance(parts, list):
        raise Unreadable("parts")
    return parts


def _text(value: Any) -> str:
    return foreign.text(value) or ""


def _made(response: str, index: int) -> str:
    """Return an id for a call that has none: always the same for the same answer."""
    digest = blake2b(f"{response}/{index}".encode("utf-8", "surrogatepass"), digest_size=_MADE_BYTES)
    return f"call_{digest.hexdigest()}"
