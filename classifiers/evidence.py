"""Looks the words of an ask up in the cue tables and sums what they say.

One set intersection finds the known words; phrases are searched only when their longest word is
there. Sums are of quarters, hence exact: the order of a set never shows in a result.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from classifiers.cues import TASK_CUES, Cue
from classifiers.openers import GREETINGS
from classifiers.sign_cues import SIGN_CUES, SIGNS
from classifiers.unspaced_cues import UNSPACED_CUES
from classifiers.words import OPENING_WORDS, Words

EDGE_HEAD_WORDS = 48
EDGE_TAIL_WORDS = 24  # some say what they want last, after what they pasted
PHRASE_WORDS = 120  # phrases further in are material
OPENING_WEIGHT, EDGE_WEIGHT, BODY_WEIGHT = 2.0, 1.0, 0.25
FIRST_CUE_BONUS = 2.0  # the first strong cue is the order; later ones tend to be its object
FIRST_CUE_MIN = 2.0  # "write" alone is no order; what is written is
REPEATS_MAX = 4  # of one word that makes a demand

_SIGNS = frozenset(SIGNS)


@dataclass(slots=True)
class _Entry:
    """What one word says, alone or as the longest word of phrases."""

    tasks: dict[str, float] = field(default_factory=dict)
    signs: set[str] = field(default_factory=set)
    phrases: list[tuple[str, str, float]] = field(default_factory=list)

    @property
    def order(self) -> str | None:
        """The task this word orders, when it is a strong cue."""
        best = max(self.tasks, key=lambda name: self.tasks[name], default="")
        return best if self.tasks.get(best, 0.0) >= FIRST_CUE_MIN else None


@dataclass(frozen=True, slots=True)
class _Index:
    known: frozenset[str]
    entries: Mapping[str, _Entry]
    orders: Mapping[str, str]


def find_evidence(words: Words, *, unspaced: bool) -> dict[str, float]:
    """Sum the cues of an ask by task and by sign of difficulty.

    A word counts once, by the most prominent place it stands in; a sign counts the same anywhere.

    Args:
        words: The ask's words.
        unspaced: Whether its script writes words without spaces; then substrings count too.
    """
    index = _index()
    every = words.words
    hits = index.known.intersection(every)
    opening = frozenset(every[: words.order_words])
    edges = hits if len(every) <= EDGE_HEAD_WORDS + EDGE_TAIL_WORDS else _edges(every)
    joined = ""
    found: dict[str, float] = {}
    for word in hits:
        zone = OPENING_WEIGHT if word in opening else EDGE_WEIGHT if word in edges else BODY_WEIGHT
        entry = index.entries[word]
        for name, weight in entry.tasks.items():
            found[name] = found.get(name, 0.0) + weight * zone
        for name in entry.signs:
            add(found, name, _repeats(name, word, words.lowered))
        if entry.phrases:
            joined = joined or f" {' '.join(every[:PHRASE_WORDS] + every[-EDGE_TAIL_WORDS:])} "
            _add_phrases(found, entry, zone, joined)
    _add_first(found, every, index)
    if unspaced:
        _add_unspaced(found, words.lowered)
    return found


def add(found: dict[str, float], name: str, value: float) -> None:
    """Add to one sum."""
    found[name] = found.get(name, 0.0) + value


@cache
def _index() -> _Index:
    entries: dict[str, _Entry] = {}
    for cue in (*TASK_CUES, *SIGN_CUES):
        for text in _entries(cue):
            entry = entries.setdefault(max(text.split(), key=len), _Entry())
            if " " in text:
                entry.phrases.append((f" {text} ", cue.name, cue.weight))
            elif cue.name in _SIGNS:
                entry.signs.add(cue.name)
            else:
                entry.tasks[cue.name] = max(cue.weight, entry.tasks.get(cue.name, 0.0))
    orders = {word: order for word, entry in entries.items() if (order := entry.order)}
    return _Index(
        frozenset(entries),
        entries,
        {word: order for word, order in orders.items() if word not in GREETINGS},
    )


def _entries(cue: Cue) -> Iterable[str]:
    for word in cue.words.split():
        yield word.replace("-", " ")
    for phrase in cue.phrases.split(";"):
        if phrase.strip():
            yield " ".join(phrase.split())


def _edges(words: list[str]) -> frozenset[str]:
    return frozenset(words[:EDGE_HEAD_WORDS] + words[-EDGE_TAIL_WORDS:])


def _repeats(name: str, word: str, lowered: str) -> int:
    return min(lowered.count(word), REPEATS_MAX) if name == "constraint" else 1


def _add_phrases(found: dict[str, float], entry: _Entry, zone: float, joined: str) -> None:
    for phrase, name, weight in entry.phrases:
        if phrase in joined:
            add(found, name, 1.0 if name in _SIGNS else weight * zone)


def _add_first(found: dict[str, float], words: list[str], index: _Index) -> None:
    for word in words[:OPENING_WORDS]:
        if word in index.orders:
            add(found, index.orders[word], FIRST_CUE_BONUS)
            return


def _add_unspaced(found: dict[str, float], lowered: str) -> None:
    first: tuple[int, str] | None = None
    for cue in UNSPACED_CUES:
        for text in cue.words.split():
            at = lowered.find(text)
            if at < 0:
                continue
            if cue.name in _SIGNS:
                add(found, cue.name, 1.0)
                continue
            add(found, cue.name, cue.weight * OPENING_WEIGHT)
            first = min(first, (at, cue.name)) if first else (at, cue.name)
    if first:
        add(found, first[1], FIRST_CUE_BONUS)
