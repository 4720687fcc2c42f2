"""What the live screen of a demo looks like. Pure: a scene and a size in, something rich can print out.

It fits 80 columns by 24 rows; more rows show more requests, more columns show more about each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from margin.money import nusd_to_usd
from proxy.cli.demo.drive import Seen
from proxy.cli.demo.gauges import Figures
from proxy.settings import TIERS, Tier
from simulator.traffic import CUSTOMERS

COLOURS: Mapping[Tier, str] = {"simple": "green", "medium": "cyan", "complex": "magenta"}
ROWS_MAX = 60
WIDE, WIDER = 96, 116
"""Columns from which there is room for more about each request."""
_ABOUT = {each.name: each.about for each in CUSTOMERS}
_UNKNOWN = "–"
_FIXED_LINES = 12
"""Title 1, headline 2, bars and legend 3, the heads of two tables 2, and the blank lines between the parts 4."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Where a demo stands."""

    elapsed_s: float
    duration_s: float
    seed: int
    ending: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A request on the screen; its reasons are None until the product was asked for them."""

    seen: Seen
    reasons: tuple[str, ...] | None = None

    @property
    def id(self) -> str:
        """Its id, empty when it was refused before it got one."""
        return "" if self.seen.problem else self.seen.headers.get("request-id", "")

    def explained(self, reasons: tuple[str, ...] | None) -> Row:
        """Return it with its reasons, if they are known now."""
        return self if reasons is None else replace(self, reasons=reasons)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything on the screen. `models` names the first model of each tier."""

    clock: Clock
    figures: Figures
    rows: tuple[Row, ...]
    models: Mapping[Tier, str]


def rows_per_second(height: int) -> int:
    """Return how many requests a second are shown, so that each stays readable for a while."""
    return max(2, height // 12)


def line(elapsed_s: float, figures: Figures) -> str:
    """Return the figures as a line of text, for where there is no terminal."""
    total = figures.report["total"]
    return (
        f"{elapsed_s:4.0f} s  {total['requests']:,} requests  {_rate(figures)}/s  cost {_usd(total['cost_nusd'])}  "
        f"revenue {_usd(total['revenue_nusd'])}  margin {_share(total['margin'])}  saved {_saved(figures)}"
    )


def draw(scene: Scene, width: int, height: int) -> RenderableType:
    """Return the screen for a terminal of that size."""
    inner = width - 2
    above = [_title(scene.clock, inner), Text(), _headline(scene.figures, inner), Text(), *_mix(scene, inner), Text()]
    customers = _customers(scene.figures, inner)
    parts: list[RenderableType] = [*above, customers]
    room = height - _FIXED_LINES - customers.row_count
    if room > 0:
        parts += [Text(), _latest(scene.rows[-room:], inner)]
    return Padding(Group(*parts), (0, 1))


# ---- the parts, from top to bottom ----------------------------------------------------------------------------------


def _title(clock: Clock, width: int) -> RenderableType:
    found = Table.grid(expand=True, padding=(0, 1))
    found.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    found.add_column(justify="right", no_wrap=True)
    real = "  a simulator answers: no key, no cost" if width >= WIDER else "  a simulator answers"
    name = Text.assemble(("penstock demo", "bold"), (real, "dim"))
    found.add_row(name, _progress(clock, 24 if width >= WIDE else 12))
    return found


def _progress(clock: Clock, cells: int) -> Text:
    if clock.ending:
        return Text("the last answers …", style="bold")
    done = min(clock.elapsed_s / clock.duration_s, 1.0)
    full = round(done * cells)
    time = f" {_minutes(clock.elapsed_s)} of {_minutes(clock.duration_s)}  "
    return Text.assemble(("━" * full, "bold"), ("─" * (cells - full), "dim"), time, ("Ctrl-C ends it", "dim"))


def _headline(figures: Figures, width: int) -> RenderableType:
    total = figures.report["total"]
    cells = (
        ("requests", f"{total['requests']:,}", "bold"),
        ("per second", _rate(figures), "bold"),
        ("cost (we pay)" if width >= WIDE else "cost", _usd(total["cost_nusd"]), "bold"),
        ("revenue (they pay)" if width >= WIDE else "revenue", _usd(total["revenue_nusd"]), "bold"),
        ("margin", _share(total["margin"]), f"bold {_sign_colour(total['margin_nusd'])}"),
        ("saved against all-frontier" if width >= WIDE else "saved by routing", _saved(figures), "bold green"),
    )
    found = Table.grid(expand=True, padding=(0, 1))
    for _ in cells:
        found.add_column(no_wrap=True)
    found.add_row(*(Text(label, style="dim") for label, _, _ in cells))
    found.add_row(*(Text(value, style=style) for _, value, style in cells))
    return found


def _mix(scene: Scene, width: int) -> list[RenderableType]:
    """Return the two bars and their legend."""
    tiers = scene.figures.tiers
    bars = (
        ("requests", [tiers[tier].requests for tier in TIERS]),
        ("cost", [tiers[tier].cost_usd for tier in TIERS]),
    )
    found: list[RenderableType] = []
    for label, amounts in bars:
        shares = _shares(amounts)
        numbers = "".join(f"{share:5.0%}" for share in shares)
        bar = _bar(shares, width - len(label.ljust(9)) - len(numbers) - 1)
        found.append(Text.assemble((label.ljust(9), "dim"), bar, " ", *_coloured(shares)))
    legend = Text(" " * 9)
    for tier in TIERS:
        legend.append("■ ", COLOURS[tier]).append(tier, "bold").append(f" {scene.models[tier]}   ", "dim")
    return [*found, legend]


def _coloured(shares: Sequence[float]) -> list[tuple[str, str]]:
    return [(f"{share:5.0%}", COLOURS[tier]) for tier, share in zip(TIERS, shares, strict=True)]


def _shares(amounts: Sequence[float]) -> list[float]:
    whole = sum(amounts)
    return [amount / whole if whole else 0.0 for amount in amounts]


def _bar(shares: Sequence[float], cells: int) -> Text:
    """Return a bar whose parts are told apart by a gap, so that it needs no colour."""
    if not any(shares):
        return Text("·" * cells, style="dim")
    edges = [round(edge * cells) for edge in accumulate(shares)]
    found = Text()
    start = 0
    for tier, share, edge in zip(TIERS, shares, edges, strict=True):
        size = max(edge - start, 0)
        gap = 1 if size > 1 and edge < cells else 0
        found.append("▇" * (size - gap) if share else "", COLOURS[tier]).append(" " * gap)
        start += size
    found.pad_right(cells - len(found))
    return found


def _customers(figures: Figures, width: int) -> Table:
    found = Table(box=None, pad_edge=False, expand=True, header_style="dim", padding=(0, 1))
    found.add_column("customer", no_wrap=True)
    found.add_column("plan", no_wrap=True)
    for name in ("requests", "cost", "revenue", "margin", "%"):
        found.add_column(name, justify="right", no_wrap=True)
    found.add_column("credits left" if width >= WIDE else "credits", justify="right", no_wrap=True)
    if width >= WIDER:
        found.add_column("who", no_wrap=True, overflow="ellipsis", ratio=1)
    reported = {row["customer"]: row for row in figures.report["customers"]}
    for name in _in_order(reported):
        cells = _customer(name, reported.get(name), figures)
        found.add_row(*cells, *([Text(_ABOUT.get(name, ""), style="dim")] if width >= WIDER else []))
    return found


def _in_order(reported: Mapping[str, object]) -> list[str]:
    """Return the demo's customers in their own order, then others who send requests: rows must not jump about."""
    ours = [each.name for each in CUSTOMERS]
    return [*ours, *(name for name in reported if name not in ours)]


def _customer(name: str, row: Mapping[str, int] | None, figures: Figures) -> list[RenderableType]:
    plan = Text(figures.plans.get(name, _UNKNOWN), style="dim")
    left = _credits(figures.credits.get(name))
    if row is None:
        return [name, plan, "0", *([_UNKNOWN] * 4), left]
    colour = _sign_colour(row["margin_nusd"])
    return [
        name, plan, f"{row['requests']:,}", _usd(row["cost_nusd"]), _usd(row["revenue_nusd"]),
        Text(_usd(row["margin_nusd"]), style=colour), Text(_share(row["margin"]), style=colour), left,
    ]  # fmt: skip


def _credits(left: float | None) -> Text:
    if left is None:
        return Text(_UNKNOWN, style="dim")
    return Text(f"{left:,.0f}", style="bold yellow" if left < 1 else "")


def _latest(rows: Sequence[Row], width: int) -> Table:
    found = Table(box=None, pad_edge=False, expand=True, header_style="dim", padding=(0, 1))
    found.add_column("customer", no_wrap=True, min_width=8)
    found.add_column("tier", no_wrap=True, min_width=7)
    found.add_column("model", no_wrap=True, min_width=11)
    found.add_column("why", no_wrap=True, overflow="ellipsis", ratio=1)
    if width >= WIDE:
        found.add_column("rule", no_wrap=True, min_width=6)
        found.add_column("credits", justify="right", no_wrap=True)
    if width >= WIDER:
        found.add_column("ours", justify="right", no_wrap=True, min_width=7)
    found.add_column("took", justify="right", no_wrap=True, min_width=6)
    for row in rows:
        found.add_row(*_request(row, width))
    return found


def _request(row: Row, width: int) -> list[RenderableType]:
    headers = row.seen.headers
    tier = headers.get("tier", _UNKNOWN)
    style = next((colour for name, colour in COLOURS.items() if name == tier), "dim")
    why = Text(row.seen.problem, style="yellow") if row.seen.problem else Text(_why(row))
    cells: list[RenderableType] = [row.seen.customer, Text(tier, style=style), headers.get("model", _UNKNOWN), why]
    if width >= WIDE:
        cells += [headers.get("route", _UNKNOWN), headers.get("credits-charged", _UNKNOWN)]
    if width >= WIDER:
        cells.append(f"{headers['overhead-ms']} ms" if "overhead-ms" in headers else _UNKNOWN)
    return [*cells, Text(f"{row.seen.latency_s:.2f} s", style="dim")]


def _why(row: Row) -> str:
    """Return the reasons in the product's words; until they are known, the rule that the header names."""
    if not row.reasons:
        return row.seen.headers.get("route", _UNKNOWN)
    said = [reason.removeprefix("task: ").split(" → ")[0].removesuffix(", short text") for reason in row.reasons]
    told = [each for each in said if not each.startswith("difficulty")]
    # What a plan or a missing capability changed says more than what made it harder: it comes before that.
    return "; ".join(sorted(told, key=lambda each: each.startswith(("harder", "lighter"))))


# ---- words for numbers ----------------------------------------------------------------------------------------------


def _usd(nusd: int) -> str:
    """Return an amount at a steady width: hundredths of a cent under ten dollars, so that small sums move, too."""
    sign, usd = "−" if nusd < 0 else "", abs(nusd_to_usd(nusd))
    return f"{sign}${usd:,.4f}" if usd < 10 else f"{sign}${usd:,.2f}"


def _share(share: float | None) -> str:
    if share is None:
        return "n/a"
    return "loss" if share < -1 else f"{share:.1%}".replace("-", "−")


def _rate(figures: Figures) -> str:
    return _UNKNOWN if figures.requests_per_s is None else f"{figures.requests_per_s:.1f}"


def _saved(figures: Figures) -> str:
    total = figures.report["total"]
    saved = total["savings_nusd"]
    whole = saved + total["cost_nusd"]
    return f"{_usd(saved)} ({saved / whole:.0%})" if whole > 0 else _usd(saved)


def _sign_colour(nusd: int) -> str:
    return "red" if nusd < 0 else "green"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
