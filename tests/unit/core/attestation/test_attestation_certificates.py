"""Certificates, revocation lists and the SGX extension: what their parsers refuse."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.core.attestation.certificates import parse_certificate
from sealroom.core.attestation.chain import parse_chain, verify_chain
from sealroom.core.attestation.crl import parse_crl
from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.pck import parse_pck_chain
from sealroom.core.attestation.pck_extension import SgxType, parse_pck_extension
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY, Provenance, provenance_of
from sealroom.core.attestation.signatures import parse_point, verify_raw_signature
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.insecure import pck_extension as writer
from sealroom.insecure.collateral import make_crl
from sealroom.insecure.pck_extension import PlatformTcb, encode_pck_extension
from sealroom.insecure.pki import SimulationPki, pem

NOW = datetime(2026, 1, 15, tzinfo=UTC)
PKI = SimulationPki.generate(now=NOW)
LEAF = PKI.pck.certificate.public_bytes(serialization.Encoding.DER)
EXTENSION = encode_pck_extension(PlatformTcb())
OID = "2a864886f84d010d01"


def built(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, hash_=None) -> bytes:
    certificate = builder.sign(key, hash_ or hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.DER)


def builder(key, *, names=None, constraints=True, usage=True) -> x509.CertificateBuilder:
    parts = [x509.NameAttribute(x509.NameOID.COMMON_NAME, "SGX")] if names is None else names
    name = x509.Name(parts)
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=5,
        not_valid_before=NOW,
        not_valid_after=NOW + timedelta(days=1),
    )
    if constraints:
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if usage:
        made = made.add_extension(
            x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True
        )
    return made


KEY = ec.generate_private_key(ec.SECP256R1())


def test_reads_a_certificate_as_a_general_library_does():
    certificate, other = parse_certificate(LEAF), PKI.pck.certificate
    assert certificate.serial == other.serial_number
    assert certificate.not_before == other.not_valid_before_utc
    assert certificate.not_after == other.not_valid_after_utc
    assert certificate.tbs == other.tbs_certificate_bytes
    assert certificate.public_key == PKI.pck.point
    assert certificate.issuer == other.issuer.public_bytes()
    assert certificate.common_name == "SIMULATION SGX PCK Certificate"


def test_a_certificate_without_a_path_length_has_none():
    assert parse_certificate(built(builder(KEY), KEY)).rights.path_length is None


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (LEAF + b"\0", "truncated"),
        (LEAF + b"\5\0", "tag 0x30 0x05 where 0x30 is expected"),
        (bytes(8_193), "at most 8192"),
        (LEAF.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101")), "version: not 3"),
        (built(builder(KEY), KEY, hashes.SHA384()), "not ecdsa-with-SHA256"),
        (built(builder(ec.generate_private_key(ec.SECP384R1())), KEY), "not P-256"),
        (built(builder(KEY, constraints=False), KEY), "constraints or key usage missing"),
        (built(builder(KEY, usage=False), KEY), "constraints or key usage missing"),
        (built(builder(KEY, names=[]), KEY), "no common name"),
        (
            built(builder(KEY, names=[x509.NameAttribute(x509.NameOID.COMMON_NAME, "SGX")] * 2), KEY),
            "two common names",
        ),
        (
            built(builder(KEY, names=[x509.NameAttribute(x509.NameOID.COMMON_NAME, "SGX\u00e9")]), KEY),
            "not ASCII",
        ),
        (
            built(
                builder(
                    KEY,
                    names=[
                        x509.NameAttribute(
                            x509.NameOID.COMMON_NAME, "SGX", _type=x509.name._ASN1Type.T61String
                        )
                    ],
                ),
                KEY,
            ),
            "neither UTF8String",
        ),
        (
            built(
                builder(KEY).add_extension(
                    x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"x"), critical=True
                ),
                KEY,
            ),
            "critical and unknown",
        ),
    ],
)
def test_refuses_a_certificate_of_another_shape(raw, message):
    with pytest.raises(MalformedError, match=message):
        parse_certificate(raw)


def test_refuses_a_certificate_with_too_many_extensions():
    made = builder(KEY)
    for number in range(20):
        identifier = x509.ObjectIdentifier(f"1.2.3.{number}")
        made = made.add_extension(x509.UnrecognizedExtension(identifier, b"x"), critical=False)
    with pytest.raises(MalformedError, match="more than 16"):
        parse_certificate(built(made, KEY))


def replaced(raw: bytes, old: str, new: str) -> bytes:
    assert raw.count(bytes.fromhex(old)) == 1
    return raw.replace(bytes.fromhex(old), bytes.fromhex(new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0603551d0e0416", "0603551d230416", "stands twice"),
        ("03020780", "03020880", "one or two bytes of bits"),
        ("034200" + "04", "034200" + "05", "not an uncompressed point"),
        ("0603551d0e0416", "0603551d0e0516", "not an identifier, perhaps a flag"),
        ("0603551d0f0101ff", "0603551d0f0201ff", "not an identifier, perhaps a flag"),
        ("301e170d", "301e0c0d", "where a time is expected"),
        ("300c0603551d13", "310c0603551d13", "extension: tag 0x31"),
    ],
)
def test_refuses_a_certificate_with_one_byte_changed(old, new, message):
    raw = LEAF.replace(bytes.fromhex("030206c0"), bytes.fromhex("03020780"))
    with pytest.raises(MalformedError, match=message):
        parse_certificate(replaced(raw, old, new))


def spliced(raw: bytes, old: bytes, new: bytes) -> bytes:
    """A certificate with bytes of another length inside: the two lengths around them are made right."""
    assert raw.count(old) == 1
    growth = len(new) - len(old)
    made = bytearray(raw.replace(old, new))
    for place in (2, 6):
        made[place : place + 2] = (int.from_bytes(made[place : place + 2], "big") + growth).to_bytes(2, "big")
    return bytes(made)


def test_refuses_a_validity_of_three_times():
    start = LEAF.index(bytes.fromhex("301e170d"))
    validity = LEAF[start : start + 32]
    more = b"\x30" + bytes([validity[1] + 15]) + validity[2:] + validity[17:]
    with pytest.raises(MalformedError, match="validity: 3 times, expected 2"):
        parse_certificate(spliced(LEAF, validity, more))


@pytest.mark.parametrize(
    ("place", "tag", "message"), [(0, 0x30, "name part: tag 0x30"), (4, 0x04, "name attribute: not an")]
)
def test_refuses_a_name_of_another_structure(place, tag, message):
    name = LEAF.index(b"SIMULATION SGX PCK Certificate") - 11
    raw = bytearray(LEAF)
    raw[name + place] = tag
    with pytest.raises(MalformedError, match=message):
        parse_certificate(bytes(raw))


def test_refuses_basic_constraints_with_a_third_part():
    raw = CA.public_bytes(serialization.Encoding.DER)
    with pytest.raises(MalformedError, match="neither a flag nor a path length"):
        parse_certificate(replaced(raw, "30060101ff0201", "30060101ff0401"))


def test_refuses_serial_number_zero():
    serial = PKI.root.certificate.serial_number
    size = (serial.bit_length() + 8) // 8
    raw = PKI.root.certificate.public_bytes(serialization.Encoding.DER)
    old = bytes([2, size]) + serial.to_bytes(size, "big")
    # Twenty zero bytes are refused as not minimal, a single one as not positive.
    with pytest.raises(MalformedError):
        parse_certificate(raw.replace(old, bytes([2, size]) + bytes(size)))
    small = builder(KEY)
    with pytest.raises(MalformedError, match="not positive"):
        parse_certificate(replaced(built(small, KEY), "a003020102020105", "a003020102020100"))


def test_reads_the_extension_that_the_simulated_platform_writes():
    extension = parse_pck_extension(EXTENSION)
    assert extension.fmspc == b"SIMTCB"
    assert extension.sgx_type is SgxType.SCALABLE
    assert extension.pce_svn == 13
    assert extension.tcb_components == bytes([5] * 16)
    assert extension.configuration is not None
    assert extension.configuration.smt_enabled is False


def rewritten(old: str, new: bytes) -> bytes:
    """The extension with one inner element replaced and the outer length made right."""
    body = EXTENSION[4:]
    assert body.count(bytes.fromhex(old)) == 1
    return writer._tlv(0x30, body.replace(bytes.fromhex(old), new))


def pair(suffix: str, value: bytes) -> bytes:
    return writer._pair(bytes.fromhex(suffix), value)


FMSPC = pair("04", writer._tlv(4, b"SIMTCB"))
TYPE = pair("05", writer._tlv(0x0A, b"\1"))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (EXTENSION + b"\5\0", "tag 0x30 0x05"),
        (rewritten(FMSPC.hex(), b""), "fmspc: missing"),
        (rewritten(FMSPC.hex(), FMSPC * 2), "field 4 stands twice"),
        (rewritten(FMSPC.hex(), pair("04", writer._tlv(4, b"SIM"))), "fmspc: 3 bytes"),
        (rewritten(FMSPC.hex(), FMSPC + pair("09", writer._tlv(4, b"x"))), "unknown field 9"),
        (rewritten(FMSPC.hex(), FMSPC + pair("0401", writer._tlv(4, b""))), "does not belong here"),
        (rewritten(TYPE.hex(), pair("05", writer._tlv(0x0A, b"\3"))), "unknown value 3"),
        (rewritten(TYPE.hex(), pair("05", writer._tlv(0x0A, b"\1") + b"\5\0")), "not pairs"),
        (rewritten(TYPE.hex(), pair("05", writer._tlv(4, b"\1"))), "tag 0x04 where 0x0a"),
        (encode_pck_extension(PlatformTcb(pce_svn=0x10000)), "pcesvn: 65536"),
        (
            EXTENSION.replace(bytes.fromhex("0410" + "05" * 16), bytes.fromhex("0410" + "06" * 16)),
            "differs from",
        ),
    ],
)
def test_refuses_an_sgx_extension_of_another_form(raw, message):
    with pytest.raises(MalformedError, match=message):
        parse_pck_extension(raw)


def test_reads_an_extension_of_a_processor_ca_without_the_optional_fields():
    instance = pair("06", writer._tlv(4, bytes(16)))
    start = EXTENSION.index(instance)
    extension = parse_pck_extension(writer._tlv(0x30, EXTENSION[4:start]))
    assert extension.platform_instance_id is None
    assert extension.configuration is None


CRL = make_crl(PKI.platform_ca, issued=NOW, lifetime=timedelta(days=1), revoked=(PKI.pck.certificate,))


def crl_of(*extensions: x509.ExtensionType, critical: x509.ExtensionType | None = None) -> bytes:
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(PKI.root.certificate.subject)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=1))
    )
    for extension in extensions:
        made = made.add_extension(extension, critical=False)
    if critical is not None:
        made = made.add_extension(critical, critical=True)
    return made.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


AUTHORITY = x509.AuthorityKeyIdentifier.from_issuer_public_key(KEY.public_key())


def test_reads_the_serial_numbers_of_a_revocation_list():
    crl = parse_crl(CRL, name="crl")
    assert crl.revoked == {PKI.pck.certificate.serial_number}
    assert crl.number == 1
    assert parse_crl(crl_of(AUTHORITY, x509.CRLNumber(7)), name="crl").revoked == frozenset()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (CRL + b"\5\0", "tag 0x30 0x05"),
        (bytes(131_073), "at most 131072"),
        (crl_of(AUTHORITY), "authority key identifier missing"),
        (crl_of(x509.CRLNumber(1)), "authority key identifier missing"),
        (replaced(CRL, "020101300a06", "020100300a06"), "not version 2"),
        (replaced(CRL, "020101300a06", "040101300a06"), "not the parts"),
        (replaced(CRL, "0603551d23", "0603551d14"), "stands twice"),
    ],
)
def test_refuses_a_revocation_list_of_another_form(raw, message):
    with pytest.raises(MalformedError, match=message):
        parse_crl(raw, name="crl")


@pytest.mark.parametrize(
    "extension",
    [
        x509.DeltaCRLIndicator(1),
        x509.BasicConstraints(ca=True, path_length=None),
        x509.KeyUsage(True, False, False, False, False, True, True, False, False),
    ],
)
def test_refuses_a_revocation_list_with_a_critical_extension(extension):
    assert parse_crl(crl_of(AUTHORITY, x509.CRLNumber(1), extension), name="crl").number == 1
    with pytest.raises(MalformedError, match="critical and unknown"):
        parse_crl(crl_of(AUTHORITY, x509.CRLNumber(1), critical=extension), name="crl")


def entry_offset() -> int:
    serial = PKI.pck.certificate.serial_number
    size = (serial.bit_length() + 8) // 8
    return CRL.index(bytes([2, size]) + serial.to_bytes(size, "big")) - 2


@pytest.mark.parametrize(
    ("delta", "value", "message"),
    [(0, 0x31, "entry is not"), (2, 0x04, "entry is not"), (1, 0x90, "overruns"), (3, 0x7F, "overruns")],
)
def test_refuses_a_revocation_list_whose_entries_overrun(delta, value, message):
    raw = bytearray(CRL)
    raw[entry_offset() + delta] = value
    with pytest.raises(MalformedError, match=message):
        parse_crl(bytes(raw), name="crl")


ROOT, CA = PKI.root.certificate, PKI.platform_ca.certificate
OTHER = SimulationPki.generate(now=NOW)


@pytest.mark.parametrize(
    "certificates",
    [
        (PKI.pck.certificate, CA, ROOT),
        (PKI.pck.certificate, ROOT, CA),
        (ROOT, PKI.pck.certificate, CA),
        (CA, ROOT, PKI.pck.certificate),
    ],
)
def test_orders_a_chain_by_names_whatever_the_order_of_the_text(certificates):
    chain = parse_pck_chain(pem(*certificates))
    assert chain.leaf.raw == LEAF
    assert chain.root.common_name == "SIMULATION SGX Root CA"


@pytest.mark.parametrize(
    ("certificates", "message"),
    [
        ((PKI.pck.certificate, CA), "2 certificates, expected 3"),
        ((PKI.pck.certificate, CA, CA), "0 self-issued"),
        ((ROOT, CA, ROOT), "2 self-issued"),
        ((PKI.pck.certificate, PKI.pck.certificate, ROOT), "do not form one chain"),
        ((CA, CA, ROOT), "do not form one chain"),
    ],
)
def test_refuses_certificates_that_are_not_one_chain(certificates, message):
    with pytest.raises(MalformedError, match=message):
        parse_chain(pem(*certificates), length=3, name="chain")


@pytest.mark.parametrize(
    "certificates",
    [
        (PKI.pck.certificate, OTHER.platform_ca.certificate, OTHER.root.certificate),
        (PKI.pck.certificate, CA, OTHER.root.certificate),
        (OTHER.pck.certificate, CA, ROOT),
    ],
)
def test_what_a_memo_knows_of_one_chain_vouches_for_no_other_of_the_same_names(certificates):
    memo = Memo()
    for pki in (PKI, OTHER):
        verify_chain(parse_pck_chain(pki.pck_chain_pem, memo=memo), now=NOW, name="chain", memo=memo)
    again = Memo(memo)
    with pytest.raises(VerificationError, match="signature does not verify"):
        verify_chain(parse_pck_chain(pem(*certificates), memo=again), now=NOW, name="chain", memo=again)


def test_only_the_pinned_key_is_intel():
    assert provenance_of(INTEL_SGX_ROOT_KEY) is Provenance.INTEL
    for holder in (PKI.root, OTHER.root):
        assert provenance_of(holder.point) is Provenance.SIMULATED
    for bit in range(0, 8 * 65, 37):
        flipped = bytearray(INTEL_SGX_ROOT_KEY)
        flipped[bit // 8] ^= 1 << bit % 8
        assert provenance_of(bytes(flipped)) is Provenance.SIMULATED


@pytest.mark.parametrize("raw", [bytes(65), b"\x04" + bytes(64), b"\x04" + bytes(63), b"\x02" + bytes(32)])
def test_refuses_a_key_that_is_no_uncompressed_point_of_the_curve(raw):
    with pytest.raises(MalformedError):
        parse_point(raw, name="key")


@pytest.mark.parametrize("size", [0, 63, 65])
def test_refuses_a_raw_signature_of_another_size(size):
    with pytest.raises(MalformedError, match="not 64"):
        verify_raw_signature(PKI.pck.point, message=b"", signature=bytes(size), name="thing")


def test_refuses_the_signature_of_zeros():
    with pytest.raises(VerificationError, match="thing: signature does not verify"):
        verify_raw_signature(PKI.pck.point, message=b"", signature=bytes(64), name="thing")
