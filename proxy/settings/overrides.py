"""What the environment puts in place of what the file says, before anything is checked.

It goes into the tree, so that it is checked as the file is and every value still knows where it came from.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from margin.sellbook import TIERS
from proxy.settings.document import Document
from proxy.settings.models import AUTO
from proxy.settings.problems import Steps
from proxy.settings.providers import unusable

SERVER: Final[Mapping[str, Steps]] = MappingProxyType(
    {
        "PENSTOCK_DATA_DIR": ("server", "data_dir"),
        "PENSTOCK_HOST": ("server", "host"),  # not HOST, which shells set to the name of the machine
        "PORT": ("server", "port"),
        "METRICS_PORT": ("server", "metrics_port"),
    }
)
"""The variables that go before the file, and what they override; set to nothing they count not."""

LOCAL_URL: Final = "PENSTOCK_LOCAL_URL"
"""A local OpenAI-compatible server, for who has no other provider: its first model fills all tiers."""

LOCAL: Final = "local"
"""The name of that server as a provider, and of its model until someone has asked for its name."""

_AT_LOCAL: Final[Steps] = ("providers", LOCAL)
_NAME_CHARS_MAX: Final = 128  # as `proxy.settings.fields.NAME`


def overridden(document: Document, environ: Mapping[str, str]) -> Document:
    """Put the environment's overrides of `server` into the tree."""
    if not isinstance(document.tree.get("server"), dict | None):
        return document
    for variable, steps in SERVER.items():
        if environ.get(variable):
            document = _put(document, steps, environ[variable], variable)
    return document


def with_local(document: Document, url: str | None, model: str | None) -> Document:
    """Put a local server into the tree and its model into all tiers, unless the file has a provider that works.

    Args:
        document: The file.
        url: The server's base URL, if there is one.
        model: Its first model, if somebody asked.
    """
    if not url or not _is_without_provider(document):
        return document
    name = _name(model)
    document = _put(document, _AT_LOCAL, {"dialect": "openai", "base_url": url}, LOCAL_URL)
    document = _put(document, ("models", name), {"provider": LOCAL, "model": model, "free": True}, LOCAL_URL)
    for tier in TIERS:
        document = _put(document, ("tiers", tier), [name], LOCAL_URL)
    return _without_alias(document, name)


def is_local(document: Document) -> bool:
    """Tell whether a local server fills the tiers."""
    return document.variables.get((*_AT_LOCAL, "base_url")) == LOCAL_URL


def _is_without_provider(document: Document) -> bool:
    sections = [document.tree.get(name) for name in ("providers", "models", "tiers", "aliases")]
    if not all(isinstance(section, dict | None) for section in sections):
        return False
    return all(_is_unusable(document, name, given) for name, given in (sections[0] or {}).items())


def _is_unusable(document: Document, name: str, provider: Any) -> bool:
    if not isinstance(provider, dict):
        return False
    dialect, key = provider.get("dialect"), provider.get("api_key")
    if not isinstance(dialect, str) or not isinstance(key, str | None):
        return False
    return unusable(dialect, key, document.unset.get(("providers", name, "api_key"))) is not None


def _name(model: str | None) -> str:
    """Return a model's name as it may stand in headers; some servers list a file's path."""
    plain = re.sub(r"[^A-Za-z0-9._:/@+-]+", "-", model or "").lstrip("._:/@+-")[:_NAME_CHARS_MAX]
    return LOCAL if not plain or plain in AUTO else plain


def _without_alias(document: Document, name: str) -> Document:
    """Let the model have its name, where an alias of the file has it."""
    aliases = document.tree.get("aliases")
    if not aliases or name not in aliases:
        return document
    kept = {alias: target for alias, target in aliases.items() if alias != name}
    return dataclasses.replace(document, tree={**document.tree, "aliases": kept})


def _put(document: Document, steps: Steps, value: Any, variable: str) -> Document:
    """Put a value into the tree, and forget what was written there."""

    def kept(known: Mapping[Steps, Any]) -> dict[Steps, Any]:
        return {way: told for way, told in known.items() if way[: len(steps)] != steps}

    supplied = dict.fromkeys(_leaves(value, steps), variable)
    return dataclasses.replace(
        document,
        tree=_with(document.tree, steps, value),
        lines=kept(document.lines),
        variables={**kept(document.variables), **supplied},
        unset=kept(document.unset),
    )


def _with(tree: Mapping[str, Any] | None, steps: Steps, value: Any) -> dict[str, Any]:
    written = {} if tree is None else tree
    key, *more = steps
    assert isinstance(key, str), "what is overridden lies in mappings"
    return {**written, key: _with(written.get(key), tuple(more), value) if more else value}


def _leaves(value: Any, steps: Steps) -> Iterator[Steps]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*steps, key))
    else:
        yield steps
