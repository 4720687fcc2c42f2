"""The course of a demo: server up, customers in, traffic on, books closed, everything down."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from proxy import settings as configuration
from proxy.cli.demo.closing import Closing, close_books
from proxy.cli.demo.drive import Drive
from proxy.cli.demo.gauges import Gauges, open_customers
from proxy.cli.demo.house import House, environment
from proxy.cli.demo.stage import Stage
from proxy.cli.frame import load
from simulator.traffic import CUSTOMERS, schedule

READ_S = 1.0
"""How often the books are asked."""
PAINT_S = 0.25
"""How often the clock moves."""


@dataclass(frozen=True, slots=True)
class Show:
    """What is shown: which configuration and traffic, for how long, where, and where the books lie."""

    config: Path
    data_dir: Path
    duration_s: float
    seed: int
    console: Console


async def play(show: Show) -> Closing:
    """Show it, until its time is over or a signal ends it early.

    Raises:
        HouseFell: the server did not start, or ended early.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    environ = environment(load(show.config, quiet=True), show.data_dir)
    settings = configuration.load(show.config, environ=environ)
    async with House(show.config, environ) as house:
        await house.wait_ready()
        keys = await asyncio.to_thread(open_customers, settings, CUSTOMERS)
        gauges = Gauges(settings, [each.name for each in CUSTOMERS])
        before = (await asyncio.to_thread(gauges.read)).report["total"]["requests"]
        stage = Stage(settings, show.console, seed=show.seed, duration_s=show.duration_s)
        async with Drive(house.base_url, keys) as drive:
            with stage:
                sending = asyncio.ensure_future(drive.run(schedule(show.seed), stop, show.duration_s))
                await _watch(sending, house, gauges, drive, stage)
        return await asyncio.to_thread(close_books, settings, gauges, before)


async def _watch(sending: asyncio.Future[None], house: House, gauges: Gauges, drive: Drive, stage: Stage) -> None:
    """Show the books until the traffic has ended."""
    now_s = asyncio.get_running_loop().time
    due_s = now_s()
    while not sending.done():
        house.check()
        if now_s() >= due_s:
            due_s = now_s() + READ_S
            stage.take(await asyncio.to_thread(gauges.read, stage.pick(drive.seen)))
        stage.paint(drive.elapsed_s, ending=drive.is_ending)
        await asyncio.wait({sending}, timeout=PAINT_S)
    await sending
