"""The provider's invoice against the books, call by call: which cost line stands for which bill.

A bill that bears a name we learnt is found by it. Of a call whose worker died before it had journalled the name, only
what was asked tells: so each caller of a round asks with a prompt of a length of its own, which the provider bills and
we estimate.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import orjson

from proxy.wire import chat
from proxy.wire.ask import input_estimate
from simulator.tokens import segments
from tests.e2e import wire
from tests.e2e.server import Server

PROMPT_CHARS = 120
CHARS_A_TOKEN = 4
"""Both the provider and our estimate count four bytes of prose for a token."""


def prompt(number: int, ask: str) -> str:
    """Return a prompt that is a token longer for each number."""
    return ask.ljust(PROMPT_CHARS + CHARS_A_TOKEN * number, ".")


def question(server: Server, number: int, ask: str) -> bytes:
    """Return the request of one caller for a stream."""
    return wire.chat(server.key, prompt(number, ask), stream=True)


@dataclass(frozen=True, slots=True)
class Bill:
    """One line of the invoice."""

    call_id: str
    model: str
    input: int
    nusd: int


@dataclass(frozen=True, slots=True)
class Line:
    """One cost line as it stands. `input` is an estimate where `kind` is not *model*."""

    row: int
    x: str
    model: str
    kind: str
    call_id: str | None
    input: int
    nusd: int


@dataclass(slots=True)
class Matched:
    """Who stands for whom; `unbilled` are estimates of calls that the provider never billed."""

    pairs: list[tuple[Bill, Line]] = field(default_factory=list)
    unbilled: list[Line] = field(default_factory=list)

    @property
    def billed_nusd(self) -> int:
        """All of the invoice."""
        return sum(bill.nusd for bill, _ in self.pairs)

    @property
    def reported_nusd(self) -> int:
        """What we booked by usage that the provider reported."""
        return sum(line.nusd for _, line in self.pairs if line.kind == "model")

    @property
    def suspense_nusd(self) -> int:
        """What we booked as estimates."""
        return sum(line.nusd for line in self.lines if line.kind != "model")

    @property
    def under_estimates(self) -> list[tuple[Bill, Line]]:
        """Bills that an estimate of ours stands for."""
        return [(bill, line) for bill, line in self.pairs if line.kind != "model"]

    @property
    def lines(self) -> list[Line]:
        """All cost lines."""
        return [*(line for _, line in self.pairs), *self.unbilled]

    @property
    def last_row(self) -> int:
        """The cost line that was booked last."""
        return max((line.row for line in self.lines), default=0)

    def joined(self, later: "Matched") -> "Matched":
        """Return both."""
        return Matched(self.pairs + later.pairs, self.unbilled + later.unbilled)

    def __str__(self) -> str:
        nameless = sum(1 for _, line in self.pairs if line.call_id is None)
        return (
            f"{len(self.pairs)} billed, {len(self.pairs) - len(self.under_estimates)} of them booked as reported, "
            f"{len(self.under_estimates) - nameless} under a named estimate, {nameless} under a nameless one; "
            f"{len(self.unbilled)} estimates without a bill"
        )


def bills(server: Server, skip: int = 0) -> list[Bill]:
    """Return the invoice, without its first lines."""
    return [_bill(line) for line in server.invoice()[skip:]]


def _bill(line: dict) -> Bill:
    usage = line["usage"]
    exact = Fraction(line["amount_usd"]) * 10**9
    assert exact.denominator == 1, "every price in the sandbox is a whole number of nano-dollars a token"
    told = usage["input"] + usage["cache_read"] + usage["cache_write"]
    return Bill(line["call_id"], line["model"], told, exact.numerator)


def lines(server: Server, after: int = 0) -> list[Line]:
    """Return the cost lines behind a row of their table, as corrections left them."""
    query = """SELECT cost_lines.rowid, l.x, l.model, l.kind, l.call_id, l.usage, l.cost_nusd
        FROM cost_lines JOIN current_cost_lines AS l USING (x, n) WHERE cost_lines.rowid > ? ORDER BY 1"""
    with reading(server) as db:
        return [_line(*row) for row in db.execute(query, (after,))]


def _line(row: int, x: str, model: str, kind: str, call_id: str | None, usage: str | None, nusd: int | None) -> Line:
    told = {} if usage is None else orjson.loads(usage)
    assert nusd is not None, "every price in the sandbox is known"
    asked = sum(told.get(bucket, 0) for bucket in ("input", "cache_read", "cache_write_5m"))
    return Line(row, x, model, kind, call_id, asked, nusd)


@contextlib.contextmanager
def reading(server: Server) -> Iterator[sqlite3.Connection]:
    """Open the ledger's file beside whoever writes it."""
    with contextlib.closing(sqlite3.connect(f"file:{server.data_dir}/ledger.sqlite?mode=ro", uri=True)) as db:
        yield db


def match(found: list[Bill], booked: list[Line], asked: list[bytes]) -> Matched:
    """Find the one cost line that stands for each bill of a round in which these requests were sent, one a caller.

    Nothing is lost: each bill has its line, and one that we booked as reported has the very amount. Nothing is doubled:
    no line stands for two bills, no call has two lines, and nothing is booked as reported that was not billed.
    """
    told = {_billed_input(each): _estimated_input(each) for each in asked}
    named = {line.call_id: line for line in booked if line.call_id}
    nameless = {(line.model, line.input): line for line in booked if not line.call_id and line.nusd}
    assert len(named) + len(nameless) == sum(1 for line in booked if line.call_id or line.nusd), "a call has two lines"
    matched = Matched()
    for bill in found:
        line = named.pop(bill.call_id, None) or nameless.pop((bill.model, told[bill.input]), None)
        assert line is not None, f"billed, and lost: {bill}"
        assert line.kind != "model" or line.nusd == bill.nusd, f"{line} is not {bill}"
        matched.pairs.append((bill, line))
    matched.unbilled = [*named.values(), *nameless.values()]
    assert [line for line in matched.unbilled if line.kind == "model"] == [], "reported, and never billed"
    return matched


def _billed_input(asked: bytes) -> int:
    return sum(each.tokens for each in segments(chat.read(_body(asked)).messages, []))


def _estimated_input(asked: bytes) -> int:
    return input_estimate(chat.read(_body(asked)))


def _body(asked: bytes) -> bytes:
    return asked.partition(b"\r\n\r\n")[2]
