"""Conversations over the wire: they stay, also where every turn comes to whichever worker accepts it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.server import Server, write_config

NOTES = {"role": "system", "content": "Some notes of ours. " * 4_000}
HARD = {"role": "user", "content": "Prove rigorously that there are infinitely many primes congruent to 3 mod 4."}
ANSWER = {"role": "assistant", "content": "By contradiction."}
THANKS = {"role": "user", "content": "thank you"}
MODELS = {
    "gpt-6-luna": {"provider": "sandbox", "price": {"input": 9, "cache_read": 0.9, "output": 10}},
    "gpt-6-astra": {"provider": "sandbox", "price": {"input": 10, "cache_read": 1, "output": 11}},
}
"""They cost nearly the same: a cold prefix is worth some turns."""
CONVERSATIONS = 16
"""Each has its second turn when all have had their first: later than the workers take to tell each other."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two workers."""
    folder: Path = tmp_path_factory.mktemp("sessions")
    found = Server(folder / "data", write_config(folder / "configs", server={"workers": 2}, models=MODELS))
    found.start()
    yield found
    found.stop()
    found.clear_away()


def turn(server: Server, key: str, session: int, *messages: Any) -> httpx.Response:
    """Serve one turn, over a connection of its own."""
    headers = {"authorization": f"Bearer {key}", "x-penstock-session": f"s{session}", "connection": "close"}
    body = {"model": "auto", "messages": [NOTES, *messages]}
    found = httpx.post(f"{server.origin}/v1/chat/completions", json=body, headers=headers, timeout=20)
    assert found.status_code == 200, found.text
    return found


def test_every_worker_knows_where_a_conversation_is(server: Server) -> None:
    """The easy turn after the hard one stays on the warm model, whoever accepts it; the books say why."""
    key = server.create_key("talks", plan="sandbox")
    server.grant("talks", 10_000, paid_usd=500)

    for session in range(CONVERSATIONS):
        turn(server, key, session, HARD)
    seconds = [turn(server, key, session, HARD, ANSWER, THANKS) for session in range(CONVERSATIONS)]

    assert {each.headers["x-penstock-route"] for each in seconds} == {"judged+session-stay"}
    assert {each.headers["x-penstock-model"] for each in seconds} == {"gpt-6-astra"}
    assert {each.headers["x-penstock-tier"] for each in seconds} == {"simple"}
    found = server.ask("explain.charge", id=seconds[0].headers["x-penstock-request-id"])
    assert found["decision"]["session"]["decided"] == "stay"
    assert "the conversation stays with gpt-6-astra" in found["decision"]["reasons"]
    counted = {
        each.labels["decided"]: each.value for each in server.metrics() if each.name == "penstock_session_turns_total"
    }
    assert counted == {"new": CONVERSATIONS, "stay": CONVERSATIONS}
