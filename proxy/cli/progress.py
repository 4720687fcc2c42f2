"""How far a long command is: one line on stderr that is written over, where that is a terminal; else nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

Progress = Callable[[str, int], None]


@contextmanager
def shown() -> Iterator[Progress]:
    """Yield what to tell the progress to; the line is gone when the block ends."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield lambda _what, _count: None
        return
    with console.status("beginning") as status:
        yield lambda what, count: status.update(f"{what}: {count:,}" if count else what)
