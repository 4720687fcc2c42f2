"""`penstock ledger rerate`: booked calls by other prices, shown first, and posted as corrections when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from margin.ledger import questions
from margin.rerating import VERDICTS, Rated, rerate
from proxy.keeper import pricing
from proxy.keeper.correcting import correction
from proxy.keeper.office import Office
from proxy.keeper.reading import Reading
from proxy.keeper.refusing import Args
from proxy.keeper.spans import Span

WHY = "re-rated"


@dataclass(slots=True)
class _Sums:
    """Lines of one customer and model: what is booked and what it would be, unknown amounts as nothing."""

    lines: int = 0
    changed: int = 0
    booked_nusd: int = 0
    rerated_nusd: int = 0

    def add(self, rated: Rated) -> None:
        """Add a line."""
        self.lines += 1
        self.changed += rated.verdict == "changed"
        self.booked_nusd += 0 if rated.line.cost_nusd is None else rated.line.cost_nusd
        self.rerated_nusd += 0 if rated.cost_nusd is None else rated.cost_nusd

    def shown(self) -> dict[str, int]:
        """Return the sums for JSON."""
        return {"lines": self.lines, "changed": self.changed, "booked_nusd": self.booked_nusd,
                "rerated_nusd": self.rerated_nusd, "difference_nusd": self.rerated_nusd - self.booked_nusd}  # fmt: skip


def ask(office: Office, args: Args) -> Args:
    """Complete what was asked: the customer by its number, and the prices that the configuration goes by."""
    Span.of(args["since"], args.get("until"))
    told = pricing.in_force(office.settings, with_book=pricing.is_of_book(office.settings, args.get("prices")))
    number = None if args.get("customer") is None else office.number(args["customer"])
    return args | {"number": number, "in_force": told}


def read(reading: Reading, args: Args) -> dict[str, Any]:
    """Price every line anew; with `apply`, write down what corrects those that differ."""
    version, priced = pricing.named(reading.ledger, args["in_force"], args.get("prices"))
    span, who = Span.of(args["since"], args.get("until")), args["number"]
    lines = reading.told(questions.cost_lines(reading.ledger.db, since_t=span.since_t, until_t=span.until_t))
    groups: dict[tuple[int, str], _Sums] = {}
    counts, total = dict.fromkeys(VERDICTS, 0), _Sums()
    for rated in rerate((line for line in lines if who is None or line.customer == who), priced):
        counts[rated.verdict] += 1
        total.add(rated)
        groups.setdefault((rated.line.customer, rated.line.model), _Sums()).add(rated)
        if rated.verdict == "changed":
            _change(reading, rated, version, is_posted=bool(args.get("apply")))
    shown = [[number, model, sums.shown()] for (number, model), sums in groups.items()]
    return reading.found(prices=version, counts=counts, total=total.shown(), groups=shown)


def _change(reading: Reading, rated: Rated, version: str, *, is_posted: bool) -> None:
    line, card = rated.line, rated.card
    reading.move(line.cost_nusd, rated.cost_nusd)
    if not is_posted:
        return
    if card is not None:
        reading.cards[card.id] = card  # its card is kept, so that this amount too can be computed again
    reading.correct(
        correction(
            line, kind=line.kind, usage=line.usage, cost_nusd=rated.cost_nusd, card=None if card is None else card.id,
            why=WHY, source=version,
        )
    )  # fmt: skip


def tell(office: Office, args: Args, found: dict[str, Any]) -> Any:
    """Answer what was found, customers by name."""
    groups = sorted(_named(office, found["groups"]), key=lambda each: (each["customer"], each["model"]))
    return {"prices": found["prices"], "applied": bool(args.get("apply")), "counts": found["counts"],
            "total": found["total"], "groups": groups}  # fmt: skip


def _named(office: Office, groups: list[list[Any]]) -> Iterator[dict[str, Any]]:
    for number, model, sums in groups:
        yield {"customer": office.directory.name(number), "model": model} | sums
