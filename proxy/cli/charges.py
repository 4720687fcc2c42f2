"""How a booked charge is told to people: each amount with the sum that makes it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from margin.components import METER_PARTS
from margin.money import format_usd
from margin.records import aside, aside_of
from proxy import reasons

Found = dict[str, Any]


def in_words(found: Found) -> Iterator[str]:
    """Yield the lines of `penstock explain --charge`."""
    yield f"{found['x']} · {found['at']} · {found['customer']} on {found['plan']}, key {found['key']}"
    yield from _charge(found)
    for line in found["cost_lines"]:
        yield from _call(line)
        for each in found["corrections"]:
            if each["n"] == line["n"]:
                yield from _correction(each)
    for line in found["asides"]:
        yield from _call(line, f"beside it, {_beside(found, line)}")
    yield from _burn(found)
    yield from _counted(found)
    yield from _reversal(found)
    yield from _savings(found)
    yield "versions: " + ", ".join(
        f"{name.replace('_', ' ')} {each}" for name, each in found["versions"].items() if each
    )


def _beside(found: Found, line: Found) -> str:
    """Say what a call beside a charge was for."""
    if aside_of(line["x"]) == "shadow":
        return "asked the same to compare"
    is_advice = line["x"] == aside(found["x"], "classifier")
    return "asked how hard it is" if is_advice else "asked to compare the two"


def _charge(found: Found) -> Iterator[str]:
    decision = found["decision"]
    asked = f"asked for {decision['requested']}, " if "requested" in decision else ""
    judged = f"judged {decision['tier']}, " if "tier" in decision else ""
    yield f"  {asked}{judged}charged as {found['charge_tier']}, served as {found['served_tier']}: {found['outcome']}"
    for reason in reasons.in_words(decision):
        yield f"  - {reason}"
    if "action" in decision.get("metered", {}):
        yield "  - {action} credits an action, one for each begun {tokens} tokens".format_map(decision["metered"])
    elif "metered" in decision:
        rates = ", ".join(f"{bucket} {rate}" for bucket, rate in decision["metered"].items() if rate is not None)
        yield f"  - metered, in credits for a million tokens: {rates}"


def _counted(found: Found) -> Iterator[str]:
    """Yield what it was charged by quantity, and how that was split where the customer had promised to spend."""
    rated = {line["meter"]: line for line in found["rated"]}
    drawn, beyond = rated.pop("commitment", None), rated.pop("beyond", None)
    for meter, line in sorted(rated.items()):
        quantity = line["quantity"] / METER_PARTS.get(meter, 1)
        yield f"{meter}: {quantity:,.15g} of them in {line['period']} come to {format_usd(line['nusd'])} more"
    if drawn is not None:
        yield f"  of the commitment: {format_usd(drawn['quantity'])}"
    if beyond is not None:
        charged = format_usd(beyond["quantity"] + beyond["nusd"])
        yield f"  beyond it: {format_usd(beyond['quantity'])} at the plan's prices, charged {charged}"


def _call(line: Found, name: str | None = None) -> Iterator[str]:
    what = f"call {line['n']}" if name is None else name
    status = "no answer" if line["status"] is None else f"status {line['status']}"
    tier = "" if line["service_tier"] is None else f" in {line['service_tier']}"
    yield (
        f"{what}: {line['model']} at {line['provider']}{tier}, {status}: "
        f"cost {format_usd(line['cost_nusd'])} ({line['kind']})"
    )
    yield from _sum(line)


def _sum(line: Found) -> Iterator[str]:
    """Write the multiplication, and its one rounding."""
    if line["usage"] is None:
        yield "    no usage: the provider billed nothing"
        return
    if line["sum"] is None:
        used = ", ".join(f"{bucket} {count:,}" for bucket, count in line["usage"].items())
        yield f"    {used}; no price card stands behind this amount"
        return
    for each in line["sum"]:
        yield (
            f"    {each['bucket']:<14} {each['tokens']:>11,} × ${each['usd_per_million']} a million"
            f" = {Decimal(each['nusd']):,f} nano-dollars"
        )
    if line["cost_nusd"] is not None:
        yield f"    {'rounded once':<14} {line['cost_nusd']:,} nano-dollars, by {line['card']}"


def _correction(each: Found) -> Iterator[str]:
    before, after = format_usd(each["cost_before_nusd"]), format_usd(each["cost_nusd"])
    yield f"  corrected {each['at']}, {each['why']} ({each['source']}): {before} → {after} ({each['kind']})"
    yield from _sum(each)


def _burn(found: Found) -> Iterator[str]:
    yield f"charged {_credits(found['credits_milli'] / 1000)}, earned {format_usd(found['revenue_nusd'])}"
    for part in found["burn"]:
        amount = _credits(part["credits"])
        if part["grant"] is not None:
            kind = "promotional" if part.get("promotional") else "paid"
            priority = f"priority {part['priority']}, {kind}" if "priority" in part else kind
            yield f"    {amount} of {part['grant']} ({priority}): {format_usd(part['revenue_nusd'])}"
        elif part["owed"]:
            yield f"    {amount} that no grant covered: owed, until later credits cover them"
        else:
            price = format_usd(part["nusd_per_credit"])
            yield f"    {amount} that no grant covered, at {price} a credit: {format_usd(part['revenue_nusd'])}"


def _reversal(found: Found) -> Iterator[str]:
    if found["reversal"] is not None:
        back = _credits(found["reversal"]["credits_milli"] / 1000)
        yield f"reversed, {found['reversal']['why']}: {back} back, {format_usd(-found['reversal']['revenue_nusd'])}"


def _savings(found: Found) -> Iterator[str]:
    if found["waterfall"] is None:
        yield "savings: not known, as the baseline or the cost is not"
        return
    names = {"baseline": f"baseline {found['decision'].get('baseline')}"}
    steps = [f"{names.get(each['step'], each['step'])} {format_usd(each['nusd'])}" for each in found["waterfall"]]
    yield "savings: " + " → ".join(steps)


def _credits(amount: float) -> str:
    return f"{amount:,g} credit{'' if amount == 1 else 's'}"
