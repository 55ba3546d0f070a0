"""Signing receipts and code lists: the right key, once."""

from datetime import UTC, datetime

import pytest
from sealing_cases import CODE_KEY, COMPUTATION, OTHER_COMPUTATION, Launch

from sealroom.core.errors import VerificationError
from sealroom.core.sealing.code_signature import sign_code
from sealroom.core.sealing.enclave_keys import IdentityKey, RunKey
from sealroom.core.sealing.receipt import sign_closing, sign_opening, sign_refusal
from sealroom.core.wire.code_list import CodeFile, CodeList, verify_code_signature
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.dsse_verification import verify_envelope
from sealroom.core.wire.receipt import Refusal
from sealroom.core.wire.receipt_closing import Closing, Outcome
from sealroom.core.wire.receipt_opening import Opening
from sealroom.core.wire.receipt_parsing import parse_closing, parse_opening, parse_refusal
from sealroom.core.wire.terms import DeliveryForm, Tee

RUN_KEY_PK = b"\x33" * 32


def opening_of(launch: Launch, *, identity_pk: bytes | None = None) -> Opening:
    return Opening(
        tee=Tee.SIMULATED,
        delivery=DeliveryForm.V1,
        computation=COMPUTATION,
        agreement=launch.arguments.agreement,
        arguments=launch.arguments.to_bytes(),
        mrenclave=launch.enclave.mrenclave,
        identity_pk=identity_pk or launch.identity_key.public_key,
        box_pk=launch.box_key.public_key,
        run_key=RUN_KEY_PK,
        participants=(),
        inputs=(),
        code=launch.arguments.code_digest,
        packages=launch.arguments.packages_digest,
    )


def refusal_of(launch: Launch, *, identity_pk: bytes | None = None) -> Refusal:
    return Refusal(
        agreement=launch.arguments.agreement,
        mrenclave=launch.enclave.mrenclave,
        identity_pk=identity_pk or launch.identity_key.public_key,
        reason=RefusalReason.WORDS_DIFFER,
    )


CLOSING = Closing(
    agreement=b"\x01" * 32,
    opening_sha256=b"\x02" * 32,
    outcome=Outcome.SUCCEEDED,
    exit_code=0,
    host_started=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
    host_ended=datetime(2026, 3, 1, 12, 1, tzinfo=UTC),
    bytes_out=0,
    bytes_log=0,
    failure=None,
    outputs=(),
    log_sha256=None,
)


def test_the_identity_key_signs_the_opening() -> None:
    launch = Launch()
    opening = opening_of(launch)
    envelope = sign_opening(opening, identity_key=launch.identity_key)
    payload = verify_envelope(envelope, public_key=launch.identity_key.public_key)
    assert payload == opening.to_statement()
    assert parse_opening(payload) == opening


def test_the_identity_key_signs_a_refusal() -> None:
    launch = Launch()
    envelope = sign_refusal(refusal_of(launch), identity_key=launch.identity_key)
    payload = verify_envelope(envelope, public_key=launch.identity_key.public_key)
    assert parse_refusal(payload) == refusal_of(launch)


def test_the_run_key_signs_the_closing() -> None:
    run_key = RunKey.generate()
    envelope = sign_closing(CLOSING, run_key=run_key)
    assert parse_closing(verify_envelope(envelope, public_key=run_key.public_key)) == CLOSING


def test_an_enclave_that_signed_an_opening_cannot_sign_a_refusal() -> None:
    launch = Launch()
    sign_opening(opening_of(launch), identity_key=launch.identity_key)
    assert launch.identity_key.wiped
    with pytest.raises(RuntimeError, match="wiped"):
        sign_refusal(refusal_of(launch), identity_key=launch.identity_key)


def test_an_enclave_that_signed_a_refusal_cannot_sign_an_opening() -> None:
    launch = Launch()
    sign_refusal(refusal_of(launch), identity_key=launch.identity_key)
    with pytest.raises(RuntimeError, match="wiped"):
        sign_opening(opening_of(launch), identity_key=launch.identity_key)


def test_a_run_has_one_closing() -> None:
    run_key = RunKey.generate()
    sign_closing(CLOSING, run_key=run_key)
    with pytest.raises(RuntimeError, match="wiped"):
        sign_closing(CLOSING, run_key=run_key)


def test_nothing_is_signed_for_another_identity_and_the_key_stays() -> None:
    launch, other = Launch(), IdentityKey.generate().public_key
    with pytest.raises(ValueError, match="another identity key"):
        sign_opening(opening_of(launch, identity_pk=other), identity_key=launch.identity_key)
    with pytest.raises(ValueError, match="another identity key"):
        sign_refusal(refusal_of(launch, identity_pk=other), identity_key=launch.identity_key)
    assert not launch.identity_key.wiped


def test_a_signed_code_list_verifies_for_its_computation_alone() -> None:
    code = CodeList(files=(CodeFile(path="run.py", size=3, sha256=b"\x0c" * 32),))
    signature = sign_code(code, computation=COMPUTATION, signing_key=CODE_KEY)
    assert len(signature) == 64
    verify_code_signature(
        public_key=CODE_KEY.public_key, computation=COMPUTATION, digest=code.digest, signature=signature
    )
    with pytest.raises(VerificationError):
        verify_code_signature(
            public_key=CODE_KEY.public_key,
            computation=OTHER_COMPUTATION,
            digest=code.digest,
            signature=signature,
        )
