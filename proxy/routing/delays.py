"""How long answers take to begin, by deployment and by whether they are streamed: what *slow* means."""

from __future__ import annotations

from proxy.outputs import Sketch
from proxy.settings import Deployment


class Delays:
    """The sketches of one worker: as many as there are deployments, twice."""

    def __init__(self) -> None:
        self._sketches: dict[tuple[str, bool], Sketch] = {}

    def learn(self, deployment: Deployment, head_s: float, *, is_stream: bool) -> None:
        """Note how long an answer took to begin."""
        way = (deployment.name, is_stream)
        found = self._sketches.get(way)
        if found is None:
            found = self._sketches[way] = Sketch()
        found.add(round(head_s * 1000))  # sketches count whole numbers: milliseconds

    def after_s(self, deployment: Deployment, share: float, *, is_stream: bool) -> float | None:
        """Return within how long that share of answers begins; None before enough were seen."""
        found = self._sketches.get((deployment.name, is_stream))
        milli = None if found is None else found.quantile(share)
        return None if milli is None else milli / 1000
