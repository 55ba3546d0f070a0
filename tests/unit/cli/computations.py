"""One computation and its slots, as the server would show them."""

from datetime import UTC, datetime
from uuid import UUID

from sealroom.client.computation import Computation, MyRole, ParticipantStatus, State
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def slot(
    role: Role, email: str, *, key: bool = True, sent: bool = True, out: bool = False
) -> ParticipantStatus:
    return ParticipantStatus(
        role=role,
        index=0,
        email=email,
        public_key=bytes(32) if key else None,
        registered_at=NOW if key else None,
        sent_at=NOW if sent else None,
        delivered_at=NOW if out else None,
    )


FOUND = Computation(
    computation=UUID("11111111-2222-4333-8444-555555555555"),
    name="S",
    owner="o@x.example",
    created_at=NOW,
    state=State.REGISTERING,
    epoch=0,
    tee=Tee.SIMULATED,
    delivery=DeliveryForm.V1,
    logs=LogRelease.NONE,
    limits=Limits(max_output_bytes=1, max_log_bytes=1, max_seconds=1, max_memory=1),
    participants=(),
    code=None,
    launches=(),
    runs=(),
    refusal=None,
    my_roles=(MyRole.OWNER,),
)
