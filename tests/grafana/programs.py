"""Programs that no package index has a wheel for."""

import os
import shutil

import pytest


def program(name: str, package: str) -> str:
    """Return where a program is; skip without it, or fail where skipping is not allowed."""
    found = shutil.which(name)
    if found is not None:
        return found
    sentence = f"{name} is not installed; Debian has it in the package {package}"
    if os.environ.get("PENSTOCK_NO_SKIP") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)
