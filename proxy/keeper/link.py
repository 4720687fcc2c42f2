"""A worker's line to the keeper: asks for leases and customers, hears of changes, and knows when the keeper is gone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import asdict
from itertools import count
from typing import Any

import orjson

from proxy.admission import FILL_DEADLINE_S, KeeperAway, Lease, Wallets
from proxy.idempotency import Claim
from proxy.identity import Identity
from proxy.keeper.frames import LINE_BYTES_MAX, Frames, Message
from proxy.limits.guard import Away, Guard, No, Question
from proxy.limits.shares import Name
from proxy.routing.guard import Acts, acts_of

COMMAND_DEADLINE_S = 15.0
"""A command is told to every worker before it is answered, and one that hangs is waited for five seconds."""


class KeeperLink:
    """The keeper, as a worker sees it: `Lender` for admission, `Keeper` for the exchange."""

    def __init__(self, frames: Frames, identity: Identity) -> None:
        self.on_reload: Callable[[], str] = lambda: ""
        """Reads the configuration again and returns the version that serves now."""
        self.is_broken: Callable[[], bool] = lambda: False
        """Tells whether a disk error closed the journal."""
        self.resting: Callable[[], list[str]] = list
        """Names the deployments that are left alone, as their calls fail."""
        self.on_pins: Callable[[list[list[Any]]], None] = lambda _: None
        """Takes in which conversations another worker answered."""
        self._frames, self._identity = frames, identity
        self.wallets = Wallets(self)
        self.guard = Guard(self)
        self.guarded: dict[int, Acts] = {}
        """What the margin guard does to a customer's requests."""
        self.alerted: dict[int, bytes] = {}
        """How far a customer has used up what its plan includes, once it was told of: a header of its answers."""
        self.why_unready: str | None = "the keeper has not said that all parts answer"
        """What the keeper said is wrong; None: all parts answer."""
        self.is_gone = False
        self.told = asyncio.Event()
        """Set once everything that was so at our start is known here."""
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = count(1)

    @classmethod
    async def open(cls, fd: int, identity: Identity) -> KeeperLink:
        """Take over the socket the keeper handed down."""
        line = socket.socket(fileno=fd)
        reader, writer = await asyncio.open_unix_connection(sock=line, limit=LINE_BYTES_MAX)
        return cls(Frames(reader, writer), identity)

    def hello(self, journal: str) -> None:
        """Tell the keeper who we are; it answers with everything we must know."""
        self._frames.send({"hello": journal})

    async def listen(self, on_gone: Callable[[], None]) -> None:
        """Follow the keeper's messages until it is gone."""
        async for message in self._frames.receive():
            self._hear(message)
        self.is_gone, self.why_unready = True, "the keeper is gone"
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(KeeperAway())
        on_gone()

    def _hear(self, message: Message) -> None:
        if "answer" in message:
            self._hear_answer(message)
        elif "ping" in message:
            self._frames.send({"pong": True, "broken": self.is_broken(), "resting": self.resting()})
        elif "recall" in message:
            milli = self.wallets.surrender(message["customer"])
            self._frames.send({"returned": message["recall"], "customer": message["customer"], "milli": milli})
        elif "recall_share" in message:
            self._surrender_share(message)
        elif "changes" in message:
            self._learn(message)
        elif "pins" in message:
            self.on_pins(message["pins"])
        elif "told" in message:
            self.told.set()
        elif "reload" in message:
            self._reload(message)
        elif "unready" in message:
            self.why_unready = message["unready"]

    def _hear_answer(self, message: Message) -> None:
        answer = message["answer"]
        if isinstance(answer, dict) and "milli" in answer:
            # Added here and now, also when the asker has given up: what the keeper lent must not be lost, and a
            # recall in the next message must find it.
            self.wallets.add(answer["customer"], Lease(answer["milli"], answer["expires"]))
        elif isinstance(answer, dict) and "share" in answer:
            name = Name.read(answer["share"])
            self.give_back([(name, self.guard.add(name, answer["count"]))])
            self._note_spent(name, answer)
        elif isinstance(answer, dict) and "no" in answer:
            self._note_spent(Name.read(answer["no"]), answer)
        elif isinstance(answer, dict) and "spent_of" in answer:
            for text, said in answer["spent_of"].items():
                self._note_spent(Name.read(text), said)
        waiting = self._answers.pop(message["id"], None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _note_spent(self, name: Name, said: Message) -> None:
        if "spent" in said:  # of a budget, and not of a rate
            self.guard.tell(name, said["spent"], said["resets"])

    def _surrender_share(self, message: Message) -> None:
        name = Name.read(message["name"])
        back, frees = self.guard.surrender(name, message["need"])
        self._frames.send({"share": message["recall_share"], "name": message["name"], "back": back, "frees": frees})

    def give_back(self, shares: list[tuple[Name, int]]) -> None:
        """Tell the keeper of shares that are no longer used here."""
        given = [(name.text, count) for name, count in shares if count]
        if given:
            self._frames.send({"shares": given})

    def _reload(self, message: Message) -> None:
        version = self.on_reload()
        # Limits and plans may be others from here on: shares and leases are asked for anew under the new terms.
        self.give_back(self.guard.surrender_all())
        self._frames.send({"ack": message["number"], "version": version, "leases": self.wallets.surrender_all()})

    def _learn(self, message: Message) -> None:
        returned = [each for change in message["changes"] if (each := self._apply(change)) is not None]
        # A key or a customer's plan may have other limits now: what is unused of theirs is asked for anew.
        self.give_back(self.guard.surrender_of({whose for each in message["changes"] if (whose := _whose(each))}))
        self._frames.send({"ack": message["number"], "leases": returned})

    def _apply(self, change: Message) -> tuple[int, int] | None:
        """Take in one change; return (customer, credits) when it makes us give a lease back."""
        if "member_secret" in change:
            self._identity.member_secret = bytes.fromhex(change["member_secret"])
            return None
        if "guarded" in change:
            self._guard(change["guarded"], acts_of(tuple(change["steps"])))
            return None
        if "alerted" in change:
            self._alert(change["alerted"], change["words"].encode())
            return None
        if "name" in change:
            self._identity.put_customer(change["customer"], change["name"], change["plan"])
        elif "digest" in change:
            self._identity.put_key(
                change["key"], change["digest"], change["customer"], change["scopes"], change["terms"]
            )
            return None
        elif "revoked" in change:
            self._identity.drop_key(change["revoked"])
            return None
        # A new plan or a new grant: what we hold of the customer goes back, and the next request asks anew.
        customer = change["granted"] if "granted" in change else change["customer"]
        return customer, self.wallets.surrender(customer)

    def _alert(self, customer: int, words: bytes) -> None:
        if words:
            self.alerted[customer] = words
        else:
            self.alerted.pop(customer, None)

    def _guard(self, customer: int, acts: Acts | None) -> None:
        if acts is None:
            self.guarded.pop(customer, None)
        else:
            self.guarded[customer] = acts

    # ---- what the exchange asks -------------------------------------------------------------------------------------

    async def lease(self, customer: int, need_milli: int, wish_milli: int, returned_milli: int) -> bool:
        """Ask for credits, which are in the wallet when this returns; False when the customer has less than needed.

        Raises:
            KeeperAway: no answer in time.
        """
        asked = {"customer": customer, "need": need_milli, "wish": wish_milli, "returned": returned_milli}
        answer = await self._ask({"ask": "lease"} | asked)
        if answer == "unknown":
            raise KeeperAway
        if "short" in answer:
            self.wallets.short_milli[customer] = answer["short"]
            return False
        return True

    async def lend_share(self, question: Question) -> No | None:
        """Ask for a share of a limit, which is added when this returns; or hear a no.

        Raises:
            Away: no answer in time.
        """
        asked = {"name": question.name.text, "limit": question.limit, "need": question.need, "wish": question.wish,
                 "back": question.back, "frees": question.frees_ns}  # fmt: skip
        try:
            answer = await self._ask({"ask": "share"} | asked)
        except KeeperAway:
            raise Away from None
        if answer == "unknown":
            raise Away
        if "no" in answer:
            return No(answer["available"], answer["final"], answer["frees"])
        return None

    def ask_spent(self, names: list[Name]) -> None:
        """Ask what is spent of some budgets. The answer is noted when it comes; without the keeper, none does."""
        if not self.is_gone:
            self._frames.send({"ask": "spent", "id": 0, "names": [each.text for each in names]})

    async def open_customer(self, name: str) -> None:
        """See to it that a customer exists; the change is applied here before this returns.

        Raises:
            KeeperAway: no answer in time.
        """
        await self._ask({"ask": "customer", "name": name})

    async def claim(self, claim: Claim) -> dict[str, Any]:
        """Claim an idempotency key; return the keeper's verdict.

        Raises:
            KeeperAway: no answer in time.
        """
        verdict = await self._ask({"ask": "claim"} | asdict(claim))
        assert isinstance(verdict, dict)
        return verdict

    async def answered(self, claim: Claim, content: bytes | None) -> None:
        """Hand the answer of an exchange to the keeper, or say that there is none to keep.

        Raises:
            KeeperAway: no answer in time.
        """
        kept = None if content is None else orjson.Fragment(content)
        await self._ask({"ask": "answered"} | asdict(claim) | {"content": kept})

    async def released(self, claim: Claim) -> None:
        """Give an idempotency key back.

        Raises:
            KeeperAway: no answer in time.
        """
        await self._ask({"ask": "released"} | asdict(claim))

    def note(self, claim: Claim, *, is_answered: bool) -> None:
        """Say how the exchange of an idempotency key ended, without waiting for a word."""
        kind = "answered" if is_answered else "released"
        # A question like the others, so that it cannot overtake the claim.
        self._frames.send({"ask": kind, "id": 0, "content": None} | asdict(claim))

    async def keep(self, kept: Message) -> bool:
        """Have a response kept that its customer may go on with; False when it cannot be, for its length say.

        Raises:
            KeeperAway: no answer in time.
        """
        return bool(await self._ask({"ask": "keep"} | kept))

    async def kept(self, customer: int, identity: str) -> Message | None:
        """Return a response of a customer's that is kept, as `Conversations.find` does.

        Raises:
            KeeperAway: no answer in time.
        """
        found = await self._ask({"ask": "kept", "customer": customer, "name": identity})
        assert found is None or isinstance(found, dict)
        return found

    async def drop(self, customer: int, identity: str) -> bool:
        """Have a response of a customer's forgotten; False when there is none.

        Raises:
            KeeperAway: no answer in time.
        """
        return bool(await self._ask({"ask": "drop", "customer": customer, "name": identity}))

    async def command(self, command: str, args: Message, key: str, *, claim: str | None, request: str) -> Message:
        """Have a command performed in the name of a key; return what `Administration.perform` answers.

        Raises:
            KeeperAway: no answer in time; it may have been performed.
        """
        asked = {"command": command, "args": args, "key": key, "claim": claim, "request": request}
        answer = await self._ask({"ask": "command"} | asked, COMMAND_DEADLINE_S)
        assert isinstance(answer, dict)
        return answer

    async def usage(self, customer: int, days: int, key: str, member: str | None) -> Message:
        """Return what a customer has used, as `usage_of` answers to one of its keys, of one of its members.

        Raises:
            KeeperAway: no answer in time.
        """
        answer = await self._ask({"ask": "usage", "customer": customer, "days": days, "key": key, "member": member})
        assert isinstance(answer, dict)
        return answer

    async def _ask(self, question: Message, deadline_s: float = FILL_DEADLINE_S) -> Any:
        if self.is_gone:
            raise KeeperAway
        number = next(self._numbers)
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = waiting
        self._frames.send(question | {"id": number})
        try:
            async with asyncio.timeout(deadline_s):
                return await waiting
        except TimeoutError:
            raise KeeperAway from None
        finally:
            self._answers.pop(number, None)

    def tell_pins(self, pins: list[list[Any]]) -> None:
        """Tell the other workers, by way of the keeper, where conversations are; nobody waits for a word."""
        self._frames.send({"pins": pins})

    def tell_prompt(self, customer: int, x: str, text: str) -> None:
        """Tell the keeper what an exchange of a customer who opted in asks; nobody waits for a word."""
        self._frames.send({"prompt": [customer, x, text]})

    def report(self, refusals: dict[str, int], counted: dict[str, dict[str, float]]) -> None:
        """Tell the keeper of refusals, and of what else was counted by what it is of, since the last report."""
        if refusals:
            self._frames.send({"refused": refusals})
        for of, counts in counted.items():
            self._frames.send({of: counts})

    async def close(self) -> None:
        """Hang up."""
        await self._frames.close()


def _whose(change: Message) -> tuple[str, str] | None:
    """Return the subject whose limits a change may have changed, by kind and id."""
    if "digest" in change:
        return "key", change["key"]
    return ("customer", str(change["customer"])) if "name" in change else None
