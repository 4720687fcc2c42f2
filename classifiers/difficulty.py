"""What makes an ask of a task harder or lighter: a sum that is written down here, and its words.

A level per task (0 simple, 1 medium, 2 complex) plus that sum is a place on a line between the tiers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from classifiers.ask import Ask
from classifiers.kinds import TIERS, Task, Tier
from classifiers.reading import Reading
from classifiers.table import SIGN_BITS, SIGNS

LEVEL: Mapping[Task, int] = {
    "faq": 0,
    "classification": 0,
    "extraction": 0,
    "chat": 0,
    "translation": 0,
    "summarising": 1,
    "drafting": 1,
    "analysis": 1,
    "code": 1,
    "mathematics": 1,
    "other": 1,
    "reasoning": 2,
    "creative": 2,
    "planning": 2,
}

SHORT_BYTES, LONG_BYTES = 300, 1_500
MEASURED = (*SIGNS, "failed_before", "list_items", "questions", "lines", "maths", "bytes", "images", "schema", "tools")
"""What difficulty is made of, in this order."""


@dataclass(frozen=True, slots=True)
class Weight:
    """How one sign adds to the difficulty.

    Attributes:
        sign: A name of `MEASURED`.
        each: Added per unit over `free`.
        most: Bound of the sum, same direction as `each`.
        words: What it is called in a reason; `{}` is the measure.
        free: Units that say nothing yet.
        tasks: Tasks it counts for; empty means all.
    """

    sign: str
    each: float
    most: float
    words: str
    free: float = 0.0
    tasks: tuple[Task, ...] = ()


_PROSE: tuple[Task, ...] = ("drafting", "analysis", "creative", "planning", "reasoning")
_BRIEF: tuple[Task, ...] = ("drafting", "analysis", "planning", "code", "mathematics")
_EXACT: tuple[Task, ...] = ("mathematics", "reasoning", "other")
# Where the text is material to work on, its words are not the asker's demands.
_OWN: tuple[Task, ...] = (*_PROSE, "code", "mathematics", "faq", "other")

WEIGHTS = (
    Weight("failed_before", 0.75, 0.75, "an earlier answer was called wrong"),
    Weight("proof", 1.0, 1.0, "asks for a proof", tasks=_EXACT),
    Weight("rigour", 0.3, 0.75, "calls for trade-offs, reasons or explicit steps: {}", tasks=_OWN),
    Weight("constraint", 0.1, 0.45, "requirements: {}", free=1, tasks=_OWN),
    Weight("list_items", 0.06, 0.3, "list items: {}", free=1, tasks=_OWN),
    Weight("step", 0.1, 0.3, "steps in sequence: {}", tasks=_OWN),
    Weight("questions", 0.1, 0.3, "questions: {}", free=1, tasks=_OWN),
    Weight("stakes", 0.3, 0.6, "a legal, clinical or financial matter", tasks=("analysis",)),
    Weight("heavy_code", 0.3, 0.9, "concurrency, scale or debugging", tasks=("code",)),
    Weight("lines", 0.01, 0.5, "lines: {}", free=10, tasks=("code",)),
    Weight("maths", 0.03, 0.3, "mathematical signs: {}", free=2, tasks=("mathematics",)),
    Weight("long_work", 0.2, 0.4, "a long or thorough work is wanted", tasks=_PROSE),
    Weight("bytes", 0.0012, 0.9, "a long text to translate", free=200, tasks=("translation",)),
    Weight("bytes", 0.0001, 0.3, "a long ask, in bytes: {}", free=500),
    Weight("images", 0.1, 0.2, "images: {}"),
    Weight("schema", 0.1, 0.1, "the answer must follow a schema"),
    Weight("tools", 0.02, 0.15, "tools on offer: {}"),
    Weight("light", -0.35, -0.6, "something short or simple is wanted", tasks=_BRIEF),
    Weight("tiny", -0.6, -0.6, "a line or two is wanted", tasks=("creative",)),
)
# For each task: where the measure stands, free units, per unit, lowest, highest, and the name.
_WEIGHTS_OF = {
    task: tuple(
        (
            MEASURED.index(weight.sign),
            weight.free,
            weight.each,
            min(0.0, weight.most),
            max(0.0, weight.most),
            weight.sign,
        )
        for weight in WEIGHTS
        if not weight.tasks or task in weight.tasks
    )
    for task in LEVEL
}

# Short asks of these tasks are lighter than the task's name says.
SHORT_WEIGHT: Mapping[Task, float] = {
    "analysis": -0.1,
    "code": -0.1,
    "mathematics": -0.25,
    "planning": -0.2,
    "other": -0.2,
}
SHORT_ASK_BYTES = 80

TASK_WORDS: Mapping[Task, str] = {
    "faq": "a question of fact",
    "classification": "classification",
    "extraction": "extraction or reshaping",
    "summarising": "summary",
    "drafting": "drafting",
    "analysis": "analysis or explanation",
    "code": "code",
    "mathematics": "mathematics",
    "reasoning": "reasoning",
    "creative": "creative writing",
    "chat": "small talk",
    "translation": "translation",
    "planning": "planning",
    "other": "not recognised",
}

_BULLETS = (b"\n-", b"\n*", b"\n2.", b"\n3.", b"\n4.", b"\n5.", b"\n6.", b"\n7.", b"\n2)", b"\n3)")
_MATHS_KEPT = bytes(byte for byte in range(256) if byte not in b"%=^+$\\")
_NO_SIGNS = (0,) * len(SIGNS)
_SIGN_SHIFTS = tuple(SIGN_BITS * place for place in range(len(SIGNS)))
_SIGN_MOST = (1 << SIGN_BITS) - 1
_BYTES_AT = MEASURED.index("bytes")


def measure(ask: Ask, reading: Reading, signs: int) -> tuple[float, ...]:
    """Return a number for each of `MEASURED`."""
    marks = reading.marks
    lines = marks.count(b"\n")
    return (
        *([signs >> shift & _SIGN_MOST for shift in _SIGN_SHIFTS] if signs else _NO_SIGNS),
        ask.failed_before,
        sum(map(marks.count, _BULLETS)) if lines else 0,
        marks.count(b"?"),
        lines,
        len(marks.translate(None, _MATHS_KEPT)),
        reading.size,
        ask.images,
        ask.wants_schema,
        ask.tools,
    )


def weigh(task: Task, values: tuple[float, ...]) -> tuple[float, dict[str, float]]:
    """Return the sum of what makes an ask harder or lighter, and the measures that counted."""
    total = 0.0
    counted: dict[str, float] = {"bytes": values[_BYTES_AT]}
    for at, free, each, lowest, highest, sign in _WEIGHTS_OF[task]:
        if values[at] > free:
            total += min(highest, max(lowest, each * (values[at] - free)))
            counted[sign] = values[at]
    if values[_BYTES_AT] < SHORT_ASK_BYTES and task in SHORT_WEIGHT:
        total += SHORT_WEIGHT[task]
    return total, counted


def reasons(task: Task, tier: Tier, features: Mapping[str, float], placed: str | None = None) -> tuple[str, ...]:
    """Put a judgement into words, most important first; `placed` says what cut points made of the score."""
    length = features.get("bytes", 0)
    size = "short" if length < SHORT_BYTES else "long" if length > LONG_BYTES else "medium-sized"
    if task == "other":
        known = f"only {features.get('known', 0):.0%} of its words are known"
        first = f"task: {TASK_WORDS[task]}, {size} text; {known}: the prior, and a tier up → medium"
        return (first,) if placed is None else (first, placed)
    base = TIERS[LEVEL[task]]
    first = f"task: {TASK_WORDS[task]}, {size} text → {base}"
    listed = [f"{'harder' if part > 0 else 'lighter'}: {words}" for part, words in sorted(_parts(task, features))[::-1]]
    if placed is not None:
        return (first, placed, *listed)
    if tier == base:
        return (first, *listed)
    move = features.get("difficulty", 0.0)
    return (first, f"difficulty {move:+.2f} moves it {'up' if move > 0 else 'down'} one tier → {tier}", *listed)


def _parts(task: Task, features: Mapping[str, float]) -> Iterator[tuple[float, str]]:
    for weight in WEIGHTS:
        units = features.get(weight.sign, 0) - weight.free
        if units > 0 and (not weight.tasks or task in weight.tasks):
            part = min(abs(weight.most), abs(weight.each) * units) * (1 if weight.each > 0 else -1)
            yield part, weight.words.replace("{}", f"{features[weight.sign]:.0f}")
    if features.get("bytes", 0) < SHORT_ASK_BYTES and task in SHORT_WEIGHT:
        yield SHORT_WEIGHT[task], "a short ask"
    if "hardest" in features:
        yield (
            0.5,
            f"it may be reasoning, creative writing or planning: {features['hardest']:.0%} beside the likeliest task",
        )
