"""Judges an ask by rules: the task sets the tier, difficulty moves it by at most one.

Everything is additive and written down here: a level per task (0 simple, 1 medium, 2 complex),
plus the sum of what makes this ask harder or lighter, held within one level. Two cut points
between the three levels turn the place on that line into probabilities (an ordered logistic).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from types import MappingProxyType

from classifiers.ask import Ask
from classifiers.features import read_features
from classifiers.judgement import TIERS, Judgement, Task, Tier

VERSION = "rules-2"

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

_OTHER: Task = "other"
MOVE_MAX = 1.0  # one level: the task says what the ask is, difficulty only how much of it
CUTS = (0.5, 1.5)  # half-way between the levels
SCALE_SURE, SCALE_DOUBT = 0.2, 0.12  # spread of the logistic; doubt about the task widens it
EVIDENCE_MIN = 2.0  # under this no task was recognised
SHORT_CHARS, LONG_CHARS = 300.0, 1_500.0


@dataclass(frozen=True, slots=True)
class Weight:
    """How one sign adds to the difficulty.

    Attributes:
        sign: A name in `Features.signs`.
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
    Weight("failed_before", 0.6, 0.6, "an earlier answer was called wrong"),
    Weight("proof", 0.85, 0.85, "asks for a proof", tasks=_EXACT),
    Weight("rigour", 0.3, 0.75, "calls for trade-offs, reasons or explicit steps: {}", tasks=_OWN),
    Weight("constraint", 0.1, 0.45, "requirements: {}", free=1, tasks=_OWN),
    Weight("list_items", 0.06, 0.3, "list items: {}", free=1, tasks=_OWN),
    Weight("step", 0.1, 0.3, "steps in sequence: {}", tasks=_OWN),
    Weight("questions", 0.1, 0.3, "questions: {}", free=1, tasks=_OWN),
    Weight("stakes", 0.3, 0.6, "a legal, clinical or financial matter", tasks=("analysis",)),
    Weight("heavy_code", 0.25, 0.6, "concurrency, scale or debugging", tasks=("code",)),
    Weight("code_chars", 0.0003, 0.5, "characters of code: {}", free=300, tasks=("code",)),
    Weight("maths", 0.03, 0.3, "mathematical signs: {}", free=2, tasks=("mathematics",)),
    Weight("long_work", 0.2, 0.4, "a long or thorough work is wanted", tasks=_PROSE),
    Weight("length", 0.0012, 0.9, "a long text to translate", free=200, tasks=("translation",)),
    Weight("length", 0.0001, 0.3, "a long ask, in characters: {}", free=500),
    Weight("images", 0.1, 0.2, "images: {}"),
    Weight("schema", 0.1, 0.1, "the answer must follow a schema"),
    Weight("tools", 0.02, 0.15, "tools on offer: {}"),
    Weight("light", -0.35, -0.6, "something short or simple is wanted", tasks=_BRIEF),
    Weight("tiny", -0.6, -0.6, "a line or two is wanted", tasks=("creative",)),
)

_WEIGHTS_OF: Mapping[Task, tuple[Weight, ...]] = {
    task: tuple(weight for weight in WEIGHTS if not weight.tasks or task in weight.tasks) for task in LEVEL
}

# Short asks of these tasks are lighter than the task's name says.
SHORT_WEIGHT: Mapping[Task, float] = {
    "analysis": -0.1,
    "code": -0.1,
    "mathematics": -0.25,
    "planning": -0.2,
    "other": -0.2,
}
SHORT_ASK_CHARS = 80.0

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


def judge(ask: Ask) -> Judgement:
    """Judge how hard an ask is. Total: never raises, reads at most 1,200 characters."""
    features = read_features(ask)
    task, doubt = _task(features.evidence)
    parts = _difficulty(task, features.signs)
    move = min(MOVE_MAX, max(-MOVE_MAX, sum(part for part, _ in parts)))
    probabilities = _probabilities(LEVEL[task] + move, SCALE_SURE + SCALE_DOUBT * doubt)
    tier = _most_probable(probabilities)
    return Judgement(
        tier=tier,
        task=task,
        probabilities=probabilities,
        score=probabilities[1] / 2 + probabilities[2],
        confidence=max(probabilities),
        reasons=_reasons(task, tier, move, parts, features.signs["length"]),
        features=MappingProxyType({**features.signs, "difficulty": move, "doubt": doubt}),
        version=VERSION,
    )


def _task(evidence: Mapping[str, float]) -> tuple[Task, float]:
    """The task with most evidence, and the doubt about it: 0 none, 1 a tie or nothing found.

    Of equals the one of the higher level counts: the safer mistake.
    """
    best, second, chosen = 0.0, 0.0, _OTHER
    for task, level in LEVEL.items():
        if task not in evidence:
            continue
        value = evidence[task]
        if value > best or (value == best and level > LEVEL[chosen]):
            best, second, chosen = value, best, task
        elif value > second:
            second = value
    if best < EVIDENCE_MIN:
        return "other", 1.0
    return chosen, second / best


def _difficulty(task: Task, signs: Mapping[str, float]) -> list[tuple[float, str]]:
    """What makes the ask harder or lighter, with words for it, strongest first."""
    parts: list[tuple[float, str]] = []
    for weight in _WEIGHTS_OF[task]:
        units = signs[weight.sign] - weight.free
        if units <= 0:
            continue
        value = min(abs(weight.most), abs(weight.each) * units)
        words = weight.words.replace("{}", f"{signs[weight.sign]:.0f}")
        parts.append((value if weight.each > 0 else -value, words))
    if signs["length"] < SHORT_ASK_CHARS and task in SHORT_WEIGHT:
        parts.append((SHORT_WEIGHT[task], "a short ask"))
    parts.sort(key=lambda part: -abs(part[0]))
    return parts


def _probabilities(place: float, scale: float) -> tuple[float, float, float]:
    simple = 1.0 / (1.0 + exp((place - CUTS[0]) / scale))
    hard = 1.0 / (1.0 + exp((CUTS[1] - place) / scale))
    return simple, 1.0 - simple - hard, hard


def _most_probable(probabilities: tuple[float, float, float]) -> Tier:
    """The tier of the highest probability; of equals the higher tier, the safer mistake."""
    simple, medium, hard = probabilities
    if hard >= medium and hard >= simple:
        return "complex"
    return "medium" if medium >= simple else "simple"


def _reasons(task: Task, tier: Tier, move: float, parts: list[tuple[float, str]], length: float) -> tuple[str, ...]:
    size = "short" if length < SHORT_CHARS else "long" if length > LONG_CHARS else "medium-sized"
    base = TIERS[LEVEL[task]]
    first = f"task: {TASK_WORDS[task]}, {size} text → {base}"
    listed = (f"{'harder' if value > 0 else 'lighter'}: {words}" for value, words in parts)
    if tier == base:
        return (first, *listed)
    direction = "up" if move > 0 else "down"
    return (first, f"difficulty {move:+.2f} moves it {direction} one tier → {tier}", *listed)
