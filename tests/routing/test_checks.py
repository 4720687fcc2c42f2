"""What is wrong with an answer: told of its words alone, in bounded time, whoever wrote schema and pattern."""

import time

import pytest

from proxy.routing.checks import flaw
from proxy.routing.schemas import fits
from proxy.settings import Checks
from proxy.settings.patterns import CHARS_MAX, pattern
from proxy.wire.gist import Gist, of_pieces, of_response
from proxy.wire.neutral import Called, Ended, Said

ALL = Checks()
SCHEMA = {
    "type": "object", "required": ["a"], "additionalProperties": False,
    "properties": {"a": {"type": "string", "pattern": "^x+$"}},
}  # fmt: skip


def found(text: str, reason: str = "said", *, calls: bool = False, **asked: object) -> str | None:
    """What is wrong with these words."""
    gist = Gist(text, calls, reason)  # type: ignore[arg-type]
    return flaw(ALL, gist, asked.get("shape", "text"), asked.get("schema"), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "reason", "wrong"),
    [
        ("Paris.", "said", None),
        ("Pari", "limit", "truncated"),
        ("", "said", "empty"),
        (" \n", "said", "empty"),
        ("No.", "refused", "refusal"),
        ("I'm sorry, but I can't help with that.", "said", "refusal"),
        ("Sorry, I cannot assist with this request.", "said", "refusal"),
        ("I am unable to provide that.", "said", "refusal"),
        ("As an AI language model, I can't answer that.", "said", "refusal"),
        ("I can't help laughing at this joke, which goes", "said", "refusal"),  # a false alarm costs a call
        ("Sorry to hear that! Here is what to do.", "said", None),
        ("He said: I'm sorry, I can't help you.", "said", None),
        ("I'm sorry, I can't help with that. " + "But here is an essay. " * 50, "said", None),
    ],
)
def test_flaws_of_words(text: str, reason: str, wrong: str | None) -> None:
    """By how an answer ends, and how models refuse in English."""
    assert found(text, reason) == wrong


def test_an_answer_that_calls_tools_needs_no_words() -> None:
    """Neither empty nor off its schema; cut off it still is."""
    assert found("", "calls", calls=True, shape="schema", schema=SCHEMA) is None
    assert found("", "limit", calls=True) == "truncated"


@pytest.mark.parametrize(
    ("text", "is_good"),
    [('{"a": "xx"}', True), ('{"a": "y"}', False), ('{"a": "x", "b": 1}', False), ("{}", False), ('{"a": "x"', False),
     ("```json\n{}\n```", False), ("", False)],
)  # fmt: skip
def test_a_schema_is_kept_to_or_not(text: str, is_good: bool) -> None:
    """As its draft says; prose around JSON is no JSON."""
    assert fits(text, SCHEMA) is is_good


def test_without_a_schema_an_object_is_asked_for() -> None:
    """As `json_object` does."""
    assert fits("{}", None)
    assert not fits("[]", None)


@pytest.mark.parametrize(
    "schema",
    [{"type": "nonsense"}, {"$ref": "http://127.0.0.1:1/x"}, {"$ref": "file:///etc/passwd"}, {"$ref": "#/none"},
     {"$ref": "#"}, {"pattern": "(?=x)"}, {"properties": 3}],
)  # fmt: skip
def test_a_schema_that_is_none_throws_nothing_away(schema: dict[str, object]) -> None:
    """Nothing is fetched, and what cannot be told counts as kept to."""
    assert fits('{"a": 1}', schema)


def test_schemas_and_patterns_of_strangers_take_bounded_time() -> None:
    """Forty levels of alternatives, and a pattern that Python's own engine would match for years."""
    levels = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    deep = {"$ref": "#/$defs/d0", "$defs": levels | {"d40": {"type": "string"}}}
    began_s = time.perf_counter()

    assert fits("1", deep)
    assert not fits('"' + "a" * 5000 + '!"', {"pattern": "^(a+)+$"})
    assert fits('{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!": 1}',
                {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False})  # fmt: skip

    assert time.perf_counter() - began_s < 5


@pytest.mark.parametrize("text", ["(", "(?=x)", "", "x" * (CHARS_MAX + 1), "\ud83d"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    """With a sentence."""
    with pytest.raises(ValueError, match=r"^(is no pattern: .+|must have 1 to 512 characters|is no text)$"):
        pattern(text)


def test_half_a_surrogate_pair_is_a_letter_like_others() -> None:
    """Models cut emoji in two."""
    assert pattern("^ab.$").is_in("ab\ud83d")
    assert found("\ud83d") is None


def test_the_gist_of_pieces_and_of_a_response() -> None:
    """Words together, whether tools are called, and why it ends; of what does not end nothing."""
    said = [Said("a"), Called(0, "id", "name"), Said("b"), Ended("calls")]
    refusal = {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []}

    assert of_pieces(said) == Gist("ab", True, "calls")
    assert of_pieces(said[:-1]) is None
    assert of_response({"status": "completed", "output": [refusal]}) == Gist("no", False, "refused")
    assert of_response({"status": "completed", "output": [{"type": "function_call"}]}) == Gist("", True, "calls")
    assert of_response(cut) == Gist("", False, "limit")
    assert of_response({"status": "in_progress"}) is None
