"""Who judges `auto`, with which weights and cut points."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from classifiers import Ask, Judgement
from classifiers.cuts import Cuts
from classifiers.featuring import Features
from classifiers.judging import judge_with
from classifiers.table import Table, load, shipped
from margin.money import usd_to_nusd
from margin.sellbook import TIERS
from proxy.settings.asides import Advisor, Shadows
from proxy.settings.classifier_shape import ClassifierShape, JudgeShape, LabelsShape, ShadowsShape
from proxy.settings.findings import Findings
from proxy.settings.limits import Budget
from proxy.settings.problems import Steps
from proxy.settings.routing_shape import ThresholdsShape
from proxy.settings.shape import TiersShape
from proxy.settings.values import Deployment, Labels, Prompts


@dataclass(frozen=True, slots=True)
class Classifier:
    """Who judges `auto`.

    Args:
        cuts: Where a score is medium, and complex; None: the shipped cut points apply.
        weights: The file of the weights; None: the shipped.
        labels: What is kept to learn from; None: nothing is.
        advisor: Who is asked where the weights are in doubt; None: nobody is.
        shadows: Of which requests another tier's answer is asked for; None: of none.
    """

    cuts: Cuts | None = None
    weights: Path | None = None
    labels: Labels | None = None
    advisor: Advisor | None = None
    shadows: Shadows | None = None
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


class Models(NamedTuple):
    """The deployments, by name, which of them each tier lists, and the plans' names; None: those are wrong."""

    deployments: Mapping[str, Deployment]
    tiers: TiersShape
    plans: Collection[str] | None


def classifier_of(
    shape: ClassifierShape,
    thresholds: ThresholdsShape | None,
    folder: Path,
    findings: Findings,
    is_missing: Callable[[Path], bool],
    models: Models,
) -> Classifier:
    """Return who judges; cut points of other weights have no effect."""
    table, weights = None, None if shape.weights is None else folder / shape.weights
    if weights is not None and not is_missing(weights):
        try:
            table = load(weights)
        except (OSError, ValueError, KeyError, TypeError) as error:
            said = str(error) if isinstance(error, OSError) or "no weights" in str(error) else f"{weights} is damaged"
            findings.wrong(("classifier", "weights"), said)
    advisor = _advisor_of(shape.judge, models, findings)
    found = Classifier(weights=weights, labels=_labels_of(shape.labels, models, findings), advisor=advisor,
                       shadows=_shadows_of(shape, advisor, models, findings), _table=table)  # fmt: skip
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


def _labels_of(shape: LabelsShape, models: Models, findings: Findings) -> Labels | None:
    asked = shape.prompts
    _check_plans(asked.plans, ("classifier", "labels", "prompts", "plans"), models, findings)
    if not shape.enabled:
        return None
    prompts = None
    if asked.plans or asked.customers:
        prompts = Prompts(frozenset(asked.plans), frozenset(asked.customers), asked.ttl, asked.max_bytes)
    return Labels(ttl_s=shape.ttl, customer_max=shape.customer_max, all_max=shape.all_max, retry_s=shape.retry,
                  prompts=prompts)  # fmt: skip


def _check_plans(names: Sequence[str], steps: Steps, models: Models, findings: Findings) -> None:
    for place, name in enumerate(names):
        if models.plans is not None and name not in models.plans:
            findings.unknown((*steps, place), name, "plan", sorted(models.plans))


def _advisor_of(shape: JudgeShape, models: Models, findings: Findings) -> Advisor | None:
    if not shape.enabled:
        return None
    deployment = _asked(shape.model, ("classifier", "judge", "model"), models, findings)
    if deployment is None:
        return None
    amount, per = shape.budget
    return Advisor(
        deployment, float(shape.near), shape.deadline, shape.share, Budget(usd_to_nusd(amount), per), shape.cache
    )


def _asked(name: str, steps: Steps, models: Models, findings: Findings) -> Deployment | None:
    """Return the model that a name means, or the first of a tier that can be asked; None and a warning: none can."""
    names: Sequence[str] = (name,)
    if name in TIERS:
        names = getattr(models.tiers, name)
    elif name not in models.deployments:
        findings.unknown(steps, name, "model or tier", [*TIERS, *sorted(models.deployments)])
        return None
    found = [each for each in map(models.deployments.get, names) if each is not None and "chat" in each.serves]
    if not found and name not in TIERS:
        findings.wrong(steps, f"{name} does not chat")
    enabled = next((each for each in found if each.provider.enabled), None)
    if enabled is None:
        findings.warn(steps, f"{'.'.join(map(str, steps))} has no effect: no provider of {name} is enabled")
    return enabled


def _shadows_of(
    shape: ClassifierShape, advisor: Advisor | None, models: Models, findings: Findings
) -> Shadows | None:  # fmt: skip
    asked, steps = shape.shadows, ("classifier", "shadows")
    _check_plans(asked.plans, (*steps, "plans"), models, findings)
    if not asked.enabled:
        return None
    for is_missing, what in (
        (not shape.labels.enabled, "classifier.labels.enabled is false"),
        (not asked.plans and not asked.customers, "it names neither plans nor customers"),
    ):
        if is_missing:
            findings.warn(steps, f"classifier.shadows has no effect: {what}")
            return None
    if asked.compare == "model" and advisor is None:
        findings.warn((*steps, "compare"), "classifier.shadows.compare: model is as rule: classifier.judge is off")
    return _read(asked)


def _read(asked: ShadowsShape) -> Shadows:
    amount, per = asked.budget
    return Shadows(
        float(asked.share), asked.tier, frozenset(asked.plans), frozenset(asked.customers),
        Budget(usd_to_nusd(amount), per), asked.waiting, asked.compare,
    )  # fmt: skip
