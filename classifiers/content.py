"""Reads one message's content: text, images, tool results; injected blocks are cut out."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

TEXT_CHARS_MAX = 4_000
"""Nothing below it is cut; reading so much takes a twentieth of a millisecond."""
PARTS_READ_MAX = 64  # of one message; far above what clients send, keeps junk cheap
BLOCKS_CUT_MAX = 16  # of one message and end; coding agents inject fewer than ten
TAG_CHARS_MAX = 64

_TEXT_TYPES = frozenset({"text", "input_text", "output_text"})
_IMAGE_TYPES = frozenset({"image_url", "input_image", "image"})
_RESULT_TYPES = frozenset({"tool_result", "function_call_output", "custom_tool_call_output", "computer_call_output"})

# What agents and editors put around the words of the person who asks. Lower case only: these
# tags are written by programs. `<context>` and `<document>` are not here: people use those.
_INJECTED = (
    r"system[-_]reminder|environment[-_](?:details|context)|(?:local-)?command-[a-z-]+|user_info"
    r"|user-prompt-submit-hook|ide_opened_file|ide_selection|attached_files|additional_data"
    r"|open_and_recently_viewed_files|task_metadata|function_results|tool_result"
)
_OPENING = re.compile(rf"<({_INJECTED})(?:\s[^<>]{{0,200}})?>")
_CLOSING = re.compile(rf"</({_INJECTED})>")


class Content(NamedTuple):
    """What one message holds. `texts` are references, not copies; `chars` is their length."""

    texts: tuple[str, ...]
    chars: int
    images: int
    tool_results: int

    @property
    def text(self) -> str:
        """All texts, one per line."""
        return self.texts[0] if len(self.texts) == 1 else "\n".join(self.texts)


def read_content(content: Any) -> Content:
    """Read a message's content, a string or a list of parts; anything else is empty."""
    if isinstance(content, str):
        return Content((content,), len(content), 0, 0)
    texts: list[str] = []
    images = tool_results = 0
    for part in _parts(content):
        kind = part.get("type")
        if not isinstance(kind, str):
            continue
        images += kind in _IMAGE_TYPES
        tool_results += kind in _RESULT_TYPES
        text = part.get("text")
        if kind in _TEXT_TYPES and isinstance(text, str):
            texts.append(text)
    return Content(tuple(texts), sum(map(len, texts)), images, tool_results)


def _parts(content: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(content, list | tuple):
        return
    half = PARTS_READ_MAX // 2
    near = content if len(content) <= PARTS_READ_MAX else [*content[:half], *content[-half:]]
    for part in near:
        if isinstance(part, str):
            yield {"type": "text", "text": part}
        elif isinstance(part, Mapping):
            yield part


def spoken(text: str) -> tuple[str, int]:
    """Take the person's own words out of a message.

    Returns:
        The words without injected blocks, at most `TEXT_CHARS_MAX` of them (head and tail), and
        how many characters there were before that bound.
    """
    if "<" not in text and len(text) <= TEXT_CHARS_MAX:
        text = text.strip()
        return text, len(text)
    text = _without_tail_blocks(_without_head_blocks(text))
    if len(text) <= TEXT_CHARS_MAX:
        text = _without_whole_blocks(text)
        return text, len(text)
    half = TEXT_CHARS_MAX // 2
    return _head_of_cut(text[:half]) + _tail_of_cut(text[-half:]), len(text)


def bounded(text: str) -> str:
    """Keep head and tail of a long text: instructions stand before or after what is pasted."""
    if len(text) <= TEXT_CHARS_MAX:
        return text
    half = TEXT_CHARS_MAX // 2
    return text[:half] + text[-half:]


def _without_head_blocks(text: str) -> str:
    text = text.lstrip()
    for _ in range(BLOCKS_CUT_MAX):
        opening = _OPENING.match(text)
        if opening is None:
            break
        closing = f"</{opening[1]}>"
        end = text.find(closing, opening.end())
        if end < 0:
            break
        text = text[end + len(closing) :].lstrip()
    return text


def _without_tail_blocks(text: str) -> str:
    text = text.rstrip()
    for _ in range(BLOCKS_CUT_MAX):
        closing_at = text.rfind("</", max(0, len(text) - TAG_CHARS_MAX))
        closing = _CLOSING.fullmatch(text, closing_at) if closing_at >= 0 else None
        start = text.rfind(f"<{closing[1]}", 0, closing_at) if closing else -1
        if start < 0:
            break
        text = text[:start].rstrip()
    return text


def _without_whole_blocks(text: str) -> str:
    if "<" not in text:
        return text
    kept: list[str] = []
    at = 0
    for opening in _OPENING.finditer(text):
        closing = f"</{opening[1]}>"
        end = text.find(closing, opening.end())
        if opening.start() < at or end < 0:
            continue
        kept.append(text[at : opening.start()])
        at = end + len(closing)
    return "".join([*kept, text[at:]]).strip()


def _head_of_cut(text: str) -> str:
    """The head half; a block that the bound tore open at its end is no word of the person."""
    text = _without_whole_blocks(text)
    torn = _OPENING.search(text)
    return text[: torn.start()] if torn else text


def _tail_of_cut(text: str) -> str:
    text = _without_whole_blocks(text)
    for torn in _CLOSING.finditer(text):
        return text[torn.end() :]
    return text
