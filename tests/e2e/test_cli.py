"""Every command by its contract, with a server and without one: shapes, exit codes, one JSON document on stdout."""

import fcntl
import json
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.e2e.server import SANDBOX, Server, write_config

NUMBER = (int, float)
UNBOUND = {
    "expires": None, "models": None, "tiers": None, "surfaces": None, "ips": None, "rpm": None, "tpm": None,
    "rpd": None, "tpd": None, "concurrency": None, "budget": None, "paused": False, "metadata": {},
}  # fmt: skip
"""What is said of a key that is bound by nothing."""
MARGIN = {"requests": int, "cost_nusd": int, "revenue_nusd": int, "margin_nusd": int,
          "margin": (int, float, type(None)), "savings_nusd": int}  # fmt: skip


@pytest.fixture(scope="module", params=["up", "down"])
def books(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Return a folder with a server that runs, and one that never had a server."""
    if request.param == "up":
        return request.getfixturevalue("server")
    return Server(tmp_path_factory.mktemp("never-served") / "data")


def check_shape(found: object, shape: dict[str, object]) -> None:
    """Check that an object has these fields, of these types, and perhaps others."""
    assert isinstance(found, dict)
    for name, kind in shape.items():
        assert isinstance(found[name], kind), (name, found[name])
        assert isinstance(found[name], bool) is (kind is bool), name


def test_keys_from_creation_to_revocation(books: Server):
    """A key is shown once, listed without its secret, revoked once; again is a usage error."""
    made = books.cli("keys", "create", "--customer", "keyed", "--json")
    scoped = books.cli("keys", "create", "--customer", "keyed", "--scope", "serve", "--scope", "see-cost", "--json")
    id_ = made.json()["id"]
    listed = books.cli("keys", "list", "--json")
    revoked = books.cli("keys", "revoke", id_, "--json")
    again = books.cli("keys", "revoke", id_, "--json")

    assert (made.code, listed.code, revoked.code, again.code) == (0, 0, 0, 2)
    assert made.json() == {"key": made.json()["key"], "id": id_, "customer": "keyed", "scopes": ["serve"], **UNBOUND}
    assert made.json()["key"].startswith("sk-penstock-")
    assert scoped.json()["scopes"] == ["serve", "see-cost"]
    (row,) = [key for key in listed.json() if key["id"] == id_]
    assert row == {
        "id": id_, "customer": "keyed", "scopes": ["serve"], "created": row["created"], "revoked": None, **UNBOUND,
    }  # fmt: skip
    assert made.json()["key"] not in listed.out
    assert (again.out, id_ in again.err) == ("", True)


def test_customers(books: Server):
    """A customer is opened once, listed, and moved to a plan that exists."""
    name = "new-customer"

    made = books.cli("customers", "create", name, "--plan", "starter", "--json")
    again = books.cli("customers", "create", name, "--json")
    moved = books.cli("customers", "move", name, "pro", "--json")
    nowhere = books.cli("customers", "move", name, "gold", "--json")
    listed = {row["customer"]: row["plan"] for row in books.cli("customers", "list", "--json").json()}

    assert made.json() == {"customer": name, "plan": "starter"}
    assert moved.json() == {"customer": name, "plan": "pro"}
    assert (made.code, again.code, moved.code, nowhere.code) == (0, 2, 0, 2)
    assert "plans are: open, pro, sandbox, starter" in nowhere.err
    assert listed.items() >= {"acme": "starter", "globex": "pro", "sandbox": "sandbox", name: "pro"}.items()


def test_credits(books: Server):
    """Grants add up, in credits with up to three places; a balance has its four fields and nothing else."""
    granted = books.cli("credits", "grant", "saver", "100", "--expires", "30d", "--paid", "5", "--json")
    more = books.cli("credits", "grant", "saver", "0.5", "--json")
    balance = books.cli("credits", "balance", "saver", "--json")

    assert (granted.code, more.code, balance.code) == (0, 0, 0)
    assert granted.json()["available"] == 100
    assert balance.json() == {"available": 100.5, "held": 0, "spent": 0, "expired": 0, "overdraft": 0}


@pytest.mark.parametrize(
    "words",
    [
        ("credits", "grant", "saver", "0"),
        ("credits", "grant", "saver", "-5"),
        ("credits", "grant", "saver", "0.0001"),
        ("credits", "grant", "saver", "many"),
        ("credits", "grant", "saver", "1", "--expires", "soon"),
        ("credits", "grant", "saver", "1", "--paid", "-1"),
        ("credits", "grant", "", "1"),
        ("credits", "balance", "nobody-we-know"),
        ("keys", "create", "--customer", "x", "--scope", "root"),
        ("keys", "create", "--customer", "c" * 129),
        ("keys", "create"),
        ("keys", "revoke", "nonsense"),
        ("report", "margin", "--since", "yesterday"),
        ("explain", "--charge", "ex_unknown"),
        ("explain", "--model", "gpt-nonsense", "hi"),
        ("explain", "--plan", "gold", "hi"),
        ("reconcile", "--export", "/nowhere/invoice.jsonl"),
        ("prices", "show", "gpt-0"),
        ("prices", "show", "gpt-6-luna", "--at", "yesterday"),
        ("ledger", "nonsense"),
        ("nonsense",),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_a_usage_error(books: Server, words: tuple[str, ...]):
    """Exit 2, nothing on stdout, a sentence on stderr, no trace of Python."""
    said = books.cli(*words, *(["--json"] if words[-1] != "nonsense" else []))

    assert (said.code, said.out) == (2, "")
    assert said.err.strip()
    assert "Traceback" not in said.err


def test_margin_report(books: Server):
    """One row per customer and a total that adds them up; `--since` tomorrow finds nothing."""
    said = books.cli("report", "margin", "--json")
    since = books.cli("report", "margin", "--since", "2999-01-01", "--json").json()

    assert said.code == 0
    assert set(said.json()) >= {"customers", "total"}
    for row in said.json()["customers"]:
        check_shape(row, {"customer": str, **MARGIN})
    check_shape(said.json()["total"], MARGIN)
    for name in ("requests", "cost_nusd", "revenue_nusd", "margin_nusd", "savings_nusd"):
        assert said.json()["total"][name] == sum(row[name] for row in said.json()["customers"])
    assert since["customers"] == []
    assert since["total"]["margin"] is None


def test_ledger_verify(books: Server):
    """Sound books: exit 0 and the five fields."""
    said = books.cli("ledger", "verify", "--json")

    assert said.code == 0
    check_shape(said.json(), {"ok": bool, "transactions": int, "imbalance_nusd": int, "open_holds": int})
    assert said.json()["violations"] == []


def test_reconcile_with_an_account_of_nothing(books: Server, tmp_path: Path):
    """Without lines an account differs by all that is booked and no share is known; what is none is a usage error."""
    nothing, nonsense = tmp_path / "nothing.jsonl", tmp_path / "nonsense.jsonl"
    nothing.write_text("")
    nonsense.write_text('{"call_id": "x"}\n')
    booked = books.ask("report.margin")["total"]["cost_nusd"]

    said = books.cli("reconcile", "--export", str(nothing), "--json")
    refused = books.cli("reconcile", "--export", str(nonsense), "--json")

    assert said.code == (1 if booked else 0)
    check_shape(said.json(), {"difference_nusd": NUMBER, "rounding_bound_nusd": NUMBER, "lines": list})
    assert (said.json()["explained_share"], said.json()["difference_nusd"]) == (None, booked)
    assert (refused.code, refused.out) == (2, "")
    assert "nonsense.jsonl:1" in refused.err


def test_check(books: Server):
    """A good configuration: exit 0 and what it means; a bad one: exit 2 and the line."""
    said = books.cli("check", "--json")

    assert said.code == 0
    assert said.json()["ok"] is True
    assert said.json()["tiers"]["medium"] == ["gpt-6.1-sol"]


def test_check_of_a_broken_configuration(tmp_path: Path):
    """An unknown key is refused with its line and the spelling that exists."""
    broken = Server(tmp_path / "data", write_config(tmp_path / "config", routing={"basline": "requested"}))

    said, read = broken.cli("check", "--json"), broken.cli("check")

    assert (said.code, said.json()["ok"]) == (2, False)
    (problem,) = said.json()["problems"]
    line = broken.config.read_text().splitlines()[problem["line"] - 1]
    assert (problem["path"], line.strip()) == ("routing.basline", "basline: requested")
    assert read.code == 2
    for text in (problem["message"], read.out + read.err):
        assert re.search(r"basline.*baseline", text, re.DOTALL)


def test_explain_a_prompt_a_file_and_stdin(books: Server, tmp_path: Path):
    """The same request as a prompt, in a file and on stdin is explained the same; nobody is called."""
    prompt = "Translate good morning to Spanish"
    file = tmp_path / "request.json"
    file.write_bytes(orjson.dumps({"model": "auto", "messages": [{"role": "user", "content": prompt}]}))
    before = books.ask("report.margin")["total"]["requests"]

    said = [
        books.cli("explain", prompt, "--json"),
        books.cli("explain", str(file), "--json"),
        books.cli("explain", "--json", stdin=prompt),
        books.cli("explain", "-", "--json", stdin=file.read_text()),
    ]

    assert [each.code for each in said] == [0] * 4
    first = said[0].json()
    assert all(each.json() == first for each in said)
    check_shape(first, {"tier": str, "why": list, "rule": str, "ceiling_nusd": int, "cache": str})
    assert (first["tier"], first["model"], first["plan"]) == ("simple", "gpt-6-luna", "open")
    check_shape(first, {"classifier": str, "heads": dict, "parts": list, "signals": dict, "score": float})
    assert (first["thresholds"], first["parts"][0]["key"]) == (None, "translate")
    assert books.ask("report.margin")["total"]["requests"] == before


def test_explain_under_a_plans_gate(books: Server):
    """On the plan starter a complex request is explained as gated to medium."""
    found = books.cli("explain", "hi", "--model", "auto:complex", "--plan", "starter", "--json").json()

    assert (found["charge_tier"], found["served_tier"], found["rule"]) == ("medium", "medium", "pinned+gate")


def test_explain_a_charge(server: Server):
    """A booked charge by the id its caller was given: who, when, what it cost and why it went there."""
    id_ = server.chat("Say hello").headers["x-penstock-request-id"]

    said = server.cli("explain", "--charge", id_, "--json")

    assert said.code == 0
    found = said.json()
    assert (found["x"], found["customer"], found["plan"]) == (id_, "sandbox", "sandbox")
    assert (found["credits_milli"], found["revenue_nusd"]) == (1_000, 50_000_000)
    assert found["cost_nusd"] == sum(line["cost_nusd"] for line in found["cost_lines"]) > 0
    assert found["decision"]["reasons"]


def test_classify_answers_in_order(books: Server):
    """A line per line, in order, with score, tier and probabilities that add up to 1; blank lines are skipped."""
    asked = [{"id": f"q{n}", "prompt": "Say hello" if n % 2 else "Prove the four colour theorem."} for n in range(50)]
    asked.append({"id": 7, "messages": [{"role": "user", "content": "hi"}]})

    said = books.cli("classify", stdin="\n\n".join(json.dumps(line) for line in asked) + "\n")

    found = [json.loads(line) for line in said.out.splitlines()]
    assert said.code == 0
    assert [line["id"] for line in found] == [line["id"] for line in asked]
    for line in found:
        assert 0 <= line["score"] <= 1
        assert line["tier"] in {"simple", "medium", "complex"}
        assert set(line["probabilities"]) == {"simple", "medium", "complex"}
        assert abs(sum(line["probabilities"].values()) - 1) < 1e-6
    assert found[0]["score"] > found[1]["score"]


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"id": 1}', '{"id": 1, "prompt": 5}'])
def test_classify_says_which_line_is_wrong(books: Server, line: str):
    """What came before a bad line is answered; the line is named; exit 2."""
    said = books.cli("classify", stdin=f'{{"id": 1, "prompt": "hi"}}\n{line}\n')

    assert said.code == 2
    assert len(said.out.splitlines()) == 1
    assert "line 2" in said.err


READS: dict[str, tuple[str, ...]] = {
    "report margin": ("report", "margin"),
    "ledger verify": ("ledger", "verify"),
    "keys list": ("keys", "list"),
    "customers list": ("customers", "list"),
    "credits balance": ("credits", "balance", "sandbox"),
    "check": ("check",),
    "explain": ("explain", "Say hello"),
    "prices show": ("prices", "show", "gpt-6-luna", "--at", "2026-11-21"),
}


@pytest.mark.parametrize("name", READS)
def test_for_people(books: Server, name: str):
    """Without `--json` there is something to read, and it is no JSON."""
    said = books.cli(*READS[name])

    assert said.code == 0
    assert said.out.strip()
    with pytest.raises(json.JSONDecodeError):
        json.loads(said.out)


def test_classify_answers_a_line_before_the_next_comes():
    """Whoever sends one request and waits is answered, through pipes as they are."""
    command = [str(Path(sys.executable).with_name("penstock")), "classify"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for number in (1, 2):
            running.stdin.write(b'{"id": %d, "prompt": "hi"}\n' % number)
            running.stdin.flush()
            assert json.loads(running.stdout.readline())["id"] == number
        running.stdin.close()

        assert running.wait(10) == 0


def test_as_the_shell_runs_it(books: Server):
    """In processes of their own, too, stdout is one JSON document, and --help says what there is."""
    said = books.shell("credits", "balance", "sandbox", "--json")
    wrong = books.shell("credits", "balance", "nobody-we-know", "--json")
    usage = books.shell("reconcile", "--json", "--nonsense")

    assert said.code == 0
    assert set(said.json()) == {"available", "held", "spent", "expired", "overdraft"}
    assert (wrong.code, wrong.out) == (2, "")
    assert (usage.code, usage.out) == (2, "")


def test_server_that_does_not_answer_is_exit_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder that is held by somebody who does not answer: exit 3 and a sentence."""
    held = Server(tmp_path / "data")
    held.ask("customers.list")
    monkeypatch.setattr("proxy.keeper.control.WAIT_S", 0.3)
    with (held.data_dir / "keeper.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = held.cli("report", "margin", "--json")

    assert (said.code, said.out) == (3, "")
    assert "does not answer" in said.err


def test_missing_configuration_is_exit_2(tmp_path: Path):
    """No such file: exit 2, the file's name, no trace."""
    said = Server(tmp_path / "data", tmp_path / "nothing.yaml").cli("report", "margin", "--json")

    assert (said.code, said.out) == (2, "")
    assert "nothing.yaml" in said.err


def test_default_configuration_without_provider_keys_serves_nobody(tmp_path: Path):
    """Missing provider keys stop `serve`, and only `serve`."""
    unset = Server(tmp_path / "data", SANDBOX.with_name("penstock.yaml"))

    assert unset.cli("check", "--json").json()["servable"] is False
    assert unset.cli("report", "margin", "--json").code == 0
    served = unset.shell("serve")
    assert (served.code, served.out) == (2, "")
    assert "OPENAI_API_KEY" in served.err
