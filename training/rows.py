"""The rows that training reads: real outcomes of real models (`classifiers/data`), and everyday prompts of our own."""

import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from classifiers.ask import read_ask
from classifiers.kinds import Task, Tier

FOLDER = Path(__file__).parents[1] / "classifiers" / "data"
LATE_BATCH = 9
QUESTION_CHARS = 200  # enough to tell two questions apart, and copies of one are the same so far


class Models(NamedTuple):
    """Which models of a source are cheap, mid and strong, and which others are like the first and the last."""

    cheap: str
    mid: str | None
    strong: str
    like_cheap: tuple[str, ...]
    like_strong: tuple[str, ...]


MODELS: Mapping[str, Models] = {
    "routellm": Models("mixtral-8x7b-instruct-v0.1", None, "gpt-4-1106-preview", (), ()),
    "mmlu_pro": Models(
        "llama-3.1-8b-instruct",
        "llama-3.1-70b-instruct",
        "gemini-1.5-pro-002",
        ("mixtral-8x7b-instruct-v0.1", "phi-3-mini-4k-instruct", "qwen1.5-72b-chat", "jamba-1.5-large"),
        ("llama-3.1-70b-instruct", "deepseek-coder-v2", "gemini-1.5-flash-002"),
    ),
    "reasoning_gym": Models(
        "mistral-small-3.1-24b-instruct",
        "llama-4-maverick",
        "o3-mini",
        ("gemma-3-27b-it", "llama-3.3-70b-instruct", "llama-4-scout"),
        ("claude-sonnet-4", "deepseek-r1"),
    ),
    "llmrouter": Models(
        "qwen2.5-7b-instruct",
        None,
        "llama-3.1-nemotron-51b-instruct",
        ("gemma-2-9b-it", "llama-3.1-8b-instruct", "mistral-7b-instruct-v0.3"),
        ("llama-3.3-nemotron-super-49b-v1",),
    ),
    "zeroeval": Models(
        "meta-llama-3-8b-instruct",
        "gpt-4o-mini-2024-07-18",
        "gpt-4o-2024-05-13",
        ("gpt-3.5-turbo-0125", "mixtral-8x7b-instruct-v0.1", "phi-3.5-mini-instruct", "yi-1.5-9b-chat"),
        ("gpt-4o-2024-08-06", "claude-3.5-sonnet-20240620", "mistral-large-2"),
    ),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt with the scores of the models that answered it, 0 to 1.

    Attributes:
        text: What the judge reads of it.
        source: Where it was published, `task` its kind there.
        family: Kinds that hold the same questions or are of one hand: never split between training and testing.
        question: The same for copies of a question in several sources.
        cheap: The cheap model's score; `mid` and `strong` likewise, None where there is none.
        weak_mean: The mean of all models like the cheap one, `strong_mean` of those like the strong one: less luck.
    """

    text: str
    source: str
    task: str
    family: str
    question: int
    cheap: float
    mid: float | None
    strong: float
    weak_mean: float
    strong_mean: float

    @property
    def needs_strong(self) -> bool:
        """Whether the strong model is clearly better: the label that decides money."""
        return self.strong - self.cheap >= 0.5


def outcomes(folder: Path = FOLDER) -> list[Row]:
    """Read every published outcome that has a cheap and a strong model."""
    rows: list[Row] = []
    for path in sorted(folder.glob("train-*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows.extend(row for line in lines if (row := _row(json.loads(line))) is not None)
    return rows


def _row(given: dict[str, object]) -> Row | None:
    source, task, prompt = str(given["source"]), str(given["task"]), str(given["prompt"])
    models = MODELS[source]
    answers = given["models"]
    assert isinstance(answers, dict)
    scores = {name: float(answer["score"]) for name, answer in answers.items()}
    if models.cheap not in scores or models.strong not in scores:
        return None
    return Row(
        text=read_ask([{"role": "user", "content": prompt}]).text,
        source=source,
        task=task,
        family=_family(source, task),
        question=number_of(re.sub(r"\W+", " ", prompt.lower()).strip()[:QUESTION_CHARS]),
        cheap=scores[models.cheap],
        mid=scores.get(models.mid) if models.mid else None,
        strong=scores[models.strong],
        weak_mean=_mean(scores, (models.cheap, *models.like_cheap)),
        strong_mean=_mean(scores, (models.strong, *models.like_strong)),
    )


def _mean(scores: Mapping[str, float], names: tuple[str, ...]) -> float:
    found = [scores[name] for name in names if name in scores]
    return sum(found) / len(found)


def _family(source: str, task: str) -> str:
    if "gsm" in task:
        return "gsm"
    return f"{source}/{task.split('/', maxsplit=1)[0]}" if source == "reasoning_gym" else f"{source}/{task}"


def number_of(text: str) -> int:
    """Return the same number for the same text, anywhere: splits depend on nothing else."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


@dataclass(frozen=True, slots=True)
class Everyday:
    """A prompt such as people write, with the task and the tiers a person would accept, the expected one first.

    `lang` is the language that its order is in, by its two letters (ISO 639-1).
    """

    text: str
    task: Task
    tiers: tuple[Tier, ...]
    batch: int
    lang: str

    @property
    def is_kept(self) -> bool:
        """Whether it is kept for testing: a third, chosen by a hash of its text, and all of those written last."""
        return self.is_late or number_of(self.text) % 3 == 0

    @property
    def is_late(self) -> bool:
        """Whether it was written when the judge was done, to see how it does on what nobody had seen before."""
        return self.batch == LATE_BATCH


def everyday(folder: Path = FOLDER) -> list[Everyday]:
    """Read the everyday prompts."""
    lines = (folder / "everyday.jsonl").read_text("utf-8").splitlines()
    rows = map(json.loads, lines)
    return [Everyday(row["prompt"], row["task"], tuple(row["tiers"]), row["batch"], row["lang"]) for row in rows]
