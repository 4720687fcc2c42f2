"""What is known of words, from `lexicon.toml`: which decide nothing, and which must not differ."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple


class Lexicon(NamedTuple):
    """The lists, ready to be asked. Languages are ISO 639's codes."""

    function: Mapping[str, frozenset[str]]
    light: Mapping[str, frozenset[str]]
    negation: Mapping[str, frozenset[str]]
    number: Mapping[str, Mapping[str, str]]
    polarity: Mapping[str, frozenset[str]]
    synonym: Mapping[str, Mapping[str, frozenset[int]]]
    """Of each word the numbers of the lines that it stands in."""
    endings: Mapping[str, tuple[str, ...]]
    """The longest first."""
    measure: Mapping[str, tuple[str, str]]
    """Of units, times and languages the name of the list, and one name for all spellings."""
    asking: Mapping[str, str]
    direction: Mapping[str, frozenset[str]]
    quantity: Mapping[str, str]
    signs: Mapping[str, frozenset[str]]
    known: Mapping[str, frozenset[str]]
    """All of a language's words that stand in a list: what tells it from others."""


def folded(text: str) -> str:
    """Return a text in small letters and without accents, as words are listed."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in plain if not unicodedata.combining(each)).replace("ł", "l").replace("ı", "i")


@cache
def lexicon() -> Lexicon:
    """Return the lists; they are read once, when somebody asks."""
    said = tomllib.loads(resources.files(__package__).joinpath("lexicon.toml").read_text("utf-8"))
    return Lexicon(
        function=_sets(said["function"]),
        light=_sets(said["light"]),
        negation=_sets(said["negation"]),
        number={
            language: dict(each.split("=") for each in words.split()) for language, words in said["number"].items()
        },
        polarity=_sets(said["polarity"]),
        synonym={language: _classes(lines) for language, lines in said["synonyms"].items()},
        endings={
            language: tuple(sorted(words.split(), key=len, reverse=True)) for language, words in said["endings"].items()
        },
        measure=dict(_measures(said["measure"])),
        asking={word: name for name, words in said["asking"].items() for word in words.split()},
        direction=_sets(said["direction"]),
        quantity={word: name for name, words in said["quantity"].items() for word in words.split()},
        signs={language: frozenset(signs) for language, signs in said["signs"].items()},
        known={language: _known(said, language) for language in said["function"]},
    )


def _sets(said: Mapping[str, str]) -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in said.items()}


def _known(said: Mapping[str, Mapping[str, str]], language: str) -> frozenset[str]:
    listed = ("function", "light", "negation", "polarity", "direction", "synonyms")
    words = {word for name in listed for word in said[name].get(language, "").split()}
    return frozenset(words | {each.partition("=")[0] for each in said["number"].get(language, "").split()})


def _classes(lines: str) -> dict[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {}
    for number, line in enumerate(lines.splitlines()):
        for word in line.split():
            found[word] = found.get(word, frozenset()) | {number}
    return found


def _measures(said: Mapping[str, str]) -> list[tuple[str, tuple[str, str]]]:
    return [
        (word, (name, spellings.split("=")[0]))
        for name, lists in said.items()
        for spellings in lists.split()
        for word in spellings.split("=")
    ]
