"""What must not be written down: keys stand in `sandbox.env` and nowhere else, what people ask stands nowhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import wire
from tests.e2e.conftest import Launch
from tests.e2e.server import Server, get

ASKED = "canary-of-what-was-asked"
TOLD = "canary-of-what-a-tool-said"


@pytest.fixture(scope="module")
def server(launch: Launch) -> Server:
    """Return a server of our own, as its folder is searched whole."""
    return launch()


@pytest.fixture(scope="module")
def secrets(server: Server) -> list[str]:
    """Ask in every way there is, with every key there is; return the keys."""
    made = [server.create_key("secretive", "serve", "see-cost"), server.create_key("secretive", "serve", "attribute")]
    revoked = server.ask("keys.create", customer="secretive", scopes=["serve"])
    server.chat(ASKED, revoked["key"])
    server.ask("keys.revoke", id=revoked["id"])
    keys = [server.key, *made, revoked["key"]]
    for key in [*keys, "sk-penstock-000000000000-canary"]:
        server.chat(ASKED, key, model="auto")
        server.chat(ASKED, key, model="auto", stream=True)
        server.chat(ASKED, key, model=f"{ASKED}-model")
        server.chat(f"{ASKED} [[sim: status=500]]", key)
        server.chat(f"{ASKED} [[sim: status=400]]", key)
        server.chat(f"{ASKED} [[sim: html]]", key)
        server.chat(f"{ASKED} [[sim: cut=3]]", key, stream=True)
        server.chat("hi", key, tools=[{"type": "function", "function": {"name": "f", "description": TOLD}}])
        server.chat("hi", key, metadata={"a": ASKED}, user=ASKED, unknown=TOLD)
        wire.send(server.connect(), wire.request(key, b'{"model": "auto", "' + ASKED.encode()))
    line = server.connect()
    line.sendall(wire.chat(server.key, f"{ASKED} [[sim: tokens=50 slow=0.01]]", stream=True))
    wire.read_events(line, 2)
    line.close()
    return keys


def files(server: Server) -> Iterator[tuple[Path, bytes]]:
    """Yield every file the server wrote, its log included."""
    yield server.log, server.log.read_bytes()
    for path in server.data_dir.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


def test_metrics_name_no_customer_and_no_key(server: Server, secrets: list[str]):
    """/metrics has closed labels only: no key, no customer, nothing that a caller sent."""
    text = get(f"http://127.0.0.1:{server.metrics_port}/metrics").text

    for word in (ASKED, TOLD, "secretive", *secrets, *(key.split("-", 3)[-1] for key in secrets)):
        assert word not in text
    assert 'penstock_requests_total{outcome="ok",plan="open"' in text


@pytest.mark.parametrize("when", ["running", "ended"])
def test_keys_and_prompts_are_in_no_file(server: Server, secrets: list[str], when: str):
    """No file holds a key but `sandbox.env` and the banner that shows the sandbox's; none holds what was asked."""
    if when == "ended":
        assert server.stop() == 0

    found = list(files(server))

    assert {"keeper.lock", "ledger.sqlite", "directory.sqlite", "sandbox.env"} <= {path.name for path, _ in found}
    for path, content in found:
        assert ASKED.encode() not in content, path
        assert TOLD.encode() not in content, path
        shown = path.name == "sandbox.env" or path == server.log
        for key in secrets[1:] if shown else secrets:
            assert key.encode() not in content, path
            assert key.split("-", 3)[-1].encode() not in content, path


def test_folder_is_for_its_owner_only(server: Server, secrets: list[str]):
    """What holds a key or the books cannot be read by others on the machine."""
    for name in ("sandbox.env", "keeper.lock"):
        assert (server.data_dir / name).stat().st_mode & 0o077 == 0, name
    for path in (server.data_dir / "journal").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
