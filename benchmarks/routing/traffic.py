"""The turns of the simulated month, drawn from `month.toml`: the same ones, with the same luck, for every policy."""

from __future__ import annotations

import math
import random
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.routing.prompts import Prompt

FILE = Path(__file__).with_name("month.toml")
DAY_S = 86_400


class Turn(NamedTuple):
    """One request. `luck` is whether its prefix is lost, `fate` whether its calls fail: the same for every policy."""

    t_s: float
    conversation: int
    ask: int
    is_tools: bool
    prompt: Prompt
    customer: int
    ins: int
    out: int
    luck: float
    fate: float


@dataclass(frozen=True, slots=True)
class Customer:
    """Who asks: a number, a name, a plan."""

    number: int
    name: str
    plan: str


@dataclass(frozen=True, slots=True)
class Month:
    """Everything that happens, in its order, and the file it was drawn from."""

    told: Mapping[str, Any]
    customers: tuple[Customer, ...]
    turns: tuple[Turn, ...]


def month(prompts: list[Prompt], *, scale: float = 1.0, path: Path = FILE) -> Month:
    """Draw a month; `scale` is the share of its conversations that are drawn."""
    told = tomllib.loads(path.read_text("utf-8"))
    chance = random.Random(told["seed"])
    customers: list[Customer] = []
    drawn: list[tuple[float, Customer, Mapping[str, float]]] = []
    for group in told["customers"]:
        for n in range(group["count"]):
            customers.append(Customer(len(customers) + 1, f"{group['name']}-{n + 1}", group["plan"]))
            drawn.append((group["share"] / group["count"], customers[-1], group["kinds"]))
    asks = _Asks(told, prompts, chance)
    turns: list[Turn] = []
    for number in range(round(told["conversations"] * scale)):
        ((_, customer, kinds),) = chance.choices(drawn, [share for share, _, _ in drawn])
        (kind,) = chance.choices(list(kinds), list(kinds.values()))
        turns.extend(asks.conversation(number, customer.number, kind))
    return Month(told, tuple(customers), tuple(sorted(turns)))


class _Asks:
    """Draws conversations."""

    def __init__(self, told: Mapping[str, Any], prompts: list[Prompt], chance: random.Random) -> None:
        self._told, self._chance = told, chance
        self._exams = [each for each in prompts if each.is_exam]
        self._of_tier = {
            tier: [each for each in prompts if each.tier == tier] for tier in ("simple", "medium", "complex")
        }

    def conversation(self, number: int, customer: int, kind: str) -> Iterator[Turn]:
        """Yield the turns of one conversation."""
        told, chance = self._told["kinds"][kind], self._chance
        t_s = chance.random() * self._told["days"] * DAY_S
        context = self._tokens(told["system"], told["spread"])
        for ask in range(self._count(told["asks"])):
            prompt = self._prompt(kind, told["prompts"])
            tools = self._count(told["tools"] + 1) - 1 if told["tools"] else 0
            for step in range(tools + 1):
                context += self._tokens(told["tool"] if step else told["ask"], told["spread"])
                out = self._tokens(told["answer"], told["spread"])
                if context < self._told["context_growth_max"]:
                    yield Turn(t_s, number, ask, step > 0, prompt, customer, context, out,
                               chance.random(), chance.random())  # fmt: skip
                context += out
                t_s += 2 + out / 80 + (chance.lognormvariate(math.log(told["tool_s"]), 0.5) if tools else 0)
            if told["gap_s"]:
                t_s += chance.lognormvariate(math.log(told["gap_s"]), told["gap_spread"])

    def _prompt(self, kind: str, of: str) -> Prompt:
        if of == "exam":
            return self._chance.choice(self._exams)
        shares = self._told["everyday"][kind]
        (tier,) = self._chance.choices(list(shares), list(shares.values()))
        return self._chance.choice(self._of_tier[tier])

    def _tokens(self, median: int, spread: float) -> int:
        return max(1, round(self._chance.lognormvariate(math.log(median), spread)))

    def _count(self, mean: float) -> int:
        """Draw a geometric number from 1 on."""
        return 1 if mean <= 1 else 1 + int(math.log(1 - self._chance.random()) / math.log(1 - 1 / mean))
