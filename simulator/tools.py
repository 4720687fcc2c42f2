"""Whether a call answers with tool calls, and with which."""

import random
import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from simulator.faults import Steering
from simulator.schema import Filler
from simulator.words import topics

_CALLING_FOR: Final = re.compile(
    r"\b(weather|forecast|look(ing)? up|search|current(ly)?|price of|book|call the tool)\b",
    re.IGNORECASE,
)
TOOL_CALLS_MAX: Final = 64
"""Calls in one answer: half of the 128 tools that OpenAI lets a request define."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one function, its arguments as the JSON text the model wrote."""

    name: str
    arguments: str


def offered(tools: Any) -> list[dict[str, Any]]:
    """Return the functions that a request defines; other kinds of tools are never called."""
    if not isinstance(tools, list):
        return []
    functions = (tool.get("function") for tool in tools if isinstance(tool, dict))
    return [one for one in functions if isinstance(one, dict) and isinstance(one.get("name"), str)]


@dataclass(frozen=True, slots=True)
class ToolAsk:
    """What a request says about tools.

    Args:
        functions: Those it defines.
        choice: Its `tool_choice`.
        parallel: Whether several calls at once are allowed.
        prompt: The last user message.
        answered: Whether the conversation ends with a tool's result.
    """

    functions: list[dict[str, Any]]
    choice: Any
    parallel: bool
    prompt: str
    answered: bool


def calls(ask: ToolAsk, steering: Steering, choices: random.Random) -> list[ToolCall]:
    """Return the calls that the answer consists of; none means that it is text."""
    chosen = _chosen(ask, steering)
    count = 1 if steering.tools is None or not ask.parallel else steering.tools
    wanted = [chosen[number % len(chosen)] for number in range(count)] if chosen else []
    return [_call(one, ask.prompt, choices) for one in wanted[:TOOL_CALLS_MAX]]


def _chosen(ask: ToolAsk, steering: Steering) -> list[dict[str, Any]]:
    """Return the functions to call, before they are repeated or cut to the number asked for."""
    if not ask.functions or ask.choice == "none" or steering.tools == 0:
        return []
    if isinstance(ask.choice, dict) and isinstance(ask.choice.get("function"), dict):
        name = ask.choice["function"].get("name")
        return [one for one in ask.functions if one["name"] == name]
    if ask.choice == "required":
        return ask.functions
    if ask.answered:
        return []  # it was looked up already: an agent's loop must end
    if steering.tools:
        return ask.functions
    named = [one for one in ask.functions if _named(one["name"], ask.prompt)]
    return named or (ask.functions if _CALLING_FOR.search(ask.prompt) else [])


def _named(name: str, prompt: str) -> bool:
    return name in prompt or name.replace("_", " ").lower() in prompt.lower()


def _call(function: dict[str, Any], prompt: str, choices: random.Random) -> ToolCall:
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    filler = Filler(schema, topics(prompt), choices)
    return ToolCall(function["name"], orjson.dumps(filler.fill(schema)).decode())
