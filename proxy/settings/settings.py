"""A whole configuration, checked and explained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from margin.costbook import CostBook
from margin.overheads import OtherCosts
from margin.sellbook import SellBook, Tier
from proxy.settings.alerts import Alerts
from proxy.settings.classifier import Classifier
from proxy.settings.entries import Entry
from proxy.settings.limits import Limits
from proxy.settings.routing import Routing
from proxy.settings.values import (
    Caching,
    Conversations,
    Deployment,
    Idempotency,
    Provider,
    Sandbox,
    Server,
    Store,
)
from proxy.settings.webhooks import Webhook


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration, checked.

    Args:
        path: The file it was read from.
        version: `cfg_` and 12 hex digits of a digest of what it says, plans included, secrets not.
        server: Where and how the proxy listens.
        providers: Where calls may go, by name; the disabled ones too.
        deployments: The models, by our name; those of disabled providers too.
        tiers: The enabled deployments of each tier in order of preference, after an empty tier
            borrowed its neighbour's. With nothing enabled at all they are as written.
        aliases: Names that stand for a model, `auto` or `auto:TIER`.
        routing: How `auto` chooses.
        classifier: Who judges it, with which weights and cut points.
        caching: What may be answered from memory.
        idempotency: What is kept of requests with an idempotency key.
        conversations: What is kept of responses that may be gone on with.
        limits: What may be used at most.
        alerts: Who is told when a plan's period is used up so far.
        sellbook: What customers pay.
        costbook: What providers bill.
        webhooks: Who may tell of outcomes by signed messages, by name.
        other_costs: What is paid beside, for all customers together.
        store: Where the books lie.
        sandbox: What a sandbox starts with; `None` in a configuration for production.
        warnings: One sentence each.
        entries: Every value as it is written, by path, with its origin; secrets are redacted.
        local_url: The local server that fills all tiers, from the environment; `None` when none does.
    """

    path: Path
    version: str
    server: Server
    providers: Mapping[str, Provider]
    deployments: Mapping[str, Deployment]
    tiers: Mapping[Tier, tuple[Deployment, ...]]
    aliases: Mapping[str, str]
    routing: Routing
    classifier: Classifier
    caching: Caching
    idempotency: Idempotency
    conversations: Conversations
    limits: Limits
    alerts: Alerts
    sellbook: SellBook
    costbook: CostBook = field(repr=False)
    webhooks: Mapping[str, Webhook]
    other_costs: OtherCosts
    store: Store
    sandbox: Sandbox | None
    warnings: tuple[str, ...]
    entries: tuple[Entry, ...] = field(repr=False)
    local_url: str | None = None

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each value came from, by dotted path: `file:line`, `default` or `environment NAME`."""
        return {entry.path: entry.origin for entry in self.entries}

    @property
    def servable(self) -> bool:
        """Whether any tier has a deployment whose provider is enabled."""
        return any(deployment.provider.enabled for tier in self.tiers.values() for deployment in tier)

    @property
    def wants_simulator(self) -> bool:
        """Whether an enabled provider is the simulator."""
        return any(provider.enabled and provider.simulated for provider in self.providers.values())


def startup_errors(settings: Settings) -> tuple[str, ...]:
    """Say why `serve` cannot start, one sentence each; nothing when it can.

    Every other command works without a provider, so these are no problems of the configuration.
    """
    if settings.servable:
        return ()
    if any(provider.enabled for provider in settings.providers.values()):
        where = f"({', '.join(settings.providers)}; {settings.path})"
        return (f"no tier has a model whose provider is enabled {where}",)
    wanted = " or ".join(_unset_keys(settings)) or "the key of one"
    local = "PENSTOCK_LOCAL_URL to a local server's base URL"
    sandbox = "the sandbox (--config configs/sandbox.yaml) needs neither"
    return (f"no provider is enabled in {settings.path}: set {wanted}, or {local}; {sandbox}",)


def _unset_keys(settings: Settings) -> list[str]:
    """Return the variables whose keys would enable a provider."""
    keys = {f"providers.{name}.api_key" for name in settings.providers}
    found = [entry.origin for entry in settings.entries if entry.path in keys and entry.value is None]
    return [origin.removeprefix("environment ") for origin in found if origin.startswith("environment ")]
