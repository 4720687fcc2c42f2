"""Prompts as programs write them: results of an agent's tools, passages of a search that came twice, made tools."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, Field

PASSAGES = (
    (
        "Refunds are paid to the card that the order was paid with, within five working days of the day on which the "
        "parcel reaches the warehouse. Shipping costs are refunded if the whole order comes back; of a part of it "
        "they are not. A gift card is refunded as a gift card, whatever was paid for it, and has a new expiry date of"
        " three years."
    ),
    (
        "A parcel that was not delivered after two attempts waits at the nearest shop for ten days. The customer is "
        "told by e-mail where it is, and how long it stays; after that it travels back, and the order is refunded "
        "without a fee. Only parcels of more than 31.5 kilograms are kept at the depot instead, from where they can "
        "be sent out once more."
    ),
    (
        "Members of the programme collect a point for each whole euro, rounded down, once the time for returns has "
        "passed. Points expire after 24 months without an order. A hundred of them are worth five euros at the next "
        "purchase, and they cannot be paid out, sold or given to another member; of accounts that are closed they are"
        " deleted at once."
    ),
    (
        "Warranty is two years from delivery on everything but wearing parts, such as batteries, blades and filters, "
        "for which it is six months. The customer describes the fault and sends pictures of it; where the fault is "
        "known a new part is sent without the old one coming back. Damage by water is no fault, other than on what is"
        " sold as waterproof."
    ),
)


class Address(BaseModel):
    """Where something goes."""

    street: str = Field(description="With its number.")
    postal_code: str
    city: str
    country_code: str = Field(default="DE", description="Two letters, ISO 3166.")


class CreateReturn(BaseModel):
    """Begin a return."""

    order_id: str = Field(description="Such as A-20417.")
    line_numbers: list[int]
    reason_code: str
    pickup_address: Address | None = None
    refund_to_card: bool = True


class SearchOrders(BaseModel):
    """Find orders."""

    customer_email: str
    placed_after: str | None = None
    placed_before: str | None = None
    max_results: int = 20
    include_cancelled: bool = False


def tool(model: type[BaseModel], name: str) -> dict[str, Any]:
    """Return a tool as libraries make one of a class."""
    return {
        "type": "function",
        "function": {"name": name, "description": model.__doc__, "parameters": model.model_json_schema()},
    }


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return what a search of orders gives."""
    return [
        {
            "order_id": f"A-{20417 + number}", "placed_at": f"2026-11-{number % 28 + 1:02}T09:{number % 60:02}:00Z",
            "status": ("shipped", "delivered", "returned")[number % 3], "total_cents": 1999 + 137 * number,
            "lines": [{"sku": f"KX-{number % 7}", "quantity": 1 + number % 2, "unit_price_cents": 1999}],
        }
        for number in range(first, first + count)
    ]  # fmt: skip


def agent() -> dict[str, Any]:
    """Return a turn of an agent: two tools, their results as a program prints them, and what it said in between."""
    call = {"id": "call_1", "type": "function", "function": {"name": "search_orders", "arguments": "{}"}}
    return {
        "model": "auto",
        "tools": [tool(SearchOrders, "search_orders"), tool(CreateReturn, "create_return")],
        "messages": [
            {"role": "system", "content": "You help customers of a shop with their orders. " + PASSAGES[0]},
            {"role": "user", "content": "Which of my orders can I still send back?"},
            {"role": "assistant", "content": "Let me look at your orders.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": json.dumps(rows(12), indent=2)},
            {"role": "assistant", "content": "There are more:", "tool_calls": [call | {"id": "call_2"}]},
            {"role": "tool", "tool_call_id": "call_2", "content": json.dumps(rows(12, 12), indent=4)},
        ],
    }


def search() -> dict[str, Any]:
    """Return a question with what a search found for it: of three searches two found the same, with spare lines."""
    found = [PASSAGES[at] for at in (0, 1, 2, 0, 3, 1)]
    passages = "\n\n\n\n".join(f"{text}   " for text in found)
    return {
        "model": "auto",
        "messages": [
            {"role": "system", "content": "Answer from the passages, and say which one it was."},
            {"role": "user", "content": f"{passages}\n\n\n\nHow long does a refund take, and where is my parcel?"},
        ],
    }


def report() -> dict[str, Any]:
    """Return a task over a file between fences, in Anthropic's words."""
    table = json.dumps({"orders": rows(20)}, indent=2)
    return {
        "model": "auto", "max_tokens": 500, "system": PASSAGES[3] * 2,
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": f"Sum up what came back, by week.\n\n```json\n{table}\n```\n\nIn one table."},
        ]}],
    }  # fmt: skip
