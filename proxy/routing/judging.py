"""When a request is judged: at once where its route depends on it, else while the provider works on it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from classifiers import Judgement, Tier, read_ask
from proxy.settings import Classifier
from proxy.wire.ask import Ask

UNJUDGED: Final = Judgement("simple", "other", (0.0, 0.0, 0.0), 0.0, 0.0, MappingProxyType({}), "none")
"""What stands where there is no ask: of embeddings nobody says how hard they are, and no tier but the lowest fits."""


class Judging:
    """One request's judgement, made when it is first wanted, and once.

    Of a model that was named, or a tier that was pinned, only the record and the headers want it: then judging costs
    the caller no time.
    """

    __slots__ = ("_ask", "_classifier", "_found")

    def __init__(self, ask: Ask, classifier: Classifier) -> None:
        self._ask, self._classifier = ask, classifier
        self._found: Judgement | None = None

    def judge(self) -> Judgement:
        """Return the judgement."""
        if self._found is None:
            ask = self._ask
            if ask.surface == "embeddings":
                self._found = UNJUDGED
            else:
                read = read_ask(ask.messages, tools=ask.tools, wants_schema=ask.wants_schema)
                self._found = self._classifier.judge(read)
        return self._found

    @property
    def tier(self) -> Tier:
        """The tier it is judged to need."""
        return self.judge().tier

    @property
    def task(self) -> str:
        """What it is."""
        return self.judge().task

    @property
    def probabilities(self) -> tuple[float, float, float]:
        """How likely it needs each tier, from simple to complex."""
        return self.judge().probabilities

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, in words."""
        return self.judge().reasons
