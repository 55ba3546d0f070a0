"""An attestation service in memory: its keys, its key set, and tokens of any content."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ISSUER = "https://instance.test.attest.azure.net"
HELD = b"held by the enclave"
REPORT_DATA = hashlib.sha256(HELD).digest() + bytes(32)
POLICY_HASH = hashlib.sha256(b"a policy").digest()
MRENCLAVE, MRSIGNER = b"\x11" * 32, b"\x22" * 32


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Service:
    def __init__(self, key_id="first", bits=2048):
        self.key_id = key_id
        self.key = rsa.generate_private_key(65537, bits)

    def certificate(self, key=None, start=NOW - timedelta(days=1), end=NOW + timedelta(days=1)):
        key = key or self.key
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ISSUER)])
        built = x509.CertificateBuilder(name, name, key.public_key(), 7, start, end).add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        )
        return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def jwk(self, **changes):
        key = {"kid": self.key_id, "kty": "RSA", "x5c": [base64.b64encode(self.certificate()).decode()]}
        return without_none({**key, **changes})

    def token(self, claims=None, *, header=None, raw_header=None, raw_claims=None):
        header = {
            "alg": "RS256",
            "jku": f"{ISSUER}/certs",
            "kid": self.key_id,
            "typ": "JWT",
            **(header or {}),
        }
        head = json.dumps(without_none(header)).encode() if raw_header is None else raw_header
        body = json.dumps(all_claims(**(claims or {}))).encode() if raw_claims is None else raw_claims
        signed = b64url(head) + b"." + b64url(body)
        return signed + b"." + b64url(self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))


def without_none(members):
    return {name: value for name, value in members.items() if value is not None}


def all_claims(**changes):
    """Return the claims of a token with `changes`; `None` removes a claim, `_` stands for a dash."""
    start = int(NOW.timestamp())
    claims = {
        "iss": ISSUER,
        "iat": start,
        "nbf": start,
        "exp": start + 8 * 3600,
        "jti": "7",
        "x-ms-ver": "1.0",
        "x-ms-attestation-type": "sgx",
        "x-ms-policy-hash": b64url(POLICY_HASH).decode(),
        "x-ms-sgx-mrenclave": MRENCLAVE.hex(),
        "x-ms-sgx-mrsigner": MRSIGNER.hex(),
        "x-ms-sgx-product-id": 3,
        "x-ms-sgx-svn": 4,
        "x-ms-sgx-is-debuggable": False,
        "x-ms-sgx-report-data": REPORT_DATA.hex(),
        "x-ms-sgx-ehd": b64url(HELD).decode(),
    }
    return without_none({**claims, **{name.replace("_", "-"): value for name, value in changes.items()}})


OLDER = {
    "sgx_mrenclave": MRENCLAVE.hex(),
    "sgx_mrsigner": MRSIGNER.hex(),
    "product_id": 3,
    "svn": 4,
    "is_debuggable": False,
    "tee": "sgx",
}
NO_NEWER = {
    f"x_ms_sgx_{name}": None for name in ("mrenclave", "mrsigner", "product_id", "svn", "is_debuggable")
}


def key_set(*keys):
    return json.dumps({"keys": list(keys)}).encode()
