"""One comparison that all checks of a receipt use."""

from sealroom.core.errors import VerificationError


def check_same(field: str, got: bytes, expected: bytes) -> None:
    """Refuse a public value that is not the expected one; both are named, for neither is a secret."""
    if got != expected:
        raise VerificationError(f"{field}: got {got.hex()}, expected {expected.hex()}")
