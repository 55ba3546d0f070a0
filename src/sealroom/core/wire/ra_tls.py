"""How a quote binds a TLS key, and the evidence that says so inside a certificate.

Both sides call this: the enclave before it asks for a quote, the verifier afterwards. The forms are those of
other projects, so their digests have no label of ours. Must never choose a binding: the caller names it.

Spec: docs/spec/ra-tls.md.
"""

import enum
import hashlib
from dataclasses import dataclass

from sealroom.core.errors import VerificationError

CALLER_DATA_BYTES = 32
EVIDENCE_TAG = 60_000
PUBKEY_HASH = "pubkey-hash"

# SEQUENCE of id-ecPublicKey and prime256v1, of id-ecPublicKey and secp384r1, of rsaEncryption and NULL.
_P256 = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
_P384 = bytes.fromhex("301006072a8648ce3d020106052b81040022")
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")


class KeyBinding(enum.Enum):
    """What of a public key is hashed into the first half of a quote's report data."""

    UNCOMPRESSED_POINT = "uncompressed-point"
    SUBJECT_PUBLIC_KEY_INFO = "subject-public-key-info"
    RSA_PUBLIC_KEY = "rsa-public-key"
    CLAIMS_BUFFER = "claims-buffer"


class EvidenceForm(enum.Enum):
    """Which extension of a certificate carries the quote, and how."""

    SGX_QUOTE = "sgx-quote"
    GRAMINE_LEGACY = "gramine-legacy"
    TAGGED_EVIDENCE = "tagged-evidence"

    @property
    def identifier(self) -> bytes:
        """The content of the extension's OBJECT IDENTIFIER."""
        return _IDENTIFIERS[self]


_SGX_QUOTE = bytes.fromhex("2a864886f84d8a3906")  # 1.2.840.113741.1337.6
_IDENTIFIERS = {
    EvidenceForm.SGX_QUOTE: _SGX_QUOTE,
    # Gramine puts the header of the identifier into its content: kept by it for compatibility, and so by us.
    EvidenceForm.GRAMINE_LEGACY: bytes((0x06, len(_SGX_QUOTE))) + _SGX_QUOTE,
    EvidenceForm.TAGGED_EVIDENCE: bytes.fromhex("678105050409"),  # 2.23.133.5.4.9
}


class KeyAlgorithm(enum.Enum):
    """The kinds of TLS key, as the AlgorithmIdentifier in DER."""

    P256 = _P256
    P384 = _P384
    RSA = _RSA


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateKey:
    """A public key: `info` is its DER SubjectPublicKeyInfo, `content` what the BIT STRING in it holds."""

    algorithm: KeyAlgorithm
    info: bytes
    content: bytes


def report_data_of_key(
    binding: KeyBinding,
    key: CertificateKey,
    *,
    claims_buffer: bytes | None,
    caller_data: bytes = bytes(CALLER_DATA_BYTES),
) -> bytes:
    """Return the 64 bytes of report data that bind `key`.

    `claims_buffer` is there for that binding and for no other. `caller_data` fills the second half, which
    only `UNCOMPRESSED_POINT` leaves to the enclave. Raises `VerificationError` for a key, or a form of
    evidence, that the binding does not fit.
    """
    if len(caller_data) != CALLER_DATA_BYTES:
        raise ValueError(f"caller data: {len(caller_data)} bytes, expected {CALLER_DATA_BYTES}")
    if binding is not KeyBinding.UNCOMPRESSED_POINT and any(caller_data):
        raise ValueError(f"caller data: the binding {binding.value} has no room for it")
    message = _bound_bytes(binding, key, claims_buffer)
    return hashlib.sha256(message).digest() + caller_data


def make_claims_buffer(key: CertificateKey) -> bytes:
    """Return the claims buffer that names `key` by SHA-256 and makes no other claim."""
    digest = hashlib.sha256(key.info).digest()
    named = b"\x82\x01" + _head(2, len(digest)) + digest
    return b"\xa1" + _head(3, len(PUBKEY_HASH)) + PUBKEY_HASH.encode() + _head(2, len(named)) + named


def make_tagged_evidence(quote: bytes, claims_buffer: bytes) -> bytes:
    """Return quote and claims buffer as the value of the tagged-evidence extension."""
    items = (_head(2, len(item)) + item for item in (quote, claims_buffer))
    return _head(6, EVIDENCE_TAG) + b"\x82" + b"".join(items)


def _bound_bytes(binding: KeyBinding, key: CertificateKey, claims_buffer: bytes | None) -> bytes:
    if (binding is KeyBinding.CLAIMS_BUFFER) is not (claims_buffer is not None):
        raise VerificationError(f"key binding: {binding.value} does not go with this form of evidence")
    is_rsa = key.algorithm is KeyAlgorithm.RSA
    match binding:
        case KeyBinding.UNCOMPRESSED_POINT if not is_rsa:
            return key.content
        case KeyBinding.RSA_PUBLIC_KEY if is_rsa:
            return key.content
        case KeyBinding.SUBJECT_PUBLIC_KEY_INFO:
            return key.info
        case KeyBinding.CLAIMS_BUFFER if claims_buffer is not None:
            return claims_buffer
    raise VerificationError(f"key binding: {binding.value} does not fit a key of {key.algorithm.name}")


def _head(kind: int, number: int) -> bytes:
    """Return the head of a CBOR item (RFC 8949, 3) in its shortest form."""
    if number < 24:
        return bytes((kind << 5 | number,))
    size = next(size for size in (1, 2, 4, 8) if number < 1 << 8 * size)
    return bytes((kind << 5 | 23 + size.bit_length(),)) + number.to_bytes(size, "big")
