"""anthropic-python against POST /v1/messages of the same host."""

import time

import anthropic
import kit
from anthropic import Anthropic, AsyncAnthropic
from kit import case, eq, raises, usage_is, user

c = Anthropic(base_url=kit.ANTHROPIC_URL, api_key=kit.API_KEY, max_retries=0, timeout=20)
TOOL = {"name": "get_weather", "description": "Weather", "input_schema": kit.WEATHER["function"]["parameters"]}


def msg(text, **kw):
    """One message."""
    return c.messages.create(model=kit.ANTHROPIC_MODEL, max_tokens=100, messages=user(text), **kw)


@case("messages.sync")
def _():
    r = msg("kit:hello", system="Be brief.")
    eq(r.content[0].text, kit.HELLO)
    eq((r.type, r.role, r.stop_reason), ("message", "assistant", "end_turn"))
    usage_is(r.usage.input_tokens, r.usage.output_tokens)


@case("messages.async")
async def _():
    async with AsyncAnthropic(base_url=kit.ANTHROPIC_URL, api_key=kit.API_KEY, max_retries=0) as a:
        r = await a.messages.create(model=kit.ANTHROPIC_MODEL, max_tokens=50, messages=user("kit:hello"))
    eq(r.content[0].text, kit.HELLO)


@case("messages.stream")
def _():
    with c.messages.stream(model=kit.ANTHROPIC_MODEL, max_tokens=50, messages=user("kit:hello")) as s:
        eq("".join(s.text_stream), kit.HELLO)
        f = s.get_final_message()
    eq(f.stop_reason, "end_turn")
    usage_is(f.usage.input_tokens, f.usage.output_tokens)


@case("messages.stream_raw_order")
def _():
    kinds = [e.type for e in msg("kit:hello", stream=True) if e.type != "ping"]
    eq(
        (kinds[0], kinds[1], kinds[-2], kinds[-1]),
        ("message_start", "content_block_start", "message_delta", "message_stop"),
    )


@case("messages.tools")
def _():
    r = msg("kit:tool", tools=[TOOL])
    t = next(b for b in r.content if b.type == "tool_use")
    eq((t.name, t.input, r.stop_reason), ("get_weather", {"city": "Paris"}, "tool_use"))


@case("messages.tools_stream")
def _():
    with c.messages.stream(model=kit.ANTHROPIC_MODEL, max_tokens=50, messages=user("kit:tool"), tools=[TOOL]) as s:
        f = s.get_final_message()
    eq([b.input for b in f.content if b.type == "tool_use"], [{"city": "Paris"}])


@case("messages.tool_round_trip")
def _():
    r = msg("kit:tool", tools=[TOOL])
    t = next(b for b in r.content if b.type == "tool_use")
    m = [
        *user("kit:tool"),
        {"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in r.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": t.id, "content": "21"}]},
    ]
    r = c.messages.create(model=kit.ANTHROPIC_MODEL, max_tokens=50, messages=m, tools=[TOOL])
    assert r.content[0].text.startswith("TOOL-DONE"), r.content


@case("messages.system_cache_control")
def _():
    r = c.messages.create(
        model=kit.ANTHROPIC_MODEL,
        max_tokens=50,
        messages=user("kit:hello"),
        system=[{"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}],
    )
    eq(r.content[0].text, kit.HELLO)


@case("messages.image")
def _():
    r = c.messages.create(
        model=kit.ANTHROPIC_MODEL,
        max_tokens=50,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": kit.PNG}},
                    {"type": "text", "text": "kit:image"},
                ],
            }
        ],
    )
    eq(r.content[0].text, "IMAGE-SEEN")


@case("messages.max_tokens_reason")
def _():
    eq(msg("kit:length").stop_reason, "max_tokens")


@case("error.401")
def _():
    b = Anthropic(base_url=kit.ANTHROPIC_URL, api_key=kit.BAD_KEY, max_retries=0)
    raises(
        anthropic.AuthenticationError,
        lambda: b.messages.create(model=kit.ANTHROPIC_MODEL, max_tokens=5, messages=user("kit:hello")),
    )


@case("error.404_model")
def _():
    raises(
        anthropic.NotFoundError,
        lambda: c.messages.create(model=kit.UNKNOWN_MODEL, max_tokens=5, messages=user("kit:hello")),
    )


@case("error.429")
def _():
    e = raises(anthropic.RateLimitError, lambda: msg("kit:rate-limit"))
    eq((e.body.get("type"), e.body["error"]["type"]), ("error", "rate_limit_error"), "error envelope")


@case("error.400")
def _():
    raises(anthropic.BadRequestError, lambda: msg("kit:context-length"))


@case("error.500")
def _():
    raises(anthropic.InternalServerError, lambda: msg("kit:server-error"))


@case("count_tokens", optional=True)
def _():
    assert c.messages.count_tokens(model=kit.ANTHROPIC_MODEL, messages=user("kit:hello")).input_tokens > 0


@case("models.list", optional=True)
def _():
    assert [m.id for m in c.models.list()]


@case("cache.messages", optional=True)
def _():
    kit.needs_simulator()
    mark = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": f"messages {time.time_ns()} " + "word " * 3000, "cache_control": mark}]
    first, again = (msg("hello", system=system).usage for _ in range(2))
    assert first.cache_creation.ephemeral_1h_input_tokens >= 1024, first
    eq(again.cache_read_input_tokens, first.cache_creation.ephemeral_1h_input_tokens)


@case("usage.cache_fields", optional=True)
def _():
    kit.needs_mock_cache()
    u = msg("kit:cached").usage
    eq((u.cache_read_input_tokens, u.cache_creation_input_tokens), (1536, 100))


kit.main("anthropic-python", anthropic.__version__)
