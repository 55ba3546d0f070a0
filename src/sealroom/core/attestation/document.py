"""Signed JSON documents of the provisioning service: what TCB info and QE identity have in common.

The signature is over the bytes received and comes first; only then is anything inside read.
Specification: docs/spec/collateral.md, "TCB info and QE identity".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation.chain import CertificateChain
from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.signatures import verify_raw_signature
from sealroom.core.attestation.tcb_status import TcbStatus, parse_tcb_status
from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.strict_json import JsonValue

MAX_DOCUMENT_BYTES = 262_144
MAX_LEVELS = 256
_MAX_ADVISORIES = 256
_MAX_ADVISORY_CHARS = 64
_MAX_SVN = 0xFFFF
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)

JsonObject = dict[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDocument:
    """A document as received, its signature and the chain of who signed it; nothing believed."""

    raw: bytes
    signature: bytes
    chain: CertificateChain


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """When a document was issued, until when it is good, and its place in Intel's sequence of evaluations."""

    issue_date: datetime
    next_update: datetime
    evaluation_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a document says of one level."""

    status: TcbStatus
    tcb_date: datetime
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IsvLevel:
    """A level that is reached by one security version number: of a QE or of a TDX module."""

    isv_svn: int
    judgement: Judgement


def open_document(document: SignedDocument, *, name: str, memo: Memo | None = None) -> JsonObject:
    """Verify the signature over `document` by its chain's leaf, then read it as a JSON object."""
    verify_raw_signature(
        document.chain.leaf.public_key,
        message=document.raw,
        signature=document.signature,
        name=name,
        memo=memo,
    )
    return read_document(document, name=name)


def read_document(document: SignedDocument, *, name: str) -> JsonObject:
    """Read `document` as a JSON object, whoever may have signed it."""
    value = strict_json.decode_json(document.raw, field=name, max_bytes=MAX_DOCUMENT_BYTES)
    if not isinstance(value, dict):
        raise MalformedError(f"{name}: not a JSON object")
    return value


def member(source: JsonObject, key: str) -> JsonValue:
    """Return the member `key`, which must be there."""
    if key not in source:
        raise MalformedError(f"{key}: missing")
    return source[key]


def object_member(source: JsonObject, key: str) -> JsonObject:
    """Return the member `key` as an object."""
    value = member(source, key)
    if not isinstance(value, dict):
        raise MalformedError(f"{key}: expected an object")
    return value


def objects(value: JsonValue, *, field: str, max_items: int = MAX_LEVELS) -> list[JsonObject]:
    """Return `value` as an array of objects."""
    items: list[JsonObject] = []
    for item in strict_json.array(value, field=field, max_items=max_items):
        if not isinstance(item, dict):
            raise MalformedError(f"{field}: expected an array of objects")
        items.append(item)
    return items


def text_member(source: JsonObject, key: str) -> str:
    """Return the member `key` as a short text."""
    return strict_json.text(member(source, key), field=key, max_chars=256)


def number_member(source: JsonObject, key: str, *, maximum: int = _MAX_SVN) -> int:
    """Return the member `key` as a number from 0 to `maximum`."""
    return strict_json.integer(member(source, key), field=key, maximum=maximum)


def hex_member(source: JsonObject, key: str, *, size: int) -> bytes:
    """Return the member `key` as `size` bytes; Intel writes either case."""
    return parse_hex(text_member(source, key), size=size, field=key)


def parse_hex(text: str, *, size: int | None, field: str) -> bytes:
    """Read `text` as hexadecimal of either case, of `size` bytes if that is given."""
    try:
        raw = bytes.fromhex(text)
    except ValueError as exc:
        raise MalformedError(f"{field}: {_not_bytes(size)}") from exc
    # White space, which `fromhex` leaves out, makes the text longer than its bytes.
    if len(text) != 2 * (len(raw) if size is None else size) or len(text) != 2 * len(raw):
        raise MalformedError(f"{field}: {_not_bytes(size)}")
    return raw


def _not_bytes(size: int | None) -> str:
    return f"not {'' if size is None else size} bytes in hexadecimal"


def time_member(source: JsonObject, key: str) -> datetime:
    """Return the member `key` as an instant, written `YYYY-MM-DDThh:mm:ssZ`."""
    text = text_member(source, key)
    if not _TIME.fullmatch(text):
        raise MalformedError(f"{key}: not a time of the form YYYY-MM-DDThh:mm:ssZ")
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        raise MalformedError(f"{key}: no such time") from exc


def read_issued(source: JsonObject) -> Issued:
    """Read the dates and the evaluation number of a document."""
    return Issued(
        issue_date=time_member(source, "issueDate"),
        next_update=time_member(source, "nextUpdate"),
        evaluation_number=number_member(source, "tcbEvaluationDataNumber", maximum=0xFFFFFFFF),
    )


def read_judgement(level: JsonObject) -> Judgement:
    """Read status, date and advisories of one level."""
    return Judgement(
        status=parse_tcb_status(text_member(level, "tcbStatus"), name="tcbStatus"),
        tcb_date=time_member(level, "tcbDate"),
        advisories=_advisories(level["advisoryIDs"]) if "advisoryIDs" in level else (),
    )


def _advisories(value: JsonValue) -> tuple[str, ...]:
    listed = strict_json.array(value, field="advisoryIDs", max_items=_MAX_ADVISORIES)
    texts = tuple(advisory for advisory in listed if isinstance(advisory, str))
    if len(texts) != len(listed) or not all(_names_advisory(text) for text in texts):
        raise MalformedError(f"advisoryIDs: expected ASCII texts of at most {_MAX_ADVISORY_CHARS} characters")
    return texts


def _names_advisory(text: str) -> bool:
    # ASCII: what a verdict shows and exports can then be written in any encoding.
    return len(text) <= _MAX_ADVISORY_CHARS and text.isascii()


def read_isv_levels(source: JsonObject) -> tuple[IsvLevel, ...]:
    """Read `tcbLevels` of a QE identity or a TDX module, in the order of the document."""
    return tuple(
        IsvLevel(
            isv_svn=number_member(object_member(level, "tcb"), "isvsvn"), judgement=read_judgement(level)
        )
        for level in objects(member(source, "tcbLevels"), field="tcbLevels")
    )
