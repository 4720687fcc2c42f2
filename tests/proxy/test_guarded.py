"""What the margin guard does to a customer's requests: who serves, what is charged, what is left alone."""

import asyncio
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.routing.guard import acts_of
from proxy.settings.floors import Step
from proxy.wire.errors import Unprofitable
from tests.proxy.scene import CUSTOMER, Scene, check_books, scene
from tests.routing.test_fallback import told

NUSD = 10**9
HARD = "Prove that there are infinitely many primes of the form 4k+3, and that the proof does not extend to 4k+1."


def play(folder: Path, *steps: Step, sections: str = "", **fields: Any) -> tuple[Scene, list[str]]:
    """Serve one request of a customer with these steps; return its tiers, model and route."""

    async def main() -> tuple[Scene, list[str]]:
        async with scene(folder, sections=sections) as here:
            here.world.guarded[CUSTOMER] = acts_of(steps)
            headers = fields.pop("headers", None)
            reply = await here.ask(HARD, headers=headers, **fields)
            return here, told(reply, "tier", "served-tier", "model", "route")

    found, said = asyncio.run(main())
    check_books(found.records())
    return found, said


def test_a_cap_moves_who_serves_auto_and_not_what_is_charged(tmp_path: Path) -> None:
    """The charge stays as judged; the token and the decision say that the guard did it."""
    found, said = play(tmp_path, "tighten", "cap_medium", model="auto")

    assert said == ["complex", "medium", "gpt-6.1-sol", "judged+guard"]
    assert found.end()["cr"] == 10_000
    assert found.end()["dec"]["reasons"][-1] == (
        "the guard takes medium in place of complex for now (tighten, cap_medium)"
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "auto:complex"}, ["complex", "complex", "gpt-6-astra", "pinned"]),
        ({"model": "gpt-6-astra"}, ["complex", "complex", "gpt-6-astra", "named"]),
        ({"model": "auto", "headers": {b"x-penstock-tier": b"complex"}}, ["complex", "complex", "gpt-6-astra", "hint"]),
        ({"model": "auto", "headers": {b"x-penstock-min-tier": b"complex"}},
         ["complex", "complex", "gpt-6-astra", "judged"]),
        ({"model": "auto", "headers": {b"x-penstock-min-tier": b"medium"}},
         ["complex", "medium", "gpt-6.1-sol", "judged+guard"]),
    ],
)  # fmt: skip
def test_what_a_caller_asked_for_is_left_as_it_is(tmp_path: Path, fields: dict[str, Any], said: list[str]) -> None:
    """It is charged for a tier, a model or a minimum of its own choice, and gets it."""
    assert play(tmp_path, "cap_simple", **fields)[1] == said


def test_a_rule_s_floor_stands_above_the_guard(tmp_path: Path) -> None:
    """What was promised is kept."""
    rules = "routing: {rules: [{name: legal, at_least: medium}]}\n"

    assert play(tmp_path, "cap_simple", sections=rules, model="auto")[1] == [
        "complex", "medium", "gpt-6.1-sol", "judged+rule:legal+guard+floor",
    ]  # fmt: skip


def test_a_request_that_the_lower_tier_cannot_take_goes_up(tmp_path: Path) -> None:
    """A cap says where serving starts: capability goes first, and nobody is refused for it."""
    image = [{"type": "text", "text": HARD}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    sections = "routing: {margin_floor: 0.5}\n"

    async def main() -> list[str]:
        async with scene(tmp_path, sections=sections) as here:
            for name in ("gpt-6-luna", "gpt-4o-mini"):
                object.__setattr__(here.world.settings.deployments[name], "vision", False)
            here.world.guarded[CUSTOMER] = acts_of(("cap_simple",))
            body = {"model": "auto", "messages": [{"role": "user", "content": image}]}
            reply = await here.ask(**body)
            return told(reply, "served-tier", "route")

    assert asyncio.run(main()) == ["medium", "judged+guard+up"]


@pytest.mark.parametrize("model", ["auto", "auto:simple", "gpt-6-luna"])
def test_who_is_refused_is_told_so_once_and_nothing_is_booked(tmp_path: Path, model: str) -> None:
    """402, and not to come back; our margin is not its business."""

    async def main() -> Scene:
        async with scene(tmp_path) as here:
            here.world.guarded[CUSTOMER] = acts_of(("alert", "refuse"))
            with pytest.raises(Unprofitable) as caught:
                await here.ask(model=model)
            assert (caught.value.status, caught.value.should_retry) == (402, False)
            assert "margin" not in caught.value.message
        return here

    assert asyncio.run(main()).records() == []


def test_answers_from_memory_follow_the_guard(tmp_path: Path) -> None:
    """What was understood before a step was taken is understood anew after it."""

    async def main() -> list[list[str]]:
        said = []
        async with scene(tmp_path, repeats=True) as here:
            for acts in (None, None, acts_of(("cap_simple",)), None):
                here.world.guarded.clear()
                if acts is not None:
                    here.world.guarded[CUSTOMER] = acts
                said.append(told(await here.ask(HARD, model="auto", temperature=0), "cache", "served-tier"))
        return said

    assert asyncio.run(main()) == [["miss", "complex"], ["hit", "complex"], ["miss", "simple"], ["hit", "complex"]]


def test_flex_asks_for_the_cheaper_service_tier_and_its_saving_is_seen(tmp_path: Path) -> None:
    """At half the price by the provider's own invoice; the baseline is what would have been asked for without us."""
    found, said = play(tmp_path, "flex", model="auto:complex")

    (bill,), (line,) = found.billed(), found.end()["a"]
    assert said == ["complex", "complex", "gpt-6-astra", "pinned"]
    assert orjson.loads(found.provider.requests[0].content)["service_tier"] == "flex"
    assert (bill["service_tier"], line["svc"]) == ("flex", "flex")
    assert abs(line["cost"] - Fraction(bill["amount_usd"]) * NUSD) <= Fraction(1, 2)
    assert found.end()["base"] == 2 * line["cost"]


def test_flex_leaves_a_stated_service_tier_alone(tmp_path: Path) -> None:
    """Who pays for speed gets it."""
    found, _ = play(tmp_path, "flex", model="auto:complex", service_tier="priority")

    assert orjson.loads(found.provider.requests[0].content)["service_tier"] == "priority"


def test_without_room_in_flex_the_standard_tier_serves(tmp_path: Path) -> None:
    """A 429 there rests that way only."""

    async def main() -> tuple[Scene, list[list[str]]]:
        async with scene(tmp_path) as here:
            here.world.guarded[CUSTOMER] = acts_of(("flex",))
            await here.simulator_fails("status=429 retry_after=60", times=1)
            said = [told(await here.ask(model="auto:complex"), "model", "served-tier", "route") for _ in range(2)]
        return here, said

    found, said = asyncio.run(main())

    assert said == [["gpt-6-astra", "complex", "pinned+fell"], ["gpt-6-astra", "complex", "pinned+rest"]]
    assert [each["service_tier"] for each in found.billed()] == ["default", "default"]
