"""Ed25519 checks, by libsodium, the same for client, server and enclave.

Must never return a bool: a check that can be overlooked is none. No keys are made here.
"""

from nacl import bindings
from nacl.exceptions import BadSignatureError

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.byte_fields import KEY_SIZE, SIGNATURE_SIZE, check_size


def check_public_key(public_key: bytes, *, field: str = "public key") -> None:
    """Refuse an Ed25519 key that is not a canonical point of the prime-order group.

    Keys of small order would verify signatures that nobody made; a second encoding of one point would let
    one key pass as two.
    """
    check_size(public_key, field=field, size=KEY_SIZE)
    if not bindings.crypto_core_ed25519_is_valid_point(public_key):
        raise MalformedError(f"{field}: not a valid Ed25519 public key")


def verify_ed25519(*, public_key: bytes, message: bytes, signature: bytes, field: str = "signature") -> None:
    """Verify that the holder of `public_key` signed `message`.

    Raises `VerificationError` when not, whatever is wrong with key or signature.
    """
    if len(signature) != SIGNATURE_SIZE:
        raise VerificationError(f"{field}: got {len(signature)} bytes, expected {SIGNATURE_SIZE}")
    try:
        check_public_key(public_key)
        bindings.crypto_sign_open(signature + message, public_key)
    except (BadSignatureError, MalformedError) as exc:
        raise VerificationError(f"{field}: not made by this key over these bytes") from exc
