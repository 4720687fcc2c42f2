"""What an operator asks of tasks and plans: those of any customer, with what they cost us."""

from __future__ import annotations

from typing import Any

from margin.ledger import task_lists, tasks
from margin.ledger.task_lists import STATUSES
from margin.ledger.tasks import Task
from proxy.keeper import working
from proxy.keeper.office import Office, UnknownName
from proxy.keeper.refusing import Args, Refused

PAGE_MAX = 1_000


def listed(office: Office, args: Args) -> Any:
    """List tasks, those opened last first: of a customer or of all, that are open, await their outcome, or any."""
    status, limit, after = args.get("status", "all"), args.get("limit", 100), args.get("after")
    if status not in STATUSES:
        raise Refused(f"a status is one of {', '.join(STATUSES)}", "status")
    customer = None if args.get("customer") is None else office.number(args["customer"])
    office.fold_all()
    last = None if after is None else _found(office, after)
    found = task_lists.listed(office.books.store.db, customer=customer, status=status, after=last,
                              limit=min(limit, PAGE_MAX + 1))  # fmt: skip
    return [_seen(office, each) for each in found]


def show(office: Office, args: Args) -> Any:
    """Show a task, whose ever it is, with what it cost beside its calls by kind."""
    office.fold_all()
    task = _found(office, args["task"])
    return _seen(office, task) | {"other_costs_nusd": tasks.other_costs(office.books.store.db, task.id)}


def close(office: Office, args: Args) -> Any:
    """Close a task, whose ever it is, as done or as given up."""
    task = _found(office, args["task"])
    working.close(office, {"customer": task.customer, "task": task.id, "completed": args["completed"]})
    return _seen(office, _found(office, task.id))


def plans(office: Office, _: Args) -> Any:
    """Return the sell book: each plan with its version, its terms and how many customers are on it."""
    on = [each.plan for each in office.books.state.customers.values()]
    book = office.settings.sellbook
    return [
        {"plan": name, "version": plan.version, "is_default": name == book.default, "customers": on.count(name),
         "description": plan.description, "terms": plan.terms()}
        for name, plan in book.plans.items()
    ]  # fmt: skip


def _found(office: Office, id_: str) -> Task:
    task = office.books.state.work.find(id_)
    if task is None:
        raise UnknownName(f'there is no task "{id_[:80]}"')
    return task


def _seen(office: Office, task: Task) -> dict[str, Any]:
    """Return a task as its operator sees it: as callers do, and what it cost."""
    return working.shown(office, task) | {
        "plan": task.plan, "cost_nusd": task.cost_nusd + task.other_nusd, "model_cost_nusd": task.cost_nusd,
        "unpriced_calls": task.unpriced, "unearned_nusd": task.unearned_nusd,
    }  # fmt: skip


COMMANDS = {"tasks.list": listed, "tasks.show": show, "tasks.end": close, "plans.list": plans}
