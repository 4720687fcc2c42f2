"""`make bench-routing`: a month of routing in virtual time, beside other policies; renews docs/routing.md.

Cut points are chosen on the first week, for the least cost at the quality that is asked for, and everything is counted
on the rest. Exit 1 where a bound is broken, with the one that was; a band of the brief is one where a router that knows
every answer is within it, and is named in any case.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

import yaml

from benchmarks import page
from benchmarks.plot import Panel, Series, svg
from benchmarks.routing import truth
from benchmarks.routing.margins import Margins
from benchmarks.routing.playing import Played, play
from benchmarks.routing.policies import Policy, list_price, oracle
from benchmarks.routing.prompts import Judge, prompts, weights
from benchmarks.routing.traffic import Month, month
from classifiers.cuts import Cuts
from proxy.settings import TIERS, Settings

PLANS = Path(__file__).with_name("month-plans.yaml")
DOCS = Path(__file__).parents[2] / "docs"
QUALITY = 0.97
WEEK = 7.0
GRID = (None, Cuts(0.02, 0.08), Cuts(0.05, 0.2), Cuts(0.07, 0.15), Cuts(0.1, 0.3), Cuts(0.15, 0.4), Cuts(0.2, 0.5),
        Cuts(0.4, 0.8))  # fmt: skip
"""Cut points that are tried; None are the judge's own tiers."""
BANDS = {"simple": (0.0001, 0.001), "medium": (0.001, 0.01), "complex": (0.01, 0.10)}
"""Dollars a request, by the tier that serves it."""
CHEAPEST = (0.70, 0.80)
"""The share of requests that the cheapest tier serves."""
HELD_S = 3600
"""Within the first hour a margin is back at its floor, or its customer refused, where the ladder ends so."""
SAVED = (0.60, 0.80)
"""The part of the frontier's cost that is saved."""


def main() -> int:
    """Play, print, write; return how it ends."""
    began_s = time.perf_counter()
    table, drawn = weights(), month(prompts())
    settings = truth.settings(drawn.told)
    sys.stdout.write(f"{len(drawn.turns):,} requests of {drawn.told['conversations']:,} conversations, 30 days\n")
    tried = [(cuts, play(drawn, settings, Policy("ours", settings, Judge(cuts, table), sessions=True), to_day=WEEK))
             for cuts in GRID]  # fmt: skip
    fits = [(found.cost_nusd, at) for at, (_, found) in enumerate(tried) if found.quality >= QUALITY]
    # Where no cut points keep the quality, those that keep most of it are played, and the bound below says so.
    at = min(fits)[1] if fits else max(range(len(tried)), key=lambda each: tried[each][1].quality)
    judge = Judge(tried[at][0], table)
    played = [play(drawn, settings, each, from_day=WEEK) for each in policies(settings, judge)]
    singles = [play(drawn, settings, Policy(tier, settings, judge, knows=lambda _, tier=tier: tier), to_day=WEEK)
               for tier in TIERS]  # fmt: skip
    margins = Margins(settings, drawn.customers)
    guarded = play(drawn, settings, Policy("guarded", settings, judge, sessions=True, margins=margins))
    text = report(drawn, played, tried[at][0]) + floors(margins, guarded)
    missed = bounds(played)
    if margins.longest_s > HELD_S:
        missed.append(f"somebody was below its floor and served for {margins.longest_s / 60:.0f} minutes")
    text += "\n".join(["**Bounds**: " + ("all hold." if not missed else ""), *(f"- missed: {each}" for each in missed)])
    beyond = [each.text for each in bands(played[0], played[1], played[-1]) if not each.is_within_reach]
    if beyond:
        text += "\n\nBands of the brief that nobody keeps on this traffic:\n\n" + "\n".join(
            f"- {each}" for each in beyond
        )
    sys.stdout.write(f"{text}\n{time.perf_counter() - began_s:.0f} s\n")
    page.write("month", text, DOCS / "routing.md")
    curve = sorted((found.usd, found.quality) for _, found in tried)
    (DOCS / "routing.svg").write_text(svg([Panel(
        "The first week, by cut points", "dollars of cost", "quality, as a share of the frontier's",
        [Series("routed", curve), Series("one tier", [(each.usd, each.quality) for each in singles])],
    )]), "utf-8")  # fmt: skip
    return 1 if missed else 0


def policies(settings: Settings, judge: Judge) -> list[Policy]:
    """Return ours first, then those it is held against."""
    return [
        Policy("Penstock", settings, judge, sessions=True),
        Policy("all frontier", settings, judge, knows=lambda _: "complex"),
        Policy("tiers without sessions", settings, judge),
        Policy("tiers by list price", settings, judge, order=list_price),
        Policy("always the cheapest", settings, judge, knows=lambda _: "simple"),
        Policy("oracle", settings, judge, sessions=True, knows=oracle),
    ]


def report(drawn: Month, played: list[Played], cuts: Cuts | None) -> str:
    """Return the page's tables."""
    ours = played[0]
    placed = "the judge's own tiers" if cuts is None else f"cut points {cuts.medium} and {cuts.complex}"
    rows = [
        [each.name, f"{each.usd:,.2f}", f"{each.usd / played[1].usd - 1:+.1%}", f"{each.quality:.4f}",
         f"{each.quality_of('everyday'):.3f}", f"{each.quality_of('exam'):.3f}",
         f"{each.cached_tokens / each.input_tokens:.0%}", f"{sum(each.switches.values()):,}", f"{each.unanswered:,}"]
        for each in played
    ]  # fmt: skip
    heads = ["policy", "$", "against frontier", "quality", "everyday", "exams", "input from caches", "switches",
             "unanswered"]  # fmt: skip
    parts = [f"Routed by {placed}, chosen on the first week; days 8 to 30, {ours.turns:,} requests.",
             page.table(heads, rows), page.table(["tier", "requests", "spend", "$ a request", "band"], _tiers(ours)),
             _customers(drawn, played)]  # fmt: skip
    broken = f"{ours.broken} answers broke off after their first byte: none was asked for again, none was charged."
    most = max(ours.switches.values(), default=0)
    moved = f"Conversations were moved {ours.moves:,} times to save money; the most switches of one are {most}."
    return "\n\n".join([*parts, f"{broken} {moved}", ""])


def floors(margins: Margins, guarded: Played) -> str:
    """Return how the guard kept the margins of the whole month."""
    rows = [
        [each.customer, each.plan, each.period, f"{each.revenue_nusd / 1e9:,.2f}", f"{each.cost_nusd / 1e9:,.2f}",
         f"{each.short_nusd / 1e9:,.2f}", ", ".join(each.steps) or "none"]
        for each in sorted(margins.missed, key=lambda missed: -missed.short_nusd)
    ]  # fmt: skip
    said = (
        f"With a floor of 60 % for everybody's margin (`month-plans.yaml`), guarded from the first day: steps were "
        f"taken with {len(margins.stepped)} of {margins.count} customers, {margins.refused:,} requests were refused, "
        f"and the month cost ${guarded.usd:,.2f} at a quality of {guarded.quality:.4f}, where one that is refused is "
        f"worth nothing. The longest that somebody whose ladder ends in *refuse* was below its floor and served is "
        f"{margins.longest_s / 60:.0f} minutes. "
    )
    heads = ["customer", "plan", "month", "revenue $", "cost $", "short $", "steps"]
    if not rows:
        return said + "Nobody was below its floor at a month's end.\n\n"
    return said + "Below their floor at a month's end:\n\n" + page.table(heads, rows) + "\n\n"


def _tiers(found: Played) -> list[list[str]]:
    rows = []
    for tier in TIERS:
        count, nusd = found.by_tier[tier], found.nusd_by_tier[tier]
        each, (low, high) = found.usd_a_request(tier), BANDS[tier]
        said = "within" if low <= each <= high else "below" if each < low else "above"
        rows.append([tier, f"{count / found.turns:.1%}", f"{nusd / found.cost_nusd:.1%}", f"{each:.5f}",
                     f"{said} {low:g} to {high:g}"])  # fmt: skip
    return rows


def _customers(drawn: Month, played: list[Played]) -> str:
    lines = []
    for each in played[:3]:
        losing = [(customer.name, revenue - each.nusd_of[customer.number] / 1e9) for customer in drawn.customers
                  if (revenue := _revenue_usd(customer.plan, each.credits[customer.number]))
                  < each.nusd_of[customer.number] / 1e9]  # fmt: skip
        named = ", ".join(f"{name} ({usd:+,.2f})" for name, usd in sorted(losing, key=lambda pair: pair[1])[:4])
        lines.append(f"- {each.name}: {len(losing)} of {len(drawn.customers)} customers cost more than they pay"
                     + (f": {named}" if named else "") + ".")  # fmt: skip
    return "Customers, in dollars of the same days:\n\n" + "\n".join(lines)


def _revenue_usd(plan: str, charged: int) -> float:
    """Return what a customer pays for 23 days: its part of the fee, overage, or prepaid credits at their price."""
    told = yaml.safe_load(PLANS.read_text("utf-8"))["plans"][plan]
    credits_, part = told["credits"], (30 - WEEK) / 30
    price = credits_.get("price", credits_.get("overage", 0))
    beyond = max(charged - credits_.get("included", 0) * part, 0)
    return float(told.get("fee", {"amount": 0})["amount"] * part + beyond * price)


def bounds(played: list[Played]) -> list[str]:
    """Return what is not as it must be, in words."""
    ours, frontier, static, listed = played[:4]
    missed = [each for found in played for each in found.wrong]
    if ours.quality < QUALITY:
        missed.append(f"quality is {ours.quality:.4f}, below {QUALITY}")
    dearer = [each for each in (frontier, static, listed) if ours.cost_nusd > each.cost_nusd]
    missed += [f"it costs {ours.cost_nusd / each.cost_nusd - 1:.1%} more than {each.name}" for each in dearer]
    return missed + [each.text for each in bands(ours, frontier, played[-1]) if each.is_within_reach]


class Band(NamedTuple):
    """A band of the brief that is missed, in words; and whether a router that knows every answer is within it."""

    text: str
    is_within_reach: bool


def bands(ours: Played, frontier: Played, oracle: Played) -> list[Band]:
    """Return which of the brief's bands are missed, and where a router that knows every answer would be."""
    missed = []
    share, known = (each.by_tier["simple"] / each.turns for each in (ours, oracle))
    if not _is_in(CHEAPEST, share):
        said = f"the cheapest tier serves {share:.1%}, not {CHEAPEST[0]:.0%} to {CHEAPEST[1]:.0%} (oracle: {known:.1%})"
        missed.append(Band(said, _is_in(CHEAPEST, known)))
    for tier, band in BANDS.items():
        each, best = (found.usd_a_request(tier) for found in (ours, oracle))
        if not _is_in(band, each):
            said = f"a {tier} request costs ${each:.4f}, not ${band[0]:g} to ${band[1]:g} (oracle: ${best:.4f})"
            missed.append(Band(said, _is_in(band, best)))
    saved, most = (1 - each.cost_nusd / frontier.cost_nusd for each in (ours, oracle))
    if not _is_in(SAVED, saved):
        said = f"it saves {saved:.0%} of the frontier's cost, not {SAVED[0]:.0%} to {SAVED[1]:.0%} (oracle: {most:.0%})"
        missed.append(Band(said, _is_in(SAVED, most)))
    return missed


def _is_in(band: tuple[float, float], value: float) -> bool:
    return band[0] <= value <= band[1]


if __name__ == "__main__":
    sys.exit(main())
