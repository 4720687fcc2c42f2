"""`idempotency-key`: one call and one charge, whoever asks again, on whichever worker, and whatever died meanwhile."""

import asyncio
import json
import os
import signal
from typing import Any

import httpx
import pytest

from tests.e2e import wire
from tests.e2e.conftest import Launch
from tests.e2e.polling import until
from tests.e2e.server import Server, is_alive, post, write_config

SLOWLY = "[[sim: tokens=2000 slow=0.01]] Say hello"
"""Twenty seconds of stream."""
BRIEFLY = "[[sim: tokens=30 slow=0.01]] Say hello"
SOME_TIME = "[[sim: tokens=300 slow=0.01]] Say hello"
"""Three seconds: longer than another request takes on a busy machine."""
OURS = ("x-penstock-overhead-ms", "x-penstock-credits-remaining", "x-penstock-cost-usd")
"""Headers that a stored answer leaves out."""


@pytest.fixture(scope="module")
def house(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Return a server with two workers."""
    return launch(write_config(tmp_path_factory.mktemp("config"), server={"workers": 2}))


def ask(
    server: Server, name: str, prompt: str = "Say hello", *, by: str | None = None, **fields: Any
) -> httpx.Response:
    """Ask under an idempotency key, on a connection of its own: any worker may take it."""
    body = {"model": "auto:simple", "messages": [{"role": "user", "content": prompt}], **fields}
    headers = {"authorization": f"Bearer {by or server.key}", "idempotency-key": name}
    return post(f"{server.origin}{wire.PATH}", json=body, headers=headers, timeout=30)


def request(server: Server, name: str, prompt: str, **fields: Any) -> bytes:
    """Return the bytes of a request under an idempotency key."""
    body = {"model": "auto:simple", "messages": [{"role": "user", "content": prompt}], **fields}
    return wire.request(server.key, json.dumps(body).encode(), f"idempotency-key: {name}")


@pytest.mark.parametrize("stream", [False, True])
def test_second_one_gets_the_stored_answer(house: Server, *, stream: bool):
    """The same bytes, headers and exchange, marked as a replay; one call at the provider and one charge."""
    calls, spent = len(house.invoice()), house.balance("sandbox")["spent"]

    first = ask(house, f"twice-{stream}", stream=stream)
    others = [ask(house, f"twice-{stream}", stream=stream) for _ in range(6)]

    assert first.status_code == 200
    assert "idempotent-replayed" not in first.headers
    for other in others:
        assert other.headers["idempotent-replayed"] == "true"
        assert other.content.replace(b"\r\n", b"\n") == without_cost(first.content)
        assert other.headers["content-type"] == first.headers["content-type"]
        assert kept(other) == kept(first)
    assert len(house.invoice()) == calls + 1
    assert house.balance("sandbox")["spent"] == spent + 1


def without_cost(content: bytes) -> bytes:
    """Return an answer without the comment that only some keys may see."""
    return b"".join(part for part in content.splitlines(keepends=True) if not part.startswith(b": "))


def kept(answer: httpx.Response) -> dict[str, str]:
    """Return our headers but for those of one moment."""
    return {name: value for name, value in answer.headers.items() if name.startswith("x-penstock") and name not in OURS}


def test_another_request_under_the_same_key_is_refused(house: Server):
    """422, also while the first still runs; another customer's equal key is another key."""
    other = house.create_key("neighbour", plan="sandbox")
    house.grant("neighbour", 5)
    line = house.connect()
    line.sendall(request(house, "reused", SOME_TIME, stream=True))
    wire.read_events(line, 1)

    found = [ask(house, "reused", "Something else")]
    wire.read_events(line, 10_000)
    found += [ask(house, "reused", "Something else"), ask(house, "reused", SOME_TIME)]
    theirs = ask(house, "reused", "Something else", by=other)

    line.close()
    assert [each.status_code for each in found] == [422] * 3  # the third is not streamed: another request
    assert found[0].json()["error"]["code"] == "idempotency_key_reused"
    assert found[0].json()["error"]["type"] == "idempotency_error"
    assert found[0].headers["x-should-retry"] == "false"
    assert theirs.status_code == 200
    assert "idempotent-replayed" not in theirs.headers


def test_in_flight_is_a_conflict_and_who_left_finds_the_whole_answer(house: Server):
    """409 with `retry-after` while it runs; its first caller may even be gone: the answer is drained and kept."""
    calls = len(house.invoice())
    line = house.connect()
    line.sendall(request(house, "left", SOME_TIME, stream=True))
    wire.read_events(line, 1)
    conflict = ask(house, "left", SOME_TIME, stream=True)
    line.close()

    found = until(lambda: answered(house, "left", SOME_TIME), "the answer is kept")

    assert (conflict.status_code, conflict.headers["retry-after"]) == (409, "1")
    assert conflict.json()["error"]["code"] == "idempotency_key_in_use"
    assert found.content.endswith(b"data: [DONE]\n\n")
    assert found.content.count(b'"content"') >= 300
    assert len(house.invoice()) == calls + 1


def answered(server: Server, name: str, prompt: str) -> httpx.Response | None:
    """Return the answer, or None while it is in flight."""
    found = ask(server, name, prompt, stream=True)
    assert found.status_code in {200, 409}
    return found if found.status_code == 200 else None


@pytest.mark.parametrize("stream", [False, True])
def test_many_at_once_are_one_call(house: Server, *, stream: bool):
    """Fifty at once over two workers: one runs, the others hear 409 or get its answer; one call, one charge."""
    calls, spent = len(house.invoice()), house.balance("sandbox")["spent"]
    asked = request(house, f"rush-{stream}", BRIEFLY, stream=stream)

    answers = asyncio.run(wire.rush(house.port, asked, 50))

    statuses = {answer.status for answer in answers}
    assert statuses <= {200, 409}
    fresh = [each for each in answers if each.status == 200 and "idempotent-replayed" not in each.headers]
    assert len(fresh) == 1
    assert len({each.headers["x-penstock-request-id"] for each in answers if each.status == 200}) == 1
    assert len(house.invoice()) == calls + 1
    assert house.balance("sandbox")["spent"] == spent + 1


def test_what_was_refused_or_broke_off_runs_again(house: Server):
    """Without credit: 402, and after a grant it is served. A provider that failed: 503, nothing charged, and anew."""
    poor = house.create_key("poor", plan="sandbox")

    refused = ask(house, "no-credit", by=poor)
    house.grant("poor", 5)
    served = ask(house, "no-credit", by=poor)
    failed = [ask(house, "fails", "[[sim: status=500]] Say hello", by=poor).status_code for _ in range(2)]

    assert refused.status_code == 402
    assert served.status_code == 200
    assert "idempotent-replayed" not in served.headers
    assert failed == [503, 503]
    assert house.balance("poor") == {"available": 4, "held": 0, "spent": 1, "expired": 0, "overdraft": 0}


@pytest.mark.parametrize("name", ["", "x" * 256, "caf\xe9", "tab\there"])
def test_senseless_keys_are_refused(house: Server, name: str):
    """Too long, empty, or beyond printable ASCII: 400, in OpenAI's shape, and nothing is charged."""
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}]}).encode()
    data = wire.request(house.key, body, "idempotency-key: KEY").replace(b"KEY", name.encode("latin-1"))

    answer = wire.send(house.connect(), data)

    assert answer.status == 400
    assert answer.json()["error"]["param"] == "idempotency-key"


def test_openais_client_retries_into_the_stored_answer(house: Server):
    """While the first try runs the SDK hears 409 and `retry-after`, retries by itself, and gets the first's answer."""
    calls = len(house.invoice())
    line = house.connect()
    line.sendall(request(house, "sdk-1", SOME_TIME))
    until(lambda: house.ask("ledger.verify")["open_holds"], "the first is on its way")

    with house.openai(retries=8) as client:
        answer = client.chat.completions.with_raw_response.create(
            messages=[{"role": "user", "content": SOME_TIME}],  # in another order: compared by value
            model="auto:simple",
            extra_headers={"idempotency-key": "sdk-1"},
        )

    line.close()
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.retries_taken >= 1
    assert answer.parse().choices[0].message.content
    assert len(house.invoice()) == calls + 1


def test_metrics_count_the_verdicts(house: Server):
    """Each verdict has a series of its own, and what is kept has a size."""
    ask(house, "counted")
    ask(house, "counted")

    found = {each.labels.get("verdict", each.name): each.value for each in house.metrics() if "idempot" in each.name}

    assert found["run"] >= 1
    assert found["replayed"] >= 1
    assert found["penstock_idempotency_answers"] >= 1
    assert found["penstock_idempotency_answer_bytes"] > 200


def test_after_a_restart_a_charged_one_is_not_run_again(launch: Launch):
    """Killed whole: what was answered is 409 `answer_unavailable` with the charge; what saw no byte is served anew."""
    server = launch()
    done = ask(server, "done")
    streaming, silent = server.connect(), server.connect()
    streaming.sendall(request(server, "streaming", SLOWLY, stream=True))
    charged = wire.parse(wire.read_events(streaming, 2)).headers["x-penstock-request-id"]
    silent.sendall(request(server, "silent", "[[sim: hang]] Say hello"))
    until(lambda: any("sim: hang" in str(each["body"]) for each in server.seen_upstream()), "the provider has it")

    server.end(signal.SIGKILL, group=True)
    streaming.close()
    silent.close()
    server.start()

    for name, prompt, stream, x in (
        ("done", "Say hello", {}, done.headers["x-penstock-request-id"]),
        ("streaming", SLOWLY, {"stream": True}, charged),
    ):
        gone = ask(server, name, prompt, **stream)
        assert gone.status_code == 409
        assert gone.json()["error"]["code"] == "answer_unavailable"
        assert gone.headers["x-should-retry"] == "false"
        assert gone.headers["x-penstock-request-id"] == x
        assert x in gone.json()["error"]["message"]
        assert server.ask("explain.charge", id=x)["credits_milli"] == 1000
    anew = httpx.Client(verify=False, timeout=0.5)
    with anew, pytest.raises(httpx.ReadTimeout):
        # It runs: the provider hangs again.
        anew.post(
            f"{server.origin}{wire.PATH}",
            headers={"authorization": f"Bearer {server.key}", "idempotency-key": "silent"},
            json={"model": "auto:simple", "messages": [{"role": "user", "content": "[[sim: hang]] Say hello"}]},
        )
    assert ask(server, "done", "Another question").status_code == 422


def test_a_worker_that_dies_leaves_its_keys_as_the_journal_has_them(launch: Launch, tmp_path: Any):
    """The others answer for it: what it had streamed is charged and gone, and no second call is made for it."""
    server = launch(write_config(tmp_path, server={"workers": 2}))
    line = server.connect()
    line.sendall(request(server, "orphan", SLOWLY, stream=True))
    x = wire.parse(wire.read_events(line, 2)).headers["x-penstock-request-id"]
    assert ask(server, "orphan", SLOWLY, stream=True).status_code == 409
    calls = len(server.seen_upstream())

    killed = server.workers
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(is_alive, killed)), "the killed ones are gone", within_s=60)
    line.close()
    until(server.is_ready, "ready again", within_s=60)
    found = ask(server, "orphan", SLOWLY, stream=True)

    assert found.status_code == 409
    assert found.json()["error"]["code"] == "answer_unavailable"
    assert found.headers["x-penstock-request-id"] == x
    assert len(server.seen_upstream()) == calls


def test_answers_are_bounded(launch: Launch, tmp_path: Any):
    """Too long an answer, or one too many: its key is still taken, and its answer is gone."""
    server = launch(write_config(tmp_path, idempotency={"answers_max": 2, "answer_bytes_max": "2KiB"}))

    first = [ask(server, f"n{number}") for number in range(3)]
    long = ask(server, "long", "[[sim: tokens=2000]] Say hello")
    again = [ask(server, name) for name in ("n0", "n1", "n2")] + [ask(server, "long", "[[sim: tokens=2000]] Say hello")]

    assert [each.status_code for each in [*first, long]] == [200] * 4
    assert [each.status_code for each in again] == [409, 409, 200, 409]
    assert len(server.invoice()) == 4
