"""Signed messages: who knows the secret, now, and nobody else; as Standard Webhooks has them."""

import hmac
from base64 import b64decode, b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.identity import signatures
from proxy.wire.errors import Unauthenticated

SECRET, OLD = b"s" * 32, b"o" * 24
NOW = 1_700_000_000


def signed(body=b"{}", *, id_=b"msg_1", sent=NOW, secrets=(SECRET,)):
    """Return the headers of a message that somebody with these secrets sends."""
    made = [b"v1," + b64encode(hmac.new(each, b"%b.%d.%b" % (id_, sent, body), sha256).digest()) for each in secrets]
    return {b"webhook-id": id_, b"webhook-timestamp": b"%d" % sent, b"webhook-signature": b" ".join(made)}


def check(headers, body=b"{}", *, secrets=(SECRET,), now=NOW):
    """Check a message."""
    return signatures.signed_id(headers, body, secrets, now_s=now, tolerance_s=300)


def test_the_example_of_the_specification():
    """The test vector that Standard Webhooks publishes, to the letter."""
    secret = b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = {
        b"webhook-id": b"msg_p5jXN8AQM9LWM0D4loKWxJek", b"webhook-timestamp": b"1614265330",
        b"webhook-signature": b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }  # fmt: skip

    found = check(headers, b'{"test": 2432232314}', secrets=(secret,), now=1_614_265_330)

    assert found == b"msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_either_side_may_change_its_secret_first():
    """The sender signs with both, or we take both."""
    assert check(signed(secrets=(OLD, SECRET))) == b"msg_1"
    assert check(signed(secrets=(OLD,)), secrets=(SECRET, OLD)) == b"msg_1"
    with pytest.raises(Unauthenticated):
        check(signed(secrets=(OLD,)))


@pytest.mark.parametrize("sent", [NOW - 301, NOW + 301])
def test_an_old_message_is_refused(sent):
    """Five minutes either way, however well it is signed."""
    assert check(signed(sent=sent), now=sent - 300) == b"msg_1"
    with pytest.raises(Unauthenticated, match="too old"):
        check(signed(sent=sent))


@pytest.mark.parametrize(
    "wrong",
    [
        {b"webhook-id": b"msg_2"},
        {b"webhook-timestamp": b"%d" % (NOW + 1)},
        {b"webhook-timestamp": b"now"},
        {b"webhook-timestamp": b"-1"},
        {b"webhook-id": b""},
        {b"webhook-id": b"a b"},
        {b"webhook-signature": b""},
        {b"webhook-signature": b"v1,"},
        {b"webhook-signature": b"v1,!!!"},
        {b"webhook-signature": b"v1a," + b64encode(b"x" * 32)},
    ],
)
def test_what_was_changed_is_not_signed(wrong):
    """The id, the moment, or the signature itself."""
    with pytest.raises(Unauthenticated):
        check(signed() | wrong)


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_nobody_signs_by_chance(body, signature):
    """Whatever bytes come; and with no secret of ours nothing is signed."""
    headers = signed(body) | {b"webhook-signature": signature}
    with pytest.raises(Unauthenticated):
        check(headers, body)
    with pytest.raises(Unauthenticated):
        check(signed(body), body, secrets=())
