"""What the cue lists say of single keys: the knowledge that training starts from, in the languages they are written in.

A phrase of more than two words is known by its most telling pair, which is what is looked up.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

from classifiers.reading import STEM_CHARS, Key, read_text
from training.cues import TASK_CUES, Cue
from training.sign_cues import SIGN_CUES
from training.unspaced_cues import UNSPACED_CUES
from training.world_cues import WORLD_CUES

STEM_CHARS_MIN = 4  # shorter beginnings belong to too many words


@cache
def task_cues() -> Mapping[Key, Mapping[str, float]]:
    """Return for each word or pair how strongly it speaks for which task."""
    found: dict[Key, dict[str, float]] = defaultdict(dict)
    for cue in (*TASK_CUES, *UNSPACED_CUES, *WORLD_CUES):
        for key in _keys(cue):
            found[key][cue.name] = max(cue.weight, found[key].get(cue.name, 0.0))
    return dict(found)


@cache
def stem_cues() -> Mapping[str, Mapping[str, float]]:
    """Return the same for the beginnings of words that open a text; where lists disagree, the strongest counts."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for key, tasks in task_cues().items():
        if isinstance(key, str) and len(key) >= STEM_CHARS_MIN:
            stem = key[:STEM_CHARS]
            for task, weight in tasks.items():
                found[stem][task] = max(weight, found[stem].get(task, 0.0))
    return dict(found)


@cache
def sign_cues() -> Mapping[Key, frozenset[str]]:
    """Return for each word or pair the signs of difficulty that it is."""
    found: dict[Key, set[str]] = defaultdict(set)
    for cue in SIGN_CUES:
        for key in _keys(cue):
            found[key].add(cue.name)
    return {key: frozenset(signs) for key, signs in found.items()}


def _keys(cue: Cue) -> Iterator[Key]:
    for word in cue.words.split():
        yield from _of_text(word)
    for phrase in cue.phrases.split(";"):
        if phrase.strip():
            yield from _of_text(phrase)


def _of_text(text: str) -> Iterator[Key]:
    reading = read_text(text)
    if reading.wide and len(reading.words) == 1:
        if len(text) > 1:
            yield max(pairwise(text), key=lambda pair: (_is_word_sign(pair), pair))
        return
    words = reading.words
    if len(words) == 1:
        yield words[0]
    elif words:
        yield max(pairwise(words), key=lambda pair: (len(pair[0]) + len(pair[1]), pair))


def _is_word_sign(pair: tuple[str, str]) -> int:
    """Han and Hangul say more than kana."""
    return sum(not "\u3040" <= char <= "\u30ff" for char in pair)
