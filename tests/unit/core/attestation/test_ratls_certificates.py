"""RA-TLS certificates: what is read, what is refused, and who else can read the ones we make."""

import hashlib
import os
import random
import ssl
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import ratls_world as w
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sealroom.core.attestation import der
from sealroom.core.attestation.certificate_walk import (
    MAX_WALKED_BYTES,
    check_in_validity,
    verify_self_signature,
    walk_certificate,
)
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.ratls import (
    check_key_binding,
    parse_ratls_certificate,
    verify_ratls_certificate,
)
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.ra_tls import (
    CertificateKey,
    EvidenceForm,
    KeyAlgorithm,
    KeyBinding,
    make_claims_buffer,
    make_tagged_evidence,
    report_data_of_key,
)
from sealroom.core.wire.ra_tls_certificate import make_certificate, p256_key

ROOT = Path(__file__).parents[4]
FOLDER = Path(os.environ.get("SEALROOM_VECTORS", ROOT.parent / "shared" / "vectors")) / "evidence" / "ratls"
# The interpreter of a virtual environment that has the package intel-sgx-ra.
OTHERS_PYTHON = os.environ.get("SEALROOM_INTEL_SGX_RA")

SEQUENCE_OF = {
    EvidenceForm.SGX_QUOTE: der.object_identifier("1.2.840.113741.1337.6"),
    EvidenceForm.GRAMINE_LEGACY: der.object_identifier("0.6.9.42.840.113741.1337.6"),
    EvidenceForm.TAGGED_EVIDENCE: der.object_identifier("2.23.133.5.4.9"),
}


def verified(raw, binding=KeyBinding.UNCOMPRESSED_POINT, now=w.NOW):
    return verify_ratls_certificate(raw, binding=binding, now=now)


def built(evidence, *, key=None, oid="1.2.840.113741.1337.6", digest=None, extensions=(), signed_by=None):
    """Return a certificate by the `cryptography` library: of any key, with any extension."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another maker")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=7,
        not_valid_before=w.NOW - timedelta(days=1),
        not_valid_after=w.NOW + timedelta(days=1),
    ).add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), evidence), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    certificate = builder.sign(signed_by or key, digest or hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.DER)


def spki(key):
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def key_bound_quote(message, rest=bytes(32)):
    return w.quote_for(hashlib.sha256(message).digest() + rest)


def patched(raw, old, new, count=1):
    assert raw.count(old) == count and len(old) == len(new)
    return raw.replace(old, new)


@pytest.mark.parametrize(("binding", "form"), w.PAIRS)
def test_returns_the_key_and_the_quote_that_binds_it(binding, form):
    key = w.TlsKey.generate()
    found = verified(w.made(key, binding=binding, form=form), binding)
    assert found.key == p256_key(key.point)
    assert found.key.info == spki(key.private)
    assert found.quote == parse_quote(found.raw_quote)
    assert found.quote.body.mrenclave == w.MRENCLAVE
    assert (found.binding, found.caller_data) == (binding, bytes(32))


@pytest.mark.parametrize(("binding", "form"), w.PAIRS)
@pytest.mark.parametrize("named", list(KeyBinding))
def test_never_guesses_another_binding_than_the_one_named(binding, form, named):
    raw = w.made(binding=binding, form=form)
    if named is binding:
        return
    with pytest.raises(VerificationError):
        verified(raw, named)


@pytest.mark.parametrize("binding", [KeyBinding.UNCOMPRESSED_POINT, KeyBinding.SUBJECT_PUBLIC_KEY_INFO])
def test_tagged_evidence_goes_with_its_claims_buffer_alone(binding):
    raw = w.made(binding=binding, form=EvidenceForm.TAGGED_EVIDENCE)
    with pytest.raises(VerificationError, match="does not go with"):
        verified(raw, binding)


def test_identifiers_are_those_of_the_projects():
    assert {form: form.identifier for form in EvidenceForm} == SEQUENCE_OF


@pytest.mark.parametrize(("binding", "form"), w.PAIRS)
def test_rejects_a_quote_that_binds_another_key(binding, form):
    raw = w.made(binding=binding, form=form, quoted=w.TlsKey.generate())
    with pytest.raises(VerificationError, match="does not bind"):
        # The claims buffer of the other key comes along with its quote: then the buffer names another key.
        verified(raw, binding) if form is not EvidenceForm.TAGGED_EVIDENCE else _refused_by_the_buffer(raw)


def _refused_by_the_buffer(raw):
    with pytest.raises(VerificationError, match="names another key"):
        verified(raw, KeyBinding.CLAIMS_BUFFER)
    raise VerificationError("does not bind")


def test_rejects_a_claims_buffer_that_the_quote_does_not_bind():
    key = w.TlsKey.generate()
    claims = make_claims_buffer(p256_key(key.point))
    evidence = make_tagged_evidence(key_bound_quote(b"another buffer"), claims)
    raw = make_certificate(
        w.FIELDS, key=p256_key(key.point), form=EvidenceForm.TAGGED_EVIDENCE, evidence=evidence, sign=key.sign
    )
    with pytest.raises(VerificationError, match="does not bind"):
        verified(raw, KeyBinding.CLAIMS_BUFFER)


def test_returns_the_callers_half_of_the_report_data():
    assert verified(w.made(caller_data=b"c" * 32)).caller_data == b"c" * 32


def test_rejects_a_second_half_that_is_not_zero_where_the_binding_has_no_room_for_it():
    key = ec.generate_private_key(ec.SECP256R1())
    raw = built(key_bound_quote(spki(key), b"c" * 32), key=key)
    with pytest.raises(VerificationError, match="second half"):
        verified(raw, KeyBinding.SUBJECT_PUBLIC_KEY_INFO)


def test_the_maker_refuses_callers_data_without_room_or_of_another_size():
    key = p256_key(w.TlsKey.generate().point)
    for binding, data in (
        (KeyBinding.SUBJECT_PUBLIC_KEY_INFO, b"c" * 32),
        (KeyBinding.UNCOMPRESSED_POINT, b"c"),
    ):
        with pytest.raises(ValueError, match="caller data"):
            report_data_of_key(binding, key, claims_buffer=None, caller_data=data)


def test_reads_p384_keys_with_either_digest():
    for digest in (hashes.SHA256(), hashes.SHA384()):
        key = ec.generate_private_key(ec.SECP384R1())
        point = key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        raw = built(key_bound_quote(point), key=key, digest=digest)
        assert verified(raw).key.algorithm is KeyAlgorithm.P384


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


def test_reads_rsa_keys_bound_as_pkcs1(rsa_key):
    pkcs1 = rsa_key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    raw = built(key_bound_quote(pkcs1), key=rsa_key)
    assert verified(raw, KeyBinding.RSA_PUBLIC_KEY).key.content == pkcs1
    with pytest.raises(VerificationError, match="does not fit"):
        verified(raw, KeyBinding.UNCOMPRESSED_POINT)


def test_does_not_believe_a_short_rsa_key():
    key = rsa.generate_private_key(65537, 1024)
    with pytest.raises(VerificationError, match="1024 bits"):
        verified(built(b"", key=key), KeyBinding.RSA_PUBLIC_KEY)


def test_refuses_rsa_keys_too_short_to_read_too_long_or_of_another_exponent(rsa_key):
    raw = built(b"quote", key=rsa_key)
    exponent = bytes.fromhex("0203010001")
    with pytest.raises(MalformedError, match="exponent"):
        walk_certificate(patched(raw, exponent, bytes.fromhex("0203010003")))
    modulus = rsa_key.public_key().public_numbers().n.to_bytes(256, "big")
    for other in (bytes(1) + b"\x80" + modulus[2:], modulus[:-1] + bytes([modulus[-1] & 0xFE])):
        with pytest.raises(MalformedError, match="rsa modulus"):
            walk_certificate(patched(raw, modulus, other))


def test_refuses_a_key_of_another_kind():
    for curve in (ec.SECP521R1(), ec.SECP256K1()):
        with pytest.raises(MalformedError, match="key algorithm"):
            walk_certificate(built(b"", key=ec.generate_private_key(curve)))


def test_refuses_a_point_off_its_curve_or_compressed():
    key = w.TlsKey.generate()
    raw = w.made(key)
    off = key.point[:-1] + bytes([key.point[-1] ^ 1])
    with pytest.raises(MalformedError, match="not a point"):
        walk_certificate(patched(raw, key.point, off))
    with pytest.raises(MalformedError, match="uncompressed"):
        walk_certificate(patched(raw, key.point, b"\x02" + key.point[1:]))


def test_a_signature_of_the_wrong_kind_for_the_key_is_not_believed(rsa_key):
    key = ec.generate_private_key(ec.SECP256R1())
    raw = built(key_bound_quote(b"x"), key=key, signed_by=rsa_key)
    with pytest.raises(VerificationError, match="cannot be by a key of P256"):
        verified(raw)


def test_rejects_a_certificate_signed_by_another_key():
    key, other = w.TlsKey.generate(), w.TlsKey.generate()
    raw = built(key_bound_quote(key.point), key=key.private, signed_by=other.private)
    with pytest.raises(VerificationError, match="signature does not verify"):
        verified(raw)


def test_rejects_a_certificate_issued_under_another_name():
    key = w.TlsKey.generate()
    certificate = walk_certificate(w.made(key))
    with pytest.raises(VerificationError, match="another name"):
        verify_self_signature(replace(certificate, issuer=b"0\0"))


@pytest.mark.parametrize("moment", [w.FIELDS.not_before, w.FIELDS.not_after])
def test_is_valid_at_both_ends_of_its_validity(moment):
    check_in_validity(walk_certificate(w.made()), now=moment)


@pytest.mark.parametrize(
    "moment", [w.FIELDS.not_before - timedelta(seconds=1), w.FIELDS.not_after + timedelta(seconds=1)]
)
def test_rejects_a_certificate_outside_its_validity(moment):
    with pytest.raises(VerificationError, match="valid from"):
        verified(w.made(), now=moment)


def test_reads_and_writes_years_after_2049():
    fields = replace(w.FIELDS, not_after=w.NOW.replace(year=2051))
    assert walk_certificate(w.made(fields=fields)).not_after.year == 2051


def test_accepts_the_null_that_mbedtls_writes_after_ecdsa():
    key = w.TlsKey.generate()
    raw = _with_algorithm(w.made(key), bytes.fromhex("300c06082a8648ce3d0403020500"), key)
    assert verified(raw).key == p256_key(key.point)


def test_reads_what_gramine_writes_and_the_x509_library_refuses():
    # P-384, signed with SHA-256, NULL after ECDSA, the identifier encoded twice, the key bound as DER.
    key = w.TlsKey.generate(ec.SECP384R1())
    plain = built(key_bound_quote(spki(key.private)), key=key.private, oid="0.6.9.42.840.113741.1337.6")
    raw = _with_algorithm(plain, bytes.fromhex("300c06082a8648ce3d0403020500"), key)
    found = verified(raw, KeyBinding.SUBJECT_PUBLIC_KEY_INFO)
    assert found.key.algorithm is KeyAlgorithm.P384
    assert parse_ratls_certificate(raw).form is EvidenceForm.GRAMINE_LEGACY
    with pytest.raises(ValueError, match="ExtraData"):
        _ = x509.load_der_x509_certificate(raw).signature_hash_algorithm


def test_an_enclave_can_make_certificates_without_the_x509_library():
    program = (
        "import sys, sealroom.core.wire.ra_tls_certificate\n"
        "sys.exit(any(name.partition('.')[0] in ('cryptography', 'ssl') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        ("300d06082a8648ce3d040302050100", "parameters: not NULL"),
        ("300c06082a8648ce3d0403020400", "tag 0x04"),
        ("300e06082a8648ce3d04030205000500", "left over"),
        ("300a06082a8648ce3d040304", "not accepted"),
    ],
)
def test_refuses_other_signature_algorithms(algorithm, message):
    key = w.TlsKey.generate()
    with pytest.raises(MalformedError, match=message):
        walk_certificate(_with_algorithm(w.made(key), bytes.fromhex(algorithm), key))


def test_refuses_two_signature_algorithms():
    raw = w.made()
    head, tail = raw.split(bytes.fromhex("06082a8648ce3d040302"), 1)
    with pytest.raises(MalformedError, match="differ"):
        walk_certificate(head + bytes.fromhex("06082a8648ce3d040303") + tail)


def _with_algorithm(raw, algorithm, key):
    """Write `raw` again with another AlgorithmIdentifier in both places, signed anew."""
    plain = bytes.fromhex("300a06082a8648ce3d040302")
    tbs = der.DerReader(walk_certificate(raw).tbs).content(0x30, "tbs").replace(plain, algorithm, 1)
    tbs = _element(0x30, tbs)
    return _element(0x30, tbs + algorithm + _element(3, b"\0" + key.sign(tbs)))


def _element(tag, content):
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | octets)) + size.to_bytes(octets, "big") + content


def test_refuses_version_1():
    with pytest.raises(MalformedError, match="version"):
        walk_certificate(patched(w.made(), bytes.fromhex("a003020102"), bytes.fromhex("a003020100")))


def test_refuses_no_quote_and_two():
    with pytest.raises(MalformedError, match="in 0 of"):
        parse_ratls_certificate(built(b"", oid="1.2.3.4"))
    second = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.23.133.5.4.9"), b"")
    with pytest.raises(MalformedError, match="in 2 of"):
        parse_ratls_certificate(built(b"", extensions=[(second, False)]))


def test_refuses_unknown_critical_extensions_and_ignores_others():
    foreign = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113741.1.13.1"), b"not a pck")
    key = w.TlsKey.generate()
    raw = built(key_bound_quote(key.point), key=key.private, extensions=[(foreign, False)])
    assert verified(raw).key == p256_key(key.point)
    with pytest.raises(MalformedError, match="critical"):
        walk_certificate(built(b"", extensions=[(foreign, True)]))


def test_refuses_what_is_too_large_before_reading_it():
    with pytest.raises(MalformedError, match="at most"):
        walk_certificate(bytes(MAX_WALKED_BYTES + 1))


@pytest.mark.parametrize(("binding", "form"), w.PAIRS)
def test_every_truncation_is_malformed(binding, form):
    raw = w.made(binding=binding, form=form)
    for size in range(0, len(raw), 7):
        with pytest.raises(MalformedError):
            parse_ratls_certificate(raw[:size])
    with pytest.raises(MalformedError):
        parse_ratls_certificate(raw + b"\0")


@pytest.mark.parametrize(("binding", "form"), w.PAIRS)
def test_no_bit_can_be_flipped(binding, form):
    raw = w.made(binding=binding, form=form)
    bits = random.Random(5).sample(range(8 * len(raw)), 1500)  # the first kilobyte has all the structure
    for bit in sorted({*bits, *range(0, 8 * 500, 5)}):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises((MalformedError, VerificationError)):
            verified(bytes(flipped), binding)


def test_any_bytes_are_a_certificate_or_malformed():
    source = random.Random(6)
    whole = w.made(binding=KeyBinding.CLAIMS_BUFFER, form=EvidenceForm.TAGGED_EVIDENCE)
    for _ in range(2000):
        start = source.randrange(len(whole))
        junk = whole[:start] + source.randbytes(source.randrange(60)) + whole[start + source.randrange(60) :]
        with suppress(MalformedError):
            parse_ratls_certificate(junk)


def test_the_maker_refuses_what_it_cannot_write():
    key = w.TlsKey.generate()
    for changes in (
        {"common_name": ""},
        {"common_name": "n" * 65},
        {"dns_names": ("",)},
        {"dns_names": ("ö",)},
        {"serial": 0},
        {"serial": 1 << 159},
        {"not_before": w.NOW.replace(tzinfo=None)},
    ):
        with pytest.raises(ValueError, match="expected"):
            replace(w.FIELDS, **changes)
    with pytest.raises(ValueError, match="uncompressed"):
        p256_key(key.point[1:])
    p384 = CertificateKey(algorithm=KeyAlgorithm.P384, info=b"", content=b"")
    with pytest.raises(ValueError, match="P-256"):
        make_certificate(w.FIELDS, key=p384, form=EvidenceForm.SGX_QUOTE, evidence=b"", sign=key.sign)


@pytest.mark.parametrize(("binding", "form"), w.PAIRS)
def test_other_libraries_read_the_certificates_we_make(binding, form):
    key = w.TlsKey.generate()
    raw = w.made(key, binding=binding, form=form)
    certificate = x509.load_der_x509_certificate(raw)
    certificate.verify_directly_issued_by(certificate)
    assert certificate.public_key() == key.private.public_key()
    assert certificate.serial_number == w.FIELDS.serial
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["service.test"]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(("binding", "form"), w.PAIRS)
def test_openssl_reads_the_certificates_we_make(tmp_path, binding, form):
    path = tmp_path / "certificate.der"
    path.write_bytes(w.made(binding=binding, form=form))
    shown = subprocess.run(
        ["openssl", "x509", "-inform", "der", "-in", path, "-noout", "-text"], capture_output=True, check=True
    ).stdout.decode(errors="replace")
    dotted = {
        EvidenceForm.SGX_QUOTE: "1.2.840.113741.1337.6",
        EvidenceForm.GRAMINE_LEGACY: "0.6.9.42.840.113741.1337.6",
        EvidenceForm.TAGGED_EVIDENCE: "2.23.133.5.4.9",
    }
    assert f" {dotted[form]}: " in shown
    assert "CN = a service" in shown or "CN=a service" in shown
    assert "ecdsa-with-SHA256" in shown


def test_a_client_that_pins_the_certificate_reaches_its_key(tmp_path):
    key = w.TlsKey.generate()
    path, key_path = tmp_path / "pinned.pem", tmp_path / "key.pem"
    # Ten years on both sides: here the clock of the TLS library decides.
    fields = replace(
        w.FIELDS, not_before=w.NOW - timedelta(days=3650), not_after=w.NOW + timedelta(days=3650)
    )
    path.write_text(ssl.DER_cert_to_PEM_cert(w.made(key, fields=fields)))
    key_path.write_bytes(
        key.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(path, key_path)
    client_context = ssl.create_default_context(cafile=str(path))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname="service.test")
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.version() == "TLSv1.3"


def test_intel_sgx_ra_reads_and_verifies_the_certificates_we_make(tmp_path):
    if OTHERS_PYTHON is None:
        pytest.skip("no intel-sgx-ra: install it in a virtual environment, SEALROOM_INTEL_SGX_RA=its python")
    path = tmp_path / "certificate.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(w.made(caller_data=b"c" * 32)))
    program = (
        "import sys; from pathlib import Path; from intel_sgx_ra.ratls import ratls_verify\n"
        "print(ratls_verify(Path(sys.argv[1])).report_body.mr_enclave.hex())"
    )
    done = subprocess.run([OTHERS_PYTHON, "-c", program, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == w.MRENCLAVE.hex()


# What each published certificate is. The two of a GPU and the three of Open Enclave carry other evidence.
PUBLISHED = {
    "inclavare-containers-demo-sgx-cert": (EvidenceForm.TAGGED_EVIDENCE, KeyBinding.CLAIMS_BUFFER),
    "inclavare-containers-rats-tls-cert-openssl-sample": (
        EvidenceForm.SGX_QUOTE,
        KeyBinding.RSA_PUBLIC_KEY,
    ),
    "openenclave-sgx-cert-rsa-bad": None,
    "azure-samples-maa.prod.uks.signing.cert": None,
    "azure-samples-sample.signing.cert": None,
    "confidential-containers-hopper-coco-certs1": None,
    "confidential-containers-hopper-signing-cert": None,
}


def test_published_certificates_are_read_or_refused_as_they_should():
    files = sorted(FOLDER.glob("*.der"))
    if not files:
        pytest.skip(f"no published certificates: set SEALROOM_VECTORS, {FOLDER} is not there")
    bound = 0
    for file in files:
        raw, expected = file.read_bytes(), PUBLISHED[file.stem.rsplit("_", 1)[0]]
        if expected is None:
            with pytest.raises(MalformedError, match="in 0 of the known extensions"):
                parse_ratls_certificate(raw)
            continue
        form, binding = expected
        certificate = parse_ratls_certificate(raw)
        assert certificate.form is form
        found = verified(raw, binding, now=certificate.certificate.not_before)
        assert found.quote.body.report_data[32:] == bytes(32)
        for other in set(KeyBinding) - {binding}:
            with pytest.raises(VerificationError):
                check_key_binding(certificate, binding=other, report_data=found.quote.body.report_data)
        bound += 1
    print(
        f"\npublished RA-TLS certificates: {len(files)} read, {bound} of them with a bound key",
        file=sys.stderr,
    )
    assert bound == 2
