import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def decode(raw: bytes) -> strict_json.JsonValue:
    return strict_json.decode_json(raw, field="test", max_bytes=1_000_000)


@given(VALUES)
def test_any_value_reads_back_and_is_ascii(value):
    raw = strict_json.encode_json(value)
    assert raw.isascii()
    assert decode(raw) == value


@given(
    st.binary(max_size=200)
    | st.text(alphabet='[]{}",:\\u0123456789abcdefDntrue-.eE', max_size=200).map(str.encode)
)
def test_any_bytes_are_a_value_or_malformed(raw):
    try:
        decode(raw)
    except MalformedError:
        return


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[" * 900_000,
        b'{"a":' * 100_000,
        b"[" * 50_000 + b"]" * 50_000,
        b"1" * 5000,
        b"-" + b"1" * 5000,
        b"12345678901234567890",
        b"1e5",
        b"1.0",
        b"NaN",
        b"Infinity",
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":1}',
        b'"\xc3\xa9"',
        b"\xef\xbb\xbf{}",
        b'"\n"',
        b"{}{}",
        b"{} x",
        b"\xff",
        b"'a'",
        b"[1,]",
    ],
    ids=lambda raw: repr(raw[:12]),
)
def test_refuses_what_other_parsers_let_through(raw):
    with pytest.raises(MalformedError):
        decode(raw)


def test_refuses_more_bytes_than_the_format_allows():
    with pytest.raises(MalformedError):
        strict_json.decode_json(b'"abc"', field="test", max_bytes=4)


@pytest.mark.parametrize("item", [b"[]", b"{}", b"1"])
def test_refuses_more_values_than_any_message_has(item):
    most = b"[" + b",".join([item] * 100_000) + b"]"
    decode(most)
    with pytest.raises(MalformedError, match="brackets"):
        decode(b"[" + b",".join([item] * 270_000) + b"]")


def test_marks_inside_strings_are_not_counted():
    assert decode(strict_json.encode_json(['[{,"\\' * 90_000])) == ['[{,"\\' * 90_000]


@pytest.mark.parametrize("raw", [b'"' + b'\\"' * 499_000, b'"\\' * 300_000, b'"' * 999_999, b'"a\\'])
def test_strings_without_an_end_are_refused_in_one_pass(raw):
    with pytest.raises(MalformedError):
        decode(raw)


@pytest.mark.parametrize("value", [{"b": 1, "a": 1}, {"a": 1}, {"a": 1, "b": 1, "c": 1}, [], None, "ab"])
def test_an_object_has_exactly_its_members_in_their_order(value):
    with pytest.raises(MalformedError):
        strict_json.members(value, ("a", "b"), field="test")
    assert strict_json.members({"a": 1, "b": 2}, ("a", "b"), field="test") == (1, 2)


@pytest.mark.parametrize("value", [True, False, -1, 11, "1", None, [1]])
def test_true_and_texts_are_not_numbers(value):
    with pytest.raises(MalformedError):
        strict_json.integer(value, field="test", maximum=10)


@pytest.mark.parametrize("value", ["\ud800", "abcdef", 1, None, True])
def test_a_text_is_short_unicode(value):
    with pytest.raises(MalformedError):
        strict_json.text(value, field="test", max_chars=5)


@pytest.mark.parametrize("value", ["QQ", "QQ=", "Q Q=", "QQ==\n", "é", "QUFBQUFBQUE=", 1])
def test_base64_is_padded_and_bounded(value):
    with pytest.raises(MalformedError):
        strict_json.base64_bytes(value, field="test", max_bytes=4)


@pytest.mark.parametrize("value", ["0", "0G", "AB", "abcd", "", 1, "\N{ARABIC-INDIC DIGIT ZERO}" * 2])
def test_hexadecimal_is_lower_case_and_of_fixed_length(value):
    with pytest.raises(MalformedError):
        strict_json.hex_bytes(value, field="test", size=1)


def test_an_array_is_bounded():
    assert strict_json.array([1, 2], field="test", max_items=2) == [1, 2]
    for value in ([1, 2, 3], {}, "ab", None):
        with pytest.raises(MalformedError):
            strict_json.array(value, field="test", max_items=2)


@given(VALUES, st.sampled_from([{"indent": 1}, {"separators": (", ", ":")}, {"ensure_ascii": False}]))
def test_another_encoding_of_a_value_is_not_canonical(value, style):
    raw = strict_json.encode_json(value)
    other = json.dumps(value, **{"separators": (",", ":"), **style}).encode()
    if other == raw:
        strict_json.check_canonical(other, raw, field="test")
    else:
        with pytest.raises(MalformedError):
            strict_json.check_canonical(other, raw, field="test")


def test_messages_do_not_repeat_foreign_values():
    for raw in (b'{"canary":1,"canary":2}', b'"canary', b"canary"):
        with pytest.raises(MalformedError) as caught:
            decode(raw)
        assert "canary" not in str(caught.value)
