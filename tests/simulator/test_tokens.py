"""Counting tokens, and texts made of an exact number of them."""

from hypothesis import given
from hypothesis import strategies as st

from simulator import words
from simulator.tokens import count, segments


@given(st.text())
def test_a_prompt_never_counts_more_tokens_than_bytes(text: str) -> None:
    """The bytes of the text bound its tokens, message overhead included."""
    (segment,) = segments([{"role": "user", "content": text}], [])

    assert segment.tokens <= len(text.encode())


def test_counts_are_plausible() -> None:
    """About a token per four English letters, more per letter in other scripts."""
    assert count("word" * 10) == 10
    assert count("слово" * 2) == 5
    assert count("日本語文") == 3


@given(st.text(max_size=60), st.integers(0, 300))
def test_answers_have_the_length_asked_for(prompt: str, length: int) -> None:
    """An answer has exactly as many tokens as asked for, none of them empty."""
    tokens = words.text_tokens(prompt, words.source(0), length)

    assert len(tokens) == length
    assert all(tokens)


@given(st.text(max_size=100), st.integers(1, 200))
def test_cutting_a_text_loses_nothing(text: str, pieces: int) -> None:
    """The pieces are as many as asked for and join to the text, padded if too short."""
    cut = words.split_into(text, pieces)

    assert len(cut) == pieces
    assert "".join(cut) == text.ljust(pieces)
    assert "".join(words.split(text)) == text
