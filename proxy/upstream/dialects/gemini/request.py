"""The neutral form → the body of a request to generate content. The model and whether to stream stand in its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from proxy.settings import Deployment
from proxy.upstream.dialects import signatures
from proxy.upstream.dialects.gemini import models
from proxy.wire import lenient
from proxy.wire.errors import Malformed
from proxy.wire.neutral import Block, Call, ImageBytes, ImageLink, Named, Prompt, Result, Text, Tool, Turn
from proxy.wire.surfaces import Knobs

SIGNATURE_SKIPPED: Final = "skip_thought_signature_validator"
"""What Google's page "Thought signatures" has for calls that another model made."""
STOPS_MAX: Final = 5
IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/webp", "image/heic", "image/heif"})

_SUFFIXES: Final[Mapping[str, str]] = {
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".heic": "image/heic",
    ".heif": "image/heif",
}  # fmt: skip
"""A link needs its media type beside it, and nobody here fetches it to find out."""
_MODES: Final[Mapping[str, str]] = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_ROLES: Final[Mapping[str, str]] = {"user": "user", "assistant": "model"}
_LEVELS: Final[Mapping[str, str]] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
}
_BUDGETS: Final[Mapping[str, int]] = {
    "none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 24_576,
}  # fmt: skip
"""Tokens of thinking, as Google's own OpenAI-compatible API translates the words."""


def unworded(knobs: Knobs, model: str) -> str | None:
    """Name the setting that this model takes no value of, or not this one."""
    for name, value in (("temperature", knobs.temperature), ("top_p", knobs.top_p)):
        # 1 is what every model does without being told, or near it.
        if value not in (None, 1) and not models.samples(model):
            return name
    effort = knobs.effort
    if effort is not None and not (models.can_rest(model) if effort == "none" else models.thinks(model)):
        return "effort"
    if knobs.tools and not knobs.parallel:
        return "parallel"
    if knobs.shape == "text":
        return None
    is_alone = not knobs.tools or models.shapes_beside_tools(model)
    return None if knobs.shape == "schema" and is_alone else "shape"


def written(prompt: Prompt, deployment: Deployment) -> bytes:
    """Return the body.

    Raises:
        Malformed: with `param` naming what has no word here.
    """
    model = deployment.model
    if not prompt.turns:
        raise Malformed("This model's provider needs a message that is no instruction.", param="messages")
    names = {call.id: call.name for turn in prompt.turns for call in turn.blocks if isinstance(call, Call)}
    body: dict[str, Any] = {"contents": [_content(turn, names, model) for turn in prompt.turns]}
    if prompt.system:
        body["systemInstruction"] = {"parts": [{"text": text.text} for text in prompt.system]}
    settings = _settings(prompt, model)
    if settings:
        body["generationConfig"] = settings
    return lenient.dumps(body | _tools(prompt))


# ---- the conversation ----------------------------------------------------------------------------------------------


def _content(turn: Turn, names: Mapping[str, str], model: str) -> dict[str, Any]:
    parts = list(_parts(turn, names, model))
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None and "thoughtSignature" not in first and models.signs(model):
        first["thoughtSignature"] = SIGNATURE_SKIPPED
    return {"role": _ROLES[turn.role], "parts": parts}


def _parts(turn: Turn, names: Mapping[str, str], model: str) -> Iterator[dict[str, Any]]:
    for block in turn.blocks:
        match block:
            case Call():
                yield _called(block, model)
            case Result():
                yield {"functionResponse": _result(block, names, model)}
            case _:
                yield _part(block)


def _part(block: Block) -> dict[str, Any]:
    match block:
        case Text(text, _):  # what is read again is cached without being marked
            return {"text": text}
        case ImageBytes(media_type, encoded):
            if media_type not in IMAGE_TYPES:
                raise Malformed(f"This model's provider takes no {media_type[:80]}.", param="messages")
            return {"inlineData": {"mimeType": media_type, "data": encoded}}
        case ImageLink(url):
            return {"fileData": {"mimeType": _media_type(url), "fileUri": url}}
    raise AssertionError("calls and results are written elsewhere")


def _media_type(url: str) -> str:
    try:
        path = urlsplit(url).path.lower()
    except ValueError:
        path = ""
    found = next((kind for suffix, kind in _SUFFIXES.items() if path.endswith(suffix)), None)
    if found is None:
        kinds = ", ".join(_SUFFIXES)
        raise Malformed(f"A link to an image must end in one of {kinds} for this model's provider.", param="messages")
    return found


def _called(call: Call, model: str) -> dict[str, Any]:
    """Return a call with its signature, if it was this model's: others do not take it."""
    told = {"functionCall": {"id": signatures.bare(call.id), "name": call.name, "args": call.arguments}}
    signature = signatures.signature_in(call.id)
    if signature is None or not _is_same(signature.model, model):
        return told
    return told | {"thoughtSignature": signature.text}


def _is_same(version: str, model: str) -> bool:
    """Whether a version is of a model: versions add a date or a stage to its name."""
    return bool(version) and (version.startswith(model) or model.startswith(version))


def _result(result: Result, names: Mapping[str, str], model: str) -> dict[str, Any]:
    """Return a result under the name of what was called."""
    name = names.get(result.call_id)
    if name is None:
        raise Malformed(f"No tool call has the id `{result.call_id[:80]}`.", param="messages")
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    told = {"id": signatures.bare(result.call_id), "name": name, "response": {"output": "\n".join(texts)}}
    media = [_part(part) for part in result.parts if not isinstance(part, Text)]
    if media and not models.signs(model):
        raise Malformed("A tool's result can hold no image for this model.", param="messages")
    return told | ({"parts": media} if media else {})


# ---- tools and settings --------------------------------------------------------------------------------------------


def _tools(prompt: Prompt) -> dict[str, Any]:
    if not prompt.tools:
        if prompt.choice is None or prompt.choice in ("auto", "none"):
            return {}
        raise Malformed("`tool_choice` needs `tools` to choose from.", param="tool_choice")
    config: dict[str, Any] = {}
    if isinstance(prompt.choice, Named):
        config = {"mode": "ANY", "allowedFunctionNames": [prompt.choice.name]}
    elif prompt.choice not in (None, "auto"):
        config = {"mode": _MODES[str(prompt.choice)]}
    elif any(tool.strict for tool in prompt.tools):
        config = {"mode": "VALIDATED"}  # as AUTO, but arguments keep to their schemas
    offered: dict[str, Any] = {"tools": [{"functionDeclarations": [_tool(tool) for tool in prompt.tools]}]}
    return {**offered, "toolConfig": {"functionCallingConfig": config}} if config else offered


def _tool(tool: Tool) -> dict[str, Any]:
    told: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        told["description"] = tool.description
    if tool.schema is not None:
        told["parametersJsonSchema"] = tool.schema
    return told


def _settings(prompt: Prompt, model: str) -> dict[str, Any]:
    if len(prompt.stops) > STOPS_MAX:
        raise Malformed(f"This model's provider takes at most {STOPS_MAX} stops.", param="stop")
    stated: dict[str, Any] = {
        "maxOutputTokens": prompt.output_max,
        "stopSequences": prompt.stops or None,
        "temperature": prompt.temperature if models.samples(model) else None,
        "topP": prompt.top_p if models.samples(model) else None,
        "thinkingConfig": None if prompt.effort is None else _thinking(prompt.effort, model),
    }
    if prompt.schema is not None:
        stated |= {"responseMimeType": "application/json", "responseJsonSchema": prompt.schema}
    return {name: value for name, value in stated.items() if value is not None}


def _thinking(effort: str, model: str) -> dict[str, Any] | None:
    """Return how much to think. A model that cannot be told does not think."""
    if models.thinks_by_level(model):
        if effort == "minimal" and models.thinks_minimally(model):
            return {"thinkingLevel": "minimal"}
        return {"thinkingLevel": _LEVELS[effort]}
    return {"thinkingBudget": _BUDGETS[effort]} if models.thinks(model) else None
