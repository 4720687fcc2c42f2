"""Chat requests as Google's Gemini API wants them, and what cannot be said there."""

import string
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.settings import Deployment, Provider
from proxy.upstream import dialects
from proxy.upstream.dialects import gemini, signatures
from proxy.upstream.dialects.signatures import Signature
from proxy.wire import chat
from proxy.wire.errors import Malformed

PROVIDER = Provider("google", "gemini", "https://generativelanguage.googleapis.com/v1beta", None, enabled=True)
FLASH, OLD, ARGON = "gemini-3.8-flash", "gemini-2.5-flash", "gemini-4-argon"
PNG = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "Now.", "parameters": SCHEMA}}
SHAPE = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}


def deployment(model: str = FLASH) -> Deployment:
    """A deployment at Google."""
    return Deployment("ours", PROVIDER, model, prices=None, free=True)


def user(content: Any) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": content}


def ask(*messages: dict[str, Any], **fields: Any) -> chat.ChatRequest:
    """A request; `hi` when no message is given."""
    return chat.read(orjson.dumps({"model": "auto", "messages": messages or [user("hi")], **fields}))


def sent(*messages: dict[str, Any], model: str = FLASH, **fields: Any) -> dict[str, Any]:
    """The body that goes upstream; what goes had to be carried."""
    wanted = ask(*messages, **fields)
    assert dialects.uncarried(deployment(model), wanted) is None
    return orjson.loads(dialects.request_body(deployment(model), wanted))


def called(*ids: str) -> dict[str, Any]:
    """An assistant's message that calls a tool under each id."""
    calls = [{"id": one, "type": "function", "function": {"name": "weather", "arguments": "{}"}} for one in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(call_id: str, content: Any = "rain") -> dict[str, Any]:
    """What a tool gave."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_path_and_headers() -> None:
    """The model and the way to answer stand in the path; the key has a header of its own."""
    headers = dict(gemini.request_headers("AIza"))

    assert gemini.request_path(deployment(), stream=False) == "/models/gemini-3.8-flash:generateContent"
    assert gemini.request_path(deployment(), stream=True) == "/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    assert gemini.request_path(deployment("tunedModels/a b"), stream=False) == "/tunedModels/a%20b:generateContent"
    assert headers[b"x-goog-api-key"] == b"AIza"
    assert b"authorization" not in headers
    assert b"x-goog-api-key" not in dict(gemini.request_headers(None))


def test_a_plain_question() -> None:
    """Nothing is stated but the words; neither model nor stream is in the body."""
    assert sent(stream=True) == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_instructions_are_lifted_out_and_neighbours_are_one_turn() -> None:
    """System and developer messages, wherever they stand, in their order."""
    body = sent({"role": "system", "content": "one"}, user("a"), {"role": "developer", "content": "two"}, user("b"))

    assert body["systemInstruction"] == {"parts": [{"text": "one"}, {"text": "two"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}]


def test_tools_are_called_and_answered_by_name() -> None:
    """Results find the name of what was called by its id, and stand together in one turn."""
    body = sent(
        user("rain?"), called("call_1", "call_2"), result("call_1"), result("call_2", [{"type": "text", "text": "no"}]),
        model=OLD, tools=[WEATHER],
    )  # fmt: skip

    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [{"functionCall": {"id": f"call_{n}", "name": "weather", "args": {}}} for n in (1, 2)],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": f"call_{n}", "name": "weather", "response": {"output": text}}}
                for n, text in ((1, "rain"), (2, "no"))
            ],
        },
    ]
    declared = {"name": "weather", "description": "Now.", "parametersJsonSchema": SCHEMA}
    assert body["tools"] == [{"functionDeclarations": [declared]}]


def test_a_signature_goes_back_to_the_model_that_made_it() -> None:
    """In the part of its call; the id that goes is the one that the model gave."""
    signed = signatures.sealed("abc", Signature("gemini-3.8-flash", "c2ln+/=="))

    parts = sent(user("rain?"), called(signed, "def"), result(signed), result("def"), tools=[WEATHER])["contents"]

    (first, second), (answer, _) = parts[1]["parts"], parts[2]["parts"]
    assert first["thoughtSignature"] == "c2ln+/=="
    assert first["functionCall"]["id"] == answer["functionResponse"]["id"] == "abc"
    assert "thoughtSignature" not in second


@pytest.mark.parametrize("version", ["gemini-4-argon", ""])
def test_calls_of_others_go_with_the_word_that_skips_the_check(version: str) -> None:
    """A history that another model or provider wrote has no signature that this model takes."""
    foreign = signatures.sealed("abc", Signature(version, "sig"))
    for call_id in (foreign, "toolu_1"):
        (first,) = sent(user("rain?"), called(call_id), result(call_id), tools=[WEATHER])["contents"][1]["parts"]
        assert first["thoughtSignature"] == "skip_thought_signature_validator"


def test_older_models_know_no_signatures() -> None:
    """Nothing stands in for one there."""
    contents = sent(user("rain?"), called("call_1"), result("call_1"), model=OLD, tools=[WEATHER])["contents"]

    assert [*contents[1]["parts"][0]] == ["functionCall"]


@given(
    call_id=st.text(string.ascii_letters + string.digits + "-_", min_size=1).filter(
        lambda it: "__sig_" not in it + "_"
    ),
    model=st.text().filter(lambda name: "\n" not in name),
    text=st.text(),
)
def test_what_is_sealed_is_found_again(call_id: str, model: str, text: str) -> None:
    """Whatever a signature consists of, its id is one that every provider's alphabet has."""
    whole = signatures.sealed(call_id, Signature(model, text))

    assert signatures.bare(whole) == call_id
    assert signatures.signature_in(whole) == Signature(model, text)
    assert set(whole) <= set(string.ascii_letters + string.digits + "-_")


@pytest.mark.parametrize("call_id", ["", "call_1", "call_1__sig_", "call_1__sig_!", "call_1__sig_YQ", "__sig_YQ"])
def test_an_id_of_others_is_left_as_it_is(call_id: str) -> None:
    """It carries nothing."""
    assert signatures.signature_in(call_id) is None


def at(dialect: str) -> Deployment:
    """Return a deployment of another dialect."""
    provider = Provider("there", dialect, "https://there.test", None, enabled=True)
    return Deployment("ours", provider, "claude-haiku-5-5", prices=None, free=True)


def test_other_providers_get_the_bare_id() -> None:
    """OpenAI takes 40 characters; Anthropic has no use for the rest."""
    signed = signatures.sealed("call_1", Signature(FLASH, "s" * 5000))
    wanted = ask(user("rain? __sig_"), called(signed), result(signed), tools=[WEATHER])
    at_openai, at_anthropic = (
        orjson.loads(dialects.request_body(at(name), wanted))["messages"] for name in ("openai", "anthropic")
    )

    assert at_openai[0] == user("rain? __sig_")
    assert (at_openai[1]["tool_calls"][0]["id"], at_openai[2]["tool_call_id"]) == ("call_1", "call_1")
    assert at_anthropic[1]["content"][0]["id"] == at_anthropic[2]["content"][0]["tool_use_id"] == "call_1"


def test_a_result_of_nothing_that_was_called() -> None:
    """It has no name, so it is refused before anybody is asked."""
    with pytest.raises(Malformed, match="No tool call has the id `x`") as raised:
        dialects.request_body(deployment(), ask(user("hi"), result("x")))

    assert raised.value.param == "messages"


@pytest.mark.parametrize(
    ("fields", "config"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, None),
        ({"tool_choice": "none"}, {"mode": "NONE"}),
        ({"tool_choice": "required"}, {"mode": "ANY"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
        ({"parallel_tool_calls": True}, None),
        ({"tools": [{"type": "function", "function": {"name": "now", "strict": True}}]}, {"mode": "VALIDATED"}),
    ],
)
def test_which_tools_may_be_called(fields: dict[str, Any], config: dict[str, Any] | None) -> None:
    """Each choice has its word; arguments that must keep to their schema are validated."""
    told = sent(**{"tools": [WEATHER], **fields}).get("toolConfig")

    assert told == (None if config is None else {"functionCallingConfig": config})


def test_images() -> None:
    """A data URL is taken apart; an https URL is passed on with the type that its name says."""
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.JPG?size=1"}},
    ]

    (turn,) = sent(user(parts))["contents"]

    assert turn["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.test/a.JPG?size=1"}},
    ]


@pytest.mark.parametrize(
    ("model", "fields", "said"),
    [
        (FLASH, {"max_tokens": 5, "max_completion_tokens": 7}, {"maxOutputTokens": 7}),
        (FLASH, {"stop": "END"}, {"stopSequences": ["END"]}),
        (FLASH, {"temperature": 0.2, "top_p": 0.5}, {"temperature": 0.2, "topP": 0.5}),
        (ARGON, {"temperature": 1, "top_p": 1, "user": "u", "metadata": {"a": "b"}}, {}),
        (FLASH, {"reasoning_effort": "minimal"}, {"thinkingConfig": {"thinkingLevel": "minimal"}}),
        (ARGON, {"reasoning_effort": "minimal"}, {"thinkingConfig": {"thinkingLevel": "low"}}),
        (ARGON, {"reasoning_effort": "xhigh"}, {"thinkingConfig": {"thinkingLevel": "high"}}),
        (OLD, {"reasoning_effort": "none"}, {"thinkingConfig": {"thinkingBudget": 0}}),
        (OLD, {"reasoning_effort": "medium"}, {"thinkingConfig": {"thinkingBudget": 8192}}),
        ("gemini-2.0-flash", {"reasoning_effort": "none"}, {}),
        ("gemini-flash-latest", {"reasoning_effort": "low"}, {"thinkingConfig": {"thinkingLevel": "low"}}),
        (FLASH, {"response_format": {"type": "text"}}, {}),
        (FLASH, {"response_format": SHAPE}, {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}),
    ],
)
def test_settings(model: str, fields: dict[str, Any], said: dict[str, Any]) -> None:
    """Each has its word; those that ask for nothing have none."""
    assert sent(model=model, **fields).get("generationConfig", {}) == said


@pytest.mark.parametrize(
    ("model", "fields", "named"),
    [
        (FLASH, {"n": 2}, "n"),
        (FLASH, {"logprobs": True}, "logprobs"),
        (FLASH, {"service_tier": "flex"}, "service_tier"),
        (FLASH, {"a_field_of_tomorrow": 1}, "a_field_of_tomorrow"),
        (FLASH, {"response_format": {"type": "json_object"}}, "response_format"),
        (FLASH, {"reasoning_effort": "none"}, "reasoning_effort"),
        ("gemini-2.5-pro", {"reasoning_effort": "none"}, "reasoning_effort"),
        ("gemini-2.0-flash", {"reasoning_effort": "low"}, "reasoning_effort"),
        (ARGON, {"temperature": 0.2}, "temperature"),
        (ARGON, {"top_p": 0.2}, "top_p"),
        (FLASH, {"tools": [WEATHER], "parallel_tool_calls": False}, "parallel_tool_calls"),
        (OLD, {"tools": [WEATHER], "response_format": SHAPE}, "response_format"),
    ],
)
def test_fields_without_a_word_are_named(model: str, fields: dict[str, Any], named: str) -> None:
    """A look at the top is enough for routing to pass the deployment over."""
    assert dialects.uncarried(deployment(model), ask(**fields)) == named


@pytest.mark.parametrize(
    ("messages", "fields", "named"),
    [
        ([user([{"type": "image_url", "image_url": {"url": "data:image/gif;base64,AA=="}}])], {}, "messages"),
        ([user([{"type": "image_url", "image_url": {"url": "https://x.test/a"}}])], {}, "messages"),
        ([user([{"type": "image_url", "image_url": {"url": "https://[x/a.png"}}])], {}, "messages"),
        ([{"role": "system", "content": "only"}], {}, "messages"),
        ([user("x")], {"tool_choice": "required"}, "tool_choice"),
        ([user("x")], {"stop": ["a"] * 6}, "stop"),
    ],
)
def test_what_lies_deeper_is_named_too(messages: list[Any], fields: dict[str, Any], named: str) -> None:
    """Before anybody is called, with the place."""
    with pytest.raises(Malformed) as raised:
        dialects.request_body(deployment(), ask(*messages, **fields))

    assert raised.value.param == named


def test_two_hundred_unknown_fields_are_refused_by_the_first() -> None:
    """None is dropped in silence."""
    assert dialects.uncarried(deployment(), ask(**{f"field_{n}": n for n in range(200)})) == "field_0"
