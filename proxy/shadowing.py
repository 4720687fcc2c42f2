"""Shadow samples: of some requests another tier's answer, too, so that something is known of tiers that did not serve.

After its caller has the answer, the same request goes to the tier below (or above) beside the exchange
(`proxy.asides`), and what comes of the two is a label with the share of requests as its propensity (docs/adr/0064).
Only of customers that the configuration names. What waits when the server ends is forgotten: it is on no file yet.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import orjson

from margin import records
from proxy import asides
from proxy.admission import KeeperAway
from proxy.asides import NotAsked, Question
from proxy.routing import comparing
from proxy.routing.advice import OUTPUT_TOKENS
from proxy.routing.capability import lacking
from proxy.routing.policy import tier_of
from proxy.routing.reach import allows
from proxy.settings import TIERS, Deployment, Shadows, Tier
from proxy.settlement import Call, Case
from proxy.upstream.dialects import gists, uncarried
from proxy.wire.ask import BYTES_PER_TOKEN, Ask
from proxy.wire.gist import Gist
from proxy.wire.surfaces import CONVERSATIONS, SURFACES
from proxy.world import World

SURFACES_SAMPLED: Final = frozenset({"chat", "messages"})
"""A response is kept by its provider, and a legacy completion is no conversation."""
BYTES_MAX: Final = 256 * 1024
"""Of an answer that is held to be compared: sixty thousand tokens, or a long stream's events."""
COMPARE_S: Final = 10.0
OUTPUT_TOKENS_MIN: Final = 1_024
LONGER: Final = 4
"""What a model can put out at most would hold a whole day's budget for one request: what is likely is held instead, so
that the budget may be overshot by what four calls at once put out beyond it."""


class Sample:
    """An exchange that was drawn, and its answer as it goes by."""

    __slots__ = ("_left_bytes", "_pieces", "case", "shadows", "world")

    def __init__(self, world: World, case: Case, shadows: Shadows) -> None:
        self.world, self.case, self.shadows = world, case, shadows
        self._pieces: list[bytes] = []
        self._left_bytes = BYTES_MAX

    def add(self, data: bytes) -> None:
        """Note a piece of the provider's answer."""
        self._left_bytes -= len(data)
        if self._left_bytes >= 0:
            self._pieces.append(data)

    def answered(self, call: Call) -> None:
        """The exchange is settled with a whole answer: have the other tier asked, once what was sent has left."""
        world = self.world
        if self._left_bytes >= 0 and not world.is_closing and world.shadows < self.shadows.waiting_max:
            world.shadows += 1
            world.tasks.start(_sampled(self, call, b"".join(self._pieces)), f"shadow {self.case.ticket.x}")


def drawn(world: World, case: Case) -> Sample | None:
    """Return a sample of an exchange, if it is drawn; None: it is not, or its customer is not among those sampled."""
    shadows = case.settings.classifier.shadows
    assert shadows is not None, "the configuration has samples"
    principal, ask = case.principal, case.ask
    if case.plan.name not in shadows.plans and principal.name not in shadows.customers:
        return None
    if not case.route.rule.startswith("judged") or ask.surface not in SURFACES_SAMPLED or ask.tools or ask.choices > 1:
        return None
    return Sample(world, case, shadows) if _draw(case.ticket.x) < shadows.share else None


def _draw(x: str) -> float:
    """Return a number of 0..1 that nobody chose: of an exchange always the same."""
    return int.from_bytes(blake2b(x.encode(), digest_size=6).digest()) / (1 << 48)


def _other(case: Case, served: Tier, shadows: Shadows) -> tuple[Tier, Deployment] | None:
    """Return the tier beside the one that served, and who of it can take the request."""
    at = TIERS.index(served) + (1 if shadows.tier == "above" else -1)
    if not 0 <= at < len(TIERS):
        return None
    terms, ask = case.principal.terms, case.ask
    able = (
        each for each in case.settings.tiers[TIERS[at]] if allows(terms, each) and not lacking(each, ask, uncarried)
    )
    deployment = next(able, None)
    return None if deployment is None or deployment in case.settings.tiers[served] else (TIERS[at], deployment)


async def _sampled(sample: Sample, call: Call, body: bytes) -> None:
    """Ask the other tier, compare, and have the label kept."""
    world = sample.world
    try:
        async with world.shadowing:
            await _asked(sample, call, body)
    except (NotAsked, KeeperAway):  # no budget, no room, or nobody to keep it: one label less
        pass
    finally:
        world.shadows -= 1


async def _asked(sample: Sample, call: Call, body: bytes) -> None:
    world, case, shadows = sample.world, sample.case, sample.shadows
    served = tier_of(case.settings, call.deployment, case.route.served_tier)
    given, found = gists.read(call.deployment, case.ask, body), _other(case, served, shadows)
    if given is None or found is None:
        return
    tier, deployment = found
    within_s = deployment.provider.timeouts.total_s
    asked = Question(case.ticket.x, "shadow", deployment, _plain(case.ask), shadows.budget, within_s,
                     _output_tokens(case.ask, given))  # fmt: skip
    other = await asides.ask(world, case, asked)
    if other is None:
        return
    lower, higher = (given, other) if shadows.tier == "above" else (other, given)
    good, source = await _verdict(sample, lower, higher)
    if good is not None:
        await _label(sample, min(served, tier, key=TIERS.index), source, good=good)


def _output_tokens(ask: Ask, given: Gist) -> int:
    """Return how long another answer is reckoned to be: few are four times as long as the one that was given."""
    likely = max(OUTPUT_TOKENS_MIN, LONGER * len(given.text) // BYTES_PER_TOKEN)
    return likely if ask.output_max is None else min(likely, ask.output_max)


def _plain(ask: Ask) -> Ask:
    """Return the same request without a stream."""
    fields = {name: value for name, value in ask.fields.items() if name not in {"stream", "stream_options"}}
    return SURFACES[ask.surface].read(orjson.dumps(fields))


async def _verdict(sample: Sample, lower: Gist, higher: Gist) -> tuple[bool | None, str]:
    """Return whether the lower answer does, and where that comes from: what stands in both, or a model."""
    case, advisor = sample.case, sample.case.settings.classifier.advisor
    surface = CONVERSATIONS[case.ask.surface]
    shape = surface.knobs(case.ask).shape
    good = comparing.would_do(lower, higher, shape, surface.schema(case.ask), case.judging.task)
    if good is not None or sample.shadows.compare == "rule" or advisor is None:
        return good, "shadow"
    asked = comparing.question(case.judging.text, lower, higher, advisor.deployment.name)
    name = records.aside(case.ticket.x, "shadow")
    about = Question(name, "classifier", advisor.deployment, asked, advisor.budget, COMPARE_S, OUTPUT_TOKENS)
    return comparing.verdict_of(await asides.ask(sample.world, case, about)), "shadow_model"


async def _label(sample: Sample, lower: Tier, source: str, *, good: bool) -> None:
    args: dict[str, Any] = {
        "id": sample.case.ticket.x, "customer": sample.case.ticket.customer, "served": lower, "good": good,
        "propensity": sample.shadows.share, "source": source,
    }  # fmt: skip
    await sample.world.keeper.command("labels.compare", args, sample.case.principal.key, claim=None, request="")
