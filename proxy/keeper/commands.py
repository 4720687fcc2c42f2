"""What a command may ask of the keeper, by name.

The same functions answer a running server's control socket and a command that holds the lock itself.

Reads first fold everything journalled before they were asked. Results are JSON values; amounts are JSON numbers,
`_nusd` integers, unknown null.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from margin.ledger import audit, capacity, heads, questions, trail
from margin.ledger.capacity import NoRoom
from margin.ledger.heads import HeadsError
from margin.ledger.questions import SavingsRow
from margin.ledger.store import LedgerBusy
from proxy.keeper import credits, guarding, keys, labelling, overseeing, reporting, selling, showing, studies, working
from proxy.keeper.auditor import known
from proxy.keeper.changes import ledger_changes
from proxy.keeper.explaining import explain_charge
from proxy.keeper.noting import key_path
from proxy.keeper.office import Office, UnknownName
from proxy.keeper.refusing import Args, Lacks, Refused
from proxy.keeper.words import check_name, day, iso

log = logging.getLogger("penstock")


def customers_create(office: Office, args: Args) -> Any:
    """Open a customer on a plan."""
    check_name(args["customer"])
    if office.is_customer(args["customer"]):
        raise Refused(f'the customer "{args["customer"]}" exists')
    _check_included(office, args["plan"])
    number = office.open_customer(args["customer"], args["plan"])
    return {"customer": args["customer"], "plan": office.books.state.customers[number].plan}


def customers_move(office: Office, args: Args) -> Any:
    """Put a customer on another plan."""
    _check_included(office, args["plan"])
    office.move_customer(args["customer"], args["plan"])
    return {"customer": args["customer"], "plan": args["plan"]}


def _check_included(office: Office, plan: str | None) -> None:
    """Refuse a customer whose plan includes more credits than the books can count."""
    book = office.settings.sellbook
    terms = book.plans.get(book.default if plan is None else plan)
    if terms is not None:
        capacity.check_grant(office.books.store.db, terms.credits.included_milli, 0)


def customers_list(office: Office, args: Args) -> Any:
    """List customers with their plans, in the order in which they came: all, or a part of them."""
    known = sorted(office.books.state.customers.items())
    if args.get("after") is not None:
        after = office.number(args["after"])
        known = [pair for pair in known if pair[0] > after]
    return [
        {"customer": office.directory.name(number), "plan": each.plan, "since": iso(each.since_t),
         "segment": each.segment or None, "persona": each.persona or None}
        for number, each in known[: args.get("limit")]
    ]  # fmt: skip


def report_floors(office: Office, _: Args) -> Any:
    """Report how each customer stands to its margin floor, what is missing most first."""
    office.tick()
    numbers = sorted(office.books.state.customers)
    rows = guarding.report(office, numbers, time.time_ns())
    return [row | {"since": None if (t := row.pop("since_t")) is None else iso(t)} for row in rows]


def report_savings(office: Office, args: Args) -> Any:
    """Report the waterfall from baseline to bill by customer, and what routing that only observes would have saved."""
    office.fold_all()
    with questions.snapshot(office.books.store.db) as db:
        rows = questions.savings_by_customer(db, since_day=day(args.get("since")))
    customers = [{"customer": office.directory.name(row.customer or 0)} | _saved(row) for row in rows]
    names = [name for name in customers[0] if name != "customer"] if customers else list(_saved(_NOTHING))
    return {"customers": customers, "total": {name: sum(each[name] for each in customers) for name in names}}


_NOTHING = SavingsRow(None, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def _saved(row: SavingsRow) -> dict[str, int]:
    levers = row.prompt_optimisation_nusd + row.response_cache_nusd + row.routing_nusd + row.prompt_cache_nusd
    actual = row.baseline_nusd - (levers - row.overhead_nusd)
    return {"requests": row.requests, "unpriced": row.unpriced, "baseline_nusd": row.baseline_nusd,
            "response_cache_nusd": row.response_cache_nusd, "routing_nusd": row.routing_nusd,
            "prompt_cache_nusd": row.prompt_cache_nusd, "prompt_optimisation_nusd": row.prompt_optimisation_nusd,
            "escalated_nusd": row.escalated_nusd, "hedged_nusd": row.hedged_nusd,
            "overhead_nusd": row.overhead_nusd, "actual_nusd": actual,
            "observed": row.observed, "would_save_nusd": row.would_save_nusd}  # fmt: skip


def ledger_verify(office: Office, _: Args) -> Any:
    """Check the books against themselves, the journals, and what the journals make of them.

    Where nobody serves, this process has the time; a server has another one do it (`proxy.keeper.auditor`).
    """
    told, data_dir = known(office), office.settings.server.data_dir
    lost = list(heads.lost(data_dir, key_path(office.settings), office.books.state.journals))
    office.tick()  # it may note heads, and there they are again
    verdict = audit.audit(data_dir, office.progress, told)
    return shown(replace(verdict, ok=verdict.ok and not lost, violations=(*verdict.violations, *lost)))


def ledger_heads(office: Office, _: Args) -> Any:
    """Note where the journals' chains stand; who asks reads the file."""
    office.fold_all()
    try:
        office.noting.note(office.settings)
    except (HeadsError, OSError) as error:
        raise Refused(f"the heads of the journals cannot be noted: {error}") from None
    return {"folder": office.books.folder_id}


def shown(verdict: audit.Verdict) -> dict[str, Any]:
    """Return a verdict as commands answer it."""
    return {"ok": verdict.ok, "transactions": verdict.transactions, "imbalance_nusd": verdict.imbalance_nusd,
            "open_holds": verdict.open_holds, "violations": list(verdict.violations),
            "rounding": verdict.rounding}  # fmt: skip


COMMANDS: dict[str, Callable[[Office, Args], Any]] = {
    "keys.create": keys.create,
    "keys.list": keys.listed,
    "keys.change": keys.change,
    "keys.rotate": keys.rotate,
    "keys.revoke": keys.revoke,
    "keys.import": keys.import_,
    "customers.create": customers_create,
    "customers.move": customers_move,
    "customers.list": customers_list,
    "credits.grant": credits.grant,
    "credits.list": credits.listed,
    "credits.balance": credits.balance,
    "ledger.reverse": credits.reverse,
    **{name: partial(studies.perform, name) for name in studies.STUDIES},
    **labelling.COMMANDS,
    **showing.COMMANDS,
    **working.COMMANDS,
    **overseeing.COMMANDS,
    **selling.COMMANDS,
    **reporting.COMMANDS,
    "report.floors": report_floors,
    "report.savings": report_savings,
    "ledger.changes": ledger_changes,
    "ledger.verify": ledger_verify,
    "ledger.heads": ledger_heads,
    "explain.charge": explain_charge,
}


NO = (LedgerBusy, UnknownName, NoRoom, Refused)
"""What a command may raise that is an answer."""


def no(error: BaseException) -> dict[str, Any]:
    """Return how a command answers that could not, or would not."""
    if isinstance(error, LedgerBusy):
        return {"failed": f"the ledger cannot be written now ({error}); try again later"}
    param = error.param if isinstance(error, Refused) else None
    found = {"refused": str(error), "param": param, "unknown": isinstance(error, UnknownName)}
    if isinstance(error, Lacks):
        return found | {"lacks": error.what}
    return found | {"conflict": True} if isinstance(error, working.Conflict) else found


def performed(office: Office, name: str, args: Args, *, by: str) -> dict[str, Any]:
    """Do so, whatever happens: a bug in one command must not take the keeper, or leave who asked without a word."""
    try:
        return perform(office, name, args, by=by)
    except Exception:
        # Its own traceback in the log; who asked learns only that it was us.
        log.exception("the command %s failed", name)
        return {"failed": "the server failed at this command; its log says why"}


def perform(office: Office, name: str, args: Args, *, by: str) -> dict[str, Any]:
    """Run one command for whoever asks (`by`).

    The answer is ``{"result": …}``, or ``{"refused": sentence, "param": field or null, "unknown": bool}`` with whether
    what was named is not there, or ``{"failed": sentence}`` while the ledger is locked.
    """
    command = COMMANDS.get(name)
    if command is None:
        said = f"the server knows no command {name}; is it of another version?"
        return {"refused": said, "param": None, "unknown": True}
    office.acting = by
    try:
        office.try_again()
        return {"result": command(office, args)}
    except NO as error:
        return no(error)
    finally:
        office.acting = trail.KEEPER
