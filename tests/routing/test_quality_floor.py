"""Floors under what serves: a plan's, a rule's, a request's own; held against guard, budget and named models."""

import asyncio
from pathlib import Path

import pytest

from proxy.routing.guard import acts_of
from proxy.settings import Budget, Limits, Terms
from proxy.wire.errors import Forbidden, Malformed
from tests.proxy.scene import CUSTOMER, Scene, scene
from tests.proxy.test_limits import under
from tests.routing.test_fallback import told

TWO_TIERS = "routing: {rules: [{name: low, when: {header: {x-low: '*'}}, at_most: simple}]}\n"


def served(folder: Path, *, sections: str = "", **asked: object) -> list[str]:
    """Serve one easy request of a customer that the guard serves cheaply; return both tiers and the route."""

    async def main() -> list[str]:
        async with scene(folder, sections=sections) as here:
            here.world.guarded[CUSTOMER] = acts_of(("cap_simple",))
            return told(await here.ask(**{"model": "auto", **asked}), "tier", "served-tier", "route")

    return asyncio.run(main())


def _floor(here: Scene) -> None:
    """Give the plan open a floor."""
    book = here.world.settings.sellbook
    object.__setattr__(book.plans["open"], "min_tier", "medium")


def test_a_plan_s_floor_stands_above_the_guard(tmp_path: Path) -> None:
    """And the charge stays as judged."""

    async def main() -> list[str]:
        async with scene(tmp_path, plan="open") as here:
            _floor(here)
            here.world.guarded[CUSTOMER] = acts_of(("tighten", "cap_simple"))
            return told(await here.ask(model="auto"), "tier", "served-tier", "route")

    assert asyncio.run(main()) == ["simple", "medium", "judged+floor"]


def test_a_plan_s_floor_stands_above_a_used_up_budget(tmp_path: Path) -> None:
    """It serves cheaper, and no lower than what was promised."""

    async def main() -> list[str]:
        async with scene(tmp_path, plan="open") as here:
            _floor(here)
            under(here, Limits(key_defaults=Terms(), all=Terms(budgets=(Budget(1, "day", action="downgrade"),))))
            return told(await here.ask("Prove that sqrt(2) is irrational, step by step.", model="auto", max_tokens=20),
                        "served-tier")  # fmt: skip

    assert asyncio.run(main()) == ["medium"]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({b"x-penstock-min-tier": b"medium"}, ["medium", "medium", "judged+least"]),
        ({b"x-penstock-min-tier": b"complex"}, ["complex", "complex", "judged+least"]),
        ({b"x-penstock-min-tier": b"simple"}, ["simple", "simple", "judged"]),
    ],
)
def test_a_request_s_own_minimum_is_charged_and_given(
    tmp_path: Path, headers: dict[bytes, bytes], said: list[str]
) -> None:
    """Whatever the guard does meanwhile."""
    assert served(tmp_path, headers=headers) == said


def test_a_minimum_that_nothing_reaches_is_refused(tmp_path: Path) -> None:
    """403: by a rule's cap, not by the guard's."""
    with pytest.raises(Forbidden, match="takes at least medium, and what it may use goes up to simple"):
        served(tmp_path, sections=TWO_TIERS, headers={b"x-low": b"1", b"x-penstock-min-tier": b"medium"})


def test_a_model_below_the_request_s_own_minimum_is_a_contradiction(tmp_path: Path) -> None:
    """It says which; one that is good enough is honoured."""
    least = {b"x-penstock-min-tier": b"medium"}
    with pytest.raises(Malformed, match="`gpt-6-luna` is of the tier simple, and the request takes at least medium"):
        served(tmp_path, model="gpt-6-luna", headers=least)

    other = tmp_path / "other"
    other.mkdir()
    assert served(other, model="gpt-6-astra", headers=least)[1:] == ["complex", "named"]
