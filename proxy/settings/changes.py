"""What lies between two configurations: for the audit, and for who may swap one for the other."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from proxy.settings.entries import Entry
from proxy.settings.settings import Settings

_FIXED: Final = ("host", "port", "metrics_port", "workers", "data_dir", "sync")
"""What processes take from `server` when they start, and never again."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One value that differs.

    Args:
        path: Its dotted path, as in `Entry`.
        before: The old value as in `Entry`, secrets as "•••"; `None` when there was none.
        after: The new one; a secret that was replaced is "•••" before and after.
    """

    path: str
    before: Any
    after: Any


def effective(settings: Settings) -> tuple[Entry, ...]:
    """Return every value in effect with its origin, in the file's order; secrets are redacted."""
    return settings.entries


def difference(old: Settings, new: Settings) -> tuple[Changed, ...]:
    """Return every value that differs, by path; where it stands and where it came from do not count."""
    before = {entry.path: entry.value for entry in old.entries}
    return difference_of(before, new.entries, besides=_secrets(old, new))


def difference_of(
    before: Mapping[str, Any], entries: tuple[Entry, ...], *, besides: Collection[str] = ()
) -> tuple[Changed, ...]:
    """Return what differs from values by path, and the paths `besides`. A secret that was replaced looks the same."""
    after = {entry.path: entry.value for entry in entries}
    moved = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    return tuple(Changed(path, before.get(path), after.get(path)) for path in sorted(moved.union(besides)))


def _secrets(old: Settings, new: Settings) -> set[str]:
    """Return the paths of secrets that differ, which all look alike."""
    both = old.providers.keys() & new.providers.keys()
    found = {f"providers.{name}.api_key" for name in both if old.providers[name].api_key != new.providers[name].api_key}
    if old.caching.store.url != new.caching.store.url:
        found.add("caching.responses.store.url")
    before, after = old.alerts.webhook, new.alerts.webhook
    if before is not None and after is not None:
        found |= {
            f"alerts.webhook.{name}" for name in ("url", "secret") if getattr(before, name) != getattr(after, name)
        }
    return found


def fixed_changes(old: Settings, new: Settings) -> tuple[str, ...]:
    """Say what a running server cannot take on, one sentence each; nothing when `new` can be swapped in."""
    return tuple(_fixed(old, new))


def _fixed(old: Settings, new: Settings) -> Iterator[str]:
    for name in _FIXED:
        yield from _replaced(f"server.{name}", getattr(old.server, name), getattr(new.server, name))
    for name in ("ledger", "shared"):
        yield from _replaced(f"store.{name}", getattr(old.store, name), getattr(new.store, name))
    yield from _simulator(old, new)
    if old.local_url is None and new.local_url is not None:
        yield f"the local server at {new.local_url} is asked for its model at the start only, which takes a restart"


def _simulator(old: Settings, new: Settings) -> Iterator[str]:
    for name, provider in new.providers.items():
        before = old.providers.get(name)
        was_simulated = before.simulated if before is not None else provider.simulated and old.wants_simulator
        if was_simulated != provider.simulated:
            direction = "from" if was_simulated else "to"
            yield f"provider {name} moved {direction} the simulator, which takes a restart"


def _replaced(path: str, before: object, after: object) -> Iterator[str]:
    if before != after:
        yield f"{path} changed from {before} to {after}, which takes a restart"
