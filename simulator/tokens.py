"""Counting tokens: one per four bytes of UTF-8, plus a little for each message.

Four bytes is about four letters of English, two of Cyrillic or Greek, one and a third Chinese
characters, one emoji: close to what real tokenizers need, with no vocabulary to load. No message
counts more tokens than its text has bytes, so a byte count is a safe ceiling. Images are extra.
Audio and file parts are counted as nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from simulator.errors import ApiError

_BYTES_PER_TOKEN: Final = 4
_MESSAGE_TOKENS: Final = 3  # what OpenAI adds per message: its start, role and end
IMAGE_TOKENS: Final = 765
"""An image: 85 plus four tiles of 170 (1024 × 1024 at high detail in OpenAI's vision guide)."""
LOW_DETAIL_TOKENS: Final = 85
"""An image with `"detail": "low"`."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the prompt that the prompt cache sees as a whole: the tools, or one message."""

    content: Any
    tokens: int
    is_marked: bool = False
    """Whether a breakpoint for the prompt cache stands in it."""


def count(text: str) -> int:
    """Return the tokens in a text."""
    size_bytes = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -(-size_bytes // _BYTES_PER_TOKEN)


def segments(messages: Sequence[Any], extras: Sequence[Any]) -> tuple[Segment, ...]:
    """Return the prompt in the order the model reads it: tools and schemas, then messages.

    Raises:
        ApiError: A message is not what the chat API takes (400).
    """
    before = [Segment(extra, count(orjson.dumps(extra).decode())) for extra in extras if extra]
    return (*before, *(_message(message) for message in messages))


def text_of(message: dict[str, Any]) -> str:
    """Return what a message says, its text parts joined by line feeds.

    Raises:
        ApiError: The content is neither text, nor a list of parts, nor absent (400).
    """
    return "\n".join(_texts(message))


def _texts(message: dict[str, Any]) -> list[str]:
    content = message.get("content")
    if content is None:
        return []
    return [content] if isinstance(content, str) else [_part_text(part) for part in _parts(content)]


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return content
    raise _invalid("Invalid type for 'messages[].content': expected a string or an array of parts.")


def _part_text(part: dict[str, Any]) -> str:
    text = part.get("text") if part.get("type") == "text" else part.get("refusal")
    return text if isinstance(text, str) else ""


def _message(message: Any) -> Segment:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise _invalid("Invalid value in 'messages': each must be an object with a 'role'.")
    text = "".join(_texts(message)) + _calls_text(message)
    size_bytes = len(text.encode("utf-8", "surrogatepass"))
    tokens = min(count(text) + _MESSAGE_TOKENS, size_bytes)
    content = message.get("content")
    marked = isinstance(content, list) and any("prompt_cache_breakpoint" in part for part in content)
    return Segment(_unmarked(message), tokens + _image_tokens(content), marked)


def _unmarked(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as the cache knows it: the same, whether its texts are parts or not, and with breakpoints."""
    content = message.get("content")
    if not isinstance(content, list) or any(part.get("type") != "text" for part in content):
        return message
    return {**message, "content": "\n".join(_texts(message))}


def _calls_text(message: dict[str, Any]) -> str:
    calls = message.get("tool_calls")
    return orjson.dumps(calls).decode() if calls else ""


def _image_tokens(content: Any) -> int:
    if not isinstance(content, list):
        return 0
    return sum(_one_image(part) for part in content if part.get("type") == "image_url")


def _one_image(part: dict[str, Any]) -> int:
    image = part.get("image_url")
    low = isinstance(image, dict) and image.get("detail") == "low"
    return LOW_DETAIL_TOKENS if low else IMAGE_TOKENS


def _invalid(message: str) -> ApiError:
    return ApiError(400, message, param="messages")
