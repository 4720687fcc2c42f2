"""Answers on the disk and in Redis, over the wire: after a restart, over two workers, and when the store is away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.polling import until
from tests.e2e.server import Server, write_config
from tests.redis_server import RedisServer

ASKED = "What is a penstock, in one sentence?"


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis."""
    found = RedisServer(tmp_path_factory.mktemp("redis"))
    found.start()
    yield found
    found.stop()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[list[Server]]:
    """Servers that are cleared away."""
    servers: list[Server] = []
    yield servers
    for each in servers:
        each.stop()
        each.clear_away()


def serve(folder: Path, opened: list[Server], store: dict[str, Any], workers: int = 1) -> Server:
    """Start a server whose answers lie in a store."""
    config = write_config(
        folder / "configs", caching={"responses": {"enabled": True, "store": store}}, server={"workers": workers}
    )
    opened.append(Server(folder / "data", config).start())
    return opened[-1]


def cache_of(server: Server, key: str) -> str:
    """Ask; return what the answer says of caches."""
    answer = server.chat(ASKED, key)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-penstock-cache"]


def counted(server: Server, event: str) -> float:
    """Return how often something happened in the store."""
    return sum(each.value for each in server.metrics()
               if each.name == "penstock_answer_store_total" and each.labels["event"] == event)  # fmt: skip


def reloads(server: Server) -> float:
    """Return how often another configuration was taken on."""
    return sum(each.value for each in server.metrics()
               if each.name == "penstock_config_reloads_total" and each.labels["result"] == "ok")  # fmt: skip


@pytest.mark.parametrize("kind", ["disk", "redis"])
def test_a_restart_finds_them_and_the_books_agree(
    tmp_path: Path, opened: list[Server], redis: RedisServer, kind: str
) -> None:
    """The provider bills once; the second process charges a hit, with two workers whichever is asked."""
    store = {"kind": kind, "deadline": "5s"} | ({"url": redis.url} if kind == "redis" else {})
    server = serve(tmp_path, opened, store, workers=2)
    key = server.create_key("acme")
    server.grant("acme", 100)
    assert cache_of(server, key) == "miss"
    until(lambda: counted(server, "kept") == 1, "the answer is kept")
    server.stop()
    server.start()

    found = [cache_of(server, key) for _ in range(8)]

    assert found == ["hit"] * 8
    assert len(server.invoice()) == 1
    until(lambda: counted(server, "hit") >= 1, "the metric says so")
    verified = server.ask("ledger.verify")
    assert verified["ok"], verified["violations"]


def test_redis_that_dies_delays_nobody_and_comes_back(tmp_path: Path, opened: list[Server], redis: RedisServer) -> None:
    """Requests are answered all the while."""
    server = serve(tmp_path, opened, {"kind": "redis", "url": redis.url})
    key = server.create_key("acme")
    server.grant("acme", 100)
    redis.stop()
    assert cache_of(server, key) == "miss"
    until(lambda: counted(server, "away") + counted(server, "unwritten") >= 1, "the metric says so")
    assert cache_of(server, key) == "hit", "its own memory has it"


def test_a_reload_moves_them(tmp_path: Path, opened: list[Server]) -> None:
    """From memory to the disk, without a restart."""
    server = serve(tmp_path, opened, {"kind": "memory"})
    key = server.create_key("acme")
    server.grant("acme", 100)
    taken = reloads(server)
    write_config(tmp_path / "configs", caching={"responses": {"enabled": True, "store": {"kind": "disk"}}})

    until(lambda: reloads(server) > taken, "the new configuration serves")
    assert cache_of(server, key) == "miss"
    until(lambda: counted(server, "kept") == 1, "the answer is kept")
    assert (server.data_dir / "answers.sqlite").stat().st_mode & 0o77 == 0
