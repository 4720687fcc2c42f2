"""Splits an ask into words and finds where its order ends and its material begins."""

import re
from typing import NamedTuple

OPENING_WORDS = 12  # where people say what they want
ORDER_CHARS, ORDER_CHARS_MIN = 160, 10  # an order shorter than "translate:" is a salutation
WIDE_SAMPLE = 64  # characters looked at to learn the script

_ORDER_ENDS = re.compile(r':[ \n]|[\n"“«„：]')
_ASCII_SEPARATORS = b".,;:!?()[]{}\"'-*`/|<>=\n\t\r"
_TO_SPACE = bytes(0x20 if byte in _ASCII_SEPARATORS else byte for byte in range(256))
_OTHER_SEPARATORS = "’“”«»„¿¡–—…。、？！，："


class Words(NamedTuple):
    """An ask's words.

    Attributes:
        lowered: The text in lower case.
        raw: The same in UTF-8; counting and translating bytes is several times faster.
        words: Its words, in order.
        order_words: How many of the first words are the order, at most `OPENING_WORDS`.
        material: Whether something follows the order: after a colon, a quote or a line's end.
    """

    lowered: str
    raw: bytes
    words: list[str]
    order_words: int
    material: bool


def read_words(text: str) -> Words:
    """Split a text. Scripts without spaces give few, long words: see `wide_share`."""
    lowered = text.lower()
    raw = lowered.encode("utf-8", "surrogatepass")
    order_words, material = _order(lowered)
    return Words(lowered, raw, _split(lowered, raw), order_words, material)


def _split(lowered: str, raw: bytes) -> list[str]:
    words = raw.translate(_TO_SPACE).decode("utf-8", "surrogatepass")
    if len(raw) > len(lowered):
        for mark in _OTHER_SEPARATORS:
            if mark in words:
                words = words.replace(mark, " ")
    return words.split()


def _order(lowered: str) -> tuple[int, bool]:
    head = lowered[:ORDER_CHARS]
    end = _ORDER_ENDS.search(head, ORDER_CHARS_MIN)
    if end is None:
        return OPENING_WORDS, False
    order = head[: end.start()]
    return min(OPENING_WORDS, len(_split(order, order.encode("utf-8", "surrogatepass")))), True


def wide_share(lowered: str) -> float:
    """The share of characters from scripts that write a word in one or two of them."""
    if lowered.isascii():
        return 0.0
    sample = lowered[:: max(1, len(lowered) // WIDE_SAMPLE)]
    return sum(map(_is_wide, sample)) / len(sample)


def _is_wide(char: str) -> bool:
    return char >= "\u3040" and (char <= "\u30ff" or "\u3400" <= char <= "\u9fff" or "가" <= char <= "힣")
