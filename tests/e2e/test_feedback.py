"""Feedback and learning on a real server: a word about an answer, outcomes from the books, new weights by a reload."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from classifiers.featuring import Features
from classifiers.table import shipped
from proxy.keeper.labels import Kept, LabelStore
from proxy.settings import Labels
from tests.e2e.conftest import Launch
from tests.e2e.polling import until
from tests.e2e.server import Server, post, write_config

LABELLED = {"labels": {"enabled": True}}


@pytest.fixture(scope="module")
def house(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Return a server that keeps something to learn from."""
    return launch(write_config(tmp_path_factory.mktemp("labels"), classifier=LABELLED))


@pytest.fixture
def store(house: Server) -> Iterator[LabelStore]:
    """Return its label store, empty."""
    found = LabelStore(house.data_dir)
    found.erase(None)
    yield found
    found.close()


def say(house: Server, key: str | None = None, **body: object) -> httpx.Response:
    """Give feedback."""
    return post(
        f"{house.origin}/v1/feedback", json=body, headers={"authorization": f"Bearer {key or house.key}"}, timeout=20
    )


def exchange(answer: httpx.Response) -> str:
    """Return the id of an answer's exchange."""
    return answer.headers["x-penstock-request-id"]


def test_a_word_about_an_answer_is_kept_without_the_prompt(house: Server, store: LabelStore):
    """By the id of the exchange; a later word takes its place; neither the label nor the record holds the words."""
    id_ = exchange(house.chat("What is the capital of Zorblaxia?", model="auto"))

    assert say(house, id=id_, good=False).json() == {"object": "feedback", "id": id_, "kept": True}
    assert say(house, id=id_, tier="medium", good=False).status_code == 200

    (kept,) = store.everything()
    assert (kept.x, kept.source, kept.good, kept.needed, kept.served) == (id_, "feedback", False, "medium", "simple")
    assert (kept.task, kept.propensity) == ("faq", 1.0)
    decision = house.ask("explain.charge", id=id_)["decision"]
    assert b"orblaxia" not in orjson.dumps(decision).lower()
    assert set(decision["ask"]) == {"same", "features"}


def test_only_the_exchanges_of_its_own_customer(house: Server, store: LabelStore):
    """Another customer's exchange does not exist for a key; nothing is kept."""
    id_ = exchange(house.chat("What is the capital of Chile?", model="auto"))
    other = house.cli("keys", "create", "--customer", "other", "--json").json()["key"]

    answer = say(house, other, id=id_, good=False)

    assert (answer.status_code, answer.json()["error"]["message"]) == (404, f'There is no exchange "{id_}".')
    assert store.everything() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": "ex_none", "good": True}, 404),
        ({"id": "ex_none"}, 400),
        ({"good": True}, 400),
        ({"id": "ex_none", "good": "yes"}, 400),
        ({"id": "ex_none", "tier": "hard"}, 400),
        ({"id": "ex_none", "good": True, "prompt": "no"}, 400),
    ],
)
def test_what_makes_no_sense_is_refused(house: Server, body: dict[str, object], status: int):
    """Unknown exchanges, missing and unknown fields, wrong kinds: an error in OpenAI's shape."""
    answer = say(house, **body)

    assert (answer.status_code, set(answer.json())) == (status, {"error"})


def test_what_is_off_says_so(server: Server):
    """Without labels nothing is kept, and feedback is refused with the key to switch on."""
    answer = say(server, id="ex_none", good=True)

    assert answer.status_code == 400
    assert "classifier.labels.enabled is false" in answer.json()["error"]["message"]


def test_retries_and_escalations_are_labels(house: Server, store: LabelStore):
    """The same asked again of a stronger tier, or as its answer was called wrong, labels the exchange before it."""
    question = "What is the capital of Norway?"
    first = exchange(house.chat(question, model="auto"))
    house.chat(question, model="auto:complex")
    other = exchange(house.chat("What is the capital of Kenya?", model="auto"))
    messages = [
        {"role": "user", "content": "What is the capital of Kenya?"},
        {"role": "assistant", "content": "Paris."},
        {"role": "user", "content": "That's wrong."},
    ]
    post(f"{house.origin}/v1/chat/completions", json={"model": "auto", "messages": messages},
         headers={"authorization": f"Bearer {house.key}"}, timeout=20)  # fmt: skip

    assert house.cli("learn").code == 1  # too few to learn from, and gathered all the same

    found = {(each.x, each.source, each.good, each.served) for each in store.everything()}
    assert {(first, "escalation", False, "simple"), (other, "retry", False, "simple")} <= found
    count = len(store.everything())
    assert house.ask("labels.gather")["labels"] == count


def test_learnt_weights_serve_after_a_reload(house: Server, store: LabelStore):
    """From 200 labels to decisions by new weights, without a restart; until the file is named nothing changes."""
    features = Features(shipped())
    for number in range(200):
        text = f"Tell me about the {'customs declaration' if number % 2 else 'opening hours'} number {number}."
        good = number % 2 == 0
        store.put(Kept(1, f"ex_{number}", "feedback", 2**62 + number, good, "simple", None, "faq", 0.1, 0.0, 1.0,
                       features.of(text)), Labels())  # fmt: skip

    said = house.cli("learn", "--json").json()
    assert (said["labels"], said["named"]) == (200, False)
    assert said["auc_after"] > 0.9 > said["auc_before"]
    assert Path(said["file"]).is_file()
    assert _decided_by(house) == shipped().version

    assert house.cli("learn", "--write", "--json").json()["version"] == said["version"]
    until(lambda: _decided_by(house) == said["version"], "the new weights judge")

    assert house.cli("tune", "--own", "--target", "quality=0.9", "--json").json()["labels"] == 200
    assert house.cli("tune", "--target", "quality=0.9").code == 2
    assert house.cli("learn", "--erase", "*", "--json").json() == {"erased": 200}


def _decided_by(house: Server) -> str:
    answer = house.chat("What are your opening hours?", model="auto")
    return house.ask("explain.charge", id=exchange(answer))["decision"]["classifier"]


def test_prompts_are_kept_and_exported_only_where_a_plan_opted_in(launch: Launch, tmp_path: Path):
    """The export is a label file that `tune` reads; after the erasure it is empty."""
    labels = {"labels": {"enabled": True, "prompts": {"plans": ["sandbox"]}}}
    house = launch(write_config(tmp_path / "config", classifier=labels))
    other = house.cli("keys", "create", "--customer", "acme", "--json").json()["key"]
    told = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of Peru?"}]}
    id_ = exchange(house.chat("What is the capital of Chile?", model="auto"))
    theirs = exchange(post(f"{house.origin}/v1/chat/completions", json=told,
                           headers={"authorization": f"Bearer {other}"}, timeout=20))  # fmt: skip
    assert say(house, id=id_, good=False).status_code == 200
    assert say(house, other, id=theirs, good=False).status_code == 200
    out = tmp_path / "labels.jsonl"

    assert house.cli("learn", "--export", str(out), "--json").json() == {"exported": 1}

    (line,) = map(orjson.loads, out.read_bytes().splitlines())
    assert line == {"prompt": "What is the capital of Chile?", "good": False, "served": "simple", "propensity": 1.0,
                    "source": "feedback"}  # fmt: skip
    assert out.stat().st_mode & 0o777 == 0o600
    assert house.cli("tune", "--target", "quality=0.9", "--labels", str(out)).code == 1  # one label is too few
    assert house.cli("learn", "--erase", "sandbox", "--json").json() == {"erased": 1}
    assert house.cli("learn", "--export", str(out), "--json").json() == {"exported": 0}
