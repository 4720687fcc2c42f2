"""What counts as the last human ask, in the shapes clients really send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers import judge, read_ask

HARD = "Prove that every bounded monotone sequence converges."


def user(content):
    """A human message."""
    return {"role": "user", "content": content}


def assistant(content):
    """A model's message."""
    return {"role": "assistant", "content": content}


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "output", "image_url"]) | st.text(max_size=5),
            inner | st.sampled_from(["user", "tool", "system", "text", "image", "tool_result", "assistant"]),
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(junk)
def test_any_junk_is_read_and_judged(anything):
    """No JSON value in the place of messages raises."""
    ask = read_ask(anything)

    assert len(ask.text) <= 4_000
    assert sum(judge(ask).probabilities) == pytest.approx(1)


def test_the_last_human_message_is_the_ask():
    """System prompt and history are measured apart."""
    ask = read_ask(
        [
            {"role": "system", "content": "x" * 500},
            user("Hello"),
            assistant("Hi, what can I do?"),
            user("Name the capital of Peru."),
        ],
        tools=3,
        wants_schema=True,
    )

    assert ask.text == "Name the capital of Peru."
    assert ask.text_chars == len("Name the capital of Peru.")
    assert ask.system_chars == 500
    assert ask.history_turns == 2
    assert ask.history_chars == len("Hello") + len("Hi, what can I do?")
    assert (ask.tools, ask.wants_schema, ask.tool_turn, ask.failed_before) == (3, True, False, False)


def test_parts_of_every_surface_are_read():
    """Text and image parts of chat completions, responses and messages are counted."""
    parts = [
        {"type": "text", "text": "What is"},
        {"type": "input_text", "text": "on these?"},
        {"type": "image_url", "image_url": {"url": "data:"}},
        {"type": "input_image", "image_url": "data:"},
        {"type": "image", "source": {}},
        {"type": "text", "text": None},
        {"type": ["text"]},
        17,
    ]

    ask = read_ask([user(parts)])

    assert ask.text == "What is\non these?"
    assert ask.images == 3


@pytest.mark.parametrize(
    "result",
    [
        {"role": "tool", "tool_call_id": "1", "content": "42 rows: write me a poem"},
        {"role": "function", "name": "query", "content": "42 rows: write me a poem"},
        {"type": "function_call_output", "call_id": "1", "output": "42 rows: write me a poem"},
        user([{"type": "tool_result", "content": "42 rows: write me a poem"}]),
        user(
            [
                {"type": "tool_result", "content": "42 rows"},
                {"type": "text", "text": "<system-reminder>Write a poem.</system-reminder>"},
            ]
        ),
    ],
)
def test_a_tool_result_is_no_ask(result):
    """The ask stays the human's, and the turn is known to be a tool's."""
    ask = read_ask([user("How many orders came in today?"), assistant(""), result])

    assert ask.text == "How many orders came in today?"
    assert ask.tool_turn


@pytest.mark.parametrize(
    "block",
    [
        "<system-reminder>Prove everything step by step.</system-reminder>",
        "<environment_details>\ncwd /home\n</environment_details>",
        "<command-name>/plan</command-name>\n<command-message>plan</command-message>",
        "<local-command-stdout>done</local-command-stdout>",
        '<system-reminder source="hook">Think.</system-reminder>',
    ],
)
def test_injected_blocks_are_cut_out_wherever_they_stand(block):
    """Before, after and amid the words of the person."""
    assert read_ask([user(f"{block}\nWho wrote Faust?")]).text == "Who wrote Faust?"
    assert read_ask([user(f"Who wrote Faust?\n\n{block}")]).text == "Who wrote Faust?"
    assert read_ask([user(f"Who wrote {block}Faust?")]).text.split() == ["Who", "wrote", "Faust?"]


def test_a_block_longer_than_the_bound_hides_nothing():
    """The ask is found behind 100,000 characters of injected text, before and after it."""
    block = f"<system-reminder>{'x' * 100_000}</system-reminder>"

    assert read_ask([user(f"{block}Who wrote Faust?{block}")]).text == "Who wrote Faust?"


def test_a_block_torn_by_the_bound_is_dropped():
    """Where the bound cuts through a block, neither half is taken for the person's words."""
    block = f"<system-reminder>{'x' * 10_000}</system-reminder>"

    ask = read_ask([user(f"Who wrote Faust? {block} Name the year.")])

    assert "x" not in ask.text
    assert ask.text.startswith("Who wrote Faust?")
    assert ask.text.endswith("Name the year.")


def test_words_hidden_in_a_tag_are_still_judged():
    """With nothing else said, an injected block is the ask: no discount for hiding it."""
    hidden = f"<system-reminder>{HARD}</system-reminder>"

    assert HARD in read_ask([user(hidden)]).text


@pytest.mark.parametrize(
    "word",
    [
        *("yes", "Yes, go ahead.", "ok, continue", "weiter", "Ja, bitte!", "oui, vas-y"),
        *("sí, continúa", "sì, prosegui", "sim, continue", "да, продолжай"),
        *("继续", "続けて", "네, 계속"),
    ],
)
def test_yes_means_the_ask_before_it(word):
    """A bare continuation is as hard as what it continues, in any language."""
    ask = read_ask([user(HARD), assistant("Shall I use epsilon and delta?"), user(word)])

    assert ask.text == HARD
    assert not ask.failed_before
    assert judge(ask).tier == "complex"


@pytest.mark.parametrize(
    "word",
    [
        *("That's wrong.", "no, that’s not right", "Try again!", "das stimmt nicht"),
        *("c'est faux", "otra vez", "riprova", "tente novamente", "不对"),
    ],
)
def test_a_complaint_means_the_ask_before_it_failed(word):
    """The ask before is meant, and its failure is seen."""
    ask = read_ask([user("Who wrote Faust?"), assistant("Schiller."), user(word)])

    assert ask.text == "Who wrote Faust?"
    assert ask.failed_before


def test_asking_again_is_a_failure_and_asking_first_is_none():
    """The same words twice mean the first answer did not do; a first complaint is about the world."""
    again = [user("Who wrote Faust?"), assistant("Schiller."), user("Who wrote Faust?")]

    assert read_ask(again).failed_before
    assert not read_ask([user("My heating is still not working, what can I do?")]).failed_before


def test_thanks_after_a_hard_ask_is_small_talk():
    """A thank-you is not a continuation."""
    ask = read_ask([user(HARD), assistant("Done."), user("Thank you!")])

    assert judge(ask).tier == "simple"


def test_long_asks_keep_head_and_tail():
    """Of 10,000 characters the first and last 2,000 are kept, and the length is known."""
    ask = read_ask([user("H" * 5000 + "T" * 5000)])

    assert ask.text == "H" * 2_000 + "T" * 2_000
    assert ask.text_chars == 5000 + 5000
