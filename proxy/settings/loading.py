"""A configuration file and the environment → `Settings`, or everything that is wrong with them."""

import difflib
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson

from margin import costbook
from margin.costbook import CostBook
from proxy.settings import document as yaml_document
from proxy.settings import entries, models, overrides, plans, reading, sources
from proxy.settings.alert_shape import alerts_of
from proxy.settings.alerts import PERCENTS
from proxy.settings.classifier import Models, classifier_of
from proxy.settings.cost_shape import other_costs_of
from proxy.settings.findings import Findings
from proxy.settings.gates import check_gates
from proxy.settings.limiting import Known, limits_of
from proxy.settings.plans import Sold
from proxy.settings.problems import SettingsError, Steps
from proxy.settings.providers import providers as read_providers
from proxy.settings.routes import check_fallbacks, routing_of
from proxy.settings.sections import (
    caching_of,
    conversations_of,
    idempotency_of,
    sandbox_of,
    server_of,
    store_of,
)
from proxy.settings.settings import Settings
from proxy.settings.shape import SettingsShape
from proxy.settings.values import Provider
from proxy.settings.webhooks import webhooks_of

_MAY_BE_UNSET: Final = re.compile(r"providers\..+\.api_key")
_DIGEST_CHARS: Final = 12  # as the versions of the books


def load(
    path: Path,
    *,
    environ: Mapping[str, str],
    simulator_url: str | None = None,
    local_model: str | None = None,
) -> Settings:
    """Read, check and explain a configuration. Nothing is called, nothing but files is read.

    Args:
        path: The YAML. File paths in it resolve against its folder.
        environ: Where `${NAME}` is looked up, and what goes before the file (`proxy.settings.overrides`).
        simulator_url: Where `base_url: simulator` leads; without it, to an address that never
            resolves, which is enough for whatever calls nobody.
        local_model: The first model of the server at `PENSTOCK_LOCAL_URL`, for when that server fills the tiers
            (`Settings.local_url`); without it the model has no name but `local`, which is enough for the same.

    Raises:
        SettingsError: Something is wrong; it carries every problem of every file, as far as one can tell.
    """
    shape, findings = _read(path, environ, local_model)
    book = _costbook(path, findings)
    sold = _sellbook(path, environ, findings)
    if shape is None:
        findings.stop()
    assert shape is not None, "a shape that is refused leaves a problem"
    found = read_providers(shape.providers, simulator_url, findings)
    local_url = _local_url(found, environ, findings)
    deployments = models.deployments(shape.models, shape.tiers, found, book, findings)
    if sold is not None:
        check_gates(sold, deployments, findings)
    models.check_tiers(shape.tiers, shape.models, deployments, findings)
    check_fallbacks(deployments, findings)
    aliases = models.aliases(shape.aliases, shape.models, findings, stated="aliases" in shape.model_fields_set)
    models.check_baseline(shape.routing.baseline, shape.models, findings)
    sandbox = sandbox_of(shape.sandbox, None if sold is None else sold.book, findings)
    server = server_of(shape.server, findings)
    routing = routing_of(shape.routing, deployments, sold, findings)
    classifier = classifier_of(
        shape.classifier, shape.routing.thresholds, path.parent, findings,
        lambda file: _is_missing(("classifier", "weights"), file, findings),
        Models(deployments, shape.tiers, None if sold is None else sold.book.plans),
    )  # fmt: skip
    known = Known(shape.models, None, {}) if sold is None else Known(shape.models, sold.book.plans, sold.limits)
    caching = caching_of(shape.caching, routing.rules, findings)
    webhooks = webhooks_of(shape.webhooks, findings)
    limits = limits_of(shape.limits, known, shape.tiers, findings)
    alerts = alerts_of(shape.alerts, {} if sold is None else sold.alerts, findings)
    findings.stop()
    assert book is not None, "a book that is refused leaves a problem"
    assert sold is not None, "a book that is refused leaves a problem"
    prices = sources.prices_file(path, findings.document)
    return Settings(
        path=path,
        version=_version(shape, sold, sorted(name for name, each in found.items() if each.enabled), classifier.version),
        server=server,
        providers=MappingProxyType(found),
        deployments=MappingProxyType(deployments),
        tiers=MappingProxyType(models.routable(shape.tiers, deployments, findings)),
        aliases=MappingProxyType(aliases),
        routing=routing,
        classifier=classifier,
        caching=caching,
        idempotency=idempotency_of(shape.idempotency),
        conversations=conversations_of(shape.conversations),
        limits=limits,
        alerts=alerts,
        sellbook=sold.book,
        costbook=book,
        webhooks=webhooks,
        other_costs=other_costs_of(shape.overheads, shape.payment_fees),
        store=store_of(shape.store, path.parent),
        sandbox=sandbox,
        warnings=(*findings.warnings, *sold.warnings),
        entries=entries.joined(entries.entries(findings.document, shape), sold.entries, book.version, prices),
        local_url=local_url,
    )


def _read(path: Path, environ: Mapping[str, str], local_model: str | None) -> tuple[SettingsShape | None, Findings]:
    """Read the file and what the environment puts before it; without a shape there is nothing to check further."""
    written, problems = yaml_document.read(path, environ)
    document = overrides.overridden(written, environ)
    document = overrides.with_local(document, environ.get(overrides.LOCAL_URL), local_model)
    checked = reading.checked(SettingsShape, document)
    unset = reading.unset_variables(document, allowed=_MAY_BE_UNSET)
    told = reading.merged(unset, problems, checked.problems)
    # A key that was refused is not in the tree: what refers to it would seem wrong, too.
    shape = None if problems else checked.shape
    return shape, Findings(document, told, mended=(*checked.mended, *document.unset))


def _local_url(found: Mapping[str, Provider], environ: Mapping[str, str], findings: Findings) -> str | None:
    """Return the local server that fills the tiers; it needs no word about the providers it stands in for."""
    if overrides.is_local(findings.document):
        findings.warnings.clear()
        return found[overrides.LOCAL].base_url
    working = [name for name, provider in found.items() if provider.enabled]
    if environ.get(overrides.LOCAL_URL) and working:
        findings.warnings.append(f"{overrides.LOCAL_URL} is not used: provider {working[0]} is enabled")
    return None


def _costbook(path: Path, findings: Findings) -> CostBook | None:
    file = sources.prices_file(path, findings.document)
    if file is not None and _is_missing(("prices",), file, findings):
        return None
    try:
        return costbook.load(file)
    except ValueError as error:  # a CostBookError, or a name that no file can have
        findings.wrong(("prices",), str(error))
    return None


def _sellbook(path: Path, environ: Mapping[str, str], findings: Findings) -> Sold | None:
    """Read the sell book; one that is only there by default may be missing."""
    file = sources.plans_file(path, findings.document)
    is_stated = "plans" in findings.document.tree
    if file is None or not (is_stated or file.is_file()):
        return plans.built_in()
    if _is_missing(("plans",), file, findings):
        return None
    try:
        return plans.read(file, environ)
    except SettingsError as error:
        findings.problems.extend(error.problems)
    return None


def _is_missing(steps: Steps, file: Path, findings: Findings) -> bool:
    """Tell whether a file is not there, and say so with the nearest name that is."""
    try:
        beside = [found.name for found in file.parent.iterdir()]
        is_there = file.exists()
    except (OSError, ValueError):  # whoever opens it says why
        return False
    if is_there:
        return False
    nearest = difflib.get_close_matches(file.name, beside, n=1)
    hint = f'; did you mean "{nearest[0]}"?' if nearest else ""
    findings.wrong(steps, f"{file} cannot be read: No such file or directory{hint}")
    return True


def _stated_alerts(sold: Sold) -> dict[str, tuple[int, ...]]:
    return {name: percents for name, percents in sold.alerts.items() if percents != PERCENTS}


def _fingerprint(shape: SettingsShape) -> str:
    """Return a digest that changes with the alerts' secret: one that was replaced is taken on by a reload."""
    return hashlib.sha256((shape.alerts.webhook.secret or "").encode()).hexdigest()


def _version(shape: SettingsShape, sold: Sold, enabled: list[str], weights: str | None) -> str:
    """Digest what the configuration says once defaults are in: no secrets, no order of keys."""
    secret: dict[str, Any] = {
        "providers": {"__all__": {"api_key"}}, "caching": {"responses": {"store": {"url"}}},
        "webhooks": {"outcomes": {"__all__": {"secrets"}}},
    }  # fmt: skip
    content = {
        "settings": shape.model_dump(mode="json", by_alias=True, exclude=secret),
        "sellbook": sold.book.version,
        "enabled": enabled,
        **({"plan_limits": sold.limits} if sold.limits else {}),
        **({"plan_alerts": stated} if (stated := _stated_alerts(sold)) else {}),
        **({} if shape.alerts.webhook.url is None else {"alerts_to": [shape.alerts.webhook.url, _fingerprint(shape)]}),
        **({} if weights is None else {"weights": weights}),
        **(
            {"plan_floors": {name: [str(margin), steps] for name, (margin, steps) in sold.floors.items()}}
            if sold.floors
            else {}
        ),
    }
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return f"cfg_{hashlib.sha256(text).hexdigest()[:_DIGEST_CHARS]}"
