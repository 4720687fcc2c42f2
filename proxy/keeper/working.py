"""What a key may ask about tasks and their outcomes: open one, join it, close it, judge it, look at it.

Everything is checked before it is journalled. Under an idempotency key the answer is the one that was given first; it
is in the ledger (docs/adr/0060), so a restart forgets none.
"""

from __future__ import annotations

import os
import time
from typing import Any

import orjson

from margin import records
from margin.ledger import tasks
from margin.ledger.tasks import RANKS, Task
from margin.money import format_usd
from margin.records import OTHER_COSTS
from margin.tasking import TaskTerms
from proxy.keeper.office import NS, Office, UnknownName
from proxy.keeper.refusing import Args, Refused
from proxy.keeper.words import iso

AHEAD_MAX_NS = 5 * 60 * NS
"""How far another machine's clock may be ahead of ours: what Stripe tolerates of a webhook's."""
TOLD = ("pending", "confirmed", "failed", "handed_off", "reversed")
"""What can be told of an outcome; that it is assumed is the keeper's own word."""
LIVE_MAX = 100_000
"""Tasks that are open or await their outcome: some 50 MB of the keeper's memory."""


class Conflict(Refused):
    """It contradicts what was told before."""


def open_(office: Office, args: Args) -> Any:
    """Open a task of a type for a customer, under the terms of the customer's plan today."""
    again = _again(office, args)
    if again is not None:
        return again
    number, state = args["customer"], office.books.state
    plan = state.terms(state.customers[number]).name
    terms = _terms(office, plan, args["type"])
    if len(state.work.tasks) >= LIVE_MAX:
        raise Refused(f"{LIVE_MAX:,} tasks are open or await their outcome; close some first")
    id_ = f"task_{os.urandom(9).hex()}"
    office.act(records.task_opened(t=time.time_ns(), id=id_, customer=number, plan=plan, type=args["type"],
                                   terms=terms, event=_event(args)))  # fmt: skip
    return shown(office, _found(office, number, id_))


def _terms(office: Office, plan: str, type_: str) -> str:
    sold = office.settings.sellbook.plans.get(plan)
    own = None if sold is None else sold.tasks.get(type_)
    if sold is not None and sold.tasks and own is None:
        raise Refused(f"the plan has no such type of task; there are: {', '.join(sorted(sold.tasks))}", "type")
    found = (TaskTerms() if own is None else own).frozen(type_, {} if sold is None else sold.outcomes)
    return orjson.dumps(found).decode()


def close(office: Office, args: Args) -> Any:
    """Close a task: as done, which charges it or awaits its outcome, or as abandoned, which charges nothing."""
    again = _again(office, args)
    if again is not None:
        return again
    office.fold_all()  # its calls are what it is charged for
    task = _found(office, args["customer"], args["task"])
    why = "done" if args["completed"] else "abandoned"
    if task.closed_t is not None:
        raise Conflict(f"the task was closed already, at {iso(task.closed_t)} ({task.why})", "task")
    office.act(records.task_closed(t=time.time_ns(), id=task.id, why=why, event=_event(args)))
    return shown(office, _found(office, args["customer"], task.id))


def judge(office: Office, args: Args) -> Any:
    """Take in what came of a task. An event that is nearer to the start than what is known moves nothing."""
    again = _again(office, args)
    if again is not None:
        return again
    office.fold_all()  # what it cost is unearned where it failed
    task, now = _found(office, args["customer"], args["task"]), time.time_ns()
    if args["outcome"] not in TOLD:
        raise Refused(f"an outcome is one of {', '.join(TOLD)}", "outcome")
    if task.metric != "outcome":
        raise Refused("tasks of this type are not charged by their outcome", "task")
    at = _moment(args["at_t"], now, task)
    event = _event(args)
    if event is not None or RANKS[args["outcome"]] > RANKS[task.outcome]:
        office.act(records.outcome(t=now, id=task.id, outcome=args["outcome"], at=at, event=event))
    return shown(office, _found(office, args["customer"], task.id))


def cost(office: Office, args: Args) -> Any:
    """Book what a task cost beside its calls, also of one that is closed; below zero, take back what was wrong."""
    again = _again(office, args)
    if again is not None:
        return again
    task, now = _found(office, args["customer"], args["task"]), time.time_ns()
    kind, nusd = args["kind"], args["nusd"]
    if kind not in OTHER_COSTS:
        raise Refused(f"a cost is one of {', '.join(OTHER_COSTS)}", "kind")
    known = tasks.other_costs(office.books.store.db, task.id).get(kind, 0)
    if nusd == 0 or known + nusd < 0:
        raise Refused(f"the task has {format_usd(known)} of that kind: it cannot change by {format_usd(nusd)}", "usd")
    at = _moment(args["at_t"], now, task)
    office.act(records.task_cost(t=now, id=f"cost_{os.urandom(9).hex()}", task=task.id, kind=kind, nusd=nusd, at=at,
                                 event=_event(args)))  # fmt: skip
    return shown(office, _found(office, args["customer"], task.id))


def _moment(at_t: int | None, now: int, task: Task) -> int:
    """Return when something happened to a task: now, unless it is said, and can be."""
    at = now if at_t is None else at_t
    if at > now + AHEAD_MAX_NS:
        raise Refused(f"that is in the future: it is {iso(now)} here", "at")
    if at < task.opened_t - AHEAD_MAX_NS:
        raise Refused(f"that is from before the task was opened, at {iso(task.opened_t)}", "at")
    return at


def get(office: Office, args: Args) -> Any:
    """Show a task as it stands."""
    office.fold_all()
    return shown(office, _found(office, args["customer"], args["task"]))


def join(office: Office, args: Args) -> Any:
    """Say whether a request may belong to a task, and whether the task is charged in its place."""
    task = _found(office, args["customer"], args["task"])
    if task.closed_t is not None:
        raise Conflict(f"the task was closed at {iso(task.closed_t)} ({task.why})", "x-penstock-task")
    return {"whole": task.is_charged_whole}


def look(office: Office) -> None:
    """Close tasks that are idle, and assume outcomes whose window has passed."""
    now, work = time.time_ns(), office.books.state.work
    busy = {hold.task for hold in office.books.state.holds.values() if hold.task}
    due: list[dict[str, Any]] = []
    for task in work.live():
        if task.due_t is not None and task.due_t <= now:
            due.append(records.outcome(t=now, id=task.id, outcome="assumed", at=task.due_t))
        elif task.idle_t is not None and task.idle_t <= now and task.id not in busy:
            due.append(records.task_closed(t=now, id=task.id, why="idle"))
    if due:
        office.act(*due)


def _found(office: Office, customer: int, id_: str) -> Task:
    task = office.books.state.work.find(id_)
    if task is None or task.customer != customer:
        raise UnknownName(f'there is no task "{id_[:80]}"')
    return task


def _event(args: Args) -> tuple[str, str] | None:
    return None if args.get("event") is None else (args["event"], args["request"])


def _again(office: Office, args: Args) -> Any:
    """Return what was answered under the same idempotency key before; None where it was not."""
    event = _event(args)
    found = None if event is None else tasks.event(office.books.store.db, args["customer"], event[0])
    if found is None or event is None:
        return None
    request, task = found
    if request != event[1]:
        raise Conflict("this idempotency key was used for another request", "idempotency-key")
    return shown(office, task)


def shown(office: Office, task: Task) -> dict[str, Any]:
    """Return a task as callers see it. What it cost us is not in it."""
    return {
        "id": task.id, "object": "task", "customer": office.directory.name(task.customer), "type": task.type,
        "status": "open" if task.closed_t is None else "closed", "closed_because": task.why or None,
        "opened": iso(task.opened_t), "closed": None if task.closed_t is None else iso(task.closed_t),
        "calls": task.calls, "charged_by": task.metric or "request", "outcome": task.outcome or None,
        "outcome_due": None if task.due_t is None else iso(task.due_t), "charged": task.is_charged,
        "charged_nusd": task.charged_nusd,
    }  # fmt: skip


COMMANDS = {"tasks.open": open_, "tasks.close": close, "tasks.get": get, "tasks.join": join, "tasks.cost": cost,
            "outcomes.tell": judge}  # fmt: skip
