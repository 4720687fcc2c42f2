"""The closed sets: what tiers there are, and what tasks."""

from typing import Literal

Tier = Literal["simple", "medium", "complex"]
Task = Literal[
    "faq",  # one fact, definition or how-to
    "classification",  # a label out of a few
    "extraction",  # taking out or reshaping what the text already says: fields, formats, spelling
    "summarising",
    "drafting",  # prose for a purpose: mail, post, report; rewriting counts
    "analysis",  # explain, compare, assess
    "code",
    "mathematics",
    "reasoning",  # puzzles, proofs in words, decisions that follow from several premises
    "creative",
    "chat",  # greetings, thanks, small talk
    "translation",
    "planning",  # plans, schedules, system designs: many parts that must fit
    "other",  # no cue of any task was found
]

TIERS: tuple[Tier, ...] = ("simple", "medium", "complex")
TASKS: tuple[Task, ...] = (
    "faq",
    "classification",
    "extraction",
    "summarising",
    "drafting",
    "analysis",
    "code",
    "mathematics",
    "reasoning",
    "creative",
    "chat",
    "translation",
    "planning",
    "other",
)
