"""Finds the last thing a person asked in a chat request, whatever shape the request has."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from classifiers.content import Content, bounded, read_content, spoken
from classifiers.continuations import complains, is_bare

MESSAGES_FIRST = 8  # system prompts stand first
MESSAGES_LAST = 200  # of a longer conversation the newest are read: bounded time, same ask
SAME_CHARS = 400  # two asks that begin alike and are equally long are one ask, repeated

Speaker = Literal["human", "assistant", "system", "tool"]
_SPEAKERS: Mapping[str, Speaker] = {
    "user": "human",
    "human": "human",
    "assistant": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
_RESULT_ITEMS = frozenset({"function_call_output", "custom_tool_call_output"})


class Ask(NamedTuple):
    """Everything the judge may know of a request; built by `read_ask`.

    Attributes:
        text: The last human ask, without tool results and injected blocks; head and tail of at
            most 4,000 characters. Of a bare "yes, go on" it is the ask that was meant.
        text_chars: Its length in characters before that bound.
        system_chars: Length of the system prompts. Never raises the tier by itself.
        history_turns: Human and assistant messages besides the ask. Never raises it either.
        history_chars: Length of everything that is neither system prompt nor ask.
        images: Images beside the ask.
        tools: Tools the model may call.
        tool_turn: The last message is a tool's result: the same ask, still being worked on.
        wants_schema: The answer must follow a JSON schema.
        failed_before: The person called an earlier answer wrong, or asked again.
    """

    text: str
    text_chars: int
    system_chars: int = 0
    history_turns: int = 0
    history_chars: int = 0
    images: int = 0
    tools: int = 0
    tool_turn: bool = False
    wants_schema: bool = False
    failed_before: bool = False


class _Turn(NamedTuple):
    speaker: Speaker
    content: Content


class _Words(NamedTuple):
    """What a person wrote in one turn."""

    at: int  # which turn
    text: str
    chars: int


def read_ask(messages: Sequence[Mapping[str, Any]], *, tools: int = 0, wants_schema: bool = False) -> Ask:
    """Read the last human ask and what surrounds it. Total: junk is skipped, nothing raises.

    Args:
        messages: Chat messages or response items, oldest first; content is text or parts.
        tools: How many tools the request offers.
        wants_schema: Whether the request demands structured output.
    """
    alone = _alone(messages)
    if alone is not None:
        text, chars, system_chars = alone
        return Ask(text, chars, system_chars, tools=tools, wants_schema=wants_schema)
    turns = _turns(messages)
    meant = _meant(turns)
    asked = meant[0]
    system_chars, history_turns, history_chars = _around(turns, asked.at)
    return Ask(
        text=asked.text,
        text_chars=asked.chars,
        system_chars=system_chars,
        history_turns=history_turns,
        history_chars=history_chars,
        images=sum(turns[words.at].content.images for words in meant if words.at >= 0),
        tools=tools,
        tool_turn=bool(turns) and turns[-1].speaker == "tool",
        wants_schema=wants_schema,
        failed_before=_failed_before(turns, meant),
    )


def _alone(messages: Any) -> tuple[str, int, int] | None:
    """Read the commonest shape at once: plain text of a person, alone or after a system prompt; None of any other."""
    if not isinstance(messages, list) or not 0 < len(messages) <= 2:
        return None
    last = messages[-1]
    if not isinstance(last, dict) or last.get("role") != "user" or "type" in last:
        return None
    system_chars = 0
    if len(messages) == 2:
        first = messages[0]
        if not isinstance(first, dict) or first.get("role") != "system" or "type" in first:
            return None
        prompt = first.get("content")
        if not isinstance(prompt, str):
            return None
        system_chars = len(prompt)
    text = last.get("content")
    if not isinstance(text, str):
        return None
    said, chars = spoken(text)
    return (said, chars, system_chars) if said else None


def _around(turns: list[_Turn], asked_at: int) -> tuple[int, int, int]:
    """What stands around the ask: characters of system prompts, turns of a conversation, characters of the rest."""
    system_chars = history_turns = history_chars = 0
    for at, turn in enumerate(turns):
        if at == asked_at:
            continue
        if turn.speaker == "system":
            system_chars += turn.content.chars
        else:
            history_chars += turn.content.chars
            history_turns += turn.speaker != "tool"
    return system_chars, history_turns, history_chars


def _turns(messages: Any) -> list[_Turn]:
    if not isinstance(messages, list | tuple):
        return []
    if len(messages) > MESSAGES_FIRST + MESSAGES_LAST:
        messages = [*messages[:MESSAGES_FIRST], *messages[-MESSAGES_LAST:]]
    found: list[_Turn] = []
    for each in messages:
        # `dict` first: asking whether something is a Mapping costs more than reading it.
        if isinstance(each, dict) or isinstance(each, Mapping):  # noqa: SIM101
            turn = _turn(each)
            if turn is not None:
                found.append(turn)
    return found


def _turn(message: Mapping[str, Any]) -> _Turn | None:
    kind = message.get("type")
    if isinstance(kind, str) and kind in _RESULT_ITEMS:
        return _Turn("tool", read_content(message.get("output")))
    role = message.get("role")
    speaker = _SPEAKERS.get(role) if isinstance(role, str) else None
    if speaker is None:
        return None
    content = read_content(message.get("content"))
    if content.tool_results and speaker == "human" and not spoken(content.text)[0]:
        speaker = "tool"  # where tool results travel under the human's role
    return _Turn(speaker, content)


def _meant(turns: list[_Turn]) -> list[_Words]:
    """The ask first, then the bare "yes" or "that's wrong" that followed it, oldest first."""
    followed: list[_Words] = []
    for at in range(len(turns) - 1, -1, -1):
        words = _words(at, turns[at])
        if words is None:
            continue
        followed.insert(0, words)
        if not is_bare(words.text):
            return followed
    return followed or [_as_written(turns)]


def _words(at: int, turn: _Turn) -> _Words | None:
    """A turn's human words; None where there are none and nothing to see either."""
    if turn.speaker != "human":
        return None
    text, chars = spoken(turn.content.text)
    if not text and not turn.content.images:
        return None
    return _Words(at, text, chars)


def _as_written(turns: list[_Turn]) -> _Words:
    """With nothing but injected blocks, those are the ask: hiding words in a tag hides nothing."""
    for at in range(len(turns) - 1, -1, -1):
        if turns[at].speaker == "human":
            text = turns[at].content.text
            return _Words(at, bounded(text), len(text))
    return _Words(-1, "", 0)


def _failed_before(turns: list[_Turn], meant: list[_Words]) -> bool:
    if len(turns) == 1:
        return False
    for at, turn in enumerate(turns):
        if turn.speaker == "assistant":
            if any(complains(words.text) for words in meant if words.at > at):
                return True
            break
    return _repeated(turns, meant[0])


def _repeated(turns: list[_Turn], asked: _Words) -> bool:
    for at in range(asked.at - 1, -1, -1):
        earlier = _words(at, turns[at])
        if earlier is not None:
            same_start = earlier.text[:SAME_CHARS] == asked.text[:SAME_CHARS]
            return same_start and earlier.chars == asked.chars
    return False
