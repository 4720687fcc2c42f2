"""Where calls may go: addresses, keys, and which of them are usable."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from proxy.settings.addresses import check_url, is_plain
from proxy.settings.findings import Findings
from proxy.settings.problems import Steps
from proxy.settings.shape import DIALECTS, ProviderShape, TimeoutsShape
from proxy.settings.values import Provider, Secret, Timeouts

SIMULATOR: Final = "simulator"
"""The one base URL that is a word: whoever loads the configuration knows where it listens."""

OPENAI: Final = "https://api.openai.com/"
"""Whose API Responses is."""

OUR_KEYS: Final = "sk-penstock-"

LITELLM: Final = "litellm"
"""The dialect, the module it needs, and as a base URL: LiteLLM knows where."""

_ENDS: Final = {"openai": "/v1", "gemini": "/v1beta", "litellm": "/v1"}
"""How the base URL of each family ends."""
_NOWHERE: Final = "http://simulator.invalid"  # RFC 2606: never resolves


def providers(
    shapes: Mapping[str, ProviderShape], simulator_url: str | None, findings: Findings
) -> dict[str, Provider]:
    """Return every provider; those without a usable key are disabled, with one warning each."""
    return {name: _provider(name, shape, simulator_url, findings) for name, shape in shapes.items()}


def _provider(name: str, shape: ProviderShape, simulator_url: str | None, findings: Findings) -> Provider:
    steps: Steps = ("providers", name)
    _check_dialect((*steps, "dialect"), shape.dialect, findings)
    simulated = shape.base_url == SIMULATOR
    is_its_own = shape.base_url == LITELLM == shape.dialect
    if not simulated and not is_its_own:
        check_url((*steps, "base_url"), shape.base_url, findings)
    key, enabled = _key(name, shape, findings)
    return Provider(
        name=name,
        dialect=shape.dialect,
        base_url=_simulator(simulator_url, shape.dialect)
        if simulated
        else ""
        if is_its_own
        else shape.base_url.rstrip("/"),
        api_key=key,
        enabled=enabled,
        timeouts=_timeouts(shape.timeouts),
        simulated=simulated,
        responses=_responses((*steps, "responses"), shape, findings),
        takes_marks=_takes_marks(shape),
        prompt_cache_s=shape.prompt_cache,
        service_tier=None if shape.service_tier == "default" else shape.service_tier,
    )


def _responses(steps: Steps, shape: ProviderShape, findings: Findings) -> bool:
    """Tell whether a provider serves the Responses API: as it says, or as OpenAI itself does."""
    if shape.dialect != "openai":
        if shape.responses:
            findings.wrong(steps, f"is OpenAI's API, which nobody of the dialect {shape.dialect} speaks")
        return False
    if shape.responses is not None:
        return shape.responses
    return _is_openai(shape)


def _takes_marks(shape: ProviderShape) -> bool:
    """Tell whether a provider's prompt cache is told what to keep: as it says, or as those are known to take."""
    if shape.prompt_marks is not None:
        return shape.prompt_marks
    return shape.dialect == "anthropic" or (shape.dialect == "openai" and _is_openai(shape))


def _is_openai(shape: ProviderShape) -> bool:
    return shape.base_url == SIMULATOR or shape.base_url.startswith(OPENAI)


def _simulator(url: str | None, dialect: str) -> str:
    root = (_NOWHERE if url is None else url).rstrip("/")
    return root + _ENDS.get(dialect, "")


def _check_dialect(steps: Steps, dialect: str, findings: Findings) -> None:
    if dialect not in DIALECTS:
        findings.unknown(steps, dialect, "dialect", DIALECTS)


def _key(name: str, shape: ProviderShape, findings: Findings) -> tuple[Secret | None, bool]:
    steps: Steps = ("providers", name, "api_key")
    reason = unusable(shape.dialect, shape.api_key, findings.document.unset.get(steps))
    if reason is not None:
        findings.warn(
            steps if shape.api_key is not None else ("providers", name, "dialect"),
            f"provider {name} is disabled: {reason}",
        )
        return None, False
    if shape.api_key is None:
        return None, True
    text = shape.api_key.strip()
    if not is_plain(text):
        findings.wrong(steps, "must be printable ASCII without spaces, as it goes into a header")
    return Secret(text), True


def unusable(dialect: str, key: str | None, unset: str | None) -> str | None:
    """Say why nothing can be sent to a provider; `None` when it can.

    Args:
        dialect: The wire format that it speaks.
        key: The credential as written; `None` when none is.
        unset: The environment variable that should have held it, if it is unset.
    """
    if dialect == LITELLM and find_spec(LITELLM) is None:
        return "LiteLLM is not installed: pip install 'penstock[litellm]'"
    if unset is not None:
        return f"{unset} is unset"
    if key is None:
        return None
    if not key.strip():
        return "its key is empty"
    if key.strip().startswith(OUR_KEYS):
        return f"a key that starts with {OUR_KEYS} is one of ours and counts as unset"
    return None


def _timeouts(shape: TimeoutsShape) -> Timeouts:
    return Timeouts(
        connect_s=shape.connect,
        first_byte_s=shape.first_byte,
        idle_s=shape.idle,
        total_s=shape.total,
        pool_s=shape.pool,
    )
