"""The kinds of value that YAML holds: how each is read, bounded, shown and described to editors."""

from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from proxy.settings import units

USD_MAX: Final = 1_000_000_000  # nano-dollars in 64 bits end at 9.2 billion dollars
CREDITS_MAX: Final = 10**12  # milli-credits in 64 bits end at 9.2 * 10**15 credits
RATE_MAX: Final = 1_000_000  # dollars per million tokens: a dollar a token, as in the cost book
SECONDS_MAX: Final = 3660 * 86_400  # ten years

REDACTED: Final = "•••"
"""What stands for a secret wherever a configuration is written out."""

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$"
"""Names become headers, metric labels and paths of reports: no spaces, no line ends, bounded."""


def _quantity(unit: str, examples: list[str], *kinds: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": ["string", *kinds] if kinds else "string", "description": unit, "examples": examples}
    )


_EXACT: Final = (
    BeforeValidator(units.number),
    PlainSerializer(units.plain, return_type=str),
    WithJsonSchema({"type": "number", "minimum": 0}),
)

Name = Annotated[str, Field(pattern=NAME)]
Text = Annotated[str, Field(min_length=1, max_length=4096)]
Private = Annotated[
    str,
    Field(max_length=4096),
    PlainSerializer(lambda text: REDACTED if text else "", return_type=str),
]
Flag = Annotated[bool, BeforeValidator(units.flag)]
Whole = Annotated[int, BeforeValidator(units.whole), Field(le=10**12)]
Port = Annotated[int, BeforeValidator(units.whole), Field(ge=0, le=65_535)]
Credits = Annotated[Decimal, Field(ge=0, le=CREDITS_MAX, decimal_places=3), *_EXACT]
Usd = Annotated[Decimal, Field(ge=0, le=USD_MAX, decimal_places=9), *_EXACT]
Rate = Annotated[Decimal, Field(ge=0, le=RATE_MAX, decimal_places=12), *_EXACT]
MeterRate = Annotated[Decimal, Field(ge=0, le=RATE_MAX, decimal_places=6), *_EXACT]
Share = Annotated[Decimal, Field(ge=0, le=1), *_EXACT]
Duration = Annotated[
    float,
    Field(ge=0, le=SECONDS_MAX),
    BeforeValidator(units.seconds),
    PlainSerializer(units.duration_text, return_type=str),
    _quantity("a duration", ["250ms", "30s", "30m", "1h", "30d"]),
]
Size = Annotated[
    int,
    Field(ge=1, le=1 << 50),
    BeforeValidator(units.size_bytes),
    PlainSerializer(units.size_text, return_type=str),
    _quantity("a size; a whole number is bytes", ["16MiB", "1GiB"], "integer"),
]
NetworkText = Annotated[str, BeforeValidator(units.network_text), WithJsonSchema({"type": "string"})]
"""A network as it is written back: no host bits, the shortest form."""
Budget = Annotated[
    tuple[Decimal, str],
    BeforeValidator(units.budget),
    PlainSerializer(units.budget_text, return_type=str),
    _quantity("US dollars per period", ["5/day", "100/month", "20/7d"]),
]


class Section(BaseModel):
    """A mapping with known keys; written with nothing in it, it takes its defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_when_nothing(cls, value: Any) -> Any:
        return {} if value is None else value
