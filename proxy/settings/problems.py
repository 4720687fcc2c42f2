"""What can be wrong with a configuration, said so that the operator can fix it at once."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

Steps = tuple[str | int, ...]
"""The way to a value: keys of mappings and indices of lists, from the top."""

_NAMES_SHOWN_MAX: Final = 20  # a line of a terminal or two; more helps nobody to find a typo


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Args:
        file: The file as the operator named it.
        line: Its line, from 1; `None` when the file as a whole is meant.
        path: The dotted path of the value; empty when the file as a whole is meant.
        message: What is wrong and what would be right. It never holds a secret.
    """

    file: str
    line: int | None
    path: str
    message: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (where, self.path, self.message) if part)


class SettingsError(Exception):
    """A configuration that cannot be used; its text is one problem per line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def dotted(steps: Steps) -> str:
    """Write the way to a value as people do: `tiers.simple[0]`."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def not_among(quoted: str, kind: str, allowed: Sequence[str], *, here: str = "") -> str:
    """Say that a word is not one of those allowed, with the nearest of them.

    Args:
        quoted: The word as it may be shown, in double quotes; or where it came from.
        kind: What the word should have named, in the singular.
        allowed: Every name there is, in the order to list them.
        here: What to add to `kind` when it depends on the place, such as ` here`.
    """
    nearest = difflib.get_close_matches(quoted.strip('"'), allowed, n=1)
    hint = f' did you mean "{nearest[0]}"?' if nearest else ""
    return f"{quoted} is not a {kind}{here};{hint} {kind}s are: {_listed(allowed)}"


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "(none)"
    more = len(names) - _NAMES_SHOWN_MAX
    return ", ".join(names[:_NAMES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
