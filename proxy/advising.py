"""Near a boundary between two tiers a model is asked, if the operator wants that; what it says moves only who serves.

What is charged was judged and frozen before. The call is one of our own beside the exchange (`proxy.asides`), for a
share of requests at most, and waited for until its deadline: an answer that comes later is booked, and remembered for
the next of its kind.
"""

from __future__ import annotations

import asyncio
import time

from proxy import asides, repeating
from proxy.asides import NotAsked, Question
from proxy.routing import advice, policy
from proxy.routing.advice import OUTPUT_TOKENS, Advice
from proxy.routing.judging import Moved
from proxy.settings import Advisor, Tier
from proxy.settlement import Case
from proxy.upstream import dialects
from proxy.wire.errors import ProxyError
from proxy.world import World

WITHIN_S = 10.0
"""How long a call is read on whose request did not wait for it: its answer is paid for, and good for the next."""


def remembered(world: World, case: Case) -> None:
    """Have the keeper remember what is asked, of customers who opted in: a label may be made of it."""
    labels = case.settings.classifier.labels
    assert labels is not None, "the configuration keeps labels"
    prompts, name = labels.prompts, case.principal.name
    if prompts is None or case.ask.surface == "embeddings" or case.found is not None:
        return
    if case.plan.name in prompts.plans or name in prompts.customers:
        text = case.judging.text.encode("utf-8", "replace").decode()
        world.keeper.tell_prompt(case.ticket.customer, case.ticket.x, text)


async def advised(world: World, case: Case) -> Case:
    """Return an exchange, served by what a model says where the judge is in doubt; as it was where nobody is asked."""
    advisor = case.settings.classifier.advisor
    assert advisor is not None, "the configuration names one"
    world.vitals.advice.request()
    found = None if case.is_lowered else advice.in_doubt(advisor, case.plan, case.route.rule, case.judging.judge)
    if found is None:
        return case
    said = await _said(world, case, advisor, found)
    case = case._replace(advice=said)
    return _moved(world, case, said) if said.moves else case


async def _said(world: World, case: Case, advisor: Advisor, asked: Advice) -> Advice:
    """Return what is remembered, or what is answered in time."""
    question, said = advice.question(case.judging.text, advisor.deployment.name)
    place = world.advice.place(case.ticket.customer, asked.by, said)
    word = world.advice.find(place)
    if word is not None:
        return asked._replace(came="memory", said=word)
    if not world.vitals.advice.take(time.perf_counter()):
        return asked
    about = Question(case.ticket.x, "classifier", advisor.deployment, question, advisor.budget, WITHIN_S, OUTPUT_TOKENS)
    told: asyncio.Future[Advice] = asyncio.get_running_loop().create_future()
    world.tasks.start(_ask(world, case, about, asked, place, told), f"advice {case.ticket.x}")
    await asyncio.wait([told], timeout=min(advisor.deadline_s, case.left_s()))
    return told.result() if told.done() else asked._replace(came="late")


async def _ask(
    world: World, case: Case, about: Question, asked: Advice, place: bytes, told: asyncio.Future[Advice]
) -> None:
    """Ask, remember a word, and tell whoever still waits."""
    found = asked._replace(came="failed")
    try:
        gist = await asides.ask(world, case, about)
        if gist is not None:
            found = _read(advice.word_of(gist), found)
    except NotAsked:
        found = asked
    finally:
        advisor = world.settings.classifier.advisor
        if found.said is not None and advisor is not None:
            world.advice.keep(place, found.said, advisor.remembered_max)
        told.set_result(found)


def _read(word: Tier | None, asked: Advice) -> Advice:
    return asked._replace(came="nonsense") if word is None else asked._replace(came="call", said=word)


def _moved(world: World, case: Case, said: Advice) -> Case:
    """Return an exchange as the other tier serves it; what it is charged, and for what, stays.

    Who served it else stands behind: should nobody of the other tier answer, the judge's own word holds.
    """
    why = f"{said.by} takes it for {said.other}, which is nearly as likely"
    judged = Moved(case.judging, said.other, (why,))
    try:
        found = policy.route(case.settings, case.plan, case.ask, judged, None, dialects.uncarried, case.principal.terms,
                             case.asker, world.prices, case.acts)  # fmt: skip
    except ProxyError:  # plan, key or capability say no: it goes where it went
        return case
    behind = tuple(each for each in case.route.deployments if each not in found.deployments)
    route = found._replace(
        charge_tier=case.route.charge_tier, credits_milli=case.route.credits_milli,
        rule=found.rule.replace("judged", "judged+advised", 1), deployments=found.deployments + behind,
    )  # fmt: skip
    case.ticket.unwritten["served"] = route.served_tier
    return repeating.sought(world, case._replace(route=route, place=repeating.placed(case, route)))
