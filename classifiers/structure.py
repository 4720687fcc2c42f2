"""Evidence that no single word gives: how an ask opens, how it is built."""

from collections.abc import Mapping

from classifiers.evidence import add
from classifiers.openers import (
    ENDINGS,
    GREETINGS,
    HOW_OPENERS,
    IF_OPENERS,
    QUESTION_OPENERS,
    THESE,
    WOULD,
    YES_NO_OPENERS,
)
from classifiers.words import OPENING_WORDS

CHAT_WORDS_MAX = 9  # "good morning" amid more words is a courtesy, not the ask
GREETING_WORDS_MAX = 5
QUESTION_WORDS_MAX, QUESTION_CHARS_MAX = 32, 120  # longer ones tell a story first
MATERIAL_CHARS_MAX = 600
COMPOUND_WEIGHT = 5.0  # a German compound says in one word what others say in two
COMPOUND_CHARS_MIN = 7

_ENDINGS = tuple(ENDINGS)


def add_structure(found: dict[str, float], signs: Mapping[str, float], words: list[str]) -> None:
    """Evidence that no single word gives: how the ask opens, how it is built."""
    count = len(words)
    opener = next((w for w in words[:4] if w not in GREETINGS), "")
    if count > CHAT_WORDS_MAX and "chat" in found:
        found["chat"] *= 0.25
    if count <= GREETING_WORDS_MAX and words and words[0] in GREETINGS:
        add(found, "chat", 4.0)
    if opener in IF_OPENERS and not WOULD.isdisjoint(words):
        add(found, "reasoning", 4.0)
    _add_question(found, signs, opener, count)
    _add_material(found, signs, opener, words)
    _add_numbers(found, signs, count)
    for word in words[:OPENING_WORDS]:
        if len(word) >= COMPOUND_CHARS_MIN and word.endswith(_ENDINGS):
            add(found, next(ENDINGS[end] for end in _ENDINGS if word.endswith(end)), COMPOUND_WEIGHT)


def _add_question(found: dict[str, float], signs: Mapping[str, float], opener: str, count: int) -> None:
    if opener in QUESTION_OPENERS and count <= QUESTION_WORDS_MAX:
        add(found, "faq", 2.0 if count <= QUESTION_WORDS_MAX / 2 else 1.0)
    if opener in HOW_OPENERS and found.get("code", 0.0) >= 4.0:
        found["faq"] = found.get("faq", 0.0) * 0.5  # how to do it in code is code
    if signs["questions"] and signs["length"] <= QUESTION_CHARS_MAX and signs["sentences"] == 0:
        add(found, "faq", 2.0)


def _add_material(found: dict[str, float], signs: Mapping[str, float], opener: str, words: list[str]) -> None:
    """An order followed by what it is about."""
    if signs["code_chars"] > 20:
        add(found, "code", 3.0)
        found["translation"] = found.get("translation", 0.0) * 0.25
    if signs["inline_code"]:
        add(found, "code", 2.0)
    if not signs["material"]:
        return
    if opener in YES_NO_OPENERS and signs["questions"]:
        add(found, "classification", 4.0)
    if not THESE.isdisjoint(words[:OPENING_WORDS]) and signs["length"] <= MATERIAL_CHARS_MAX:
        add(found, "extraction", 2.0)


def _add_numbers(found: dict[str, float], signs: Mapping[str, float], count: int) -> None:
    if signs["digits"] >= 3 and signs["questions"] and signs["maths"]:
        add(found, "mathematics", 4.0)
    elif signs["digits"] >= 3 and signs["questions"] and 12 <= count <= 120:
        add(found, "mathematics", 2.0)
    if signs["maths"] >= 3 and signs["code_chars"] == 0:
        add(found, "mathematics", 2.0)
