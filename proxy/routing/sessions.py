"""Stay or switch: which deployment takes the next turn of a conversation. Pure: state in, decision out.

A provider that answered has the conversation in its prompt cache for some minutes; another one reads all of it cold.
So a turn stays where the conversation is unless what a switch is expected to save, over the turns still to come, pays
for the cold prefix. A turn of tools never moves. A harder ask moves up at once: it is routed so, and here is only
chosen where. Whoever rests, or may not be asked, is left.

Each turn has two amounts at a deployment: *now* (what is warm there is read at the cache's price), and *later* (as
turns that go on there, or come back, were found warm so far). A lower tier saves nothing on asks that it may not take:
as often as what was asked in this conversation needed more so far, a later turn costs what it costs where the
conversation is, or at the first deployment of the tier that it needs. A turn of tools is asked by nobody and counts for
nothing there: it goes where the ask behind it went, and as many as followed each ask so far are expected to follow the
next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol

from proxy.settings import TIERS, Deployment, Tier

WARM_MAX: Final = 3
"""Deployments whose caches are remembered: one for each tier."""
GAIN_MIN: Final = 0.05
"""Of what this turn costs where it is. All sums are guesses, and a model that changes is a change in tone: less is not
worth it."""
TURNS_PER_MOVE: Final = 2
"""A conversation may be moved to save money once, and once more for each so many turns. Moves up need moves down
between them, so all moves together are bounded, too."""

Word = Literal["new", "stay", "tools", "up", "down", "moved", "left"]
WORDS: Final[tuple[Word, ...]] = ("new", "stay", "tools", "up", "down", "moved", "left")
"""What a turn did: began; stayed; stayed for its tools; went up for a harder ask; down, or beside, as that pays;
left a deployment that rests or may not be asked."""


class Warm(NamedTuple):
    """A provider's cache of a conversation: whose, how many tokens, and until when it is kept without another turn."""

    deployment: str
    tokens: int
    until_s: float


class Session(NamedTuple):
    """A conversation so far.

    Args:
        deployment: Who answered last.
        turns: Requests answered.
        needed: How many asks that were seen needed each tier, lowest first.
        tools: How many turns of tools were seen.
        moves: How often it was moved to save money.
        switches: How often its model changed, for whatever reason.
        seen_s: When it was last answered, by the clock of `Pins`.
        began_tokens: How long its first turn was that is remembered.
        warm: The caches that hold it, the latest first.
    """

    deployment: str
    turns: int = 0
    needed: tuple[int, int, int] = (0, 0, 0)
    tools: int = 0
    moves: int = 0
    switches: int = 0
    seen_s: float = 0.0
    began_tokens: int = 0
    warm: tuple[Warm, ...] = ()

    def tokens_at(self, deployment: str, now_s: float) -> int:
        """Return how much of it a deployment's cache holds."""
        return next((each.tokens for each in self.warm if each.deployment == deployment and each.until_s > now_s), 0)

    def grows_by(self, tokens: int) -> int:
        """Return by how many tokens each turn made it longer; it has come to so many."""
        return max(tokens - self.began_tokens, 0) // self.turns if self.turns else 0

    def share_of(self, tier: int, top: int) -> float:
        """Return the share of asks that needed a tier, or, if that is `top`, it or more; the next one counts, too."""
        return sum(self.needed[tier:] if tier == top else self.needed[tier : tier + 1]) / (sum(self.needed) + 1)

    @property
    def tools_an_ask(self) -> float:
        """How many turns of tools followed each of its asks."""
        return self.tools / (sum(self.needed) or 1)

    @property
    def may_move(self) -> bool:
        """Whether it may be moved once more to save money."""
        return self.moves <= self.turns // TURNS_PER_MOVE


class Turn(NamedTuple):
    """What is known of the next turn.

    Args:
        candidates: Who may take it, in the policy's order.
        tiers: The tier of each.
        is_harder: Whether who answered last is of a lower tier than it needs.
        is_tools: Whether it brings what tools gave, and no new ask.
        to_come: Turns expected after it.
        now_s: The moment.
    """

    candidates: Sequence[Deployment]
    tiers: Sequence[Tier]
    is_harder: bool
    is_tools: bool
    to_come: float
    now_s: float


class Weighing(Protocol):
    """What the next turn is expected to cost, and who may be called."""

    def nusd(self, deployment: Deployment, warm_tokens: int) -> int | None:
        """Return what it costs with so much of it warm; None: unknown."""
        ...

    def later_nusd(self, deployment: Deployment, *, is_tools: bool) -> int | None:
        """Return what a later one costs, as conversations that went on there were found; None: unknown."""
        ...

    def rests(self, deployment: Deployment) -> bool:
        """Tell whether nobody calls a deployment now."""
        ...


class Decision(NamedTuple):
    """Who takes a turn, why in a word, and what was weighed: nano-dollars up to the end, where they are known."""

    first: Deployment
    word: Word
    pin: str | None = None
    pin_nusd: int | None = None
    first_nusd: int | None = None


def decide(session: Session | None, turn: Turn, weighing: Weighing) -> Decision:
    """Return who takes the next turn of a conversation. Somebody who rests only where everybody does."""
    candidates = turn.candidates
    first = next((each for each in candidates if not weighing.rests(each)), candidates[0])
    if session is None:
        return Decision(first, "new")
    pin = next((each for each in candidates if each.name == session.deployment), None)
    if pin is None or (pin is not first and weighing.rests(pin)):
        best, _ = _cheapest(_options(session, turn, first, weighing), session, turn, weighing, None)
        return Decision(best, "up" if turn.is_harder and pin is None else "left", session.deployment)
    if turn.is_tools or pin is first:
        return Decision(pin, "tools" if turn.is_tools else "stay", pin.name)
    best, best_nusd = _cheapest(_options(session, turn, first, weighing), session, turn, weighing, pin)
    pin_nusd = _total(pin, session, turn, weighing, pin)
    if best_nusd is None or pin_nusd is None or not session.may_move:
        return Decision(pin, "stay", pin.name, pin_nusd, best_nusd)
    here_nusd = weighing.nusd(pin, session.tokens_at(pin.name, turn.now_s))
    if here_nusd is None or pin_nusd - best_nusd <= here_nusd * GAIN_MIN:
        return Decision(pin, "stay", pin.name, pin_nusd, best_nusd)
    word: Word = "down" if _tier(best, turn) != _tier(pin, turn) else "moved"
    return Decision(best, word, pin.name, pin_nusd, best_nusd)


def _options(session: Session, turn: Turn, first: Deployment, weighing: Weighing) -> list[Deployment]:
    """Return whom a switch may go to: the policy's first, and who else has the conversation in a cache."""
    warm = {each.deployment for each in session.warm if each.until_s > turn.now_s} - {session.deployment}
    return [first, *(each for each in turn.candidates
                     if each is not first and each.name in warm and not weighing.rests(each))]  # fmt: skip


def _cheapest(
    options: Sequence[Deployment], session: Session, turn: Turn, weighing: Weighing, pin: Deployment | None
) -> tuple[Deployment, int | None]:
    """Return the option that costs least up to the end; the first where nobody knows."""
    best, least = options[0], _total(options[0], session, turn, weighing, pin)
    for each in options[1:]:
        found = _total(each, session, turn, weighing, pin)
        if found is not None and (least is None or found < least):
            best, least = each, found
    return best, least


def _total(
    deployment: Deployment, session: Session, turn: Turn, weighing: Weighing, pin: Deployment | None
) -> int | None:
    """Return what a conversation costs at a deployment from here to its end, in nano-dollars."""
    now = weighing.nusd(deployment, session.tokens_at(deployment.name, turn.now_s))
    later = _Later.of(deployment, weighing)
    if now is None or later is None:
        return None
    tools = session.tools_an_ask
    own = min(turn.to_come, tools)  # the tools of this ask: they go where it goes
    each = later.mean(tools)
    if pin is not None:
        at, top = (TIERS.index(_tier(one, turn)) for one in (deployment, pin))
        for higher in range(at + 1, top + 1):
            there = _there(higher, top, pin, turn, weighing, tools)
            if there is None:
                return None
            each += (there - later.mean(tools)) * session.share_of(higher, top)
    return now + round(later.tools * own + each * (turn.to_come - own))


def _there(tier: int, top: int, pin: Deployment, turn: Turn, weighing: Weighing, tools_an_ask: float) -> float | None:
    """Return what a later turn costs that needs a higher tier: where the conversation is, or at that tier's first."""
    asked = [pin] if tier == top else [pin, *(each for each in turn.candidates if _tier(each, turn) == TIERS[tier])][:2]
    found = [_Later.of(each, weighing) for each in asked]
    return min((each.mean(tools_an_ask) for each in found if each is not None), default=None)


class _Later(NamedTuple):
    """What a later turn costs at a deployment: one that brings what tools gave, and one that somebody asks."""

    tools: int
    asked: int

    @classmethod
    def of(cls, deployment: Deployment, weighing: Weighing) -> _Later | None:
        """Return it; None where nobody knows."""
        tools, asked = (weighing.later_nusd(deployment, is_tools=each) for each in (True, False))
        return None if tools is None or asked is None else cls(tools, asked)

    def mean(self, tools_an_ask: float) -> float:
        """Return what a turn costs where so many turns of tools follow each ask."""
        return (self.tools * tools_an_ask + self.asked) / (tools_an_ask + 1)


def _tier(deployment: Deployment, turn: Turn) -> Tier:
    return turn.tiers[turn.candidates.index(deployment)]


def answered(
    session: Session | None, deployment: str, tier: Tier | None, decided: Word, *, turns: int, now_s: float,
    tokens: int, warm: Warm | None,
) -> Session:  # fmt: skip
    """Return a conversation after a turn.

    Args:
        session: The conversation before it.
        deployment: Who answered.
        tier: The tier that its ask needed; None for a turn of tools.
        decided: What was decided for it.
        turns: Turns that it has had, this one included.
        now_s: The moment.
        tokens: How long the turn was.
        warm: What its provider's cache holds of it now; None: nothing.
    """
    before = Session(deployment) if session is None else session
    simple, medium, hard = before.needed
    kept = [each for each in before.warm if each.deployment != deployment]  # also what is over: to measure who returns
    return Session(
        deployment,
        turns,
        (simple + (tier == "simple"), medium + (tier == "medium"), hard + (tier == "complex")),
        before.tools + (tier is None),
        before.moves + (decided in {"down", "moved"}),
        before.switches + (before.deployment != deployment),
        now_s,
        tokens if session is None else before.began_tokens,
        tuple(([] if warm is None else [warm]) + kept)[:WARM_MAX],
    )
