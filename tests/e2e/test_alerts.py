"""Alerts of quotas from a real server with several workers: one webhook each, a header on what follows, a metric."""

from __future__ import annotations

import asyncio
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest

from proxy.identity.signatures import signed_id
from tests.e2e import wire
from tests.e2e.conftest import Launch
from tests.e2e.polling import until
from tests.e2e.server import write_config

RAW = b"an example, and so no secret"
SECRET = f"whsec_{b64encode(RAW).decode()}"
Got = list[tuple[dict[bytes, bytes], bytes]]


@pytest.fixture
def hook() -> Iterator[tuple[str, Got]]:
    """Return an address that takes alerts in, and what it got: (headers, body)."""
    got: Got = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            names = ("webhook-id", "webhook-timestamp", "webhook-signature")
            got.append(({name.encode(): self.headers[name].encode() for name in names}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/alerts", got
    server.shutdown()
    server.server_close()


def test_a_hundred_requests_at_once_cross_each_percentage_once(
    launch: Launch, hook: tuple[str, Got], tmp_path: Path
) -> None:
    """Of 50 included credits two workers charge 100 at once: four alerts, also after the server was killed."""
    url, got = hook
    config = write_config(
        tmp_path / "config", server={"workers": 2}, alerts={"webhook": {"url": url, "secret": SECRET}},
        plans={"fifty": {"credits": {"included": 50, "enforce": "soft"}}},
    )  # fmt: skip
    server = launch(config)
    key = server.create_key("fifty-one", plan="fifty")

    answers = asyncio.run(wire.rush(server.port, wire.chat(key, "Say hello", model="auto:simple"), 100))
    assert [each.status for each in answers] == [200] * 100
    until(lambda: len(got) == 4, "four alerts arrived")

    told = [orjson.loads(body) for _, body in got]
    assert sorted(each["percent"] for each in told) == [50, 80, 100, 120]
    assert {(each["customer"], each["plan"], each["of"]) for each in told} == {("fifty-one", "fifty", "credits")}
    for signed, body in got:
        assert signed_id(signed, body, [RAW], now_s=time.time(), tolerance_s=300) == signed[b"webhook-id"]
    until(lambda: server.chat("Say it", key).headers.get("x-penstock-quota-alert") == "credits=120", "the header")
    counted = {each.labels["percent"]: each.value for each in server.metrics() if each.name == QUOTA_ALERTS}
    assert counted == {"50": 1, "80": 1, "100": 1, "120": 1}

    server.clear_away()
    server.start()
    assert server.chat("Say it again", key).headers["x-penstock-quota-alert"] == "credits=120"
    changes = server.cli("ledger", "changes", "--json").json()
    assert sum(each["kind"] == "alerted" for each in changes) == 4
    assert len(got) == 4
    assert server.stop() == 0


QUOTA_ALERTS = "penstock_quota_alerts_total"
