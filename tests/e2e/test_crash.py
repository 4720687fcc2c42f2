"""Processes that die, and processes that are told to end: what is accepted is settled or voided, once, and adds up."""

import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e import wire
from tests.e2e.conftest import Launch
from tests.e2e.polling import until
from tests.e2e.server import Server, is_alive, write_config

SLOWLY = "[[sim: tokens=2000 slow=0.01]] Say hello"
"""Twenty seconds of stream."""


class Load:
    """Streams that are open, and short requests that keep coming, until the server is gone."""

    def __init__(self, server: Server, *, streams: int, busy: int) -> None:
        self._server, self._key = server, server.key
        self.streams = [self._open() for _ in range(streams)]
        self.answered: list[str] = []
        """Exchanges whose whole answer a client has."""
        self._threads = [threading.Thread(target=self._keep_asking, args=(bool(n % 2),)) for n in range(busy)]
        for thread in self._threads:
            thread.start()

    def _open(self) -> tuple[socket.socket, str]:
        line = self._server.connect()
        line.sendall(wire.chat(self._key, SLOWLY, stream=True))
        return line, wire.parse(wire.read_events(line, 3)).headers["x-penstock-request-id"]

    def _keep_asking(self, stream: bool) -> None:
        headers = {"authorization": f"Bearer {self._key}"}
        body = {"model": "auto:medium", "messages": [{"role": "user", "content": "Say hello"}], "stream": stream}
        with (
            contextlib.suppress(httpx.TransportError),
            httpx.Client(verify=False, base_url=self._server.origin, headers=headers, timeout=20) as client,
        ):
            while (found := client.post(wire.PATH, json=body)).status_code == 200:
                if not stream or found.text.endswith("[DONE]\n\n"):
                    self.answered.append(found.headers["x-penstock-request-id"])

    def over(self) -> None:
        """Wait until every client has noticed, and hang up."""
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
        for line, _ in self.streams:
            line.close()


@pytest.fixture(scope="module")
def house(launch: Launch) -> Server:
    """Return a server that each test here leaves running."""
    return launch()


@pytest.fixture(scope="module")
def pair(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> tuple[Server, Server]:
    """Return two servers with two workers, whose open streams get two seconds to finish when they end."""
    config = write_config(tmp_path_factory.mktemp("config"), server={"shutdown": "2s", "workers": 2})
    return launch(config), launch(config)


def test_killed_whole_and_started_again(house: Server):
    """SIGKILL to everything under load: the restart is ready within ten seconds and every exchange is closed.

    A second crash right after the restart changes nothing: what was recovered once stays as it is.
    """
    server = house
    load = Load(server, streams=8, busy=6)
    until(lambda: len(load.answered) > 60, "the load is under way")

    server.end(signal.SIGKILL, group=True)
    load.over()
    server.start()  # the same ports, the same folder, ten seconds

    check_recovered(server, load)
    assert server.chat("Say hello").status_code == 200
    first = [server.ask("explain.charge", id=x) for _, x in load.streams]
    server.end(signal.SIGKILL, group=True)
    server.start()
    assert [server.ask("explain.charge", id=x) for _, x in load.streams] == first
    check_recovered(server, load)


def check_recovered(server: Server, load: Load) -> None:
    """Check what holds after a crash.

    The books are sound and nothing is held. Whoever had a byte of a stream is charged, marked *recovered*; whoever had
    a whole answer is charged as always. What we booked under a call's name is on the invoice with the same amount;
    what else we booked is marked as an estimate; and the calls on the invoice that we cannot name (the provider was
    done, we died before we settled) are no more than there are estimates.
    """
    found = server.ask("ledger.verify")
    assert found["ok"], found
    assert found["open_holds"] == 0
    for _, x in load.streams:
        assert server.ask("explain.charge", id=x)["outcome"] == "recovered"
    for x in load.answered:
        assert server.ask("explain.charge", id=x)["outcome"] == "ok"
    agreed = server.reconcile()
    calls = {line["reason"]: line["calls"] for line in agreed["lines"]}
    estimates = calls.pop("estimated, not billed under a name we know", 0)
    assert calls.pop("billed, not booked", 0) <= estimates
    # A stream whose end the provider had sent and we had not read: marked, and estimated until this very comparison.
    assert calls.pop("estimate differs from the bill", 0) <= len(load.streams)
    assert calls == {}, "no wrong amount, nothing booked that was not billed"
    counted = server.ask("report.margin")["total"]["requests"]
    assert counted >= len(load.answered) + len(load.streams)


def test_killed_workers_are_replaced_and_their_leases_returned(pair: tuple[Server, Server]):
    """Others take over; the dead ones' open exchange is closed and their credits are all there to spend."""
    server, _ = pair
    key = server.create_key("leaseholder", plan="sandbox")
    server.grant("leaseholder", 20, paid_usd=1)
    line = server.connect()
    line.sendall(wire.chat(key, SLOWLY, stream=True))
    open_id = wire.parse(wire.read_events(line, 2)).headers["x-penstock-request-id"]
    assert server.chat("Say hello", key).status_code == 200

    killed = server.workers
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    line.close()
    until(lambda: len(set(server.workers) - set(killed)) == 2, "two other workers")
    until(lambda: not any(map(is_alive, killed)), "the killed ones are gone")
    until(server.is_ready, "ready again")

    until(lambda: server.balance("leaseholder")["held"] == 0, "the open exchange is closed")
    assert server.ask("explain.charge", id=open_id)["outcome"] == "recovered"
    assert server.balance("leaseholder") == {"available": 18, "held": 0, "spent": 2, "expired": 0, "overdraft": 0}
    assert [server.chat("Say hello", key).status_code for _ in range(19)] == [200] * 18 + [402]
    assert server.ask("ledger.verify")["ok"]


def test_a_new_worker_refuses_nobody_before_it_knows_the_keys(house: Server):
    """A keeper that is busy when a worker is replaced: callers with good keys wait for it, and are served."""
    (killed,) = house.workers
    assert house.process is not None
    os.kill(killed, signal.SIGKILL)
    until(lambda: house.workers not in ([], [killed]), "another worker")

    os.kill(house.process.pid, signal.SIGSTOP)
    try:
        line = house.connect()
        line.sendall(wire.chat(house.key, "Say hello"))
        line.settimeout(2)  # longer than a worker takes to start
        with pytest.raises(TimeoutError):
            line.recv(1)
    finally:
        os.kill(house.process.pid, signal.SIGCONT)

    line.settimeout(20)
    assert wire.parse(read_rest(line)).status == 200
    line.close()


def test_worker_without_keeper_stops_and_ends(house: Server):
    """SIGKILL to the keeper alone: its worker admits nothing more and is gone within five seconds."""
    server = house
    (worker,) = server.workers
    line = server.connect()
    line.sendall(wire.chat(server.key, SLOWLY, stream=True))
    wire.read_events(line, 2)
    with httpx.Client(
        verify=False, base_url=server.origin, headers={"authorization": f"Bearer {server.key}"}
    ) as client:
        body = {"model": "auto", "messages": [{"role": "user", "content": "Say hello"}]}
        assert client.post(wire.PATH, json=body).status_code == 200

        server.end(signal.SIGKILL)
        refused = until(lambda: admits_nothing(client, body), "it admits nothing more", within_s=1)

    until(lambda: not is_alive(worker), "the worker is gone", within_s=5)
    line.close()
    assert refused in {"503", "hung up"}
    server.start()
    assert server.ask("ledger.verify")["ok"]
    assert server.ask("ledger.verify")["open_holds"] == 0


def admits_nothing(client: httpx.Client, body: object) -> str:
    """Ask once more on a kept connection; return how it was refused, empty when it was served."""
    try:
        status = client.post(wire.PATH, json=body).status_code
    except httpx.TransportError:
        return "hung up"
    return "" if status == 200 else str(status)


def test_sigterm_ends_in_order(pair: tuple[Server, Server]):
    """To the parent or to the whole group: exit 0 within ten seconds, streams that run on are settled, books sound."""
    loads = [Load(server, streams=4, busy=1) for server in pair]
    quick = [open_quick_stream(server) for server in pair]
    hanging = [open_hanging_request(server) for server in pair]

    begun_s = time.monotonic()
    for server, by_group in zip(pair, (False, True), strict=True):
        assert server.process is not None
        (os.killpg if by_group else os.kill)(server.process.pid, signal.SIGTERM)
    codes = [server.process.wait(10) for server in pair if server.process is not None]
    took_s = time.monotonic() - begun_s

    assert codes == [0, 0]
    assert took_s < 10
    for server, load, line, hung, by_group in zip(pair, loads, quick, hanging, (False, True), strict=True):
        for open_line in (stream for stream, _ in load.streams):
            rest = read_rest(open_line)
            assert b'"error"' in rest
            assert b"[DONE]" not in rest
        assert by_group or read_rest(line).endswith(wire.DONE), "the simulator ended with the group"
        check_hung_request(read_rest(hung))
        line.close()
        hung.close()
        load.over()
        assert server.processes == {}
        assert "Traceback" not in server.log.read_text()
        check_ended(server, load)


def read_rest(line: socket.socket) -> bytes:
    """Read a connection to its end."""
    rest = b""
    while part := line.recv(65_536):
        rest += part
    return rest


def open_quick_stream(server: Server) -> socket.socket:
    """Return a connection with a stream that ends within the two seconds."""
    line = server.connect()
    line.sendall(wire.chat(server.key, "[[sim: tokens=50 slow=0.02]] Say hello", stream=True))
    wire.read_events(line, 2)
    return line


def open_hanging_request(server: Server) -> socket.socket:
    """Return a connection with a plain request that the provider never answers."""
    line = server.connect()
    line.sendall(wire.chat(server.key, "[[sim: hang]] Say hello"))
    until(lambda: any("sim: hang" in str(each["body"]) for each in server.seen_upstream()), "the provider has it")
    return line


def check_hung_request(received: bytes) -> None:
    """Check that who still waited for an answer was told why there is none, in OpenAI's shape."""
    answer = wire.parse(received)
    assert (answer.status, answer.headers["content-type"]) in {
        (503, "application/json"),
        (502, "application/json"),  # the simulator ended with the group
    }
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def check_ended(server: Server, load: Load) -> None:
    """Check, with the server gone, that all of its exchanges are closed."""
    found = server.ask("ledger.verify")
    assert found["ok"], found
    assert found["open_holds"] == 0
    for _, x in load.streams:
        assert server.ask("explain.charge", id=x)["outcome"] in {"cut", "client_gone"}
    for x in load.answered:
        assert server.ask("explain.charge", id=x)["outcome"] == "ok"


def test_second_server_on_the_folder_ends_with_a_sentence(house: Server):
    """Two `serve` on one folder: the second exits 2, says why in one sentence, and disturbs nobody."""
    second = Server(house.data_dir, house.config)

    found = second.shell("serve")

    assert found.code == 2
    assert found.out == ""
    assert len(found.err.strip().splitlines()) == 1
    assert "another server" in found.err
    assert house.chat("Say hello").status_code == 200


@pytest.mark.parametrize("variable", ["PORT", "METRICS_PORT"])
def test_port_in_use_ends_with_a_sentence(house: Server, tmp_path: Path, variable: str):
    """A port that is taken: exit 2, one sentence that names the variable to set, and nothing is left behind."""
    second = Server(tmp_path / "data")
    second.environ[variable] = str(house.port)

    found = second.shell("serve")

    assert found.code == 2
    assert len(found.err.strip().splitlines()) == 1
    assert f"{variable}=" in found.err
    assert not second.data_dir.exists()
    assert house.chat("Say hello").status_code == 200
