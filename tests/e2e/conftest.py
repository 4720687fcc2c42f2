"""Servers for the tests: one for the whole run, and as many more as a test starts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.server import Server

Launch = Callable[..., Server]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a sandbox as shipped, shared by the tests that get along in one set of books."""
    shared = Server(tmp_path_factory.mktemp("sandbox") / "data").start()
    yield shared
    end(shared)


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    """Return a function that starts a server of one's own; it ends with the module at the latest."""
    started: list[Server] = []

    def begin(config: Path | None = None) -> Server:
        started.append(Server(tmp_path_factory.mktemp("own") / "data", config))
        return started[-1].start()

    yield begin
    for each in started:
        end(each)


def end(server: Server) -> None:
    """Clear a server away, and check that it met no bug: whatever was answered, its log would have the traceback."""
    server.clear_away()
    said = server.log.read_text()
    assert "Traceback" not in said, said
