"""What finance asks the books: margins by any group, customers, unit economics, tasks, segments, concentration.

Every figure is read from sums that the ledger keeps, or is an exact fraction of them, rounded once where it is shown.
What cannot be divided is null. Days and months are UTC's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from margin import economics
from margin.ledger import portfolio, questions, terms
from margin.ledger.portfolio import Activity, TaskType
from margin.ledger.questions import MarginRow
from margin.ledger.spending import HOUR_NS
from margin.money import round_half_even
from proxy.keeper import besides
from proxy.keeper.office import Office
from proxy.keeper.refusing import Args, Refused
from proxy.keeper.usage import credits_of
from proxy.keeper.words import day, margin_of

MEMBER_DAYS = 28
"""Who was served within four weeks is active: as many weekends in each window."""
HOUR_US = 3_600_000_000
SORTS = ("loss", "cost", "revenue", "requests")


def margin(office: Office, args: Args) -> Any:
    """Report cost, revenue, margin and savings by customer, biggest loss first, with overheads; or by another group."""
    office.tick()
    by, since = args.get("by") or "customer", day(args.get("since"))
    with questions.snapshot(office.books.store.db) as db:
        if by == "customer":
            rows = questions.margin_by_customer(db, since_day=since)
            beside = besides.asked(office, since, time.time_ns())
            total = questions.total(rows)
            named = [
                {"customer": office.directory.name(row.customer or 0)} | margin_of(row) | beside.of(row) for row in rows
            ]
            return {"customers": named, "total": margin_of(total) | beside.of(total)}
        if by not in {*portfolio.GROUPS, *portfolio.DESCRIBED}:
            known = ", ".join(("customer", *portfolio.DESCRIBED, *portfolio.GROUPS))
            raise Refused(f'margins are not known by "{by}"; they are by {known}')
        groups = portfolio.margin_by(db, by, since)
    total = questions.total([each.sums for each in groups])
    return {"by": by, "rows": [{by: each.name or None} | margin_of(each.sums) for each in groups],
            "total": margin_of(total)}  # fmt: skip


def customers(office: Office, args: Args) -> Any:
    """Report each customer's margin, when it was served, and whether it is a power user or a tourist."""
    by = args.get("by") or "loss"
    if by not in SORTS:
        raise Refused(f'customers are not sorted by "{by}" but by {", ".join(SORTS)}')
    office.tick()
    since = day(args.get("since"))
    with questions.snapshot(office.books.store.db) as db:
        rows = questions.margin_by_customer(db, since_day=since)
        ever = {each.customer: each for each in portfolio.activity(db)}
    keys: dict[str, Callable[[MarginRow], int]] = {
        "loss": lambda row: row.margin_nusd, "cost": lambda row: -row.cost_nusd,
        "revenue": lambda row: -row.revenue_nusd, "requests": lambda row: -row.requests,
    }  # fmt: skip
    total, served = questions.total(rows), sum(row.requests > 0 for row in rows)
    named = [_customer(office, row, total, served, ever.get(row.customer or 0)) for row in sorted(rows, key=keys[by])]
    return {"by": by, "rows": named, "total": margin_of(total)}


def _customer(office: Office, row: MarginRow, total: MarginRow, served: int, ever: Activity | None) -> dict[str, Any]:
    number = row.customer or 0
    known = office.books.state.customers[number]
    return {
        "customer": office.directory.name(number), "plan": known.plan, "segment": known.segment or None,
        "persona": known.persona or None, **margin_of(row),
        "cost_share": _float(economics.share(row.cost_nusd, total.cost_nusd)),
        "days_active": 0 if ever is None else ever.days, "first_day": None if ever is None else ever.first_day,
        "last_day": None if ever is None else ever.last_day,
        "power_user": economics.is_power_user(row.cost_nusd, total.cost_nusd, served),
        "tourist": ever is not None and economics.is_tourist(ever.days, _days_since(ever.last_day)),
        "credits": credits_of(office, number)["available"],
    }  # fmt: skip


def segments(office: Office, args: Args) -> Any:
    """Report margin by segment or persona: who is in it today, with shares of requests, revenue and cost."""
    by = args.get("by") or "segment"
    if by not in portfolio.DESCRIBED:
        raise Refused(f'segments are by {" or ".join(portfolio.DESCRIBED)}, not by "{by}"')
    office.tick()
    with questions.snapshot(office.books.store.db) as db:
        groups = portfolio.margin_by(db, by, day(args.get("since")))
    total = questions.total([each.sums for each in groups])
    words = [getattr(each, by) for each in office.books.state.customers.values()]
    rows = [
        {by: each.name or None, "customers": words.count(each.name), **margin_of(each.sums),
         "requests_share": _float(economics.share(each.sums.requests, total.requests)),
         "revenue_share": _float(economics.share(each.sums.revenue_nusd, total.revenue_nusd)),
         "cost_share": _float(economics.share(each.sums.cost_nusd, total.cost_nusd))}
        for each in groups
    ]  # fmt: skip
    return {"by": by, "rows": rows, "total": margin_of(total)}


def tasks(office: Office, args: Args) -> Any:
    """Report what each type of task costs and earns, of those opened since a day."""
    office.tick()
    with questions.snapshot(office.books.store.db) as db:
        found = portfolio.tasks_by_type(db, start_t(day(args.get("since"))))
    return {"rows": [_task(each) for each in found]}


def _task(each: TaskType) -> dict[str, Any]:
    """Return one type; one that is charged by its requests earns nothing by itself, so its margin is not known here."""
    earns = each.metric != ""
    margin_nusd = each.charged_nusd - each.cost_nusd
    is_outcome = each.metric == "outcome"
    price = _per(each.charged_nusd, each.resolved) if is_outcome else None
    return {
        "type": each.type, "charged_by": each.metric or "request", "name": each.name,
        "opened": each.opened, "done": each.done, "calls": each.calls, "unpriced": each.unpriced,
        "cost_nusd": each.cost_nusd, "cost_per_task_nusd": _per(each.cost_nusd, each.done),
        "cost_p50_nusd": economics.rank(each.costs, 50), "cost_p95_nusd": economics.rank(each.costs, 95),
        "calls_p95": economics.rank(each.calls_each, 95), "outcomes": dict(sorted(each.outcomes.items())),
        "resolved": each.resolved if is_outcome else None,
        "cost_per_resolution_nusd": _per(each.resolved_cost_nusd, each.resolved) if is_outcome else None,
        "cost_of_all_per_resolution_nusd": _per(each.cost_nusd, each.resolved) if is_outcome else None,
        "price_nusd": price,
        **_judged("share_of_price", each.resolved_cost_nusd, each.charged_nusd if is_outcome else 0,
                  economics.COST_PER_RESOLUTION_MAX),
        "unearned_nusd": each.unearned_nusd, "revenue_nusd": each.charged_nusd if earns else None,
        "margin_nusd": margin_nusd if earns else None,
        "margin": _float(economics.share(margin_nusd, each.charged_nusd)) if earns else None,
    }  # fmt: skip


def unit_economics(office: Office, args: Args) -> Any:
    """Report costs and revenues per task, resolution, member and hour, beside the bounds that the brief gives them."""
    office.tick()
    since = day(args.get("since"))
    with questions.snapshot(office.books.store.db) as db:
        total = questions.total(questions.margin_by_customer(db, since_day=since))
        plans = questions.margin_by_plan(db, since)
        types = portfolio.tasks_by_type(db, start_t(since))
        providers = portfolio.busy(db, since)
        active = _members(db, since)
    margin_share = economics.share(total.margin_nusd, total.revenue_nusd)
    done = sum(each.done for each in types)
    busy_us = sum(each.busy_us for each in providers)
    return {
        "since": since or None, **margin_of(total), "unpriced": total.unpriced, "stage": economics.stage(margin_share),
        **_judged("model_cost_ratio", total.cost_nusd - total.other_cost_nusd, total.revenue_nusd,
                  economics.MODEL_COST_MAX),
        "tasks": [_task(each) for each in types], "tasks_done": done,
        "cost_per_task_nusd": _per(sum(each.cost_nusd for each in types), done),
        "members": active,
        "compute_hours": _hours(busy_us), "revenue_per_compute_hour_nusd": _per(total.revenue_nusd * HOUR_US, busy_us),
        "providers": [
            {"provider": each.provider, "requests": each.requests, "compute_hours": _hours(each.busy_us),
             "cost_nusd": each.cost_nusd, "cost_per_compute_hour_nusd": _per(each.cost_nusd * HOUR_US, each.busy_us)}
            for each in providers
        ],
        "plans": [_plan(office, each) for each in plans],
    }  # fmt: skip


def _plan(office: Office, each: questions.PlanRow) -> dict[str, Any]:
    sold = office.settings.sellbook.plans.get(each.plan)
    target = None if sold is None or sold.aim is None else Fraction(sold.aim)
    found = economics.share(each.sums.margin_nusd, each.sums.revenue_nusd)
    return {
        "plan": each.plan, "customers": each.customers, **margin_of(each.sums),
        "archetype": None if sold is None else sold.archetype, "target": _float(target),
        "verdict": economics.against(target, found),
    }  # fmt: skip


def _members(db: Any, since: str) -> dict[str, Any]:
    """Return what an active member costs and earns, of the customers that name theirs, in the last four weeks."""
    first = max(since, (_today() - timedelta(days=MEMBER_DAYS - 1)).isoformat())
    found = portfolio.members(db, start_t(first) // HOUR_NS)
    rows = [row for row in questions.margin_by_customer(db, since_day=first) if row.customer in found]
    total, count = questions.total(rows), sum(found.values())
    return {
        "since": first, "customers": len(rows), "active": count,
        "cost_per_member_nusd": _per(total.cost_nusd, count),
        "revenue_per_member_nusd": _per(total.revenue_nusd, count),
        **_judged("share_of_revenue", total.cost_nusd, total.revenue_nusd, economics.COST_PER_MEMBER_MAX),
    }  # fmt: skip


def concentration(office: Office, args: Args) -> Any:
    """Report how unevenly revenue and cost lie among customers, who uses most, and who of them left."""
    office.tick()
    since = day(args.get("since"))
    with questions.snapshot(office.books.store.db) as db:
        rows = questions.margin_by_customer(db, since_day=since)
        ever, deciles = portfolio.activity(db), _deciles(db)
    total, served = questions.total(rows), sum(row.requests > 0 for row in rows)
    power = [row for row in rows if economics.is_power_user(row.cost_nusd, total.cost_nusd, served)]
    tourists = [each.customer for each in ever if economics.is_tourist(each.days, _days_since(each.last_day))]
    return {
        "customers": len(rows), "served": served,
        "revenue": _spread(row.revenue_nusd for row in rows), "cost": _spread(row.cost_nusd for row in rows),
        "power_users": [
            {"customer": office.directory.name(row.customer or 0), **margin_of(row),
             "cost_share": _float(economics.share(row.cost_nusd, total.cost_nusd))}
            for row in sorted(power, key=lambda row: -row.cost_nusd)
        ],
        "tourists": sorted(office.directory.name(number) for number in tourists),
        "deciles": deciles,
    }  # fmt: skip


def _spread(values: Iterable[int]) -> dict[str, Any]:
    """Return how unevenly amounts lie, of those above zero: nobody has less than no share."""
    above = [value for value in values if value > 0]
    count, share = economics.top_share(above)
    return {"customers": len(above), "top_customers": count, "top_share": _float(share),
            "gini": _float(economics.gini(above))}  # fmt: skip


def _deciles(db: Any) -> list[dict[str, Any]]:
    """Return, by use in the four weeks before the last four, who was not served any more: the heaviest first."""
    split = (_today() - timedelta(days=MEMBER_DAYS - 1)).isoformat()
    before = (_today() - timedelta(days=2 * MEMBER_DAYS - 1)).isoformat()
    used, stayed = portfolio.activity(db, before, split), {each.customer for each in portfolio.activity(db, split)}
    found = []
    for number, (first, end) in enumerate(economics.parts_of(len(used)), start=1):
        part = used[first:end]
        gone = sum(each.customer not in stayed for each in part)
        found.append({
            "decile": number, "customers": len(part), "requests": sum(each.requests for each in part), "gone": gone,
            "churn": _float(economics.share(gone, len(part))),
        })  # fmt: skip
    return found


def _judged(name: str, part: int, whole: int, bound: Fraction) -> dict[str, Any]:
    """Return a ratio, the bound it must stay below, and whether it does; null where there is no ratio."""
    found = economics.share(part, whole)
    return {name: _float(found), f"{name}_max": float(bound), f"{name}_ok": None if found is None else found < bound}


def _per(amount: int, count: int) -> int | None:
    return round_half_even(amount, count) if count > 0 else None


def _hours(us: int) -> float:
    return round(us / HOUR_US, 6)


def _float(share: Fraction | None) -> float | None:
    return None if share is None else round(float(share), 6)


def _today() -> date:
    return date.fromisoformat(terms.day(time.time_ns()))


def _days_since(day_: str) -> int:
    return (_today() - date.fromisoformat(day_)).days


def start_t(day_: str) -> int:
    """Return the moment a day begins; 0 for the text before every day."""
    return int(datetime.fromisoformat(day_).replace(tzinfo=UTC).timestamp()) * 1_000_000_000 if day_ else 0


COMMANDS = {
    "report.margin": margin, "report.customers": customers, "report.segments": segments, "report.tasks": tasks,
    "report.unit-economics": unit_economics, "report.concentration": concentration,
}  # fmt: skip
