"""Judges how hard the last human ask of a chat request is: simple, medium or complex.

Knows nothing of models, prices or proxies, and imports nothing but the standard library.
"""

from classifiers.ask import Ask, read_ask
from classifiers.judgement import TASKS, TIERS, Judgement, Task, Tier
from classifiers.rules import VERSION, judge

__all__ = ["TASKS", "TIERS", "VERSION", "Ask", "Judgement", "Task", "Tier", "judge", "read_ask"]
