"""A configuration file and the environment → `Settings`, or everything that is wrong with them."""

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson

from margin import costbook
from margin.costbook import CostBook, CostBookError
from margin.sellbook import SellBook
from proxy.settings import document as yaml_document
from proxy.settings import models, plans, reading
from proxy.settings.document import Document
from proxy.settings.findings import Findings
from proxy.settings.plan_shape import PlansShape
from proxy.settings.problems import SettingsError, Steps, dotted
from proxy.settings.providers import providers as read_providers
from proxy.settings.sections import (
    caching_of,
    key_limits_of,
    routing_of,
    sandbox_of,
    server_of,
    store_of,
)
from proxy.settings.settings import Settings
from proxy.settings.shape import SettingsShape

OVERRIDES: Final[Mapping[str, Steps]] = MappingProxyType(
    {
        "PENSTOCK_DATA_DIR": ("server", "data_dir"),
        "PORT": ("server", "port"),
        "METRICS_PORT": ("server", "metrics_port"),
    }
)
"""The variables that go before the file, and what they override; set to nothing they count not."""

_MAY_BE_UNSET: Final = re.compile(r"providers\..+\.api_key")
_DIGEST_CHARS: Final = 12  # as the versions of the books


def load(path: Path, *, environ: Mapping[str, str], simulator_url: str | None = None) -> Settings:
    """Read, check and explain a configuration. Nothing is called, nothing but files is read.

    Args:
        path: The YAML. File paths in it resolve against its folder.
        environ: Where `${NAME}` is looked up, and what `OVERRIDES` names.
        simulator_url: Where `base_url: simulator` leads; without it, to an address that never
            resolves, which is enough for whatever calls nobody.

    Raises:
        SettingsError: Something is wrong; it carries all problems of the stage that found any.
    """
    document, shape, findings = _read(path, environ)
    book = _costbook(path, shape, findings)
    sellbook, origins = _sellbook(path, shape, environ, findings)
    found = read_providers(shape.providers, simulator_url, findings)
    deployments = models.deployments(shape.models, shape.tiers, found, book, findings)
    models.check_tiers(shape.tiers, shape.models, findings)
    aliases = models.aliases(shape.aliases, shape.models, findings, stated="aliases" in shape.model_fields_set)
    models.check_baseline(shape.routing.baseline, shape.models, findings)
    sandbox = sandbox_of(shape.sandbox, sellbook, findings)
    server = server_of(shape.server, findings)
    routing = routing_of(shape.routing, findings)
    findings.stop()
    enabled = sorted(name for name, provider in found.items() if provider.enabled)
    return Settings(
        path=path,
        version=_version(shape, sellbook, enabled),
        server=server,
        providers=MappingProxyType(found),
        deployments=MappingProxyType(deployments),
        tiers=MappingProxyType(models.routable(shape.tiers, deployments, findings)),
        aliases=MappingProxyType(aliases),
        routing=routing,
        caching=caching_of(shape.caching),
        key_limits=key_limits_of(shape.limits),
        sellbook=sellbook,
        costbook=book,
        store=store_of(shape.store),
        sandbox=sandbox,
        warnings=tuple(findings.warnings),
        origins=MappingProxyType({**_origins(document, shape), **origins}),
    )


def _read(path: Path, environ: Mapping[str, str]) -> tuple[Document, SettingsShape, Findings]:
    written, problems = yaml_document.read(path, environ)
    document = _overridden(written, environ)
    shape, more = reading.validated(SettingsShape, document)
    unset = reading.unset_variables(document, allowed=_MAY_BE_UNSET)
    findings = Findings(document, reading.merged(unset, problems, more))
    findings.stop()
    assert shape is not None, "a shape that is refused leaves a problem"
    return document, shape, findings


def _overridden(document: Document, environ: Mapping[str, str]) -> Document:
    """Put the environment's overrides into the tree, so that they are checked as the file is."""
    given = {name: steps for name, steps in OVERRIDES.items() if environ.get(name)}
    server = document.tree.get("server")
    if not given or not isinstance(server, dict | None):
        return document
    changed = {steps[-1]: environ[name] for name, steps in given.items()}
    return dataclasses.replace(
        document,
        tree={**document.tree, "server": {**(server or {}), **changed}},
        variables={**document.variables, **{steps: name for name, steps in given.items()}},
        unset={way: name for way, name in document.unset.items() if way not in given.values()},
    )


def _costbook(path: Path, shape: SettingsShape, findings: Findings) -> CostBook:
    try:
        return costbook.load(None if shape.prices is None else path.parent / shape.prices)
    except CostBookError as error:
        sentence = str(error)
    findings.wrong(("prices",), sentence)
    raise SettingsError(findings.problems)


def _sellbook(
    path: Path, shape: SettingsShape, environ: Mapping[str, str], findings: Findings
) -> tuple[SellBook, Mapping[str, str]]:
    """Read the sell book; one that is only there by default may be missing."""
    written = ("plans",) in findings.document.lines
    file = None if shape.plans is None else path.parent / shape.plans
    if file is None or not (written or file.is_file()):
        return SellBook(), {}
    book, plans_shape, plan_findings = plans.read(file, environ)
    return book, _origins(plan_findings.document, plans_shape, "sellbook.")


def _version(shape: SettingsShape, sellbook: SellBook, enabled: list[str]) -> str:
    """Digest what the configuration says once defaults are in: no secrets, no order of keys."""
    secret = {"providers": {"__all__": {"api_key"}}}
    content = {
        "settings": shape.model_dump(mode="json", by_alias=True, exclude=secret),
        "sellbook": sellbook.version,
        "enabled": enabled,
    }
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return f"cfg_{hashlib.sha256(text).hexdigest()[:_DIGEST_CHARS]}"


def _origins(document: Document, shape: SettingsShape | PlansShape, prefix: str = "") -> dict[str, str]:
    leaves = _leaves(shape.model_dump(by_alias=True), ())
    return {f"{prefix}{dotted(steps)}": _origin(document, steps) for steps in leaves}


def _origin(document: Document, steps: Steps) -> str:
    if steps in document.variables:
        return f"environment {document.variables[steps]}"
    return document.where(steps) if steps in document.lines else "default"


def _leaves(value: Any, steps: Steps) -> Iterator[Steps]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*steps, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*steps, index))
    else:
        yield steps
