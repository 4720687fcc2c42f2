"""Reads an ask in bounded time: evidence for each task, signs of difficulty, plain measures.

Text is lowered once, split into words once and looked up in one table; the rest is counting of
bytes. No regular expressions: alternations that ignore case cost ten times as much.
"""

from collections.abc import Mapping
from typing import NamedTuple

from classifiers.ask import Ask
from classifiers.content import bounded
from classifiers.evidence import find_evidence
from classifiers.sign_cues import SIGNS
from classifiers.structure import add_structure
from classifiers.words import Words, read_words, wide_share

SIGNS_FOUND = frozenset(SIGNS)
WIDE_WORTH = 2.0  # a Han, kana or Hangul character says about as much as three Latin ones
# A closer look for code pays where its bytes are several, or dense as no prose has them.
CODE_BYTES_MIN, CODE_BYTES_SHARE = 4, 0.015
CODE_MARKS_MIN, CODE_MARKS_SURE = 3, 8

# Letters, blanks and bytes beyond ASCII go; about one byte in twenty of prose is left to count.
_LETTERS = bytes(b for b in range(256) if b > 0x7E or chr(b).isalpha() or b == 0x20)
_NOT_DIGITS = bytes(b for b in range(256) if not 0x30 <= b <= 0x39)
_NOT_MATHS = bytes(b for b in range(256) if b not in b"%=^+$\\")
_NOT_CODE = bytes(b for b in range(256) if b not in b";{}=<>#()[]`_\\&")
_NOT_STRONG_CODE = bytes(b for b in range(256) if b not in b"{}=<`_\\&")
_CODE = (
    *("def ", "class ", "import ", "return ", "#include", "public ", "void ", "();", "=>"),
    *("function(", "function ", "const ", "select ", "</", "self.", "{\n", "};", "==", "print("),
    *("traceback (", "error:", "exception"),
)
_INLINE_CODE = ("`", "\\d", "[a-z", "()", "->", "{}", "!=", "&&", "</")
_OTHER_MATHS = "√∫∑≤≥π²×"
_BULLETS = (b"\n-", b"\n*", b"\n2.", b"\n3.", b"\n4.", b"\n5.", b"\n6.", b"\n7.", b"\n2)", b"\n3)")


class Features(NamedTuple):
    """What one reading found.

    Attributes:
        evidence: Task to additive score; a task without a cue is absent.
        signs: Measures by name, of the text and of what surrounds it.
    """

    evidence: Mapping[str, float]
    signs: Mapping[str, float]


def read_features(ask: Ask) -> Features:
    """Read an ask. Total, and bounded: at most 1,200 characters are looked at."""
    text = bounded(ask.text)
    words = read_words(text)
    wide = wide_share(words.lowered)
    found = find_evidence(words, unspaced=wide > 0)
    signs = dict.fromkeys(SIGNS, 0.0)
    for name in SIGNS_FOUND.intersection(found):
        signs[name] = found.pop(name)
    _add_shape(signs, words)
    _add_circumstances(signs, ask)
    signs["length"] = ask.text_chars * (1.0 + WIDE_WORTH * wide)
    add_structure(found, signs, words.words)
    return Features(found, signs)


def _add_shape(signs: dict[str, float], words: Words) -> None:
    text = words.lowered
    marks = words.raw.translate(None, _LETTERS)
    codelike = _codelike(marks, len(text))
    maths = len(marks.translate(None, _NOT_MATHS))
    questions = marks.count(b"?")
    if not text.isascii():
        maths += sum(map(text.count, _OTHER_MATHS))
        questions += text.count("？") + text.count("؟")
    signs["words"] = len(words.words)
    signs["material"] = float(words.material)
    signs["sentences"] = text.count(". ")
    signs["digits"] = len(marks.translate(None, _NOT_DIGITS))
    signs["maths"] = maths
    signs["questions"] = questions
    signs["list_items"] = sum(map(marks.count, _BULLETS)) if b"\n" in marks else 0
    signs["inline_code"] = sum(mark in text for mark in _INLINE_CODE) if codelike else 0
    signs["code_chars"] = _code_chars(text) if codelike else 0.0


def _codelike(marks: bytes, chars: int) -> bool:
    if len(marks.translate(None, _NOT_STRONG_CODE)) >= CODE_BYTES_MIN:
        return True
    found = len(marks.translate(None, _NOT_CODE))
    return found > 1 and found >= CODE_BYTES_SHARE * chars


def _code_chars(text: str) -> float:
    """How much of the text is code: what stands in fences, else a share by its marks."""
    if "```" in text:
        return float(sum(map(len, text.split("```")[1::2])))
    marks = sum(mark in text for mark in _CODE)
    if marks < CODE_MARKS_MIN or text.count("\n") < 2:
        return 0.0
    return len(text) * min(1.0, marks / CODE_MARKS_SURE)


def _add_circumstances(signs: dict[str, float], ask: Ask) -> None:
    signs["images"] = ask.images
    signs["tools"] = ask.tools
    signs["schema"] = float(ask.wants_schema)
    signs["failed_before"] = float(ask.failed_before)
    signs["tool_turn"] = float(ask.tool_turn)
    signs["system_chars"] = ask.system_chars
    signs["history_turns"] = ask.history_turns
    signs["history_chars"] = ask.history_chars
