"""One computation's chain, from arguments to receipt, written by hand with hashlib, json and PyNaCl alone.

Nothing of the product makes these bytes; the product has to believe them, and stop when one link is changed.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from nacl.signing import SigningKey

from sealroom.client.receipts import KnownEnclave, verify_record
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.receipt import verify_receipt
from sealroom.core.wire.arguments import parse_arguments
from sealroom.core.wire.enclave import VerifiedEnclave
from sealroom.core.wire.receipt_file import Receipt

IDENTITY, RUN, CODE, DATA, THIEF = (SigningKey(bytes([n]) * 32) for n in range(0x61, 0x66))
UUID = bytes.fromhex("5f1c8a346f0b4f0e9d2c1d6b1f8e7a55")
MRENCLAVE, BOX_PK = b"\x71" * 32, b"\x72" * 32
CONTAINER = b"the sealed bytes of patients.csv"
PEOPLE = (("code-provider", 1, "c@x.example", CODE), ("data-provider", 2, "d@x.example", DATA))


def h(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def public(key: SigningKey) -> bytes:
    return bytes(key.verify_key)


def dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def nul_ended(*items: str) -> bytes:
    return b"".join(item.encode() + b"\0" for item in items)


RUN_PY = b"print()\n"
CODE_DIGEST = h(
    b"sealroom/v1/code\0" + b"\0\0\0\1" + b"\0\6run.py" + len(RUN_PY).to_bytes(8, "big"),
    hashlib.sha256(RUN_PY).digest(),
)
ITEMS = nul_ended(
    "format=1",
    "tee=sgx",
    "delivery=1",
    "computation=5f1c8a34-6f0b-4f0e-9d2c-1d6b1f8e7a55",
    "owner=o@x.example",
    *(f"{role}={email}={public(key).hex()}" for role, _, email, key in PEOPLE),
    "logs=none",
    "max-output-bytes=1000",
    "max-log-bytes=0",
    "max-seconds=60",
    "max-memory=1073741824",
    "entry=run.py",
    f"code={CODE_DIGEST.hex()}",
    f"packages={'00' * 32}",
    f"launch={'0f' * 16}",
)
ARGUMENTS = nul_ended("python3", "-I", "-S", "-B", "/sealroom/start.py") + ITEMS
AGREEMENT = h(b"sealroom/v1/agreement\0", ITEMS)
COMMITMENT = h(
    b"sealroom/v1/inputs\0" + UUID + public(DATA) + b"\0\0\0\1" + b"\0\x0cpatients.csv",
    len(CONTAINER).to_bytes(8, "big") + h(CONTAINER),
)


def participant(role: str, number: int, key: SigningKey) -> dict[str, object]:
    head = AGREEMENT + MRENCLAVE + public(IDENTITY) + BOX_PK + bytes([number]) + public(key)
    statement = head + (COMMITMENT if number == 2 else bytes(32))
    box_sha256 = h(bytes(144))
    message = b"sealroom/v1/delivery\0" + h(b"sealroom/v1/statement\0", statement) + box_sha256
    return {
        "role": role,
        "index": 0,
        "statement": statement.hex(),
        "box_sha256": box_sha256.hex(),
        "signature": key.sign(message).signature.hex(),
    }


def statement(kind: str, subjects: dict[str, bytes], predicate: dict[str, object]) -> bytes:
    listed = {"agreement": AGREEMENT} | subjects
    return dump(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": n, "digest": {"sha256": d.hex()}} for n, d in listed.items()],
            "predicateType": f"urn:sealroom:receipt:{kind}/v1",
            "predicate": predicate,
        }
    )


def envelope(payload: bytes, key: SigningKey) -> dict[str, object]:
    kind = b"application/vnd.in-toto+json"
    signed = key.sign(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)).signature
    signature = {"keyid": "", "sig": b64(signed)}
    return {"payload": b64(payload), "payloadType": kind.decode(), "signatures": [signature]}


def opening() -> dict[str, object]:
    file = {"provider": 0, "name": "patients.csv", "size": len(CONTAINER), "sha256": h(CONTAINER).hex()}
    return {
        "tee": "sgx",
        "delivery": "1",
        "computation": "5f1c8a34-6f0b-4f0e-9d2c-1d6b1f8e7a55",
        "agreement": AGREEMENT.hex(),
        "arguments": b64(ARGUMENTS),
        "mrenclave": MRENCLAVE.hex(),
        "identity_pk": public(IDENTITY).hex(),
        "box_pk": BOX_PK.hex(),
        "run_key": public(RUN).hex(),
        "participants": [participant(role, number, key) for role, number, _, key in PEOPLE],
        "inputs": [file],
        "code": CODE_DIGEST.hex(),
        "packages": "00" * 32,
    }


def closing(opened: bytes) -> dict[str, object]:
    return {
        "opening_sha256": h(opened).hex(),
        "outcome": "succeeded",
        "exit_code": 0,
        "host_started": "2026-03-01T12:00:00Z",
        "host_ended": "2026-03-01T12:00:01Z",
        "bytes_out": 0,
        "bytes_log": 0,
        "failure": None,
    }


def receipt(
    *,
    predicate: dict[str, object] | None = None,
    identity: SigningKey = IDENTITY,
    run: SigningKey = RUN,
    closes: bytes | None = None,
) -> bytes:
    subjects = {"inputs/0/patients.csv": h(CONTAINER)}
    opened = statement("opening", subjects, opening() if predicate is None else predicate)
    closed = statement("closing", {}, closing(opened if closes is None else closes))
    return dump({"opening": envelope(opened, identity), "closing": envelope(closed, run)})


def enclave() -> VerifiedEnclave:
    return VerifiedEnclave(
        arguments=parse_arguments(ARGUMENTS),
        mrenclave=MRENCLAVE,
        identity_pk=public(IDENTITY),
        box_pk=BOX_PK,
        verified_at=datetime(2026, 3, 1, tzinfo=UTC),
        policy_name="test",
        tcb_status="UpToDate",
        advisories=(),
        bundle_sha256=bytes(32),
    )


def test_the_chain_is_believed_by_evidence_and_by_the_journal() -> None:
    raw = receipt()
    assert enclave().arguments.agreement == AGREEMENT
    verified = verify_receipt(raw, enclave=enclave())
    record = verify_record(Receipt.from_bytes(raw), (KnownEnclave.from_enclave(enclave()),))
    assert verified.opening == record.opening
    assert verified.closing == record.closing
    assert record.closing is not None


BROKEN: dict[str, Callable[[], bytes]] = {
    "opening by another key": lambda: receipt(identity=THIEF),
    "closing by another key": lambda: receipt(run=THIEF),
    "closing of another opening": lambda: receipt(closes=b"{}"),
    "a delivery by another key": lambda: receipt(
        predicate=opening()
        | {"participants": [participant("code-provider", 1, CODE), participant("data-provider", 2, THIEF)]}
    ),
    "one participant less": lambda: receipt(
        predicate=opening() | {"participants": [participant("code-provider", 1, CODE)]}
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_wrong_link_breaks_the_chain_for_both(name: str) -> None:
    raw = BROKEN[name]()
    with pytest.raises(VerificationError):
        verify_receipt(raw, enclave=enclave())
    with pytest.raises(VerificationError):
        verify_record(Receipt.from_bytes(raw), (KnownEnclave.from_enclave(enclave()),))
