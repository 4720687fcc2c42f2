"""The files that a configuration is made of."""

import os
from collections.abc import Mapping
from pathlib import Path

from proxy.settings import document as yaml_document
from proxy.settings.document import Document
from proxy.settings.problems import SettingsError
from proxy.settings.shape import PLANS_FILE


def files(path: Path, environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return every file that a configuration depends on, the YAML first; they need not exist.

    With a broken YAML it is the only one: nobody can know what else it would name.

    Args:
        path: The YAML.
        environ: Where `${NAME}` is looked up.
    """
    try:
        document, _ = yaml_document.read(path, environ)
    except SettingsError:
        return (path,)
    named = (plans_file(path, document), prices_file(path, document), weights_file(path, document))
    return tuple(dict.fromkeys((path, *(file for file in named if file is not None))))


def plans_file(path: Path, document: Document) -> Path | None:
    """Return the sell book's file, whether it exists or not; `None` when there shall be none."""
    return _beside(path, document.tree.get("plans", PLANS_FILE))


def prices_file(path: Path, document: Document) -> Path | None:
    """Return the cost book's file; `None` for the shipped one."""
    return _beside(path, document.tree.get("prices"))


def weights_file(path: Path, document: Document) -> Path | None:
    """Return the file of the judge's weights; `None` for the shipped ones."""
    section = document.tree.get("classifier")
    return _beside(path, section.get("weights")) if isinstance(section, dict) else None


def _beside(path: Path, name: object) -> Path | None:
    return path.parent / name if isinstance(name, str) and name else None
