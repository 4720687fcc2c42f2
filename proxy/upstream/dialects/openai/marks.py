"""What OpenAI's prompt cache is told of a prompt: to keep it, its instructions alone, or nothing; and where to look.

From GPT-5.6 on it writes each prompt of 1,024 tokens and more unasked, for half an hour, at 1.25 times the price of
plain input. `mode: explicit` keeps it from doing so, but for what stands before a breakpoint; `prompt_cache_key` brings
requests that begin alike to one machine. Source: openai-python 3.52, `PromptCacheOptions`; OpenAI's guide on prompt
caching.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from proxy.upstream.dialects.dialect import Choose, Part
from proxy.wire import lenient

TOKENS_MIN: Final = 1_024
BYTES_PER_TOKEN: Final = 4
"""Of plain English; of other texts a token is shorter, and a prefix is taken for shorter than it is."""
OWN: Final = (b'"prompt_cache_options"', b'"prompt_cache_breakpoint"')
"""Who says either is left alone. In quotes as fields' names, and not as texts, where the quotes would be escaped."""
INSTRUCTS: Final = frozenset({"system", "developer"})


def marked(body: bytes, model: str, choose: Choose) -> bytes | None:
    """Return a body with what the cache is told; None where it stays as it is: short, or its caller's own."""
    if len(body) // BYTES_PER_TOKEN < TOKENS_MIN or any(name in body for name in OWN):
        return None
    told = lenient.loads(body)
    if told.get("previous_response_id") or told.get("conversation"):
        return None  # most of the prompt is at the provider
    turns, first = _turns(told)
    if not turns:
        return None
    head = lenient.dumps([told.get("tools"), told.get("instructions"), *turns[:first]])
    rest = [lenient.dumps(each) for each in turns[first:]]
    goes_on = any(isinstance(each, dict) and each.get("role") == "assistant" for each in turns)
    lifetimes = choose([_part(head), *map(_part, rest)], TOKENS_MIN, goes_on=goes_on)
    found: dict[str, Any] = {}
    if not told.get("prompt_cache_key"):
        found["prompt_cache_key"] = choose.key(head, rest[0] if rest else b"")
    if lifetimes[-1] is None:  # what it would write by itself is not expected back
        found["prompt_cache_options"] = {"mode": "explicit"}
        if lifetimes[0] is not None and "messages" in told and first:
            found["messages"] = [*turns[: first - 1], _broken(turns[first - 1]), *turns[first:]]
    return _with(body, told, found)


def _turns(told: dict[str, Any]) -> tuple[Sequence[Any], int]:
    """Return the conversation of a chat or a response, and how many of its first turns are instructions."""
    turns = told.get("messages", told.get("input"))
    if isinstance(turns, str):
        turns = [turns]
    if not isinstance(turns, list):
        return (), 0
    roles = [each.get("role") if isinstance(each, dict) else None for each in turns]
    return turns, next((at for at, role in enumerate(roles) if role not in INSTRUCTS), len(turns))


def _part(content: bytes) -> Part:
    return content, len(content) // BYTES_PER_TOKEN


def _broken(turn: dict[str, Any]) -> dict[str, Any]:
    """Return a message with a breakpoint at its end."""
    content = turn["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else [*content]
    if not parts or parts[-1].get("type") != "text":
        return turn
    parts[-1] = {**parts[-1], "prompt_cache_breakpoint": {"mode": "explicit"}}
    return {**turn, "content": parts}


def _with(body: bytes, told: dict[str, Any], found: dict[str, Any]) -> bytes | None:
    """Return a body with other fields; where none of its own changes it is not written anew."""
    if not found:
        return None
    if any(name in told for name in found):
        return lenient.dumps({**told, **found})
    return body.rstrip()[:-1] + b"," + lenient.dumps(found)[1:]
