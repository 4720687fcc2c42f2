"""What a demo shows, as the product itself says it: the margin report, balances, metrics, and reasons of charges.

Nothing here was counted by whoever sends the traffic.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.cli.demo.house import HouseFell, fetch
from proxy.cli.frame import NOT_REACHABLE
from proxy.keeper.control import NotReachable, ask
from proxy.settings import TIERS, Settings, Tier
from simulator.traffic import Customer

RATE_OVER_S = 6.0
"""Requests per second are those of the last few seconds, so that bursts show."""
METRICS_S = 5.0
_SAMPLE = re.compile(r"^(penstock_\w+)(?:\{(.*)\})? ([0-9.e+-]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class TierShare:
    """What went to one tier: requests, and what they cost us in US dollars."""

    requests: float
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One reading.

    Args:
        report: The margin report, as `penstock report margin --json` gives it.
        plans: Customers' plans.
        credits: Credits that are left, of customers whose plan needs any.
        tiers: Shares by charge tier.
        out_of_credit: Requests that were refused with 402.
        open: Requests that are under way.
        requests_per_s: Over the last seconds; None before there are two readings.
        reasons: Why the requests asked about went where they went, by request id.
    """

    report: Mapping[str, Any]
    plans: Mapping[str, str]
    credits: Mapping[str, float]
    tiers: Mapping[Tier, TierShare]
    out_of_credit: int
    open: int
    requests_per_s: float | None
    reasons: Mapping[str, tuple[str, ...]]


def command(settings: Settings, name: str, args: Mapping[str, Any]) -> Any:
    """Have the keeper perform a command.

    Raises:
        HouseFell: it refused, or does not answer.
    """
    try:
        answer = ask(settings, name, dict(args))
    except NotReachable as error:
        raise HouseFell(str(error), NOT_REACHABLE) from None
    if "refused" in answer:
        raise HouseFell(answer["refused"], NOT_REACHABLE)
    return answer["result"]


def open_customers(settings: Settings, customers: Iterable[Customer]) -> dict[str, str]:
    """Open customers that are not there, sell them the credits they lack, and return a key for each."""
    there = {each["customer"] for each in command(settings, "customers.list", {})}
    keys = {}
    for each in customers:
        if each.name not in there:
            command(settings, "customers.create", {"customer": each.name, "plan": each.plan})
        _sell(settings, each)
        made = command(settings, "keys.create", {"customer": each.name, "scopes": ["serve"]})
        keys[each.name] = made["key"]
    return keys


def _sell(settings: Settings, customer: Customer) -> None:
    if not customer.credits:
        return
    available = command(settings, "credits.balance", {"customer": customer.name})["available"]
    missing_milli = customer.credits * 1000 - round(available * 1000)
    if missing_milli <= 0:
        return
    paid_nusd = round(missing_milli * customer.usd_per_credit * 1_000_000)  # nano-dollars per milli-credit
    wanted = {"customer": customer.name, "credits_milli": missing_milli, "expires_s": None, "paid_nusd": paid_nusd}
    command(settings, "credits.grant", wanted)


class Gauges:
    """Reads the figures of a running server."""

    def __init__(self, settings: Settings, customers: Sequence[str]) -> None:
        self._settings = settings
        self._customers = customers
        self._counts: deque[tuple[float, int]] = deque()

    def read(self, explain: Iterable[str] = ()) -> Figures:
        """Ask the server for everything, and for the reasons of the requests `explain` names. Blocks some 20 ms."""
        report = self.ask("report.margin", {"since": None})
        plans = {each["customer"]: each["plan"] for each in self.ask("customers.list")}
        samples = self._metrics()
        return Figures(
            report=report,
            plans=plans,
            credits={name: self._balance(name) for name in self._customers if self._needs_credits(plans[name])},
            tiers=_tiers(samples),
            out_of_credit=round(_sum(samples, "penstock_refused_total", reason="out_of_credit")),
            open=round(_sum(samples, "penstock_reservations_open")),
            requests_per_s=self._rate(report["total"]["requests"]),
            reasons={x: self._reasons(x) for x in explain},
        )

    def ask(self, name: str, args: Mapping[str, Any] | None = None) -> Any:
        """Ask the keeper; raises `HouseFell`."""
        return command(self._settings, name, {} if args is None else args)

    def _needs_credits(self, plan: str) -> bool:
        return self._settings.sellbook.plan(plan).credits.enforce != "none"

    def _balance(self, customer: str) -> float:
        return float(self.ask("credits.balance", {"customer": customer})["available"])

    def _reasons(self, x: str) -> tuple[str, ...]:
        return tuple(self.ask("explain.charge", {"id": x})["decision"].get("reasons", ()))

    def _metrics(self) -> list[Sample]:
        _, text = fetch(self._settings.server.metrics_port, "/metrics", METRICS_S)
        return [
            Sample(found[1], dict(_LABEL.findall(found[2] or "")), float(found[3])) for found in _SAMPLE.finditer(text)
        ]

    def _rate(self, requests: int) -> float | None:
        now_s = time.monotonic()
        self._counts.append((now_s, requests))
        while now_s - self._counts[0][0] > RATE_OVER_S:
            self._counts.popleft()
        then_s, before = self._counts[0]
        return None if now_s == then_s else (requests - before) / (now_s - then_s)


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the metrics page."""

    name: str
    labels: Mapping[str, str]
    value: float


def _tiers(samples: Iterable[Sample]) -> dict[Tier, TierShare]:
    found = list(samples)
    return {
        tier: TierShare(
            _sum(found, "penstock_requests_total", tier=tier), _sum(found, "penstock_cogs_usd_total", tier=tier)
        )
        for tier in TIERS
    }


def _sum(samples: Iterable[Sample], name: str, **labels: str) -> float:
    wanted = labels.items()
    return sum(each.value for each in samples if each.name == name and wanted <= each.labels.items())
