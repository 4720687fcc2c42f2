"""Strict JSON: what two parsers could take for two things is refused."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.errors import Malformed
from proxy.wire.strict import DEPTH_MAX, NODES_MAX, read_object

INT64_MIN, UINT64_MAX = -(2**63), 2**64 - 1
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(INT64_MIN, UINT64_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def nested(levels: int, opening: bytes = b'{"a":', closing: bytes = b"}") -> bytes:
    """An object with arrays or objects inside, `levels` deep in all."""
    inside = levels - 1
    return b'{"a":' + opening * inside + b"1" + closing * inside + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":NaN}',
        b'{"a":-NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":-1e400}',
        b'{"a":1' + b"0" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00\\ud800"}',
        b'{"\\ud800":1}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xff"}',
        b'{"a":"\xc0\xaf"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":1,}',
        b'{"a":1}{"b":2}',
        b'{"a":01}',
        b"{'a':1}",
        b'{"a":"\x00"}',
        b'{"a":1',
        b"",
        b" ",
    ],
    ids=lambda body: repr(body)[2:30],
)
def test_what_is_not_strict_json_is_refused(body: bytes) -> None:
    """Each of these some parser accepts, or reads as something else."""
    with pytest.raises(Malformed) as raised:
        read_object(body)

    assert raised.value.status == 400
    assert "not valid JSON" in raised.value.message


@pytest.mark.parametrize("body", [b"[]", b"1", b'"a"', b"null", b"true", b'[{"a":1}]'])
def test_only_an_object_is_a_request(body: bytes) -> None:
    """Valid JSON of another kind is told apart from broken JSON."""
    with pytest.raises(Malformed, match="must be a JSON object"):
        read_object(body)


def test_the_error_says_where_but_not_what() -> None:
    """Line and column help; the text around them may be a secret."""
    with pytest.raises(Malformed) as raised:
        read_object(b'{"password": "hunter2",\n "a": nope}')

    assert "line 2" in raised.value.message
    assert "hunter2" not in raised.value.message


@pytest.mark.parametrize("number", [INT64_MIN, -(10**18), 10**18, 2**63 - 1, 2**63, UINT64_MAX])
def test_integers_within_64_bits_keep_their_value(number: int) -> None:
    """19 and 20 digits that fit are exact, signed or unsigned."""
    assert read_object(b'{"a":[%d]}' % number) == {"a": [number]}


@pytest.mark.parametrize(
    "digits",
    [str(INT64_MIN - 1), str(UINT64_MAX + 1), "1" + "0" * 20, "-1" + "0" * 19, "9" * 21, "1" + "0" * 300],
    ids=lambda digits: f"{digits[:2]}-{len(digits)}-characters",
)
def test_integers_beyond_64_bits_are_refused(digits: str) -> None:
    """A float of them would be another value than the caller sent."""
    with pytest.raises(Malformed, match="64 bits") as raised:
        read_object(f'{{"deep":[{{"a":{digits}}}]}}'.encode())

    assert len(raised.value.message) < 100


@given(st.integers(10**18, 10**22 - 1), st.booleans())
def test_an_integer_is_exact_or_refused(number: int, negative: bool) -> None:
    """Around the 64-bit edge there is no third way."""
    signed = -number if negative else number

    try:
        found = read_object(b'{"a":%d}' % signed)
    except Malformed:
        assert not INT64_MIN <= signed <= UINT64_MAX
    else:
        assert found == {"a": signed}
        assert type(found["a"]) is int


@pytest.mark.parametrize("digits", ["1" * 19, "9" * 20, "9" * 21, "-" + "9" * 21, "9" * 6000])
def test_digits_inside_strings_are_text(digits: str) -> None:
    """Phone numbers, hashes and ids of any length are no numbers, as values and as keys."""
    body = orjson.dumps({"a": digits, digits: [digits], "escaped": f'"{digits}"'})

    assert read_object(body) == {"a": digits, digits: [digits], "escaped": f'"{digits}"'}


@pytest.mark.parametrize("number", [b"0.1234567890123456789012", b"12345678901234567890123.5", b"1e19", b"1E+30"])
def test_floats_are_floats(number: bytes) -> None:
    """A fraction or an exponent says that a double is meant; long ones are rounded like everywhere."""
    assert read_object(b'{"a":%b}' % number) == {"a": float(number)}


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
def test_the_depth_that_is_still_read(opening: bytes, closing: bytes) -> None:
    """64 levels pass, 65 do not."""
    value = read_object(nested(DEPTH_MAX, opening, closing))

    levels = 0
    while isinstance(value, dict | list):
        value = value["a"] if isinstance(value, dict) else value[0]
        levels += 1
    assert levels == DEPTH_MAX
    with pytest.raises(Malformed, match=f"deeper than {DEPTH_MAX}"):
        read_object(nested(DEPTH_MAX + 1, opening, closing))


@pytest.mark.parametrize("levels", [1000, 1023, 1024, 1025, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
def test_absurd_depths_neither_crash_nor_pass(levels: int, opening: bytes, closing: bytes) -> None:
    """No recursion of ours or of a parser's is exhausted, whichever check comes first."""
    with pytest.raises(Malformed):
        read_object(nested(levels, opening, closing))
    with pytest.raises(Malformed):
        read_object(opening * levels)


def test_brackets_inside_strings_are_not_depth() -> None:
    """The cheap count only decides whether to look; flat code in a prompt passes."""
    text = "[{" * 1000

    assert read_object(orjson.dumps({"a": text})) == {"a": text}


def test_width_is_not_depth() -> None:
    """Thousands of siblings pass; beyond `NODES_MAX` containers they do not."""
    wide = b'{"a":[' + b",".join([b"{}"] * 5000) + b"]}"
    wider = b'{"a":[' + b",".join([b"[]"] * NODES_MAX) + b"]}"

    assert len(read_object(wide)["a"]) == 5000
    with pytest.raises(Malformed, match=f"more than {NODES_MAX}"):
        read_object(wider)


def test_long_digits_in_a_deep_body_are_still_checked() -> None:
    """The two slow checks are independent of each other."""
    body = b'{"a":' * DEPTH_MAX + b"9" * 21 + b"}" * DEPTH_MAX

    with pytest.raises(Malformed, match="64 bits"):
        read_object(body)


def test_of_duplicate_keys_the_last_counts() -> None:
    """At the top and inside, also when a spelling is escaped."""
    body = rb'{"a":1,"a":2,"b":{"c":[],"\u0063":"last"}}'

    assert read_object(body) == {"a": 2, "b": {"c": "last"}}


def test_a_huge_body_is_read() -> None:
    """16 MiB of text with a bracket and a digit run in it, the largest that the server lets through."""
    text = "[" * 100 + "9" * 30 + "x" * (16 * 1024 * 1024)

    assert read_object(orjson.dumps({"a": text}))["a"] == text


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=5))
def test_whatever_is_valid_is_read_by_value(value: dict[str, object]) -> None:
    """What a correct serialiser wrote comes back as it was, whatever its text."""
    assert read_object(orjson.dumps(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Junk raises `Malformed` and nothing else."""
    try:
        found = read_object(body)
    except Malformed:
        return
    assert isinstance(found, dict)
