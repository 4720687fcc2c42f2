"""What must not differ between two texts that one answer is to do for: a near miss is a miss.

Every rule can only say no. Facts (numbers, negations, names, dates, units, languages, what is quoted) are held against
every embedder. Of other words the strict guard wants each to have its counterpart; the loose one forbids only that a
word or two stand in the place of others, which is what vectors do not see.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final, Literal

from proxy.caching.semantic.lexicon import Lexicon, lexicon
from proxy.caching.semantic.reading import EXACT, FACTS, Reading, Word

Guard = Literal["strict", "loose"]

STEM_MIN: Final = 3
"""Letters that are left of a word when an ending goes."""
SLIP_MIN: Final = 6
"""Letters of a word in which one may be wrong."""
_MOVABLE: Final = frozenset({"word", "polarity", "negation"})
"""Kinds of words that may stand elsewhere, if one piece is moved."""
SWAP_MAX: Final = 2
"""So many words in the place of as many others change what is asked, however near the texts are."""


def differs(one: Reading, other: Reading, guard: Guard) -> str | None:
    """Say in a word what differs between two texts; None if nothing does.

    *material*: one is long, or of several lines, and they are not the same but for white space; or what comes after a
    colon is not. *language*, *asking*, *quantity*; *number*, *negation*, *unit*, *time*, *literal*: not the same ones,
    or not in order; *name*, *polarity*: one has no counterpart; *words*: a word that decides has none; *direction*:
    from and to are changed; *order*: who does what to whom may not be the same.
    """
    return (
        _unlike(one, other)
        or _unmatched(one, other, guard)
        or _turned(one, other)
        or _disordered(one, other, guard)
        or _disordered(other, one, guard)
    )


def _unlike(one: Reading, other: Reading) -> str | None:
    """Say what differs of what must be the same on both sides, one by one."""
    if one.verbatim is not None or other.verbatim is not None:
        return None if one.verbatim == other.verbatim else "material"
    if one.tail and other.tail and one.tail != other.tail:
        return "material"
    if one.languages and other.languages and set(one.languages).isdisjoint(other.languages):
        return "language"
    if one.asking != other.asking:
        return "asking"
    if one.quantities and other.quantities and one.quantities != other.quantities:
        return "quantity"
    mine, theirs = ([each for each in reading.words if each.kind in EXACT] for reading in (one, other))
    kinds = [kind for kind in EXACT if _forms(mine, kind) != _forms(theirs, kind)]
    return min(kinds, default=None)


def _forms(words: Sequence[Word], kind: str) -> list[str]:
    return [each.form for each in words if each.kind == kind]


def _languages(one: Reading, other: Reading) -> Sequence[str]:
    """Return the languages that both may be in."""
    return [each for each in one.languages if each in other.languages] or one.languages or other.languages


def _unmatched(one: Reading, other: Reading, guard: Guard) -> str | None:
    """Say what of either text has no counterpart in the other and must have one."""
    languages = _languages(one, other)
    mine, theirs = _alone(one, other, languages), _alone(other, one, languages)
    for each in (*mine, *theirs):
        if each.kind != "word":
            return each.kind
    if guard == "strict":
        return "words" if mine or theirs else None
    return "words" if 0 < len(mine) <= SWAP_MAX and 0 < len(theirs) <= SWAP_MAX else None


def _alone(one: Reading, other: Reading, languages: Sequence[str]) -> list[Word]:
    """Return the words that decide, are told apart by likeness, and have no counterpart."""
    known = lexicon()
    return [
        each
        for each in one.words
        if each.kind in {"word", "name", "polarity"}
        and not any(same(each, theirs, languages, known) for theirs in other.words)
    ]


def same(one: Word, other: Word, languages: Sequence[str], known: Lexicon) -> bool:
    """Tell whether a word may stand for another, in one of these languages."""
    if one.form == other.form:
        return True
    if one.kind in EXACT or other.kind in EXACT or "name" in {one.kind, other.kind}:
        return False
    if one.kind == other.kind == "word" and _slipped(one.form, other.form):
        return True
    return any(_bent(one.form, other.form, each, known) for each in languages)


def _bent(one: str, other: str, language: str, known: Lexicon) -> bool:
    """Tell whether two words are one, but for an ending, or stand in one line of synonyms."""
    endings = known.endings.get(language, ())
    stems, theirs = _stems(one, endings), _stems(other, endings)
    if not stems.isdisjoint(theirs):
        return True
    classes = known.synonym.get(language, {})
    mine = {number for stem in stems for number in classes.get(stem, ())}
    return any(not mine.isdisjoint(classes.get(stem, ())) for stem in theirs)


def _stems(form: str, endings: Sequence[str]) -> set[str]:
    """Return a word and what is left of it without an ending; of English words also as they were before it."""
    found = {form}
    for ending in endings:
        if form.endswith(ending) and len(form) - len(ending) >= STEM_MIN:
            stem = form[: -len(ending)]
            found.add(stem)
            if stem[-1] == stem[-2]:  # running, run
                found.add(stem[:-1])
            if stem[-1] == "i":  # tries, try
                found.add(f"{stem[:-1]}y")
    for stem in tuple(found):
        if stem.endswith("ise"):
            found.add(f"{stem[:-3]}ize")
        if "our" in stem[2:]:
            found.add(stem[:2] + stem[2:].replace("our", "or"))
    return found


def _slipped(one: str, other: str) -> bool:
    """Tell whether one of two long words is the other with a letter too few, or two that changed places.

    A letter in the place of another is a word of its own too often. The ends must be right, where words are told apart.
    """
    if min(len(one), len(other)) < SLIP_MIN or one[0] != other[0] or one[-1] != other[-1]:
        return False
    if len(one) == len(other):
        wrong = [at for at, (mine, theirs) in enumerate(zip(one, other, strict=True)) if mine != theirs]
        return (
            len(wrong) == 2
            and wrong[1] == wrong[0] + 1
            and one[wrong[0]] == other[wrong[1]]
            and one[wrong[1]] == other[wrong[0]]
        )
    if len(one) < len(other):
        one, other = other, one
    if len(one) != len(other) + 1:
        return False
    at = next((at for at, (mine, theirs) in enumerate(zip(one, other, strict=False)) if mine != theirs), len(other))
    return one[at + 1 :] == other[at:]


def _turned(one: Reading, other: Reading) -> str | None:
    """Say whether a word that comes from somewhere goes there in the other text."""
    mine, theirs = _ways(one), _ways(other)
    return "direction" if any(theirs.get(form, ways) != ways for form, ways in mine.items()) else None


def _ways(reading: Reading) -> dict[str, set[str]]:
    """Return the words of direction that stand before each word that has one."""
    found: dict[str, set[str]] = {}
    for each in reading.words:
        if each.after:
            found.setdefault(each.form, set()).add(each.after)
    return found


def _disordered(one: Reading, other: Reading, guard: Guard) -> str | None:
    """Say whether the words that both have stand in another order than one that moving one piece explains."""
    known, languages = lexicon(), _languages(one, other)
    is_same = guard == "strict" or not (_alone(one, other, languages) or _alone(other, one, languages))
    kinds = FACTS | {"word"} if is_same else FACTS  # said in other words, a text may be built in any way
    mine = [each for each in one.words if each.kind in kinds]
    places: list[int] = []
    named: list[int] = []
    for each in other.words:
        if each.kind in kinds:
            fits = (at for at, word in enumerate(mine) if at not in places and same(word, each, languages, known))
            for place in islice(fits, 1):
                places.append(place)
                if not _MOVABLE.issuperset({each.kind, mine[place].kind}):
                    named.append(place)
    if named != sorted(named):
        return "order"
    if places == sorted(places):
        return None
    ways = [{each.form for each in reading.words if each.after} for reading in (one, other)]
    return None if _is_one_move(places) and ways[0] == ways[1] else "order"


def _is_one_move(places: list[int]) -> bool:
    """Tell whether a sequence is in order but for one piece that stands elsewhere."""
    wanted = sorted(places)
    first = next((at for at, place in enumerate(places) if place != wanted[at]), None)
    if first is None:
        return True
    last = max(at for at, place in enumerate(places) if place != wanted[at])
    middle, right = places[first : last + 1], wanted[first : last + 1]
    at = middle.index(right[0])
    return middle[at:] + middle[:at] == right
