"""The smaller sections of the YAML → their values."""

from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType

from margin.sellbook import SellBook
from proxy.settings.caching_shape import AnswerStoreShape, CachingShape, ResponsesShape, TrimShape
from proxy.settings.findings import Findings
from proxy.settings.problems import Steps
from proxy.settings.routing import Rule
from proxy.settings.shape import (
    ConversationsShape,
    IdempotencyShape,
    SandboxShape,
    ServerShape,
    StoreShape,
)
from proxy.settings.values import (
    AnswerStore,
    Caching,
    Conversations,
    Idempotency,
    Keeping,
    Sandbox,
    SandboxCustomer,
    Secret,
    Semantic,
    Server,
    Store,
    Trim,
)

_REDIS = ("redis://", "rediss://", "unix://")


def server_of(shape: ServerShape, findings: Findings) -> Server:
    """Return where and how to listen; the folder resolves against the working directory."""
    if shape.port == shape.metrics_port != 0:  # 0 is any free port, so two of them differ
        findings.wrong(("server", "metrics_port"), "is the same as server.port; each needs its own")
    return Server(
        host=shape.host,
        port=shape.port,
        metrics_port=shape.metrics_port,
        workers=shape.workers,
        data_dir=Path(shape.data_dir).absolute(),
        body_bytes_max=shape.body_bytes_max,
        exchanges_max=shape.exchanges_max,
        drain_s=shape.drain,
        shutdown_s=shape.shutdown,
        sync=shape.sync,
        sync_interval_ms=round(shape.sync_interval * 1000),
        page=shape.page,
        metrics_customers=shape.metrics_customers,
        trusted_proxies=tuple(ip_network(each) for each in shape.trusted_proxies),
    )


def caching_of(shape: CachingShape, rules: Sequence[Rule], findings: Findings) -> Caching:
    """Return what may be answered from memory; `rules` are the policy's."""
    return Caching(
        responses=shape.responses.enabled,
        ttl_s=shape.responses.ttl,
        bytes_max=shape.responses.max_bytes,
        scope=shape.responses.scope,
        rules=_keeping(shape.responses, rules, findings),
        store=_answer_store(shape.responses.store, findings),
        semantic=_semantic(shape.responses, rules, findings),
        prompts=shape.prompts.mode,
        trim=_trim(shape.prompts.trim, rules, findings),
    )


def _keeping(shape: ResponsesShape, rules: Sequence[Rule], findings: Findings) -> dict[str, Keeping]:
    known = [rule.name for rule in rules]
    for name in shape.rules:
        if name not in known:
            findings.unknown(("caching", "responses", "rules", name), name, "rule", known)
    return {
        name: Keeping(
            shape.enabled if said.enabled is None else said.enabled, shape.ttl if said.ttl is None else said.ttl
        )
        for name, said in shape.rules.items()
    }


def _answer_store(shape: AnswerStoreShape, findings: Findings) -> AnswerStore:
    steps = ("caching", "responses", "store", "url")
    url = None if shape.url is None else shape.url.strip()
    if shape.kind != "redis" and url is not None:
        findings.warn(steps, f"url has no effect: kind is {shape.kind}")
    if shape.kind == "redis" and not (url or "").startswith(_REDIS):
        findings.wrong(steps if url else steps[:-1], f"needs where Redis is, as url: {', '.join(_REDIS)}")
    return AnswerStore(shape.kind, None if url is None else Secret(url), shape.max_bytes, shape.deadline)


def _semantic(shape: ResponsesShape, rules: Sequence[Rule], findings: Findings) -> Semantic | None:
    """Return on which terms answers are given by meaning; `None` where they are not."""
    said, steps = shape.semantic, ("caching", "responses", "semantic")
    _check_rules(said.rules, rules, steps, findings)
    if not said.enabled:
        return None
    if not shape.enabled:
        findings.warn((*steps, "enabled"), "answers by meaning need `caching.responses.enabled`: none are given")
        return None
    return Semantic(
        rules=None if said.rules is None else frozenset(said.rules),
        error_max=float(said.error_max),
        verify_share=float(said.verify),
        bytes_max=said.max_bytes,
    )


def _trim(shape: TrimShape, rules: Sequence[Rule], findings: Findings) -> Trim | None:
    _check_rules(shape.rules, rules, ("caching", "prompts", "trim"), findings)
    if not shape.enabled:
        return None
    return Trim(frozenset(shape.passes), None if shape.rules is None else frozenset(shape.rules))


def _check_rules(names: Sequence[str] | None, rules: Sequence[Rule], steps: Steps, findings: Findings) -> None:
    known = [rule.name for rule in rules]
    for at, name in enumerate(names or ()):
        if name not in known:
            findings.unknown((*steps, "rules", at), name, "rule", known)


def idempotency_of(shape: IdempotencyShape) -> Idempotency:
    """Return what is kept of requests with an idempotency key."""
    return Idempotency(
        ttl_s=shape.ttl,
        answers_max=shape.answers_max,
        bytes_max=shape.bytes_max,
        answer_bytes_max=shape.answer_bytes_max,
    )


def conversations_of(shape: ConversationsShape) -> Conversations:
    """Return what is kept of responses that may be gone on with."""
    return Conversations(
        ttl_s=shape.ttl,
        customer_responses_max=shape.customer_responses_max,
        customer_bytes_max=shape.customer_bytes_max,
        bytes_max=shape.bytes_max,
        conversation_bytes_max=shape.conversation_bytes_max,
    )


def store_of(shape: StoreShape, folder: Path) -> Store:
    """Return where the books lie; a file resolves against the configuration's `folder`."""
    return Store(
        ledger=shape.ledger,
        shared=shape.shared,
        heads_key=None if shape.heads_key is None else (folder / shape.heads_key).absolute(),
        decisions_s=shape.decisions,
    )


def sandbox_of(shape: SandboxShape | None, sellbook: SellBook | None, findings: Findings) -> Sandbox | None:
    """Return what a sandbox starts with, its customers on plans that exist; `None` is a sell book that is wrong."""
    if shape is None:
        return None
    for name, customer in shape.customers.items():
        if sellbook is not None and customer.plan not in sellbook.plans:
            steps = ("sandbox", "customers", name, "plan")
            findings.unknown(steps, customer.plan, "plan", list(sellbook.plans))
    return Sandbox(
        MappingProxyType(
            {
                name: SandboxCustomer(customer.plan, customer.grant, customer.paid)
                for name, customer in shape.customers.items()
            }
        )
    )
