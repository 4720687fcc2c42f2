"""Judges how hard the last human ask of a chat request is: simple, medium or complex.

Knows nothing of models, prices or proxies, and imports nothing but the standard library.
"""

from classifiers.ask import Ask, read_ask
from classifiers.judgement import Judgement
from classifiers.judging import judge
from classifiers.kinds import TASKS, TIERS, Task, Tier

__all__ = ["TASKS", "TIERS", "Ask", "Judgement", "Task", "Tier", "judge", "read_ask"]
