"""`penstock explain --charge`: everything that is booked about one charge, with the sums behind its amounts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from margin.arithmetic import Product, products
from margin.card import Card
from margin.costbooks.writing import rate_text
from margin.ledger import questions
from margin.ledger.burning import OWED
from margin.rerating import read_card
from margin.savings import saved_nusd, waterfall
from margin.usage import Usage
from proxy.keeper.office import Office, UnknownName
from proxy.keeper.refusing import Args
from proxy.keeper.words import in_credits, iso

_VERSIONS = ("cost_book", "sell_book", "config", "classifier")


def explain_charge(office: Office, args: Args) -> Any:
    """Return one charge: who, when, why, its calls with their sums, what it burnt, corrections, versions, savings."""
    office.fold_all()
    db = office.books.store.db
    found = questions.charge(db, args["id"])
    if found is None:
        raise UnknownName(f'there is no charge "{args["id"]}"')
    cards = {id_: read_card(levels) for id_, levels in questions.cards(db).items()}
    lines = [line | {"sum": _sum(line, cards)} for line in found["cost_lines"]]
    corrections = [each | {"sum": _sum(each, cards), "at": iso(each["t"])} for each in found["corrections"]]
    asides = [line | {"sum": _sum(line, cards)} for line in found["asides"]]
    standing = _standing(found)
    return found | {
        "customer": office.directory.name(found["customer"]),
        "at": iso(found["t"]),
        "cost_lines": lines,
        "corrections": corrections,
        "asides": asides,
        "burn": [_part(office, each) for each in found["burnt"]],
        "standing": standing,
        "waterfall": _waterfall(found, standing["cost_nusd"], _sum_of([line["cost_nusd"] for line in asides])),
        "versions": {name: found["decision"].get(name) for name in _VERSIONS} | {"plan": found["plan_version"]},
    }


def _sum(line: Mapping[str, Any], cards: Mapping[str, Card]) -> list[dict[str, Any]] | None:
    """Return tokens × rate by bucket, in exact nano-dollars; None where no card made the amount or it is not kept."""
    if line["usage"] is None or line["card"] not in cards:
        return None
    return [_product(each) for each in products(cards[line["card"]], Usage.from_dict(line["usage"]))]


def _product(each: Product) -> dict[str, Any]:
    # Rates are decimals, so their products are too: nothing is lost in writing one down.
    nusd = rate_text(Decimal(each.nusd.numerator) / Decimal(each.nusd.denominator))
    return {"bucket": each.bucket, "tokens": each.tokens, "usd_per_million": rate_text(each.rate), "nusd": nusd}


def _part(office: Office, part: list[Any]) -> dict[str, Any]:
    """Return one part of the burn: of a grant, or of credits that none covered."""
    name, milli, nusd, *rest = part
    shown: dict[str, Any] = {"grant": name, "credits": in_credits(milli), "revenue_nusd": nusd}
    if name is None:
        return shown | {"nusd_per_credit": rest[0], "owed": OWED in rest}
    grant = office.books.state.grant(name)
    if grant is None:
        return shown
    return shown | {"priority": grant.priority, "promotional": grant.paid_nusd == 0}


def _standing(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands today, after all corrections and the reversal."""
    costs = {line["n"]: line["cost_nusd"] for line in found["cost_lines"]}
    costs |= {each["n"]: each["cost_nusd"] for each in found["corrections"]}
    is_reversed = found["reversal"] is not None
    return {
        # An answer from memory has no cost line, and cost nothing.
        "cost_nusd": _sum_of(list(costs.values())) if costs else found["cost_nusd"],
        "credits": 0 if is_reversed else in_credits(found["credits_milli"]),
        "revenue_nusd": 0 if is_reversed else found["revenue_nusd"],
    }


def _sum_of(costs_nusd: list[int | None]) -> int | None:
    """Return the sum of costs; None as soon as one is not known."""
    known = [cost for cost in costs_nusd if cost is not None]
    return sum(known) if len(known) == len(costs_nusd) else None


def _waterfall(
    found: Mapping[str, Any], cost_nusd: int | None, overhead_nusd: int | None
) -> list[dict[str, Any]] | None:
    """Return the steps from the baseline to what stands, with the calls beside it; None where one is not known."""
    baseline_nusd = found["baseline_nusd"]
    actual_nusd = _sum_of([cost_nusd, overhead_nusd])
    saved = saved_nusd(baseline_nusd, actual_nusd, spared_nusd=found["spared_nusd"], marks_nusd=found["marks_nusd"],
                       trims_nusd=found["trims_nusd"], overhead_nusd=overhead_nusd)  # fmt: skip
    if saved is None or baseline_nusd is None or actual_nusd is None:
        return None
    levers = {name: nusd for name, nusd in saved._asdict().items() if name == "routing" or nusd}
    steps = waterfall(baseline_nusd, levers, actual_nusd)
    return [{"step": name, "nusd": nusd} for name, nusd in steps]
