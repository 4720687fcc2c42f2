"""Prompts that are sent without what can go: by all calls, where rules say so; kept, judged and held as they came."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from margin.usage import Usage
from proxy import metering
from proxy.caching.trims import PASSES
from proxy.settings import Trim
from tests.caching import prompts_at_work
from tests.proxy.scene import Scene
from tests.proxy.test_exchange import play
from tests.proxy.test_repeating import cache_of

ASKED = {"messages": prompts_at_work.search()["messages"]}


def trimming(here: Scene, rules: frozenset[str] | None = None) -> None:
    """Let prompts be trimmed."""
    settings = here.world.settings
    here.world.settings = replace(settings, caching=replace(settings.caching, trim=Trim(frozenset(PASSES), rules)))


def sent(here: Scene) -> list[dict[str, Any]]:
    """Return the messages of each call."""
    return [orjson.loads(each.content)["messages"] for each in here.provider.requests]


def test_less_is_sent_and_the_record_says_how_much(tmp_path: Path) -> None:
    """The baseline is what the whole prompt would have cost, so the lever is what was left out at its price."""

    async def act(here: Scene) -> None:
        await here.ask(**ASKED, model="auto:simple")
        trimming(here)
        await here.ask(**ASKED, model="auto:simple")
        await here.stream(**ASKED, model="auto:simple")

    here = play(tmp_path, act)

    whole, lean, streamed = sent(here)
    assert whole == ASKED["messages"]
    assert len(orjson.dumps(lean)) < 0.8 * len(orjson.dumps(whole))
    assert streamed == lean
    first, *later = [each for each in here.records() if each["k"] == "settled"]
    assert "trims" not in first
    assert "trimmed" not in first["dec"]
    baseline = here.world.settings.deployments[first["dec"]["baseline"]]
    for each in later:
        before, after = each["dec"]["trimmed"]
        usage = Usage.from_dict(each["a"][0]["u"])
        gone = (before - after) * min(after, usage.input_total) // after
        assert each["trims"] == metering.cost_nusd(baseline, Usage(input=gone), each["t"] // 10**9) > 0
        assert each["base"] == metering.cost_nusd(baseline, usage, each["t"] // 10**9) + each["trims"]


def test_only_requests_of_its_rules_are_trimmed(tmp_path: Path) -> None:
    """Of others nothing goes."""

    async def act(here: Scene) -> None:
        trimming(here, frozenset(["search"]))
        await here.ask(**ASKED, headers={b"x-penstock-feature": b"search"})
        await here.ask(**ASKED)

    rules = "routing: {rules: [{name: search, when: {feature: [search]}, at_most: medium}]}"
    first, second = sent(play(tmp_path, act, sections=rules))

    assert len(orjson.dumps(first)) < len(orjson.dumps(second))
    assert second == ASKED["messages"]


def test_an_answer_from_memory_is_the_same_answer(tmp_path: Path) -> None:
    """Its key is of the prompt as it came, and whoever asks again is known by its bytes, with what is sent of it."""

    async def act(here: Scene) -> None:
        trimming(here)
        assert cache_of(await here.ask(**ASKED)) == b"miss"
        assert cache_of(await here.ask(**ASKED)) == b"hit"
        assert cache_of(await here.ask(**ASKED, headers={b"x-penstock-cache": b"no-cache"})) == b"miss"

    first, again = sent(play(tmp_path, act, repeats=True))

    assert first == again != ASKED["messages"]


@pytest.mark.parametrize("prompt", ["hi", "a  \n\n\n\n b"])
def test_short_prompts_are_sent_as_they_came(tmp_path: Path, prompt: str) -> None:
    """Not a blank of an ask is touched, and nothing is claimed."""

    async def act(here: Scene) -> None:
        trimming(here)
        await here.ask(prompt)

    here = play(tmp_path, act)

    assert sent(here) == [[{"role": "user", "content": prompt}]]
    assert "trims" not in here.end()
