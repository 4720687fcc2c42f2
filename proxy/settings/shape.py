"""The YAML of a configuration: every key, its type, its default and what it means.

Defaults are those of the values in `proxy.settings.values`, so that they are written once.
"""

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from proxy.settings.alert_shape import AlertsShape
from proxy.settings.caching_shape import CachingShape
from proxy.settings.classifier_shape import ClassifierShape
from proxy.settings.cost_shape import OverheadShape, PaymentFeesShape
from proxy.settings.fields import (
    Credits,
    Duration,
    Flag,
    Name,
    NetworkText,
    Port,
    Private,
    Rate,
    Section,
    Size,
    Text,
    Usd,
    Whole,
)
from proxy.settings.limit_shape import LimitsShape
from proxy.settings.routing_shape import RoutingShape
from proxy.settings.units import UnitError
from proxy.settings.values import Conversations, Idempotency, Server, Store, Timeouts
from proxy.settings.webhooks import WebhooksShape

ALIASES: Final = {"gpt-4o": "auto"}
"""What clients most often have written down; a model of that name takes its place."""

DIALECTS: Final = ("openai", "anthropic", "gemini", "litellm")

PLANS_FILE: Final = "plans.yaml"

_SERVER = Server()
_TIMEOUTS = Timeouts()
_IDEMPOTENCY = Idempotency()
_CONVERSATIONS = Conversations()
_STORE = Store()


class ServerShape(Section):
    """Where and how the proxy listens."""

    host: Text = Field(_SERVER.host, description="The address that both ports are bound to.")
    port: Port = Field(_SERVER.port, description="The port of the API. PORT overrides it.")
    metrics_port: Port = Field(_SERVER.metrics_port, description="The port of /metrics. METRICS_PORT overrides it.")
    workers: Whole = Field(_SERVER.workers, ge=1, le=256, description="Processes that share the port.")
    data_dir: Text = Field(
        "./data",
        description="The folder of journals, ledger and keys, against the working directory. "
        "PENSTOCK_DATA_DIR overrides it.",
    )
    body_bytes_max: Size = Field(_SERVER.body_bytes_max, description="The largest request body that is read.")
    exchanges_max: Whole = Field(_SERVER.exchanges_max, ge=1, description="Requests that one worker has open at once.")
    drain: Duration = Field(_SERVER.drain_s, description="How long an answer is read on after its client has left.")
    shutdown: Duration = Field(
        _SERVER.shutdown_s, le=10, description="How long open requests may finish after SIGTERM."
    )
    sync: Literal["interval", "always"] = Field(
        _SERVER.sync,
        description="interval flushes journals to disk by timer; always, before each answer ends.",
    )
    sync_interval: Duration = Field(_SERVER.sync_interval_ms / 1000, ge=0.001, le=60, description="The timer's period.")
    metrics_customers: Whole = Field(
        _SERVER.metrics_customers, le=50, description="How many customers /metrics names, of those that cost most and "
        "those that lose most this month; 0 for none. Whoever reaches that port reads it."
    )  # fmt: skip
    page: Literal["key", "loopback"] = Field(
        _SERVER.page,
        description="Who sees the page at `/`: who has a key of the scope admin, or without one also whoever asks from "
        "this machine.",
    )
    trusted_proxies: list[NetworkText] = Field(
        [], max_length=100, description="Proxies whose `x-forwarded-for` says where a request comes from, as networks."
    )


class TimeoutsShape(Section):
    """How long each wait for a provider may take."""

    connect: Duration = Field(_TIMEOUTS.connect_s, gt=0, description="Until the connection stands, TLS included.")
    first_byte: Duration = Field(
        _TIMEOUTS.first_byte_s,
        gt=0,
        description="From the request's last byte to the answer's first.",
    )
    idle: Duration = Field(_TIMEOUTS.idle_s, gt=0, description="Between two pieces of an answer.")
    total: Duration = Field(_TIMEOUTS.total_s, gt=0, description="For the whole call.")
    pool: Duration = Field(_TIMEOUTS.pool_s, gt=0, description="For a free connection.")


class ProviderShape(Section):
    """A place where calls may go."""

    dialect: Text = Field(description="The wire format it speaks.", json_schema_extra={"enum": [*DIALECTS]})
    base_url: Text = Field(
        description="What paths such as /chat/completions are appended to; "
        "`simulator` is a simulated provider that costs nothing; `litellm` is wherever LiteLLM sends a model's calls."
    )
    api_key: Private | None = Field(
        None,
        repr=False,
        description="The credential. With an unset ${VARIABLE} the provider is disabled; "
        "without this key none is sent.",
    )
    responses: Flag | None = Field(
        None,
        description="Whether it serves OpenAI's Responses API, too, as many that speak chat do not: then such requests "
        "go there as they are. Unset: only api.openai.com and the simulator.",
    )
    prompt_marks: Flag | None = Field(
        None,
        description="Whether its prompt cache is told what to keep, where that pays. Unset: with the dialect "
        "anthropic, and at api.openai.com and the simulator.",
    )
    service_tier: Literal["default", "flex", "priority", "fast", "ultrafast"] = Field(
        "default", description="What its project is set to serve requests in that name no `service_tier`, or `auto`."
    )
    prompt_cache: Duration = Field(
        300,
        description="How long its prompt cache keeps a conversation after its last turn, by its own word: five minutes "
        "at Anthropic, five to ten at OpenAI; `0s` where it has none.",
    )
    timeouts: TimeoutsShape = Field(default_factory=TimeoutsShape, description="How long each wait may take.")


class PriceShape(Section):
    """What the provider bills, in US dollars per million tokens."""

    input: Rate = Field(description="Fresh input tokens.")
    cache_read: Rate | None = Field(
        None, description="Input tokens read from the prompt cache; unset, they cost as input."
    )
    cache_write: Rate | None = Field(
        None, description="Input tokens written to it for 5 minutes; unset, they cost as input."
    )
    cache_write_1h: Rate | None = Field(
        None, description="Input tokens written to it for an hour; unset, as for 5 minutes."
    )
    output: Rate | None = Field(None, description="Output tokens; only a model without output may leave it out.")


class CapabilitiesShape(Section):
    """What a model can do; a request that needs more goes elsewhere."""

    vision: Flag = Field(default=True, description="It takes images.")
    tools: Flag = Field(default=True, description="It calls tools.")
    json_schema: Flag = Field(default=True, alias="schema", description="It keeps to a JSON schema.")
    audio: Flag = Field(default=True, description="It hears audio, and answers in it.")
    reasoning: Flag = Field(default=True, description="It takes a `reasoning_effort`.")


class ModelShape(Section):
    """A deployment: a model at a provider, under our name."""

    provider: Name = Field(description="The name of one of `providers`.")
    model: Text | None = Field(None, description="The provider's name for it; unset, the same as ours.")
    price: PriceShape | None = Field(None, description="What the provider bills; unset, the cost book says.")
    free: Flag = Field(default=False, description="The provider bills nothing for it.")
    context_window: Whole | None = Field(
        None, ge=1, description="Most input tokens of a request; unset, the cost book says."
    )
    output_max: Whole | None = Field(
        None, ge=1, description="Most output tokens of a request; unset, the cost book says."
    )
    capabilities: CapabilitiesShape = Field(default_factory=CapabilitiesShape, description="What it can do.")
    serves: list[Literal["chat", "completions", "embeddings"]] | None = Field(
        None,
        min_length=1,
        max_length=3,
        description="What it can be asked for: chat (also by Messages, Responses and as legacy completions), "
        "completions as its provider serves them, embeddings. Unset: embeddings if its price has no output, else chat.",
    )
    credits: Credits | None = Field(None, description="Credits charged when it is named and no tier lists it.")
    fallbacks: list[Name] = Field(
        [], max_length=16, description="Models that serve instead when it is named and does not answer, in order."
    )
    weight: Whole | None = Field(
        None,
        le=1_000_000,
        description="Its share of its tier's conversations, against the other weights; 0 only stands in. "
        "Unset, 1 where another model of the tier states one, else the list's order holds.",
    )
    reserved_tpm: Whole | None = Field(
        None,
        ge=1,
        description="Tokens a minute, in and out, that are paid for whether they are used or not: with "
        "`routing.order: price` it goes first until they are used up.",
    )


class TiersShape(Section):
    """The models of each tier, the preferred first."""

    simple: list[Name] = Field([], description="Lookups, classification, short rewrites.")
    medium: list[Name] = Field([], description="Summaries, drafting, everyday code.")
    complex: list[Name] = Field([], description="Long reasoning, hard code, agents.")


class IdempotencyShape(Section):
    """What is kept of requests with an `idempotency-key`, in the keeper's memory."""

    ttl: Duration = Field(
        _IDEMPOTENCY.ttl_s, le=7 * 24 * 3600, description="For how long a key means one request; at most 7d."
    )
    answers_max: Whole = Field(_IDEMPOTENCY.answers_max, ge=1, description="Most answers kept.")
    bytes_max: Size = Field(_IDEMPOTENCY.bytes_max, description="Their size together.")
    answer_bytes_max: Size = Field(
        _IDEMPOTENCY.answer_bytes_max, le=16 * 1024 * 1024, description="The longest answer kept; at most 16MiB."
    )


class ConversationsShape(Section):
    """What is kept of responses that may be gone on with, in the keeper's memory."""

    ttl: Duration = Field(
        _CONVERSATIONS.ttl_s, le=30 * 24 * 3600, description="For how long; at most 30d, and no longer than it runs."
    )
    customer_responses_max: Whole = Field(
        _CONVERSATIONS.customer_responses_max, ge=1, description="Most of one customer."
    )
    customer_bytes_max: Size = Field(
        _CONVERSATIONS.customer_bytes_max, description="The size of one customer's together."
    )
    bytes_max: Size = Field(_CONVERSATIONS.bytes_max, description="The size of all.")
    conversation_bytes_max: Size = Field(
        _CONVERSATIONS.conversation_bytes_max,
        le=16 * 1024 * 1024,
        description="The longest conversation kept; at most 16MiB.",
    )


def _built(only: str, later: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(f"{later}://"):
            raise UnitError(f"{later} is not built yet; built are: {only}")
        return value

    return BeforeValidator(check)


class StoreShape(Section):
    """Where the books lie."""

    ledger: Annotated[Literal["sqlite"], _built("sqlite", "postgresql")] = Field(
        _STORE.ledger, description="Where the ledger lies."
    )
    shared: Annotated[Literal["memory"], _built("memory", "redis")] = Field(
        _STORE.shared, description="Where what several machines must agree on lies."
    )
    heads_key: Text | None = Field(
        None,
        description="The file with the key that signs the journals' heads, against this file's folder; made where "
        "there is none. Unset: `heads.key` in the data folder; elsewhere it proves more.",
    )
    decisions: Duration | None = Field(
        None,
        description="How long the ledger keeps why a charge was routed as it was; amounts stay. Unset: for ever.",
    )


class SandboxCustomerShape(Section):
    """A customer that a sandbox makes at its first start."""

    plan: Name = Field(description="The name of its plan.")
    grant: Credits = Field(Decimal(0), description="Credits granted once.")
    paid: Usd = Field(Decimal(0), description="Dollars paid for the grant; 0 makes it promotional.")


class SandboxShape(Section):
    """What a sandbox starts with."""

    customers: dict[Name, SandboxCustomerShape] = Field(
        default_factory=dict, description="The customers it makes, by name."
    )


class SettingsShape(Section):
    """The configuration of Penstock."""

    server: ServerShape = Field(default_factory=ServerShape, description="Where and how the proxy listens.")
    providers: dict[Name, ProviderShape] = Field(
        min_length=1,
        description="Where calls may go, by a name of yours; nothing in a request adds to it.",
    )
    models: dict[Name, ModelShape] = Field(min_length=1, description="Deployments: our name, and what it stands for.")
    tiers: TiersShape = Field(description="The models of each tier, the preferred first.")
    aliases: dict[Name, Name] = Field(
        default_factory=lambda: dict(ALIASES),
        description="Names that clients may use for a model, `auto` or `auto:TIER`; `{}` for none.",
    )
    routing: RoutingShape = Field(default_factory=RoutingShape, description="How `auto` chooses.")
    classifier: ClassifierShape = Field(default_factory=ClassifierShape, description="Who judges `auto`.")
    caching: CachingShape = Field(default_factory=CachingShape, description="What may be answered from memory.")
    idempotency: IdempotencyShape = Field(
        default_factory=IdempotencyShape, description="What is kept of requests with an `idempotency-key`."
    )
    conversations: ConversationsShape = Field(
        default_factory=ConversationsShape, description="What is kept of responses that may be gone on with."
    )
    limits: LimitsShape = Field(default_factory=LimitsShape, description="What may be used at most.")
    webhooks: WebhooksShape = Field(
        default_factory=WebhooksShape, description="Who may tell something by signed messages, without a key."
    )
    overheads: dict[Name, OverheadShape] = Field(
        default_factory=dict,
        description="What is paid by the month for all customers together, by a name of yours: in reports, in no book.",
    )
    payment_fees: PaymentFeesShape = Field(
        default_factory=PaymentFeesShape, description="What taking a payment costs: in reports, in no book."
    )
    alerts: AlertsShape = Field(
        default_factory=AlertsShape, description="Who is told when a plan's period is used up so far."
    )
    plans: Text | None = Field(
        PLANS_FILE,
        description="The sell book's file, against this file's folder; without one, plan `open`.",
    )
    prices: Text | None = Field(
        None, description="The cost book's file, against this file's folder; unset, the shipped."
    )
    store: StoreShape = Field(default_factory=StoreShape, description="Where the books lie.")
    sandbox: SandboxShape | None = Field(None, description="What a sandbox starts with; leave it out in production.")
