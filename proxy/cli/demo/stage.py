"""The stage of a demo: a live screen on a terminal, a line now and then elsewhere. Draws what it is given."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from proxy.cli.demo import screen
from proxy.cli.demo.drive import Seen
from proxy.cli.demo.gauges import Figures
from proxy.cli.demo.screen import Clock, Row, Scene
from proxy.settings import Settings

LINE_EVERY_S = 5.0
SMALLEST = (60, 18)
"""Columns and rows under which the screen says nothing any more: lines are written instead."""


class Stage:
    """Where the demo is shown, as a context: the terminal is given back on the way out."""

    def __init__(self, settings: Settings, console: Console, *, seed: int, duration_s: float) -> None:
        self._console, self._seed, self._duration_s = console, seed, duration_s
        self._models = {tier: each[0].name for tier, each in settings.tiers.items()}
        self._figures: Figures | None = None
        self._rows: deque[Row] = deque(maxlen=screen.ROWS_MAX)
        self._line_due_s = LINE_EVERY_S
        is_live = console.is_terminal and not console.is_dumb_terminal
        is_live = is_live and console.width >= SMALLEST[0] and console.height >= SMALLEST[1]
        self._live = Live(console=console, screen=True, auto_refresh=False) if is_live else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        else:
            self._console.print(f"Live traffic for {self._duration_s:g} seconds (seed {self._seed}).")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def pick(self, seen: deque[Seen]) -> list[str]:
        """Take a few finished requests onto the screen, and return the ids whose reasons are not known yet.

        A terminal shows a few requests a second: more would pass unread.
        """
        fresh, room = list(seen), screen.rows_per_second(self._console.height)
        seen.clear()
        self._rows.extend(Row(each) for each in _varied(fresh, [row.seen for row in self._rows], room))
        if self._live is None:
            return []
        return [row.id for row in self._rows if row.reasons is None and row.id]

    def take(self, figures: Figures) -> None:
        """Show these figures from now on."""
        self._figures = figures
        known = figures.reasons
        self._rows = deque((row.explained(known.get(row.id)) for row in self._rows), maxlen=screen.ROWS_MAX)

    def paint(self, elapsed_s: float, *, ending: bool) -> None:
        """Draw the screen, or write a line when one is due."""
        if self._figures is None:
            return
        if self._live is not None:
            clock = Clock(elapsed_s, self._duration_s, self._seed, ending)
            scene = Scene(clock, self._figures, tuple(self._rows), self._models)
            self._live.update(screen.draw(scene, *self._console.size), refresh=True)
        elif elapsed_s >= self._line_due_s:
            self._line_due_s += LINE_EVERY_S
            self._console.print(screen.line(elapsed_s, self._figures), soft_wrap=True)


def _varied(fresh: Sequence[Seen], shown: Iterable[Seen], room: int) -> list[Seen]:
    """Return up to `room` of the fresh requests, those first whose customer is shown least."""
    counts: dict[str, int] = {}
    for each in shown:
        counts[each.customer] = counts.get(each.customer, 0) + 1
    found: list[Seen] = []
    while fresh and len(found) < room:
        rarest = min(fresh, key=lambda each: counts.get(each.customer, 0))
        counts[rarest.customer] = counts.get(rarest.customer, 0) + 1
        found.append(rarest)
        fresh = [each for each in fresh if each is not rarest]
    return found
