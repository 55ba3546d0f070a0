"""Our envelopes and receipts, read and verified by an implementation that is not ours: both always agree."""

import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey
from securesystemslib.dsse import Envelope as TheirEnvelope

from sealroom.core.errors import SealroomError
from sealroom.core.sealing.enclave_keys import IdentityKey, RunKey
from sealroom.core.sealing.receipt import sign_closing, sign_opening, sign_refusal
from sealroom.core.wire.dsse import Envelope, pae
from sealroom.core.wire.dsse_verification import parse_envelope, verify_envelope
from sealroom.core.wire.receipt import Closing, Opening, Refusal
from sealroom.core.wire.receipt_file import Receipt
from sealroom.core.wire.receipt_parsing import parse_closing, parse_opening, parse_refusal
from second_opinion import envelopes, statement, subjects

FOLDER = Path(__file__).parent / "wire"
ENVELOPES = sorted(path.name for path in FOLDER.glob("envelope-*"))
KINDS = {"opening": parse_opening, "closing": parse_closing, "refusal": parse_refusal}
# What we refuse and they take: room that DSSE and JSON leave, and our one encoding does not; and a public key
# that everybody can sign with, which OpenSSL takes and libsodium refuses.
STRICTER = {"envelope-member-unknown", "envelope-small-order", "envelope-space"}


def ours(envelope: dict[str, Any], public_key: bytes) -> bytes | None:
    raw = json.dumps(envelope, separators=(",", ":")).encode()
    try:
        return verify_envelope(parse_envelope(raw), public_key=public_key)
    except SealroomError:
        return None


@pytest.mark.parametrize("name", ENVELOPES)
def test_they_take_what_we_take_and_refuse_what_we_refuse_but_where_we_are_stricter(name: str) -> None:
    case = FOLDER / name
    public_key = bytes.fromhex((case / "public_key").read_text())
    accepted = "layer: accept" in (case / "expect").read_text()
    try:
        theirs = statement(json.loads((case / "input").read_bytes()), public_key) is not None
    except (KeyError, ValueError, AssertionError):
        theirs = False
    assert theirs is (accepted or name in STRICTER)


def signed() -> dict[str, tuple[dict[str, Any], bytes]]:
    """Each kind, signed by our own code with a new key: the envelope as it is written, and that key."""
    found = {}
    for kind, parse in KINDS.items():
        value = parse((FOLDER / f"{kind}-whole" / "input").read_bytes())
        key = RunKey.generate() if kind == "closing" else IdentityKey.generate()
        public_key = key.public_key
        found[kind] = (_sign(value, key).to_value(), public_key)
    return found


def _sign(value: Opening | Closing | Refusal, key: IdentityKey | RunKey) -> Envelope:
    if isinstance(value, Closing):
        assert isinstance(key, RunKey)
        return sign_closing(value, run_key=key)
    assert isinstance(key, IdentityKey)
    # A value names its signer: here, the key that was just made.
    fields = {name: getattr(value, name) for name in type(value).__dataclass_fields__}
    named = type(value)(**{**fields, "identity_pk": key.public_key})
    if isinstance(named, Opening):
        return sign_opening(named, identity_key=key)
    return sign_refusal(named, identity_key=key)


@pytest.mark.parametrize("kind", KINDS)
def test_they_verify_what_our_enclave_code_signs(kind: str) -> None:
    envelope, public_key = signed()[kind]
    found = statement(envelope, public_key)
    assert found is not None
    assert found["predicateType"] == f"urn:sealroom:receipt:{kind}/v1"
    assert next(iter(subjects(found))) == "agreement"
    assert ours(envelope, public_key) == base64.b64decode(envelope["payload"])


@pytest.mark.parametrize("kind", KINDS)
def test_what_they_sign_over_our_payload_is_what_we_sign(kind: str) -> None:
    payload = (FOLDER / f"{kind}-whole" / "input").read_bytes()
    theirs = TheirEnvelope(payload, "application/vnd.in-toto+json", {})
    assert theirs.pae() == pae(payload)
    key = SigningKey(b"\x33" * 32)
    signature = key.sign(theirs.pae()).signature
    assert (
        verify_envelope(Envelope(payload=payload, signature=signature), public_key=bytes(key.verify_key))
        == payload
    )


def _flip(text: str) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[len(raw) // 2] ^= 1
    return base64.b64encode(bytes(raw)).decode()


def _changed(envelope: dict[str, Any], what: str) -> dict[str, Any]:
    changed = copy.deepcopy(envelope)
    if what == "payload":
        changed["payload"] = _flip(changed["payload"])
    elif what == "type":
        changed["payloadType"] = "application/vnd.in-toto+JSON"
    else:
        changed["signatures"][0]["sig"] = _flip(changed["signatures"][0]["sig"])
    return changed


@pytest.mark.parametrize("what", ["payload", "type", "signature"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_changed_bit_is_refused_by_both(kind: str, what: str) -> None:
    envelope, public_key = signed()[kind]
    changed = _changed(envelope, what)
    assert statement(changed, public_key) is None
    assert ours(changed, public_key) is None


@pytest.mark.parametrize("kind", KINDS)
def test_another_key_is_refused_by_both(kind: str) -> None:
    envelope, _ = signed()[kind]
    other = bytes(SigningKey.generate().verify_key)
    assert statement(envelope, other) is None
    assert ours(envelope, other) is None


def test_a_receipts_file_is_envelopes_that_they_can_read() -> None:
    for case, names in (
        ("receipt-whole", {"opening", "closing"}),
        ("receipt-no-closing", {"opening"}),
        ("receipt-refusal", {"refusal"}),
    ):
        raw = (FOLDER / case / "input").read_bytes()
        Receipt.from_bytes(raw)
        found = envelopes(raw)
        assert set(found) == names
        for envelope in found.values():
            assert TheirEnvelope.from_dict(copy.deepcopy(envelope)).payload
