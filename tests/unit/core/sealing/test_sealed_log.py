"""Sealed logs: who reads them, what their length tells, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sealing_cases import (
    CODE_KEY,
    COMPUTATION,
    FIRST_DATA_KEY,
    OTHER_COMPUTATION,
    SECOND_DATA_KEY,
    STRANGER_KEY,
)

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.container_streams import seal_bytes, sealed_size
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.log import (
    LogKey,
    LogKeys,
    SealedLog,
    SealedLogKey,
    padded_size,
    seal_log,
)
from sealroom.core.sealing.log_opening import find_log_key, open_log, parse_log_keys
from sealroom.core.wire.terms import LogRelease

BOX_PK = b"\x11" * 32
READERS = [key.public_key for key in (CODE_KEY, FIRST_DATA_KEY, SECOND_DATA_KEY, FIRST_DATA_KEY)]


def seal(text: bytes = b"hello\n", *, release: LogRelease = LogRelease.PARTICIPANTS) -> SealedLog:
    sealed = seal_log(
        text,
        key=LogKey.generate(),
        release=release,
        readers=READERS,
        computation=COMPUTATION,
        box_pk=BOX_PK,
    )
    assert sealed is not None
    return sealed


@pytest.mark.parametrize("reader", [CODE_KEY, FIRST_DATA_KEY, SECOND_DATA_KEY])
@pytest.mark.parametrize("text", [b"", b"hello\n", b"\0" * 10, b"x" * 4088, b"x" * 4089, b"x" * 600_000])
def test_every_reader_opens_it(reader: object, text: bytes) -> None:
    sealed = seal(text)
    keys = parse_log_keys(sealed.keys.to_bytes())
    key = find_log_key(keys, signing_key=reader)
    assert open_log(sealed.container, key=key, computation=COMPUTATION, box_pk=BOX_PK) == text


def test_each_key_stands_once_in_the_order_of_the_arguments() -> None:
    sealed = seal()
    assert [entry.reader_pk for entry in sealed.keys.sealed] == READERS[:3]
    assert len(sealed.keys.to_bytes()) == 3 * 112


def test_a_stranger_has_no_box_and_opens_no_one_elses() -> None:
    keys = seal().keys
    with pytest.raises(VerificationError, match="none is sealed to this participant"):
        find_log_key(keys, signing_key=STRANGER_KEY)
    moved = LogKeys(sealed=(SealedLogKey(reader_pk=STRANGER_KEY.public_key, box=keys.sealed[0].box),))
    with pytest.raises(VerificationError, match="sealed box"):
        find_log_key(moved, signing_key=STRANGER_KEY)


def test_release_none_makes_nothing() -> None:
    made = seal_log(
        b"hello",
        key=LogKey.generate(),
        release=LogRelease.NONE,
        readers=READERS,
        computation=COMPUTATION,
        box_pk=BOX_PK,
    )
    assert made is None


def test_release_public_adds_the_key_in_the_clear() -> None:
    sealed = seal(release=LogRelease.PUBLIC)
    keys = parse_log_keys(sealed.keys.to_bytes())
    assert keys == sealed.keys
    assert len(keys.to_bytes()) == 3 * 112 + 32
    key = LogKey.from_bytes(keys.public_key)
    assert open_log(sealed.container, key=key, computation=COMPUTATION, box_pk=BOX_PK) == b"hello\n"


def test_release_to_participants_has_no_key_in_the_clear() -> None:
    assert parse_log_keys(seal().keys.to_bytes()).public_key is None


@pytest.mark.parametrize(
    ("text", "padded"),
    [(0, 4096), (1, 4096), (4088, 4096), (4089, 8192), (8184, 8192), (8185, 16384), ((1 << 20) - 8, 1 << 20)],
)
def test_length_shows_only_as_a_power_of_two(text: int, padded: int) -> None:
    assert padded_size(text) == padded
    assert len(seal(bytes(text)).container) == sealed_size(padded)


def test_a_log_of_another_launch_or_computation_is_refused() -> None:
    sealed = seal()
    key = find_log_key(sealed.keys, signing_key=CODE_KEY)
    with pytest.raises(VerificationError):
        open_log(sealed.container, key=key, computation=COMPUTATION, box_pk=b"\x12" * 32)
    with pytest.raises(VerificationError):
        open_log(sealed.container, key=key, computation=OTHER_COMPUTATION, box_pk=BOX_PK)


@pytest.mark.parametrize(
    "padded",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(7), id="no length"),
        pytest.param(bytes(2048), id="too short"),
        pytest.param(bytes(8192), id="more padding than needed"),
        pytest.param((4089).to_bytes(8, "big") + bytes(4088), id="longer than it is"),
        pytest.param(b"\xff" * 8 + bytes(4088), id="longer than anything"),
        pytest.param(bytes(4097), id="no power of two"),
        pytest.param(bytes(4095) + b"\x01", id="padding not zero"),
        pytest.param((3).to_bytes(8, "big") + b"abcd" + bytes(4084), id="text behind the text"),
    ],
)
def test_refuses_padding_that_no_enclave_makes(padded: bytes) -> None:
    key = LogKey.generate()
    container = seal_bytes(padded, key=key, context=Context.log(computation=COMPUTATION, box_pk=BOX_PK))
    with pytest.raises(MalformedError, match="log"):
        open_log(container, key=key, computation=COMPUTATION, box_pk=BOX_PK)


@given(st.binary(max_size=400))
def test_any_bytes_are_log_keys_or_malformed(raw: bytes) -> None:
    try:
        assert parse_log_keys(raw).to_bytes() == raw
    except MalformedError:
        return


@pytest.mark.parametrize("size", [1, 31, 33, 111, 113, 143, 145])
def test_refuses_log_keys_of_another_length(size: int) -> None:
    with pytest.raises(MalformedError, match="log keys"):
        parse_log_keys(bytes(size))


def test_refuses_a_reader_named_twice() -> None:
    entry = seal().keys.sealed[0]
    with pytest.raises(MalformedError, match="named twice"):
        parse_log_keys(LogKeys(sealed=(entry,)).to_bytes() * 2)


def test_log_keys_cannot_be_built_with_other_sizes() -> None:
    with pytest.raises(MalformedError, match="log reader"):
        SealedLogKey(reader_pk=bytes(31), box=bytes(80))
    with pytest.raises(MalformedError, match="log key box"):
        SealedLogKey(reader_pk=bytes(32), box=bytes(79))
    with pytest.raises(MalformedError, match="public log key"):
        LogKeys(sealed=(), public_key=bytes(31))
