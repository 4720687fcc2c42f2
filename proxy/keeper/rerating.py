"""`penstock ledger rerate`: booked calls by other prices, shown first, and posted as corrections when asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from margin import records
from margin.ledger import capacity, questions
from margin.ledger.books import BATCH_RECORDS_MAX
from margin.records import Record
from margin.rerating import VERDICTS, Rated, rerate
from proxy.keeper import pricing
from proxy.keeper.office import Office
from proxy.keeper.reconciling import attempt, span
from proxy.keeper.refusing import Args

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


def ledger_rerate(office: Office, args: Args) -> Any:
    """Say what booked calls would cost by other prices; with `apply`, correct them."""
    since_t, until_t = span(args["since"], args.get("until"))
    who = None if args.get("customer") is None else office.number(args["customer"])
    version, priced = pricing.named(office.books, office.settings, args.get("prices"))
    office.fold_all()
    lines = questions.cost_lines(office.books.store.db, since_t=since_t, until_t=until_t)
    groups: dict[tuple[int, str], _Sums] = {}
    counts, changed, total = dict.fromkeys(VERDICTS, 0), list[Rated](), _Sums()
    for rated in rerate((line for line in lines if who is None or line.customer == who), priced):
        counts[rated.verdict] += 1
        total.add(rated)
        groups.setdefault((rated.line.customer, rated.line.model), _Sums()).add(rated)
        if rated.verdict == "changed":
            changed.append(rated)
    if args.get("apply"):
        _post(office, changed, version)
    return {"prices": version, "applied": bool(args.get("apply")), "counts": counts, "total": total.shown(),
            "groups": list(_shown(office, groups))}  # fmt: skip


def _shown(office: Office, groups: dict[tuple[int, str], _Sums]) -> Iterator[dict[str, Any]]:
    names = {number: office.directory.name(number) for number, _ in groups}
    for (number, model), sums in sorted(groups.items(), key=lambda item: (names[item[0][0]], item[0][1])):
        yield {"customer": names[number], "model": model} | sums.shown()


def _post(office: Office, changed: list[Rated], version: str) -> None:
    """Post the differences, some at a time; their cards first, so that these amounts too can be computed again."""
    moved = sum(capacity.moved_nusd(each.line.cost_nusd, each.cost_nusd) for each in changed)
    capacity.check_costs(office.books.store.db, moved)
    pricing.keep_cards(office.books, (each.card for each in changed if each.card is not None))
    for start in range(0, len(changed), BATCH_RECORDS_MAX):
        office.correct(_correction(each, version) for each in changed[start : start + BATCH_RECORDS_MAX])


def _correction(rated: Rated, version: str) -> Record:
    line = rated.line
    before = attempt(line, line.kind, line.usage, line.cost_nusd)
    after = before | {"card": None if rated.card is None else rated.card.id, "cost": rated.cost_nusd}
    return records.corrected(
        x=line.x, n=line.n, revision=line.revision + 1, t=time.time_ns(), customer=line.customer, plan=line.plan,
        charge_tier=line.charge_tier, served_tier=line.served_tier, before=before,
        after=after, why=WHY, source=version,
    )  # fmt: skip
