"""Who judges `auto`, with which weights and cut points."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from classifiers import Ask, Judgement
from classifiers.cuts import Cuts
from classifiers.judging import judge_with
from classifiers.table import Table, load, shipped
from proxy.settings.findings import Findings
from proxy.settings.routing_shape import ThresholdsShape
from proxy.settings.shape import ClassifierShape


@dataclass(frozen=True, slots=True)
class Classifier:
    """Who judges `auto`.

    Args:
        cuts: Where a score is medium, and complex; None: the shipped cut points apply.
        weights: The file of the weights; None: the shipped.
    """

    cuts: Cuts | None = None
    weights: Path | None = None
    _table: Table | None = field(default=None, repr=False)

    @property
    def table(self) -> Table:
        """The weights. The shipped ones are read when they are first wanted: most commands judge nothing."""
        return shipped() if self._table is None else self._table

    @property
    def version(self) -> str | None:
        """The version of the weights, where a file of one's own has them."""
        return None if self._table is None else self._table.version

    def judge(self, ask: Ask) -> Judgement:
        """Judge how hard an ask is."""
        return judge_with(self.table, ask, self.cuts)


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
    found = Classifier(weights=weights, _table=table)
    if thresholds is None:
        return found
    steps = ("routing", "thresholds")
    if thresholds.complex < thresholds.medium:
        findings.wrong((*steps, "complex"), "is below medium")
    if thresholds.classifier != found.table.version:
        findings.warn(steps, f"routing.thresholds are of {thresholds.classifier}, and the weights are "
                             f"{found.table.version}: the shipped cut points apply; run `penstock tune`")  # fmt: skip
        return found
    return Classifier(Cuts(float(thresholds.medium), float(thresholds.complex)), weights, table)
