"""Addresses that the operator writes down: nothing else is ever called."""

from urllib.parse import urlsplit

from proxy.settings.findings import Findings
from proxy.settings.problems import Steps


def check_url(steps: Steps, url: str, findings: Findings, *, query: bool = False) -> None:
    """Note what is wrong with an address; one with a `query` is allowed where that is part of it.

    The URL itself is not repeated in a message: people put keys into URLs.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    else:
        if parts.username is not None or parts.fragment or (parts.query and not query):
            findings.wrong(steps, "must end with its path; a key belongs under api_key" if not query else _BARE)
            return
    if not usable or not is_plain(url):
        findings.wrong(steps, "must be an http:// or https:// address, such as https://api.openai.com/v1")


_BARE = "must hold neither a user nor a fragment"


def is_plain(text: str) -> bool:
    """Tell whether a text is printable ASCII without spaces, as what goes into a header or a URL must be."""
    return text.isascii() and text.isprintable() and " " not in text
