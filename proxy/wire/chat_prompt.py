"""A chat request → the neutral form, for providers that speak another format.

What the form has no word for is named, never dropped: `unheld` names a field by a look at the top of the request,
`read` a place deeper in it. Left out are labels (`metadata`, a schema's name), hints that cannot change an answer
(`detail` of an image, `prediction`, `stream_options.include_obfuscation`, cache keys) and what an assistant's message
echoes of an earlier answer without being input (annotations, reasoning). Meaning of the fields: OpenAI's API
reference, "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, cast

from proxy.wire import lenient
from proxy.wire.chat import ChatRequest
from proxy.wire.errors import Malformed
from proxy.wire.neutral import Block, Call, Choice, ImageBytes, ImageLink, Named, Prompt, Result, Text, Tool, Turn
from proxy.wire.prompts import append, first_unheld, image_at, only, stops_of, unsayable

_HELD: Final = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "temperature",
        "top_p", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "user",
        "safety_identifier", "metadata", "prompt_cache_key", "prompt_cache_retention", "prediction",
    }
)  # fmt: skip
"""Fields that the form has a word for, and hints and labels that do not change what is answered."""

_HARMLESS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "n": lambda value: value == 1,
    "logprobs": lambda value: value is False,
    "top_logprobs": lambda value: value == 0,
    "frequency_penalty": lambda value: value == 0,
    "presence_penalty": lambda value: value == 0,
    "logit_bias": lambda value: value == {},
    "store": lambda value: value is False,
    "service_tier": lambda value: value in ("auto", "default"),
    "modalities": lambda value: value == ["text"],
    "verbosity": lambda value: value == "medium",
    "functions": lambda value: value == [],
}
"""Fields that it has no word for, and the values at which they ask for nothing."""

_PART_TYPES: Final = frozenset({"text", "refusal", "image_url"})
_ECHOED: Final = frozenset({"annotations", "reasoning_content"})
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "system": frozenset({"role", "content"}),
    "developer": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "refusal"}) | _ECHOED,
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
    "function": frozenset({"role"}),
}


def unheld(ask: ChatRequest) -> str | None:
    """Name the first field, or part of a message, that the form has no word for; None when there is none."""
    found = first_unheld(ask.fields, _HELD, _HARMLESS)
    if found is not None:
        return found
    return next(_strange_parts(ask.messages), None) if ask.media_parts else None


def _strange_parts(messages: list[dict[str, Any]]) -> Iterator[str]:
    for index, message in enumerate(messages):
        content = message.get("content")
        for at, part in enumerate(content if isinstance(content, list) else ()):
            if part["type"] not in _PART_TYPES:
                yield f"messages[{index}].content[{at}].{part['type']}"


def read(ask: ChatRequest) -> Prompt:
    """Return the neutral form.

    Raises:
        Malformed: with `param` naming what the form has no word for.
    """
    fields = ask.fields
    name = unheld(ask)
    if name is not None:
        raise unsayable(name)
    only(fields.get("stream_options") or {}, {"include_usage", "include_obfuscation"}, "stream_options")
    system, turns = _conversation(ask.messages)
    return Prompt(
        system=system,
        turns=turns,
        tools=tuple(_tool(tool, f"tools[{index}]") for index, tool in enumerate(fields.get("tools") or ())),
        choice=_choice(fields.get("tool_choice")),
        parallel=_parallel(fields.get("parallel_tool_calls")),
        output_max=ask.output_max,
        stops=stops_of(fields.get("stop")),
        temperature=fields.get("temperature"),
        top_p=fields.get("top_p"),
        effort=_effort(fields.get("reasoning_effort")),
        schema=_schema(fields.get("response_format")),
        user=_user(fields),
        stream=ask.stream,
    )


# ---- the conversation ----------------------------------------------------------------------------------------------


def _conversation(messages: list[dict[str, Any]]) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """Return the instructions and the turns. Instructions are lifted out, wherever they stand, in their order."""
    system: list[Text] = []
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        where, role = f"messages[{index}]", message["role"]
        _check_keys(message, role, where)
        if role in {"system", "developer"}:
            system += [block for block in _texts(message.get("content"), f"{where}.content") if block.text]
        else:
            append(turns, "assistant" if role == "assistant" else "user", _blocks(message, role, where))
    return tuple(system), tuple(turns)


def _check_keys(message: Mapping[str, Any], role: str, where: str) -> None:
    if role == "function":
        raise unsayable(f"{where}.role")
    only(message, _KEYS[role], where)


def _blocks(message: Mapping[str, Any], role: str, where: str) -> tuple[Block, ...]:
    content = message.get("content")
    if role == "tool":
        return (_result(message, where),)
    if role == "user":
        return tuple(_parts(content, f"{where}.content"))
    refusal = message.get("refusal")
    if not isinstance(refusal, str | None):
        raise Malformed(f"`{where}.refusal` must be a string.", param=f"{where}.refusal")
    said = [*_texts(content, f"{where}.content"), *_texts(refusal, f"{where}.refusal")]
    calls = message.get("tool_calls") or ()
    called = [_call(call, f"{where}.tool_calls[{index}]") for index, call in enumerate(calls)]
    return (*(block for block in said if block.text), *called)


def _result(message: Mapping[str, Any], where: str) -> Result:
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str) or not call_id:
        raise Malformed(f"`{where}.tool_call_id` must be a non-empty string.", param=f"{where}.tool_call_id")
    return Result(call_id, tuple(_parts(message.get("content"), f"{where}.content")))


def _texts(content: Any, where: str) -> list[Text]:
    """Return content that can only be words."""
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)]
    return [_text(part, f"{where}[{index}]") for index, part in enumerate(content)]


def _text(part: Mapping[str, Any], where: str) -> Text:
    kind = part["type"]
    text = part.get("text" if kind == "text" else "refusal")
    if kind not in {"text", "refusal"} or not isinstance(text, str):
        raise unsayable(f"{where}.{kind}")
    only(part, {"type", kind, "cache_control"}, where)
    return Text(text, _mark(part.get("cache_control"), f"{where}.cache_control"))


def _mark(mark: Any, where: str) -> Literal["5m", "1h"] | None:
    """Return for how long a part is to be cached: Anthropic's own words, which others that speak chat take, too."""
    if mark is None:
        return None
    lifetime = mark.get("ttl", "5m") if isinstance(mark, dict) and mark.get("type") == "ephemeral" else None
    if lifetime not in ("5m", "1h"):
        raise Malformed(f'`{where}` must be {{"type": "ephemeral", "ttl": "5m" or "1h"}}.', param=where)
    only(mark, {"type", "ttl"}, where)
    return cast('Literal["5m", "1h"]', lifetime)


def _parts(content: Any, where: str) -> Iterator[Text | ImageBytes | ImageLink]:
    if not isinstance(content, list):
        yield from (block for block in _texts(content, where) if block.text)
        return
    for index, part in enumerate(content):
        if part["type"] == "image_url":
            yield _image(part, f"{where}[{index}]")
        else:
            block = _text(part, f"{where}[{index}]")
            if block.text:
                yield block


def _image(part: Mapping[str, Any], where: str) -> ImageBytes | ImageLink:
    only(part, {"type", "image_url"}, where)
    image = part["image_url"]
    only(image, {"url", "detail"}, f"{where}.image_url")
    return image_at(image["url"], f"{where}.image_url.url")


def _call(call: Mapping[str, Any], where: str) -> Call:
    if call.get("type", "function") != "function":
        raise unsayable(f"{where}.type")
    function, call_id = call.get("function"), call.get("id")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not isinstance(call_id, str):
        raise Malformed(f"`{where}` must have an `id` and a `function` with a `name`.", param=where)
    only(call, {"id", "type", "function", "index"}, where)  # the last is an echo of a stream
    only(function, {"name", "arguments"}, f"{where}.function")
    return Call(call_id, function["name"], _arguments(function.get("arguments"), f"{where}.function.arguments"))


def _arguments(text: Any, where: str) -> Mapping[str, Any]:
    try:
        found = lenient.loads(text.encode()) if text else {}
    except (ValueError, AttributeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Malformed(f"`{where}` must be the text of a JSON object.", param=where)
    return found


# ---- tools and settings --------------------------------------------------------------------------------------------


def _tool(tool: Mapping[str, Any], where: str) -> Tool:
    if tool["type"] != "function":
        raise unsayable(f"{where}.type")
    only(tool, {"type", "function"}, where)
    function = tool["function"]
    only(function, {"name", "description", "parameters", "strict"}, f"{where}.function")
    schema, description = function.get("parameters"), function.get("description")
    if not isinstance(schema, dict | None) or not isinstance(description, str | None):
        raise Malformed(f"`{where}.function` needs a text as `description` and an object as `parameters`.", param=where)
    return Tool(function["name"], description, schema, strict=function.get("strict") is True)


def _choice(choice: Any) -> Choice | None:
    if choice is None or choice in ("auto", "none", "required"):
        return cast("Choice | None", choice)
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise unsayable("tool_choice", "must be auto, none, required or one function to be carried over")
    only(choice, {"type", "function"}, "tool_choice")
    only(function or {}, {"name"}, "tool_choice.function")
    return Named(name)


def _parallel(value: Any) -> bool | None:
    if not isinstance(value, bool | None):
        raise Malformed("`parallel_tool_calls` must be true or false.", param="parallel_tool_calls")
    return value


def _effort(effort: Any) -> str | None:
    if effort is None or effort in ("none", "minimal", "low", "medium", "high", "xhigh"):
        return cast("str | None", effort)
    raise unsayable("reasoning_effort", "must be none, minimal, low, medium, high or xhigh")


def _schema(wanted: Any) -> Mapping[str, Any] | None:
    """Return the schema asked for. Its name and description are labels; JSON of no stated shape has no word."""
    if wanted is None:
        return None
    only(wanted, {"type", "json_schema"}, "response_format")
    if wanted["type"] == "text":
        return None
    schema = wanted["json_schema"].get("schema") if wanted["type"] == "json_schema" else None
    if schema is None:
        raise unsayable("response_format", "can be carried over only as `json_schema` with a schema")
    only(wanted["json_schema"], {"name", "description", "schema", "strict"}, "response_format.json_schema")
    return schema  # type: ignore[no-any-return]  # `proxy.wire.shapes` checked that it is an object


def _user(fields: Mapping[str, Any]) -> str | None:
    metadata = fields.get("metadata") or {}
    for found in (fields.get("user"), fields.get("safety_identifier"), metadata.get("user_id")):
        if isinstance(found, str) and found:
            return found
    return None
