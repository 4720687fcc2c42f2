"""The journal's vocabulary: one function per kind of record, so that the format is written down once.

Short keys, because every exchange writes two records: ``k`` kind, ``x`` exchange, ``t`` nanoseconds since 1970 UTC,
``c`` customer number (never a name: names live in a side table that can be erased). Credits are milli-credits, money is
nano-dollars. A field that is unknown is absent or null, never 0.

Workers write *held* with the first call inside it, *called* for each further one, *mark*, *settled*, *void*, and
*repeated* for what was answered from memory. The keeper writes everything else, and the same *settled* and *void* for
exchanges whose worker died. What somebody asked it to do carries ``by``: who that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

Record = dict[str, Any]

Outcome = Literal["ok", "error", "client_gone", "cut", "recovered"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "error", "client_gone", "cut", "recovered")
"""How a settled exchange ended: whole answer; provider failed after it may have billed; the client left and we read on,
or its key ended; the provider's stream broke off; settled by the keeper for a worker that died."""

CostKind = Literal["model", "estimated", "failed", "classifier", "shadow"]
Sake = Literal["escalation", "hedge"]
"""What a call was made for that did not give the answer, although it was answered or might have been."""

COST_KINDS: tuple[CostKind, ...] = ("model", "estimated", "failed", "classifier", "shadow")
"""What a cost line stands on: usage the provider reported; our estimate, in suspense until reconciled; an attempt whose
answer nobody got. *classifier* and *shadow* are usage that the provider reported, too, of calls beside an exchange."""

OtherCost = Literal["tool", "human", "compute"]
OTHER_COSTS: tuple[OtherCost, ...] = ("tool", "human", "compute")
"""What work costs beside calls of models, as somebody told it: a tool's fee, a person's time, machines."""

Aside = Literal["classifier", "shadow"]
ASIDES: tuple[Aside, ...] = ("classifier", "shadow")
"""Calls that we make beside a customer's exchange and for ourselves: a model asked how hard the request is, and the
same request asked of another tier. Each is an exchange of its own, of no credits, that is never charged."""


SURE = frozenset({"model", *ASIDES})
"""The kinds of cost lines that stand on the provider's own word."""


def aside(x: str, kind: Aside) -> str:
    """Return the name of a call beside an exchange: the exchange's, with the kind behind it."""
    return f"{x}.{kind}"


def aside_of(x: str) -> Aside | None:
    """Return what kind of call beside an exchange bears a name; None of an exchange itself."""
    _, _, kind = x.rpartition(".")
    return next((each for each in ASIDES if each == kind), None) if kind != x else None


def sure_kind(x: str) -> CostKind:
    """Return what a cost line is whose usage the provider reported."""
    return aside_of(x) or "model"


# ---- written by workers --------------------------------------------------------------------------------------------


def opened(*, t: int, role: str, version: str, folder: str | None = None) -> Record:
    """First record of every file. `folder` is the id of the data folder it belongs to; 0.1.0's have none."""
    return {"k": "opened", "t": t, "role": role, "format": 1, "version": version,
            **({} if folder is None else {"folder": folder})}  # fmt: skip


def held(
    *, x: str, t: int, customer: int, key: str, plan: str, plan_version: str, charge_tier: str, served_tier: str,
    credits_milli: int, deadline_t: int, metered: bool = False,
    claim: tuple[str, str] | None = None, feature: str | None = None, member: str | None = None,
    task: str | None = None,
) -> Record:  # fmt: skip
    """Credits put aside before anything is sent. `deadline_t`: no exchange lives longer; then the reaper acts.

    `metered`: the charge follows from the usage, so it may be more than what is held here. `claim`: digests of the
    caller's idempotency key and of its request, when it sent a key. `feature`: what it was for, if that is counted.
    `member`: a keyed digest of which of the customer's members it was for, if that is counted. `task`: which one it
    belongs to.
    """
    return {"k": "held", "x": x, "t": t, "c": customer, "key": key, "plan": plan, "pv": plan_version,
            "tier": charge_tier, "served": served_tier, "cr": credits_milli, "dl": deadline_t,
            **({"met": 1} if metered else {}), **({} if claim is None else {"i": list(claim)}),
            **({} if feature is None else {"f": feature}), **({} if member is None else {"mb": member}),
            **({} if task is None else {"tk": task})}  # fmt: skip


def called(
    *, x: str, t: int, attempt: int, provider: str, deployment: str, model: str, card: str | None,
    input_estimate: int, input_cost_nusd: int | None, before: Sequence[Record] = (), most_nusd: int | None = None,
) -> Record:  # fmt: skip
    """The intent to send, written before the first byte goes upstream.

    `input_cost_nusd` is what the input alone is estimated to cost: all that is known if the process dies before an
    answer. `before` are the cost lines of the attempts that failed before this one. `most_nusd` is the ceiling that a
    stated budget holds for it: what it counts there if nobody learns what it cost.
    """
    return {"k": "called", "x": x, "t": t, "n": attempt, "p": provider, "d": deployment, "m": model, "card": card,
            "in": input_estimate, "inc": input_cost_nusd, **({"a": list(before)} if before else {}),
            **({} if most_nusd is None else {"max": most_nusd})}  # fmt: skip


def begun(hold: Record, call: Record) -> Record:
    """A hold and its first call as one record: both are on file before the first byte goes upstream."""
    first = call.copy()
    del first["k"], first["x"]
    return {**hold, "call": first}


def mark(
    *, x: str, t: int, output_estimate: int, cost_nusd: int | None, call_id: str | None = None,
    credits_milli: int | None = None,
) -> Record:  # fmt: skip
    """A checkpoint of a running stream: tokens relayed so far and what all of it is estimated to cost.

    `call_id` is the provider's name of the call: with it the bill can be found later, should we die before the end.
    `credits_milli` is what a metered exchange is estimated to be charged so far; None when its price is fixed.
    """
    return {"k": "mark", "x": x, "t": t, "out": output_estimate, "cost": cost_nusd,
            **({} if call_id is None else {"id": call_id}),
            **({} if credits_milli is None else {"cr": credits_milli})}  # fmt: skip


def attempt(
    *, n: int, provider: str, deployment: str, model: str, card: str | None, kind: CostKind,
    usage: dict[str, int] | None, cost_nusd: int | None, call_id: str | None, status: int | None,
    service_tier: str | None = None, most_nusd: int | None = None, sake: Sake | None = None,
) -> Record:  # fmt: skip
    """One call to a provider inside *settled* or *void*: a cost line. Unknown cost is null.

    `service_tier` is which of the provider's service tiers it was billed in, if not its standard one. `most_nusd` is
    what budgets count of it, as nobody knows what it cost. `sake`: its answer was not good enough (*escalation*), or
    another was faster (*hedge*).
    """
    return {"n": n, "p": provider, "d": deployment, "m": model, "card": card, "kind": kind, "u": usage,
            "cost": cost_nusd, "id": call_id, "st": status,
            **({} if service_tier is None else {"svc": service_tier}),
            **({} if sake is None else {"for": sake}),
            **({} if most_nusd is None else {"max": most_nusd})}  # fmt: skip


def lost(call: Record) -> Record:
    """The cost line of a call nobody saw the answer of: its input's cost, as far as it is known."""
    return attempt(
        n=call["n"], provider=call["p"], deployment=call["d"], model=call["m"], card=call["card"], kind="failed",
        usage={"input": call["in"]}, cost_nusd=call["inc"], call_id=None, status=None, most_nusd=call.get("max"),
    )  # fmt: skip


def settled(
    *, x: str, t: int, outcome: Outcome, credits_milli: int, attempts: list[Record],
    baseline_nusd: int | None, decision: Record, marks_nusd: int | None = 0, trims_nusd: int = 0,
) -> Record:  # fmt: skip
    """The one charge of an exchange, with every cost line under it and the record of why it went where it went.

    `marks_nusd` is what marking it for the provider's prompt cache saved, below zero where that cost more.
    `trims_nusd` is the part of the baseline that was left out of the prompt.
    """
    return {"k": "settled", "x": x, "t": t, "o": outcome, "cr": credits_milli, "a": attempts, "base": baseline_nusd,
            "dec": decision, **({} if marks_nusd == 0 else {"marks": marks_nusd}),
            **({} if trims_nusd == 0 else {"trims": trims_nusd})}  # fmt: skip


def repeated(
    *, hold: Record, t: int, credits_milli: int, deployment: str, model: str, spared_nusd: int | None,
    baseline_nusd: int | None, decision: Record,
) -> Record:  # fmt: skip
    """An answer given from memory: the hold, which was not written, and its charge in one. Nobody was called.

    `deployment` and `model` made the answer when it was first given. `spared_nusd` is what the call would have cost
    that was not made; `decision` says whose answer it is: why that one was routed as it was stands there.
    """
    return {**hold, "k": "repeated", "t": t, "o": "ok", "cr": credits_milli, "a": [], "d": deployment, "m": model,
            "spared": spared_nusd, "base": baseline_nusd, "dec": decision}  # fmt: skip


def void(*, x: str, t: int, why: str, attempts: list[Record]) -> Record:
    """The hold goes back whole; `attempts` that may have cost something keep their cost lines."""
    return {"k": "void", "x": x, "t": t, "why": why, "a": attempts}


# ---- written by the keeper ------------------------------------------------------------------------------------------


def fold(*, t: int, journal: str, start: int, end: int) -> Record:
    """Bytes [start, end) of a worker's journal enter the ledger here. This is the order of everything."""
    return {"k": "fold", "t": t, "j": journal, "from": start, "to": end}


def sellbook(*, t: int, version: str, default: str, plans: dict[str, Record]) -> Record:
    """The plans from here on, by name; see `margin.ledger.terms.Terms` for the fields of one."""
    return {"k": "sellbook", "t": t, "version": version, "default": default, "plans": plans}


def customer(*, t: int, customer: int, plan: str) -> Record:
    """A customer begins, on a plan."""
    return {"k": "customer", "t": t, "c": customer, "plan": plan}


def moved(*, t: int, customer: int, plan: str) -> Record:
    """A customer moves to another plan, now."""
    return {"k": "moved", "t": t, "c": customer, "plan": plan}


def seats(*, t: int, customer: int, count: int) -> Record:
    """A customer has so many seats from here on."""
    return {"k": "seats", "t": t, "c": customer, "n": count}


def described(*, t: int, customer: int, segment: str, persona: str) -> Record:
    """What group a customer is in, and who uses it there, from here on; empty for none."""
    return {"k": "described", "t": t, "c": customer, "segment": segment, "persona": persona}


def delivered(*, t: int, id: str, customer: int, item: str, count: int) -> Record:  # noqa: A002
    """Somebody says that so many of an item of the customer's plan were delivered; `id` counts once, for ever."""
    return {"k": "delivered", "t": t, "id": id, "c": customer, "item": item, "n": count}


def key(
    *, t: int, id: str, digest: str, customer: int, scopes: list[str], terms: Record | None = None,  # noqa: A002
    replaces: str | None = None,
) -> Record:  # fmt: skip
    """A key begins. `digest` is the SHA-256 of the whole key, in hex.

    `terms` is what the key allows beyond its scopes, by name, without those that bound nothing; the books keep them and
    do not read them. `replaces` is the key it was made for, by id.
    """
    return {"k": "key", "t": t, "id": id, "digest": digest, "c": customer, "scopes": scopes,
            **({"terms": terms} if terms else {}), **({} if replaces is None else {"for": replaces})}  # fmt: skip


def keys_imported(*, t: int, keys: list[Record]) -> Record:
    """Several keys begin, all or none; each is the record of one without its kind and moment."""
    return {"k": "keys_imported", "t": t, "keys": [_of_import(each) for each in keys]}


def _of_import(record: Record) -> Record:
    return {name: value for name, value in record.items() if name not in {"k", "t"}}


def key_changed(*, t: int, id: str, diff: list[list[Any]]) -> Record:  # noqa: A002
    """What a key allows from here on; `diff` lists [name, before, after], null for a term that bounds nothing.

    `scopes` stands among the names. `metadata` does, too, without what it says, which is in no journal.
    """
    return {"k": "key_changed", "t": t, "id": id, "diff": diff}


def key_revoked(*, t: int, id: str) -> Record:  # noqa: A002
    """A key ends."""
    return {"k": "key_revoked", "t": t, "id": id}


def grant(
    *, t: int, id: str, customer: int, credits_milli: int, paid_nusd: int, expires_t: int | None,  # noqa: A002
    priority: int = 50,
) -> Record:  # fmt: skip
    """Credits are given; `paid_nusd` 0 makes them promotional: burning them is no revenue."""
    return {"k": "grant", "t": t, "id": id, "c": customer, "cr": credits_milli, "paid": paid_nusd, "exp": expires_t,
            "prio": priority}  # fmt: skip


def card(*, t: int, id: str, levels: list[Any]) -> Record:  # noqa: A002
    """A price card that calls may be booked by from here on; see `margin.rerating.write_card` for the levels."""
    return {"k": "card", "t": t, "id": id, "levels": levels}


def costbook(*, t: int, version: str, models: list[list[Any]]) -> Record:
    """What a version of the cost book says of the models in use: [provider, model, history by card ids]."""
    return {"k": "costbook", "t": t, "version": version, "models": models}


def reversed_charge(
    *, x: str, t: int, customer: int, credits_milli: int, burnt: Sequence[Sequence[Any]], row: Sequence[str], why: str,
    rated: Sequence[Sequence[Any]] = (),
) -> Record:  # fmt: skip
    """A charge is taken back whole. `burnt` is what it took of which grants, as it was booked; `row` where it counts.

    `rated` is what it was charged by quantity: meter, plan, month, quantity and nano-dollars of each.

    See `margin.ledger.burning.Burnt` for one part. `row`: plan, both tiers, provider, model, outcome.
    """
    return {"k": "reversed", "x": x, "t": t, "c": customer, "cr": credits_milli, "burnt": list(burnt),
            "row": list(row), "why": why, **({"rated": [list(each) for each in rated]} if rated else {})}  # fmt: skip


def task_opened(
    *, t: int, id: str, customer: int, plan: str, type: str, terms: str,  # noqa: A002
    event: tuple[str, str] | None = None,
) -> Record:  # fmt: skip
    """A task begins; see `margin.ledger.tasks.Task` for its terms, which stay as they are.

    `event` here and below: digests of the idempotency key it was asked for under, and of what was asked.
    """
    return {"k": "task_opened", "t": t, "id": id, "c": customer, "plan": plan, "type": type, "terms": terms,
            **_event(event)}  # fmt: skip


def task_closed(*, t: int, id: str, why: str, event: tuple[str, str] | None = None) -> Record:  # noqa: A002
    """A task ends: *done* or *idle*, which charge it or await its outcome, or *abandoned*, which charges nothing."""
    return {"k": "task_closed", "t": t, "id": id, "why": why, **_event(event)}


def outcome(*, t: int, id: str, outcome: str, at: int, event: tuple[str, str] | None = None) -> Record:  # noqa: A002
    """What came of a task, at which moment; *assumed* is the keeper's own word when the window has passed."""
    return {"k": "outcome", "t": t, "id": id, "o": outcome, "at": at, **_event(event)}


def task_cost(
    *, t: int, id: str, task: str, kind: OtherCost, nusd: int, at: int, event: tuple[str, str] | None = None,  # noqa: A002
) -> Record:  # fmt: skip
    """Something that a task cost beside its calls, at which moment; below zero, what of it was wrong."""
    return {"k": "task_cost", "t": t, "id": id, "task": task, "kind": kind, "nusd": nusd, "at": at, **_event(event)}


def _event(event: tuple[str, str] | None) -> Record:
    return {} if event is None else {"ev": list(event)}


def configured(*, t: int, version: str, before: str | None, diff: list[list[Any]]) -> Record:
    """The configuration from here on, for the trail; `diff` lists [path, before, after], secrets redacted.

    Against nothing at the first start, so that the values at any moment are the sum of what was written.
    """
    return {"k": "configured", "t": t, "version": version, "before": before, "diff": diff}


def budgets_spent(*, t: int, budgets: list[list[Any]]) -> Record:
    """Budgets are spent, and this was told: each as [kind, id, name, the first hour of its period since 1970]."""
    return {"k": "budgets_spent", "t": t, "budgets": budgets}


def runaway(*, t: int, customer: int, cost_nusd: int, usual_nusd: int, paused: str | None) -> Record:
    """A customer costs far more a minute than it usually does; `paused` is the key that was stopped for it, if any."""
    return {"k": "runaway", "t": t, "c": customer, "cost": cost_nusd, "usual": usual_nusd, "paused": paused}


def guarded(
    *, t: int, customer: int, plan: str, steps: Sequence[str], margin_ppm: int | None, floor_ppm: int | None,
    short_nusd: int | None,
) -> Record:  # fmt: skip
    """The margin guard takes a step with a customer, or takes one back; `steps` are those that hold from here on.

    Margin and floor are in millionths; no margin is that of a customer without revenue. `short_nusd` is what is missing
    to the floor in the period. Without a floor the guard has let go of it.
    """
    return {"k": "guarded", "t": t, "c": customer, "plan": plan, "steps": list(steps), "margin": margin_ppm,
            "floor": floor_ppm, "short": short_nusd}  # fmt: skip


def corrected(
    *, x: str, n: int, revision: int, t: int, customer: int, plan: str, charge_tier: str, served_tier: str,
    before: Record, after: Record, why: str, source: str,
) -> Record:  # fmt: skip
    """One cost line was booked wrongly and is right from here on; nothing that was booked is changed.

    `x` and `n` name the cost line, `revision` counts its corrections from 1. `before` and `after` are whole cost lines
    (see `attempt`): what is taken out of the books, and what takes its place. `source` says what taught us better, such
    as an export's digest.
    """
    return {"k": "corrected", "x": x, "n": n, "r": revision, "t": t, "c": customer, "plan": plan, "tier": charge_tier,
            "served": served_tier, "before": before, "after": after, "why": why, "src": source}  # fmt: skip


def reconciled(
    *, t: int, account: str, source: str, explained_ppb: int | None, difference_nusd: int | None, differences: int,
    corrected: int,
) -> Record:  # fmt: skip
    """The books were compared with a provider's account.

    `account` is the kind of export, `source` its digest. `explained_ppb`: the explained share in billionths, None
    when nothing was billed. `difference_nusd`: booked minus billed, None when the account states no dollars.
    `differences` counts what does not match, `corrected` the cost lines that were corrected by it.
    """
    return {"k": "reconciled", "t": t, "acct": account, "src": source, "ppb": explained_ppb, "diff": difference_nusd,
            "n": differences, "fixed": corrected}  # fmt: skip


def archived(*, t: int, before: str, manifest: str) -> Record:
    """What was folded before a month is archived; `manifest` is the SHA-256 of what says which journals those are."""
    return {"k": "archived", "t": t, "before": before, "manifest": manifest}


def forgot(*, t: int, until_t: int) -> Record:
    """Of charges from before `until_t`, why they were routed as they were is not kept any more; see `forgetting`."""
    return {"k": "forgot", "t": t, "u": until_t}


def tick(*, t: int) -> Record:
    """Time passes: fees accrue to here, grants that ended expire, included credits of a new period are given."""
    return {"k": "tick", "t": t}
