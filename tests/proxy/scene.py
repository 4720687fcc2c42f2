"""One worker in this process: a keeper that lends, a real journal, the simulator as provider."""

import asyncio
import time
import types
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from margin import journal
from margin.journal import Journal, JournalBroken, Position
from proxy.admission import KeeperAway, Lease, Wallets
from proxy.exchange import Inbound, Reply, serve
from proxy.identity import Identity, Principal
from proxy.keeper.conversations import Conversations
from proxy.settings import Conversations as Bounds
from proxy.settings import Settings, load
from proxy.upstream.client import Upstream
from proxy.wire import sse
from proxy.world import World
from simulator.app import Simulator, build
from simulator.options import SimulatorOptions
from tests.proxy.provider import Loopback

CONFIGS = Path(__file__).parents[2] / "configs"
LENT = 1_000_000
CUSTOMER = 1
METERED = """
  metered: {credits: {mode: prepaid, price: 0.01, enforce: hard, metered: {input: 1, cache_read: 0.1, output: 4}}}
  learning:
    credits:
      {mode: prepaid, price: 0.01, enforce: hard, metered: {input: 1, output: 4}, holds: statistical, hold_floor: 3}
  counted: {credits: {metered: {input: 1, output: 4}}}
"""
Record = dict[str, Any]


class Keeper:
    """Lends once what the customer has, and opens customers."""

    def __init__(self, identity: Identity) -> None:
        self.wallets = Wallets(self)
        self._identity = identity
        self.credits_milli = LENT
        self.is_away = False
        self.opened: list[str] = []
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.prompts: list[tuple[int, str, str]] = []
        self.conversations = Conversations(Bounds)

    async def lease(self, customer: int, need_milli: int, wish_milli: int, returned_milli: int) -> bool:
        """Lend everything, whatever was wished for."""
        self.credits_milli += returned_milli
        await asyncio.sleep(0)
        if self.is_away:
            raise KeeperAway
        if self.credits_milli < need_milli:
            return False
        self.wallets.add(customer, Lease(self.credits_milli, None))
        self.credits_milli = 0
        return True

    async def keep(self, kept: dict[str, Any]) -> bool:
        """Keep a response."""
        await asyncio.sleep(0)
        if self.is_away:
            raise KeeperAway
        return self.conversations.keep(kept)

    async def kept(self, customer: int, identity: str) -> dict[str, Any] | None:
        """Return a response."""
        await asyncio.sleep(0)
        if self.is_away:
            raise KeeperAway
        return self.conversations.find({"customer": customer, "name": identity})

    async def command(
        self, command: str, args: dict[str, Any], key: str, *, claim: str | None, request: str
    ) -> dict[str, Any]:
        """Note what is asked for in a key's name."""
        await asyncio.sleep(0)
        if self.is_away:
            raise KeeperAway
        self.commands.append((command, args))
        return {"result": {"key": key, "claim": claim, "request": request}}

    def tell_prompt(self, customer: int, x: str, text: str) -> None:
        """Note what an exchange asks."""
        self.prompts.append((customer, x, text))

    async def open_customer(self, name: str) -> None:
        """Open on the default plan."""
        await asyncio.sleep(0)
        if self.is_away:
            raise KeeperAway
        self.opened.append(name)
        self._identity.put_customer(100 + len(self.opened), name, "open")


class Brittle(Journal):
    """A journal whose disk is full from its `fails_at`th record on."""

    fails_at: int | None = None
    appended = 0

    def append(self, record: Record) -> None:
        """Write, or break."""
        if self.fails_at is not None and self.appended >= self.fails_at:
            self.is_broken = True
            raise JournalBroken("the disk is full")
        super().append(record)
        self.appended += 1


class Caller:
    """The outlet: what the caller got, and what it does at some event."""

    def __init__(self) -> None:
        self.got = b""
        self.sends = 0
        self.at: dict[int, Any] = {}

    async def open(self) -> None:
        """Take the head of the reply."""

    async def send(self, data: bytes) -> None:
        """Take bytes; then do what was planned for this moment."""
        self.got += data
        self.sends += 1
        await asyncio.sleep(0)
        if self.sends in self.at:
            self.at[self.sends]()

    @property
    def payloads(self) -> list[Any]:
        """The events' data, parsed but for `[DONE]`."""
        found = [sse.payload(each) for each in sse.split(self.got)]
        return [each if each == sse.DONE else orjson.loads(each) for each in found if each is not None]

    @property
    def error(self) -> dict[str, Any] | None:
        """The last event's error, if it is one."""
        last = self.payloads[-1] if self.payloads else None
        return last.get("error") if isinstance(last, dict) else None

    @property
    def is_done(self) -> bool:
        """Whether the stream ended cleanly."""
        return bool(self.payloads) and self.payloads[-1] == sse.DONE


@dataclass
class Scene:
    """A world and everything around it."""

    world: World
    keeper: Keeper
    provider: Loopback
    simulator: Simulator
    journal: Brittle
    principal: Principal
    caller: Caller = field(default_factory=Caller)

    async def ask(self, prompt: str = "hi", *, headers: dict[bytes, bytes] | None = None, **fields: Any) -> Reply:
        """Serve one request."""
        body = {"model": "auto:simple", "messages": [{"role": "user", "content": prompt}], **fields}
        inbound = Inbound(headers or {}, orjson.dumps(body))
        return await serve(self.world, self.principal, inbound, time.perf_counter())

    async def stream(self, prompt: str = "hi", **fields: Any) -> Reply:
        """Serve one streamed request to its end; `caller` has what came."""
        reply = await self.ask(prompt, stream=True, **fields)
        assert reply.relay is not None
        await reply.relay.run(self.caller)
        return reply

    async def simulator_fails(self, fault: str, *, times: int) -> None:
        """Let the provider's next calls suffer a fault."""
        rules = orjson.dumps([{"fault": fault, "times": times}])
        url = "http://simulator.invalid/_simulator/faults"
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.simulator)) as client:
            (await client.post(url, content=rules)).raise_for_status()

    def records(self) -> list[Record]:
        """What was journalled."""
        return [line.record for line in journal.read(self.journal.path, Position())]

    def kinds(self) -> list[str]:
        """The kinds of the records, in order."""
        return [record["k"] for record in self.records()]

    def end(self) -> Record:
        """The record that closed the only exchange."""
        (found,) = (record for record in self.records() if record["k"] in {"settled", "void"})
        return found

    def billed(self) -> list[Record]:
        """The provider's own invoice."""
        return self.simulator.invoice.lines()

    @property
    def spent_milli(self) -> int:
        """What is gone from what was lent."""
        left = self.world.wallets.left_milli(CUSTOMER)
        return 0 if left is None else LENT - left


@asynccontextmanager
async def scene(
    folder: Path,
    *,
    plan: str = "sandbox",
    scopes: str = "serve",
    timeouts: str | None = None,
    drain: str = "5s",
    repeats: bool = False,
    sections: str = "",
    models: str = "",
    semantic: str = "{}",
) -> AsyncIterator[Scene]:
    """A scene; at its end all work is done and the journal is closed."""
    identity = Identity()
    identity.put_customer(CUSTOMER, "sandbox", plan)
    keeper = Keeper(identity)
    simulator = build(SimulatorOptions(invoice=None, speed=0))
    provider = Loopback(simulator)
    (folder / "journals").mkdir()
    book = Brittle(folder / "journals" / "worker.journal")
    settings = configured(folder, timeouts, drain, sections, models, repeats=repeats, semantic=semantic)
    world = World(settings, identity, keeper.wallets, book, Upstream(provider), keeper)
    principal = Principal("key_1", CUSTOMER, "sandbox", plan, frozenset(scopes.split()))
    try:
        yield Scene(world, keeper, provider, simulator, book, principal)
        await world.tasks.finish(5)
        await asyncio.wait_for(provider.aclose(), 5)
    finally:
        book.close()


def configured(
    folder: Path, timeouts: str | None, drain: str, sections: str = "", models: str = "", *, repeats: bool = False,
    semantic: str = "{}",
) -> Settings:  # fmt: skip
    """The sandbox's settings, with other waits, and with more sections."""
    text = (CONFIGS / "sandbox.yaml").read_text(encoding="utf-8")
    if timeouts is not None:
        text = text.replace("api_key: simulator}", f"api_key: simulator, timeouts: {timeouts}}}")
    text = text.replace("models:\n", f"models:\n{models}")
    text = text.replace("server: {page: loopback,", f"server: {{page: loopback, drain: {drain},")
    text += f"\ncaching: {{responses: {{enabled: {str(repeats).lower()}, semantic: {semantic}}}}}\n{sections}"
    (folder / "sandbox.yaml").write_text(text, encoding="utf-8")
    plans = (CONFIGS / "sandbox-plans.yaml").read_text(encoding="utf-8")
    (folder / "sandbox-plans.yaml").write_text(f"{plans}{METERED}", encoding="utf-8")
    return load(folder / "sandbox.yaml", environ={})


def check_books(records: list[Record]) -> None:
    """For each exchange: one hold, then calls, then marks, then exactly one end, and nothing after it."""
    exchanges: dict[str, list[Record]] = {}
    for record in records:
        exchanges.setdefault(record["x"], []).append(record)
    for found in exchanges.values():
        kinds = [record["k"] for record in found]
        if kinds == ["repeated"]:  # from memory: held and charged at once
            continue
        assert kinds[0] == "held", kinds
        assert kinds.count("held") == 1, kinds
        assert sum(kind in {"settled", "void"} for kind in kinds) == 1, kinds
        assert kinds[-1] in {"settled", "void"}, kinds
        assert kinds[1:-1] == sorted(kinds[1:-1]), kinds  # called before mark
        if kinds[-1] == "settled":
            assert found[-1]["cr"] >= 0
            assert found[-1]["cr"] <= found[0]["cr"] or "met" in found[0]


def charged_milli(records: list[Record]) -> int:
    """Credits charged by all settlements."""
    return sum(record["cr"] for record in records if record["k"] in {"settled", "repeated"})


@types.coroutine
def cancelled_at(work: Any, turn: int) -> Generator[Any, Any, Any]:
    """Await `work`; at its `turn`th suspension the task that awaits it is cancelled."""
    steps, outcome = work.__await__(), None
    error: BaseException | None = None
    while True:
        try:
            waits_for = steps.send(outcome) if error is None else steps.throw(error)
        except StopIteration as done:
            return done.value
        turn -= 1
        if turn == 0:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        outcome, error = None, None
        try:
            outcome = yield waits_for
        except BaseException as thrown:  # noqa: BLE001 - passed on into the work
            error = thrown
