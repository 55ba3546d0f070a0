"""in-toto Statements v1, as far as receipts need them (docs/spec/receipt.md).

Reading them is `receipt_parsing`'s.
"""

from dataclasses import dataclass

from sealroom.core.wire import strict_json
from sealroom.core.wire.strict_json import JsonValue

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


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
