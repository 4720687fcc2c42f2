"""A text as the guards read it: its words that decide, each with its kind, in their order. Total, and linear in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from proxy.caching.semantic.lexicon import Lexicon, folded, lexicon

Kind = Literal["number", "negation", "unit", "time", "language", "polarity", "name", "literal", "word", "light"]

MEASURES: Final[Mapping[str, Kind]] = {"units": "unit", "times": "time", "languages": "language"}
"""Lists of measures, by the kind of their words."""

EXACT: Final = frozenset({"number", "negation", "unit", "time", "language", "literal"})
"""Kinds that must be the same on both sides, one by one and in order."""
FACTS: Final = EXACT | {"name", "polarity"}
"""Kinds that decide whatever else a text says."""

_TOKEN: Final = re.compile(
    r"(?P<fence>```.*?```|`[^`\n]+`)"
    r"|(?P<quoted>\"[^\"\n]{1,400}\"|“[^”\n]{1,400}”|„[^“”\n]{1,400}[“”]|«[^»\n]{1,400}»|「[^」\n]{1,400}」"
    r"|(?<!\w)'[^'\n]{1,400}'(?!\w)|‘[^’\n]{1,400}’(?!\w))"
    r"|(?P<address>https?://[^\s]+|[\w.+-]+@[\w-]+\.[\w.-]+)"
    r"|(?P<label>(?<![\w#])[A-Z](?=[.):](?:\s|$)))"
    r"|(?P<number>(?<![\w])[-+]?[#§]?\d[\w.,:/-]*)"
    r"|(?P<kana>[\u3041-\u309f]+)|(?P<kata>[\u30a0-\u30ff]+)|(?P<han>[\u4e00-\u9fff])"
    r"|(?P<word>[^\W\d_][\w'’]*(?:[._/+#-]+\w+)*[+#]*)"
    r"|(?P<end>[.!?\n:;。!?：]+)"
    r"|(?P<sign>(?<=[\s\d])-(?=\s*\d)|[^\w\s,'\"()…–—“”„«»‘’¿¡、,-])",
    re.DOTALL,
)
_CODED: Final = re.compile(r"[\d_/+#]|\w\.\w|[a-z][A-Z]")
_HAN_NUMBERS: Final = {sign: str(at) for at, sign in enumerate("〇一二三四五六七八九十")} | {
    "两": "2", "百": "100", "千": "1000", "万": "10000",
}  # fmt: skip
_HAN_NEGATIONS: Final = frozenset("不没無无未非別别勿")
_KANA: Final = re.compile(
    r"(?P<no>ありません|ません|ない|なかった|なく|ず(?=に))"
    r"|ください|でしょうか|でしょう|ですか|です|ますか|ます|ましょう|した|して|する|すれば|いい|よい|どのように|どのくらい|どう|どこ"
    r"|なに|いくら|いつ|だれ|なぜ|これ|それ|この|その|ある|いる|という|から|まで|ため|[はがをにのでともかよねやへいえるくすきしてたりだらなうっんまちれみつもげ]"
)
_MONTHS_TOO: Final = frozenset({"may", "march", "mar", "second"})
"""Months, when they begin with a capital letter."""
PROSE_MAX: Final = 60
"""Words of a text that is read as prose, on one line. What is longer holds material, of which each word may decide."""


class Word(NamedTuple):
    """One word that decides: as it is compared, of which kind, and the word of direction before it, if there is one."""

    form: str
    kind: Kind
    after: str = ""


class Reading(NamedTuple):
    """A text as it is compared. `languages`: what it may be in; `asking`: what it asks for first, if that is clear."""

    words: tuple[Word, ...]
    languages: tuple[str, ...]
    asking: str
    quantities: tuple[str, ...]
    tail: tuple[str, ...]
    """Every word after the first colon: what is asked about, where the text is an order."""
    verbatim: str | None
    """A text that is long or of several lines, but for white space: it may hold what is not to be read as prose."""


class _Token(NamedTuple):
    group: str
    text: str
    form: str
    is_first: bool
    """Whether a sentence begins with it."""
    is_told: bool
    """Whether a colon comes right before it."""


def read(text: str) -> Reading:
    """Read a text."""
    known = lexicon()
    tokens = list(_tokens(unicodedata.normalize("NFC", text)))
    languages = _languages(tokens, known)
    is_prose = len(tokens) <= PROSE_MAX and "\n" not in text.strip()
    said = tuple(each.form if each.group == "word" else each.text for each in tokens)
    return Reading(
        words=tuple(_words(tokens, _Small(known, languages))),
        languages=languages,
        asking=_asking(tokens, known),
        quantities=tuple(known.quantity[each.form] for each in tokens if each.form in known.quantity),
        tail=said[next((at for at, each in enumerate(tokens) if each.is_told), len(said)) :],
        verbatim=None if is_prose else " ".join(text.split()),
    )


def _tokens(text: str) -> Iterator[_Token]:
    is_first, is_told = True, False
    for found in _TOKEN.finditer(text):
        group, word = found.lastgroup or "", found.group()
        if group == "end":
            is_first, is_told = True, ":" in word
            continue
        yield _Token(group, word, folded(word).replace("’", "'"), is_first, is_told)
        is_first = is_told = False


def _languages(tokens: list[_Token], known: Lexicon) -> tuple[str, ...]:
    """Return the languages of which the text has the most words that are listed; by the script where that says it."""
    groups = {each.group for each in tokens}
    if "kana" in groups or "kata" in groups:
        return ("ja",)
    if "han" in groups:
        return ("zh",)
    forms = [each.form for each in tokens if each.group == "word"]
    votes = {language: sum(form in words for form in forms) for language, words in known.known.items()}
    most = max(votes.values())
    return tuple(language for language, count in votes.items() if count == most) if most else ()


def _asking(tokens: list[_Token], known: Lexicon) -> str:
    """Return what is asked for by the first word that asks: why, when, where or who; else nothing in particular."""
    for each in tokens:
        if each.form in {"what", "how", "which", "was", "wie", "que", "comment", "como", "come", "cosa", "hoe", "wat"}:
            return "" if not any(known.asking.get(other.form) == "why" for other in tokens) else "why"
        found = known.asking.get(each.form)
        if found is not None:
            return found
    return ""


class _Small:
    """The small words of the languages that a text may be in."""

    __slots__ = ("directions", "functions", "is_german", "known", "languages", "light", "negations", "numbers", "polar")

    def __init__(self, known: Lexicon, languages: tuple[str, ...]) -> None:
        self.known, self.languages = known, languages
        self.functions, self.light = _union(known.function, languages), _union(known.light, languages)
        self.polar, self.directions = _union(known.polarity, languages), _union(known.direction, languages)
        told = languages or tuple(known.number)  # what may say no, or how many, in any language is taken to do so
        self.negations = _union(known.negation, told)
        self.numbers = {word: value for each in told for word, value in known.number.get(each, {}).items()}
        self.is_german = "de" in languages


def _union(lists: Mapping[str, frozenset[str]], languages: tuple[str, ...]) -> frozenset[str]:
    if len(languages) == 1:
        return lists.get(languages[0], frozenset())
    return frozenset().union(*(lists.get(each, frozenset()) for each in languages))


def _words(tokens: list[_Token], small: _Small) -> Iterator[Word]:
    """Yield the words that decide."""
    after, is_counted = "", False
    for each in tokens:
        for word in _of(each, small, after, is_counted=is_counted):
            yield word
            after = ""
        is_counted = each.group == "number"
        if each.group == "word":
            if each.form in small.directions:
                after = each.form
            elif each.form not in small.functions:
                after = ""


def _of(token: _Token, small: _Small, after: str, *, is_counted: bool) -> Iterator[Word]:
    """Yield a token's words: none, one, or, of what is written without spaces, some."""
    group, form = token.group, token.form
    if group in {"fence", "quoted", "address", "label"}:
        # Signs and case count: they are what is asked about.
        yield Word(token.text if group != "quoted" else token.text[1:-1], "literal", after)
    elif group == "number":
        yield Word(form.rstrip(".,:/-"), "number", after)
    elif group == "sign":
        yield Word(*_measured(form, small.known) or (form, "literal"), after)
    elif group == "han":
        yield from _sign(form, small)
    elif group == "kana":
        yield from _kana(form)
    elif group == "kata":
        yield Word(form, "name")
    else:
        found = _word(token, small, is_counted=is_counted)
        if found is not None:
            yield Word(*found, after)


def _measured(form: str, known: Lexicon) -> tuple[str, Kind] | None:
    found = known.measure.get(form)
    return None if found is None else (found[1], MEASURES[found[0]])


def _sign(form: str, small: _Small) -> Iterator[Word]:
    if form in _HAN_NUMBERS:
        yield Word(_HAN_NUMBERS[form], "number")
    elif form in _HAN_NEGATIONS:
        yield Word("not", "negation")
    elif not any(form in small.known.signs.get(each, ()) for each in small.languages):
        yield Word(form, "word")


def _kana(form: str) -> Iterator[Word]:
    rest = _KANA.sub(lambda found: " \0 " if found.group("no") else " ", form)
    for piece in rest.split(" "):
        if piece:
            yield Word(*(("not", "negation") if piece == "\0" else (piece, "word")))


def _word(token: _Token, small: _Small, *, is_counted: bool) -> tuple[str, Kind] | None:
    form, text = token.form, token.text
    is_english = "en" in small.languages
    is_name = not token.is_first and text[0].isupper() and not small.is_german
    is_short = text.isupper() and len(text) > 1
    if form in small.negations or (is_english and form.endswith("n't")):
        return "not", "negation"
    bare = max(form.split("'"), key=len)
    is_small = bare in small.functions or form in small.functions or form in small.directions
    if bare in small.numbers:
        return small.numbers[bare], "number"
    measured = _measured(bare, small.known)
    if is_counted and not is_small:  # what comes after a number says of what
        return measured or (bare, "unit")
    if measured is not None and not is_short and (is_name or (bare not in _MONTHS_TOO and not is_small)):
        return measured
    if bare in small.polar:
        return bare, "polarity"
    if is_short or (is_name and not is_small):
        return bare, "name"
    if _CODED.search(text):
        return bare, "literal"
    if is_small:
        return None
    return bare, "light" if bare in small.light else "word"
