"""The input commitment: one digest for exactly one list of one sender in one computation."""

import hashlib
from dataclasses import replace

import pytest
from sealing_cases import COMPUTATION, FIRST_DATA_KEY, OTHER_COMPUTATION, SECOND_DATA_KEY

from sealroom.core.errors import VerificationError
from sealroom.core.sealing.commitment import NO_COMMITMENT, input_commitment, verify_commitment
from sealroom.core.wire.input_list import InputFile, InputList

A = InputFile(name="a.csv", size=1234, sha256=b"\x0a" * 32)
B = InputFile(name="b.csv", size=5678, sha256=b"\x0b" * 32)
C = InputFile(name="c.csv", size=1234, sha256=b"\x0c" * 32)
LIST = InputList(files=(A, B))
SENDER = FIRST_DATA_KEY.public_key
COMMITMENT = input_commitment(LIST, computation=COMPUTATION, sender_pk=SENDER)


def test_is_the_documented_hash() -> None:
    hashed = hashlib.sha256(b"sealroom/v1/inputs\0" + COMPUTATION.bytes + SENDER + bytes.fromhex("00000002"))
    for file in (A, B):
        hashed.update(b"\x00\x05" + file.name.encode() + file.size.to_bytes(8, "big") + file.sha256)
    assert hashed.digest() == COMMITMENT
    verify_commitment(COMMITMENT, LIST, computation=COMPUTATION, sender_pk=SENDER)


def test_no_files_are_a_commitment_too() -> None:
    commitment = input_commitment(InputList(files=()), computation=COMPUTATION, sender_pk=SENDER)
    assert commitment != NO_COMMITMENT
    verify_commitment(commitment, InputList(files=()), computation=COMPUTATION, sender_pk=SENDER)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param((A,), id="dropped"),
        pytest.param((), id="all dropped"),
        pytest.param((A, B, C), id="added"),
        pytest.param((A, C), id="swapped"),
        pytest.param((B, A), id="another order"),
        pytest.param((A, replace(B, name="c.csv")), id="renamed"),
        pytest.param((replace(A, name="b.csv"), replace(B, name="a.csv")), id="names exchanged"),
        pytest.param((A, replace(B, size=5679)), id="another size"),
        pytest.param((A, replace(B, sha256=C.sha256)), id="another content"),
    ],
)
def test_any_other_list_is_refused(files: tuple[InputFile, ...]) -> None:
    with pytest.raises(VerificationError, match="not the one that its provider committed to"):
        verify_commitment(COMMITMENT, InputList(files=files), computation=COMPUTATION, sender_pk=SENDER)


def test_the_list_of_another_sender_or_computation_is_refused() -> None:
    with pytest.raises(VerificationError):
        verify_commitment(COMMITMENT, LIST, computation=COMPUTATION, sender_pk=SECOND_DATA_KEY.public_key)
    with pytest.raises(VerificationError):
        verify_commitment(COMMITMENT, LIST, computation=OTHER_COMPUTATION, sender_pk=SENDER)


def test_refuses_a_sender_key_of_another_size() -> None:
    with pytest.raises(ValueError, match="expected 32"):
        input_commitment(LIST, computation=COMPUTATION, sender_pk=SENDER[:31])
