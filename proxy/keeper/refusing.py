"""How a command says no."""

from __future__ import annotations

from typing import Any

Args = dict[str, Any]
"""What a command was asked with: JSON values by name."""


class Refused(Exception):
    """The command makes no sense; the text says why, `param` names the field if it is one's fault. Exit code 2."""

    def __init__(self, sentence: str, param: str | None = None) -> None:
        super().__init__(sentence)
        self.param = param


class Lacks(Refused):
    """The customer's plan does not include it. `what` is the word that the error's code begins with."""

    def __init__(self, sentence: str, what: str, param: str | None = None) -> None:
        super().__init__(sentence, param)
        self.what = what
