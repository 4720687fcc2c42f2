"""Clients that leave in the middle: each is charged once, and our books still are what the provider bills."""

import socket
from collections.abc import Callable

import pytest

from tests.e2e import wire
from tests.e2e.conftest import Launch
from tests.e2e.polling import until
from tests.e2e.server import Server

TOKENS = 120
SLOWLY = f"[[sim: tokens={TOKENS} slow=0.004]] Say hello"
"""Half a second of stream, an event every four milliseconds."""
SLOWER = f"[[sim: tokens={TOKENS} slow=0.015]] Say hello"
"""Two seconds, for what is to be seen in the books meanwhile, also on a busy machine."""

WAYS: dict[str, Callable[[socket.socket], None]] = {
    "close": socket.socket.close,
    "half-close": lambda line: line.shutdown(socket.SHUT_WR),
    "reset": wire.reset,
}


@pytest.fixture(scope="module")
def server(launch: Launch) -> Server:
    """Return a server of our own, whose invoice is ours alone."""
    return launch()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("usage_asked", [False, True])
def test_who_leaves_a_stream_is_charged_once(server: Server, way: str, *, usage_asked: bool):
    """Left after 0, 1, 2, 7 and 60 events, each exchange is settled with the usage of the whole answer."""
    before, charged_before = len(server.invoice()), server.balance("sandbox")["spent"]
    options = {"stream": True, "stream_options": {"include_usage": usage_asked}}
    asked = wire.chat(server.key, SLOWLY, **options)

    ids = []
    for events in (0, 1, 2, 7, 60):
        line = server.connect()
        line.sendall(asked)
        read = wire.read_events(line, events) if events else line.recv(4_096)
        WAYS[way](line)
        line.close()
        ids.append(wire.parse(read).headers["x-penstock-request-id"])

    until(lambda: server.ask("ledger.verify")["open_holds"] == 0, "every exchange is settled")
    for charge in (server.ask("explain.charge", id=each) for each in ids):
        assert charge["outcome"] == "client_gone"
        (cost_line,) = charge["cost_lines"]
        assert (cost_line["kind"], cost_line["usage"]["output"]) == ("model", TOKENS)
    assert len(server.invoice()) == before + len(ids)
    assert server.balance("sandbox")["spent"] - charged_before == len(ids)


def test_who_leaves_before_the_answer_begins_is_charged_once(server: Server):
    """Gone before the first byte, plain or streamed: the answer is produced, billed, booked and charged."""
    before, charged_before = len(server.invoice()), server.balance("sandbox")["spent"]

    for stream in (False, True):
        line = server.connect()
        line.sendall(wire.chat(server.key, SLOWER, stream=stream))
        until(lambda: server.balance("sandbox")["held"], "the exchange has begun")
        line.close()
        until(lambda: server.ask("ledger.verify")["open_holds"] == 0, "the exchange is settled")

    assert len(server.invoice()) == before + 2
    assert server.balance("sandbox")["spent"] - charged_before == 2


def test_who_leaves_before_the_request_is_whole_is_not_charged(server: Server):
    """Half a body and gone: nothing is held, nothing is billed."""
    before, charged_before = len(server.invoice()), server.balance("sandbox")["spent"]
    asked = wire.chat(server.key, SLOWLY)

    for cut in (10, len(asked) // 2, len(asked) - 1):
        with server.connect() as line:
            line.sendall(asked[:cut])

    assert server.chat("Say hello").status_code == 200
    assert len(server.invoice()) == before + 1
    assert server.balance("sandbox")["spent"] - charged_before == 1


def test_slow_reader_gets_everything_and_holds_up_nobody(server: Server):
    """While one client does not read its 16 MB, others are served; later it still gets its whole stream."""
    line = server.connect()
    line.sendall(wire.chat(server.key, "[[sim: tokens=60000]] Say hello", stream=True))
    wire.read_events(line, 1)

    assert [server.chat("Say hello").status_code for _ in range(5)] == [200] * 5
    with line:
        received = b""
        while part := line.recv(1 << 20):
            received = received[-100:] + part

    assert received.endswith(wire.DONE)


def test_books_are_sound_when_all_have_left(server: Server):
    """Ledger and invoice agree to the nano-dollar; this one comes before the estimates."""
    found = server.ask("ledger.verify")
    agreed = server.reconcile()

    assert found["ok"], found
    assert agreed["ok"], agreed
    assert agreed["explained_share"] == 1


@pytest.mark.parametrize("events", [20, 100])
def test_estimate_of_a_broken_stream_is_near_its_bill(server: Server, events: int):
    """A provider that breaks off reports no usage: what we book is marked as an estimate and is near what it bills."""
    answer = server.chat(f"[[sim: tokens=200 cut={events}]] Say hello", stream=True)

    charge = server.ask("explain.charge", id=answer.headers["x-penstock-request-id"])
    (cost_line,) = charge["cost_lines"]
    bill = server.invoice()[-1]
    assert (charge["outcome"], charge["credits_milli"], cost_line["kind"]) == ("cut", 0, "estimated")
    assert bill["call_id"] == cost_line["call_id"]
    assert bill["usage"]["output"] / 2 <= cost_line["usage"]["output"] <= bill["usage"]["output"] * 2
