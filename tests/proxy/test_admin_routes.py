"""`/admin` without a keeper behind it: what is asked of one, and what becomes of its answers."""

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from proxy import identity
from proxy.admission import KeeperAway
from proxy.api import routes
from proxy.api.bodies import KeyChange, NewKey
from proxy.identity import Identity
from proxy.keeper.key_terms import TERMS
from proxy.settings import Server


class Keeper:
    """Notes what it is asked, and answers what it was told to."""

    def __init__(self, answer: dict[str, Any] | None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        self.claims: list[tuple[str | None, str]] = []

    async def command(self, command: str, args: dict[str, Any], key: str, *, claim: str | None, request: str) -> Any:
        self.asked.append((command, args, key))
        self.claims.append((claim, request))
        if self.answer is None:
            raise KeeperAway
        return self.answer


def ask(
    answer: dict[str, Any] | None, *requests: tuple[str, str, Any], idempotency_key: str | None = None
) -> tuple[list[httpx.Response], Keeper, str]:
    """Send requests of an admin key; return the answers, the keeper, and the key's id."""
    keeper, tables = Keeper(answer), Identity()
    tables.put_customer(1, "house", "open")
    id_, key, digest = identity.new_key()
    tables.put_key(id_, digest, 1, ["admin"])
    world: Any = SimpleNamespace(
        identity=tables, keeper=keeper, settings=SimpleNamespace(server=Server()), refuse=lambda _: None
    )
    headers = {"authorization": f"Bearer {key}"}
    if idempotency_key is not None:
        headers["idempotency-key"] = idempotency_key

    async def main() -> list[httpx.Response]:
        transport = httpx.ASGITransport(routes.build(world, lambda: None))
        async with httpx.AsyncClient(transport=transport, base_url="http://x/admin", headers=headers) as client:
            return [await client.request(method, path, json=body) for method, path, body in requests]

    return asyncio.run(main()), keeper, id_


EVERYTHING = [
    (("POST", "/keys", {"customer": "a"}), "keys.create"),
    (("GET", "/keys", None), "keys.list"),
    (("PATCH", "/keys/k1", {"tiers": None}), "keys.change"),
    (("POST", "/keys/k1/rotate", None), "keys.rotate"),
    (("DELETE", "/keys/k1", None), "keys.revoke"),
    (("POST", "/customers", {"customer": "a"}), "customers.create"),
    (("GET", "/customers", None), "customers.list"),
    (("PATCH", "/customers/a/b", {"plan": "pro"}), "customers.move"),
    (("PATCH", "/customers/a", {"seats": 3}), "customers.seats"),
    (("POST", "/deliveries", {"customer": "a", "item": "report", "id": "r1"}), "customers.deliver"),
    (("GET", "/statement?customer=a&month=2026-11", None), "report.statement"),
    (("GET", "/plans", None), "plans.list"),
    (("GET", "/tasks?customer=a&status=open&limit=3", None), "tasks.list"),
    (("GET", "/tasks/task_1", None), "tasks.show"),
    (("POST", "/tasks/task_1/close", {"completed": False}), "tasks.end"),
    (("POST", "/credits", {"customer": "a", "credits": 0.1, "paid_usd": 0.3}), "credits.grant"),
    (("GET", "/credits?customer=a", None), "credits.balance"),
]


def test_each_route_is_one_command_in_the_name_of_the_key() -> None:
    """What is stated goes on as it is stated; amounts are exact."""
    answers, keeper, id_ = ask({"result": []}, *(request for request, _ in EVERYTHING))

    assert [answer.status_code for answer in answers] == [200] * len(EVERYTHING)
    assert [(command, key) for command, _, key in keeper.asked] == [(command, id_) for _, command in EVERYTHING]
    args = {command: given for command, given, _ in keeper.asked}
    assert args["keys.change"] == {"id": "k1", "tiers": None}
    assert args["keys.rotate"] == {"id": "k1", "overlap": "1h", "expires": None}
    assert args["customers.seats"] == {"customer": "a", "seats": 3}
    assert args["customers.deliver"] == {"customer": "a", "item": "report", "id": "r1", "count": 1}
    assert args["tasks.list"] == {"customer": "a", "status": "open", "after": None, "limit": 4}
    assert args["tasks.end"] == {"task": "task_1", "completed": False}
    assert args["customers.move"] == {"customer": "a/b", "plan": "pro"}
    assert (args["credits.grant"]["credits_milli"], args["credits.grant"]["paid_nusd"]) == (100, 300_000_000)


@pytest.mark.parametrize("shape", [NewKey, KeyChange])
def test_what_a_command_can_say_of_a_key_a_body_can(shape: Any) -> None:
    """And nothing else: whoever adds a term adds its field."""
    assert set(shape.model_fields) - {"customer"} == {"scopes", "metadata", *TERMS}


def test_an_idempotency_key_is_of_what_makes_something() -> None:
    """Only a POST carries one on; equal requests look alike to the keeper, others do not; the key itself stays here."""
    _, keeper, _ = ask(
        {"result": []}, *(request for request, _ in EVERYTHING), EVERYTHING[0][0], ("POST", "/keys", {"customer": "b"}),
        idempotency_key="canary",
    )  # fmt: skip

    claims = [claim for claim, _ in keeper.claims]
    assert [claim is not None for claim in claims] == [
        request[0] == "POST" for request, _ in EVERYTHING
    ] + [True, True]  # fmt: skip
    assert "canary" not in str(claims)
    first, again, other = (keeper.claims[place] for place in (0, -2, -1))
    assert first == again
    assert first[0] == other[0]
    assert first[1] != other[1]


@pytest.mark.parametrize(
    ("answer", "status", "code", "headers"),
    [
        (None, 503, "unavailable", {"retry-after": "1"}),
        ({"failed": "the ledger cannot be written now"}, 503, "unavailable", {"retry-after": "1"}),
        ({"reused": True}, 422, "idempotency_key_reused", {"x-should-retry": "false"}),
        ({"gone": "the key is gone"}, 409, "answer_unavailable", {"x-should-retry": "false"}),
        ({"refused": "no", "param": "tiers", "unknown": False}, 400, None, {}),
        ({"refused": "no", "param": None, "unknown": True}, 404, "not_found", {}),
    ],
    ids=["away", "failed", "reused", "gone", "refused", "unknown"],
)
def test_what_a_keeper_may_answer(
    answer: dict[str, Any] | None, status: int, code: str | None, headers: dict[str, str]
) -> None:
    """Each has its status, in the house's shape, and says whether to try again."""
    (found,), _, _ = ask(answer, EVERYTHING[0][0])

    assert (found.status_code, found.json()["error"]["code"]) == (status, code)
    assert headers.items() <= dict(found.headers).items()
    assert found.json()["error"]["param"] == (answer or {}).get("param")
    assert found.json()["error"]["message"].endswith(".")
