"""What keys of the scope `admin` ask for over HTTP: commands, in the name of the key, and once per idempotency key.

Answers are kept in memory only: one of them may hold a new key, which is on no disk. What must not happen twice has a
name that follows from the idempotency key, so that also after a restart a grant is given, and a key made, only once.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

from proxy.keeper.commands import performed
from proxy.keeper.frames import Message
from proxy.keeper.office import NS, Office

ALLOWED = frozenset({
    "keys.create", "keys.list", "keys.change", "keys.rotate", "keys.revoke", "customers.create", "customers.move",
    "customers.list", "credits.grant", "credits.balance", "labels.give", "labels.compare",
    "customers.seats", "customers.deliver", "report.statement", "plans.list", "tasks.list", "tasks.show", "tasks.end",
    "tasks.open", "tasks.close", "tasks.get", "tasks.join", "tasks.cost", "outcomes.tell",
    "page.figures", "page.charges", "page.customer",
})  # fmt: skip
"""A worker may ask for these, and for nothing else that commands can do."""
KEPT_NS = 24 * 3600 * NS
"""As long as Stripe keeps them."""
KEPT_MAX = 1_000
"""Some megabyte. Keys and grants are made by the dozen, not by the second."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was answered, to which request, and when."""

    request: str
    t: int
    answer: Message


class Administration:
    """Performs what admin keys ask for."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        """In the order in which they were answered."""

    def perform(self, asked: Message) -> Message:
        """Return what a command answers; with an idempotency key, what it answered the first time.

        Besides the answers of `commands.perform`: ``{"reused": True}`` when the key was another request's, and
        ``{"gone": sentence}`` when it was this one's and the answer is no longer known.
        """
        name, args = asked["command"], asked["args"]
        if name not in ALLOWED:
            return {"refused": f"no key may ask for {name}", "param": None, "unknown": True}
        by = f"key {asked['key']}"
        if asked["claim"] is None:
            return performed(self._office, name, args, by=by)
        claim = sha256(f"{asked['key']}\n{asked['claim']}".encode()).hexdigest()
        return self._once(claim, asked["request"], name, args, by)

    def _once(self, claim: str, request: str, name: str, args: Message, by: str) -> Message:
        self._forget_old()
        kept = self._kept.get(claim)
        if kept is not None:
            return kept.answer if kept.request == request else {"reused": True}
        named = claim[:12]
        before = self._before(named, name, args, by)
        answer = performed(self._office, name, args | {"name": named}, by=by) if before is None else before
        if "result" in answer:
            self._kept[claim] = _Kept(request, time.time_ns(), answer)
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return answer

    def _before(self, named: str, name: str, args: Message, by: str) -> Message | None:
        """Return what can still be said of a request that was answered before we began; None if it was not."""
        if named in self._office.books.state.keys and name in {"keys.create", "keys.rotate"}:
            return {"gone": f"the key {named} was made by this request, and is not shown again; rotate it"}
        grant = self._office.books.state.grant(f"grant_{named}") if name == "credits.grant" else None
        if grant is None:
            return None
        if (
            grant.given_milli != args["credits_milli"]
            or self._office.directory.name(grant.customer) != args["customer"]
        ):
            return {"reused": True}
        balance = performed(self._office, "credits.balance", {"customer": args["customer"]}, by=by)
        return {"result": {"grant": grant.id, **balance["result"]}} if "result" in balance else balance

    def _forget_old(self) -> None:
        before_t = time.time_ns() - KEPT_NS
        while self._kept and next(iter(self._kept.values())).t < before_t:
            self._kept.popitem(last=False)
