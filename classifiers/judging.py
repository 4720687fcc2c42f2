"""Judges an ask: the task sets the tier, difficulty moves it by at most one.

The task and the need for a stronger model are trained (`table`); what makes an ask harder is written down
(`difficulty`). Two cut points turn the place on the line into probabilities (an ordered logistic).
"""

from math import exp, tanh
from types import MappingProxyType

from classifiers.ask import Ask
from classifiers.cuts import Cuts
from classifiers.difficulty import LEVEL, measure, weigh
from classifiers.judgement import Judgement
from classifiers.kinds import TIERS, Task, Tier
from classifiers.reading import Reading, read_text
from classifiers.table import FIELDS, NAMED, ONE, TASKS_AT, Sums, Table, add_up, chance, shipped

MOVE_MAX = 1.0  # one level: the task says what the ask is, difficulty only how much of it
CUTS = (0.5, 1.5)  # half-way between the levels
SCALE_SURE, SCALE_DOUBT = 0.2, 0.12  # spread of the logistic; doubt about the task widens it
KNOWN_MIN, DOUBT_MAX = 0.4, 0.5
"""Where fewer words are known and a second task is so likely, nothing is judged: the prior, and a tier up."""
PRIOR = (0.40, 0.45, 0.15)
"""Ordinary traffic is mostly simple; what cannot be read goes up until medium is likeliest: the safer mistake."""
PLACED_SHARE = 1.5  # of the tiers in the score: exams say little of how hard everyday asks are
CHAT_SHARE = 3.0  # no exam has a greeting, so none taught the score that it needs nothing
TRAINED_MAX = 0.15  # many exam questions are hard in a way that no everyday ask resembles
HARDEST_ODDS = 0.1
"""Where a task of the highest tier is at least so likely beside an easy one, the ask goes up: the safer mistake.

By cross-validation on the prompts that training may see it costs a prompt in two hundred."""
UP_PLACE = 0.55  # just medium: a tier above the easy tasks'
_HARDEST = tuple(TASKS_AT + NAMED.index(task) for task in NAMED if LEVEL[task] == 2)
_CHEAP, _STRONG = FIELDS.index("cheap_enough"), FIELDS.index("strong_better")


def judge(ask: Ask) -> Judgement:
    """Judge how hard an ask is. Total: never raises, reads at most 4,000 characters."""
    return judge_with(shipped(), ask)


def judge_with(table: Table, ask: Ask, cuts: Cuts | None = None) -> Judgement:
    """Judge by other weights than the shipped ones, or by cut points that were solved from a target."""
    reading = read_text(ask.text)
    return judge_sums(table, ask, reading, add_up(table, reading), cuts)


def judge_sums(table: Table, ask: Ask, reading: Reading, sums: Sums, cuts: Cuts | None = None) -> Judgement:
    """Judge what the weights say of an ask."""
    task, doubt = _task(sums.fields[TASKS_AT:])
    cheap, strong = sums.fields[_CHEAP] / ONE, sums.fields[_STRONG] / ONE
    harder, features = weigh(task, measure(ask, reading, sums.signs))
    move = harder + TRAINED_MAX * tanh(strong - cheap)
    move = MOVE_MAX if move > MOVE_MAX else max(move, -MOVE_MAX)
    if move < UP_PLACE and LEVEL[task] == 0:
        odds = _hardest(sums.fields)
        if odds > HARDEST_ODDS:
            move, features["hardest"] = UP_PLACE, round(odds, 3)
    features["known"], features["doubt"], features["difficulty"] = round(sums.known, 3), round(doubt, 3), round(move, 3)
    tier: Tier
    if sums.known < KNOWN_MIN and doubt > DOUBT_MAX and not ask.failed_before:
        task, tier, probabilities = "other", "medium", PRIOR
    else:
        probabilities = _probabilities(LEVEL[task] + move, SCALE_SURE + SCALE_DOUBT * doubt)
        tier = _most_probable(probabilities)
    needed = strong - table.cheap_share * cheap + PLACED_SHARE * (probabilities[1] / 2 + probabilities[2] - 0.5)
    score = chance(table.chances["score"], needed - CHAT_SHARE if task == "chat" else needed)
    if cuts is None:
        sure = max(probabilities)
    else:
        tier = cuts.tier(score, task)
        sure = probabilities[TIERS.index(tier)]
    return Judgement(tier, task, probabilities, score, sure, MappingProxyType(features), table.version, cuts)


def _task(values: tuple[int, ...]) -> tuple[Task, float]:
    """Return the likeliest task, and the doubt: how likely the second is beside it, 1 a tie."""
    second, best = sorted(values)[-2:]
    return NAMED[values.index(best)], exp((second - best) / ONE)


def _hardest(fields: tuple[int, ...]) -> float:
    """Return how likely the tasks of the highest tier are, beside the likeliest task."""
    best = max(fields[TASKS_AT:])
    return sum([exp((fields[at] - best) / ONE) for at in _HARDEST])


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
