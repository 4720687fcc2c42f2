"""Another process locks the ledger of a running server."""

import sqlite3
from contextlib import closing

from tests.e2e.polling import until
from tests.e2e.server import Server


def lag_s(server: Server) -> float:
    """Return how far the ledger lags, as /metrics has it."""
    return next(each.value for each in server.metrics() if each.name == "penstock_ledger_lag_seconds")


def test_a_locked_ledger_lags_and_catches_up(server: Server):
    """Requests are answered, the lag shows, commands say why they cannot; afterwards the books have everything."""
    assert server.chat("Say hello").status_code == 200  # its customer has a lease
    before = server.balance("sandbox")["spent"]

    with closing(sqlite3.connect(server.data_dir / "ledger.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answers = [server.chat(f"Say hello to {n}") for n in range(5)]
        until(lambda: lag_s(server) > 0.3, "the lag shows")
        answers += [server.chat(f"Say hello again to {n}") for n in range(5)]
        found = server.cli("report", "margin")
        assert server.is_ready()
    until(lambda: lag_s(server) == 0, "the ledger has caught up")

    assert [each.status_code for each in answers] == [200] * 10
    assert (found.code, found.out) == (3, "")
    assert "database is locked" in found.err
    charged = sum(float(each.headers["x-penstock-credits-charged"]) for each in answers)
    assert server.balance("sandbox")["spent"] - before == charged
    assert server.ask("ledger.verify")["ok"]
