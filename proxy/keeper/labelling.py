"""What is done with the label store: a word about an answer kept, outcomes looked for in the ledger, labels erased.

Labels move no charge, and nothing that is served: only weights that an operator has refitted, and configured, do.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from classifiers import TIERS
from margin.ledger import questions
from margin.ledger.questions import Decided
from proxy.keeper.labels import Kept, LabelStore
from proxy.keeper.office import NS, Office, UnknownName
from proxy.keeper.refusing import Args, Refused
from proxy.settings import Labels

_ORDER: tuple[str, ...] = TIERS
LOOKED_AT_MAX = 20_000
"""Charges of one look: a third of a second. The keeper's loop answers nobody meanwhile."""


def give(office: Office, args: Args) -> Any:
    """Keep a customer's word about an answer to it: `good`, or the lowest tier `needed`, or both."""
    bounds = _bounds(office)
    charge = _charge(office, args["customer"], args["id"])
    ask = charge["decision"].get("ask")
    if ask is None:
        raise Refused(f"nothing is kept of the exchange {args['id']} to learn from")
    served = charge["served_tier"]
    row = Decided(0, charge["x"], charge["customer"], time.time_ns(), served, charge["decision"])
    label = _label(row, "feedback", args["good"], served)._replace(needed=args["needed"])
    with opened(office) as store, store.transaction():
        _put(office, store, label, bounds)
    return {"id": args["id"], "kept": True}


def compare(office: Office, args: Args) -> Any:
    """Keep what came of an exchange's answer and another tier's: whether the lower tier (`served`) does."""
    bounds = _bounds(office)
    charge = _charge(office, args["customer"], args["id"])
    if charge["decision"].get("ask") is None:
        raise Refused(f"nothing is kept of the exchange {args['id']} to learn from")
    row = Decided(0, charge["x"], charge["customer"], time.time_ns(), charge["served_tier"], charge["decision"])
    label = _label(row, args["source"], args["good"], args["served"])._replace(propensity=args["propensity"])
    with opened(office) as store, store.transaction():
        _put(office, store, label, bounds)
    return {"id": args["id"], "kept": True}


def _put(office: Office, store: LabelStore, label: Kept, bounds: Labels) -> None:
    """Keep a label, and with it what was asked, if that is remembered: only of customers who opted in it is."""
    store.put(label, bounds)
    if bounds.prompts is not None:
        text = office.prompts.find(label.customer, label.x, bounds.prompts.ttl_s)
        if text is not None:
            store.keep_prompt(label.customer, label.x, time.time_ns(), text)


def _expire(store: LabelStore, bounds: Labels) -> None:
    """Drop what is too old; where nobody opts in any more, every prompt."""
    now = time.time_ns()
    prompts_s = 0.0 if bounds.prompts is None else bounds.prompts.ttl_s
    store.expire(now - int(bounds.ttl_s * NS), now - int(prompts_s * NS))


def remember(office: Office, customer: int, x: str, text: str) -> None:
    """Remember what an exchange of a customer who opted in asks, until a label is made of it."""
    bounds = office.settings.classifier.labels
    if bounds is not None and bounds.prompts is not None:
        office.prompts.keep(customer, x, text, bounds.prompts.bytes_max, bounds.prompts.ttl_s)


def _charge(office: Office, customer: int, id_: str) -> dict[str, Any]:
    """Return a customer's exchange; of an answer from memory the one that it repeats."""
    db = office.books.store.db
    found = questions.charge(db, id_)
    if found is None:
        office.fold_all()  # it may have ended a moment ago
        found = questions.charge(db, id_)
    if found is None or found["customer"] != customer:
        raise UnknownName(f'there is no exchange "{id_}"')
    repeated = found["decision"].get("of")
    return found if repeated is None else _charge(office, customer, repeated)


def gather(office: Office, _: Args) -> Any:
    """Look for outcomes in what was booked since the last look; return how many labels there are.

    An answer that failed a check, and an ask that came again within the time for it, of a stronger tier or because its
    answer was wrong, say that what served did not do.
    """
    bounds = _bounds(office)
    office.fold_all()
    with opened(office) as store:
        while True:
            reached = store.reached()
            charges = questions.decided(office.books.store.db, reached, int(bounds.retry_s * NS), LOOKED_AT_MAX)
            last = charges[-1].row if charges else reached
            with store.transaction():
                for label in _outcomes(charges, reached, bounds):
                    _put(office, store, label, bounds)
                _expire(store, bounds)
                store.reach(last)
            if last <= reached:
                return {"labels": len(store.everything())}


def _outcomes(charges: list[Decided], reached: int, bounds: Labels) -> Iterator[Kept]:
    """Yield what charges beyond the row say: what was said before may have been erased since."""
    asked: dict[tuple[int, str], Decided] = {}
    for charge in charges:
        ask = charge.decision.get("ask")
        if ask is None:
            continue
        earlier = asked.get((charge.customer, ask["same"]))
        asked[charge.customer, ask["same"]] = charge
        if charge.row <= reached:
            continue
        for _, tier, _ in charge.decision.get("escalated", ())[:1]:
            yield _label(charge, "escalation", good=False, served=tier)
        if earlier is None or charge.t - earlier.t > bounds.retry_s * NS:
            continue
        if charge.decision["features"].get("failed_before"):
            yield _label(earlier, "retry", good=False, served=earlier.served)
        elif _is_above(charge.served, earlier.served):
            yield _label(earlier, "escalation", good=False, served=earlier.served)


def _is_above(one: str, other: str) -> bool:
    return _ORDER.index(one) > _ORDER.index(other)


def _label(charge: Decided, source: str, good: bool | None, served: str) -> Kept:
    decision = charge.decision
    _, medium, hard = decision["probabilities"]
    features = b64decode(decision["ask"]["features"])
    # A tier is chosen without chance: what served was certain to.
    return Kept(
        charge.customer, charge.x, source, charge.t, good, served, None, decision["task"], medium, hard, 1.0, features
    )


def erase(office: Office, args: Args) -> Any:
    """Forget the labels and prompts of a customer, or, where none is named, all."""
    number = None if args["customer"] is None else office.number(args["customer"])
    office.prompts.erase(number)
    with opened(office) as store:
        with store.transaction():
            erased = store.erase(number)
        store.compact()
    return {"erased": erased}


@contextmanager
def opened(office: Office) -> Iterator[LabelStore]:
    """Open the store for a moment."""
    store = LabelStore(office.settings.server.data_dir)
    try:
        yield store
    finally:
        store.close()


def _bounds(office: Office) -> Labels:
    bounds = office.settings.classifier.labels
    if bounds is None:
        raise Refused("nothing is kept to learn from: classifier.labels.enabled is false")
    return bounds


COMMANDS: Mapping[str, Any] = {
    "labels.give": give, "labels.compare": compare, "labels.gather": gather, "labels.erase": erase,
}  # fmt: skip
