"""Plays a month under one policy: what it cost, what its answers were worth, who was charged, and what may never be."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from benchmarks.routing.policies import Policy
from benchmarks.routing.traffic import DAY_S, Month, Turn
from benchmarks.routing.truth import Providers, cost_nusd
from margin.usage import Usage
from proxy.routing.sessions import TURNS_PER_MOVE
from proxy.routing.tries import spared
from proxy.settings import TIERS, Deployment, Settings

ATTEMPTS_MAX = 3
NUSD = 1_000_000_000


@dataclass
class Played:
    """The sums of a month from a day on. Amounts are nano-dollars."""

    name: str
    turns: int = 0
    cost_nusd: int = 0
    unanswered: int = 0
    broken: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    by_tier: Counter[str] = field(default_factory=Counter)
    nusd_by_tier: Counter[str] = field(default_factory=Counter)
    worth: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    best: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    credits: Counter[int] = field(default_factory=Counter)
    nusd_of: Counter[int] = field(default_factory=Counter)
    switches: dict[int, int] = field(default_factory=dict)
    moves: int = 0
    wrong: list[str] = field(default_factory=list)
    """What may never be, where it was."""

    @property
    def quality(self) -> float:
        """What answers were worth, as a share of the frontier's."""
        return sum(self.worth.values()) / sum(self.best.values())

    def quality_of(self, part: str) -> float:
        """The same, of everyday prompts or of exams."""
        return self.worth[part] / self.best[part] if self.best[part] else 1.0

    def usd_a_request(self, tier: str) -> float:
        """What a request that a tier served cost, in dollars."""
        count = self.by_tier[tier]
        return self.nusd_by_tier[tier] / NUSD / count if count else 0.0

    @property
    def usd(self) -> float:
        """What it cost, in dollars."""
        return self.cost_nusd / NUSD


def play(month: Month, settings: Settings, policy: Policy, *, from_day: float = 0, to_day: float = 1e9) -> Played:
    """Play all turns up to a day, and count those from a day on: what is learnt before is learnt."""
    found, providers = Played(policy.name), Providers(month.told)
    lowest: dict[tuple[int, int], tuple[Turn, int]] = {}
    on: dict[int, str] = {}
    turns_of: Counter[int] = Counter()
    for turn in month.turns:
        if turn.t_s >= to_day * DAY_S:
            break
        counts = turn.t_s >= from_day * DAY_S
        served, cost, usage = _call(turn, settings, policy, providers, found if counts else Played(""))
        at = -1 if served is None else _tier(settings, served)
        if served is not None and usage is not None:
            policy.answered(served, usage, policy.task(turn))
            turns_of[turn.conversation] += 1
            if on.get(turn.conversation, served.name) != served.name:
                found.switches[turn.conversation] = found.switches.get(turn.conversation, 0) + 1
            on[turn.conversation] = served.name
        if policy.margins is not None:
            policy.margins.booked(turn, cost, 0 if served is None else _credits(policy) * 1_000)
        if counts:
            _count(found, turn, served, at, cost, usage, policy)
            key = turn.conversation, turn.ask
            lowest[key] = (turn, min(at, lowest[key][1]) if key in lowest else at)
    if policy.margins is not None:
        policy.margins.close(turn.t_s)
    _judge(found, lowest)
    _check_sessions(found, policy, turns_of)
    return found


def _call(
    turn: Turn, settings: Settings, policy: Policy, providers: Providers, found: Played
) -> tuple[Deployment | None, int, Usage | None]:
    """Try who is tried, until one answers or breaks off; return who answered, what it cost, and what it used."""
    tried: list[str] = []
    candidates = policy.candidates(turn)
    for deployment in spared(candidates, ATTEMPTS_MAX) if len(candidates) > ATTEMPTS_MAX else candidates:
        if len(tried) == ATTEMPTS_MAX:
            break
        if not policy.vitals.may_call(deployment):
            continue
        tried.append(deployment.name)
        fate = providers.fate(deployment, turn)
        policy.vitals.note(deployment, answered=fate == "answered")
        if fate == "failed":  # an error: no provider bills it
            continue
        if fate == "midway":  # bytes went out: it is billed, nobody is charged, and nobody else is asked
            found.broken += 1
            return None, cost_nusd(deployment, Usage(input=turn.ins, output=turn.out // 2), turn.t_s), None
        usage, cost = providers.answer(deployment, turn)
        return deployment, cost, usage
    found.unanswered += 1
    return None, 0, None


def _count(
    found: Played, turn: Turn, served: Deployment | None, at: int, cost: int, usage: Usage | None, policy: Policy
) -> None:
    found.turns += 1
    found.cost_nusd += cost
    found.nusd_of[turn.customer] += cost
    if served is None or usage is None:
        return
    found.by_tier[TIERS[at]] += 1
    found.nusd_by_tier[TIERS[at]] += cost
    found.input_tokens += usage.input_total
    found.cached_tokens += usage.cache_read
    found.credits[turn.customer] += _credits(policy)


def _credits(policy: Policy) -> int:
    """Return what a turn is charged: the tier that it is judged to need, whoever served it."""
    return {"simple": 1, "medium": 3, "complex": 10}[policy.charge_tier]


def _judge(found: Played, lowest: dict[tuple[int, int], tuple[Turn, int]]) -> None:
    """Add up what answers were worth: that of the lowest tier which served any turn of an ask; unanswered, nothing."""
    for turn, at in lowest.values():
        part = "exam" if turn.prompt.is_exam else "everyday"
        found.best[part] += turn.prompt.worth[2]
        found.worth[part] += turn.prompt.worth[at] if at >= 0 else 0.0


def _check_sessions(found: Played, policy: Policy, turns_of: Counter[int]) -> None:
    """Check the bound on moves that money makes, of every conversation that is remembered."""
    for session in policy.remembered():
        found.moves += session.moves
        if session.moves > 1 + session.turns // TURNS_PER_MOVE:
            found.wrong.append(f"a conversation was moved {session.moves} times in {session.turns} turns")
    bound = policy.is_staying
    for conversation, switches in found.switches.items():
        if bound and switches > turns_of[conversation]:
            found.wrong.append(f"conversation {conversation} switched {switches} times")


def _tier(settings: Settings, deployment: Deployment) -> int:
    # By name: the guard may ask for one in its provider's cheaper service tier, which is another value.
    return next(
        at for at, tier in enumerate(TIERS) if any(each.name == deployment.name for each in settings.tiers[tier])
    )
