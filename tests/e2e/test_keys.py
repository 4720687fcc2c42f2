"""What keys allow, as their holders meet it: OpenAI's client against a server, and commands beside it."""

import csv
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import openai
import orjson
import pytest

from tests.e2e.conftest import Launch
from tests.e2e.polling import until
from tests.e2e.server import Server, get, write_config

BEHIND = "203.0.113.9"
"""A client's address, as a proxy in front of us tells it."""


@pytest.fixture(scope="module")
def house(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Return a server of two workers that trusts proxies on this machine."""
    folder = tmp_path_factory.mktemp("config")
    return launch(write_config(folder, server={"trusted_proxies": ["127.0.0.1"], "workers": 2}))


def create(house: Server, *options: str, customer: str = "acme") -> Any:
    """Create a key by command; return what it says."""
    said = house.cli("keys", "create", "--customer", customer, *options, "--json")
    assert said.code == 0, said.err
    return said.json()


def ask(house: Server, key: str, model: str = "auto:simple", **headers: str) -> Mapping[str, str]:
    """Ask one question with OpenAI's client; return the answer's headers."""
    with house.openai(key) as client:
        answer = client.chat.completions.with_raw_response.create(
            model=model, messages=[{"role": "user", "content": "Say hello"}],
            extra_headers={name.replace("_", "-"): value for name, value in headers.items()},
        )  # fmt: skip
    return answer.headers


def test_the_command_of_the_contract(house: Server):
    """One line makes a key with an end and a model of its own, and the key serves."""
    made = create(house, "--expires", "30d", "--models", "gpt-6-luna")

    assert (made["customer"], made["scopes"], made["models"]) == ("acme", ["serve"], ["gpt-6-luna"])
    assert ask(house, made["key"], "gpt-6-luna")["x-penstock-model"] == "gpt-6-luna"
    assert ask(house, made["key"], "auto:simple")["x-penstock-model"] == "gpt-6-luna"


def test_a_model_that_a_key_may_not_use(house: Server):
    """403 with what it may use; `auto` stays inside, however hard the request; the list of models is the key's."""
    made = create(house, "--models", "gpt-6-luna")

    with pytest.raises(openai.PermissionDeniedError) as refused:
        ask(house, made["key"], "gpt-6-astra")
    with house.openai(made["key"]) as client:
        listed = [model.id for model in client.models.list()]
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("gpt-6-astra")
    with house.openai(made["key"]) as client:
        hard = client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": "Prove that there are infinitely many primes."}]
        )

    assert refused.value.body["message"].startswith("This key may not use `gpt-6-astra`; it may use: auto, ")
    assert {"auto", "auto:simple", "gpt-6-luna"} <= set(listed)
    assert {"gpt-6-astra", "auto:complex", "gpt-6.1-sol"}.isdisjoint(listed)
    assert hard.headers["x-penstock-model"] == "gpt-6-luna"
    assert hard.headers["x-penstock-route"].endswith("+key")


def test_tiers_of_a_key(house: Server):
    """A pinned tier outside the list is a 403."""
    made = create(house, "--tiers", "simple,medium")

    assert ask(house, made["key"], "auto:medium")["x-penstock-tier"] == "medium"
    with pytest.raises(openai.PermissionDeniedError):
        ask(house, made["key"], "auto:complex")


def test_surfaces_of_a_key(house: Server):
    """A key for chat alone lists no models."""
    made = create(house, "--surfaces", "chat")

    ask(house, made["key"])
    with (
        house.openai(made["key"]) as client,
        pytest.raises(openai.PermissionDeniedError, match="may be used for: chat"),
    ):
        client.models.list()


def test_an_address_that_a_key_may_not_be_used_from(house: Server):
    """The peer's address counts, and what a trusted proxy says of it; what the client itself wrote there does not."""
    near, far = create(house, "--ips", "127.0.0.0/8"), create(house, "--ips", f"{BEHIND}/32,2001:db8::/32")

    ask(house, near["key"])
    ask(house, far["key"], x_forwarded_for=BEHIND)
    ask(house, far["key"], x_forwarded_for=f"198.51.100.1, {BEHIND}")
    for key, said in ((far["key"], ""), (near["key"], BEHIND), (far["key"], f"{BEHIND}, 198.51.100.1")):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            ask(house, key, x_forwarded_for=said)
        assert refused.value.code == "address_not_allowed"
    for path in ("/v1/models", "/v1/usage"):
        headers = {"authorization": f"Bearer {far['key']}"}
        assert get(f"{house.origin}{path}", headers=headers).status_code == 403
        headers["x-forwarded-for"] = BEHIND
        assert get(f"{house.origin}{path}", headers=headers).status_code == 200


def test_nobody_is_trusted_by_default(server: Server):
    """As shipped, the header is anybody's word and changes nothing."""
    made = create(server, "--ips", BEHIND)

    with pytest.raises(openai.PermissionDeniedError):
        ask(server, made["key"], x_forwarded_for=BEHIND)


def test_a_key_that_ended(house: Server):
    """401 from its moment on; a change gives it a new one."""
    made = create(house, "--expires", "1s")
    ends = made["expires"]

    def is_refused() -> bool:
        return house.chat("Say hello", made["key"]).status_code == 401

    until(is_refused, f"refused from {ends} on")
    with pytest.raises(openai.AuthenticationError, match="expired"):
        ask(house, made["key"])
    assert house.cli("keys", "change", made["id"], "--expires", "never").code == 0
    ask(house, made["key"])


def test_a_rotated_key(house: Server):
    """Both serve during the overlap, the old one with an end; without an overlap it has ended."""
    old = create(house, "--expires", "30d", "--metadata", "team=search")

    new = house.cli("keys", "rotate", old["id"], "--overlap", "1h", "--json").json()
    newer = house.cli("keys", "rotate", new["id"], "--overlap", "0s", "--json").json()

    ask(house, old["key"])
    ask(house, newer["key"])
    with pytest.raises(openai.AuthenticationError):
        ask(house, new["key"])
    assert (newer["replaces"], newer["metadata"]) == (new["id"], {"team": "search"})


def test_a_change_holds_from_the_next_request_on(house: Server):
    """Bounds come and go while the key is in use; the trail says who and what."""
    made = create(house)
    ask(house, made["key"], "gpt-6-astra")

    house.cli("keys", "change", made["id"], "--models", "gpt-6-luna", "--metadata", "team=search")
    with pytest.raises(openai.PermissionDeniedError):
        ask(house, made["key"], "gpt-6-astra")
    house.cli("keys", "change", made["id"], "--models", "any")
    ask(house, made["key"], "gpt-6-astra")

    told = house.cli("ledger", "changes").out
    assert f"key {made['id']} changes: models any → gpt-6-luna, metadata" in told
    assert f"key {made['id']} changes: models gpt-6-luna → any" in told
    assert "search" not in told


def test_budgets_in_the_trail(house: Server):
    """In dollars per period, before and after."""
    made = create(house, "--budget", "5/day", "--budget", "100/month", "--rpm", "60")
    house.cli("keys", "change", made["id"], "--budget", "any", "--rpm", "120")

    told = house.cli("ledger", "changes").out
    assert f"key {made['id']} for acme; scopes: serve; rpm 60; budgets $5.00/day $100.00/month\n" in told
    assert f"key {made['id']} changes: rpm 60 → 120, budgets $5.00/day $100.00/month → any\n" in told


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_keys_of_another_gateway_go_on(house: Server, tmp_path: Path, kind: str):
    """Taken over as they are, or by their digests alone, they serve; the file's form does not matter."""
    theirs, digest = f"sk-of-another-gateway-{kind}", sha256(f"sk-digested-elsewhere-{kind}".encode()).hexdigest()
    rows = [
        {"customer": "acme", "key": theirs, "models": ["gpt-6-luna"], "metadata": {"team": "search"}},
        {"customer": "globex", "digest": digest, "expires": "30d"},
    ]
    file = tmp_path / f"keys.{kind}"
    if kind == "jsonl":
        file.write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    else:
        names = ["customer", "key", "digest", "models", "expires", "metadata.team"]
        with file.open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerows([names, ["acme", theirs, "", "gpt-6-luna", "", "search"],
                              ["globex", "", digest, "", "30d", ""]])  # fmt: skip

    said = house.cli("keys", "import", str(file), "--json")

    assert said.code == 0, said.err
    assert [(row["customer"], row["models"], row["metadata"]) for row in said.json()] == [
        ("acme", ["gpt-6-luna"], {"team": "search"}), ("globex", None, {})
    ]  # fmt: skip
    assert theirs not in said.out
    ask(house, theirs, "gpt-6-luna")
    ask(house, f"sk-digested-elsewhere-{kind}")


@pytest.mark.parametrize(
    ("name", "content", "mistakes"),
    [
        ("a.jsonl", '{"customer": "acme", "key": "short"}', ["line 1: `key` must have 20 to 1024 characters"]),
        ("b.jsonl", "nonsense\n[]", ["line 1: is not JSON", "line 2: must be a JSON object"]),
        ("c.jsonl", '{"customer": "acme"}', ["line 1: one of `key` and `digest` is needed"]),
        ("d.jsonl", '{"customer": "acme", "kee": "x"}', ['line 1: "kee" is no field; fields are: budget']),
        ("e.jsonl", '\n{"key": "sk-long-enough-for-this"}', ["line 2: `customer` is missing"]),
        ("f.jsonl", '{"customer": "a", "key": "sk-not a key that a header has"}', ["line 1: `key` must be printable"]),
        ("g.csv", "customer,key,tiers\nacme,sk-long-enough-for-this,huge", ['line 2: "huge" is no tier']),
        ("h.csv", "customer,key\nacme,sk-long-enough-for-this,more", ["line 2: has more columns"]),
        ("i.csv", "customer,key\n", ["i.csv has no keys"]),
        ("j.csv", b"\xff\xfe", ["j.csv is not UTF-8"]),
    ],
)
def test_an_import_with_mistakes(house: Server, tmp_path: Path, name: str, content: Any, mistakes: list[str]):
    """Exit 2, each line's mistake named, no key made, and no key shown."""
    before = len(house.ask("keys.list"))
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())

    said = house.cli("keys", "import", str(file), "--json")

    assert (said.code, said.out) == (2, "")
    for each in mistakes:
        assert each in said.err
    assert "sk-" not in said.err
    assert len(house.ask("keys.list")) == before


def test_for_people(house: Server):
    """What is said without --json: the key alone on stdout, so that a shell can take it; the rest beside it."""
    said = house.cli(
        "keys", "create", "--customer", "acme", "--expires", "30d", "--tiers", "simple", "--metadata", "a=b"
    )
    id_ = said.out.split("-")[2]
    rotated = house.cli("keys", "rotate", id_)
    changed = house.cli("keys", "change", id_, "--surfaces", "chat")
    listed = house.cli("keys", "list", "--customer", "acme")

    assert said.out.startswith("sk-penstock-")
    assert "scopes: serve; tiers: simple; a=b; ends 20" in said.err
    assert f"key {id_} ends 20" in rotated.err
    assert "surfaces: chat" in changed.out
    assert id_ in listed.out
    assert house.cli("keys", "change", id_).code == 2
    assert house.cli("keys", "change", id_, "--metadata", "nonsense").code == 2


def test_a_revoked_key_is_refused_at_once_by_every_worker(house: Server):
    """401 from the next request on, also on connections that are kept."""
    made = create(house)
    headers = {"authorization": f"Bearer {made['key']}"}
    kept = [httpx.Client(verify=False, base_url=house.origin, headers=headers) for _ in range(8)]
    before = [each.get("/v1/models").status_code for each in kept]

    assert house.cli("keys", "revoke", made["id"]).code == 0

    after = [each.get("/v1/models").status_code for each in kept]
    for each in kept:
        each.close()
    assert (before, after) == ([200] * 8, [401] * 8)


@pytest.mark.parametrize("how", ["revoked", "expired", "rotated"])
def test_a_stream_whose_key_ends_is_cut(house: Server, how: str):
    """Within seconds the client's iteration ends in an error; the stream is charged once, and the books are sound."""
    made = create(house, customer=f"cut-{how}")
    got: list[str] = []

    with pytest.raises(openai.APIError, match="revoked, or has expired"):
        stream_until_cut(house, made, how, got)

    charged = house.balance(f"cut-{how}")["spent"]
    assert 3 <= len(got) < 2000
    assert charged == 1
    assert house.ask("ledger.verify")["ok"]


def stream_until_cut(house: Server, made: Any, how: str, got: list[str]) -> None:
    """Stream half a minute's answer under a key that ends soon after the beginning."""
    asked = [{"role": "user", "content": "[[sim: tokens=3000 slow=0.01]] hi"}]
    with house.openai(made["key"]) as client:
        for chunk in client.chat.completions.create(model="auto:simple", stream=True, messages=asked):
            got.append(chunk.id)
            if len(got) == 3:
                end(house, made["id"], how)


def end(house: Server, id_: str, how: str) -> None:
    """End a key in one of three ways."""
    words = {
        "revoked": ("revoke", id_),
        "expired": ("change", id_, "--expires", "1s"),
        "rotated": ("rotate", id_, "--overlap", "0s"),
    }[how]
    assert house.cli("keys", *words).code == 0


def test_an_import_of_no_file(house: Server):
    """Exit 2, and a sentence."""
    said = house.cli("keys", "import", "/nowhere/keys.jsonl", "--json")

    assert (said.code, said.out, said.err) == (2, "", "error: /nowhere/keys.jsonl is no file\n")
