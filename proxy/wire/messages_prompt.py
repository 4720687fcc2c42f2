"""A Messages request → the neutral form, for providers that speak another format.

What the form has no word for is named, never dropped: `unheld` names a field by a look at the top of the request,
`read` a place deeper in it. Left out are what an assistant's message echoes without being input (thinking, citations, a
call's `caller`), labels (`metadata`), and what is shown of thinking (`thinking.display`). Source: Anthropic's API
reference, "Create a message".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, cast

from proxy.wire.errors import Malformed
from proxy.wire.messages import MessagesRequest, blocks
from proxy.wire.neutral import Block, Call, Choice, ImageBytes, ImageLink, Named, Prompt, Result, Text, Tool, Turn
from proxy.wire.prompts import append, first_unheld, image_at, only, unsayable

_HELD: Final = frozenset(
    {
        "model", "messages", "system", "stream", "max_tokens", "stop_sequences", "temperature", "top_p", "tools",
        "tool_choice", "output_config", "thinking", "metadata", "cache_control",
    }
)  # fmt: skip
"""Fields that the form has a word for, hints and labels."""

_HARMLESS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "service_tier": lambda value: value in ("auto", "standard_only"),
    "speed": lambda value: value == "standard",
    "mcp_servers": lambda value: value == [],
    "context_management": lambda value: value == {},
}
"""Fields that it has no word for, and the values at which they ask for nothing."""

_EFFORTS: Final = ("low", "medium", "high", "xhigh")
_CHOICES: Final[Mapping[str, Choice]] = {"auto": "auto", "none": "none", "any": "required"}
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "image": frozenset({"type", "source", "cache_control"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control", "caller"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
}
_FAILED: Final = Text("The tool failed: ")
_UNREAD: Final = frozenset({"thinking", "redacted_thinking"})
"""Only who wrote it can read it."""


def unheld(ask: MessagesRequest) -> str | None:
    """Name the first field, tool or block that the form has no word for; None when there is none."""
    found = first_unheld(ask.fields, _HELD, _HARMLESS)
    if found is not None:
        return found
    return next(_strange(ask.fields), None)


def _strange(fields: Mapping[str, Any]) -> Iterator[str]:
    for index, tool in enumerate(fields.get("tools") or ()):
        if tool.get("type") not in (None, "custom"):
            yield f"tools[{index}].type"
    thinking = fields.get("thinking") or {}
    if thinking.get("type") not in (None, "adaptive", "disabled"):
        yield "thinking"  # a budget in tokens is no effort
    config = fields.get("output_config") or {}
    if config.get("effort") not in (None, *_EFFORTS):
        yield "output_config.effort"
    for name in set(config) - {"effort", "format"}:
        yield f"output_config.{name}"
    for index, message in enumerate(fields["messages"]):
        for at, block in enumerate(blocks(message["content"])):
            if block["type"] not in _KEYS and block["type"] not in _UNREAD:
                yield f"messages[{index}].content[{at}].type"


def read(ask: MessagesRequest) -> Prompt:
    """Return the neutral form.

    Raises:
        Malformed: with `param` naming what the form has no word for.
    """
    name = unheld(ask)
    if name is not None:
        raise unsayable(name)
    fields = ask.fields
    system, turns = _conversation(fields["messages"])
    choice = fields.get("tool_choice") or {}
    config = fields.get("output_config") or {}
    only(fields.get("thinking") or {}, {"type", "display"}, "thinking")
    only(config.get("format") or {}, {"type", "schema"}, "output_config.format")
    return Prompt(
        system=(*_texts(fields.get("system"), "system"), *system),
        turns=turns,
        tools=tuple(_tool(tool, f"tools[{index}]") for index, tool in enumerate(fields.get("tools") or ())),
        choice=_choice(choice),
        parallel=False if choice.get("disable_parallel_tool_use") else None,
        output_max=ask.output_max,
        stops=tuple(fields.get("stop_sequences") or ()),
        temperature=fields.get("temperature"),
        top_p=fields.get("top_p"),
        effort=_effort(fields.get("thinking") or {}, config),
        schema=(config.get("format") or {}).get("schema"),
        user=_user(fields),
        stream=ask.stream,
    )


def _conversation(messages: list[dict[str, Any]]) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    system: list[Text] = []
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        where, role = f"messages[{index}].content", message["role"]
        only(message, {"role", "content"}, f"messages[{index}]")
        if role == "system":
            system += _texts(message["content"], where)
            continue
        append(turns, role, tuple(_blocks(message["content"], where)))
    return tuple(system), tuple(turns)


def _texts(content: Any, where: str) -> list[Text]:
    found = list(_blocks(content, where))
    for index, block in enumerate(found):
        if not isinstance(block, Text):
            raise unsayable(f"{where}[{index}].type")
    return cast("list[Text]", found)


def _blocks(content: Any, where: str) -> Iterator[Block]:
    for index, block in enumerate(blocks(content)):
        kind, at = block["type"], f"{where}[{index}]"
        if kind in _UNREAD:
            continue
        if kind not in _KEYS:
            raise unsayable(f"{at}.type")
        only(block, _KEYS[kind], at)
        if kind == "text":
            if block["text"]:
                yield Text(block["text"], _mark(block.get("cache_control"), f"{at}.cache_control"))
        elif kind == "image":
            yield _image(block["source"], f"{at}.source")
        elif kind == "tool_use":
            yield Call(block["id"], block["name"], block.get("input") or {})
        else:
            yield _result(block, at)


def _result(block: Mapping[str, Any], at: str) -> Result:
    parts = tuple(_blocks(block.get("content"), f"{at}.content"))
    for index, part in enumerate(parts):
        if not isinstance(part, Text | ImageBytes | ImageLink):
            raise unsayable(f"{at}.content[{index}].type")
    given = cast("tuple[Text | ImageBytes | ImageLink, ...]", parts)
    # Others have no mark for a tool that failed: the model is told in words, or it would take the error for an answer.
    return Result(block["tool_use_id"], (_FAILED, *given) if block.get("is_error") is True else given)


def _mark(marked: Any, where: str) -> Literal["5m", "1h"] | None:
    if marked is None:
        return None
    if not isinstance(marked, dict) or marked.get("type") != "ephemeral":
        raise Malformed(f'`{where}` must be {{"type": "ephemeral"}}.', param=where)
    lifetime = marked.get("ttl", "5m")
    if lifetime not in ("5m", "1h"):
        raise Malformed(f"`{where}.ttl` must be 5m or 1h.", param=f"{where}.ttl")
    only(marked, {"type", "ttl"}, where)
    return cast("Literal['5m', '1h']", lifetime)


def _image(source: Mapping[str, Any], where: str) -> ImageBytes | ImageLink:
    if source["type"] == "base64":
        media_type, told = source.get("media_type"), source.get("data")
        if isinstance(media_type, str) and isinstance(told, str):
            only(source, {"type", "media_type", "data"}, where)
            return ImageBytes(media_type, told)
    elif source["type"] == "url" and isinstance(source.get("url"), str):
        only(source, {"type", "url"}, where)
        return image_at(source["url"], f"{where}.url")
    raise Malformed(f"`{where}` must be base64 with its media type, or a URL.", param=where)


def _tool(tool: Mapping[str, Any], where: str) -> Tool:
    only(tool, {"type", "name", "description", "input_schema", "strict", "cache_control"}, where)
    _mark(tool.get("cache_control"), f"{where}.cache_control")
    return Tool(tool["name"], tool.get("description"), tool["input_schema"], bool(tool.get("strict")))


def _choice(choice: Mapping[str, Any]) -> Choice | None:
    kind = choice.get("type")
    only(choice, {"type", "name", "disable_parallel_tool_use"}, "tool_choice")
    if kind is None:
        return None
    if kind == "tool" and isinstance(choice.get("name"), str):
        return Named(choice["name"])
    found = _CHOICES.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise Malformed("`tool_choice.type` must be auto, any, none, or tool with a name.", param="tool_choice")
    return found


def _effort(thinking: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    if thinking.get("type") == "disabled":
        return "none"
    effort: str | None = config.get("effort")
    return effort


def _user(fields: Mapping[str, Any]) -> str | None:
    found = (fields.get("metadata") or {}).get("user_id")
    return found if isinstance(found, str) else None
