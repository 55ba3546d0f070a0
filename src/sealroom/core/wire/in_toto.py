"""in-toto Statements v1, as far as receipts need them (docs/spec/receipt.md).

Must never be parsed before the envelope's signature was verified.
"""

from dataclasses import dataclass

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.byte_fields import DIGEST_SIZE
from sealroom.core.wire.dsse import MAX_PAYLOAD_BYTES
from sealroom.core.wire.strict_json import JsonValue

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MAX_SUBJECTS = 32 * 1024
_MEMBERS = ("_type", "subject", "predicateType", "predicate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One thing that a statement is about, by digest."""

    name: str
    sha256: bytes


def agreement_subject(agreement: bytes) -> Subject:
    """Return the first subject of every statement: the contract it belongs to."""
    return Subject(name="agreement", sha256=agreement)


def encode_statement(*, subjects: tuple[Subject, ...], kind: str, predicate: JsonValue) -> bytes:
    """Serialise a statement in its one encoding."""
    return strict_json.encode_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": subject.name, "digest": {"sha256": subject.sha256.hex()}} for subject in subjects
            ],
            "predicateType": kind,
            "predicate": predicate,
        }
    )


def decode_statement(payload: bytes, *, kind: str) -> tuple[tuple[Subject, ...], JsonValue]:
    """Return subjects and predicate of a statement of this `kind`; the caller compares the encoding."""
    value = strict_json.decode_json(payload, field="statement", max_bytes=MAX_PAYLOAD_BYTES)
    statement_type, subjects, predicate_type, predicate = strict_json.members(
        value, _MEMBERS, field="statement"
    )
    if statement_type != STATEMENT_TYPE:
        raise MalformedError(f"_type: expected {STATEMENT_TYPE}")
    if predicate_type != kind:
        raise MalformedError(f"predicateType: expected {kind}")
    items = strict_json.array(subjects, field="subject", max_items=MAX_SUBJECTS)
    if not items:
        raise MalformedError("subject: expected at least the agreement")
    return tuple(_parse_subject(item) for item in items), predicate


def _parse_subject(value: JsonValue) -> Subject:
    name, digests = strict_json.members(value, ("name", "digest"), field="subject")
    (digest,) = strict_json.members(digests, ("sha256",), field="subject digest")
    return Subject(
        name=strict_json.text(name, field="subject name"),
        sha256=strict_json.hex_bytes(digest, field="subject sha256", size=DIGEST_SIZE),
    )
