"""When a request is judged: at once where its route depends on it, else while the provider works on it."""

from __future__ import annotations

from base64 import b64encode
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final

from classifiers import Ask as Read
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

    __slots__ = ("_ask", "_classifier", "_found", "_read")

    def __init__(self, ask: Ask, classifier: Classifier) -> None:
        self._ask, self._classifier = ask, classifier
        self._found: Judgement | None = None
        self._read: Read | None = None

    def judge(self) -> Judgement:
        """Return the judgement."""
        if self._found is None:
            if self._ask.surface == "embeddings":
                self._found = UNJUDGED
            else:
                self._found = self._classifier.judge(self._reading())
        return self._found

    def _reading(self) -> Read:
        if self._read is None:
            ask = self._ask
            self._read = read_ask(ask.messages, tools=ask.tools, wants_schema=ask.wants_schema)
        return self._read

    @property
    def is_tool_turn(self) -> bool:
        """Whether it brings what tools gave: the ask before them is still being worked on."""
        return self._reading().tool_turn

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

    @property
    def text(self) -> str:
        """The last thing a person asked, as far as it is read."""
        return self._reading().text

    def noted(self, customer: int) -> dict[str, Any] | None:
        """Return what the record keeps of the ask to learn from: a digest that tells a repeat, and its features."""
        if self._classifier.labels is None:
            return None
        self.judge()
        if self._read is None:  # there is no ask
            return None
        text = self._read.text
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=customer.to_bytes(8, "big"))
        return {"same": digest.hexdigest(), "features": b64encode(self._classifier.features().of(text)).decode()}


class Moved:
    """A judgement whose tier is another's: of an earlier turn, or of who was asked; and why."""

    __slots__ = ("_judging", "_why", "tier")

    def __init__(self, judging: Judging, tier: Tier, why: tuple[str, ...] = ()) -> None:
        self._judging, self._why, self.tier = judging, why, tier

    @property
    def task(self) -> str:
        """What it is."""
        return self._judging.task

    @property
    def probabilities(self) -> tuple[float, float, float]:
        """How likely it needs each tier, from simple to complex."""
        return self._judging.probabilities

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, in words."""
        return (*self._judging.reasons, *self._why)
