"""Whom a policy sends each turn to. Ours is the product's own: judge, route, sessions, expected prices, circuits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final

from benchmarks.routing.margins import Margins
from benchmarks.routing.prompts import Judge, Prompt
from benchmarks.routing.traffic import Turn
from benchmarks.routing.truth import START_S
from margin.usage import Usage
from proxy import staying
from proxy.expected import Expected
from proxy.repeating import Understood
from proxy.routing import policy
from proxy.routing.health import Circuit
from proxy.routing.horizons import Horizons
from proxy.routing.pins import Pins
from proxy.routing.policy import Route
from proxy.routing.sessions import Session
from proxy.settings import TIERS, Deployment, Settings, Tier

SYSTEM: Final = {"role": "system", "content": ""}


class Virtual:
    """Circuits by the month's clock: the product's own, with moments that are handed to them."""

    def __init__(self, settings: Settings) -> None:
        self.now_s = 0.0
        self._circuits = {name: Circuit(settings.routing.health) for name in settings.deployments}

    def rests(self, deployment: Deployment) -> bool:
        """Tell whether nobody calls it now."""
        return self._circuits[deployment.name].rests_until_s > self.now_s

    def may_call(self, deployment: Deployment) -> bool:
        """Tell whether a call may try it."""
        circuit = self._circuits[deployment.name]
        return not circuit.rests_until_s or circuit.lets_through(self.now_s)

    def note(self, deployment: Deployment, *, answered: bool) -> None:
        """Note what came of a call."""
        circuit = self._circuits[deployment.name]
        _ = circuit.answered(self.now_s, self.now_s) if answered else circuit.failed(self.now_s, self.now_s)


class _Judging:
    """A prompt's judgement, as an exchange has it."""

    def __init__(self, judge: Judge, turn: Turn, tier: Tier | None) -> None:
        self._judge, self._turn, self._tier = judge, turn, tier
        self.is_tool_turn = turn.is_tools

    @property
    def tier(self) -> Tier:
        """The tier it is judged to need, or that somebody knows."""
        return self._judge(self._turn.prompt).tier if self._tier is None else self._tier

    @property
    def task(self) -> str:
        """What it is."""
        return self._judge(self._turn.prompt).task

    @property
    def probabilities(self) -> tuple[float, float, float]:
        """How likely it needs each tier."""
        return self._judge(self._turn.prompt).probabilities

    reasons = ()


class Policy:
    """A name, and who is tried in turn."""

    def __init__(self, name: str, settings: Settings, judge: Judge, *, sessions: bool = False,
                 knows: Callable[[Prompt], Tier] | None = None, order: Callable[[Deployment], Any] | None = None,
                 margins: Margins | None = None) -> None:  # fmt: skip
        self.name, self._settings, self._judge = name, settings, judge
        self.is_staying, self._knows, self._order, self.margins = sessions, knows, order, margins
        self.vitals = Virtual(settings)
        self.world: Any = SimpleNamespace(
            settings=settings, pins=Pins(lambda: self.vitals.now_s), horizons=Horizons(), vitals=self.vitals,
            expected=Expected(lambda: START_S + self.vitals.now_s), prices=None,
        )  # fmt: skip
        self._plan = settings.sellbook.plan(settings.sellbook.default)
        self._seat: staying.Seat | None = None
        self._case: Any = None
        self.charge_tier: Tier = "simple"

    def candidates(self, turn: Turn) -> Sequence[Deployment]:
        """Return who is tried, the first one first."""
        self.vitals.now_s = turn.t_s
        ask = _ask(turn)
        judging = _Judging(self._judge, turn, None if self._knows is None else self._knows(turn.prompt))
        acts = None if self.margins is None else self.margins.acts(turn)
        if acts is not None and acts.refuses:
            self._seat = None
            return ()
        route = policy.route(self._settings, self._plan, ask, judging, acts=acts)
        self.charge_tier = route.charge_tier
        self._seat = None
        if self.is_staying:
            route, self._seat = self._stay(turn, ask, judging, route)
        if self._order is None:
            return route.deployments
        group = self._settings.tiers[route.served_tier]
        return [*sorted(group, key=self._order), *(each for each in route.deployments if each not in group)]

    def _stay(self, turn: Turn, ask: Any, judging: Any, route: Route) -> tuple[Route, staying.Seat | None]:
        principal: Any = SimpleNamespace(customer=turn.customer, name=str(turn.customer), terms=None)
        self._case = SimpleNamespace(principal=principal, ask=ask, judging=judging)
        headers = {b"x-penstock-session": b"%d" % turn.conversation}
        understood: Any = Understood(ask, judging, route, None)
        return staying.sit(self.world, principal, self._plan, headers, understood, None, None)

    def answered(self, deployment: Deployment, usage: Usage, task: str) -> None:
        """Learn from an answer."""
        if self._seat is not None:
            self.world.expected.learn(deployment, task, usage, int(START_S + self.vitals.now_s))
            self._seat.answered(self._case, deployment, usage)

    def remembered(self) -> Iterator[Session]:
        """Yield the conversations that it remembers."""
        for own in self.world.pins._of.values():  # noqa: SLF001 -- the product has no use for all of them
            yield from own.values()

    def task(self, turn: Turn) -> str:
        """Return what a turn is judged to be."""
        return self._judge(turn.prompt).task


def list_price(deployment: Deployment) -> Any:
    """Return what a list ranks by: input plus output, whatever is read from caches."""
    assert deployment.prices is not None
    rates = deployment.prices.at(START_S).rates
    return rates["input"] + rates["output"]


def oracle(prompt: Prompt) -> Tier:
    """Return the lowest tier whose answer is worth the frontier's."""
    return TIERS[prompt.wanted]


def _ask(turn: Turn) -> Any:
    fields: Mapping[str, Any] = {}
    return SimpleNamespace(
        fields=fields, surface="chat", model="auto", body_bytes=turn.ins * 4, messages=[SYSTEM], output_max=None,
        choices=1, tools=0, wants_schema=False, has_images=False, has_audio=False, images=0, media_parts=0,
        media_bytes=0, stream=False, prompts=1,
    )  # fmt: skip
