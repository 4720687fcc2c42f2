"""What really happens to a call of the simulated month: what a cache has of it, what it costs, and when it fails."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from benchmarks.routing.traffic import DAY_S, Turn
from margin.card import Card
from margin.costbook import PriceHistory
from margin.usage import Usage
from proxy import settings as configuration
from proxy.settings import Deployment, Settings

CONFIG = Path(__file__).with_name("month.yaml")
START_S = 1_800_000_000
"""The month's beginning, in unix seconds: prices are dated."""

Fate = Literal["answered", "failed", "midway"]


def settings(told: Mapping[str, Any]) -> Settings:
    """Return the month's configuration, with the prices that change and how long each provider says it caches."""
    read = configuration.load(CONFIG, environ={})
    changed = {name: _deployment(each, told) for name, each in read.deployments.items()}
    tiers = {tier: tuple(changed[each.name] for each in group) for tier, group in read.tiers.items()}
    return replace(read, deployments=changed, tiers=tiers)


def _deployment(found: Deployment, told: Mapping[str, Any]) -> Deployment:
    assert found.prices is not None
    cards = [(0, found.prices.at(START_S))]
    for change in told["prices"]:
        if change["deployment"] == found.name:
            card = Card.of(**{("cache_write" if name == "cache_write_5m" else name): rate
                              for name, rate in change["rates"].items()})  # fmt: skip
            cards.append((START_S + int(change["day"] * DAY_S), card))
    lifetime_s = float(told["caches"][found.provider.name]["lifetime_s"])
    provider = replace(found.provider, prompt_cache_s=lifetime_s)
    return replace(found, provider=provider, prices=PriceHistory(tuple(cards)))


class Providers:
    """All providers, as one policy's calls leave them."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self._kept: dict[tuple[int, str], tuple[int, float]] = {}
        """Tokens of a conversation that a deployment's cache has, and when they were used last."""

    def fate(self, deployment: Deployment, turn: Turn) -> Fate:
        """Return what comes of a call."""
        own = (turn.fate + crc32(deployment.name.encode()) / 2**32) % 1.0
        for outage in self._told["outages"]:
            since_s = turn.t_s - outage["from_day"] * DAY_S
            if (
                deployment.name in outage["deployments"]
                and 0 <= since_s < outage["hours"] * 3600
                and own < outage["share"]
            ):
                return "midway" if outage["midway"] else "failed"
        return "answered"

    def answer(self, deployment: Deployment, turn: Turn) -> tuple[Usage, int]:
        """Return what a whole answer used, and what it cost in nano-dollars."""
        told = self._told["caches"][deployment.provider.name]
        tokens, used_s = self._kept.get((turn.conversation, deployment.name), (0, -math.inf))
        cached = min(tokens, turn.ins) // told["step"] * told["step"]
        if cached < told["least"] or turn.t_s - used_s > told["lifetime_s"] or turn.luck < told["lost"]:
            cached = 0
        self._kept[turn.conversation, deployment.name] = (turn.ins, turn.t_s)
        fresh = turn.ins - cached
        written = fresh if told["writes"] and turn.ins >= told["least"] else 0
        usage = Usage(input=fresh - written, cache_read=cached, cache_write_5m=written, output=turn.out)
        return usage, cost_nusd(deployment, usage, turn.t_s)


def cost_nusd(deployment: Deployment, usage: Usage, t_s: float) -> int:
    """Return what a deployment bills for usage at a moment of the month, by the cost book."""
    assert deployment.prices is not None
    return deployment.prices.at(START_S + int(t_s)).cost_nusd(usage)
