"""The pricing brief at the exchange: what a plan does not give is refused in words that a program can read."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy.settings import Limits, Terms
from proxy.wire.errors import ProxyError, anthropic_body, openai_body
from tests.proxy.scene import Scene, scene
from tests.proxy.test_limits import under


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
