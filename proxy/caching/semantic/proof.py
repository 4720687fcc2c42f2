"""Whether answers by meaning are right often enough: learned from requests that were answered both ways.

A *would-be hit* has an answer from memory at hand. While nothing is proven the provider is asked all the same, and the
two answers are compared; so is a share of them for ever after. Each comparison is a sample of the request's class, and
of the band that its nearness falls into. A band is served once so few of all samples as near or nearer were wrong that
a higher error rate than the target is refuted: an exact binomial test at 5 %. With no error seen, that takes 149
samples for a target of 2 %, 59 for 5 %. Later errors close a band again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

BANDS: Final = 4
"""Parts between the floor and 1: nearer ones are right more often, and are proven first where further ones are not."""
DOUBT: Final = 0.05
"""How likely a class with just the target's error rate passes by luck, at one look."""
SAMPLES_MAX: Final = 1_000
"""Of a class's band: when there are more, all count half, so that what has changed shows."""
CLASSES_MAX: Final = 4_096
"""Classes that are remembered, some 2 MB; the one used longest ago goes, and is unproven again."""


class Stand(NamedTuple):
    """What is known where a request falls: samples as near or nearer, how many of them were wrong, what follows."""

    samples: int
    errors: int
    proven: bool


class _Band:
    __slots__ = ("errors", "samples")

    def __init__(self) -> None:
        self.samples = self.errors = 0

    def note(self, *, is_right: bool) -> None:
        self.samples += 1
        self.errors += not is_right
        if self.samples > SAMPLES_MAX:
            self.samples, self.errors = (self.samples + 1) // 2, (self.errors + 1) // 2


class Proof:
    """The samples of one worker, by class."""

    def __init__(self) -> None:
        self._classes: OrderedDict[bytes, tuple[_Band, ...]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._classes)

    def stand(self, of: bytes, band: int, error_max: float) -> Stand:
        """Return what is known of a class in a band, and whether its error rate is proven to be below the target."""
        bands = self._classes.get(of)
        if bands is None:
            return Stand(0, 0, proven=False)
        samples, errors = (sum(getattr(each, what) for each in bands[band:]) for what in ("samples", "errors"))
        return Stand(samples, errors, proven=passes(samples, errors, error_max))

    def note(self, of: bytes, band: int, *, is_right: bool) -> None:
        """Count a sample."""
        bands = self._classes.get(of)
        if bands is None:
            bands = self._classes[of] = tuple(_Band() for _ in range(BANDS))
        self._classes.move_to_end(of)
        bands[band].note(is_right=is_right)
        if len(self._classes) > CLASSES_MAX:
            self._classes.popitem(last=False)


def band_of(score: float, floor: float) -> int:
    """Return the band of a nearness; the last one is the nearest."""
    return min(BANDS - 1, max(0, int((score - floor) / (1 - floor) * BANDS)))


def passes(samples: int, errors: int, error_max: float) -> bool:
    """Tell whether so few errors refute that the rate is above the target: P(at most so many | target) ≤ 5 %."""
    if samples == 0 or errors >= samples * error_max:
        return False
    term = total = (1 - error_max) ** samples
    for count in range(errors):
        term *= (samples - count) / (count + 1) * error_max / (1 - error_max)
        total += term
    return total <= DOUBT


def bound(samples: int, errors: int) -> float:
    """Return the highest error rate that the samples do not refute: the upper end of a one-sided 95 % interval."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        if passes(samples, errors, middle):
            high = middle
        else:
            low = middle
    return high
