"""The neutral form → the body of a chat completion, for callers of other surfaces.

Marks for prompt caches are left out: OpenAI caches prefixes by itself. Source: OpenAI's API reference, "Create chat
completion".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from proxy.settings import Deployment
from proxy.upstream.dialects.signatures import bare
from proxy.wire import lenient
from proxy.wire.errors import Malformed
from proxy.wire.neutral import Block, Call, ImageBytes, ImageLink, Named, Prompt, Result, Text, Tool, Turn
from proxy.wire.surfaces import Knobs

STOPS_MAX: Final = 4
"""The API's own bound."""
_OWN: Final = (".openai.com", ".azure.com")
"""Hosts that take `max_completion_tokens`, and of newer models nothing else; compatible servers know `max_tokens`."""


def unworded(knobs: Knobs, model: str) -> str | None:
    """Return None: each provider knows best which settings its models take."""
    return None


def written(prompt: Prompt, deployment: Deployment) -> bytes:
    """Return the body.

    Raises:
        Malformed: with `param` naming what has no word here.
    """
    if len(prompt.stops) > STOPS_MAX:
        raise Malformed(f"This model's provider takes {STOPS_MAX} stop sequences at most.", param="stop_sequences")
    body: dict[str, Any] = {"model": deployment.model, "messages": list(_messages(prompt))}
    if prompt.output_max is not None:
        body[_limit_name(deployment)] = prompt.output_max
    stated = {"temperature": prompt.temperature, "top_p": prompt.top_p, "reasoning_effort": prompt.effort,
              "user": prompt.user}  # fmt: skip
    body |= {name: value for name, value in stated.items() if value is not None}
    if prompt.stops:
        body["stop"] = list(prompt.stops)
    if prompt.schema is not None:
        form = {"name": "answer", "schema": prompt.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    if prompt.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return lenient.dumps(body | _tools(prompt))


def _limit_name(deployment: Deployment) -> str:
    host = "." + (urlsplit(deployment.provider.base_url).hostname or "")
    return "max_completion_tokens" if host.endswith(_OWN) else "max_tokens"


def _tools(prompt: Prompt) -> dict[str, Any]:
    if not prompt.tools:
        if prompt.choice is None or prompt.choice in ("auto", "none"):
            return {}
        raise Malformed("`tool_choice` needs `tools` to choose from.", param="tool_choice")
    found: dict[str, Any] = {"tools": [_tool(tool) for tool in prompt.tools]}
    if isinstance(prompt.choice, Named):
        found["tool_choice"] = {"type": "function", "function": {"name": prompt.choice.name}}
    elif prompt.choice is not None:
        found["tool_choice"] = prompt.choice
    if prompt.parallel is not None:
        found["parallel_tool_calls"] = prompt.parallel
    return found


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _messages(prompt: Prompt) -> Iterator[dict[str, Any]]:
    if prompt.system:
        yield {"role": "system", "content": _content(prompt.system)}
    for turn in prompt.turns:
        yield from _asked(turn) if turn.role == "user" else _answered(turn)


def _asked(turn: Turn) -> Iterator[dict[str, Any]]:
    """Yield what tools gave, each as a message of its own, and then what the user says."""
    for block in turn.blocks:
        if isinstance(block, Result):
            yield {"role": "tool", "tool_call_id": bare(block.call_id), "content": _given(block)}
    said = tuple(block for block in turn.blocks if not isinstance(block, Result))
    if said:
        yield {"role": "user", "content": _content(said)}


def _given(result: Result) -> str:
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    if len(texts) != len(result.parts):
        raise Malformed("This model's provider takes no images in what a tool gave.", param="messages")
    return "\n".join(texts)


def _answered(turn: Turn) -> Iterator[dict[str, Any]]:
    calls = [block for block in turn.blocks if isinstance(block, Call)]
    said = tuple(block for block in turn.blocks if isinstance(block, Text))
    if len(calls) + len(said) != len(turn.blocks):
        raise Malformed("This model's provider takes no images of the assistant's.", param="messages")
    message: dict[str, Any] = {"role": "assistant", "content": _content(said) if said else None}
    if calls:
        message["tool_calls"] = [_call(each) for each in calls]
    yield message


def _call(call: Call) -> dict[str, Any]:
    arguments = lenient.dumps(call.arguments).decode()
    return {"id": bare(call.id), "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _content(said: tuple[Block, ...]) -> Any:
    if len(said) == 1 and isinstance(said[0], Text):
        return said[0].text
    return [_part(block) for block in said]


def _part(block: Block) -> dict[str, Any]:
    match block:
        case Text(text):
            return {"type": "text", "text": text}
        case ImageBytes(media_type, data):
            return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}
        case ImageLink(url):
            return {"type": "image_url", "image_url": {"url": url}}
        case _:
            raise Malformed("A tool's call stands among what the user says.", param="messages")
