"""Why a charge was decided as it was, in words: its decision record, told to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def in_words(decision: Mapping[str, Any]) -> Iterator[str]:
    """Yield one clause for each thing that decided; none of a record whose details were forgotten."""
    if decision.get("cache") == "hit":
        yield f"answered from memory, as {decision['of']} was" if "of" in decision else "answered from memory"
    yield from decision.get("reasons", ())
    for name, tier, flaw in decision.get("escalated", ()):
        yield f"the answer of {name} ({tier}) was not good enough ({flaw}): asked for again one tier up"
    if "hedged" in decision:
        yield f"the first call was slow: {decision['hedged']} was asked beside it, and the faster one served"
