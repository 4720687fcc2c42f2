"""The neutral form → the body of a Messages request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from proxy.settings import Deployment
from proxy.upstream.dialects.anthropic.models import always_thinks, samples, takes_effort
from proxy.upstream.dialects.signatures import bare
from proxy.wire import lenient
from proxy.wire.errors import Malformed
from proxy.wire.neutral import Block, Call, ImageBytes, ImageLink, Named, Prompt, Result, Text, Tool
from proxy.wire.surfaces import Knobs

OUTPUT_TOKENS_DEFAULT: Final = 4096
"""`max_tokens` is required here. Used when neither the caller nor the cost book states a limit: every model has it."""
TEMPERATURE_MAX: Final = 1
"""Of the models that take one; OpenAI's scale ends at 2."""
IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

_CHOICES: Final[Mapping[str, str]] = {"auto": "auto", "none": "none", "required": "any"}
_EFFORTS: Final[Mapping[str, str]] = {name: name for name in ("low", "medium", "high", "xhigh")} | {"minimal": "low"}


def unworded(knobs: Knobs, model: str) -> str | None:
    """Name the setting that this model takes no value of, or not this one."""
    for name, value in (("temperature", knobs.temperature), ("top_p", knobs.top_p)):
        # 1 is what every model does without being told.
        if value is not None and value != 1 and not (samples(model) and 0 <= value <= TEMPERATURE_MAX):
            return name
    if knobs.effort is not None and (always_thinks(model) if knobs.effort == "none" else not takes_effort(model)):
        return "effort"
    if knobs.choice and always_thinks(model):
        return "choice"
    return "shape" if knobs.shape == "object" else None


def written(prompt: Prompt, deployment: Deployment) -> bytes:
    """Return the body.

    Raises:
        Malformed: with `param` naming what has no word here.
    """
    if not prompt.turns:
        raise Malformed("This model's provider needs a message that is no instruction.", param="messages")
    output_max = deployment.output_max if prompt.output_max is None else prompt.output_max
    body: dict[str, Any] = {
        "model": deployment.model,
        "max_tokens": OUTPUT_TOKENS_DEFAULT if output_max is None else output_max,
        "messages": [{"role": turn.role, "content": [_block(each) for each in turn.blocks]} for turn in prompt.turns],
    }
    if prompt.system:
        body["system"] = [_block(text) for text in prompt.system]
    if prompt.stops:
        body["stop_sequences"] = prompt.stops
    if prompt.user is not None:
        body["metadata"] = {"user_id": prompt.user}
    if prompt.stream:
        body["stream"] = True
    return lenient.dumps(body | _sampling(prompt) | _tools(prompt) | _output(prompt, deployment.model))


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Text(text, lifetime):
            told: dict[str, Any] = {"type": "text", "text": text}
            return told if lifetime is None else {**told, "cache_control": {"type": "ephemeral", "ttl": lifetime}}
        case ImageBytes(media_type, data):
            if media_type not in IMAGE_TYPES:
                raise Malformed(f"This model's provider takes no {media_type[:80]}.", param="messages")
            return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
        case ImageLink(url):
            return {"type": "image", "source": {"type": "url", "url": url}}
        case Call(identity, name, arguments):
            return {"type": "tool_use", "id": bare(identity), "name": name, "input": arguments}
        case Result(call_id, parts):
            given = [_block(part) for part in parts]
            return {"type": "tool_result", "tool_use_id": bare(call_id)} | ({"content": given} if given else {})


def _sampling(prompt: Prompt) -> dict[str, Any]:
    stated = {"temperature": prompt.temperature, "top_p": prompt.top_p}
    return {name: value for name, value in stated.items() if value is not None and value != 1}


def _tools(prompt: Prompt) -> dict[str, Any]:
    if not prompt.tools:
        if prompt.choice is None or prompt.choice in ("auto", "none"):
            return {}
        raise Malformed("`tool_choice` needs `tools` to choose from.", param="tool_choice")
    choice: dict[str, Any] = {"type": "auto"}
    if isinstance(prompt.choice, Named):
        choice = {"type": "tool", "name": prompt.choice.name}
    elif prompt.choice is not None:
        choice = {"type": _CHOICES[prompt.choice]}
    if prompt.parallel is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    offered: dict[str, Any] = {"tools": [_tool(tool) for tool in prompt.tools]}
    return offered if choice == {"type": "auto"} else {**offered, "tool_choice": choice}


def _tool(tool: Tool) -> dict[str, Any]:
    schema = {"type": "object", "properties": {}} if tool.schema is None else tool.schema
    told: dict[str, Any] = {"name": tool.name, "input_schema": schema}
    if tool.description is not None:
        told["description"] = tool.description
    if tool.strict:
        told["strict"] = True
    return told


def _output(prompt: Prompt, model: str) -> dict[str, Any]:
    """Return how the answer is to be made: its shape, and how much to think before it."""
    config: dict[str, Any] = {}
    if prompt.schema is not None:
        config["format"] = {"type": "json_schema", "schema": prompt.schema}
    found: dict[str, Any] = {}
    if prompt.effort == "none":
        # A model that cannot be told to think does not think unasked.
        found = {"thinking": {"type": "disabled"}} if takes_effort(model) else {}
    elif prompt.effort is not None:
        config["effort"] = _EFFORTS[prompt.effort]
        if not _must_call(prompt):  # thinking and a tool that must be called are refused together
            found["thinking"] = {"type": "adaptive"}
    return found | ({"output_config": config} if config else {})


def _must_call(prompt: Prompt) -> bool:
    return isinstance(prompt.choice, Named) or prompt.choice == "required"
