"""The page's routes without a keeper behind them: who may ask, how often it is asked, and what a browser may load."""

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest

from proxy import identity, settings
from proxy.admission import KeeperAway
from proxy.api import page, routes
from proxy.api.page import Desk
from proxy.foretelling import foretold
from proxy.identity import Identity
from tests.e2e.server import SANDBOX


class Keeper:
    """Notes what it is asked; each question takes it some seconds of a clock of its own."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.asked: list[str] = []
        self.now_s, self.takes_s, self.is_away = 0.0, takes_s, False

    async def command(self, command: str, args: dict[str, Any], key: str, *, claim: Any, request: str) -> Any:
        del args, claim, request
        if self.is_away:
            raise KeeperAway
        self.asked.append(f"{command} by {key}")
        self.now_s += self.takes_s
        return {"result": {"figures": len(self.asked)}}


class Page:
    """A server's page, and a key for it."""

    def __init__(self, access: str) -> None:
        found = settings.load(SANDBOX, environ={}, simulator_url="http://127.0.0.1:9")
        self.settings: Any = found
        server = SimpleNamespace(page=access, trusted_proxies=(), body_bytes_max=1 << 20)
        tables, self.keeper = Identity(), Keeper()
        tables.put_customer(1, "house", "open")
        self.keys = {}
        for scope in ("admin", "serve"):
            id_, key, digest = identity.new_key()
            tables.put_key(id_, digest, 1, [scope])
            self.keys[scope] = key
        shaped = SimpleNamespace(
            **{name: getattr(found, name) for name in found.__dataclass_fields__} | {"server": server}
        )
        self.world: Any = SimpleNamespace(identity=tables, keeper=self.keeper, settings=shaped, refuse=lambda _: None)

    def ask(self, path: str, *, peer: str = "127.0.0.1", body: Any = None, **headers: str) -> httpx.Response:
        """Send one request from somewhere."""

        async def main() -> httpx.Response:
            transport = httpx.ASGITransport(routes.build(self.world, lambda: None), client=(peer, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                return await client.request("GET" if body is None else "POST", path, json=body, headers=named)

        return asyncio.run(main())


def test_the_page_loads_nothing_from_elsewhere():
    """All its files are served with a policy that forbids scripts and styles within, and all else from without."""
    served = Page("key")
    files = sorted(path.name for path in page.FOLDER.iterdir())

    answers = {name: served.ask("/" if name == "index.html" else f"/page/{name}") for name in files}

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(files, 200)
    policies = {answer.headers["content-security-policy"] for answer in answers.values()}
    assert len(policies) == 1
    assert "unsafe" not in policies.pop()
    for name, answer in answers.items():
        outside = answer.text.replace("http://www.w3.org/2000/svg", "")
        assert "://" not in outside, name
        assert " style=" not in outside, name
    assert served.ask("/page/../world.py").status_code == 404


@pytest.mark.parametrize(
    ("access", "peer", "headers", "status"),
    [
        ("loopback", "127.0.0.1", {}, 200),
        ("loopback", "::1", {"host": "[::1]:8080"}, 200),
        ("loopback", "::ffff:127.0.0.1", {"host": "localhost:8080"}, 200),
        ("loopback", "127.0.0.1", {"sec_fetch_site": "same-origin"}, 200),
        ("loopback", "127.0.0.1", {"sec_fetch_site": "cross-site"}, 401),
        ("loopback", "127.0.0.1", {"host": "evil.example"}, 401),
        ("loopback", "127.0.0.1", {"host": "127.0.0.1.evil.example"}, 401),
        ("loopback", "127.0.0.1", {"x_forwarded_for": "127.0.0.1"}, 401),
        ("loopback", "127.0.0.1", {"via": "1.1 a-proxy"}, 401),
        ("loopback", "10.0.0.7", {}, 401),
        ("key", "127.0.0.1", {}, 401),
    ],
)
def test_without_a_key_only_this_machine_is_told(access, peer, headers, status):
    """And only where that is configured: no proxy in between, no page of another site, no other name for it."""
    served = Page(access)

    answers = [served.ask(f"/admin/page/{name}", peer=peer, **headers) for name in ("figures", "charges")]
    explained = served.ask("/admin/page/explain", peer=peer, body={"prompt": "hello"}, **headers)

    assert [each.status_code for each in (*answers, explained)] == [status] * 3
    assert served.keeper.asked == (["page.figures by loopback", "page.charges by loopback"] if status == 200 else [])


def test_a_key_of_the_scope_admin_is_told_from_anywhere():
    """One that is no such key is refused, also on this machine: who shows a key is meant by it."""
    served = Page("loopback")

    statuses = {
        scope: served.ask("/admin/page/figures", peer="10.0.0.7", authorization=f"Bearer {key}").status_code
        for scope, key in served.keys.items()
    }

    assert statuses == {"admin": 200, "serve": 403}
    assert served.ask("/admin/page/figures", authorization="Bearer sk-penstock-nonsense").status_code == 401


def test_a_prompt_is_explained_as_the_command_does():
    """A prompt, or a whole request; calls nobody, not even the keeper."""
    served = Page("loopback")
    asked = {"model": "auto:complex", "messages": [{"role": "user", "content": "Say hello"}]}

    of_prompt = served.ask("/admin/page/explain", body={"prompt": "Say hello", "model": "auto:complex", "plan": "pro"})
    of_request = served.ask("/admin/page/explain", body={"prompt": orjson.dumps(asked).decode(), "plan": "pro"})

    expected = foretold(served.settings, served.settings.sellbook.plan("pro"), orjson.dumps(asked))
    assert of_prompt.json() == of_request.json() == expected
    assert of_prompt.headers["cache-control"] == "no-store"
    assert served.keeper.asked == []


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"prompt": ""}, 400, "prompt"),
        ({"prompt": "a" * 100_001}, 400, "prompt"),
        ({"prompt": "a", "plan": "nope"}, 400, "plan"),
        ({"prompt": "a", "model": "nope"}, 404, "model"),
        ({"prompt": "a", "mode": "auto"}, 400, "mode"),
        ({"prompt": "{"}, 400, None),
    ],
)
def test_what_cannot_be_explained_is_refused(body, status, param):
    """With the field named."""
    answer = Page("loopback").ask("/admin/page/explain", body=body)

    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_pages_that_are_open_at_once_cost_what_one_does():
    """Within a second all see the same; a keeper that took 50 ms is left alone for a hundred times as long."""
    keeper = Keeper(takes_s=0.05)
    desk = Desk(SimpleNamespace(keeper=keeper), lambda: keeper.now_s)

    async def main() -> list[int]:
        together = await asyncio.gather(*(desk.ask("page.figures", {}, "k1") for _ in range(10)))
        keeper.now_s += 4.9
        early = await desk.ask("page.figures", {}, "k2")
        keeper.now_s += 0.2
        late = await desk.ask("page.figures", {}, "k2")
        return [each["figures"] for each in (*together, early, late)]

    assert asyncio.run(main()) == [1] * 11 + [2]


def test_a_keeper_that_is_away_is_said_to_be():
    """503, and the next question is asked anew."""
    served = Page("loopback")
    served.keeper.is_away = True

    assert served.ask("/admin/page/figures").status_code == 503
