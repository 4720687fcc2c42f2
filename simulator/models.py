"""The models that are served: what they are called, how fast they are, what fits in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from simulator.errors import ApiError, unknown_model
from simulator.prices import Price, price_on

Kind = Literal["chat", "completions", "messages", "embeddings", "responses", "gemini"]
"""The endpoints that bill: OpenAI's four, Anthropic's Messages, Gemini's. What chats answers Responses, too."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model.

    Args:
        name: What clients call it.
        kind: Which endpoint serves it.
        window_tokens: The longest prompt (for embeddings: the longest single input).
        first_token_s: Seconds until the first token, at speed 1.
        tokens_per_s: Pace after that, at speed 1.
        typical_tokens: Shortest and longest usual answer.
        reasons: Whether it thinks, and bills the thinking, before it answers.
        dimensions: Length of an embedding.
        signs: Whether it signs its tool calls, and takes none of them back unsigned.
    """

    name: str
    kind: Kind
    window_tokens: int
    first_token_s: float
    tokens_per_s: float = 1.0
    typical_tokens: tuple[int, int] = (1, 1)
    reasons: bool = False
    dimensions: int = 0
    signs: bool = False

    @property
    def price(self) -> Price:
        """What it costs today."""
        return price_on(self.name, datetime.now(UTC).date())


# Windows as genai-prices 0.2.3 lists them; paces are round figures of the size such models have.
_MODELS: Final = (
    Model("gpt-6-luna", "chat", 1_050_000, 0.12, 150, (30, 110)),
    Model("gpt-6.1-sol", "chat", 1_050_000, 0.25, 90, (50, 180)),
    Model("gpt-6.1-terra", "chat", 1_050_000, 0.20, 110, (40, 150)),
    Model("gpt-6-astra", "chat", 1_050_000, 0.50, 50, (80, 240), reasons=True),
    Model("gpt-4o-mini", "chat", 128_000, 0.20, 110, (30, 120)),
    Model("gpt-3.5-turbo-instruct", "completions", 4_096, 0.15, 90, (20, 60)),
    Model("ft:gpt-6-luna:acme", "chat", 1_050_000, 0.14, 140, (30, 110)),
    Model("claude-haiku-5-5", "messages", 1_000_000, 0.15, 140, (30, 110)),
    Model("claude-sonnet-5-5", "messages", 1_000_000, 0.30, 80, (50, 180)),
    Model("claude-opus-5-5", "messages", 1_000_000, 0.55, 50, (80, 240), reasons=True),
    Model("gemini-2.5-flash", "gemini", 1_048_576, 0.20, 150, (30, 110)),
    Model("gemini-2.5-pro", "gemini", 1_048_576, 0.50, 70, (80, 240), reasons=True),
    Model("gemini-3.8-flash", "gemini", 1_048_576, 0.25, 130, (40, 150), signs=True),
    Model("gemini-4-argon", "gemini", 1_048_576, 0.60, 60, (80, 240), reasons=True, signs=True),
    Model("gemini-embedding-001", "embeddings", 2048, 0.08, dimensions=3072),
    Model("text-embedding-3-small", "embeddings", 8192, 0.06, dimensions=1536),
    Model("text-embedding-3-large", "embeddings", 8192, 0.09, dimensions=3072),
)

MODELS: Final[Mapping[str, Model]] = {model.name: model for model in _MODELS}
"""The catalogue by name."""

CREATED: Final = 1_790_000_000
"""When each model is said to have been created: unix seconds, in September 2026."""


_FAMILIES: Final[Mapping[str, str]] = {"messages": "anthropic", "gemini": "google"}


def find(name: str, kind: Kind) -> Model:
    """Return the model that serves `kind` under this name.

    Raises:
        ApiError: There is none (404), or it serves something else (404, as OpenAI answers).
    """
    model = MODELS.get(name)
    if model is None:
        raise unknown_model(name)
    if model.kind != kind:
        raise ApiError(404, f"This model does not serve {kind}: `{name}`.", param="model")
    return model


def describe(model: Model) -> dict[str, object]:
    """Return the model as `/v1/models` lists it."""
    owner = "acme" if model.name.startswith("ft:") else _FAMILIES.get(model.kind, "openai")
    return {"id": model.name, "object": "model", "created": CREATED, "owned_by": owner}
