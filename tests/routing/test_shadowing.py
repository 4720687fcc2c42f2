"""Shadow samples: another tier answers the same after its caller has an answer, and what comes of both is a label."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.routing import comparing
from proxy.shadowing import _draw
from proxy.wire.gist import Gist
from tests.proxy.scene import Record, Scene
from tests.routing.test_advising import play_loosely
from tests.routing.test_escalating import play, steer

EMAIL = "Summarise this paragraph about bees in two sentences."
"""Judged medium: the tier below is simple."""
EMPTY: Record = {}


def sampling(labels: bool = True, judge: Record = EMPTY, **more: Any) -> str:
    """Sample every request of the customers on the plan sandbox."""
    shadows = {"enabled": True, "share": 1, "plans": ["sandbox"]} | more
    section = {"labels": {"enabled": labels}, "shadows": shadows, "judge": judge}
    return f"classifier: {orjson.dumps(section).decode()}\n"


async def says(here: Scene, *words: str) -> None:
    """Let the next calls answer with these words, in turn."""
    await steer(here, orjson.dumps([{"fault": f"say={word}", "times": 1} for word in words]))


def shadows(found: Scene) -> list[Record]:
    """The ends of calls that asked another tier."""
    return [each for each in found.records() if each["k"] == "void" and each["x"].endswith(".shadow")]


def labels(found: Scene) -> list[Record]:
    """What the keeper is told of."""
    return [args for name, args in found.keeper.commands if name == "labels.compare"]


@pytest.mark.parametrize("stream", [False, True])
def test_the_tier_below_is_asked_the_same_and_compared(tmp_path: Path, stream: bool) -> None:
    """Plain or streamed: one charge, a call of a kind of its own, and a label of the lower tier with its propensity."""

    async def act(here: Scene) -> None:
        await says(here, "Bees.", "bees")
        await (here.stream if stream else here.ask)(EMAIL, model="auto", max_tokens=50)

    found = play(act, tmp_path, sections=sampling())

    (end,), (settled,) = shadows(found), [each for each in found.records() if each["k"] == "settled"]
    (line,) = end["a"]
    assert (end["x"], line["kind"], line["d"]) == (f"{settled['x']}.shadow", "shadow", "gpt-6-luna")
    assert line["cost"] > 0
    assert labels(found) == [
        {"id": settled["x"], "customer": 1, "served": "simple", "good": True, "propensity": 1.0, "source": "shadow"}
    ]
    sent = [orjson.loads(each.content) for each in found.provider.requests]
    assert [each["model"] for each in sent] == ["gpt-6.1-sol", "gpt-6-luna"]
    assert sent[1]["messages"] == sent[0]["messages"]
    assert "stream" not in sent[1]


def test_the_tier_above_is_the_better_answer(tmp_path: Path) -> None:
    """Above: the label is still of the lower tier, which served."""

    async def act(here: Scene) -> None:
        await steer(here, orjson.dumps([{"fault": "tokens=0", "times": 1}]))
        await here.ask(EMAIL, model="auto")

    found = play(act, tmp_path, sections=sampling(tier="above"))

    assert [line["d"] for each in shadows(found) for line in each["a"]] == ["gpt-6-astra"]
    assert [(each["served"], each["good"]) for each in labels(found)] == [("medium", False)]


def test_what_cannot_be_told_is_asked_of_a_model_where_that_is_wanted(tmp_path: Path) -> None:
    """Two long texts of their own words: the rule says nothing; the model's call stands beside the shadow."""
    judge = {"enabled": True, "model": "gpt-4o-mini", "near": 0}

    async def act(here: Scene) -> None:
        await steer(here, orjson.dumps([{"fault": "say=no", "times": 1, "model": "gpt-4o-mini"}]))
        await here.ask(EMAIL, model="auto")

    found = play(act, tmp_path, sections=sampling(compare="model", judge=judge))

    assert [(each["good"], each["source"]) for each in labels(found)] == [(False, "shadow_model")]
    kinds = {each["x"].partition(".")[2]: each["a"][0]["kind"] for each in found.records() if each["k"] == "void"}
    assert kinds == {"shadow": "shadow", "shadow.classifier": "classifier"}


def test_by_the_rule_alone_nothing_is_guessed(tmp_path: Path) -> None:
    """The call is booked, and there is no label."""

    async def act(here: Scene) -> None:
        await here.ask(EMAIL, model="auto")

    found = play(act, tmp_path, sections=sampling())

    assert (len(shadows(found)), labels(found)) == (1, [])


@pytest.mark.parametrize(
    ("sections", "fields"),
    [
        (sampling(plans=["open"]), {"model": "auto"}),
        (sampling(plans=[]), {"model": "auto"}),
        (sampling(enabled=False), {"model": "auto"}),
        (sampling(labels=False), {"model": "auto"}),
        (sampling(share="0.000001"), {"model": "auto"}),
        (sampling(budget="0.0000001/day"), {"model": "auto"}),
        (sampling(), {"model": "auto:medium"}),
        (sampling(), {"model": "auto", "n": 2}),
        (sampling(), {"model": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}),
        (sampling(tier="above"), {"model": "auto:complex"}),
    ],
)
def test_who_is_not_to_be_sampled_is_not(tmp_path: Path, sections: str, fields: Record) -> None:
    """Other plans, off, no labels, not drawn, no budget, the caller's own choice, several answers, tools."""

    async def act(here: Scene) -> None:
        await here.ask(EMAIL, **fields)

    assert shadows(play(act, tmp_path, sections=sections)) == []


def test_a_customer_may_be_named(tmp_path: Path) -> None:
    """Besides plans."""

    async def act(here: Scene) -> None:
        await here.ask(EMAIL, model="auto")

    assert len(shadows(play(act, tmp_path, sections=sampling(plans=[], customers=["sandbox"])))) == 1


def test_what_waits_is_bounded_and_dropped_at_the_end(tmp_path: Path) -> None:
    """Of ten at once two are in hand; when the server closes nothing more is asked, and the books are whole."""

    async def act(here: Scene) -> None:
        await asyncio.gather(*(here.ask(f"{EMAIL} {number}", model="auto") for number in range(10)))
        here.world.is_closing = True
        await here.world.tasks.finish(5)

    found = play(act, tmp_path, sections=sampling(waiting=2))

    assert len(shadows(found)) <= 2
    assert found.world.shadows == 0


def test_one_that_is_cut_off_stays_on_file(tmp_path: Path) -> None:
    """The process ends while it waits for the other tier: what its input may cost is booked."""

    async def act(here: Scene) -> None:
        await steer(here, orjson.dumps([{"fault": "hang", "times": 1, "model": "gpt-6-luna"}]))
        await here.ask(EMAIL, model="auto")
        while len(here.provider.requests) < 2:
            await asyncio.sleep(0)
        await here.world.tasks.finish(0)

    (end,) = shadows(play_loosely(act, tmp_path, sections=sampling()))

    assert [(line["kind"], line["st"]) for line in end["a"]] == [("failed", None)]


def test_an_error_beside_is_nobodys(tmp_path: Path) -> None:
    """The other tier is down, or the keeper away: the caller has its answer."""

    async def act(here: Scene) -> None:
        await steer(here, orjson.dumps([{"fault": "status=500", "times": 1, "model": "gpt-6-luna"}]))
        assert (await here.ask(EMAIL, model="auto")).status == 200
        await here.world.tasks.finish(5)
        here.keeper.is_away = True
        await says(here, "a", "a")
        assert (await here.ask(EMAIL, model="auto")).status == 200

    found = play(act, tmp_path, sections=sampling())

    assert (len(shadows(found)), labels(found)) == (2, [])


def said(text: str, reason: Any = "said") -> Gist:
    """An answer."""
    return Gist(text, calls=False, reason=reason)


@pytest.mark.parametrize(
    ("lower", "higher", "shape", "task", "does"),
    [
        (said("Canberra."), said("canberra"), "text", "faq", True),
        (said("Canberra"), said("Sydney"), "text", "faq", None),
        (said(""), said("Canberra"), "text", "faq", False),
        (said("I'm sorry, but I can't help with that."), said("Canberra"), "text", "faq", False),
        (said("It is", "limit"), said("It is Canberra"), "text", "faq", False),
        (said("Canberra"), said(""), "text", "faq", None),
        (said("So 12 * 3 = 36"), said("The result is 36."), "text", "mathematics", True),
        (said("So 12 * 3 = 1,036.5"), said("The result is 36."), "text", "mathematics", False),
        (said("Thirty-six"), said("The result is 36."), "text", "mathematics", None),
        (said('{"a": 1, "b": 2}'), said('{"b": 2, "a": 1}'), "object", "extraction", True),
        (said('{"a": 1}'), said('{"a": 2}'), "object", "extraction", False),
        (said("a: 1"), said('{"a": 2}'), "object", "extraction", False),
    ],
)
def test_what_stands_in_two_answers(lower: Gist, higher: Gist, shape: Any, task: str, does: bool | None) -> None:
    """Flaws, values, a few words and figures; what cannot be told is not guessed."""
    assert comparing.would_do(lower, higher, shape, None, task) is does


def test_exchanges_are_drawn_evenly() -> None:
    """Of 20,000 names a tenth, by more than chance would leave: 2,000, give or take five times 42."""
    drawn = sum(_draw(f"ex_0123456789ab{number:08x}") < 0.1 for number in range(20_000))

    assert abs(drawn - 2_000) < 5 * 42
