"""Tagged evidence: strict CBOR of one shape."""

import hashlib
import random

import pytest
import ratls_world as w

from sealroom.core.attestation.cbor import CborReader
from sealroom.core.attestation.ratls import (
    MAX_CLAIMS_BYTES,
    parse_ratls_certificate,
    verify_ratls_certificate,
)
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.ra_tls import (
    EvidenceForm,
    KeyBinding,
    make_claims_buffer,
    make_tagged_evidence,
    report_data_of_key,
)
from sealroom.core.wire.ra_tls_certificate import make_certificate, p256_key

KEY = w.TlsKey.generate()
PUBLIC = p256_key(KEY.point)
DIGEST = hashlib.sha256(PUBLIC.info).digest()
NAME = b"\x6bpubkey-hash"


def text(value):
    return bytes((0x60 | len(value),)) + value.encode()


def strings(value):
    return bytes((0x58, len(value))) + value


def named(algorithm=b"\x01", digest=None):
    return b"\x82" + algorithm + strings(DIGEST if digest is None else digest)


def parsed(*, claims=None, evidence=None):
    claims = make_claims_buffer(PUBLIC) if claims is None else claims
    evidence = make_tagged_evidence(b"quote", claims) if evidence is None else evidence
    raw = make_certificate(
        w.FIELDS, key=PUBLIC, form=EvidenceForm.TAGGED_EVIDENCE, evidence=evidence, sign=KEY.sign
    )
    return parse_ratls_certificate(raw)


def test_writes_exactly_the_bytes_of_the_specification():
    claims = make_claims_buffer(PUBLIC)
    assert claims == b"\xa1" + NAME + strings(named())
    assert make_tagged_evidence(b"q" * 300, claims) == (
        b"\xd9\xea\x60\x82\x59\x01\x2c" + b"q" * 300 + b"\x58\x33" + claims
    )


@pytest.mark.parametrize(("algorithm", "name"), [(1, "sha256"), (7, "sha384"), (8, "sha512")])
def test_reads_each_digest_among_other_claims(algorithm, name):
    digest = hashlib.new(name, PUBLIC.info).digest()
    claims = (
        b"\xa3"
        + text("nonce")
        + b"\x43abc"
        + NAME
        + strings(named(bytes((algorithm,)), digest))
        + text("t")
        + text("u")
    )
    report_data = report_data_of_key(KeyBinding.CLAIMS_BUFFER, PUBLIC, claims_buffer=claims)
    raw = make_certificate(
        w.FIELDS,
        key=PUBLIC,
        form=EvidenceForm.TAGGED_EVIDENCE,
        evidence=make_tagged_evidence(w.quote_for(report_data), claims),
        sign=KEY.sign,
    )
    assert verify_ratls_certificate(raw, binding=KeyBinding.CLAIMS_BUFFER, now=w.NOW).key == PUBLIC
    assert parse_ratls_certificate(raw).claims.digest_name == name


def test_rejects_a_buffer_that_names_another_key_though_the_quote_binds_the_buffer():
    claims = b"\xa1" + NAME + strings(named(digest=b"d" * 32))
    report_data = report_data_of_key(KeyBinding.CLAIMS_BUFFER, PUBLIC, claims_buffer=claims)
    raw = make_certificate(
        w.FIELDS,
        key=PUBLIC,
        form=EvidenceForm.TAGGED_EVIDENCE,
        evidence=make_tagged_evidence(w.quote_for(report_data), claims),
        sign=KEY.sign,
    )
    with pytest.raises(VerificationError, match="names another key"):
        verify_ratls_certificate(raw, binding=KeyBinding.CLAIMS_BUFFER, now=w.NOW)


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        (b"\xa0", "no pubkey-hash"),
        (b"\xa1" + text("nonce") + b"\x41a", "no pubkey-hash"),
        (b"\xa2" + 2 * (NAME + strings(named())), "stands twice"),
        (b"\xa2" + 2 * (text("nonce") + b"\x41a"), "stands twice"),
        (b"\xa1" + NAME + strings(named(b"\x02")), "algorithm 2"),
        (b"\xa1" + NAME + strings(named(digest=b"d" * 24)), "no sha256 digest"),
        (b"\xa1" + NAME + strings(named() + b"\0"), "left over"),
        (b"\xa1" + NAME + strings(b"\x83" + named()[1:] + b"\0"), "array of 3"),
        (b"\xa1" + NAME + text("text"), "kind 3"),
        (b"\xa1" + text("nonce") + b"\x80", "kind 4"),
        (b"\xb1" + bytes(17), "map of 17"),
        (b"\xbb" + b"\xff" * 8, "map of"),
        (b"\xa1" + strings(b"pubkey-hash"), "kind 2"),
        (b"\xa1\x78\x41" + b"n" * 65, "text of 65"),
        (b"\xa1\x62\xff\xfe\x41a", "not UTF-8"),
        (make_claims_buffer(PUBLIC) + b"\0", "left over"),
        (b"\xbf" + NAME + strings(named()) + b"\xff", "indefinite"),
        (b"\xa1" + b"\x78\x0bpubkey-hash" + strings(named()), "shortest"),
        (bytes(MAX_CLAIMS_BYTES + 1), "at most"),
        (b"", "truncated"),
    ],
)
def test_refuses_claims_buffers(claims, message):
    with pytest.raises(MalformedError, match=message):
        parsed(claims=claims)


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        (b"\xd9\xea\x61" + make_tagged_evidence(b"", b"")[3:], "tag 60001"),
        (make_tagged_evidence(b"", b"\xa0")[3:], "kind 4"),
        (b"\xd9\xea\x60\x83", "array of 3"),
        (make_tagged_evidence(b"quote", make_claims_buffer(PUBLIC)) + b"\0", "left over"),
        (b"\xd9\xea\x60\x82\x5b" + b"\xff" * 8, "truncated"),
        (b"\xda\x00\x00\xea\x60\x82", "shortest"),
        (b"\xd9\xea\x60" * 1000, "kind 6"),
    ],
)
def test_refuses_other_evidence(evidence, message):
    with pytest.raises(MalformedError, match=message):
        parsed(evidence=evidence)


@pytest.mark.parametrize(
    "raw", [b"\x18\x17", b"\x19\x00\xff", b"\x1a\x00\x00\xff\xff", b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff"]
)
def test_refuses_numbers_that_are_longer_than_they_need_be(raw):
    with pytest.raises(MalformedError, match="shortest"):
        CborReader(raw, name="number").unsigned()


@pytest.mark.parametrize(
    ("raw", "number"),
    [(b"\x17", 23), (b"\x18\x18", 24), (b"\x19\x01\x00", 256), (b"\x1a\x00\x01\x00\x00", 65536)],
)
def test_reads_the_shortest_form_of_a_number(raw, number):
    reader = CborReader(raw, name="number")
    assert reader.unsigned() == number
    reader.finish()


def test_any_bytes_are_evidence_or_malformed():
    source = random.Random(7)
    good = make_tagged_evidence(b"quote", make_claims_buffer(PUBLIC))
    for _ in range(300):
        junk = bytearray(good)
        for _ in range(source.randrange(1, 4)):
            junk[source.randrange(len(junk))] = source.randrange(256)
        try:
            parsed(evidence=bytes(junk))
        except MalformedError:
            continue
