"""What a caller says about answers from memory."""

import pytest

from proxy.caching.words import UNSAID, Words, read
from proxy.wire.errors import Malformed


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, UNSAID),
        ({b"x-penstock-cache": b"no-store"}, Words(reads=False, keeps=False)),
        ({b"x-penstock-cache": b" No-Cache "}, Words(reads=False)),
        ({b"x-penstock-cache": b"max-age=60"}, Words(age_s_max=60)),
        ({b"cache-control": b"no-cache"}, Words(reads=False)),
        ({b"cache-control": b"max-age=0, must-understand"}, Words(age_s_max=0)),
        ({b"cache-control": b"no-cache, max-age=5"}, Words(reads=False, age_s_max=5)),
        ({b"cache-control": b"max-age=soon, private, \xff"}, UNSAID),
        ({b"cache-control": b"no-store", b"x-penstock-cache": b"max-age=9"}, Words(age_s_max=9)),
    ],
    ids=str,
)
def test_the_words_are_those_of_http(headers: dict[bytes, bytes], words: Words) -> None:
    """Ours go before; of the standard header, what is not known is not ours."""
    assert read(headers) == words


@pytest.mark.parametrize("value", [b"", b"never", b"max-age=", b"max-age=-1", b"max-age=1e9", b"max-age=9999999999"])
def test_our_own_header_is_exact(value: bytes) -> None:
    """A word that we do not know would be obeyed by nobody."""
    with pytest.raises(Malformed) as refused:
        read({b"x-penstock-cache": value})

    assert refused.value.param == "x-penstock-cache"
