r"""What of a prompt can go without anything being left out: passes over its texts, and its tokens before and after.

    whitespace   blanks before a line's end, more than one empty line; not in code between ``` fences
    json         blanks between the tokens of JSON: a whole text that is JSON, or what stands between ```json fences
    duplicates   a block of text that stood in the prompt before, word for word: a line says so in its place
    schemas      of the tools' schemas: names of fields that say the field's name again, definitions nobody refers to

Every pass looks at what stands before a text, never at what comes after it, so a conversation that goes on begins as it
began: what a provider has in its prompt cache stays good. What a model said itself, and texts as short as an ask, are
left as they are. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

PASSES: Final = ("whitespace", "json", "duplicates", "schemas")

TEXT_CHARS_MIN: Final = 400
"""Shorter texts are asks, whose blanks may be what they are about, and hold little to save."""
BLOCK_CHARS_MIN: Final = 200
"""Shorter blocks are not worth the line that says where they stand."""
QUOTED_CHARS: Final = 60
"""How much of a block is said of it where it stood."""
TEXTS_CHARS_MAX: Final = 256 * 1024
"""What is looked through of one prompt: some 70,000 tokens, in 30 ms. A text that goes beyond stays as it is."""
COUNTED_CHARS: Final = 32 * 1024
"""Of a longer text so many characters are counted, in slices all over it: to count takes longer than to trim."""
SLICE_CHARS: Final = 1_024
LIGHTLY_SPOKEN: Final = frozenset({"system", "developer", "user", "tool", "function"})
"""Who writes what may be trimmed: all but the model itself."""

_TEXTS: Final = {"text": "text", "tool_result": "content"}
"""Parts of a content that hold texts, and where."""
_INNER_TEXTS: Final = {"text": "text"}

_BLANKS: Final = re.compile(r"[ \t\r]+(?=\n)")
_EMPTY_LINES: Final = re.compile(r"\n{3,}")
_FENCED: Final = re.compile(r"(^[ \t]*```[^\n]*\n.*?^[ \t]*```[ \t]*$)", re.MULTILINE | re.DOTALL)
_FENCED_JSON: Final = re.compile(r"(^[ \t]*```json[ \t]*\n)(.*?)(\n?^[ \t]*```[ \t]*$)", re.MULTILINE | re.DOTALL)
_JSON_TOKENS: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[^\s"]+')
_TOKENS: Final = re.compile(
    r"[A-Za-z]{1,7}|[\u2e80-\U0010ffff]|[^\W\d_]{1,3}|\d{1,3}|\s*\n\s*|[ \t]{2,}|(?:[^\w\s]|_){1,3}"
)


class Trimmed(NamedTuple):
    """A request's fields without what could go, and about how many tokens of them went, of how many in all."""

    fields: dict[str, Any]
    before: int
    after: int


def trimmed(surface: str, fields: Mapping[str, Any], passes: Collection[str]) -> Trimmed | None:
    """Return a request's fields with less in them; None where nothing can go.

    Args:
        surface: The API that it is written in, one of `SURFACES`.
        fields: The request as it was read. It is not changed.
        passes: What may be done, of `PASSES`.
    """
    work = _Work(passes)
    found = _BY_SURFACE[surface](fields, work)
    if "schemas" in passes and isinstance(fields.get("tools"), list):
        tools = [_tool(each, work) for each in fields["tools"]]
        if any(new is not old for new, old in zip(tools, fields["tools"], strict=True)):
            found["tools"] = tools
    if not work.is_changed:  # also where no token went: a conversation must begin as it did when one goes later
        return None
    before = work.gone + work.stayed
    return Trimmed({**fields, **found}, before, before - work.gone)


def tokens(text: str) -> int:
    """Return about how many tokens a text is: by words, numbers and signs, as a vocabulary of bytes cuts them.

    Runs of blanks are one, as they are there, so that the figure falls with what whitespace really costs. Within an
    eighth of what o200k makes of prose, code and JSON in Latin letters (`tests/caching/test_trims.py`).
    """
    if len(text) <= COUNTED_CHARS:
        return len(_TOKENS.findall(text))
    step = len(text) * SLICE_CHARS // COUNTED_CHARS
    counted = sum(len(_TOKENS.findall(text, at, at + SLICE_CHARS)) for at in range(0, len(text) - SLICE_CHARS, step))
    slices = len(range(0, len(text) - SLICE_CHARS, step))
    return round(counted * len(text) / (slices * SLICE_CHARS))


class _Work:
    """One prompt on its way: what was seen of it, and what went."""

    def __init__(self, passes: Collection[str]) -> None:
        self._passes = passes
        self._seen: set[str] = set()
        self._left_chars = TEXTS_CHARS_MAX
        self.gone = self.stayed = 0
        self.is_changed = False

    def text(self, text: str) -> str:
        """Return a text without what can go."""
        if len(text) < TEXT_CHARS_MIN or len(text) > self._left_chars:
            self.stayed += tokens(text) if len(text) < TEXT_CHARS_MIN else len(text) // 4
            return text
        self._left_chars -= len(text)
        new = text
        if "json" in self._passes:
            new = _without_json_blanks(new)
        if "whitespace" in self._passes:
            new = _outside_fences(new, _without_blanks)
        if "duplicates" in self._passes:
            new = self._without_repeats(new)
        return text if self.stays(text, new) else new

    def stays(self, old: str, new: str) -> bool:
        """Count what went of a text, and tell whether it stays as it was: where the new one is no shorter."""
        is_same, before = len(new) >= len(old), tokens(old)
        after = before if is_same else min(tokens(new), before)
        self.gone += before - after
        self.stayed += after
        self.is_changed = self.is_changed or not is_same
        return is_same

    def _without_repeats(self, text: str) -> str:
        if len(text) < BLOCK_CHARS_MIN:
            return text
        blocks = text.split("\n\n")
        for at, block in enumerate(blocks):
            key = block.strip()
            if len(key) < BLOCK_CHARS_MIN:
                continue
            if key in self._seen:
                blocks[at] = f'[as above: "{" ".join(key[:QUOTED_CHARS].split())}..."]'
            else:
                self._seen.add(key)
        return "\n\n".join(blocks)


def _without_json_blanks(text: str) -> str:
    bare = text.strip()
    if bare[:1] in {"{", "["} and _is_json(bare):
        return "".join(_JSON_TOKENS.findall(bare))
    return _FENCED_JSON.sub(_fence_without_blanks, text) if "```json" in text else text


def _fence_without_blanks(found: re.Match[str]) -> str:
    inside = found[2].strip()
    if not _is_json(inside):
        return found[0]
    return "".join([found[1], *_JSON_TOKENS.findall(inside), "\n", found[3].lstrip("\n")])


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _without_blanks(text: str) -> str:
    return _EMPTY_LINES.sub("\n\n", _BLANKS.sub("", text))


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    if "```" not in text:
        return change(text)
    return "".join(part if at % 2 else change(part) for at, part in enumerate(_FENCED.split(text)))


def _chat(fields: Mapping[str, Any], work: _Work) -> dict[str, Any]:
    return {"messages": [_message(each, work) for each in fields["messages"]]}


def _messages(fields: Mapping[str, Any], work: _Work) -> dict[str, Any]:
    system = fields.get("system")
    found = {} if system is None else {"system": _content(system, work)}
    return found | {"messages": [_message(each, work) for each in fields["messages"]]}


def _message(message: Mapping[str, Any], work: _Work) -> Mapping[str, Any]:
    content = message.get("content")
    if content is None:
        return message
    if message.get("role") not in LIGHTLY_SPOKEN:
        work.stayed += sum(tokens(each) for each in _texts(content))
        return message
    new = _content(content, work)
    return message if new is content else {**message, "content": new}


def _content(content: Any, work: _Work, texts: Mapping[str, str] = _TEXTS) -> Any:
    """Return a content, a text or parts, with less in it; the very same where nothing went."""
    if isinstance(content, str):
        return work.text(content)
    if not isinstance(content, list):
        return content
    parts = [_part(each, work, texts) for each in content]
    return parts if any(new is not old for new, old in zip(parts, content, strict=True)) else content


def _part(part: Any, work: _Work, texts: Mapping[str, str]) -> Any:
    name = texts.get(str(part.get("type"))) if isinstance(part, dict) else None
    if name is None or name not in part:
        return part
    new = _content(part[name], work, _INNER_TEXTS)
    return part if new is part[name] else {**part, name: new}


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (each["text"] for each in content if isinstance(each, dict) and isinstance(each.get("text"), str))


def _tool(tool: Any, work: _Work) -> Any:
    """Return a tool with a shorter schema: `function.parameters` at OpenAI, `input_schema` at Anthropic."""
    if not isinstance(tool, dict):
        return tool
    if isinstance(tool.get("function"), dict):
        inner = _with_schema(tool["function"], "parameters", work)
        return tool if inner is tool["function"] else {**tool, "function": inner}
    return _with_schema(tool, "input_schema", work)


def _with_schema(holder: dict[str, Any], name: str, work: _Work) -> dict[str, Any]:
    schema = holder.get(name)
    if not isinstance(schema, dict):
        return holder
    new = _schema(schema, None, 0)
    used = _references(new)
    if isinstance(new.get("$defs"), dict):
        new["$defs"] = {key: each for key, each in new["$defs"].items() if f"#/$defs/{key}" in used}
        if not new["$defs"]:
            del new["$defs"]
    old_text, new_text = orjson.dumps(schema).decode(), orjson.dumps(new).decode()
    return holder if work.stays(old_text, new_text) else {**holder, name: new}


_DEPTH_MAX: Final = 32
_OF_NAMES: Final = frozenset({"properties", "$defs", "definitions", "patternProperties"})
_AS_THEY_ARE: Final = frozenset({"enum", "const", "default", "examples"})
"""What of a schema is data."""


def _schema(schema: dict[str, Any], name: str | None, depth: int) -> dict[str, Any]:
    """Return a schema without titles that say its own name again, and without the name of its language."""
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "$schema" or (key == "title" and name is not None and _is_same_name(value, name)):
            continue
        if key in _OF_NAMES and isinstance(value, dict) and depth < _DEPTH_MAX:
            found[key] = {
                inner: _schema(each, inner, depth + 1) if isinstance(each, dict) else each
                for inner, each in value.items()
            }
        elif key not in _AS_THEY_ARE and depth < _DEPTH_MAX:
            found[key] = _below(value, depth + 1)
        else:
            found[key] = value
    return found


def _below(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return _schema(value, None, depth)
    if isinstance(value, list) and depth < _DEPTH_MAX:
        return [_below(each, depth + 1) for each in value]
    return value


def _is_same_name(title: Any, name: str) -> bool:
    return isinstance(title, str) and re.sub(r"[\W_]+", "", title).casefold() == re.sub(r"[\W_]+", "", name).casefold()


def _references(schema: dict[str, Any]) -> set[str]:
    found, waiting = set(), list[Any]([schema])
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if isinstance(each.get("$ref"), str):
                found.add(each["$ref"])
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return found


_BY_SURFACE: Final[dict[str, Callable[[Mapping[str, Any], _Work], dict[str, Any]]]] = {
    "chat": _chat,
    "messages": _messages,
}
SURFACES: Final = frozenset(_BY_SURFACE)
"""The APIs whose requests can be trimmed."""
