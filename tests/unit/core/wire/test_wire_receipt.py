import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest
import wire_samples as samples
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.dsse import PAYLOAD_TYPE, Envelope, pae
from sealroom.core.wire.dsse_verification import parse_envelope, verify_envelope
from sealroom.core.wire.receipt import (
    Failure,
    InputRecord,
    Outcome,
    OutputRecord,
)
from sealroom.core.wire.receipt_file import Receipt
from sealroom.core.wire.receipt_parsing import parse_closing, parse_opening, parse_refusal

PAYLOADS = {
    "opening": (samples.OPENING, parse_opening),
    "closing": (samples.CLOSING, parse_closing),
    "failed closing": (samples.FAILED, parse_closing),
    "refusal": (samples.REFUSAL, parse_refusal),
}
OPENING = samples.sealed(samples.OPENING.to_statement(), samples.ENCLAVE_KEY)
CLOSING = samples.sealed(samples.CLOSING.to_statement(), samples.RUN_KEY)
REFUSAL = samples.sealed(samples.REFUSAL.to_statement(), samples.ENCLAVE_KEY)


def canonical(value) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def test_the_signed_bytes_are_those_of_dsse():
    # The example of DSSE's own specification.
    assert pae(b"hello world", payload_type="http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_envelope_reads_back_and_gives_its_payload_after_verification_alone():
    envelope = parse_envelope(OPENING.to_bytes())
    assert envelope == OPENING
    key = samples.public(samples.ENCLAVE_KEY)
    assert verify_envelope(envelope, public_key=key) == samples.OPENING.to_statement()


@pytest.mark.parametrize(
    "wrong",
    [
        replace(OPENING, payload=OPENING.payload + b" "),
        replace(OPENING, signature=CLOSING.signature),
        replace(OPENING, signature=bytes(64)),
        CLOSING,
    ],
)
def test_refuses_an_envelope_of_another_payload_key_or_signature(wrong):
    with pytest.raises(VerificationError):
        verify_envelope(wrong, public_key=samples.public(samples.ENCLAVE_KEY))


def test_keyid_decides_nothing():
    named = replace(OPENING, keyid="of somebody else")
    assert parse_envelope(named.to_bytes()).keyid == "of somebody else"
    verify_envelope(named, public_key=samples.public(samples.ENCLAVE_KEY))


def envelope_value() -> dict:
    return json.loads(OPENING.to_bytes())


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(payloadType="application/json"),
        lambda v: v.update(signatures=[]),
        lambda v: v.update(signatures=v["signatures"] * 2),
        lambda v: v["signatures"][0].pop("keyid"),
        lambda v: v["signatures"][0].update(cert=""),
        lambda v: v["signatures"][0].update(sig=v["signatures"][0]["sig"].rstrip("=")),
        lambda v: v["signatures"][0].update(sig="AA=="),
        lambda v: v["signatures"][0].update(keyid="x" * 257),
        lambda v: v["signatures"][0].update(keyid=None),
        lambda v: v.update(more=1),
        lambda v: v.update(payload=v["payload"].replace("+", "-").replace("e", "_")),
        lambda v: v.update(payload=1),
    ],
)
def test_refuses_an_envelope_of_another_shape(change):
    value = envelope_value()
    change(value)
    with pytest.raises(MalformedError):
        parse_envelope(canonical(value))


def test_refuses_base64_with_bits_behind_its_end():
    value = json.loads(replace(OPENING, payload=b"A").to_bytes())
    assert value["payload"] == "QQ=="
    value["payload"] = "QR=="
    with pytest.raises(MalformedError):
        parse_envelope(canonical(value))


@pytest.mark.parametrize("raw", [OPENING.to_bytes() + b"\n", b" " + OPENING.to_bytes()])
def test_refuses_white_space_around_an_envelope(raw):
    with pytest.raises(MalformedError):
        parse_envelope(raw)


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_payload_reads_back(kind):
    value, parse = PAYLOADS[kind]
    assert parse(value.to_statement()) == value


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_payload_is_an_in_toto_statement_whose_first_subject_is_the_agreement(kind):
    statement = json.loads(PAYLOADS[kind][0].to_statement())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0] == {
        "name": "agreement",
        "digest": {"sha256": samples.ARGUMENTS.agreement.hex()},
    }


@pytest.mark.parametrize("kind", PAYLOADS)
def test_every_member_of_a_payload_is_needed_in_its_place(kind):
    value, parse = PAYLOADS[kind]
    whole = json.loads(value.to_statement())
    for inner in (False, True):
        for name in whole["predicate"] if inner else whole:
            statement = json.loads(value.to_statement())
            holder = statement["predicate"] if inner else statement
            kept = holder.pop(name)
            with pytest.raises(MalformedError):
                parse(canonical(statement))
            holder[name] = kept
            if canonical(statement) != value.to_statement():
                with pytest.raises(MalformedError):
                    parse(canonical(statement))
            holder["another"] = 1
            with pytest.raises(MalformedError):
                parse(canonical(statement))


@pytest.mark.parametrize("kind", PAYLOADS)
def test_no_payload_passes_as_another_kind(kind):
    value, _ = PAYLOADS[kind]
    for other, (_, parse) in PAYLOADS.items():
        if other.split()[-1] == kind.split()[-1]:
            continue
        with pytest.raises(MalformedError):
            parse(value.to_statement())


OPENING_CHANGES = [
    lambda s: s["subject"].pop(),
    lambda s: s["subject"].reverse(),
    lambda s: s["subject"][0].update(name="Agreement"),
    lambda s: s["subject"][0]["digest"].update(sha512="00"),
    lambda s: s["subject"][1]["digest"].update(sha256="00" * 32),
    lambda s: s.update(subject=[]),
    lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
    lambda s: s["predicate"].update(tee="sev"),
    lambda s: s["predicate"].update(agreement="00" * 31),
    lambda s: s["predicate"].update(arguments="!"),
    lambda s: s["predicate"].update(computation="0f8fad5b-d9cb-169f-a165-70867728950e"),
    lambda s: s["predicate"]["participants"][0].update(role="owner"),
    lambda s: s["predicate"]["participants"][0].update(index=256),
    lambda s: s["predicate"]["participants"][0].update(statement="00" * 193),
    lambda s: s["predicate"]["inputs"][0].update(name="a/b"),
    lambda s: s["predicate"]["inputs"][0].update(size="300"),
    lambda s: s["predicate"].update(inputs=None),
    lambda s: s["predicate"].update(code=None),
]


@pytest.mark.parametrize("change", OPENING_CHANGES)
def test_refuses_an_opening_of_another_shape(change):
    statement = json.loads(samples.OPENING.to_statement())
    change(statement)
    with pytest.raises(MalformedError):
        parse_opening(canonical(statement))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("_type", "https://in-toto.io/Statement/v0.1"),
        ("predicateType", "urn:sealroom:receipt:closing/v1"),
    ],
)
def test_names_the_kind_of_statement_that_is_expected(member, value):
    statement = {**json.loads(samples.OPENING.to_statement()), member: value}
    with pytest.raises(MalformedError, match=f"{member}: expected"):
        parse_opening(canonical(statement))


def test_an_envelope_bounds_its_payload():
    with pytest.raises(MalformedError, match="at most"):
        replace(OPENING, payload=bytes(32 * 1024 * 1024 + 1))


CLOSING_CHANGES = [
    lambda s: s["predicate"].update(exit_code=1),
    lambda s: s["predicate"].update(exit_code=2),
    lambda s: s["predicate"].update(outcome="killed"),
    lambda s: s["predicate"].update(outcome="failed"),
    lambda s: s["predicate"].update(failure={"type": "ValueError", "file": "run.py", "line": 1}),
    lambda s: s["predicate"].update(host_started="2026-03-01T12:00:00+00:00"),
    lambda s: s["predicate"].update(host_started="2026-03-01 12:00:00Z"),
    lambda s: s["predicate"].update(host_started="2026-02-30T12:00:00Z"),
    lambda s: s["predicate"].update(host_started="0026-03-01T12:00:00Z"),
    lambda s: s["predicate"].update(host_started=1772366400),
    lambda s: s["subject"][1].update(name="results/00/a"),
    lambda s: s["subject"][1].update(name="results/256/a"),
    lambda s: s["subject"][1].update(name="results/0/a/b"),
    lambda s: s["subject"][1].update(name="results/0/.."),
    lambda s: s["subject"][1].update(name="other"),
    lambda s: s["subject"].append(s["subject"][1]),
    lambda s: s["subject"].clear(),
    lambda s: s["subject"].append({"name": "log", "digest": {"sha256": "00" * 32}}),
]


@pytest.mark.parametrize("change", CLOSING_CHANGES)
def test_refuses_a_closing_of_another_shape(change):
    statement = json.loads(samples.CLOSING.to_statement())
    change(statement)
    with pytest.raises(MalformedError):
        parse_closing(canonical(statement))


@pytest.mark.parametrize(
    "failure",
    [
        {"type": "Value Error", "file": "run.py", "line": 1},
        {"type": "ValueError: 42", "file": "run.py", "line": 1},
        {"type": "x" * 65, "file": "run.py", "line": 1},
        {"type": "ValueError", "file": "../run.py", "line": 1},
        {"type": "ValueError", "file": "run.py", "line": 2**31},
        {"type": "ValueError", "file": "run.py", "line": 1, "message": "the patient"},
    ],
)
def test_a_failure_says_type_file_and_line_and_no_more(failure):
    statement = json.loads(samples.FAILED.to_statement())
    statement["predicate"]["failure"] = failure
    with pytest.raises(MalformedError):
        parse_closing(canonical(statement))


def test_a_closing_cannot_be_built_wrong():
    wrong = [
        {"exit_code": 1},
        {"outcome": Outcome.LIMIT},
        {"failure": Failure(type="ValueError", file="run.py", line=1)},
        {"host_started": datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))},
        {"host_ended": datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)},
        {"host_ended": datetime(1969, 1, 1, tzinfo=UTC)},
        {"bytes_out": -1},
        {"log_sha256": b""},
        {"outputs": tuple(OutputRecord(consumer=i, name="a", sha256=bytes(32)) for i in (1, 0))},
        {"outputs": (OutputRecord(consumer=0, name="a", sha256=bytes(32)),) * 2},
        {"outputs": tuple(OutputRecord(consumer=0, name=f"f{i}", sha256=bytes(32)) for i in range(16385))},
    ]
    for change in wrong:
        with pytest.raises(MalformedError):
            replace(samples.CLOSING, **change)


def test_an_opening_cannot_be_built_with_inputs_out_of_order_repeated_or_too_many():
    def record(provider: int, name: str) -> InputRecord:
        return InputRecord(provider=provider, name=name, size=1, sha256=bytes(32))

    for inputs in (
        (record(1, "a"), record(0, "a")),
        (record(0, "a"), record(0, "a")),
        tuple(record(0, f"f{i}") for i in range(16385)),
    ):
        with pytest.raises(MalformedError):
            replace(samples.OPENING, inputs=inputs)
    with pytest.raises(MalformedError):
        replace(samples.OPENING, participants=samples.OPENING.participants * 200)


RECEIPTS = [
    Receipt(opening=OPENING, closing=CLOSING),
    Receipt(opening=OPENING),
    Receipt(refusal=REFUSAL),
]


@pytest.mark.parametrize("receipt", RECEIPTS)
def test_a_receipt_reads_back(receipt):
    assert Receipt.from_bytes(receipt.to_bytes()) == receipt


def test_a_receipt_of_a_dead_process_says_null():
    assert RECEIPTS[1].to_bytes().endswith(b',"closing":null}')


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"closing": CLOSING},
        {"opening": OPENING, "refusal": REFUSAL},
        {"closing": CLOSING, "refusal": REFUSAL},
    ],
)
def test_a_receipt_is_an_opening_or_a_refusal_never_both(fields):
    with pytest.raises(MalformedError):
        Receipt(**fields)


@pytest.mark.parametrize(
    "shape",
    [
        {"opening": None, "closing": None},
        {"opening": None, "closing": "c"},
        {"opening": "o"},
        {"opening": "o", "closing": None, "refusal": None},
        {"opening": "o", "closing": "c", "refusal": "r"},
        {"refusal": None},
        {"refusal": "r", "closing": None},
        {"closing": None, "opening": "o"},
        [],
        None,
    ],
)
def test_refuses_a_receipt_of_another_shape(shape):
    parts = {"o": OPENING, "c": CLOSING, "r": REFUSAL}
    if isinstance(shape, dict):
        shape = {n: json.loads(parts[v].to_bytes()) if v else None for n, v in shape.items()}
    with pytest.raises(MalformedError):
        Receipt.from_bytes(canonical(shape))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_malformed(raw):
    parsers = (
        parse_envelope,
        Receipt.from_bytes,
        parse_opening,
        parse_closing,
        parse_refusal,
    )
    for parse in parsers:
        try:
            parse(raw)
        except MalformedError:
            continue


@given(st.sampled_from(sorted(PAYLOADS)), st.data())
def test_one_changed_byte_of_a_payload_is_malformed_or_another_value(kind, data):
    value, parse = PAYLOADS[kind]
    raw = bytearray(value.to_statement())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        parsed = parse(bytes(raw))
    except MalformedError:
        return
    assert parsed.to_statement() == bytes(raw)
    assert parsed != value


def test_the_opening_names_the_boxes_by_digest_alone():
    assert samples.BOX not in samples.OPENING.to_statement()
    assert samples.OPENING.participants[0].box_sha256 == sha256(samples.BOX).digest()


def test_refuses_an_envelope_signed_by_a_key_of_small_order():
    with pytest.raises(VerificationError):
        verify_envelope(replace(OPENING, signature=b"\x01" + bytes(63)), public_key=b"\x01" + bytes(31))


def test_a_signature_of_another_payload_type_is_not_accepted():
    other = SigningKey(b"\x01" * 32).sign(pae(b"x", payload_type="application/json")).signature
    envelope = Envelope(payload=b"x", signature=other)
    assert envelope.payload_type == PAYLOAD_TYPE
    with pytest.raises(VerificationError):
        verify_envelope(envelope, public_key=samples.public(samples.ENCLAVE_KEY))
