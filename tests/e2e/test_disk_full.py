"""A disk that fills up under a running server, and gets room again."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.polling import until
from tests.e2e.server import Server

ROOM_BYTES = 1024 * 1024
BACK_S = 30.0
"""The probe's second, the crew's wait and a start, on a machine that does other things besides."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk where a server's journals will be; return its folder."""
    folder = tmp_path / "data" / "journal"
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES},mode=0700", "penstock-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        give_up = pytest.fail if os.environ.get("PENSTOCK_NO_SKIP") == "1" else pytest.skip
        give_up("a small disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def gauge(server: Server, name: str) -> float:
    """Return one figure of /metrics."""
    return next(each.value for each in server.metrics() if each.name == name)


def test_a_full_disk_stops_serving_until_it_has_room(disk: Path, tmp_path: Path):
    """Not ready and 503, without a call, while it is full; then ready by itself, and every call is booked once."""
    server = Server(tmp_path / "data").start()
    try:
        answered = [server.chat(f"Say hello to {n}") for n in range(3)]
        fill(disk / "filler")
        answered += [server.chat(f"Say hello again to {n}") for n in range(20)]
        until(lambda: not server.is_ready(), "not ready")
        until(lambda: gauge(server, "penstock_journals_broken") > 0, "the metric says so")
        calls = len(server.invoice())
        refused = server.chat("Say hello")
        billed_meanwhile = len(server.invoice()) - calls

        (disk / "filler").unlink()
        until(server.is_ready, "ready again", within_s=BACK_S)
        until(lambda: gauge(server, "penstock_journals_broken") == 0, "the metric says so", within_s=BACK_S)
        answered.append(server.chat("Say hello once more"))

        assert (refused.status_code, billed_meanwhile) == (503, 0)
        assert answered[-1].status_code == 200
        assert {each.status_code for each in answered} == {200, 503}
        check_books(server)
    finally:
        server.clear_away()


def check_books(server: Server) -> None:
    """Check that nothing is open or off, and that each billed call is booked once: by its bill, or by an estimate."""
    verified = server.ask("ledger.verify")
    assert (verified["ok"], verified["open_holds"]) == (True, 0), verified
    reasons = {line["reason"]: line["calls"] for line in server.reconcile()["lines"]}
    estimates = reasons.pop("estimated, not billed under a name we know", 0)
    reasons.pop("estimate differs from the bill", 0)
    assert reasons.pop("billed, not booked", 0) <= estimates
    assert reasons == {}
