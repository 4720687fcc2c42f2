"""Conversations that keep their model, as an exchange sees them: looked up once it is routed, kept once it is answered.

What is charged never depends on it: the charge's tier is judged for each request alone. Nothing is awaited, and a turn
that nothing is remembered of goes where the policy says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from margin.sellbook import Plan
from margin.usage import Usage
from proxy.identity import Principal
from proxy.routing import naming, policy
from proxy.routing.judging import Moved
from proxy.routing.naming import Named
from proxy.routing.sessions import Decision, Session, Turn, Warm, Word, answered, decide
from proxy.routing.spread import beginning
from proxy.settings import TIERS, Deployment, Settings, Tier
from proxy.upstream.dialects import uncarried
from proxy.wire.ask import Ask
from proxy.wire.errors import ProxyError

if TYPE_CHECKING:
    from proxy.expected import Expected
    from proxy.repeating import Understood
    from proxy.routing.guard import Acts
    from proxy.routing.judging import Judging
    from proxy.routing.policy import Route
    from proxy.routing.rules import Asker
    from proxy.settlement import Case
    from proxy.world import World

_SAYS: Final[Mapping[Word, str]] = {
    "stay": "the conversation stays with {first}",
    "tools": "a turn of tools stays with {first}",
    "up": "it needs more than {pin}, where the conversation was",
    "down": "the conversation goes down from {pin} to {first}",
    "moved": "the conversation moves from {pin} to {first}",
    "left": "the conversation was with {pin}, which rests or may not take this turn",
}


@dataclass(slots=True)
class Seat:
    """One turn's place in its conversation."""

    world: World
    customer: int
    named: Named | None
    """None: it may only be the beginning of one."""
    session: Session | None
    needs: Tier
    turn: int
    decision: Decision | None = None
    to_come: float | None = None
    _kept: Session | None = None
    """The conversation with this turn in it."""

    def told(self) -> dict[str, Any]:
        """Return what the decision record keeps of it."""
        found = self.decision
        if found is None or self.named is None:
            return {}
        told: dict[str, Any] = {"decided": found.word, "by": self.named.by, "turn": self.turn}
        if found.pin_nusd is not None and found.first_nusd is not None and self.to_come is not None:
            told |= {"stay_nusd": found.pin_nusd, "move_nusd": found.first_nusd, "to_come": round(self.to_come, 1)}
        return {"session": told}

    def answered(self, case: Case, deployment: Deployment, usage: Usage) -> None:
        """Remember the conversation as it is after a turn, and what was found warm."""
        world = self.world
        key = self.named.key if self.named is not None else beginning(case.principal.name, case.ask.messages)
        now_s, session = world.pins.now_s(), self.session
        if session is not None:
            before = next((each for each in session.warm if each.deployment == deployment.name), None)
            if before is not None:
                world.expected.goes_on(deployment, usage, before.tokens, is_warm=before.until_s > now_s)
        word: Word = "new" if self.decision is None else self.decision.word
        found = answered(
            session, deployment.name, None if case.judging.is_tool_turn else self.needs, word, turns=self.turn,
            now_s=now_s, tokens=usage.input_total, warm=_warm(deployment, usage, now_s),
        )  # fmt: skip
        world.pins.put(self.customer, key, found, most(world))
        self._kept = found

    def goes_on_from(self, response: str) -> None:
        """Let the conversation be found by the response that ends it, too: its provider keeps what came before."""
        if self._kept is not None:
            self.world.pins.put(self.customer, naming.of_response(response), self._kept, most(self.world))


def most(world: World) -> int:
    """Return how many conversations are remembered; of a configuration that just switched them off, none."""
    sessions = world.settings.routing.sessions
    return 0 if sessions is None else sessions.most


def _warm(deployment: Deployment, usage: Usage, now_s: float) -> Warm | None:
    """Return what the provider's cache holds after an answer: all that went in."""
    lifetime_s = deployment.provider.prompt_cache_s
    return Warm(deployment.name, usage.input_total, now_s + lifetime_s) if lifetime_s else None


@dataclass(slots=True)
class _Weighing:
    """What a turn is expected to cost, and who rests."""

    world: World
    ask: Ask
    judging: Judging
    grown: int

    def nusd(self, deployment: Deployment, warm_tokens: int) -> int | None:
        """Return what it is expected to cost at a deployment."""
        return self.world.expected.turn_nusd(deployment, self.ask, self.judging.task, warm_tokens)

    def later_nusd(self, deployment: Deployment, *, is_tools: bool) -> int | None:
        """Return what a later one is expected to cost there."""
        return self.world.expected.later_nusd(deployment, self.ask, self.judging.task, self.grown, is_soon=is_tools)

    def rests(self, deployment: Deployment) -> bool:
        """Tell whether nobody calls it now."""
        return self.world.vitals.rests(deployment)


def sit(
    world: World, principal: Principal, plan: Plan, headers: Mapping[bytes, bytes], understood: Understood,
    hint: Tier | None, asker: Asker | None, acts: Acts | None = None,
) -> tuple[Route, Seat | None]:  # fmt: skip
    """Return the route of a turn, its conversation's deployment first if it stays there; and its place in it.

    None: it is of no conversation, its model was named, or routing only observes.
    """
    ask, judging, route, _ = understood
    sessions = world.settings.routing.sessions
    if sessions is None or route.rule.startswith("named") or route.would is not None:
        return route, None
    named = naming.named(principal.name, headers, ask)
    if named is None or ask.surface == "embeddings":
        if route.served_tier == TIERS[0]:  # what begins there is found there again without being remembered
            return route, None
        return route, Seat(world, principal.customer, None, None, route.served_tier, 1)
    session = _find(world, principal.customer, named, sessions.idle_s)
    turn = (naming.answers(ask.messages) if session is None else session.turns) + 1
    world.horizons.reached(principal.customer, turn)
    seat = Seat(world, principal.customer, named, session, route.served_tier, turn)
    # What its caller chose, or the margin guard lowered or caps, no warm cache raises; who answers is remembered.
    is_tools = judging.is_tool_turn
    if "+guard" in route.rule or _is_capped(world.settings, session, route, acts, is_tools=is_tools):
        return route, seat
    if session is None:
        seat.decision = Decision(route.deployments[0], "new")
        return route, seat
    if is_tools:
        route = _as_before(world, principal, plan, understood, session, hint, asker, acts)
    return _seated(world, seat, session, ask, judging, route), seat


def learner(world: World, seat: Seat | None) -> Expected | None:
    """Return what learns from an exchange's answer; None where nothing that it teaches is looked at."""
    is_weighed = seat is not None and seat.named is not None
    return world.expected if is_weighed or world.prices is not None else None


def _find(world: World, customer: int, named: Named, idle_s: float) -> Session | None:
    found = world.pins.find(customer, named.key, idle_s)
    if found is None and named.before is not None:
        return world.pins.find(customer, named.before, idle_s)
    return found


def _seated(world: World, seat: Seat, session: Session, ask: Ask, judging: Judging, route: Route) -> Route:
    """Decide, and return the route with who takes the turn first."""
    settings = world.settings
    candidates = route.deployments
    tiers = [policy.tier_of(settings, each, route.served_tier) for each in candidates]
    now_s = world.pins.now_s()
    seat.to_come = world.horizons.left(seat.customer, seat.turn)
    turn = Turn(candidates, tiers, _is_lower(settings, session.deployment, route.served_tier), judging.is_tool_turn,
                seat.to_come, now_s)  # fmt: skip
    grown = session.grows_by(route.input_estimate)
    found = seat.decision = decide(session, turn, _Weighing(world, ask, judging, grown))
    first = found.first
    said = _SAYS[found.word].format(first=first.name, pin=found.pin)
    others = (each for each in candidates if each is not first)
    return route._replace(
        deployments=candidates if first is candidates[0] else (first, *others),
        served_tier=tiers[candidates.index(first)],
        rule=f"{route.rule}+session-{found.word}",
        reasons=(*route.reasons, said),
    )


def _is_capped(settings: Settings, session: Session | None, route: Route, acts: Acts | None, *, is_tools: bool) -> bool:
    """Tell whether a conversation is above where it may be: the tier its caller chose, or the margin guard's cap.

    What tools gave goes where they were called also if that is above the caller's choice, as after an outage.
    """
    is_chosen = route.rule.startswith(("pinned", "hint"))
    cap = None if acts is None or is_chosen else acts.cap
    pin = None if session is None else settings.deployments.get(session.deployment)
    if pin is None or (is_tools if is_chosen else cap is None):
        return False
    top = max(TIERS.index(route.served_tier), 0 if cap is None else TIERS.index(cap))
    return not any(pin in settings.tiers[tier] for tier in TIERS[: top + 1])


def _is_lower(settings: Settings, name: str, tier: Tier) -> bool:
    """Tell whether a deployment serves lower tiers only."""
    listed = [at for at in TIERS if any(each.name == name for each in settings.tiers[at])]
    return bool(listed) and TIERS.index(listed[-1]) < TIERS.index(tier)


def _as_before(
    world: World, principal: Principal, plan: Plan, understood: Understood, session: Session,
    hint: Tier | None, asker: Asker | None, acts: Acts | None,
) -> Route:  # fmt: skip
    """Return the route of a turn of tools, as of the ask behind it: what it is judged now moves it nowhere.

    What caller, plan and policy say of the tier holds as ever, and so does what it is charged.
    """
    route, settings = understood.route, world.settings
    pin = settings.deployments.get(session.deployment)
    if pin is None or pin.listed_tier is None or pin in route.deployments:
        return route
    judged = Moved(understood.judging, pin.listed_tier)
    if acts is not None:  # a turn of tools is not tightened: nobody asked it
        acts = acts._replace(tightens=False)
    try:
        found = policy.route(settings, plan, understood.ask, judged, hint, uncarried, principal.terms, asker,
                             world.prices, acts)  # fmt: skip
    except ProxyError:
        return route
    if pin not in found.deployments:
        return route
    return found._replace(charge_tier=route.charge_tier, credits_milli=route.credits_milli)
