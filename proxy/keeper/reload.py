"""Notices that the configuration changed: any of its files was written, or SIGHUP came."""

from __future__ import annotations

from pathlib import Path

from proxy import settings as configuration

Stamp = tuple[int, int, int] | None


class Watcher:
    """Looks at the configuration's files. A change counts once it held for one look: editors write in parts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listed: tuple[Stamp, tuple[Path, ...]] | None = None
        """Which files the YAML names, and the stamp it had: reading it each second would be a hundredth of a core."""
        self._known = self._last = self._look()
        self._asked = False

    def ask(self) -> None:
        """Reload at the next look, changed or not."""
        self._asked = True

    def is_due(self) -> bool:
        """Tell whether to reload now; called about once a second."""
        seen = self._look()
        is_stable = seen == self._last
        self._last = seen
        if self._asked or (is_stable and seen != self._known):
            self._asked, self._known = False, seen
            return True
        return False

    def _look(self) -> dict[Path, Stamp]:
        stamp = _stamp(self._path)
        if self._listed is None or self._listed[0] != stamp:
            self._listed = (stamp, configuration.files(self._path))
        return {path: _stamp(path) for path in self._listed[1]}


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
