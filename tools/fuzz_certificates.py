"""Throw changed RA-TLS certificates, tagged evidence, attestation tokens and key sets at their readers.

    python tools/fuzz_certificates.py --count 1000000 --seed 1

The rules are those of tools/fuzz_evidence.py, and two more: a changed certificate passes only as what the
genuine one says, and a changed token never passes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from fuzz_evidence import BrokenRuleError, Target, parse_options, run

from sealroom.adapters.policies import load_policy
from sealroom.core.attestation.maa import verify_maa_token
from sealroom.core.attestation.maa_keys import parse_key_set
from sealroom.core.attestation.ratls import parse_ratls_certificate
from sealroom.core.attestation.web_token import encode_base64url, parse_web_token
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.certificate import SimulatedKey, insecure_verify_simulated_certificate
from sealroom.core.wire.ra_tls import (
    EvidenceForm,
    KeyBinding,
    make_claims_buffer,
    make_tagged_evidence,
    report_data_of_key,
)
from sealroom.core.wire.ra_tls_certificate import CertificateFields, make_certificate, p256_key
from sealroom.insecure.collateral import make_collateral
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QuotingEnclave, ReportBody

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ISSUER = "https://fuzz.attest.azure.net"
PAIRS = (
    (KeyBinding.UNCOMPRESSED_POINT, EvidenceForm.SGX_QUOTE),
    (KeyBinding.SUBJECT_PUBLIC_KEY_INFO, EvidenceForm.GRAMINE_LEGACY),
    (KeyBinding.CLAIMS_BUFFER, EvidenceForm.TAGGED_EVIDENCE),
)
FIELDS = CertificateFields(
    common_name="fuzz",
    dns_names=("fuzz.test",),
    serial=7,
    not_before=NOW - timedelta(days=1),
    not_after=NOW + timedelta(days=1),
)


def certificate(pki: SimulationPki, binding: KeyBinding, form: EvidenceForm) -> bytes:
    private = ec.generate_private_key(ec.SECP256R1())
    key = p256_key(
        private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
    )
    claims = make_claims_buffer(key) if form is EvidenceForm.TAGGED_EVIDENCE else None
    report_data = report_data_of_key(binding, key, claims_buffer=claims)
    quote = QuotingEnclave(pki).quote(ReportBody(mrenclave=bytes(range(32)), report_data=report_data))
    evidence = quote if claims is None else make_tagged_evidence(quote, claims)
    return make_certificate(
        FIELDS,
        key=key,
        form=form,
        evidence=evidence,
        sign=lambda m: private.sign(m, ec.ECDSA(hashes.SHA256())),
    )


def certificate_targets() -> list[Target]:
    pki = SimulationPki.generate(now=NOW)
    collateral = json.dumps(make_collateral(pki, now=NOW)).encode()
    policy = load_policy("insecure-any-status")
    raws = tuple(certificate(pki, binding, form) for binding, form in PAIRS)

    def verified(raw: bytes, binding: KeyBinding) -> SimulatedKey:
        return insecure_verify_simulated_certificate(
            raw, collateral, binding=binding, policy=policy, roots=(), now=NOW
        )

    def appraised(raw: bytes, binding: KeyBinding) -> Callable[[bytes], str]:
        genuine = verified(raw, binding)

        def run(changed: bytes) -> str:
            try:
                found = verified(changed, binding)
            except VerificationError:
                return "refused"
            if (found.key, found.verdict) != (genuine.key, genuine.verdict):
                raise BrokenRuleError("a changed certificate passed as another one")
            return "passed"

        return run

    parsed = Target(name="certificate", weight=40, inputs=raws, run=parse_ratls_certificate)
    return [parsed] + [
        Target(name=f"appraise {form.value}", weight=1, inputs=(raw,), run=appraised(raw, binding))
        for raw, (binding, form) in zip(raws, PAIRS, strict=True)
    ]


def token_targets() -> list[Target]:
    private = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fuzz")])
    signer = x509.CertificateBuilder(
        name, name, private.public_key(), 7, FIELDS.not_before, FIELDS.not_after
    ).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    der = signer.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    key_set = json.dumps({"keys": [{"kid": "1", "kty": "RSA", "x5c": [base64.b64encode(der).decode()]}]})
    keys = parse_key_set(key_set.encode())

    def signed(head: bytes, payload: bytes) -> bytes:
        message = encode_base64url(head) + b"." + encode_base64url(payload)
        signature = private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return message + b"." + encode_base64url(signature)

    def accepted(token: bytes) -> object:
        return verify_maa_token(token, keys=keys, issuer=ISSUER, leeway=timedelta(0), now=NOW)

    def changed_token(changed: bytes) -> str:
        try:
            accepted(changed)
        except VerificationError:
            return "refused"
        raise BrokenRuleError("a changed token passed")

    def changed_payload(changed: bytes) -> str:
        try:
            accepted(signed(header, changed))
        except VerificationError:
            return "refused"
        return "a value"

    header, payload = b'{"alg":"RS256","kid":"1","typ":"JWT"}', json.dumps(claims()).encode()
    token = signed(header, payload)
    accepted(token)
    return [
        Target(name="key set", weight=10, inputs=(key_set.encode(),), run=parse_key_set),
        Target(name="token header", weight=10, inputs=(header,), run=header_reader),
        Target(name="token", weight=20, inputs=(token,), run=changed_token),
        Target(name="payload, signed", weight=4, inputs=(payload,), run=changed_payload),
    ]


def header_reader(changed: bytes) -> str:
    try:
        parse_web_token(encode_base64url(changed) + b".e30.e30")
    except VerificationError:
        return "refused"
    return "a value"


def claims() -> dict[str, object]:
    digest, start = bytes(range(32)), int(NOW.timestamp())
    older = {"sgx-mrenclave": digest.hex(), "sgx-mrsigner": digest.hex(), "is-debuggable": False}
    newer = {f"x-ms-sgx-{name.removeprefix('sgx-')}": value for name, value in older.items()}
    held = b"held"
    return {
        **older,
        **newer,
        "product-id": 1,
        "svn": 2,
        "x-ms-sgx-product-id": 1,
        "x-ms-sgx-svn": 2,
        "tee": "sgx",
        "iss": ISSUER,
        "iat": start,
        "nbf": start,
        "exp": start + 3600,
        "x-ms-ver": "1.0",
        "x-ms-attestation-type": "sgx",
        "x-ms-policy-hash": encode_base64url(digest).decode(),
        "x-ms-sgx-ehd": encode_base64url(held).decode(),
        "x-ms-sgx-report-data": (hashlib.sha256(held).digest() + bytes(32)).hex(),
    }


def main() -> int:
    options = parse_options(__doc__)
    return run([*certificate_targets(), *token_targets()], count=options.count, seed=options.seed)


if __name__ == "__main__":
    sys.exit(main())
