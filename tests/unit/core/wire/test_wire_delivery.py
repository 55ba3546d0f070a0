from dataclasses import replace
from hashlib import sha256

import pytest
import wire_samples as samples
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.delivery import (
    DELIVERY_SIZE,
    Delivery,
    DeliveryRefusal,
    RefusalReason,
    Statement,
    delivery_signature_message,
    verify_delivery_signature,
    verify_statement_signature,
)
from sealroom.core.wire.participants import Role
from sealroom.core.wire.report_data import check_report_data, report_data
from sealroom.core.wire.signatures import verify_ed25519

RAW = samples.DELIVERY.to_bytes()


def test_a_delivery_has_402_bytes_in_the_documented_order():
    statement = samples.DELIVERY.statement
    assert DELIVERY_SIZE == len(RAW) == 402
    assert (
        b"\x01"
        + statement.agreement
        + statement.mrenclave
        + statement.identity_pk
        + statement.box_pk
        + b"\x02"
        + statement.sender_pk
        + statement.commitment
        + samples.DELIVERY.box
        + samples.DELIVERY.signature
    ) == RAW


def test_a_delivery_reads_back_and_its_signature_holds():
    assert Delivery.from_bytes(RAW) == samples.DELIVERY
    verify_delivery_signature(Delivery.from_bytes(RAW))


def test_the_signature_covers_label_statement_digest_and_box_digest():
    statement = samples.DELIVERY.statement
    assert statement.digest == sha256(b"sealroom/v1/statement\0" + RAW[1:194]).digest()
    message = b"sealroom/v1/delivery\0" + statement.digest + sha256(samples.BOX).digest()
    assert delivery_signature_message(statement, sha256(samples.BOX).digest()) == message


@pytest.mark.parametrize("raw", [b"", RAW[:-1], RAW + b"\0", b"\x00" + RAW[1:], b"\x02" + RAW[1:]])
def test_refuses_another_length_or_version(raw):
    with pytest.raises(MalformedError):
        Delivery.from_bytes(raw)


@pytest.mark.parametrize("role", [0, 4, 255])
def test_refuses_an_unknown_role(role):
    with pytest.raises(MalformedError):
        Delivery.from_bytes(RAW[:129] + bytes((role,)) + RAW[130:])


@pytest.mark.parametrize("position", [*range(1, 402, 7), 129, 401])
def test_one_changed_byte_is_malformed_or_breaks_the_signature(position):
    raw = bytearray(RAW)
    raw[position] ^= 1
    with pytest.raises((MalformedError, VerificationError)):
        verify_delivery_signature(Delivery.from_bytes(bytes(raw)))


def test_refuses_a_box_signed_again_by_another_participant_under_the_first_ones_name():
    thief = SigningKey(b"\x66" * 32)
    message = delivery_signature_message(samples.DELIVERY.statement, sha256(samples.BOX).digest())
    with pytest.raises(VerificationError):
        verify_delivery_signature(replace(samples.DELIVERY, signature=thief.sign(message).signature))


def test_a_receipt_verifies_the_same_signature_from_the_digest_of_the_box():
    digest = sha256(samples.BOX).digest()
    signature = samples.DELIVERY.signature
    verify_statement_signature(statement=samples.DELIVERY.statement, box_sha256=digest, signature=signature)
    with pytest.raises(VerificationError):
        verify_statement_signature(
            statement=samples.DELIVERY.statement, box_sha256=bytes(32), signature=signature
        )


def test_refuses_a_sender_of_small_order_whatever_the_signature():
    statement = replace(samples.DELIVERY.statement, sender_pk=b"\x01" + bytes(31))
    # R = the neutral element and S = 0 satisfy the equation for such a key.
    forged = replace(samples.DELIVERY, statement=statement, signature=b"\x01" + bytes(63))
    with pytest.raises(VerificationError):
        verify_delivery_signature(forged)


def test_refuses_a_second_signature_made_from_the_first_by_adding_the_group_order():
    order = 2**252 + 27742317777372353535851937790883648493
    signature = samples.DELIVERY.signature
    scalar = int.from_bytes(signature[32:], "little") + order
    with pytest.raises(VerificationError):
        verify_delivery_signature(
            replace(samples.DELIVERY, signature=signature[:32] + scalar.to_bytes(32, "little"))
        )


@given(st.binary(min_size=402, max_size=402) | st.binary(max_size=500))
def test_any_bytes_are_a_delivery_or_malformed(raw):
    try:
        delivery = Delivery.from_bytes(raw)
    except MalformedError:
        return
    assert delivery.to_bytes() == raw


@given(st.binary(min_size=401, max_size=401), st.sampled_from(Role))
def test_any_fields_read_back(rest, role):
    raw = b"\x01" + rest[:128] + bytes((role.code,)) + rest[129:]
    assert Delivery.from_bytes(raw).to_bytes() == raw


@pytest.mark.parametrize(
    "field", ["agreement", "mrenclave", "identity_pk", "box_pk", "sender_pk", "commitment"]
)
def test_a_statement_cannot_be_built_with_a_field_of_another_length(field):
    with pytest.raises(MalformedError):
        replace(samples.DELIVERY.statement, **{field: bytes(31)})


def test_a_delivery_cannot_be_built_with_parts_of_another_length():
    for change in ({"box": bytes(143)}, {"signature": bytes(65)}):
        with pytest.raises(MalformedError):
            replace(samples.DELIVERY, **change)
    with pytest.raises(MalformedError):
        delivery_signature_message(samples.DELIVERY.statement, bytes(33))


@pytest.mark.parametrize("size", [192, 194])
def test_a_statement_of_another_length_is_malformed(size):
    with pytest.raises(MalformedError, match="statement: got"):
        Statement.from_bytes(bytes(size))


def test_the_reasons_of_both_refusals_are_the_documented_words():
    assert [reason.value for reason in RefusalReason] == [
        "box-unreadable",
        "box-of-another-statement",
        "commitment",
        "words-differ",
        "data-keys-equal",
        "inputs-differ",
        "code-signature",
        "code-unreadable",
        "cancelled",
        "expired",
    ]
    assert {reason.value for reason in DeliveryRefusal} == {
        "malformed",
        "agreement",
        "mrenclave",
        "enclave-keys",
        "not-listed",
        "slot-filled",
        "signature",
    }


def test_report_data_is_the_digest_of_the_identity_key_then_the_box_key():
    identity, box = samples.public(samples.ENCLAVE_KEY), samples.BOX_PK
    expected = sha256(identity).digest() + box
    assert report_data(identity_pk=identity, box_pk=box) == expected
    check_report_data(expected, identity_pk=identity, box_pk=box)


@pytest.mark.parametrize("position", range(64))
def test_all_64_bytes_of_report_data_are_checked(position):
    identity, box = samples.public(samples.ENCLAVE_KEY), samples.BOX_PK
    raw = bytearray(report_data(identity_pk=identity, box_pk=box))
    raw[position] ^= 0x80
    with pytest.raises(VerificationError):
        check_report_data(bytes(raw), identity_pk=identity, box_pk=box)


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_refuses_report_data_of_another_length(size):
    identity, box = samples.public(samples.ENCLAVE_KEY), samples.BOX_PK
    with pytest.raises(VerificationError):
        check_report_data(bytes(size), identity_pk=identity, box_pk=box)
    with pytest.raises(MalformedError):
        report_data(identity_pk=identity[:31], box_pk=box)


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=80))
def test_random_signatures_are_never_believed_and_never_escape(key, message, signature):
    with pytest.raises(VerificationError):
        verify_ed25519(public_key=key, message=message, signature=signature)
