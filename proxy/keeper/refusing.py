"""How a command says no."""

from __future__ import annotations

from typing import Any

Args = dict[str, Any]
"""What a command was asked with: JSON values by name."""


class Refused(Exception):
    """The command makes no sense; the text says why. Exit code 2."""
