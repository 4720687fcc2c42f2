"""The bodies of `/admin`: one shape per role. What is not in it is refused, with the field named.

Shapes say which fields there are and of what kind; what they mean is checked where commands are, by the keeper.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from proxy.settings import units
from proxy.wire import strict
from proxy.wire.errors import Malformed

PAGE_MAX = 1_000
"""Rows of a list in one answer."""

ShapeT = TypeVar("ShapeT", bound="Body")

Texts = list[str] | None
Notes = dict[str, str | None] | None
Amount = Annotated[Decimal, BeforeValidator(lambda value: units.number(str(value) if type(value) is float else value))]
"""A number as it is written: JSON's 0.1 is read as one tenth."""
Seconds = Annotated[float, BeforeValidator(units.seconds), Field(gt=0)]


class Body(BaseModel):
    """What a request may hold; unknown fields are refused, and null is not the same as nothing."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    def stated(self) -> dict[str, Any]:
        """Return what was stated, null included."""
        return self.model_dump(exclude_unset=True)


class Feedback(Body):
    """A word about an answer, by the id of its exchange (`x-penstock-request-id`)."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    good: bool | None = None
    tier: Literal["simple", "medium", "complex"] | None = None


class NewTask(Body):
    """A piece of work that begins."""

    type: Annotated[str, Field(min_length=1, max_length=128)]


class TaskEnd(Body):
    """How a task ends: done, or given up, which charges nothing."""

    completed: bool = True


class TaskCost(Body):
    """What a task cost beside its calls: US dollars as text, below zero for what was told wrongly."""

    kind: Literal["tool", "human", "compute"]
    usd: Annotated[Amount, Field(ge=-(10**6), le=10**6, decimal_places=9)]
    at: Annotated[str, Field(max_length=40)] | None = None


class OutcomeTold(Body):
    """What came of a task, and when."""

    task: Annotated[str, Field(min_length=1, max_length=64)]
    outcome: Literal["pending", "confirmed", "failed", "handed_off", "reversed"]
    at: Annotated[str, Field(max_length=40)] | None = None


class OutcomeSigned(OutcomeTold):
    """The same in a signed message, which may have to say whose task it is."""

    customer: Annotated[str, Field(min_length=1, max_length=128)] | None = None


class Nothing(Body):
    """No field at all."""


class KeyFields(Body):
    """What can be said of a key; null binds nothing. Budgets are read by the keeper, which names the field."""

    scopes: list[str] = Field(default_factory=lambda: ["serve"])
    expires: str | None = None
    models: Texts = None
    tiers: Texts = None
    surfaces: Texts = None
    ips: Texts = None
    rpm: int | None = None
    tpm: int | None = None
    rpd: int | None = None
    tpd: int | None = None
    concurrency: int | None = None
    budget: Any = None
    paused: bool | None = None
    metadata: Notes = None


class NewKey(KeyFields):
    """A key that is to be."""

    customer: str


class KeyChange(KeyFields):
    """What is to change of a key; what is not stated stays."""


class Rotation(Body):
    """How a key is replaced."""

    overlap: str = "1h"
    expires: str | None = None


class KeyPage(Body):
    """Which keys to list."""

    customer: str | None = None
    after: str | None = None
    limit: Annotated[int, BeforeValidator(units.whole), Field(ge=1, le=PAGE_MAX)] = 100


class NewCustomer(Body):
    """A customer that is to be."""

    customer: str
    plan: str | None = None


class CustomerChange(Body):
    """What is to change about a customer: the plan it moves to, or how many seats it has. One at a time."""

    plan: str | None = None
    seats: Annotated[int, Field(ge=0)] | None = None


class Delivery(Body):
    """Items of a customer's plan that were delivered; `id` is charged once."""

    customer: str
    item: str
    id: str
    count: Annotated[int, Field(ge=1)] = 1


class StatementOf(Body):
    """Whose month is asked about."""

    customer: str
    month: str


class TaskPage(Body):
    """Which tasks to list."""

    customer: str | None = None
    status: Literal["open", "pending", "all"] = "all"
    after: str | None = None
    limit: Annotated[int, BeforeValidator(units.whole), Field(ge=1, le=PAGE_MAX)] = 100


class CustomerPage(Body):
    """Which customers to list."""

    after: str | None = None
    limit: Annotated[int, BeforeValidator(units.whole), Field(ge=1, le=PAGE_MAX)] = 100


class NewGrant(Body):
    """Credits for a customer."""

    customer: str
    credits: Annotated[Amount, Field(gt=0, le=10**12, decimal_places=3)]
    paid_usd: Annotated[Amount, Field(ge=0, le=10**9, decimal_places=9)] = Decimal(0)
    expires: Seconds | None = None
    priority: Annotated[int, Field(ge=0, le=100)] = 50


class WhoseBalance(Body):
    """Whose credits to show."""

    customer: str


class WhichCustomer(Body):
    """Whom the page shows."""

    customer: str


class Foretold(Body):
    """A request that is not made: a prompt, and who would ask it."""

    prompt: Annotated[str, Field(min_length=1, max_length=100_000)]
    model: Annotated[str, Field(min_length=1, max_length=200)] = "auto"
    plan: str | None = None


class UsagePage(Body):
    """How far back use is shown."""

    days: Annotated[int, BeforeValidator(units.whole), Field(ge=1, le=92)] = 31


def read_body(shape: type[ShapeT], body: bytes) -> ShapeT:
    """Read a request's body; one without any is an empty object.

    Raises:
        Malformed: it is no JSON object of this shape; `param` names the field.
    """
    return _held_against(shape, strict.read_object(body) if body.strip() else {})


def read_query(shape: type[ShapeT], query: list[tuple[str, str]]) -> ShapeT:
    """Read what stands behind the question mark of a request's target.

    Raises:
        Malformed: it is not of this shape, or names a field twice.
    """
    names = [name for name, _ in query]
    for name in names:
        if names.count(name) > 1:
            raise Malformed(f"`{name[:80]}` stands twice.", param=name[:80])
    return _held_against(shape, dict(query))


def _held_against(shape: type[ShapeT], found: dict[str, Any]) -> ShapeT:
    try:
        return shape.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    field = ".".join(str(step) for step in first["loc"])[:80]
    if first["type"] == "extra_forbidden":
        known = ", ".join(shape.model_fields) or "none"
        raise Malformed(f"There is no field `{field}` here; fields are: {known}.", param=field)
    if first["type"] == "missing":
        raise Malformed(f"`{field}` is missing.", param=field)
    raise Malformed(f"`{field}`: {_lower(first['msg'].removeprefix('Value error, '))}.", param=field)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
