"""Vectors of the published client's delivery, as it stands in the spool (docs/spec/legacy-delivery.md)."""

from collections.abc import Iterator

import sealing_reference as ref
from nacl import bindings
from sealing_container_cases import COMPUTATION, OTHER_COMPUTATION, Case
from sealing_message_cases import DATA, DATA_KEY, EPHEMERAL, FIRST_SEED, PRESHARED, RESULT, SECOND_SEED

IDENTITY_SEED, OTHER_IDENTITY_SEED = b"\x08" * 32, b"\x18" * 32


def box_of(plain: bytes = PRESHARED + DATA_KEY, *, identity: bytes = IDENTITY_SEED) -> bytes:
    public = bindings.crypto_sign_ed25519_pk_to_curve25519(ref.public_of(identity))
    return ref.sealed_box(plain, public, ephemeral=EPHEMERAL)


def delivery(box: bytes, *, signer: bytes = FIRST_SEED, computation: bytes = COMPUTATION.bytes) -> bytes:
    return ref.sign(signer, computation + box) + box


def message(delivered: bytes, *, role: int = DATA, sender: bytes = FIRST_SEED, mark: int = 0) -> bytes:
    return bytes((mark, role)) + ref.public_of(sender) + delivered


def legacy_delivery_cases() -> Iterator[Case]:
    """Make what is refused, and what the form lets pass, with the reason."""

    def case(name: str, layer: str, why: str, raw: bytes) -> Case:
        files = {
            "computation": str(COMPUTATION),
            "identity-seed": IDENTITY_SEED.hex(),
            "preshared-key": PRESHARED.hex(),
            "data-key": DATA_KEY.hex(),
        }
        return Case(
            name=f"legacy-delivery-{name}",
            format="legacy-delivery",
            layer=layer,
            why=why,
            input=raw,
            files=files,
        )

    whole = message(delivery(box_of()))
    yield case("whole", "accept", "Signed by its sender over computation and box.", whole)
    why = "The role is not signed: the server can say another one of the same key."
    yield case("moved-role", "accept", why, message(delivery(box_of()), role=RESULT))
    copied = message(delivery(box_of(), signer=SECOND_SEED), sender=SECOND_SEED)
    why = "The box does not name its sender: a copy that somebody else signs opens, too."
    yield case("copied-box", "accept", why, copied)
    other = delivery(box_of(), computation=OTHER_COMPUTATION.bytes)
    yield case("other-computation", "signature", "It was signed for another computation.", message(other))
    yield case(
        "other-sender",
        "signature",
        "The server names another sender.",
        message(delivery(box_of()), sender=SECOND_SEED),
    )
    changed = bytearray(whole)
    changed[-1] ^= 1
    yield case("changed-box", "signature", "One bit of the box was changed.", bytes(changed))
    foreign = message(delivery(box_of(identity=OTHER_IDENTITY_SEED)))
    yield case("other-enclave", "box-unreadable", "The box is sealed to another enclave.", foreign)
    yield case("cut", "parse", "One octet is missing.", whole[:-1])
    yield case("added", "parse", "One octet is too many.", whole + b"\0")
    yield case("mark", "parse", "The first octet is version 1's.", message(delivery(box_of()), mark=1))
    yield case("role", "parse", "There is no fourth role.", message(delivery(box_of()), role=4))
