"""What an answer comes to, whatever format it is in: what checks of it look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from proxy.wire.neutral import Called, Ended, Piece, Said

Reason = Literal["said", "limit", "calls", "refused"]


class Gist(NamedTuple):
    """An answer of one choice: its words, whether it calls tools, and why it ends, as `neutral.Ended` has it."""

    text: str
    calls: bool
    reason: Reason


def of_pieces(pieces: Iterable[Piece]) -> Gist | None:
    """Return what pieces come to; None of an answer that does not end."""
    words: list[str] = []
    calls, reason = False, None
    for piece in pieces:
        match piece:
            case Said(text):
                words.append(text)
            case Called():
                calls = True
            case Ended(why):
                reason = why
    return None if reason is None else Gist("".join(words), calls, reason)


def of_response(response: Mapping[str, Any]) -> Gist | None:
    """Return what an object of the Responses API comes to; None where it is not whole.

    Source: OpenAI's API reference, "The response object".
    """
    why: Reason = "said"
    if response.get("status") == "incomplete":
        why = "refused" if (response.get("incomplete_details") or {}).get("reason") == "content_filter" else "limit"
    elif response.get("status") != "completed":
        return None
    words: list[str] = []
    calls = False
    for item in response.get("output") or ():
        calls = calls or str(item.get("type")).endswith("_call")
        for part in (item.get("content") or ()) if item.get("type") == "message" else ():
            if part.get("type") == "refusal":
                why = "refused"
            words.append(str(part.get("text") or part.get("refusal") or ""))
    return Gist("".join(words), calls, "calls" if calls and why == "said" else why)
