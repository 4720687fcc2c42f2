"""Reading a request of Anthropic's Messages API: put in the chat API's words, by which answers are planned.

Source: Anthropic's API reference, "Create a Message" and "Prompt caching".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from simulator import chat_request
from simulator.chat_request import ChatRequest
from simulator.errors import ApiError
from simulator.tokens import Segment

_CHOICES: Final[Mapping[str, str]] = {"auto": "auto", "none": "none", "any": "required"}
_ROLES: Final = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """A Messages request.

    Args:
        chat: The same as a chat request.
        cached: The start of the prompt up to its last cache breakpoint; empty without one.
        hour_tokens: How many tokens of it lie before the last breakpoint that asks for an hour, not for five minutes.
    """

    chat: ChatRequest
    cached: tuple[Segment, ...]
    hour_tokens: int


def read(fields: Mapping[str, Any]) -> MessagesRequest:
    """Return the request that a body's fields make.

    Raises:
        ApiError: Anthropic would refuse it, too (400).
    """
    if fields.get("max_tokens") is None:
        raise ApiError(400, "Field required", param="max_tokens")
    turns = _turns(fields)
    told = [message for turn in turns for message in _chat_messages(turn)]
    request = chat_request.read(_chat_fields(fields, told))
    marks = [list(_marks(turn)) for turn in turns for _ in _chat_messages(turn)]
    before = len(request.prompt) - len(told)
    cached, hour = (
        request.prompt[: before + last] if (last := _last(marks, lifetimes)) else ()
        for lifetimes in ((None, "5m", "1h"), ("1h",))
    )
    return MessagesRequest(request, cached, sum(segment.tokens for segment in hour))


def _last(marks: list[list[dict[str, Any]]], lifetimes: tuple[str | None, ...]) -> int:
    """Return the number of the last message with a breakpoint of such a lifetime, counted from 1; 0 without one."""
    found = (number for number, own in enumerate(marks, start=1) if any(mark.get("ttl") in lifetimes for mark in own))
    return max(found, default=0)


def _turns(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the system prompt, if there is one, and the messages."""
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "at least one message is required", param="messages")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise ApiError(400, "Input should be 'user' or 'assistant'", param=f"messages.{number}.role")
    system = fields.get("system")
    return [{"role": "system", "content": system}, *messages] if system else messages


def _chat_fields(fields: Mapping[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
    choice = fields.get("tool_choice")
    chosen = choice if isinstance(choice, dict) else {}
    config = fields.get("output_config")
    return {
        "model": fields.get("model"),
        "messages": messages,
        "max_completion_tokens": fields["max_tokens"],
        "stream": fields.get("stream"),
        "tools": [_tool(tool) for tool in fields.get("tools") or []],
        "tool_choice": _choice(chosen),
        "parallel_tool_calls": chosen.get("disable_parallel_tool_use") is not True,
        "response_format": _form(config.get("format")) if isinstance(config, dict) else None,
        "reasoning_effort": "none" if fields.get("thinking") == {"type": "disabled"} else None,
    }


def _tool(tool: Any) -> dict[str, Any]:
    if not isinstance(tool, dict) or not isinstance(tool.get("input_schema"), dict):
        raise ApiError(400, "Field required", param="tools.0.input_schema")
    function = {"name": tool.get("name"), "description": tool.get("description"), "parameters": tool["input_schema"]}
    return {"type": "function", "function": function}


def _choice(choice: Mapping[str, Any]) -> Any:
    if choice.get("type") == "tool":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return _CHOICES.get(str(choice.get("type")))


def _form(form: Any) -> dict[str, Any] | None:
    if not isinstance(form, dict):
        return None
    return {"type": "json_schema", "json_schema": {"schema": form.get("schema")}}


def _chat_messages(turn: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a turn as chat messages: tools' results first, each by itself, then the rest."""
    blocks = list(_blocks(turn))
    for block in blocks:
        if block.get("type") == "tool_result":
            yield {"role": "tool", "content": _result_text(block)}
    parts = [_part(block) for block in blocks if block.get("type") in {"text", "image"}]
    calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
    if parts or calls:
        yield {"role": turn["role"], "content": parts, **({"tool_calls": calls} if calls else {})}


def _blocks(turn: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    content = turn.get("content")
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    elif isinstance(content, list) and all(isinstance(block, dict) for block in content):
        yield from content
    else:
        raise ApiError(400, "Input should be a valid string or list of blocks", param="messages.content")


def _part(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return a block without its breakpoint: a prompt is the same wherever it is marked."""
    if block["type"] == "text":
        return {"type": "text", "text": block.get("text")}
    return {"type": "image_url", "image_url": {"url": orjson.dumps(block.get("source")).decode()}}


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": block.get("name"), "arguments": orjson.dumps(block.get("input")).decode()}


def _result_text(block: Mapping[str, Any]) -> str:
    content = block.get("content")
    return content if isinstance(content, str) else orjson.dumps(content).decode()


def _marks(turn: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for block in _blocks(turn):
        if isinstance(mark := block.get("cache_control"), dict):
            yield mark
