"""The YAML of what is in no customer's books: overheads and payment fees, and how it becomes their values."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from margin.money import usd_to_nusd
from margin.overheads import Key, OtherCosts, Overhead
from proxy.settings.fields import Name, Rate, Section, Usd


class OverheadShape(Section):
    """An amount a month for all customers together."""

    amount: Usd = Field(description="US dollars.")
    per: Literal["month"] = Field("month", description="The period, in UTC.")
    by: Key = Field("revenue", description="What it is shared out by: requests, tokens or revenue of the month.")


class PaymentFeesShape(Section):
    """What taking a payment costs, where each customer pays once a month."""

    percent: Rate = Field(Decimal(0), le=100, description="Of what a customer is charged in a month.")
    fixed: Usd = Field(Decimal(0), description="US dollars for each month in which it is charged anything.")


def other_costs_of(overheads: dict[Name, OverheadShape], fees: PaymentFeesShape) -> OtherCosts:
    """Return both as values."""
    found = {name: Overhead(usd_to_nusd(each.amount), each.by) for name, each in overheads.items()}
    return OtherCosts(MappingProxyType(found), fees.percent, usd_to_nusd(fees.fixed))
