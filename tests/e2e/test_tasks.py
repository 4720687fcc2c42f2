"""Tasks and outcomes over HTTP: who may tell of them, and what that does to a bill."""

import hmac
import time
from base64 import b64encode
from pathlib import Path

import httpx
import orjson
import pytest

from tests.e2e.conftest import Launch
from tests.e2e.polling import until
from tests.e2e.server import Server, get, post, write_config

AGENT = {
    "credits": {"mode": "prepaid", "price": 0.05, "enforce": "hard"},
    "outcomes": {"resolution": {"price": 0.99, "definition": "the customer does not come back"}},
    "tasks": {"support": {"outcome": "resolution", "idle": "30m"}, "report": {"price": 2}, "brief": {"idle": "1s"}},
}
CENT = 10**7
SECRET = b"a secret of the helpdesk and ours"
WHSEC = f"whsec_{b64encode(SECRET).decode()}"


@pytest.fixture(scope="module")
def shop(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Return a server of two workers that sells by task and by outcome; nobody has credits there."""
    webhooks = {"desk": {"secrets": [WHSEC], "customer": "helpdesk"}, "any": {"secrets": [WHSEC]}}
    config = write_config(tmp_path_factory.mktemp("tasks"), plans={"agent": AGENT}, server={"workers": 2},
                          webhooks={"outcomes": webhooks})  # fmt: skip
    return launch(config)


@pytest.fixture(scope="module")
def keys(shop: Server) -> tuple[str, str]:
    """Return a customer's own key, and the operator's for its tasks."""
    return shop.create_key("helpdesk", "serve", plan="agent"), shop.create_key("helpdesk", "outcomes")


def tell(shop: Server, key: str, path: str, event: str | None = None, **body: object) -> httpx.Response:
    """Post to the API."""
    headers = {"authorization": f"Bearer {key}"} | ({} if event is None else {"idempotency-key": event})
    return post(f"{shop.origin}/v1/{path}", json=body, headers=headers, timeout=20)


def signal(
    shop: Server, sender: str, id_: str, *, secret: bytes = SECRET, age_s: int = 0, **body: object
) -> httpx.Response:
    """Send a signed message."""
    content, sent = orjson.dumps(body), int(time.time()) - age_s
    digest = hmac.new(secret, b"%b.%d.%b" % (id_.encode(), sent, content), "sha256").digest()
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": str(sent),
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }
    return post(f"{shop.origin}/v1/webhooks/outcomes/{sender}", content=content, headers=headers, timeout=20)


def call(shop: Server, key: str, task: str) -> httpx.Response:
    """Ask something as a part of a task."""
    body = {"model": "auto:simple", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {key}", "x-penstock-task": task}
    return post(f"{shop.origin}/v1/chat/completions", json=body, headers=headers, timeout=20)


def margin(shop: Server) -> dict[str, int]:
    """Return what the report says of the customer."""
    rows = shop.ask("report.margin")["customers"]
    names = ("requests", "cost_nusd", "revenue_nusd", "margin_nusd", "model_cost_nusd", "other_cost_nusd")
    nothing = dict.fromkeys(names, 0)
    return next((row for row in rows if row["customer"] == "helpdesk"), nothing)


def test_seven_calls_are_one_charge_and_seven_costs(shop: Server, keys: tuple[str, str]):
    """Row 2, over two workers: without a single credit, as the work is what is charged."""
    own, operator = keys
    before = margin(shop)
    task = tell(shop, operator, "tasks", type="report").json()["id"]

    answers = [call(shop, own, task) for _ in range(7)]
    assert {(each.status_code, each.headers["x-penstock-credits-charged"]) for each in answers} == {(200, "0")}
    closed = tell(shop, operator, f"tasks/{task}/close").json()

    assert (closed["calls"], closed["charged_nusd"]) == (7, 200 * CENT)
    after = margin(shop)
    assert after["revenue_nusd"] - before["revenue_nusd"] == 200 * CENT
    assert after["requests"] - before["requests"] == 7
    assert after["cost_nusd"] > before["cost_nusd"]
    assert shop.ask("ledger.verify")["violations"] == []


def test_a_hand_off_earns_nothing_and_keeps_its_cost(shop: Server, keys: tuple[str, str]):
    """Row 4: the margin of what was handed off is what it cost, below zero."""
    own, operator = keys
    task = tell(shop, operator, "tasks", type="support").json()["id"]
    before = margin(shop)

    assert call(shop, own, task).status_code == 200
    told = tell(shop, operator, "outcomes", task=task, outcome="handed_off").json()

    after = margin(shop)
    assert (told["charged"], told["charged_nusd"]) == (False, 0)
    assert after["revenue_nusd"] == before["revenue_nusd"]
    assert after["margin_nusd"] - before["margin_nusd"] == before["cost_nusd"] - after["cost_nusd"] < 0


def test_what_a_person_cost_stands_beside_the_models(shop: Server, keys: tuple[str, str]):
    """Told after the hand-off, once: model margin and gross margin side by side, and the books are sound."""
    task = tell(shop, keys[1], "tasks", type="support").json()["id"]
    tell(shop, keys[1], "outcomes", task=task, outcome="handed_off")
    before = margin(shop)

    answers = [tell(shop, keys[1], f"tasks/{task}/costs", "c-1", kind="human", usd="12.50") for _ in range(2)]

    assert [each.status_code for each in answers] == [200, 200]
    after = margin(shop)
    assert after["other_cost_nusd"] - before["other_cost_nusd"] == 1_250 * CENT
    assert after["margin_nusd"] - before["margin_nusd"] == -1_250 * CENT
    assert after["model_cost_nusd"] == before["model_cost_nusd"]
    assert shop.ask("ledger.verify")["violations"] == []


def test_a_customers_serving_key_decides_nothing_of_its_bill(shop: Server, keys: tuple[str, str]):
    """It can open, close, judge and look at no task: 403 each time, and the task is as it was."""
    own, operator = keys
    task = tell(shop, operator, "tasks", type="support").json()["id"]

    answers = [
        tell(shop, own, "tasks", type="report"),
        tell(shop, own, f"tasks/{task}/close", completed=False),
        tell(shop, own, f"tasks/{task}/costs", kind="human", usd="12.50"),
        *(tell(shop, own, "outcomes", task=task, outcome=each) for each in ("confirmed", "failed", "reversed")),
        get(f"{shop.origin}/v1/tasks/{task}", headers={"authorization": f"Bearer {own}"}),
    ]

    assert [each.status_code for each in answers] == [403] * 7
    assert {each.json()["error"]["code"] for each in answers} == {"forbidden"}
    seen = get(f"{shop.origin}/v1/tasks/{task}", headers={"authorization": f"Bearer {operator}"}).json()
    assert (seen["status"], seen["outcome"], seen["charged"]) == ("open", None, False)


def test_a_signed_message_decides_once(shop: Server, keys: tuple[str, str]):
    """Without a key; sent again it is answered the same and charged once, also from the other worker."""
    task = tell(shop, keys[1], "tasks", type="support").json()["id"]
    before = margin(shop)["revenue_nusd"]

    answers = [signal(shop, "desk", "msg_1", task=task, outcome="confirmed") for _ in range(4)]

    assert {(each.status_code, each.content) for each in answers} == {(200, answers[0].content)}
    assert margin(shop)["revenue_nusd"] == before + 99 * CENT
    other = signal(shop, "desk", "msg_1", task=task, outcome="failed")
    assert (other.status_code, other.json()["error"]["param"]) == (409, "idempotency-key")
    back = signal(shop, "any", "msg_1", task=task, outcome="reversed", customer="helpdesk")
    assert (back.status_code, back.json()["charged"]) == (200, False)


def test_an_unsigned_message_decides_nothing(shop: Server, keys: tuple[str, str]):
    """A customer's serving key is no signature; nor is a wrong secret, an old message, or an unknown sender."""
    own, operator = keys
    task = tell(shop, operator, "tasks", type="support").json()["id"]
    shop.create_key("other", "serve", plan="agent")
    told: dict[str, object] = {"task": task, "outcome": "failed"}

    answers = {
        "key": tell(shop, own, "webhooks/outcomes/desk", **told),
        "secret": signal(shop, "desk", "m1", secret=b"x" * 32, **told),
        "old": signal(shop, "desk", "m1", age_s=400, **told),
        "sender": signal(shop, "nobody", "m1", **told),
        "foreign": signal(shop, "desk", "m1", customer="other", **told),
        "whose": signal(shop, "any", "m1", customer="other", **told),
        "nobody": signal(shop, "any", "m1", **told),
    }

    found = {name: each.status_code for name, each in answers.items()}
    assert found == {"key": 401, "secret": 401, "old": 401, "sender": 401, "foreign": 400, "whose": 404, "nobody": 404}
    seen = get(f"{shop.origin}/v1/tasks/{task}", headers={"authorization": f"Bearer {operator}"}).json()
    assert seen["outcome"] is None


def test_an_event_that_comes_twice_is_answered_the_same(shop: Server, keys: tuple[str, str]):
    """And another body under its key is a 409 that says so."""
    _, operator = keys
    task = tell(shop, operator, "tasks", type="support").json()["id"]
    before = margin(shop)["revenue_nusd"]

    first = tell(shop, operator, "outcomes", "ev-1", task=task, outcome="confirmed")
    again = tell(shop, operator, "outcomes", "ev-1", task=task, outcome="confirmed")
    other = tell(shop, operator, "outcomes", "ev-1", task=task, outcome="failed")

    assert (first.status_code, first.content) == (200, again.content)
    assert (other.status_code, other.json()["error"]["param"]) == (409, "idempotency-key")
    assert margin(shop)["revenue_nusd"] == before + 99 * CENT


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("outcomes", {"task": "task_none", "outcome": "confirmed"}, 404, None),
        ("outcomes", {"task": "TASK", "outcome": "confirmed", "at": "2199-01-01T00:00:00Z"}, 400, "at"),
        ("outcomes", {"task": "TASK", "outcome": "confirmed", "at": "1999-01-01T00:00:00Z"}, 400, "at"),
        ("outcomes", {"task": "TASK", "outcome": "confirmed", "at": "yesterday"}, 400, "at"),
        ("outcomes", {"task": "TASK", "outcome": "assumed"}, 400, "outcome"),
        ("outcomes", {"task": "TASK", "outcome": "confirmed", "price": 1}, 400, "price"),
        ("tasks", {"type": "suport"}, 400, "type"),
        ("tasks/task_none/costs", {"kind": "tool", "usd": "1"}, 404, None),
        ("tasks/TASK/costs", {"kind": "tax", "usd": "1"}, 400, "kind"),
        ("tasks/TASK/costs", {"kind": "tool", "usd": "a dollar"}, 400, "usd"),
        ("tasks/TASK/costs", {"kind": "tool", "usd": "-1"}, 400, "usd"),
        ("tasks/TASK/costs", {"kind": "tool", "usd": "1", "at": "2199-01-01T00:00:00Z"}, 400, "at"),
        ("tasks/task_none/close", {}, 404, None),
    ],
)  # fmt: skip
def test_bad_input_is_a_clear_4xx(
    shop: Server, keys: tuple[str, str], path: str, body: dict[str, str], status: int, param: str | None
):
    """The field at fault is named, in OpenAI's shape."""
    task = tell(shop, keys[1], "tasks", type="support").json()["id"]
    told = {name: task if value == "TASK" else value for name, value in body.items()}

    answer = tell(shop, keys[1], path.replace("TASK", task), **told)

    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_request_joins_only_an_open_task_of_its_customer(shop: Server, keys: tuple[str, str]):
    """An unknown one is a 404, another customer's too, a closed one a 409; nothing is served."""
    own, operator = keys
    stranger = shop.create_key("rival", "serve", plan="open")
    task = tell(shop, operator, "tasks", type="support").json()["id"]

    assert call(shop, own, "task_none").status_code == 404
    assert call(shop, stranger, task).status_code == 404
    tell(shop, operator, f"tasks/{task}/close")
    closed = call(shop, own, task)
    assert (closed.status_code, closed.json()["error"]["param"]) == (409, "x-penstock-task")


def test_an_idle_task_ends_by_itself(shop: Server, keys: tuple[str, str]):
    """By the plan's word; nobody has to say so."""
    task = tell(shop, keys[1], "tasks", type="brief").json()["id"]

    def is_idle() -> bool:
        seen = get(f"{shop.origin}/v1/tasks/{task}", headers={"authorization": f"Bearer {keys[1]}"}).json()
        return bool(seen["closed_because"] == "idle")

    until(is_idle, "the task is closed", within_s=20)


def test_a_task_is_charged_once_over_a_crash(launch: Launch, tmp_path: Path):
    """All processes are killed right after an outcome was answered; it is told again after the restart."""
    shop = launch(write_config(tmp_path, plans={"agent": AGENT}))
    own, operator = shop.create_key("helpdesk", "serve", plan="agent"), shop.create_key("helpdesk", "outcomes")
    task = tell(shop, operator, "tasks", "open-1", type="support").json()["id"]
    call(shop, own, task)
    first = tell(shop, operator, "outcomes", "ev-1", task=task, outcome="confirmed")

    shop.end(9, group=True)
    shop.start()

    assert tell(shop, operator, "tasks", "open-1", type="support").json()["id"] == task
    assert tell(shop, operator, "outcomes", "ev-1", task=task, outcome="confirmed").content == first.content
    assert margin(shop)["revenue_nusd"] == 99 * CENT
    assert shop.ask("ledger.verify")["violations"] == []
