"""Reading a request of Google's Gemini API: put in the chat API's words, by which answers are planned.

Fields that the API does not have are refused, as it refuses them. Source: Google's API reference, "Generating content",
and its pages "Function calling" and "Thought signatures".
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from simulator import chat_request
from simulator.chat_request import ChatRequest
from simulator.errors import ApiError
from simulator.gemini_frames import SIGNATURE_START
from simulator.models import Model

SIGNATURE_SKIPPED: Final = "skip_thought_signature_validator"
"""What stands for a signature in a history that another model has written."""

STOPS_MAX: Final = 5

_FIELDS: Final = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent",
     "serviceTier", "store"}
)  # fmt: skip
_SETTINGS: Final = frozenset(
    {"temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "responseMimeType",
     "responseSchema", "responseJsonSchema", "presencePenalty", "frequencyPenalty", "seed", "responseLogprobs",
     "logprobs", "responseModalities", "thinkingConfig", "mediaResolution"}
)  # fmt: skip
_PARTS: Final = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
_BESIDE: Final = frozenset({"thought", "thoughtSignature"})
_CHOICES: Final[Mapping[str, str]] = {"AUTO": "auto", "VALIDATED": "auto", "NONE": "none", "ANY": "required"}
_QUIET: Final = ("minimal", 0)
"""How much thinking is none."""


def read(fields: Mapping[str, Any], model: Model, *, stream: bool) -> ChatRequest:
    """Return the request that a body's fields make.

    Raises:
        ApiError: Gemini would refuse it, too (400).
    """
    _check_names(fields, _FIELDS, "")
    settings = _object(fields, "generationConfig")
    _check_names(settings, _SETTINGS, " at 'generation_config'")
    turns = _turns(fields)
    if model.signs:
        _check_signatures(turns)
    system = fields.get("systemInstruction")
    told = [{"role": "system", "content": _texts(system)}] if system else []
    told += [message for turn in turns for message in _chat_messages(turn)]
    return chat_request.read(_chat_fields(fields, settings, told, model, stream=stream))


def _check_names(found: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    for name in found:
        if name not in known:
            raise ApiError(400, f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.')


def _object(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = fields.get(name)
    return found if isinstance(found, dict) else {}


def _turns(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    turns = fields.get("contents")
    if not isinstance(turns, list) or not turns:
        raise ApiError(400, "* GenerateContentRequest.contents: contents is not specified", param="contents")
    for number, turn in enumerate(turns):
        if not isinstance(turn, dict) or turn.get("role") not in {"user", "model"}:
            raise ApiError(400, "Please use a valid role: user, model.", param=f"contents[{number}].role")
        if not isinstance(turn.get("parts"), list) or not turn["parts"]:
            message = f"* GenerateContentRequest.contents[{number}].parts: contents.parts must not be empty."
            raise ApiError(400, message, param=f"contents[{number}].parts")
        for part in turn["parts"]:
            _check_part(part, number)
    return turns


def _check_part(part: Any, number: int) -> None:
    kinds = set(part) - _BESIDE if isinstance(part, dict) else set()
    if len(kinds) != 1 or not kinds <= set(_PARTS):
        message = f"* GenerateContentRequest.contents[{number}].parts: required oneof field 'data' must have one value."
        raise ApiError(400, message, param=f"contents[{number}].parts")


def _check_signatures(turns: list[dict[str, Any]]) -> None:
    """See to it that each step since the user last spoke has its first call signed."""
    spoken = (n for n, turn in enumerate(turns) if turn["role"] == "user" and any("text" in p for p in turn["parts"]))
    for turn in turns[max(spoken, default=0) :]:
        calls = [part for part in turn["parts"] if "functionCall" in part]
        if calls and not _is_signed(calls[0]):
            message = (
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                f"work correctly. Additional data, function call `default_api:{calls[0]['functionCall'].get('name')}`."
            )
            raise ApiError(400, message)


def _is_signed(part: Mapping[str, Any]) -> bool:
    signature = part.get("thoughtSignature")
    return isinstance(signature, str) and (signature == SIGNATURE_SKIPPED or signature.startswith(SIGNATURE_START))


def _chat_fields(
    fields: Mapping[str, Any], settings: Mapping[str, Any], told: list[dict[str, Any]], model: Model, *, stream: bool
) -> dict[str, Any]:
    if len(settings.get("stopSequences") or ()) > STOPS_MAX:
        raise ApiError(400, f"The number of stop sequences must be at most {STOPS_MAX}.", param="stop_sequences")
    thinking = _object(settings, "thinkingConfig")
    quiet = (thinking.get("thinkingLevel") or thinking.get("thinkingBudget")) in _QUIET
    return {
        "model": model.name,
        "messages": told,
        "max_completion_tokens": settings.get("maxOutputTokens"),
        "stream": stream,
        "tools": [_tool(one) for offer in fields.get("tools") or () for one in offer.get("functionDeclarations") or ()],
        "tool_choice": _choice(_object(_object(fields, "toolConfig"), "functionCallingConfig")),
        "response_format": _form(settings),
        "reasoning_effort": "none" if quiet else None,
        "seed": settings.get("seed"),
    }


def _tool(declared: Mapping[str, Any]) -> dict[str, Any]:
    schema = declared.get("parametersJsonSchema", declared.get("parameters"))
    function = {"name": declared.get("name"), "description": declared.get("description"), "parameters": schema}
    return {"type": "function", "function": function}


def _choice(config: Mapping[str, Any]) -> Any:
    allowed = config.get("allowedFunctionNames")
    if allowed:
        return {"type": "function", "function": {"name": allowed[0]}}
    return _CHOICES.get(str(config.get("mode")))


def _form(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    schema = settings.get("responseJsonSchema", settings.get("responseSchema"))
    if settings.get("responseMimeType") != "application/json":
        if schema is not None:
            raise ApiError(400, "Function calling config or schema needs response_mime_type: 'application/json'.")
        return None
    return {"type": "json_object"} if schema is None else {"type": "json_schema", "json_schema": {"schema": schema}}


def _chat_messages(turn: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a turn as chat messages: functions' results first, each by itself, then the rest."""
    parts = turn["parts"]
    for part in parts:
        if "functionResponse" in part:
            yield {"role": "tool", "content": orjson.dumps(part["functionResponse"]).decode()}
    said = [_part(part) for part in parts if "text" in part or "inlineData" in part or "fileData" in part]
    calls = [orjson.dumps(part["functionCall"]).decode() for part in parts if "functionCall" in part]
    if said or calls:
        role = "assistant" if turn["role"] == "model" else "user"
        yield {"role": role, "content": said, **({"tool_calls": calls} if calls else {})}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    source = part.get("inlineData", part.get("fileData"))
    if not isinstance(source, dict) or not isinstance(source.get("mimeType"), str):
        raise ApiError(400, "Unable to determine the MIME type of the data.", param="contents.parts")
    return {"type": "image_url", "image_url": {"url": orjson.dumps(source).decode()}}


def _texts(content: Any) -> str:
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise ApiError(400, "Invalid value at 'system_instruction'.", param="system_instruction")
    return "\n".join(str(part.get("text", "")) for part in parts)
