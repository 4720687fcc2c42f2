"""Senders of signed messages in the YAML: their secrets are checked, shown nowhere, and may be two."""

from base64 import b64encode
from pathlib import Path

import pytest

from proxy.settings import effective
from tests.settings.writing import ENVIRON, GOOD, loaded, refused

NEW, OLD = (f"whsec_{b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
HOOK = "webhooks: {{outcomes: {{desk: {{secrets: [{0}], customer: acme, tolerance: 2m}}}}}}\n"


def test_secrets_come_from_the_environment_and_rotate(tmp_path: Path) -> None:
    """One of two may be empty; neither is in what is shown, nor in the version."""
    text = GOOD + HOOK.format("'${NEW}', '${OLD:-}'")

    one = loaded(tmp_path, text, ENVIRON | {"NEW": NEW})
    two = loaded(tmp_path, text, ENVIRON | {"NEW": NEW, "OLD": OLD})

    assert one.webhooks["desk"].secrets == (bytes([1]) * 32,)
    assert two.webhooks["desk"].secrets == (bytes([1]) * 32, bytes([2]) * 32)
    assert (two.webhooks["desk"].customer, two.webhooks["desk"].tolerance_s) == ("acme", 120)
    shown = repr(two) + repr(effective(two)) + two.version
    assert NEW not in shown
    assert repr(bytes([1]) * 32) not in shown


@pytest.mark.parametrize(
    ("secrets", "word"),
    [
        ("password", "must be whsec_"),
        ("whsec_c2hvcnQ=", "24 to 64 random bytes"),
        ("whsec_!!!", "must be whsec_"),
        ("''", "nobody could sign"),
        ("", "secrets"),
    ],
)
def test_a_bad_secret_is_named_by_its_line_and_not_shown(tmp_path: Path, secrets: str, word: str) -> None:
    """Too short, not base64, none at all."""
    said = refused(tmp_path, GOOD + HOOK.format(secrets))

    assert word in said
    assert not secrets.strip("'") or secrets.removeprefix("whsec_") not in said
