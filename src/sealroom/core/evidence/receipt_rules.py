"""What every check of a receipt uses: one comparison, and who a receipt is checked against.

Spec: docs/spec/receipt.md, "Verifying".
"""

from typing import Protocol

from sealroom.core.errors import VerificationError
from sealroom.core.wire.arguments import Arguments


class ReceiptSigner(Protocol):
    """An enclave that was verified before: its measurement and its two public keys."""

    @property
    def mrenclave(self) -> bytes:
        """Its measurement."""

    @property
    def identity_pk(self) -> bytes:
        """The key that signs an opening or a refusal."""

    @property
    def box_pk(self) -> bytes:
        """The key that deliveries were sealed to."""


class ContractSigner(ReceiptSigner, Protocol):
    """Such an enclave, and the contract that was measured into it."""

    @property
    def arguments(self) -> Arguments:
        """The measured arguments."""


def check_same(field: str, got: bytes, expected: bytes) -> None:
    """Refuse a public value that is not the expected one; both are named, for neither is a secret."""
    if got != expected:
        raise VerificationError(f"{field}: got {got.hex()}, expected {expected.hex()}")
