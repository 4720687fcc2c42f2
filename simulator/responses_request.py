"""Reading a request of OpenAI's Responses API: put in the chat API's words, by which answers are planned.

Source: OpenAI's API reference, "Create a model response".
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulator import chat_request
from simulator.chat_request import ChatRequest
from simulator.errors import ApiError

OUTPUT_MIN: Final = 16
"""OpenAI's lower limit on `max_output_tokens`."""

_NOT_PLAYED: Final = ("background", "conversation", "prompt")
_PARTS: Final[Mapping[str, str]] = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """A Responses request.

    Args:
        chat: The same as a chat request, with what went before.
        conversation: Its messages but the instructions, which are not carried on to the next.
        fields: As sent.
    """

    chat: ChatRequest
    conversation: list[dict[str, Any]]
    fields: Mapping[str, Any]

    @property
    def is_stored(self) -> bool:
        """Whether it may be asked for again: unless the request says otherwise."""
        return self.fields.get("store") is not False

    @property
    def wants_summary(self) -> bool:
        """Whether it asks to be told about the reasoning."""
        reasoning = self.fields.get("reasoning")
        return isinstance(reasoning, dict) and reasoning.get("summary") is not None


def read(fields: Mapping[str, Any], before: Iterable[dict[str, Any]]) -> ResponsesRequest:
    """Return the request that a body's fields make.

    Args:
        fields: The body.
        before: The conversation that it goes on with, as chat messages.

    Raises:
        ApiError: OpenAI would refuse it, too, or it is not played here (400).
    """
    for name in _NOT_PLAYED:
        if fields.get(name):
            raise ApiError(400, f"The simulator does not play '{name}'.", param=name)
    conversation = [*before, *_conversation(fields.get("input"))]
    instructions = fields.get("instructions")
    told = [{"role": "system", "content": instructions}, *conversation] if instructions else conversation
    return ResponsesRequest(chat_request.read(_chat_fields(fields, told)), conversation, fields)


def _conversation(given: Any) -> Iterator[dict[str, Any]]:
    if isinstance(given, str) and given:
        yield {"role": "user", "content": given}
    elif isinstance(given, list) and given:
        yield from _joined(_message(item, number) for number, item in enumerate(given))
    else:
        raise ApiError(400, "Invalid 'input': expected a text or an array of items.", param="input")


def _joined(messages: Iterable[dict[str, Any] | None]) -> Iterator[dict[str, Any]]:
    """Yield messages, calls that follow one another as one: so the chat API would have them."""
    last: dict[str, Any] | None = None
    for message in messages:
        if message is None:
            continue
        if last is not None and "tool_calls" in last and "tool_calls" in message:
            last["tool_calls"] += message["tool_calls"]
            continue
        if last is not None:
            yield last
        last = message
    if last is not None:
        yield last


def _message(item: Any, number: int) -> dict[str, Any] | None:
    """Return an item as a chat message; None for reasoning, which is read by nobody here."""
    if not isinstance(item, dict):
        raise _invalid(number, "expected an object")
    match item.get("type", "message"):
        case "message" if isinstance(item.get("role"), str):
            return {"role": item["role"], "content": _content(item.get("content"), f"input[{number}].content")}
        case "function_call" if isinstance(item.get("call_id"), str):
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            return {"role": "assistant", "content": None, "tool_calls": [_call(item["call_id"], function)]}
        case "function_call_output" if isinstance(item.get("call_id"), str):
            return {"role": "tool", "content": _content(item.get("output"), f"input[{number}].output")}
        case "reasoning":
            return None
    raise _invalid(number, f"the simulator knows no '{item.get('type')}' like this")


def _invalid(number: int, why: str) -> ApiError:
    return ApiError(400, f"Invalid 'input[{number}]': {why}.", param=f"input[{number}]")


def _call(call_id: str, function: dict[str, Any]) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": function}


def _content(content: Any, where: str) -> Any:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise ApiError(400, f"Invalid type for '{where}': expected a text or an array of parts.", param=where)
    return [_part(part, where) for part in content]


def _part(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = str(part.get("type"))
    if kind in _PARTS:
        return {"type": _PARTS[kind], _PARTS[kind]: part.get(_PARTS[kind])}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        return {"type": "image_url", "image_url": {"url": part["image_url"], "detail": part.get("detail", "auto")}}
    raise ApiError(400, f"Invalid value in '{where}': the simulator knows no '{kind}' like this.", param=where)


def _chat_fields(fields: Mapping[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
    reasoning = fields.get("reasoning")
    return {
        "model": fields.get("model"),
        "messages": messages,
        "max_completion_tokens": _output_limit(fields),
        "stream": fields.get("stream"),
        "tools": [_tool(tool) for tool in fields.get("tools") or []],
        "tool_choice": _choice(fields.get("tool_choice")),
        "prompt_cache_options": fields.get("prompt_cache_options"),
        "parallel_tool_calls": fields.get("parallel_tool_calls"),
        "response_format": _form(fields.get("text")),
        "reasoning_effort": reasoning.get("effort") if isinstance(reasoning, dict) else None,
    }


def _output_limit(fields: Mapping[str, Any]) -> Any:
    limit = fields.get("max_output_tokens")
    if isinstance(limit, int) and limit < OUTPUT_MIN:
        message = f"Invalid 'max_output_tokens': expected a value >= {OUTPUT_MIN}, but got {limit} instead."
        raise ApiError(400, message, param="max_output_tokens", code="integer_below_min_value")
    return limit


def _tool(tool: Any) -> Any:
    """Return a function as the chat API wraps it; tools that OpenAI runs itself as they are: nobody calls them here."""
    if not isinstance(tool, dict) or tool.get("type") != "function":
        return tool
    if not isinstance(tool.get("name"), str):
        raise ApiError(400, "Missing required parameter: 'tools[0].name'.", param="tools[0].name")
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _choice(choice: Any) -> Any:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice


def _form(text: Any) -> dict[str, Any] | None:
    form = text.get("format") if isinstance(text, dict) else None
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        return form if isinstance(form, dict) else None
    return {"type": "json_schema", "json_schema": {name: value for name, value in form.items() if name != "type"}}
