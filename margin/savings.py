"""The savings waterfall: from a named baseline to the actual bill, lever by lever, signed.

Each step re-prices the same request, so the levers and the bill add up to the baseline exactly. *Prompt optimisation*
is what the baseline's model would have billed for tokens that were left out of the prompt. *Response cache* is what the
call would have cost that an answer from memory made needless. *Routing* is what the baseline's model would
have billed for the same tokens, minus what was billed, or would have been. *Prompt cache* is what marks of ours for a
provider's cache saved: the same tokens at the price of plain input, less what reads and writes were billed; what is
cached unasked is no saving of ours. *Overhead* is what calls beside exchanges cost, which nobody would have made
without us: it is never above zero. Output length differs by model; the figure is the *same-token* one and says nothing
about that. Costs of failed attempts and escalations count against the saving. It may be negative and is never floored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

LEVERS = ("prompt_optimisation", "response_cache", "routing", "prompt_cache", "overhead")
"""In the order in which they are taken."""


class Saved(NamedTuple):
    """What each lever saved of one request, in nano-dollars."""

    prompt_optimisation: int
    response_cache: int
    routing: int
    prompt_cache: int
    overhead: int = 0

    @property
    def total(self) -> int:
        """Baseline minus bill."""
        return self.prompt_optimisation + self.response_cache + self.routing + self.prompt_cache + self.overhead


def saved_nusd(
    baseline_nusd: int | None, actual_nusd: int | None, *, spared_nusd: int | None, marks_nusd: int | None,
    overhead_nusd: int | None = 0, trims_nusd: int = 0,
) -> Saved | None:  # fmt: skip
    """Return what was saved; unknown when the baseline or the bill is, or one of the parts.

    `spared_nusd` is what the call would have cost that an answer from memory made needless, `marks_nusd` what marking
    it for the provider's prompt cache saved, `trims_nusd` what the part of the baseline is that was left out of the
    prompt; each is 0 where there was no such thing. `overhead_nusd` is the part of the bill that calls beside the
    exchange cost.
    """
    total = saving_nusd(baseline_nusd, actual_nusd)
    if total is None or spared_nusd is None or marks_nusd is None or overhead_nusd is None:
        return None
    routing = total - trims_nusd - spared_nusd - marks_nusd + overhead_nusd
    return Saved(trims_nusd, spared_nusd, routing, marks_nusd, -overhead_nusd)


def saving_nusd(baseline_nusd: int | None, actual_nusd: int | None) -> int | None:
    """Return baseline minus actual; unknown when either is."""
    if baseline_nusd is None or actual_nusd is None:
        return None
    return baseline_nusd - actual_nusd


def waterfall(baseline_nusd: int, levers_nusd: Mapping[str, int], actual_nusd: int) -> list[tuple[str, int]]:
    """Return the steps from baseline to actual as (name, signed amount).

    Raises:
        ValueError: the levers do not lead from the baseline to the actual bill.
    """
    if baseline_nusd - sum(levers_nusd.values()) != actual_nusd:
        raise ValueError("the levers do not add up to the bill")
    steps = [(name, -levers_nusd[name]) for name in LEVERS if name in levers_nusd]
    return [("baseline", baseline_nusd), *steps, ("actual", actual_nusd)]
