"""Answer texts: plausible English about what the prompt is about, the same for the same prompt."""

import random
import re
from hashlib import blake2b
from itertools import pairwise
from typing import Final

_TOKEN: Final = re.compile(r"\s?\w{1,7}|\s?[^\w\s]|\s+")
_WORD: Final = re.compile(r"[^\W\d_]{4,24}")
_PROMPT_READ_CHARS: Final = 2000  # topics come from the start; the rest of a long prompt adds none

_STOP: Final = frozenset(
    re.findall(
        r"\w+",
        """
        about after again also answer because been before being between both cannot compare could does
        doing down each every explain from give going have having help here hello into just know
        like made make many more most much must need only other over please same shall should
        show some such tell than that their them then there these they thing this those through
        today under very want well were what when where which while will with within without
        word words would write your yours sentence
        """,
    )
)
_DEFAULT_TOPICS: Final = ("question", "approach", "context", "result")

_OPENINGS: Final[tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]] = (
    (
        re.compile(r"\b(hello|hi|hey)\b", re.IGNORECASE),
        ("Hello! It is good to hear from you.", "Hi there, glad you asked."),
    ),
    (
        re.compile(r"\bwhy\b", re.IGNORECASE),
        ("The short reason is {a}.", "It mostly comes down to {a} and how it shapes {b}."),
    ),
    (
        re.compile(r"\bhow\b|\bsteps?\b", re.IGNORECASE),
        ("Start with {a}, then work towards {b}.", "The simplest way begins with {a}."),
    ),
    (
        re.compile(r"\b(summar|tl;?dr|shorten)", re.IGNORECASE),
        ("In short: {a} matters, and {b} follows from it.", "The key point is {a}."),
    ),
    (
        re.compile(r"\b(compare|versus|vs|difference)\b", re.IGNORECASE),
        ("Both have a place, but {a} and {b} differ in one way.", "Put side by side, {a} leads."),
    ),
    (
        re.compile(""),
        (
            "Here is a short answer on {a}.",
            "That depends mainly on {a}.",
            "Let us look at {a} first.",
        ),
    ),
)

_SENTENCES: Final = (
    "In practice, {a} is easier to judge once {b} is settled.",
    "Most people start with {a} because it is the part they can measure.",
    "A good rule of thumb is to keep {a} small and to revisit {b} every week.",
    "The evidence on {a} is mixed, although recent work points towards {b}.",
    "If {a} changes, expect {b} to follow within days rather than months.",
    "There are two common mistakes: ignoring {a}, and expecting too much of {b}.",
    "For example, a small team might try {a} on one project before rolling it out.",
    "It helps to write down what you know about {a} and what you only assume.",
    "The cost of getting {a} wrong is usually higher than the cost of checking {b}.",
    "Once that is clear, the link between {a} and {b} becomes easier to explain.",
    "On the other hand, {b} can be left for later without much risk.",
    "You can test this with a simple comparison: one week with {a}, one week without.",
    "Note that {a} and {b} are often confused, so define both early.",
    "A reasonable next step is to ask who depends on {a} today.",
    "None of this requires special tools; a list and an hour of attention will do.",
    "Where {a} is uncertain, prefer the option that is easy to undo.",
    "Over time, {b} tends to matter more than the first impression suggests.",
    "The numbers vary, yet the pattern around {a} is remarkably stable.",
)

_CLOSINGS: Final = (
    "Let me know if you would like more detail.",
    "That should be enough to get started.",
    "I can go deeper into {a} if that helps.",
)


def source(*parts: object) -> random.Random:
    """Return a source of choices that depends on nothing but `parts`."""
    digest = blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))  # noqa: S311 - variety, not secrecy


def topics(prompt: str) -> tuple[str, ...]:
    """Return the words that a prompt seems to be about, in their order; never fewer than two."""
    found = _WORD.findall(prompt[:_PROMPT_READ_CHARS])
    distinct = dict.fromkeys(word for word in found if word.lower() not in _STOP)
    return tuple(distinct) if len(distinct) > 1 else (*distinct, *_DEFAULT_TOPICS)


def text_tokens(prompt: str, choices: random.Random, length: int) -> list[str]:
    """Write an answer of exactly `length` tokens, cut off with a full stop.

    Args:
        prompt: The last user message.
        choices: Where variety comes from.
        length: Tokens; joined, they are the text.
    """
    tokens = _sentences(prompt, choices, length - 1)
    del tokens[max(length - 1, 0) :]
    return [*tokens, "."] if length else []


def usual_text_tokens(prompt: str, choices: random.Random, usual: tuple[int, int]) -> list[str]:
    """Write an answer of about a usual length, with a closing sentence.

    Args:
        prompt: The last user message.
        choices: Where variety comes from.
        usual: Between how many tokens the answer is, give or take a sentence.
    """
    tokens = _sentences(prompt, choices, choices.randint(*usual))
    return tokens + split(" " + _fill(choices.choice(_CLOSINGS), topics(prompt), choices))


def _sentences(prompt: str, choices: random.Random, least: int) -> list[str]:
    """Return an opening and as many sentences as make at least that many tokens.

    Few sentences come twice: they are drawn in rounds, each in an order of its own.
    """
    about = topics(prompt)
    tokens = split(_fill(_opening(prompt, choices), about, choices))
    left: list[str] = []
    while len(tokens) < least:
        left = left or choices.sample(_SENTENCES, len(_SENTENCES))
        tokens += split(_between(choices) + _fill(left.pop(), about, choices))
    return tokens


def split(text: str) -> list[str]:
    """Cut a text into token-like pieces; joined, they are the text again."""
    return _TOKEN.findall(text)


def split_into(text: str, pieces: int) -> list[str]:
    """Cut a text into exactly that many pieces, padded with spaces where it is too short."""
    padded = text.ljust(pieces)
    size, longer = divmod(len(padded), pieces)
    cut = [number * size + min(number, longer) for number in range(pieces + 1)]
    return [padded[start:end] for start, end in pairwise(cut)]


def _opening(prompt: str, choices: random.Random) -> str:
    start = prompt[:_PROMPT_READ_CHARS]
    fitting = (texts for pattern, texts in _OPENINGS if pattern.search(start))
    return choices.choice(next(fitting))


def _fill(template: str, about: tuple[str, ...], choices: random.Random) -> str:
    first, second = choices.sample(about, 2)
    return template.format(a=first, b=second)


def _between(choices: random.Random) -> str:
    return "\n\n" if choices.random() < 0.15 else " "
