"""What a configuration means: frozen values, in the units that the rest of the product counts in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal, NamedTuple

from margin.costbook import PriceHistory
from margin.sellbook import Tier

_MIB = 1 << 20
CHATS = frozenset({"chat"})
EMBEDS = frozenset({"embeddings"})
"""What models serve that do one thing."""


class Secret:
    """A text that shows itself only when asked to, so that no log or error can."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for the one place that sends it."""
        return self._text

    def __repr__(self) -> str:
        return "•••"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how the proxy listens.

    Args:
        host: The address that both ports are bound to.
        port: The port of the API.
        metrics_port: The port of `/metrics`.
        workers: Processes that share the port.
        data_dir: The absolute folder of journals, ledger and keys.
        body_bytes_max: The largest request body that is read.
        exchanges_max: Requests that one worker has open at once.
        drain_s: How long an answer is read on after its client has left.
        shutdown_s: How long open requests may finish after SIGTERM.
        sync: `interval` flushes journals by timer, `always` before each answer ends.
        sync_interval_ms: The timer's period.
        metrics_customers: How many customers metrics name, of those that cost and lose most; 0 for none.
        page: Who sees the figures behind the page at `/`: who has an admin `key`, or also who asks over `loopback`.
        trusted_proxies: Networks whose `x-forwarded-for` is believed; of nobody else's.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    metrics_port: int = 9464
    workers: int = 1
    data_dir: Path = Path("data")
    body_bytes_max: int = 16 * _MIB
    exchanges_max: int = 4096
    drain_s: float = 30.0
    shutdown_s: float = 6.0
    sync: Literal["interval", "always"] = "interval"
    sync_interval_ms: int = 50
    page: Literal["key", "loopback"] = "key"
    metrics_customers: int = 0
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each wait for a provider may take, in seconds.

    Args:
        connect_s: Until the connection stands, TLS included.
        first_byte_s: From the request's last byte to the answer's first.
        idle_s: Between two pieces of an answer.
        total_s: For the whole call.
        pool_s: For a free connection.
    """

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    idle_s: float = 60.0
    total_s: float = 600.0
    pool_s: float = 5.0

    @property
    def head_s(self) -> float:
        """The longest wait for an answer's first byte: every phase before it taken to its end."""
        return self.pool_s + self.connect_s + self.idle_s + self.first_byte_s


@dataclass(frozen=True, slots=True)
class Provider:
    """A place where calls may go.

    Args:
        name: The operator's name for it.
        dialect: The wire format it speaks.
        base_url: What paths such as `/chat/completions` are appended to; no slash at its end.
        api_key: The credential; `None` when it needs none, or when it is disabled for lack of one.
        enabled: Whether calls may go there; false when its key is unset.
        timeouts: How long each wait may take.
        simulated: Whether the YAML says `base_url: simulator`.
        responses: Whether it serves OpenAI's Responses API, and stores what it is asked to.
        service_tier: What its project is set to serve requests in that name no service tier, or `auto`; None: standard.
        takes_marks: Whether its prompt cache is told what to keep.
        prompt_cache_s: How long its prompt cache keeps what it was not asked for again; 0: it has none.
    """

    name: str
    dialect: str
    base_url: str
    api_key: Secret | None
    enabled: bool
    timeouts: Timeouts = Timeouts()
    simulated: bool = False
    responses: bool = False
    takes_marks: bool = False
    service_tier: str | None = None
    prompt_cache_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model at a provider, under the name that customers use.

    Args:
        name: Our name.
        provider: Where it runs.
        model: The provider's name.
        prices: What the provider bills, by date; `None` only when it is free.
        free: Whether the provider bills nothing for it.
        context_window: Most input tokens of a request; `None` when unknown.
        output_max: Most output tokens of a request; `None` when unknown.
        vision: Whether it takes images.
        tools: Whether it calls tools.
        schema: Whether it keeps to a JSON schema.
        audio: Whether it hears and speaks.
        reasoning: Whether it takes a `reasoning_effort`.
        serves: What it can be asked for: `chat`, `completions` as the provider serves them, `embeddings`.
        credits_milli: Milli-credits it charges when named and in no tier; `None` when not stated.
        listed_tier: The highest tier whose list names it, as written, before any borrowing;
            `None` when none does. A request that names the model charges this tier.
        fallbacks: Names of the deployments that serve instead when a request names this one and
            it does not answer, in order.
        weight: Its share of the conversations of its tier that begin with it, against the others'
            weights; `None` is 1 where another of the tier states one, else the list's order holds.
        reserved_tpm: Tokens a minute that are paid for whether they are used or not; `None`: none are.
        asks_tier: The service tier that its requests name, whatever the project is set to; `None`: none.
        flex: The same, asked for in the provider's cheaper and slower service tier; `None` where it is not sold so.
    """

    name: str
    provider: Provider
    model: str
    prices: PriceHistory | None = field(repr=False)
    free: bool = False
    context_window: int | None = None
    output_max: int | None = None
    vision: bool = True
    tools: bool = True
    schema: bool = True
    audio: bool = True
    reasoning: bool = True
    serves: frozenset[str] = CHATS
    credits_milli: int | None = None
    listed_tier: Tier | None = None
    fallbacks: tuple[str, ...] = ()
    weight: int | None = None
    reserved_tpm: int | None = None
    asks_tier: str | None = None
    flex: "Deployment | None" = field(default=None, repr=False, compare=False)

    @property
    def tier(self) -> Tier:
        """The tier that naming it charges: where it is listed, simple where it only embeds, else complex."""
        if self.listed_tier is not None:
            return self.listed_tier
        return "simple" if self.serves == EMBEDS else "complex"


@dataclass(frozen=True, slots=True)
class Semantic:
    """On which terms requests that mean the same are answered from memory.

    Args:
        rules: Names of the policy's rules by whose requests it is done; `None` is by all.
        error_max: The share of wrong answers below which they must be proven to stay.
        verify_share: The share of would-be answers that are asked of the provider all the same.
        bytes_max: What prompts may take in memory, per worker, beside their answers.
    """

    rules: frozenset[str] | None = None
    error_max: float = 0.02
    verify_share: float = 0.05
    bytes_max: int = 32 * _MIB


@dataclass(frozen=True, slots=True)
class AnswerStore:
    """Where answers lie beside the workers' memory.

    Args:
        kind: `memory` is nowhere else, `disk` a file in the data folder, `redis` in Redis.
        url: Where Redis is, with its password; `None` for the others.
        bytes_max: What answers may take on the disk.
        deadline_s: How long a look-up may delay a request.
    """

    kind: Literal["memory", "disk", "redis"] = "memory"
    url: Secret | None = None
    bytes_max: int = 1024 * _MIB
    deadline_s: float = 0.05


@dataclass(frozen=True, slots=True)
class Trim:
    """What is left out of prompts before they are sent.

    Args:
        passes: What may be done, of `proxy.caching.trims.PASSES`.
        rules: Names of the policy's rules by whose requests it is done; `None` is by all.
    """

    passes: frozenset[str]
    rules: frozenset[str] | None = None


class Keeping(NamedTuple):
    """Whether answers are kept, and for how many seconds."""

    enabled: bool
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Caching:
    """What may be answered from memory, and whether prompts are marked for providers' caches.

    Args:
        responses: Whether exact repeats are answered from the cache.
        ttl_s: How long an answer may be repeated.
        bytes_max: The cache's size per worker.
        scope: Who shares answers: the requests of one customer.
        store: Where answers lie beside that.
        rules: By the names of the policy's rules, what holds for requests that one fits.
        semantic: On which terms requests of the same meaning are answered, too; `None`: they are not.
        prompts: `auto` marks what providers may cache; `off` leaves requests as they are.
        trim: What is left out of prompts; `None`: nothing.
    """

    responses: bool = True
    ttl_s: float = 3600.0
    bytes_max: int = 256 * _MIB
    scope: Literal["customer"] = "customer"
    store: AnswerStore = AnswerStore()
    rules: Mapping[str, Keeping] = field(default_factory=dict)
    semantic: Semantic | None = None
    prompts: Literal["auto", "off"] = "auto"
    trim: Trim | None = None

    @property
    def keeps_any(self) -> bool:
        """Whether answers of any requests are kept."""
        return self.responses or any(each.enabled for each in self.rules.values())

    def keeping(self, routed: str) -> Keeping:
        """Return whether answers are kept to what was routed so, and how long: by the first of its rules named here.

        Args:
            routed: A token as `Route.rule` has it.
        """
        if self.rules:
            for each in routed.split("+"):
                found = self.rules.get(each.removeprefix("rule:")) if each.startswith("rule:") else None
                if found is not None:
                    return found
        return Keeping(self.responses, self.ttl_s)


@dataclass(frozen=True, slots=True)
class Idempotency:
    """How long, and how much of, answers to requests with an idempotency key are kept, in the keeper's memory.

    Args:
        ttl_s: For how long a key means one request; 24 hours, as at Stripe.
        answers_max: Most answers kept; at two kilobytes each they take a third of `bytes_max`.
        bytes_max: Their size together.
        answer_bytes_max: The longest answer kept: some 250,000 tokens, several times the longest that models write.
    """

    ttl_s: float = 24 * 3600.0
    answers_max: int = 10_000
    bytes_max: int = 64 * _MIB
    answer_bytes_max: int = _MIB


@dataclass(frozen=True, slots=True)
class Conversations:
    """How long, and how much of, responses that may be gone on with are kept, in the keeper's memory.

    Args:
        ttl_s: For how long; OpenAI keeps them for 30 days, on disks.
        customer_responses_max: Most of one customer.
        customer_bytes_max: The size of one customer's together.
        bytes_max: The size of all.
        conversation_bytes_max: The longest conversation kept: some 250,000 tokens.
    """

    ttl_s: float = 24 * 3600.0
    customer_responses_max: int = 10_000
    customer_bytes_max: int = 16 * _MIB
    bytes_max: int = 128 * _MIB
    conversation_bytes_max: int = _MIB


@dataclass(frozen=True, slots=True)
class Store:
    """Where the ledger lies, and where what several machines must agree on.

    Args:
        ledger: The ledger's kind of file.
        shared: Where what several machines must agree on lies.
        heads_key: The file with the key that signs the journals' heads; `None`: in the data folder.
        decisions_s: How long the details of decisions are kept; `None`: for ever.
    """

    ledger: Literal["sqlite"] = "sqlite"
    shared: Literal["memory"] = "memory"
    heads_key: Path | None = None
    decisions_s: float | None = None


@dataclass(frozen=True, slots=True)
class SandboxCustomer:
    """A customer that a sandbox makes at its first start.

    Args:
        plan: The name of its plan.
        grant_credits: Credits granted once.
        paid_usd: What was paid for the grant, in dollars; 0 makes it promotional.
    """

    plan: str
    grant_credits: Decimal = Decimal(0)
    paid_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a sandbox starts with: its customers, by name."""

    customers: Mapping[str, SandboxCustomer]


@dataclass(frozen=True, slots=True)
class Prompts:
    """Whose prompts are kept with their labels.

    Args:
        plans: Plans whose customers opted in.
        customers: Names of customers who did besides.
        ttl_s: For how long one is kept; a month is time enough to train on it.
        bytes_max: What those that no label was made of yet may take of the keeper's memory.
    """

    plans: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()
    ttl_s: float = 30 * 86_400.0
    bytes_max: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Labels:
    """What is kept to learn from.

    Args:
        ttl_s: For how long a label is kept; half a year of traffic is still like today's.
        customer_max: Most labels of one customer, so that none teaches alone.
        all_max: Most labels; refitting on so many takes half a minute.
        retry_s: Within it the same ask again says that its answer did not do.
        prompts: Whose prompts are kept, too; None: nobody's.
    """

    ttl_s: float = 180 * 86_400.0
    customer_max: int = 2_000
    all_max: int = 50_000
    retry_s: float = 3_600.0
    prompts: Prompts | None = None
