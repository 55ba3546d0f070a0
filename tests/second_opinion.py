"""The second opinion on receipts: securesystemslib, in-toto's own implementation of DSSE, and plain `json`.

Nothing of ours takes part in it. It takes an envelope as it stands in a receipt's file, and a public key.
"""

import json
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey


def envelopes(receipt: bytes) -> dict[str, dict[str, Any]]:
    """Return the envelopes of a receipt's file by the name that each stands under."""
    return {name: value for name, value in json.loads(receipt).items() if value is not None}


def statement(envelope: dict[str, Any], public_key: bytes) -> dict[str, Any] | None:
    """Return the in-toto statement that the holder of `public_key` signed, or `None` where nobody did."""
    # Their library matches keys by keyid, ours never: both sides of this key are given the envelope's own.
    parsed = Envelope.from_dict(json.loads(json.dumps(envelope)))
    (keyid,) = parsed.signatures
    key = SSlibKey(keyid=keyid, keytype="ed25519", scheme="ed25519", keyval={"public": public_key.hex()})
    try:
        accepted = parsed.verify([key], threshold=1)
    except VerificationError:
        return None
    assert list(accepted) == [keyid]
    assert parsed.payload_type == "application/vnd.in-toto+json"
    value: dict[str, Any] = json.loads(parsed.payload)
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    return value


def subjects(found: dict[str, Any]) -> dict[str, str]:
    """Return a statement's subjects: digest by name."""
    return {subject["name"]: subject["digest"]["sha256"] for subject in found["subject"]}
