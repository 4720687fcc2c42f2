"""Who judges `auto`, with which weights and cut points."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from classifiers import Ask, Judgement
from classifiers.cuts import Cuts
from classifiers.featuring import Features
from classifiers.judging import judge_with
from classifiers.table import Table, load, shipped
from proxy.settings.findings import Findings
from proxy.settings.routing_shape import ThresholdsShape
from proxy.settings.shape import ClassifierShape, LabelsShape
from proxy.settings.values import Labels


@dataclass(frozen=True, slots=True)
class Classifier:
    """Who judges `auto`.

    Args:
        cuts: Where a score is medium, and complex; None: the shipped cut points apply.
        weights: The file of the weights; None: the shipped.
        labels: What is kept to learn from; None: nothing is.
    """

    cuts: Cuts | None = None
    weights: Path | None = None
    labels: Labels | None = None
    _table: Table | None = field(default=None, repr=False)

    @property
    def table(self) -> Table:
        """The weights. The shipped ones are read when they are first wanted: most commands judge nothing."""
        return shipped() if self._table is None else self._table

    @property
    def version(self) -> str | None:
        """The version of the weights, where a file of one's own has them."""
        return None if self._table is None else self._table.version

    def prepare(self) -> None:
        """Read what judging needs now, a tenth of a second's work, so that no request waits for it."""
        if self.labels is None:
            _ = self.table
        else:
            self.features()

    def judge(self, ask: Ask) -> Judgement:
        """Judge how hard an ask is."""
        return judge_with(self.table, ask, self.cuts)

    def features(self) -> Features:
        """Return what reads asks into features."""
        return _features(_Of(self.table))


class _Of:
    """Weights as a key: those of one version are the same."""

    __slots__ = ("table",)

    def __init__(self, table: Table) -> None:
        self.table = table

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Of) and other.table.version == self.table.version

    def __hash__(self) -> int:
        return hash(self.table.version)


@lru_cache(maxsize=2)  # the weights before a reload and after it
def _features(of: _Of) -> Features:
    return Features(of.table)


def classifier_of(
    shape: ClassifierShape,
    thresholds: ThresholdsShape | None,
    folder: Path,
    findings: Findings,
    is_missing: Callable[[Path], bool],
) -> Classifier:
    """Return who judges; cut points of other weights have no effect."""
    table, weights = None, None if shape.weights is None else folder / shape.weights
    if weights is not None and not is_missing(weights):
        try:
            table = load(weights)
        except (OSError, ValueError, KeyError, TypeError) as error:
            said = str(error) if isinstance(error, OSError) or "no weights" in str(error) else f"{weights} is damaged"
            findings.wrong(("classifier", "weights"), said)
    found = Classifier(weights=weights, labels=_labels_of(shape.labels), _table=table)
    if thresholds is None:
        return found
    steps = ("routing", "thresholds")
    if thresholds.complex < thresholds.medium:
        findings.wrong((*steps, "complex"), "is below medium")
    if thresholds.classifier != found.table.version:
        findings.warn(steps, f"routing.thresholds are of {thresholds.classifier}, and the weights are "
                             f"{found.table.version}: the shipped cut points apply; run `penstock tune`")  # fmt: skip
        return found
    return replace(found, cuts=Cuts(float(thresholds.medium), float(thresholds.complex)))


def _labels_of(shape: LabelsShape) -> Labels | None:
    if not shape.enabled:
        return None
    return Labels(ttl_s=shape.ttl, customer_max=shape.customer_max, all_max=shape.all_max, retry_s=shape.retry)
