"""Signing the enclave's receipt: an opening and a closing, or a refusal.

The identity key signs one statement in its life, an opening or a refusal, and is wiped by the signing
itself; so no order of calls can make an enclave sign both. Verifying is core.evidence's. Spec:
docs/spec/receipt.md.
"""

from __future__ import annotations

from sealroom.core.sealing.enclave_keys import IdentityKey, RunKey
from sealroom.core.sealing.keys import SigningKey
from sealroom.core.wire.dsse import Envelope, pae
from sealroom.core.wire.receipt import Refusal
from sealroom.core.wire.receipt_closing import Closing
from sealroom.core.wire.receipt_opening import Opening


def sign_opening(opening: Opening, *, identity_key: IdentityKey) -> Envelope:
    """Sign the opening before any foreign code runs, and wipe the identity key.

    Raises `ValueError` when the opening names another identity.
    """
    _check_names(opening.identity_pk, identity_key)
    return _sign_and_wipe(opening.to_statement(), identity_key)


def sign_closing(closing: Closing, *, run_key: RunKey) -> Envelope:
    """Sign the closing with the key that the opening named, and wipe it: one run has one closing."""
    return _sign_and_wipe(closing.to_statement(), run_key)


def sign_refusal(refusal: Refusal, *, identity_key: IdentityKey) -> Envelope:
    """Sign a refusal instead of an opening, after every other secret was wiped, and wipe the identity key.

    Raises `ValueError` when the refusal names another identity.
    """
    _check_names(refusal.identity_pk, identity_key)
    return _sign_and_wipe(refusal.to_statement(), identity_key)


def _check_names(named: bytes, key: IdentityKey) -> None:
    if named != key.public_key:
        raise ValueError("receipt: names another identity key than the one that signs it")


def _sign_and_wipe(payload: bytes, key: SigningKey) -> Envelope:
    signature = key.sign(pae(payload))
    key.wipe()
    return Envelope(payload=payload, signature=signature)
