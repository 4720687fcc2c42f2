"""What the checks of one document find: problems that stop, and warnings that do not."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy.settings.document import Document
from proxy.settings.problems import Problem, SettingsError, Steps, not_among


@dataclass(slots=True)
class Findings:
    """A list that every check adds to, so that one run tells all that is wrong.

    Args:
        document: The document.
        problems: What stops.
        warnings: What does not.
        mended: Values that were wrong and are left out for the sake of further checks; what those find around
            or within such a value is its consequence, and not told.
    """

    document: Document
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    mended: tuple[Steps, ...] = ()

    def wrong(self, steps: Steps, message: str) -> None:
        """Note a problem with the value at `steps`."""
        if any(steps[: len(way)] == way or way[: len(steps)] == steps for way in self.mended):
            return
        self.problems.append(self.document.problem(steps, message))

    def unknown(self, steps: Steps, word: str, kind: str, allowed: Sequence[str]) -> None:
        """Note that a word at `steps` names nothing."""
        quoted = self.document.quoted(steps, word)
        self.wrong(steps, not_among(quoted, kind, allowed))

    def warn(self, steps: Steps, sentence: str) -> None:
        """Note a sentence about the value at `steps`."""
        self.warnings.append(f"{sentence} ({self.document.where(steps)})")

    def stop(self) -> None:
        """Stop if there are problems.

        Raises:
            SettingsError: There are; it carries them all, in the order of their lines.
        """
        if self.problems:
            by_line = sorted(self.problems, key=lambda found: (found.file, found.line or 0))
            raise SettingsError(dict.fromkeys(by_line))
