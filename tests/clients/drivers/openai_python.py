"""openai-python, the reference client: chat, streams, tools, schemas, images, embeddings, models, Responses, errors."""

import time

import kit
import openai
from kit import case, eq, raises, usage_is, user
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

c = OpenAI(base_url=kit.BASE_URL, api_key=kit.API_KEY, max_retries=0, timeout=20)


def ac():
    """An asynchronous client."""
    return AsyncOpenAI(base_url=kit.BASE_URL, api_key=kit.API_KEY, max_retries=0, timeout=20)


class Person(BaseModel):
    name: str
    age: int


def chat(text, **kw):
    """One completion."""
    return c.chat.completions.create(model=kit.MODEL, messages=user(text), **kw)


@case("chat.sync")
def _():
    r = chat("kit:hello")
    eq(r.choices[0].message.content, kit.HELLO)
    eq(r.choices[0].finish_reason, "stop")
    eq(r.object, "chat.completion")
    assert r.id
    assert r.created
    assert r.model
    usage_is(r.usage.prompt_tokens, r.usage.completion_tokens)
    eq(r.usage.total_tokens, r.usage.prompt_tokens + r.usage.completion_tokens, "total_tokens")


@case("chat.async")
async def _():
    async with ac() as a:
        r = await a.chat.completions.create(model=kit.MODEL, messages=user("kit:hello"))
    eq(r.choices[0].message.content, kit.HELLO)


@case("chat.common_params")
def _():
    r = c.chat.completions.create(
        model=kit.MODEL,
        temperature=0.2,
        top_p=0.9,
        max_completion_tokens=50,
        seed=7,
        stop=["ZZZ"],
        n=1,
        user="u-1",
        presence_penalty=0.1,
        frequency_penalty=0.1,
        metadata={"team": "kit"},
        store=False,
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "kit:hello", "name": "ada"},
        ],
    )
    eq(r.choices[0].message.content, kit.HELLO)


@case("chat.multi_turn")
def _():
    r = c.chat.completions.create(
        model=kit.MODEL,
        messages=[
            {"role": "system", "content": "s"},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "kit:hello"}]},
        ],
    )
    eq(r.choices[0].message.content, kit.HELLO)


@case("chat.finish_length")
def _():
    eq(chat("kit:length").choices[0].finish_reason, "length")


@case("chat.unicode")
def _():
    eq(chat("kit:unicode").choices[0].message.content, kit.UNICODE)


@case("chat.raw_response_headers")
def _():
    r = c.chat.completions.with_raw_response.create(model=kit.MODEL, messages=user("kit:hello"))
    assert r.headers["content-type"].startswith("application/json"), r.headers["content-type"]
    assert r.headers.get("x-request-id"), "x-request-id missing"
    eq(r.parse().choices[0].message.content, kit.HELLO)


@case("chat.no_unknown_types")
def _():
    raw = c.chat.completions.with_raw_response.create(model=kit.MODEL, messages=user("kit:hello")).http_response.json()
    openai.types.chat.ChatCompletion.model_validate(raw, strict=False)


@case("stream.sync")
def _():
    ch = list(chat("kit:hello", stream=True))
    eq("".join(x.choices[0].delta.content or "" for x in ch if x.choices), kit.HELLO)
    eq([x.choices[0].finish_reason for x in ch if x.choices][-1], "stop")
    assert all(x.object == "chat.completion.chunk" for x in ch)
    eq(len({x.id for x in ch}), 1, "distinct chunk ids")
    assert not any(x.usage for x in ch), "usage chunk sent though not asked for"


@case("stream.usage")
def _():
    ch = list(chat("kit:hello", stream=True, stream_options={"include_usage": True}))
    eq(ch[-1].choices, [], "choices of the usage chunk")
    usage_is(ch[-1].usage.prompt_tokens, ch[-1].usage.completion_tokens)


@case("stream.async")
async def _():
    async with ac() as a:
        s = await a.chat.completions.create(model=kit.MODEL, messages=user("kit:hello"), stream=True)
        eq("".join([x.choices[0].delta.content or "" async for x in s if x.choices]), kit.HELLO)


@case("stream.helper_events")
def _():
    with c.chat.completions.stream(model=kit.MODEL, messages=user("kit:hello")) as s:
        kinds = {e.type for e in s}
        eq(s.get_final_completion().choices[0].message.content, kit.HELLO)
    assert {"content.delta", "content.done"} <= kinds, kinds


@case("stream.unicode_split")
def _():
    eq("".join(x.choices[0].delta.content or "" for x in chat("kit:unicode", stream=True) if x.choices), kit.UNICODE)


@case("stream.split_surrogates", optional=True)
def _():
    # The mock cuts between UTF-16 halves, so a chunk's JSON may carry a lone surrogate: it must arrive unharmed.
    got = "".join(x.choices[0].delta.content or "" for x in chat("kit:emoji", stream=True) if x.choices)
    eq(got.encode("utf-16", "surrogatepass").decode("utf-16"), kit.EMOJI)


@case("stream.not_buffered")
def _():
    t0 = time.perf_counter()
    ts = [time.perf_counter() for x in chat("kit:slow", stream=True) if x.choices and x.choices[0].delta.content]
    assert len(ts) >= 2, "only one content chunk"
    assert ts[-1] - ts[0] > 0.02, f"all chunks at once after {ts[0] - t0:.2f}s: the answer was buffered"


@case("stream.early_close_then_ok")
def _():
    s = chat("kit:slow", stream=True)
    next(iter(s))
    s.close()
    eq(chat("kit:hello").choices[0].message.content, kit.HELLO)


@case("stream.cut_is_noticed")
def _():
    finish, err = None, None
    try:
        for x in chat("kit:cut", stream=True):
            if x.choices and x.choices[0].finish_reason:
                finish = x.choices[0].finish_reason
    except Exception as e:  # noqa: BLE001
        err = e
    assert err is not None or finish is None, f"a cut stream ended with finish_reason={finish!r} and no error"


@case("tools.sync")
def _():
    r = chat("kit:tool", tools=[kit.WEATHER], tool_choice="auto")
    t = r.choices[0].message.tool_calls[0]
    eq((t.function.name, t.function.arguments.replace(" ", "")), ("get_weather", '{"city":"Paris"}'))
    eq(r.choices[0].finish_reason, "tool_calls")
    assert t.id
    assert t.type == "function"


@case("tools.stream")
def _():
    args, name, ids, fin = "", None, set(), None
    for x in chat("kit:tool", tools=[kit.WEATHER], stream=True):
        if not x.choices:
            continue
        fin = x.choices[0].finish_reason or fin
        for d in x.choices[0].delta.tool_calls or []:
            eq(d.index, 0, "tool index")
            name = d.function.name or name
            args += d.function.arguments or ""
            if d.id:
                ids.add(d.id)
    eq((name, args.replace(" ", ""), fin, len(ids)), ("get_weather", '{"city":"Paris"}', "tool_calls", 1))


@case("tools.parallel")
def _():
    ts = chat("kit:two-tools", tools=[kit.WEATHER], parallel_tool_calls=True).choices[0].message.tool_calls
    eq([t.function.arguments.replace(" ", "") for t in ts], ['{"city":"Paris"}', '{"city":"Oslo"}'])
    eq(len({t.id for t in ts}), 2, "distinct call ids")


@case("tools.round_trip")
def _():
    m = user("kit:tool")
    r = c.chat.completions.create(model=kit.MODEL, messages=m, tools=[kit.WEATHER])
    a = r.choices[0].message
    m = [*m, a.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": a.tool_calls[0].id, "content": "21"}]
    r = c.chat.completions.create(model=kit.MODEL, messages=m, tools=[kit.WEATHER])
    assert r.choices[0].message.content.startswith("TOOL-DONE"), r.choices[0].message


@case("structured.parse")
def _():
    r = c.chat.completions.parse(model=kit.MODEL, messages=user("kit:person"), response_format=Person)
    eq(r.choices[0].message.parsed, Person(name="Ada", age=36))


@case("structured.json_object")
def _():
    r = chat("kit:person as json", response_format={"type": "json_object"})
    eq(Person.model_validate_json(r.choices[0].message.content), Person(name="Ada", age=36))


@case("image.data_url")
def _():
    r = c.chat.completions.create(
        model=kit.MODEL,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "kit:image"},
                    {"type": "image_url", "image_url": {"url": kit.DATA_URL, "detail": "low"}},
                ],
            }
        ],
    )
    eq(r.choices[0].message.content, "IMAGE-SEEN")


@case("embeddings.list")
def _():
    r = c.embeddings.create(model=kit.EMBED_MODEL, input=["a", "b", "c"])
    eq([d.index for d in r.data], [0, 1, 2])
    assert all(isinstance(x, float) for x in r.data[0].embedding)
    assert len(r.data[0].embedding) > 1
    assert r.usage.total_tokens is not None


@case("embeddings.float_and_base64_agree")
def _():
    f = c.embeddings.create(model=kit.EMBED_MODEL, input="same", encoding_format="float").data[0].embedding
    b = c.embeddings.create(model=kit.EMBED_MODEL, input="same").data[0].embedding
    eq(len(f), len(b), "dimensions")
    assert max(abs(x - y) for x, y in zip(f, b, strict=False)) < 1e-4


@case("models.list")
def _():
    ms = list(c.models.list())
    assert ms
    assert all(m.id and m.object == "model" for m in ms)


@case("models.retrieve", optional=True)
def _():
    m = next(iter(c.models.list()))
    eq(c.models.retrieve(m.id).id, m.id)


@case("error.401")
def _():
    bad = OpenAI(base_url=kit.BASE_URL, api_key=kit.BAD_KEY, max_retries=0)
    e = raises(
        openai.AuthenticationError, lambda: bad.chat.completions.create(model=kit.MODEL, messages=user("kit:hello"))
    )
    eq(e.status_code, 401)
    assert e.body.get("message"), e.body


@case("error.401_stream")
def _():
    bad = OpenAI(base_url=kit.BASE_URL, api_key=kit.BAD_KEY, max_retries=0)
    raises(
        openai.AuthenticationError,
        lambda: list(bad.chat.completions.create(model=kit.MODEL, messages=user("kit:hello"), stream=True)),
    )


@case("error.404_model")
def _():
    e = raises(
        openai.NotFoundError, lambda: c.chat.completions.create(model=kit.UNKNOWN_MODEL, messages=user("kit:hello"))
    )
    eq(e.code, "model_not_found")


@case("error.404_path")
def _():
    raises(openai.NotFoundError, lambda: c.get("/no-such-endpoint", cast_to=object))


@case("error.429")
def _():
    e = raises(openai.RateLimitError, lambda: chat("kit:rate-limit"))
    assert e.response.headers.get("retry-after"), "retry-after missing"


@case("error.429_stream")
def _():
    raises(openai.RateLimitError, lambda: list(chat("kit:rate-limit", stream=True)))


@case("error.context_length")
def _():
    e = raises(openai.BadRequestError, lambda: chat("kit:context-length"))
    eq(e.code, "context_length_exceeded")


@case("error.500")
def _():
    raises(openai.InternalServerError, lambda: chat("kit:server-error"))


@case("error.bad_body", optional=True)
def _():
    raises(
        (openai.BadRequestError, openai.UnprocessableEntityError),
        lambda: c.post("/chat/completions", body={"model": kit.MODEL, "messages": "not a list"}, cast_to=object),
    )


@case("responses.create")
def _():
    r = c.responses.create(model=kit.MODEL, input="kit:hello", instructions="Be brief.")
    eq(r.output_text, kit.HELLO)
    usage_is(r.usage.input_tokens, r.usage.output_tokens)


@case("responses.stream")
def _():
    kinds, text = [], ""
    for e in c.responses.create(model=kit.MODEL, input="kit:hello", stream=True):
        kinds.append(e.type)
        if e.type == "response.output_text.delta":
            text += e.delta
    eq(text, kit.HELLO)
    eq((kinds[0], kinds[-1]), ("response.created", "response.completed"))


@case("responses.tools")
def _():
    f = kit.WEATHER["function"]
    r = c.responses.create(
        model=kit.MODEL,
        input="kit:tool",
        tools=[{"type": "function", "name": f["name"], "parameters": f["parameters"], "description": f["description"]}],
    )
    call = next(o for o in r.output if o.type == "function_call")
    eq((call.name, call.arguments.replace(" ", "")), ("get_weather", '{"city":"Paris"}'))


@case("responses.parse")
def _():
    eq(
        c.responses.parse(model=kit.MODEL, input="kit:person", text_format=Person).output_parsed,
        Person(name="Ada", age=36),
    )


@case("responses.full_object", optional=True)
def _():
    raw = c.responses.with_raw_response.create(model=kit.MODEL, input="kit:hello").http_response.json()
    r = openai.types.responses.Response.model_validate(raw)
    eq((r.object, r.status, r.tools, r.usage.input_tokens_details.cached_tokens), ("response", "completed", [], 0))


@case("responses.full_events", optional=True)
def _():
    with c.responses.stream(model=kit.MODEL, input="kit:hello") as s:
        events = list(s)
        openai.types.responses.Response.model_validate(s.get_final_response().model_dump())
    eq([e.sequence_number for e in events], list(range(len(events))))
    order = ["created", "in_progress", "output_item.added", "content_part.added", "output_text.done",
             "content_part.done", "output_item.done", "completed"]  # fmt: skip
    eq([e.type.removeprefix("response.") for e in events if not e.type.endswith(".delta")], order)


@case("responses.go_on", optional=True)
def _():
    first = c.responses.create(model=kit.MODEL, input="kit:hello")
    second = c.responses.create(model=kit.MODEL, input="kit:unicode", previous_response_id=first.id)
    eq((second.output_text, second.previous_response_id), (kit.UNICODE, first.id))


@case("responses.retrieve_and_delete", optional=True)
def _():
    made = c.responses.create(model=kit.MODEL, input="kit:hello")
    eq(c.responses.retrieve(made.id).output_text, kit.HELLO)
    c.responses.delete(made.id)
    raises(openai.NotFoundError, lambda: c.responses.retrieve(made.id))


@case("cache.chat", optional=True)
def _():
    kit.needs_simulator()
    text = f"chat {time.time_ns()} " + "word " * 3000
    chat(text)
    again = chat(text).usage.prompt_tokens_details
    assert again.cached_tokens >= 1024, again
    last = list(chat(text, stream=True, stream_options={"include_usage": True}))[-1].usage
    assert last.prompt_tokens_details.cached_tokens >= 1024, last


@case("cache.responses", optional=True)
def _():
    kit.needs_simulator()
    text = f"responses {time.time_ns()} " + "word " * 3000
    c.responses.create(model=kit.MODEL, input=text)
    again = c.responses.create(model=kit.MODEL, input=text).usage.input_tokens_details
    assert again.cached_tokens >= 1024, again
    last = list(c.responses.create(model=kit.MODEL, input=text, stream=True))[-1].response.usage
    assert last.input_tokens_details.cached_tokens >= 1024, last


@case("usage.cached_tokens", optional=True)
def _():
    kit.needs_mock_cache()
    d = chat("kit:cached").usage.prompt_tokens_details
    eq(d.cached_tokens, 1536)


kit.main("openai-python", openai.__version__)
