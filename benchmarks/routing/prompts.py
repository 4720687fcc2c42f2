"""What is asked in the simulated month: prompts that the judge's weights never saw, and what answers to them are worth.

Of published prompts it is the outcome of a real model of each tier, cheap, mid and strong, as published. Of everyday
prompts, which nobody published outcomes of, it is whether a person would accept the tier: 1, or 0 below it.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from classifiers import Ask as Read
from classifiers import Judgement, read_ask
from classifiers.cuts import Cuts
from classifiers.judging import judge_with
from classifiers.kinds import TIERS
from classifiers.table import Table, load
from training.apart import WEIGHTS, is_apart
from training.rows import everyday, outcomes


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, and the value of an answer of each tier, lowest first."""

    read: Read
    worth: tuple[float, float, float]
    tier: str
    """The tier that a person expects; of published ones there is none."""
    is_exam: bool

    @property
    def wanted(self) -> int:
        """The lowest tier whose answer is worth what the frontier's is: what only an oracle knows."""
        return next(at for at in range(3) if self.worth[at] >= self.worth[2])


class Judge:
    """The product's judge with the weights that were kept apart; each prompt is judged once for each cut points."""

    def __init__(self, cuts: Cuts | None, table: Table) -> None:
        self._cuts, self._table = cuts, table
        self._seen: dict[int, Judgement] = {}

    def __call__(self, prompt: Prompt) -> Judgement:
        """Judge."""
        found = self._seen.get(id(prompt))
        if found is None:
            found = self._seen[id(prompt)] = judge_with(self._table, prompt.read, self._cuts)
        return found


def weights() -> Table:
    """Read the weights that were kept apart."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "weights.json"
        path.write_bytes(gzip.decompress(WEIGHTS.read_bytes()))
        return load(path)


def prompts() -> list[Prompt]:
    """Return every prompt that the weights have not seen and whose answers' worth is known in each tier."""
    found = [
        Prompt(_read(row.text), (row.cheap, row.mid, row.strong), "", is_exam=True)
        for row in outcomes()
        if is_apart(row) and row.mid is not None
    ]
    for each in everyday():
        if each.is_kept:
            least = min(TIERS.index(tier) for tier in each.tiers)
            worth = tuple(float(at >= least) for at in range(3))
            found.append(Prompt(_read(each.text), worth, each.tiers[0], is_exam=False))  # type: ignore[arg-type]
    return found


def _read(text: str) -> Read:
    return read_ask([{"role": "user", "content": text}])
