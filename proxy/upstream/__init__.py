"""Calls to providers: connections, deadlines, and one dialect per provider family."""

import sys

# httpx brings its command line along, and with it click, rich and pygments: a quarter of a worker's start.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
