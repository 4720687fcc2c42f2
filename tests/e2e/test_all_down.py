"""Every provider is down: each surface says so in its own shape, which were tried, and when to come back."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Launch
from tests.e2e.server import Server, free_port, post, write_config

PROMPT = {"messages": [{"role": "user", "content": "hi"}]}
SURFACES = {
    "/v1/chat/completions": PROMPT,
    "/v1/messages": {**PROMPT, "max_tokens": 20},
    "/v1/responses": {"input": "hi"},
}


@pytest.fixture(scope="module")
def dark(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server whose one provider listens nowhere."""
    nowhere = {"dialect": "openai", "base_url": f"http://127.0.0.1:{free_port()}/v1", "api_key": "x"}
    server = launch(write_config(tmp_path_factory.mktemp("config"), providers={"sandbox": nowhere}))
    yield server
    server.clear_away()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", SURFACES)
def test_all_down_is_a_503_that_names_them(dark: Server, path: str, stream: bool) -> None:
    """With `retry-after`; nothing is charged, and every call that failed is booked at nothing."""
    body = {"model": "auto:simple", "stream": stream, **SURFACES[path]}
    before = dark.balance("sandbox")

    found = post(f"{dark.origin}{path}", json=body, headers={"authorization": f"Bearer {dark.key}"})

    assert found.status_code == 503
    assert int(found.headers["retry-after"]) >= 1
    error = found.json()["error"]
    assert "gpt-6-luna (" in error["message"]
    assert "gpt-4o-mini (" in error["message"]
    assert error["type"] == ("overloaded_error" if path == "/v1/messages" else "server_error")
    assert dark.balance("sandbox") == before
    assert dark.ask("report.margin")["total"]["cost_nusd"] == 0
