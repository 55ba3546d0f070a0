"""Who vouches for a chain: Intel's pinned root key, or nobody.

The one place that decides *simulated*: a chain that ends in any key but the pinned one, whatever its
names say. The key is pinned, not a certificate: Intel published two self-signed certificates for it.
Specification: docs/spec/quotes.md, "Certificates".
"""

from __future__ import annotations

import enum
import hashlib
import hmac

INTEL_SGX_ROOT_KEY = bytes.fromhex(
    "04"
    "0ba9c4c0c0c86193a3fe23d6b02cda10a8bbd4e88e48b4458561a36e705525f5"
    "67918e2edc88e40d860bd0cc4ee26aacc988e505a953558c453f6b0904ae7394"
)
"""Public key of "Intel SGX Root CA" as an uncompressed point."""

# SHA-256 of Intel's two self-signed certificates for this key: one good until 2049; the other, in quotes of
# 2019 and 2020, until 2033. Their own signatures hold, which a test verifies where it has the certificates.
_PUBLISHED_ROOTS = frozenset(
    {
        bytes.fromhex("44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"),
        bytes.fromhex("fc64f8076d79a4fee9d1d473d74c89eb8d8fd55c5abafeabeba7366d20429404"),
    }
)

INTEL_QE_VENDOR_ID = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
SIMULATION_QE_VENDOR_ID = b"SEALROOM-NOT-SGX"


class Provenance(enum.Enum):
    """Whose root key a chain of certificates ends in."""

    INTEL = "intel"
    SIMULATED = "simulated"

    @property
    def qe_vendor_id(self) -> bytes:
        """The only QE vendor id that a quote of this provenance may carry."""
        return INTEL_QE_VENDOR_ID if self is Provenance.INTEL else SIMULATION_QE_VENDOR_ID


def is_published_root(certificate: bytes) -> bool:
    """Whether `certificate` is, byte for byte, one of Intel's two root certificates."""
    return hashlib.sha256(certificate).digest() in _PUBLISHED_ROOTS


def provenance_of(root_key: bytes) -> Provenance:
    """Decide by the root's public key, an uncompressed point, whether a chain is Intel's."""
    if hmac.compare_digest(root_key, INTEL_SGX_ROOT_KEY):
        return Provenance.INTEL
    return Provenance.SIMULATED
