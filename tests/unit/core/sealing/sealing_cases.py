"""Values that several sealing tests start from; each is made by the product's own constructors."""

from datetime import UTC, datetime
from uuid import UUID

from sealroom.core.sealing.enclave_keys import BoxKey, IdentityKey
from sealroom.core.sealing.keys import SigningKey
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.participants import Participant
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms

COMPUTATION = UUID("6a6f1d4e-1f0c-4a1d-9d3c-0c8f6d1b2a33")
OTHER_COMPUTATION = UUID("0b0e4a52-6f2e-4c5f-8a07-3d2a4f1f9b10")
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

CODE_KEY = SigningKey.from_seed(b"\x01" * 32)
FIRST_DATA_KEY = SigningKey.from_seed(b"\x02" * 32)
SECOND_DATA_KEY = SigningKey.from_seed(b"\x03" * 32)
CONSUMER_KEY = SigningKey.from_seed(b"\x04" * 32)
STRANGER_KEY = SigningKey.from_seed(b"\x05" * 32)


def make_arguments(*, tee: Tee = Tee.SGX, delivery: DeliveryForm = DeliveryForm.V1) -> Arguments:
    terms = Terms(
        tee=tee,
        delivery=delivery,
        computation=COMPUTATION,
        owner="owner@example.org",
        code_provider="code@example.org",
        data_providers=("first@example.org", "second@example.org"),
        result_consumers=("first@example.org",),
        logs=LogRelease.PARTICIPANTS,
        limits=Limits(max_output_bytes=1, max_log_bytes=1, max_seconds=1, max_memory=1),
    )
    keys = (CODE_KEY, FIRST_DATA_KEY, SECOND_DATA_KEY, FIRST_DATA_KEY)
    participants = tuple(
        Participant(role=role, index=index, email=email, public_key=key.public_key)
        for (role, index, email), key in zip(terms.roles(), keys, strict=True)
    )
    return Arguments(
        terms=terms,
        participants=participants,
        code_digest=b"\x0c" * 32,
        packages_digest=bytes(32),
        launch=b"\x0d" * 16,
    )


class Launch:
    """An enclave's own keys, and what a participant who verified it holds."""

    def __init__(self, *, tee: Tee = Tee.SIMULATED, delivery: DeliveryForm = DeliveryForm.V1) -> None:
        self.identity_key = IdentityKey.generate()
        self.box_key = BoxKey.generate()
        self.arguments = make_arguments(tee=tee, delivery=delivery)
        kind = VerifiedEnclave if tee is Tee.SGX else SimulatedEnclave
        self.enclave = kind(
            arguments=self.arguments,
            mrenclave=b"\x0e" * 32,
            identity_pk=self.identity_key.public_key,
            box_pk=self.box_key.public_key,
            verified_at=NOW,
            policy_name="test",
            tcb_status="UpToDate",
            advisories=(),
            bundle_sha256=bytes(32),
        )
