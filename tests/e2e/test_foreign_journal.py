"""A journal of another data folder is laid into the folder of a running server, and taken away again."""

from margin.ledger.books import Books
from tests.e2e.conftest import Launch
from tests.e2e.polling import until
from tests.e2e.server import get
from tests.e2e.test_disk_full import gauge
from tests.margin.bookkeeping import Worker, held, settled


def test_a_foreign_journal_is_named_and_not_folded(launch: Launch, tmp_path):
    """Requests are served on; /readyz, the metric, the log and `ledger verify` name it until it is gone."""
    server = launch()
    other = Books(tmp_path, version="test")
    opened = {"k": "opened", "t": 1, "role": "worker", "version": "test", "folder": other.folder_id}
    Worker(tmp_path, "worker-other").write(opened, held("x1", 0), settled("x1", 0)).close()
    other.close()
    laid = server.data_dir / "journal" / "worker-other.journal"

    laid.write_bytes((tmp_path / "journal" / "worker-other.journal").read_bytes())
    until(lambda: not server.is_ready(), "not ready")
    said = get(f"{server.origin}/readyz").json()
    verified = server.cli("ledger", "verify")
    served = server.chat("Say hello")
    counted = gauge(server, "penstock_journals_foreign")
    laid.unlink()
    until(server.is_ready, "ready again")

    assert "worker-other.journal" in said["why"]
    assert verified.code == 1
    assert "worker-other.journal" in verified.out
    assert served.status_code == 200
    assert counted == 1
    assert "worker-other.journal" in server.log.read_text()
    assert server.cli("ledger", "verify").code == 0
