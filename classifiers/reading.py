"""Reads a text into the keys that the weights are looked up by: words, pairs of words, openings, measures.

The same function reads for training and for judging. Everything here is one pass in C over the text: folded once,
split once, intersected with what the weights know. No regular expressions but for what only texts beyond ASCII have.
"""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

LOWERED_CHARS = 400  # letters beyond ASCII are lowered so far; it is slow, and capitals stand at the beginning
OPENING_WORDS = 12  # where people say what they want
STEM_CHARS = 5  # "translate", "translation" and "traduire", "traduction" begin alike
PAIRED_WORDS_HEAD, PAIRED_WORDS_TAIL = 80, 20
"""Pairs are looked up in the first and last words of a long text: there stand the orders, and pairs cost most."""
WIDE_CHARS_HEAD, WIDE_CHARS_TAIL = 400, 100
COUNTS_TOP = 4_096  # larger counts are one bucket
COUNTED = 4_095  # of one mark; a bounded text has no more of it than is worth telling apart

_SEPARATORS = b".,;:!?()[]{}\"'-*`/|<>=\n\t\r+^%$#&@~\\_"
# Also 0xC2, 0xE2 and 0xEF begin marks, not letters: « ¿ ’ “ — and the full-width ones.
_SEPARATORS += b"\xc2\xe2\xef"
_FOLDED = bytes(
    0x20 if byte in _SEPARATORS else 0x30 if 0x30 <= byte <= 0x39 else byte + 0x20 if 0x41 <= byte <= 0x5A else byte
    for byte in range(256)
)
_WIDE_SEPARATORS = re.compile("[。、「」・।]")
_NOT_WIDE = bytes(byte for byte in range(256) if not (0xD8 <= byte <= 0xDB or byte == 0xE0 or 0xE3 <= byte <= 0xED))
"""All bytes but those that begin a character of Arabic, Devanagari, Thai, kana, Han or Hangul in UTF-8."""
_LETTERS = bytes(byte for byte in range(256) if byte > 0x7E or chr(byte).isalpha() or byte == 0x20)

Key = str | tuple[str, str]
Counter = Callable[[bytes], int]


def _bucket(count: int) -> int:
    """Two buckets for each doubling: difficulty follows the logarithm of a length."""
    bits = count.bit_length()
    return count if count < 4 else bits * 2 - 2 + ((count >> (bits - 2)) & 1)


BUCKETS = tuple(_bucket(count) for count in range(COUNTS_TOP + 1))
BUCKETS_MAX = BUCKETS[-1] + 1
MEASURES = (
    *("bytes", "words", "digits", "mark_share", "questions", "lines", "brackets", "maths", "commas", "stops", "code"),
    "word_length",
)
"""What is counted of a text, each as the number of a bucket."""


class Reading(NamedTuple):
    """What one pass over a text found.

    Attributes:
        words: Its words in order; digits are zeros, as no single number says anything.
        wide: The beginning and end of a text in a script that writes without spaces (or inflects), else empty.
        size: Its length in UTF-8: a Han character weighs three Latin letters.
        marks: What is neither letter nor blank.
        measures: A bucket for each of `MEASURES`.
    """

    words: list[str]
    wide: str
    size: int
    marks: bytes
    measures: tuple[int, ...]


def read_text(text: str) -> Reading:
    """Read a text that is already bounded. Total: any string, lone surrogates too."""
    wide = ""
    if text.isascii():
        raw = text.encode()
        words = raw.translate(_FOLDED).decode().split()
    else:
        raw = (text[:LOWERED_CHARS].lower() + text[LOWERED_CHARS:]).encode("utf-8", "surrogatepass")
        folded = raw.translate(_FOLDED).decode("utf-8", "ignore")  # what is left of a mark after its first byte goes
        if raw.translate(None, _NOT_WIDE):
            folded = _WIDE_SEPARATORS.sub(" ", folded)
            wide = text
            if len(wide) > WIDE_CHARS_HEAD + WIDE_CHARS_TAIL:
                wide = wide[:WIDE_CHARS_HEAD] + wide[-WIDE_CHARS_TAIL:]
        words = folded.split()
    marks = raw.translate(None, _LETTERS)
    return Reading(words, wide, len(raw), marks, _measures(len(raw), len(words) or 1, marks))


_DIGITS_KEPT = bytes(byte for byte in range(256) if not 0x30 <= byte <= 0x39)
_MATHS_KEPT = bytes(byte for byte in range(256) if byte not in b"=+*^/$\\%")
_BRACKETS_KEPT = bytes(byte for byte in range(256) if byte not in b"()[]{}")
_CODE_KEPT = bytes(byte for byte in range(256) if byte not in b"<>`_;|")


def _measures(size: int, many: int, marks: bytes) -> tuple[int, ...]:
    """Count; of counts that are seldom above a few the bucket is the count."""
    count, drop, many_marks, bucket = marks.count, marks.translate, len(marks), BUCKETS
    return (
        bucket[min(COUNTS_TOP, size)],
        bucket[min(COUNTS_TOP, many)],
        bucket[len(drop(None, _DIGITS_KEPT)[:COUNTS_TOP])],
        many_marks * 40 // size if many_marks < size // 2 else 20,
        bucket[count(b"?") & COUNTED],
        bucket[count(b"\n") & COUNTED],
        bucket[len(drop(None, _BRACKETS_KEPT)[:COUNTS_TOP])],
        bucket[len(drop(None, _MATHS_KEPT)[:COUNTS_TOP])],
        bucket[count(b",") & COUNTED],
        bucket[count(b".") & COUNTED],
        bucket[len(drop(None, _CODE_KEPT)[:COUNTS_TOP])],
        size * 2 // many if size < 10 * many else 20,
    )


def keys(reading: Reading) -> "set[Key]":
    """Return all that is looked up wherever it stands: words, and pairs of neighbouring words or signs."""
    found: set[Key] = set(reading.words)
    found.update(pairwise(paired_words(reading.words)))
    found.update(pairwise(reading.wide))
    return found


def paired_words(words: list[str]) -> list[str]:
    """Return the words whose pairs are looked up."""
    if len(words) <= PAIRED_WORDS_HEAD + PAIRED_WORDS_TAIL:
        return words
    return words[:PAIRED_WORDS_HEAD] + words[-PAIRED_WORDS_TAIL:]


def stems(words: list[str]) -> list[str]:
    """Return the beginnings of the first words."""
    return [word[:STEM_CHARS] for word in words[:OPENING_WORDS]]
