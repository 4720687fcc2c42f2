"""A Responses request → the neutral form, for providers that speak another format.

What the form has no word for is named, never dropped: `unheld` names a field by a look at the top of the request,
`read` a place deeper in it. Left out are labels (`metadata`, a schema's name), hints that cannot change an answer
(`detail` of an image, cache keys, `reasoning.summary`, a wish for encrypted reasoning or for padding of a stream) and
what an item echoes of an earlier answer without being input: its id, its status, its annotations, and reasoning, which
only who wrote it can read. Source: OpenAI's API reference, "Create a model response".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, cast

from proxy.wire import lenient
from proxy.wire.errors import Malformed
from proxy.wire.neutral import Block, Call, Choice, ImageBytes, ImageLink, Named, Prompt, Result, Text, Tool, Turn
from proxy.wire.prompts import append, first_unheld, image_at, only, unsayable
from proxy.wire.responses import ResponsesRequest, kind_of

_HELD: Final = frozenset(
    {
        "model", "input", "instructions", "stream", "stream_options", "max_output_tokens", "temperature", "top_p",
        "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "user", "safety_identifier", "metadata",
        "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "store", "previous_response_id",
        "background", "conversation", "prompt",
    }
)  # fmt: skip
"""Fields that the form has a word for, hints and labels, and what the request's reader saw to."""

_HARMLESS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "include": lambda value: all(each == "reasoning.encrypted_content" for each in value),
    "service_tier": lambda value: value in ("auto", "default"),
    "top_logprobs": lambda value: value == 0,
    "truncation": lambda value: value == "disabled",
    "context_management": lambda value: value == [],
}
"""Fields that it has no word for, and the values at which they ask for nothing."""

_LABELS: Final = frozenset({"id", "type", "status", "phase"})
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "message": _LABELS | {"role", "content"},
    "function_call": _LABELS | {"call_id", "name", "arguments"},
    "function_call_output": _LABELS | {"call_id", "output", "name"},
}
_PART_TEXT: Final[Mapping[str, str]] = {
    "input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal",
}  # fmt: skip
_PART_LABELS: Final = frozenset({"type", "annotations", "logprobs", "prompt_cache_breakpoint"})
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh")


def unheld(ask: ResponsesRequest) -> str | None:
    """Name the first field, tool or item that the form has no word for; None when there is none."""
    found = first_unheld(ask.fields, _HELD, _HARMLESS)
    if found is not None:
        return found
    return next(_strange(ask), None)


def _strange(ask: ResponsesRequest) -> Iterator[str]:
    for index, tool in enumerate(ask.fields.get("tools") or ()):
        if tool["type"] != "function":
            yield f"tools[{index}].type"
    for index, item in enumerate(ask.items):
        if kind_of(item) not in _KEYS and kind_of(item) != "reasoning":
            yield f"input[{index}].type"
    text = ask.fields.get("text") or {}
    if text.get("verbosity") not in (None, "medium"):
        yield "text.verbosity"
    reasoning = ask.fields.get("reasoning") or {}
    if reasoning.get("mode") not in (None, "standard"):
        yield "reasoning.mode"


def read(ask: ResponsesRequest, before: Iterable[Mapping[str, Any]] = ()) -> Prompt:
    """Return the neutral form.

    Args:
        ask: The request.
        before: The items of the conversation that it goes on with.

    Raises:
        Malformed: with `param` naming what the form has no word for.
    """
    name = unheld(ask)
    if name is not None:
        raise unsayable(name)
    fields = ask.fields
    only(fields.get("stream_options") or {}, {"include_obfuscation"}, "stream_options")
    said = [("previous_response_id", item) for item in before]
    said += [(f"input[{index}]", item) for index, item in enumerate(ask.items)]
    system, turns = _conversation(said)
    instructions = fields.get("instructions")
    return Prompt(
        system=(Text(instructions), *system) if instructions else system,
        turns=turns,
        tools=tuple(_tool(tool, f"tools[{index}]") for index, tool in enumerate(fields.get("tools") or ())),
        choice=_choice(fields.get("tool_choice")),
        parallel=_parallel(fields.get("parallel_tool_calls")),
        output_max=ask.output_max,
        temperature=fields.get("temperature"),
        top_p=fields.get("top_p"),
        effort=_effort(fields.get("reasoning") or {}),
        schema=_schema(fields.get("text") or {}),
        user=_user(fields),
        stream=ask.stream,
    )


# ---- the conversation ----------------------------------------------------------------------------------------------


def _conversation(items: list[tuple[str, Mapping[str, Any]]]) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """Return the instructions and the turns. Instructions are lifted out, wherever they stand, in their order."""
    system: list[Text] = []
    turns: list[Turn] = []
    for where, item in items:
        kind = kind_of(item)
        if kind == "reasoning":
            continue
        _check_keys(item, kind, where)
        if item.get("role") in {"system", "developer"}:
            system += _texts(item["content"], f"{where}.content")
        elif kind == "message":
            append(turns, "assistant" if item["role"] == "assistant" else "user", _said(item, where))
        elif kind == "function_call":
            call = Call(item["call_id"], item["name"], _arguments(item["arguments"], f"{where}.arguments"))
            append(turns, "assistant", (call,))
        else:
            append(turns, "user", (_result(item, where),))
    return tuple(system), tuple(turns)


def _check_keys(item: Mapping[str, Any], kind: str, where: str) -> None:
    known = _KEYS.get(kind)
    if known is None:
        raise unsayable(f"{where}.type")
    only(item, known, where)


def _said(item: Mapping[str, Any], where: str) -> tuple[Block, ...]:
    content = item["content"]
    if item["role"] == "assistant":
        return tuple(_texts(content, f"{where}.content"))
    return tuple(_parts(content, f"{where}.content"))


def _result(item: Mapping[str, Any], where: str) -> Result:
    call_id = item.get("call_id")
    if not isinstance(call_id, str) or not call_id:
        raise Malformed(f"`{where}.call_id` must be a non-empty string.", param=f"{where}.call_id")
    return Result(call_id, tuple(_parts(item["output"], f"{where}.output")))


def _texts(content: Any, where: str) -> list[Text]:
    """Return content that can only be words, without what is empty."""
    found = list(_parts(content, where))
    for block in found:
        if not isinstance(block, Text):
            raise unsayable(where, "can hold only words here")
    return cast("list[Text]", found)


def _parts(content: Any, where: str) -> Iterator[Text | ImageBytes | ImageLink]:
    if isinstance(content, str):
        if content:
            yield Text(content)
        return
    for index, part in enumerate(content if isinstance(content, list) else [content]):
        block = _part(part, f"{where}[{index}]")
        if not isinstance(block, Text) or block.text:
            yield block


def _part(part: Mapping[str, Any], where: str) -> Text | ImageBytes | ImageLink:
    kind = part["type"]
    if kind == "input_image":
        return _image(part, where)
    name = _PART_TEXT.get(kind)
    if name is None:
        raise unsayable(f"{where}.{kind}")
    only(part, _PART_LABELS | {name}, where)
    text = part.get(name)
    if not isinstance(text, str):
        raise Malformed(f"`{where}.{name}` must be a string.", param=f"{where}.{name}")
    return Text(text, _mark(part.get("prompt_cache_breakpoint")))


def _mark(mark: Any) -> Literal["5m", "1h"] | None:
    """Return for how long a part is to be cached: the shorter of the form's two lifetimes for OpenAI's shorter."""
    if not isinstance(mark, dict):
        return None
    return "1h" if mark.get("ttl") == "12h" else "5m"


def _image(part: Mapping[str, Any], where: str) -> ImageBytes | ImageLink:
    only(part, _PART_LABELS | {"image_url", "detail"}, where)
    url = part.get("image_url")
    if not isinstance(url, str):
        raise Malformed(f"`{where}.image_url` must be a string.", param=f"{where}.image_url")
    return image_at(url, f"{where}.image_url")


def _arguments(text: str, where: str) -> Mapping[str, Any]:
    try:
        found = lenient.loads(text.encode()) if text else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Malformed(f"`{where}` must be the text of a JSON object.", param=where)
    return found


# ---- tools and settings --------------------------------------------------------------------------------------------


def _tool(tool: Mapping[str, Any], where: str) -> Tool:
    only(tool, {"type", "name", "description", "parameters", "strict"}, where)
    schema, description = tool.get("parameters"), tool.get("description")
    if not isinstance(schema, dict | None) or not isinstance(description, str | None):
        raise Malformed(f"`{where}` needs a text as `description` and an object as `parameters`.", param=where)
    return Tool(tool["name"], description, schema, strict=tool.get("strict") is True)


def _choice(choice: Any) -> Choice | None:
    if choice is None or choice in ("auto", "none", "required"):
        return cast("Choice | None", choice)
    name = choice.get("name") if isinstance(choice, dict) and choice.get("type") == "function" else None
    if not isinstance(name, str):
        raise unsayable("tool_choice", "must be auto, none, required or one function to be carried over")
    only(choice, {"type", "name"}, "tool_choice")
    return Named(name)


def _parallel(value: Any) -> bool | None:
    if not isinstance(value, bool | None):
        raise Malformed("`parallel_tool_calls` must be true or false.", param="parallel_tool_calls")
    return value


def _effort(reasoning: Mapping[str, Any]) -> str | None:
    only(reasoning, {"effort", "summary", "generate_summary", "mode"}, "reasoning")
    effort = reasoning.get("effort")
    if effort is None or effort in _EFFORTS:
        return cast("str | None", effort)
    raise unsayable("reasoning.effort", f"must be one of {', '.join(_EFFORTS)}")


def _schema(text: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema asked for. Its name and description are labels; JSON of no stated shape has no word."""
    only(text, {"format", "verbosity"}, "text")
    form = text.get("format")
    if form is None:
        return None
    only(form, {"type", "name", "description", "schema", "strict"}, "text.format")
    if form["type"] == "text":
        return None
    if form["type"] != "json_schema":
        raise unsayable("text.format", "can be carried over only as `json_schema` with a schema")
    return cast("Mapping[str, Any]", form["schema"])


def _user(fields: Mapping[str, Any]) -> str | None:
    metadata = fields.get("metadata") or {}
    for found in (fields.get("user"), fields.get("safety_identifier"), metadata.get("user_id")):
        if isinstance(found, str) and found:
            return found
    return None
