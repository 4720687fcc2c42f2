"""A real Chromium without a window, spoken to over a pipe by its DevTools protocol; nothing of it needs a library."""

from __future__ import annotations

import base64
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from tests.grafana.programs import program

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip
ANSWER_S = 20.0


class Tab:
    """One page, and what went wrong on it."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._buffer, self._count, self._session = b"", 0, {}
        self._has_loaded = False
        self.complaints: list[str] = []
        """Exceptions, and what the browser refused to do, such as what the policy forbids."""
        target = self.say("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.say("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log"):
            self.say(f"{domain}.enable")

    def say(self, method: str, **params: Any) -> Any:
        """Send a command of the protocol; return its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params, **self._session}
        os.write(self._to, orjson.dumps(message) + b"\0")
        while True:
            heard = self._heard()
            if heard.get("id") == self._count:
                assert "error" not in heard, (method, heard)
                return heard["result"]
            self._note(heard)

    def _heard(self) -> Any:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], ANSWER_S)
            assert ready, "the browser does not answer"
            read = os.read(self._from, 1 << 20)
            assert read, "the browser is gone"
            self._buffer += read
        message, _, self._buffer = self._buffer.partition(b"\0")
        return orjson.loads(message)

    def _note(self, event: Any) -> None:
        if event.get("method") == "Page.loadEventFired":
            self._has_loaded = True
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(event["params"]["exceptionDetails"].get("exception", {}).get("description")))
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.complaints.append(f"{event['params']['entry']['text']} {event['params']['entry'].get('url', '')}")

    def run(self, script: str) -> Any:
        """Return what an expression is on the page, a promise's outcome included."""
        found = self.say("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def open(self, url: str) -> None:
        """Go to an address; return when what it names is loaded."""
        self._has_loaded = False
        self.say("Page.navigate", url=url)
        while not self._has_loaded:
            self._note(self._heard())

    def until(self, script: str, within_s: float = ANSWER_S) -> None:
        """Wait until an expression is true on the page."""
        deadline = time.monotonic() + within_s
        while not self.run(f"Boolean({script})"):
            assert time.monotonic() < deadline, (script, self.complaints, self.run("document.body.innerText"))
            time.sleep(0.02)

    def text(self, selector: str) -> str:
        """Return what is read at the first place that fits."""
        return self.run(f"document.querySelector({selector!r}).innerText")

    def table(self, selector: str) -> list[list[str]]:
        """Return a table's body, cell by cell, what narrow windows hide included."""
        return self.run(
            f"[...document.querySelector({selector!r}).tBodies[0].rows].map(r => [...r.cells].map(c => c.textContent))"
        )

    def look(self, width: int, height: int, *, is_dark: bool = False) -> None:
        """Give the window a size and its user a taste."""
        self.say("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        taste = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.say("Emulation.setEmulatedMedia", features=[taste])

    def picture(self, path: Path) -> None:
        """Write what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self.say("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browser(profile: Path) -> Iterator[Tab]:
    """Yield a tab of a browser of its own; skips, or fails, where there is none."""
    found = shutil.which("chromium-browser") or shutil.which("google-chrome") or program("chromium", "chromium")
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    # The protocol's pipes are 3 and 4 in the browser.
    script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    command = ["bash", "-c", script, "bash", found, *QUIET, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
    with (profile.parent / "chromium.log").open("wb") as log:
        process = subprocess.Popen(command, pass_fds=(theirs_in, theirs_out), stdout=log, stderr=log)
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Tab(ours_out, ours_in)
    finally:
        os.close(ours_out)  # it ends with its pipe
        os.close(ours_in)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
