"""Charts as SVG, a few lines of our own: no dependency for four pictures. Readable on a light and on a dark page.

A panel has a logarithmic axis to the right and one upwards that starts at 0, or is logarithmic too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

PANEL_W, PANEL_H = 400, 300
LEFT, RIGHT, TOP, FLOOR = 62, 18, 56, PANEL_H - 48
NAME_W = 76
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600; font-size: 13px }
  .axis { stroke: #57606a } .grid { stroke: #d0d7de } .line { fill: none; stroke-width: 2 }
  .s0 { stroke: #0969da } .s1 { stroke: #bc4c00 } .f0 { fill: #0969da } .f1 { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .axis { stroke: #8b949e } .grid { stroke: #30363d }
    .s0 { stroke: #58a6ff } .s1 { stroke: #ffa657 } .f0 { fill: #58a6ff } .f1 { fill: #ffa657 }
  }
"""


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, and (x, y) points."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart: a title, what the axes mean with their units, one or two lines."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Series]
    is_log: bool = False


def svg(panels: Sequence[Panel]) -> str:
    """Return a picture of some panels beside each other."""
    width = PANEL_W * len(panels)
    drawn = "\n".join(
        f'<g transform="translate({n * PANEL_W} 0)">\n{_panel(each)}\n</g>' for n, each in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {PANEL_H}" width="{width}" height="{PANEL_H}" '
        f'role="img" aria-label="{escape("; ".join(each.title for each in panels))}">\n'
        f"<style>{STYLE}</style>\n{drawn}\n</svg>\n"
    )


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where figures stand in a panel."""

    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    is_log: bool

    def x(self, value: float) -> float:
        return LEFT + _share(value, self.x_ticks, is_log=True) * (PANEL_W - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return FLOOR - _share(value, self.y_ticks, is_log=self.is_log) * (FLOOR - TOP)


def _panel(panel: Panel) -> str:
    xs = [x for line in panel.lines for x, _ in line.points]
    ys = [y for line in panel.lines for _, y in line.points]
    axes = _Axes(decades(min(xs), max(xs)), decades(min(ys), max(ys)) if panel.is_log else steps(max(ys)), panel.is_log)
    texts = [
        _text(panel.title, LEFT, 18, "start", "title"),
        _text(panel.y_label, LEFT, 40),
        _text(panel.x_label, (LEFT + PANEL_W - RIGHT) / 2, PANEL_H - 10, "middle"),
    ]
    drawn = [part for n, line in enumerate(panel.lines) for part in _line(axes, n, line, len(panel.lines))]
    return "\n".join([*texts, *_grid(axes), *drawn])


def _grid(axes: _Axes) -> list[str]:
    parts = [f'<path class="axis" d="M{LEFT} {FLOOR}H{PANEL_W - RIGHT}"/>']
    for tick in axes.y_ticks:
        parts.append(f'<path class="grid" d="M{LEFT} {axes.y(tick):.1f}H{PANEL_W - RIGHT}"/>')
        parts.append(_text(short(tick), LEFT - 6, axes.y(tick) + 4, "end"))
    for tick in axes.x_ticks:
        parts.append(f'<path class="axis" d="M{axes.x(tick):.1f} {FLOOR}v5"/>')
        parts.append(_text(short(tick), axes.x(tick), FLOOR + 19, "middle"))
    return parts


def _line(axes: _Axes, n: int, line: Series, count: int) -> list[str]:
    at = [(axes.x(x), axes.y(y)) for x, y in line.points]
    parts = [f'<path class="line s{n}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in at)}"/>']
    parts += [f'<circle class="f{n}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in at]
    if count > 1:
        where = PANEL_W - RIGHT - NAME_W * (count - n)
        parts += [f'<circle class="f{n}" cx="{where}" cy="14" r="3.5"/>', _text(line.name, where + 8, 18)]
    return parts


def _text(text: str, x: float, y: float, anchor: str = "start", kind: str = "") -> str:
    marked = f' class="{kind}"' if kind else ""
    return f'<text{marked} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _share(value: float, ticks: Sequence[float], *, is_log: bool) -> float:
    low, high = ticks[0], ticks[-1]
    if is_log:
        value, low, high = math.log10(value), math.log10(low), math.log10(high)
    return (value - low) / (high - low)


def decades(low: float, high: float) -> list[float]:
    """Return powers of ten around some figures, at least two."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**n for n in range(first, max(last, first + 1) + 1)]


def steps(high: float) -> list[float]:
    """Return round ticks from 0 to above a figure."""
    rough = high / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 2.5, 5, 10) if factor * unit >= rough)
    return [step * n for n in range(math.ceil(high / step) + 1)]


def short(value: float) -> str:
    """Write a tick: thousands as k."""
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
