"""What goes from a prompt is nothing that it says, and it goes the same way each time."""

import copy
import json
import re
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.caching import trims
from proxy.caching.trims import PASSES, Trimmed, tokens, trimmed
from proxy.settings.caching_shape import Trimming
from tests.caching import prompts_at_work

ROOT = Path(__file__).parents[2]
O200K = pytest.importorskip("rs_bpe.bpe", reason="rs-bpe has no wheel for this Python").openai.o200k_base()
LONG = "Words that stand here so that the text is long enough to be looked at. " * 8

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=40,
)
words = st.text(alphabet="ab \t\n`{}\"'[]é漢\\", max_size=300)
blocks = st.lists(words | st.sampled_from([LONG, f"{LONG}\n\n{LONG}"]), max_size=6).map("\n\n".join)
messages = st.lists(
    st.fixed_dictionaries({
        "role": st.sampled_from(["system", "user", "assistant", "tool"]),
        "content": blocks | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": blocks}), max_size=3),
    }),
    max_size=6,
)  # fmt: skip


def asked(*contents: Any, role: str = "user") -> dict[str, Any]:
    """Return a request with these messages."""
    return {"model": "auto", "messages": [{"role": role, "content": each} for each in contents]}


def said(fields: dict[str, Any], *passes: str) -> list[Any]:
    """Return the contents of the messages that are sent."""
    found = trimmed("chat", fields, passes or PASSES)
    return [each["content"] for each in (fields if found is None else found.fields)["messages"]]


def counted(fields: dict[str, Any]) -> int:
    """Return how many tokens o200k makes of all texts and schemas of a request."""
    texts = [orjson.dumps(each.get("function", each).get("parameters")).decode() for each in fields.get("tools", ())]
    contents = [fields.get("system") or "", *(each["content"] for each in fields["messages"])]
    for each in contents:
        texts += [each] if isinstance(each, str) else [part["text"] for part in each]
    return sum(len(O200K.encode(text)) for text in texts)


@pytest.mark.parametrize("name", ["README.md", "docs/caching.md", "docs/schema/plans.schema.json", "proxy/exchange.py"])
def test_the_estimate_is_near_what_a_vocabulary_makes(name: str) -> None:
    """Prose, JSON with its indents, and code, each within an eighth of o200k."""
    text = (ROOT / name).read_text("utf-8")

    assert tokens(text) == pytest.approx(len(O200K.encode(text)), rel=1 / 8)


def test_a_long_text_is_counted_in_slices() -> None:
    """As dense as it is all over."""
    text = (ROOT / "README.md").read_text("utf-8")

    assert tokens(text * 10) == pytest.approx(10 * len(O200K.encode(text)), rel=1 / 8)


@pytest.mark.parametrize(
    ("surface", "make", "least", "most"),
    [
        ("chat", prompts_at_work.agent, 0.20, 0.40),
        ("chat", prompts_at_work.search, 0.20, 0.40),
        ("messages", prompts_at_work.report, 0.20, 0.40),
    ],
    ids=["agent", "search", "report"],
)
def test_prompts_that_programs_write_lose_a_fifth_and_more(surface: str, make: Any, least: float, most: float) -> None:
    """Counted by OpenAI's own vocabulary, before and after; and the estimate says about the same."""
    fields = make()
    found = trimmed(surface, fields, PASSES)

    assert found is not None
    before, after = counted(fields), counted(found.fields)
    share = 1 - after / before
    print(f"{make.__name__}: {before} -> {after} tokens, {share:.1%}; estimated {1 - found.after / found.before:.1%}")
    assert least <= share <= most
    assert 1 - found.after / found.before == pytest.approx(share, abs=0.06)


@given(values, st.sampled_from([None, 1, 2, 4]), st.booleans())
def test_json_is_the_same_json(value: Any, indent: int | None, is_fenced: bool) -> None:
    """Whatever stands in it: texts with blanks, quotes and backslashes, and numbers as they were written."""
    text = json.dumps({"pad": LONG, "value": value}, indent=indent)
    (new,) = said(asked(f"See:\n```json\n{text}\n```\nThanks." if is_fenced else text), "json")

    inside = new.removeprefix("See:\n```json\n").removesuffix("\n```\nThanks.") if is_fenced else new
    assert orjson.loads(inside) == orjson.loads(text)
    assert len(new) <= len(text) + 40
    assert '": ' not in re.sub(r'"(?:[^"\\]|\\.)*"(?!:)', "", inside)


def test_numbers_and_names_that_come_twice_stay_as_they_are() -> None:
    """What a parser would change is not parsed and written again."""
    text = '{ "a" : 1.50 , "a" : 12345678901234567890123 , "b" : 1E5 , "pad" : "' + LONG + '" }'

    (new,) = said(asked(text), "json")

    assert new == '{"a":1.50,"a":12345678901234567890123,"b":1E5,"pad":"' + LONG + '"}'


@given(messages)
def test_a_conversation_begins_as_it_began(conversation: list[dict[str, Any]]) -> None:
    """Whatever comes after: what a provider has in its cache of it is found again."""
    whole = said({"messages": conversation})

    for end in range(len(conversation)):
        assert said({"messages": conversation[:end]}) == whole[:end]


@given(messages)
def test_nothing_is_lost_but_what_is_said_elsewhere(conversation: list[dict[str, Any]]) -> None:
    """Without blanks every text is the one it was, blocks aside that a line points to; the request is not changed."""
    before = copy.deepcopy(conversation)
    fields = {"messages": conversation}

    for old, new in zip(conversation, said(fields, "whitespace", "json", "schemas"), strict=True):
        assert _bare(old["content"]) == _bare(new)
        assert old["role"] != "assistant" or new == old["content"]
    found = trimmed("chat", fields, PASSES)
    assert conversation == before
    if found is not None:
        assert 0 <= found.after <= found.before
        again = trimmed("chat", found.fields, PASSES)
        assert again is None or again.fields == found.fields or again.after <= again.before


def _bare(content: Any) -> str:
    texts = [content] if isinstance(content, str) else [each["text"] for each in content]
    return "".join("".join(texts).split())


def test_a_block_that_stood_before_is_said_to() -> None:
    """In whatever message; and its first place keeps it."""
    first, second = said(asked(f"One.\n\n{LONG}", f"{LONG}\n\nTwo?\n\n" + "x" * 300), "duplicates")

    assert first == f"One.\n\n{LONG}"
    assert second == '[as above: "' + LONG[:60].strip() + '..."]\n\nTwo?\n\n' + "x" * 300


def test_code_and_short_texts_are_left_alone() -> None:
    """Blanks in code may be what it says; and an ask may be about its blanks."""
    code = f"```python\nif x:   \n\n\n\n    y = '''a\n\n\n\nb'''\n```\n{LONG}"

    assert said(asked(code)) == [code]
    assert said(asked("How many   \n\n\n\n empty lines?")) == ["How many   \n\n\n\n empty lines?"]
    assert said(asked(f"a   \n\n\n\nb {LONG}")) == [f"a\n\nb {LONG}"]


def test_what_the_model_said_and_what_is_no_text_is_left_alone() -> None:
    """Its own words, its thoughts with their signatures, images, and parts that nobody knows."""
    parts = [{"type": "thinking", "thinking": f"a  \n\n\n{LONG}", "signature": "s"}, {"type": "image", "source": {}}, 7]

    assert said(asked(f"a   \n\n\n\nb {LONG}", role="assistant")) == [f"a   \n\n\n\nb {LONG}"]
    assert said(asked(parts)) == [parts]


def test_results_of_tools_lose_their_blanks_in_anthropics_words() -> None:
    """Where they are a text, and where they are parts."""
    text = json.dumps({"pad": LONG, "n": [1, 2]}, indent=2)
    short = json.dumps({"pad": LONG, "n": [1, 2]}, separators=(",", ":"))
    fields = {"messages": [{"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "a", "content": text},
        {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": text}]},
    ]}]}  # fmt: skip

    found = trimmed("messages", fields, ["json"])

    assert found is not None
    first, second = found.fields["messages"][0]["content"]
    assert first == {"type": "tool_result", "tool_use_id": "a", "content": short}
    assert second == {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": short}]}


def test_schemas_keep_all_that_binds() -> None:
    """A title that says more than the name stays; data, descriptions, and a field that is called title do, too."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "SearchOrders", "type": "object",
        "properties": {
            "customer_email": {"title": "Customer Email", "type": "string"},
            "sum": {"title": "In euros", "type": "number", "default": {"title": "Sum"}},
            "title": {"title": "Title", "enum": ["title", {"title": "x"}]},
            "to": {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}], "title": "To"},
        },
        "$defs": {"Address": {"title": "Address", "type": "object"}, "Nobody": {"type": "object"}},
        "required": ["title"],
    }  # fmt: skip
    tool = {"type": "function", "function": {"name": "f", "strict": True, "parameters": schema}}

    found = trimmed("chat", asked("Hi") | {"tools": [tool]}, ["schemas"])

    assert found is not None
    assert found.fields["tools"][0]["function"] == {"name": "f", "strict": True, "parameters": {
        "title": "SearchOrders", "type": "object",
        "properties": {
            "customer_email": {"type": "string"},
            "sum": {"title": "In euros", "type": "number", "default": {"title": "Sum"}},
            "title": {"enum": ["title", {"title": "x"}]},
            "to": {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}]},
        },
        "$defs": {"Address": {"type": "object"}},
        "required": ["title"],
    }}  # fmt: skip


@given(st.lists(st.fixed_dictionaries({"type": st.just("function"), "function": values}), max_size=3), values)
def test_odd_tools_and_contents_are_no_error(tools: list[Any], content: Any) -> None:
    """Whatever the reader lets through."""
    found = trimmed("chat", {"messages": [{"role": "user", "content": content}], "tools": tools}, PASSES)

    assert found is None or isinstance(found, Trimmed)


def test_a_prompt_beyond_the_bound_stays_as_it_is() -> None:
    """The rest of it is looked at."""
    huge, small = "a   \n" * (trims.TEXTS_CHARS_MAX // 5 + 1), f"a   \n\n\n\nb {LONG}"

    assert said(asked(huge, small)) == [huge, f"a\n\nb {LONG}"]


def test_the_configuration_knows_every_pass() -> None:
    """And no other."""
    assert get_args(Trimming) == PASSES
