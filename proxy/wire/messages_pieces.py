"""Pieces of an answer → a message of Anthropic's API, or the events of a streamed one.

Source: Anthropic's API reference, "Messages" and "Streaming messages", checked against the types of its Python SDK. A
plain answer is what the events add up to, so both come from one place. Thinking that another provider shows has no
signature of Anthropic's: it is shown, and cannot be sent back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from margin.usage import Usage
from proxy.wire import lenient
from proxy.wire.ask import BYTES_PER_TOKEN
from proxy.wire.errors import ProxyError, anthropic_body
from proxy.wire.neutral import Argued, Called, Ended, Piece, Said, Started, Thought, Used

END: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
"""The end of a whole stream."""

_REASONS: Final[Mapping[str, str]] = {
    "said": "end_turn", "limit": "max_tokens", "calls": "tool_use", "refused": "refusal",
}  # fmt: skip


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return usage in Anthropic's words: what was cached stands beside the input, what was thought in the output."""
    return {
        "input_tokens": usage.input_total - usage.cache_read - usage.cache_write_5m - usage.cache_write_1h,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m, "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output_total,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }  # fmt: skip


_BEGUN: Final[Mapping[str, Any]] = {
    "type": "message", "role": "assistant", "content": [], "stop_reason": None, "stop_sequence": None,
}  # fmt: skip


def message(pieces: Iterable[Piece], input_estimate: int) -> bytes:
    """Return a whole answer.

    Args:
        pieces: What it consists of.
        input_estimate: About how many tokens went in: told where nobody knows, as the API has no word for that.
    """
    told: dict[str, Any] = {"id": "", "type": "message", "role": "assistant", "model": "", "content": []}
    content, reason, usage = told["content"], "said", None
    arguments: dict[int, list[str]] = {}
    at: dict[int, int] = {}
    for piece in pieces:
        match piece:
            case Started(identity, model):
                told |= {"id": identity, "model": model}
            case Said(text):
                _grow(content, "text", "text", text)
            case Thought(text):
                _grow(content, "thinking", "thinking", text)
            case Called(index, identity, name):
                at[index], arguments[index] = len(content), []
                content.append({"type": "tool_use", "id": identity, "name": name, "input": {}})
            case Argued(index, text):
                arguments[index].append(text)
            case Ended(why):
                reason = why
            case Used(found):
                usage = found
    for index, texts in arguments.items():
        content[at[index]]["input"] = _object("".join(texts))
    told |= {"stop_reason": _REASONS[reason], "stop_sequence": None}
    if usage is None:
        usage = Usage(input=input_estimate, output=len(lenient.dumps(content)) // BYTES_PER_TOKEN)
    told["usage"] = usage_of(usage)
    return lenient.dumps(told)


def _grow(content: list[dict[str, Any]], kind: str, name: str, text: str) -> None:
    if not content or content[-1]["type"] != kind:
        content.append({"type": kind, name: ""} | ({"signature": ""} if kind == "thinking" else {"citations": None}))
    content[-1][name] += text


def _object(text: str) -> Any:
    """Return arguments as an object; what is none, as a model may write it, is kept as text under a name of its own."""
    try:
        found = lenient.loads(text.encode(errors="surrogatepass")) if text else {}
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"_unparsed": text}


def _is_whole(arguments: str) -> bool:
    """Whether nothing can follow: an object that goes on is no JSON yet."""
    try:
        return isinstance(lenient.loads(arguments.encode(errors="surrogatepass")), dict)
    except (ValueError, RecursionError):
        return False


class Events:
    """Writes pieces as the events of one streamed message. What ends the whole is the exchange's to say.

    Other providers tell the usage at the end, and clients of this API look for the input at its start, too: there
    stands an estimate, which `message_delta` repeats as it was.

    Here one block is whole before the next begins. Providers that speak chat may begin a second tool call while the
    arguments of the first still come: what follows an argument that is not whole yet is held until the end.

    Args:
        input_estimate: About how many tokens went in.
    """

    __slots__ = ("_call", "_given", "_held", "_index", "_input_estimate", "_open", "_reason", "_said")

    def __init__(self, input_estimate: int) -> None:
        self._input_estimate = input_estimate
        self._said = 0
        """Pieces of text: providers send about one token in each."""
        self._index = -1
        self._open: str | None = None
        """The kind of the block that goes on."""
        self._reason: str | None = None
        self._call: int | None = None
        """Which call's block goes on."""
        self._given: list[str] = []
        """Its arguments so far."""
        self._held: list[Piece] = []

    def write(self, piece: Piece) -> bytes:
        """Return a piece as bytes; empty where nothing is said yet."""
        if self._must_wait(piece):
            self._held.append(piece)
            return b""
        match piece:
            case Started(identity, model):
                begun = {**_BEGUN, "id": identity, "model": model, "usage": self._estimated()}
                return _event("message_start", message=begun)
            case Said(text):
                return self._block("text", {"type": "text", "text": ""}) + self._delta("text_delta", text=text)
            case Thought(text):
                return self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""}) + self._delta(
                    "thinking_delta", thinking=text
                )
            case Called(index, identity, name):
                opened: dict[str, Any] = {"type": "tool_use", "id": identity, "name": name, "input": {}}
                before, self._call = self._shut(), index
                return before + self._begin("tool_use", opened)
            case Argued(_, text):
                self._given.append(text)
                return self._delta("input_json_delta", partial_json=text)
            case Ended(reason):
                self._reason = _REASONS[reason]
                return self._shut() + self._released() + self._shut()
            case Used(usage):
                return self._ended(usage_of(usage))

    def end(self) -> bytes:
        """Return the end of a whole stream, and before it why it ended, where no usage came to say it."""
        return (b"" if self._reason is None else self._ended(self._estimated())) + END

    @staticmethod
    def fault(error: ProxyError) -> bytes:
        """Return the event that says that the stream breaks off here."""
        return b"event: error\ndata: %b\n\n" % lenient.dumps(anthropic_body(error))

    def _must_wait(self, piece: Piece) -> bool:
        match piece:
            case Argued(index, _):
                return index != self._call
            case Said() | Thought() | Called():
                return bool(self._held) or (self._call is not None and not _is_whole("".join(self._given)))
            case _:
                return False

    def _released(self) -> bytes:
        """Return what was held, in its order, and each call with all of its arguments."""
        held, self._held = self._held, []
        found = b""
        for piece in held:
            match piece:
                case Argued():
                    continue
                case Called(index, _, _):
                    found += self._shut() + self.write(piece)
                    mine = (each for each in held if isinstance(each, Argued) and each.index == index)
                    found += b"".join(map(self.write, mine))
                case _:
                    found += self._shut_call() + self.write(piece)
        return found

    def _shut_call(self) -> bytes:
        return b"" if self._call is None else self._shut()

    def _estimated(self) -> dict[str, int]:
        return {"input_tokens": self._input_estimate, "output_tokens": self._said}

    def _ended(self, usage: Mapping[str, Any]) -> bytes:
        reason, self._reason = self._reason, None
        return _event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)

    def _block(self, kind: str, opened: Mapping[str, Any]) -> bytes:
        return b"" if self._open == kind else self._shut() + self._begin(kind, opened)

    def _begin(self, kind: str, opened: Mapping[str, Any]) -> bytes:
        self._open = kind
        self._index += 1
        return _event("content_block_start", index=self._index, content_block=opened)

    def _delta(self, kind: str, **more: str) -> bytes:
        self._said += 1
        return _event("content_block_delta", index=self._index, delta={"type": kind, **more})

    def _shut(self) -> bytes:
        if self._open is None:
            return b""
        self._open = self._call = None
        self._given.clear()
        return _event("content_block_stop", index=self._index)


def _event(kind: str, **more: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), lenient.dumps({"type": kind, **more}))
