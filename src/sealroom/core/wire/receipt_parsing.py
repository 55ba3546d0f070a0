"""Reading what an enclave signed: opening, closing, refusal, each from a verified payload.

Spec: docs/spec/receipt.md.
Must never be given a payload before the envelope's signature was verified.
"""

import re
from datetime import UTC, datetime

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.arguments import MAX_ARGUMENTS_BYTES
from sealroom.core.wire.byte_fields import DIGEST_SIZE, KEY_SIZE, SIGNATURE_SIZE, parse_choice
from sealroom.core.wire.delivery import STATEMENT_SIZE, RefusalReason, Statement
from sealroom.core.wire.dsse import MAX_PAYLOAD_BYTES
from sealroom.core.wire.in_toto import STATEMENT_TYPE, Subject
from sealroom.core.wire.names import MAX_NAME_BYTES, MAX_PATH_BYTES
from sealroom.core.wire.participants import MAX_PARTICIPANTS, Role
from sealroom.core.wire.receipt import REFUSAL_TYPE, Refusal
from sealroom.core.wire.receipt_closing import (
    CLOSING_TYPE,
    LOG_SUBJECT,
    MAX_LINE,
    TIME_FORMAT,
    Closing,
    Failure,
    Outcome,
    OutputRecord,
)
from sealroom.core.wire.receipt_opening import (
    MAX_SLOTS,
    MAX_TOTAL_INPUTS,
    OPENING_TYPE,
    InputRecord,
    Opening,
    ParticipantRecord,
)
from sealroom.core.wire.strict_json import JsonValue
from sealroom.core.wire.terms import DeliveryForm, Tee, parse_computation

MAX_SUBJECTS = 32 * 1024
_STATEMENT_MEMBERS = ("_type", "subject", "predicateType", "predicate")
_OPENING_MEMBERS = (
    "tee",
    "delivery",
    "computation",
    "agreement",
    "arguments",
    "mrenclave",
    "identity_pk",
    "box_pk",
    "run_key",
    "participants",
    "inputs",
    "code",
    "packages",
)
_PARTICIPANT_MEMBERS = ("role", "index", "statement", "box_sha256", "signature")
_INPUT_MEMBERS = ("provider", "name", "size", "sha256")
_CLOSING_MEMBERS = (
    "opening_sha256",
    "outcome",
    "exit_code",
    "host_started",
    "host_ended",
    "bytes_out",
    "bytes_log",
    "failure",
)
_REFUSAL_MEMBERS = ("agreement", "mrenclave", "identity_pk", "reason")
_TIME_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_RESULT = re.compile(r"results/(0|[1-9][0-9]{0,2})/([^/]+)")


def parse_opening(payload: bytes) -> Opening:
    """Read a verified payload; raises `MalformedError` for anything but its one encoding."""
    _, predicate = _decode_statement(payload, kind=OPENING_TYPE)
    value = dict(
        zip(_OPENING_MEMBERS, strict_json.members(predicate, _OPENING_MEMBERS, field="opening"), strict=True)
    )
    participants = strict_json.array(value["participants"], field="participants", max_items=MAX_SLOTS)
    inputs = strict_json.array(value["inputs"], field="inputs", max_items=MAX_TOTAL_INPUTS)
    opening = Opening(
        tee=parse_choice(Tee, strict_json.text(value["tee"], field="tee"), field="tee"),
        delivery=parse_choice(
            DeliveryForm, strict_json.text(value["delivery"], field="delivery"), field="delivery"
        ),
        computation=parse_computation(strict_json.text(value["computation"], field="computation")),
        agreement=_digest(value["agreement"], "agreement"),
        arguments=strict_json.base64_bytes(
            value["arguments"], field="arguments", max_bytes=MAX_ARGUMENTS_BYTES
        ),
        mrenclave=_digest(value["mrenclave"], "mrenclave"),
        identity_pk=_digest(value["identity_pk"], "identity_pk"),
        box_pk=_digest(value["box_pk"], "box_pk"),
        run_key=_digest(value["run_key"], "run_key"),
        participants=tuple(_parse_participant(item) for item in participants),
        inputs=tuple(_parse_input(item) for item in inputs),
        code=_digest(value["code"], "code"),
        packages=_digest(value["packages"], "packages"),
    )
    strict_json.check_canonical(payload, opening.to_statement(), field="opening")
    return opening


def parse_closing(payload: bytes) -> Closing:
    """Read a verified payload; raises `MalformedError` for anything but its one encoding."""
    subjects, predicate = _decode_statement(payload, kind=CLOSING_TYPE)
    value = dict(
        zip(_CLOSING_MEMBERS, strict_json.members(predicate, _CLOSING_MEMBERS, field="closing"), strict=True)
    )
    has_log = len(subjects) > 1 and subjects[-1].name == LOG_SUBJECT
    results = subjects[1:-1] if has_log else subjects[1:]
    closing = Closing(
        agreement=subjects[0].sha256,
        opening_sha256=strict_json.hex_bytes(
            value["opening_sha256"], field="opening_sha256", size=DIGEST_SIZE
        ),
        outcome=parse_choice(Outcome, strict_json.text(value["outcome"], field="outcome"), field="outcome"),
        exit_code=strict_json.integer(value["exit_code"], field="exit_code", maximum=1),
        host_started=_parse_time(value["host_started"], field="host_started"),
        host_ended=_parse_time(value["host_ended"], field="host_ended"),
        bytes_out=strict_json.integer(value["bytes_out"], field="bytes_out"),
        bytes_log=strict_json.integer(value["bytes_log"], field="bytes_log"),
        failure=None if value["failure"] is None else _parse_failure(value["failure"]),
        outputs=tuple(_parse_output(subject) for subject in results),
        log_sha256=subjects[-1].sha256 if has_log else None,
    )
    strict_json.check_canonical(payload, closing.to_statement(), field="closing")
    return closing


def parse_refusal(payload: bytes) -> Refusal:
    """Read a verified payload; raises `MalformedError` for anything but its one encoding."""
    _, predicate = _decode_statement(payload, kind=REFUSAL_TYPE)
    agreement, mrenclave, identity_pk, reason = strict_json.members(
        predicate, _REFUSAL_MEMBERS, field="refusal"
    )
    refusal = Refusal(
        agreement=strict_json.hex_bytes(agreement, field="agreement", size=DIGEST_SIZE),
        mrenclave=strict_json.hex_bytes(mrenclave, field="mrenclave", size=DIGEST_SIZE),
        identity_pk=strict_json.hex_bytes(identity_pk, field="identity_pk", size=KEY_SIZE),
        reason=parse_choice(RefusalReason, strict_json.text(reason, field="reason"), field="reason"),
    )
    strict_json.check_canonical(payload, refusal.to_statement(), field="refusal")
    return refusal


def _decode_statement(payload: bytes, *, kind: str) -> tuple[tuple[Subject, ...], JsonValue]:
    """Return subjects and predicate of a statement of this `kind`; the caller compares the encoding."""
    value = strict_json.decode_json(payload, field="statement", max_bytes=MAX_PAYLOAD_BYTES)
    statement_type, subjects, predicate_type, predicate = strict_json.members(
        value, _STATEMENT_MEMBERS, field="statement"
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


def _parse_participant(value: JsonValue) -> ParticipantRecord:
    role, index, statement, box_sha256, signature = strict_json.members(
        value, _PARTICIPANT_MEMBERS, field="participant"
    )
    return ParticipantRecord(
        role=parse_choice(Role, strict_json.text(role, field="role"), field="role"),
        index=strict_json.integer(index, field="participant index", maximum=MAX_PARTICIPANTS - 1),
        statement=Statement.from_bytes(
            strict_json.hex_bytes(statement, field="statement", size=STATEMENT_SIZE)
        ),
        box_sha256=_digest(box_sha256, "box_sha256"),
        signature=strict_json.hex_bytes(signature, field="signature", size=SIGNATURE_SIZE),
    )


def _parse_input(value: JsonValue) -> InputRecord:
    provider, name, size, digest = strict_json.members(value, _INPUT_MEMBERS, field="input")
    return InputRecord(
        provider=strict_json.integer(provider, field="input provider", maximum=MAX_PARTICIPANTS - 1),
        name=strict_json.text(name, field="input name", max_chars=MAX_NAME_BYTES),
        size=strict_json.integer(size, field="input size"),
        sha256=_digest(digest, "input sha256"),
    )


def _parse_time(value: JsonValue, *, field: str) -> datetime:
    moment = strict_json.text(value, field=field, max_chars=20)
    if _TIME_TEXT.fullmatch(moment) is None:
        raise MalformedError(f"{field}: expected YYYY-MM-DDTHH:MM:SSZ")
    try:
        return datetime.strptime(moment, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError as exc:
        raise MalformedError(f"{field}: no such time") from exc


def _parse_failure(value: JsonValue) -> Failure:
    kind, file, line = strict_json.members(value, ("type", "file", "line"), field="failure")
    return Failure(
        type=strict_json.text(kind, field="failure type"),
        file=strict_json.text(file, field="failure file", max_chars=MAX_PATH_BYTES),
        line=strict_json.integer(line, field="failure line", maximum=MAX_LINE),
    )


def _parse_output(subject: Subject) -> OutputRecord:
    parts = _RESULT.fullmatch(subject.name)
    if parts is None:
        raise MalformedError("results: expected subjects named results/<consumer>/<name>")
    return OutputRecord(consumer=int(parts[1]), name=parts[2], sha256=subject.sha256)


def _digest(value: JsonValue, field: str) -> bytes:
    return strict_json.hex_bytes(value, field=field, size=KEY_SIZE)
