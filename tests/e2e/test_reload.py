"""A configuration that changes under a running server, and processes that stop answering under it."""

import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from classifiers.table import shipped as weights
from tests.e2e.conftest import Launch
from tests.e2e.polling import until
from tests.e2e.server import Server, get, is_alive, write_config

PLAN = {
    "credits": {
        "mode": "prepaid",
        "price": 0.05,
        "enforce": "hard",
        "schedule": {"simple": 2, "medium": 3, "complex": 10},
    }
}


def reloads(server: Server, result: str) -> float:
    """Return how many readings of the configuration ended so."""
    found = [
        s.value for s in server.metrics() if s.name == "penstock_config_reloads_total" and s.labels["result"] == result
    ]
    return found[0] if found else 0


def charged(server: Server) -> str:
    """Return what a simple request costs now."""
    return server.chat("Say hello").headers["x-penstock-credits-charged"]


@pytest.fixture(scope="module")
def open_shop(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Return a server with a configuration of its own."""
    return launch(write_config(tmp_path_factory.mktemp("config"), server={"workers": 2}))


@pytest.fixture
def shop(open_shop: Server) -> Iterator[Server]:
    """Return the server, and put its configuration back afterwards."""
    version = open_shop.settings.version
    yield open_shop
    write_config(open_shop.config.parent, server={"workers": 2})
    until(lambda: all(serves(open_shop, version) for _ in range(4)), "it serves as it did at the start")


def serves(server: Server, version: str) -> bool:
    """Tell whether a request is served, and by that version of the configuration."""
    answer = server.chat("Say hello")
    if answer.status_code != 200:
        return False
    found = server.ask("explain.charge", id=answer.headers["x-penstock-request-id"])
    return found["decision"]["config"] == version


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a sandbox that served a request and was stopped, for copies of it."""
    server = Server(tmp_path_factory.mktemp("closed") / "data").start()
    assert server.chat("Say hello").status_code == 200
    assert server.stop() == 0
    return server.data_dir


def test_thresholds_take_effect_without_a_restart(shop: Server):
    """Cut points below every score: the same question goes a tier up, and its record says by which."""
    asked = "What is the capital of Peru?"
    assert shop.chat(asked, model="auto").headers["x-penstock-tier"] == "simple"
    thresholds = {"medium": 0.0, "complex": 0.0, "classifier": weights().version}

    write_config(shop.config.parent, server={"workers": 2}, routing={"thresholds": thresholds})
    until(lambda: shop.chat(asked, model="auto").headers["x-penstock-tier"] == "medium", "the thresholds apply")

    answer = shop.chat(asked, model="auto")
    decision = shop.ask("explain.charge", id=answer.headers["x-penstock-request-id"])["decision"]
    assert (decision["cuts"], decision["classifier"]) == ([0.0, 0.0], weights().version)
    assert 0 < decision["score"] < 1


def test_a_change_takes_effect_without_a_restart(shop: Server):
    """A plan's schedule and a tier's order: the next requests follow them, on every worker."""
    workers, before = shop.workers, reloads(shop, "ok")
    assert charged(shop) == "1"

    tiers = {"simple": ["gpt-4o-mini", "gpt-6-luna"]}
    write_config(shop.config.parent, plans={"sandbox": PLAN}, server={"workers": 2}, tiers=tiers)

    until(lambda: reloads(shop, "ok") > before, "the new configuration serves")
    answers = [shop.chat("Say hello").headers for _ in range(6)]
    assert {answer["x-penstock-credits-charged"] for answer in answers} == {"2"}
    assert {answer["x-penstock-model"] for answer in answers} == {"gpt-4o-mini"}
    assert shop.workers == workers
    assert shop.ask("ledger.verify")["ok"]


def test_a_provider_s_new_key_takes_effect_without_a_restart(shop: Server):
    """Where nothing else changes: a secret is in no version of the configuration."""
    sandbox = {"dialect": "openai", "base_url": "simulator", "api_key": "another"}
    assert sent_key(shop) != "Bearer another"

    write_config(shop.config.parent, server={"workers": 2}, providers={"sandbox": sandbox})

    until(lambda: all(sent_key(shop) == "Bearer another" for _ in range(4)), "calls carry the new key")


def sent_key(server: Server) -> str:
    """Ask; return what the provider was told who calls."""
    assert server.chat("Say hello").status_code == 200
    return server.seen_upstream()[-1]["headers"]["authorization"]


def test_a_bad_change_leaves_the_old_one_serving(shop: Server):
    """A broken file and a change that needs a restart are refused and counted; the next good one mends it."""
    good, refused, taken = shop.config.read_text(), reloads(shop, "refused"), reloads(shop, "ok")

    shop.config.write_text(good + "\nroutng: {}\n")
    until(lambda: reloads(shop, "refused") == refused + 1, "the broken file is noticed")
    assert charged(shop) == "1"
    write_config(shop.config.parent, server={"workers": 1})
    until(lambda: reloads(shop, "refused") == refused + 2, "the restart is asked for")
    assert charged(shop) == "1"

    shop.config.write_text(good)
    assert shop.process is not None
    os.kill(shop.process.pid, signal.SIGHUP)
    until(lambda: reloads(shop, "ok") == taken + 1, "SIGHUP reads it again")
    (successful,) = [s.value for s in shop.metrics() if s.name == "penstock_config_last_reload_successful"]
    assert successful == 1
    assert 'did you mean "routing"?' in shop.log.read_text()


def test_readiness_means_that_every_worker_answers(shop: Server):
    """A worker that hangs turns readiness off while it does; one that dies until it is replaced."""
    hung, _ = shop.workers

    os.kill(hung, signal.SIGSTOP)
    try:
        until(lambda: not all(ready(shop) for _ in range(4)), "not ready while one hangs")
    finally:
        os.kill(hung, signal.SIGCONT)
    until(lambda: all(ready(shop) for _ in range(4)), "ready again")
    os.kill(hung, signal.SIGKILL)
    until(lambda: hung not in shop.workers and len(shop.workers) == 2, "replaced")
    until(lambda: all(ready(shop) for _ in range(4)), "ready with the new one")


def ready(server: Server) -> bool:
    """Tell what /readyz says on a connection of its own; a worker that hangs says nothing."""
    try:
        return get(f"{server.origin}/readyz", timeout=0.5).status_code == 200
    except httpx.TransportError:
        return False


def test_the_simulator_is_replaced(shop: Server):
    """Its death costs the requests of a moment, not the sandbox."""
    (simulator,) = [pid for pid, command in shop.processes.items() if " -m simulator " in command]

    os.kill(simulator, signal.SIGKILL)

    until(lambda: not is_alive(simulator), "dead")
    until(lambda: shop.chat("Say hello").status_code == 200, "answers again")
    assert shop.reconcile()["ok"]


def test_files_are_for_this_account_alone(shop: Server):
    """Names, ledger and journals are readable by nobody else."""
    files = [path for path in shop.data_dir.rglob("*") if path.is_file()]

    assert files
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def test_a_sandbox_key_is_worth_nothing_elsewhere(closed: Path, tmp_path: Path):
    """A folder that was a sandbox's is served without one: its key is revoked, and a plan that is gone is told."""
    data = Path(shutil.copytree(closed, tmp_path / "data"))
    key = Server(data).key
    config = write_config(tmp_path / "config")
    shipped = yaml.safe_load(config.read_text())
    del shipped["sandbox"], shipped["plans"]
    (config.parent / "serious.yaml").write_text(yaml.safe_dump(shipped))

    serious = Server(data, config.parent / "serious.yaml").start()
    try:
        answer = serious.chat("Say hello", key)
    finally:
        serious.clear_away()

    assert answer.status_code == 401
    assert "its key is revoked" in serious.log.read_text()
    assert 'The sell book has no plan "sandbox"' in serious.log.read_text()


def test_a_plan_that_is_taken_away_serves_on_the_default_one(shop: Server):
    """Customers on a plan that a reload removed are neither refused nor broken; a plan given to them later holds."""
    before = reloads(shop, "ok")
    plan = {"gold": {"credits": {"enforce": "none", "schedule": {"simple": 7, "medium": 8, "complex": 9}}}}
    write_config(shop.config.parent, plans=plan, server={"workers": 2})
    until(lambda: reloads(shop, "ok") == before + 1, "the plan is there")
    key = shop.create_key("midas", plan="gold")
    assert shop.chat("Say hello", key).headers["x-penstock-credits-charged"] == "7"

    write_config(shop.config.parent, server={"workers": 2})
    until(lambda: reloads(shop, "ok") == before + 2, "the plan is gone")

    answers = [shop.chat("Say hello", key) for _ in range(4)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-penstock-credits-charged"] for answer in answers} == {"1"}
    assert shop.ask("ledger.verify")["ok"]


def test_a_command_with_another_configuration_changes_nothing(closed: Path, tmp_path: Path):
    """Reading a stopped server's books through the wrong file leaves its plans and fees as they are."""
    server = Server(Path(shutil.copytree(closed, tmp_path / "data")))
    other = write_config(tmp_path / "other", plans={"starter": {"credits": {"enforce": "none"}}})
    stranger = Server(tmp_path / "data", other)
    before = server.cli("ledger", "verify", "--json").json()["transactions"]

    assert stranger.cli("report", "margin", "--json").code == 0

    books = sqlite3.connect(f"file:{server.data_dir}/ledger.sqlite?mode=ro", uri=True)
    (sellbook,) = books.execute("SELECT value FROM meta WHERE name = 'sellbook'").fetchone()
    books.close()
    assert f'"version":"{server.settings.sellbook.version}"' in sellbook
    assert server.cli("ledger", "verify", "--json").json()["transactions"] <= before + 4, "at most fees accrued"


def test_a_damaged_journal_is_one_sentence(closed: Path, tmp_path: Path):
    """A command that must read a journal with a flipped byte says so, and exits 1."""
    server = Server(Path(shutil.copytree(closed, tmp_path / "data")))
    (journal,) = (server.data_dir / "journal").glob("worker-*.journal")
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 1
    journal.write_bytes(bytes(content))
    for path in server.data_dir.glob("ledger.sqlite*"):
        path.unlink()

    said = server.shell("ledger", "verify")

    assert said.code == 1
    assert said.err.startswith("error: the books cannot be read")
    assert "Traceback" not in said.err
