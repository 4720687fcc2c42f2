"""`/admin` and `/v1/usage` over HTTP, as an operator's script and a customer's app meet them."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.server import Server, get, post

OURS = ("cost", "margin", "nusd", "usd", "price", "revenue", "saving", "provider", "cogs", "basis")
"""Words that no field for a customer may have in its name."""


@pytest.fixture
def admin(server: Server) -> Iterator[httpx.Client]:
    """Yield a client with an admin key."""
    made = server.ask("keys.create", customer="house", scopes=["admin"])
    headers = {"authorization": f"Bearer {made['key']}"}
    with httpx.Client(verify=False, base_url=f"{server.origin}/admin", headers=headers, timeout=20) as client:
        client.params = {}
        client.headers["x-test-key-id"] = made["id"]
        yield client


def good(answer: httpx.Response) -> Any:
    """Return what a request got that succeeds."""
    assert answer.status_code == 200, answer.text
    return answer.json()


def error(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the error of a request that fails, which has the house's shape."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["error"]
    assert sorted(body["error"]) == ["code", "message", "param", "type"]
    return body["error"]


def test_the_life_of_a_key(server: Server, admin: httpx.Client):
    """Made, used, changed, rotated, revoked: each time the next request sees it; the trail names the admin's key."""
    made = good(admin.post("/keys", json={"customer": "live", "expires": "30d", "metadata": {"team": "search"}}))
    with server.openai(made["key"]) as client:
        client.models.list()
        changed = good(admin.patch(f"/keys/{made['id']}", json={"surfaces": ["chat"], "metadata": {"team": None}}))
        with pytest.raises(openai.PermissionDeniedError):
            client.models.list()
    limited = good(admin.patch(f"/keys/{made['id']}", json={"rpm": 50, "budget": ["5/day", "100/month"]}))
    rotated = good(admin.post(f"/keys/{made['id']}/rotate", json={"overlap": "10m"}))
    assert server.chat("Say hello", rotated["key"]).status_code == 200
    assert server.chat("Say hello", made["key"]).status_code == 200
    revoked = [good(admin.delete(f"/keys/{rotated['id']}")) for _ in range(2)]

    assert server.chat("Say hello", rotated["key"]).status_code == 401
    assert (made["customer"], made["scopes"], made["metadata"]) == ("live", ["serve"], {"team": "search"})
    assert (changed["surfaces"], changed["metadata"], changed["expires"]) == (["chat"], {}, made["expires"])
    assert "key" not in changed
    assert (limited["rpm"], limited["budget"]) == (rotated["rpm"], rotated["budget"]) == (50, ["5/day", "100/month"])
    assert revoked == [{"id": rotated["id"], "revoked": True}] * 2
    mine = [each for each in server.ask("ledger.changes") if each["by"] == f"key {admin.headers['x-test-key-id']}"]
    assert [each["kind"] for each in mine] == [
        "customer", "key", "key_changed", "key_changed", "key", "key_changed", "key_revoked",
    ]  # fmt: skip


def test_customers_and_credits(server: Server, admin: httpx.Client):
    """Opened, listed, moved, given credits; names may hold what a path must escape."""
    name = "Müller & Söhne / Süd"
    made = good(admin.post("/customers", json={"customer": name, "plan": "starter"}))
    moved = good(admin.patch(f"/customers/{httpx.URL('x://x/').copy_with(path='/' + name).raw_path.decode()[1:]}",
                             json={"plan": "sandbox"}))  # fmt: skip
    given = good(admin.post("/credits", json={"customer": name, "credits": 0.1, "paid_usd": 0.005, "expires": "30d"}))
    more = good(admin.post("/credits", json={"customer": name, "credits": "100", "priority": 10}))
    balance = good(admin.get("/credits", params={"customer": name}))

    assert (made["plan"], moved) == ("starter", {"customer": name, "plan": "sandbox"})
    assert more["available"] - given["available"] == 100
    assert given["available"] == pytest.approx(500.1)
    assert balance == {field: more[field] for field in balance}
    assert {"customer": name, "plan": "sandbox"}.items() <= server.ask("customers.list")[-1].items()


def test_lists_come_in_parts(server: Server, admin: httpx.Client):
    """A page says whether there is more, and the last row's name leads on."""
    ids = [good(admin.post("/keys", json={"customer": "many"}))["id"] for _ in range(3)]

    first = good(admin.get("/keys", params={"customer": "many", "limit": 2}))
    rest = good(admin.get("/keys", params={"customer": "many", "limit": 2, "after": first["data"][-1]["id"]}))
    customers = good(admin.get("/customers", params={"limit": 1}))
    more = good(admin.get("/customers", params={"limit": 1, "after": customers["data"][0]["customer"]}))

    assert [row["id"] for row in first["data"] + rest["data"]] != []
    assert {row["id"] for row in first["data"] + rest["data"]} == set(ids)
    assert (first["has_more"], rest["has_more"], customers["has_more"]) == (True, False, True)
    assert more["data"] != customers["data"]
    assert all("key" not in row for row in first["data"])


def test_asked_twice_it_is_done_once(server: Server, admin: httpx.Client):
    """With an idempotency key a grant is given once and a key made once; another request under it is a 422."""
    once = {"idempotency-key": "once"}
    grants = [good(admin.post("/credits", headers=once, json={"customer": "twice", "credits": 5})) for _ in range(2)]
    keys = [
        good(admin.post("/keys", headers={"idempotency-key": "k"}, json={"customer": "twice"})) for _ in range(2)
    ]  # fmt: skip

    assert grants[0] == grants[1]
    assert keys[0] == keys[1]
    assert server.balance("twice")["available"] == 5
    said = error(admin.post("/credits", headers=once, json={"customer": "twice", "credits": 6}), 422)
    assert said["code"] == "idempotency_key_reused"
    assert error(admin.post("/keys", headers={"idempotency-key": "x" * 256}, json={"customer": "twice"}), 400)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param", "words"),
    [
        ("POST", "/keys", {}, 400, "customer", "`customer` is missing."),
        ("POST", "/keys", {"customer": "a", "budget_usd": 5}, 400, "budget_usd", "There is no field `budget_usd` here"),
        ("POST", "/keys", {"customer": 5}, 400, "customer", "string"),
        ("POST", "/keys", {"customer": ""}, 400, None, "A customer's name must be"),
        ("POST", "/keys", {"customer": "a", "models": "m"}, 400, "models", "list"),
        ("POST", "/keys", {"customer": "a", "models": ["gpt-0"]}, 400, "models", '"gpt-0" is no model'),
        ("POST", "/keys", {"customer": "a", "expires": "soon"}, 400, "expires", "must be a time such as 30d"),
        ("POST", "/keys", {"customer": "a", "ips": ["10.0.0.1/8"]}, 400, "ips", "the network is 10.0.0.0/8"),
        ("POST", "/keys", {"customer": "a", "scopes": ["root"]}, 400, "scopes", '"root" is no scope'),
        ("POST", "/keys", {"customer": "a", "metadata": {"a": 5}}, 400, "metadata.a", "string"),
        ("POST", "/keys", {"customer": "a", "rpm": 0}, 400, "rpm", "whole number from 1"),
        ("POST", "/keys", {"customer": "a", "budget": "much"}, 400, "budget", "`budget` must be"),
        ("POST", "/keys", [], 400, None, "must be a JSON object"),
        ("POST", "/keys", {"customer": "a", "name": "0123456789ab"}, 400, "name", "There is no field `name`"),
        ("PATCH", "/keys/never", {"tiers": ["simple"]}, 404, None, 'There is no live key "never".'),
        ("PATCH", "/keys/never", {}, 400, None, "Say what is to change: scopes, expires"),
        ("PATCH", "/keys/never", {"customer": "a"}, 400, "customer", "There is no field `customer`"),
        ("DELETE", "/keys/never", None, 404, None, "no live key"),
        ("DELETE", "/keys/never", {"a": 1}, 400, "a", "There is no field `a` here; fields are: none."),
        ("POST", "/keys/never/rotate", {"overlap": "1h"}, 404, None, "no live key"),
        ("POST", "/keys/never/rotate", {"overlap": 5}, 400, "overlap", "string"),
        ("POST", "/customers", {"customer": "sandbox"}, 400, None, 'The customer "sandbox" exists.'),
        ("PATCH", "/customers/never", {"plan": "pro"}, 404, None, 'no customer "never"'),
        ("PATCH", "/customers/sandbox", {"plan": "gold"}, 404, None, "plans are: "),
        ("POST", "/credits", {"customer": "a", "credits": 0}, 400, "credits", "greater than 0"),
        ("POST", "/credits", {"customer": "a", "credits": 0.0001}, 400, "credits", "decimal places"),
        ("POST", "/credits", {"customer": "a", "credits": "much"}, 400, "credits", "plain decimal number"),
        ("POST", "/credits", {"customer": "a", "credits": True}, 400, "credits", "plain decimal number"),
        ("POST", "/credits", {"customer": "a", "credits": 1, "expires": "soon"}, 400, "expires", "duration"),
        ("POST", "/credits", {"customer": "a", "credits": 1, "paid_usd": -1}, 400, "paid_usd", "greater than or equal"),
        ("GET", "/credits?customer=never", None, 404, None, "no customer"),
        ("GET", "/credits", None, 400, "customer", "is missing"),
        ("GET", "/keys?limit=0", None, 400, "limit", "greater than or equal to 1"),
        ("GET", "/keys?limit=1001", None, 400, "limit", "less than or equal to 1000"),
        ("GET", "/keys?limit=x", None, 400, "limit", "whole number"),
        ("GET", "/keys?page=2", None, 400, "page", "There is no field `page`"),
        ("GET", "/keys?limit=1&limit=2", None, 400, "limit", "stands twice"),
        ("GET", "/keys?after=never", None, 400, "after", "no key"),
        ("PUT", "/keys", {}, 405, None, "method"),
        ("GET", "/nothing", None, 404, None, "no such endpoint"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(
    admin: httpx.Client, method: str, path: str, body: Any, status: int, param: str | None, words: str
):
    """In the house's shape, with the field; nothing is done."""
    said = error(admin.request(method, path, **({} if body is None else {"json": body})), status)

    assert words in said["message"]
    assert said["param"] == param


@pytest.mark.parametrize("scopes", [["serve"], ["serve", "attribute", "see-cost", "costs", "outcomes"]])
def test_other_keys_administer_nothing(server: Server, scopes: list[str]):
    """Whatever else they may; a key whose endpoints leave `admin` out neither, nor no key at all."""
    key = server.ask("keys.create", customer="plain", scopes=scopes)["key"]
    bound = server.ask("keys.create", customer="plain", scopes=["admin"], surfaces=["usage"])["key"]
    for path in ("/admin/keys", "/admin/customers", "/admin/credits?customer=sandbox"):
        for each, status in ((key, 403), (bound, 403), ("sk-penstock-none", 401)):
            error(get(f"{server.origin}{path}", headers={"authorization": f"Bearer {each}"}), status)
    error(post(f"{server.origin}/admin/keys", content=b"{"), 401)


def fields(value: Any) -> Iterator[str]:
    """Yield the name of every field, however deep."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield name
            yield from fields(inside)
    elif isinstance(value, list):
        for each in value:
            yield from fields(each)


def usage(server: Server, key: str, query: str = "", **headers: str) -> httpx.Response:
    """Ask for a customer's use."""
    asked = {"authorization": f"Bearer {key}"} | {name.replace("_", "-"): text for name, text in headers.items()}
    return get(f"{server.origin}/v1/usage{query}", headers=asked)


def test_a_customer_sees_its_own_use(server: Server):
    """Plan, credits, requests by day and model, under the names it knows; never what anything cost us."""
    key = server.create_key("user", plan="sandbox")
    server.grant("user", 100, paid_usd=5)
    for model in ("auto:simple", "auto:simple", "gpt-6-astra"):
        assert server.chat("Say hello", key, model=model).status_code == 200
    server.balance("user")  # everything journalled is folded by now

    answer = usage(server, key)

    found = good(answer)
    assert answer.headers["cache-control"] == "private, max-age=5"
    assert (found["object"], found["customer"], found["plan"]["name"]) == ("usage", "user", "sandbox")
    assert found["credits"]["spent"] == 1 + 1 + 10
    assert {row["model"]: (row["requests"], row["credits"]) for row in found["requests"]} == {
        "gpt-6-luna": (2, 2), "gpt-6-astra": (1, 10)
    }  # fmt: skip
    assert all(row["input_tokens"] > 0 and row["output_tokens"] > 0 for row in found["requests"])
    assert [name for name in fields(found) if any(word in name for word in OURS)] == []


def test_it_is_asked_for_others_only_by_who_may(server: Server):
    """A key that attributes names its customers; others are themselves; who does not exist is a 404."""
    mine, house = server.create_key("mine"), server.create_key("house", "serve", "attribute")
    server.create_key("yours")

    assert good(usage(server, house, x_penstock_customer="yours"))["customer"] == "yours"
    error(usage(server, mine, x_penstock_customer="yours"), 403)
    error(usage(server, house, x_penstock_customer="never-heard-of"), 404)


@pytest.mark.parametrize("query", ["?days=0", "?days=93", "?days=x", "?since=2026-01-01"])
def test_days_are_bounded(server: Server, query: str):
    """One to 92, and no other question."""
    error(usage(server, server.key, query), 400)


def test_polling_is_answered_from_memory(server: Server):
    """Who asks again within the lifetime of an answer sees one and the same."""
    key = server.create_key("poller", plan="sandbox")

    with httpx.Client(verify=False, headers={"authorization": f"Bearer {key}"}) as client:
        told = [good(client.get(f"{server.origin}/v1/usage"))["as_of"] for _ in range(20)]

    assert len(set(told)) == 1
