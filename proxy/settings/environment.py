"""References to the environment inside YAML: `${NAME}` and `${NAME:-default}`.

They are masked before the YAML is scanned, because `{api_key: ${NAME}}` is what people write and a
brace inside a flow mapping would begin another mapping.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}\n]*))?\}")
_OPEN, _CLOSE = "\ue000", "\ue001"  # private use: YAML takes them for letters, nobody types them
_MASKED: Final = re.compile(f"{_OPEN}([0-9]{{1,6}}){_CLOSE}")


@dataclass(frozen=True, slots=True)
class Reference:
    """One `${NAME:-default}`; `default` is `None` when there is none."""

    name: str
    default: str | None

    def value(self, environ: Mapping[str, str]) -> str | None:
        """Return what it stands for; a variable that is set to nothing counts as unset."""
        return environ.get(self.name) or self.default


@dataclass(frozen=True, slots=True)
class Filled:
    """A text after its references were replaced.

    Args:
        text: The text; where a variable is unset, nothing stands in its place.
        names: The variables that it has values from, in order.
        unset: Those of them that are unset and have no default.
        alone: Whether the text was one reference and nothing else.
    """

    text: str
    names: tuple[str, ...]
    unset: tuple[str, ...]
    alone: bool


def mask(text: str) -> tuple[str, tuple[Reference, ...]]:
    """Replace each reference by a token that YAML reads as a word; return both."""
    references: list[Reference] = []

    def token(found: re.Match[str]) -> str:
        references.append(Reference(found[1], found[2]))
        return f"{_OPEN}{len(references) - 1}{_CLOSE}"

    return _REFERENCE.sub(token, text), tuple(references)


def blanked(text: str) -> str:
    """Return a text of the same length in which each reference is a word: what stands where in it stays true."""
    return _REFERENCE.sub(lambda found: "x" * len(found[0]), text)


def has_reference(text: str) -> bool:
    """Tell whether a masked text holds a reference."""
    return _MASKED.search(text) is not None


def fill(text: str, references: Sequence[Reference], environ: Mapping[str, str]) -> Filled:
    """Replace the tokens of a masked text by what they stand for."""
    used: list[Reference] = []

    def value(found: re.Match[str]) -> str:
        index = int(found[1])
        if index >= len(references):
            return found[0]
        used.append(references[index])
        return references[index].value(environ) or ""

    filled = _MASKED.sub(value, text)
    unset = tuple(ref.name for ref in used if ref.value(environ) is None)
    names = tuple(ref.name for ref in used if environ.get(ref.name))
    return Filled(filled, names, unset, _MASKED.fullmatch(text) is not None)
