"""The YAML of what may be answered from memory: every key, its type, its default and what it means."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from proxy.settings.fields import Duration, Flag, Name, Private, Section, Share, Size
from proxy.settings.values import AnswerStore, Caching, Semantic

_CACHING = Caching()
_SEMANTIC = Semantic()
_STORE = AnswerStore()


class SemanticShape(Section):
    """Answers to requests that mean the same."""

    enabled: Flag = Field(default=False, description="Whether they are looked for.")
    rules: list[Name] | None = Field(
        None,
        max_length=64,
        description="Names of `routing.rules`: only requests that one of them fits. Unset, all requests.",
    )
    error_max: Share = Field(
        Decimal(str(_SEMANTIC.error_max)),
        ge=Decimal("0.001"),
        le=Decimal("0.5"),
        description="The share of wrong answers below which they must be proven to stay before any is given.",
    )
    verify: Share = Field(
        Decimal(str(_SEMANTIC.verify_share)),
        ge=Decimal("0.01"),
        description="The share of would-be answers that are asked of the provider all the same, and compared.",
    )
    max_bytes: Size = Field(_SEMANTIC.bytes_max, description="What prompts take, per worker, beside their answers.")


class AnswerStoreShape(Section):
    """Where answers lie beside the workers' memory."""

    kind: Literal["memory", "disk", "redis"] = Field(
        _STORE.kind,
        description="memory: nowhere else, each worker has its own; disk: a file in the data folder, which all workers "
        "share and a restart finds; redis: in Redis.",
    )
    url: Private | None = Field(
        None, repr=False, description="Where Redis is, such as `redis://:${REDIS_PASSWORD}@host:6379/0`."
    )
    max_bytes: Size = Field(_STORE.bytes_max, description="What answers may take on the disk; Redis has `maxmemory`.")
    deadline: Duration = Field(
        _STORE.deadline_s, gt=0, le=5, description="How long a look-up may delay a request; then its provider is asked."
    )


class KeepingShape(Section):
    """What holds for answers to the requests of one rule."""

    enabled: Flag | None = Field(None, description="Whether exact repeats are answered; unset, as for all.")
    ttl: Duration | None = Field(None, description="How long an answer may be repeated; unset, as for all.")


class ResponsesShape(Section):
    """Answers to requests that are the same."""

    enabled: Flag = Field(_CACHING.responses, description="Whether exact repeats are answered.")
    ttl: Duration = Field(_CACHING.ttl_s, description="How long an answer may be repeated.")
    max_bytes: Size = Field(_CACHING.bytes_max, description="The cache's size per worker.")
    scope: Literal["customer"] = Field(_CACHING.scope, description="Who shares answers.")
    rules: dict[Name, KeepingShape] = Field(
        default_factory=dict,
        max_length=64,
        description="What holds for requests that a rule of `routing.rules` fits, by its name.",
    )
    store: AnswerStoreShape = Field(
        default_factory=AnswerStoreShape, description="Where answers lie beside the workers' memory."
    )
    semantic: SemanticShape = Field(
        default_factory=SemanticShape, description="Answers to requests that mean the same."
    )


def _off(value: Any) -> Any:
    """YAML 1.1 reads the word off as false."""
    return "off" if value is False else value


Trimming = Literal["whitespace", "json", "duplicates", "schemas"]


class TrimShape(Section):
    """What is left out of prompts before they are sent, without a word being lost."""

    enabled: Flag = Field(default=False, description="Whether anything is.")
    passes: list[Trimming] = Field(
        ["whitespace", "json", "duplicates", "schemas"],
        min_length=1,
        description="whitespace: blanks at ends of lines, empty lines; json: blanks between JSON's tokens; duplicates: "
        "blocks that stood in the prompt before; schemas: titles of tools' fields that say their names again.",
    )
    rules: list[Name] | None = Field(
        None,
        max_length=64,
        description="Names of `routing.rules`: only requests that one of them fits. Unset, all requests.",
    )


class PromptsShape(Section):
    """The prompt caches of providers."""

    mode: Annotated[Literal["auto", "off"], BeforeValidator(_off)] = Field(
        _CACHING.prompts,
        description="auto marks what providers may cache; off leaves requests as they are.",
    )
    trim: TrimShape = Field(default_factory=TrimShape, description="What is left out of prompts before they are sent.")


class CachingShape(Section):
    """What may be answered from memory."""

    responses: ResponsesShape = Field(
        default_factory=ResponsesShape, description="Answers to requests that are the same."
    )
    prompts: PromptsShape = Field(default_factory=PromptsShape, description="The prompt caches of providers.")
