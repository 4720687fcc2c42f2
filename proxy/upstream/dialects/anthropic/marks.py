"""Where the provider is asked to keep a prompt in its cache: after the instructions, and after messages.

Source: Anthropic's API reference, "Prompt caching": at most four marks; tools, system and messages in this order; a
mark looks back 20 blocks; blocks of thinking and empty texts cannot be marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from proxy.upstream.dialects.anthropic.models import cached_from_tokens
from proxy.upstream.dialects.dialect import Choose, Part
from proxy.wire import lenient

NAME: Final = b'"cache_control"'
"""In quotes as a field's name, and not as a text, where the quotes would be escaped."""
BYTES_PER_TOKEN: Final = 4
"""Of plain English; of other texts a token is shorter, and a prefix is taken for shorter than it is."""
_UNMARKED: Final = frozenset({"thinking", "redacted_thinking"})


def marked(body: bytes, model: str, choose: Choose) -> bytes | None:
    """Return a body with marks; None where it stays as it is: it has its caller's own, is too short, or none pays."""
    tokens_min = cached_from_tokens(model)
    if len(body) // BYTES_PER_TOKEN < tokens_min or NAME in body:
        return None
    told = lenient.loads(body)
    messages = told["messages"]
    head = lenient.dumps([told.get(name) for name in ("tools", "tool_choice", "thinking", "system")])
    goes_on = any(each.get("role") == "assistant" for each in messages)
    lifetimes = choose([_part(head), *(_part(lenient.dumps(each)) for each in messages)], tokens_min, goes_on=goes_on)
    changed = dict(told)
    if lifetimes[0] is not None:
        changed |= _head(told, lifetimes[0])
    changed["messages"] = [
        each if lifetime is None else {**each, "content": _content(each["content"], lifetime)}
        for each, lifetime in zip(messages, lifetimes[1:], strict=True)
    ]
    found = lenient.dumps(changed)
    return found if NAME in found else None


def _part(content: bytes) -> Part:
    return content, len(content) // BYTES_PER_TOKEN


def _head(told: Mapping[str, Any], lifetime: str) -> dict[str, Any]:
    """Mark the end of the instructions; where there are none, the last tool."""
    if told.get("system"):
        return {"system": _content(told["system"], lifetime)}
    if told.get("tools"):
        return {"tools": _last(told["tools"], lifetime)}
    return {}


def _content(content: str | Sequence[dict[str, Any]], lifetime: str) -> Sequence[dict[str, Any]] | str:
    if isinstance(content, str):
        return [_with({"type": "text", "text": content}, lifetime)] if content else content
    return _last(content, lifetime)


def _last(blocks: Sequence[dict[str, Any]], lifetime: str) -> Sequence[dict[str, Any]]:
    if not blocks or blocks[-1].get("type") in _UNMARKED or blocks[-1].get("text") == "":
        return blocks
    return [*blocks[:-1], _with(blocks[-1], lifetime)]


def _with(block: dict[str, Any], lifetime: str) -> dict[str, Any]:
    # Five minutes is what the mark says by itself: gateways that know no lifetimes take it, too.
    mark = {"type": "ephemeral"} if lifetime == "5m" else {"type": "ephemeral", "ttl": lifetime}
    return {**block, "cache_control": mark}
