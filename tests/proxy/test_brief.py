"""The pricing brief at the exchange: what a plan does not give is refused in words that a program can read."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from margin.gates import Access
from proxy.settings import Limits, Terms
from proxy.wire.errors import ProxyError, anthropic_body, openai_body
from tests.proxy.scene import Scene, scene
from tests.proxy.test_limits import under
from tests.routing.test_fallback import told


async def _refusal(here: Scene, **fields: Any) -> ProxyError:
    with pytest.raises(ProxyError) as caught:
        await here.ask(**fields)
    return caught.value


def test_usage_quality_and_rates_are_refused_in_types(tmp_path: Path) -> None:
    """Credits used up: 402; a tier that the plan does not reach: 403; too fast: 429; each typed on both families."""

    async def main() -> list[ProxyError]:
        found = []
        for name in ("credits", "tier", "rate"):
            (tmp_path / name).mkdir()
        async with scene(tmp_path / "credits") as here:
            here.keeper.credits_milli = 0
            found.append(await _refusal(here))
        async with scene(tmp_path / "tier", plan="starter") as here:
            object.__setattr__(here.world.settings.sellbook.plans["starter"], "gate_policy", "refuse")
            found.append(await _refusal(here, model="auto:complex"))
        async with scene(tmp_path / "rate") as here:
            under(here, Limits(key_defaults=Terms(rpm=1)))
            await here.ask()
            found.append(await _refusal(here))
        return found

    found = asyncio.run(main())

    assert [(each.status, openai_body(each)["error"]["code"], anthropic_body(each)["error"]["type"])
            for each in found] == [
        (402, "insufficient_quota", "billing_error"),
        (403, "forbidden", "permission_error"),
        (429, "rate_limit_exceeded", "rate_limit_error"),
    ]  # fmt: skip
    assert [each.should_retry for each in found] == [False, None, None]
    assert found[2].retry_after_s is not None


def test_a_starter_plan_that_asks_for_the_frontier_gets_its_own_tier_and_is_told(tmp_path: Path) -> None:
    """Served and charged as medium; the headers say which tier, which model, and that the plan's gate did it."""

    async def main() -> tuple[list[str], int]:
        async with scene(tmp_path, plan="starter") as here:
            reply = await here.ask(model="gpt-6-astra")
            return told(reply, "tier", "served-tier", "model", "route"), here.end()["cr"]

    said, charged = asyncio.run(main())

    assert said == ["medium", "medium", "gpt-6.1-sol", "named+gate"]
    assert charged == 3_000


@pytest.mark.parametrize(
    ("access", "headers", "code", "param"),
    [
        (Access(surfaces=frozenset({"messages"})), {}, "surface_not_in_plan", None),
        (Access(features=frozenset({"search"})), {b"x-penstock-feature": b"agents"}, "feature_not_in_plan",
         "x-penstock-feature"),
        (Access(models=frozenset({"gpt-6-luna"})), {}, "model_not_in_plan", "model"),
    ],
)  # fmt: skip
def test_what_a_plan_lacks_is_refused_in_types(
    tmp_path: Path, access: Access, headers: dict[bytes, bytes], code: str, param: str | None
) -> None:
    """403 with what is lacking; nothing is journalled, held or called."""

    async def main() -> tuple[ProxyError, list[str]]:
        async with scene(tmp_path, plan="starter") as here:
            plan = here.world.settings.sellbook.plans["starter"]
            object.__setattr__(plan, "access", access)
            object.__setattr__(plan, "gate_policy", "refuse")
            return await _refusal(here, headers=headers, model="gpt-6.1-sol"), here.kinds()

    error, kinds = asyncio.run(main())

    assert (error.status, error.code, error.param, kinds) == (403, code, param, [])
    assert anthropic_body(error)["error"]["type"] == "permission_error"
    assert "`starter` does not include" in error.message
