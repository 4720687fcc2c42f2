"""Why a charge was decided as it was, in words: its decision record, told to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def in_words(decision: Mapping[str, Any]) -> Iterator[str]:
    """Yield one clause for each thing that decided; none of a record whose details were forgotten."""
    if decision.get("cache") == "hit":
        yield f"answered from memory, as {decision['of']} was" if "of" in decision else "answered from memory"
    if decision.get("cache") == "semantic":
        yield (
            f"answered from memory, as {decision['of']} was, whose prompt means the same: nearness {decision['near']}; "
            f"{decision['errors']} of {decision['samples']} such answers that were checked were wrong"
            if "of" in decision
            else "answered from memory, as a prompt was that means the same"
        )
    if "near_to" in decision:
        yield f"the answer of {decision['near_to']} was at hand (nearness {decision['near']}) and held against this one"
    yield from decision.get("reasons", ())
    if "trimmed" in decision:
        before, after = decision["trimmed"]
        if before > after:
            yield f"about {before - after:,} of {before:,} tokens were left out of its prompt"
    said = decision.get("advice")
    if said is not None and not said["moved"]:  # where it moved something, the reasons say so
        yield f"{said['by']} was asked whether it is {said['judged']} or {said['other']}: {_came(said)}"
    for name, tier, flaw in decision.get("escalated", ()):
        yield f"the answer of {name} ({tier}) was not good enough ({flaw}): asked for again one tier up"
    if "hedged" in decision:
        yield f"the first call was slow: {decision['hedged']} was asked beside it, and the faster one served"


_CAME = {
    "late": "no answer in time",
    "failed": "no answer",
    "nonsense": "an answer that is none of the three words",
    "unasked": "not now, as a share, a budget or a limit is used up, or it rests",
}


def _came(said: Mapping[str, Any]) -> str:
    return said["said"] or _CAME[said["came"]]
