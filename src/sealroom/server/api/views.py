"""From rows to the shapes of the API, inside the session that read them."""

from sealroom.core.wire.participants import Role
from sealroom.server.api.models import (
    CodeView,
    ComputationView,
    LaunchView,
    OwnerView,
    ParticipantView,
    ProtectionView,
    RefusalView,
    RunView,
    UploadView,
)
from sealroom.server.blobs import BlobStore
from sealroom.server.lifecycle import who_is
from sealroom.server.schema import Account, CodeVersion, ComputationRow, Launch, ParticipantRow, Run, Upload
from sealroom.server.services.data import received_bytes
from sealroom.server.states import Actor


def computation_view(computation: ComputationRow, account: Account) -> ComputationView:
    """Show a computation to one of its members."""
    code = computation.codes[-1] if computation.codes else None
    launch = computation.launches[-1] if computation.launches else None
    return ComputationView(
        computation=computation.uuid,
        name=computation.name,
        owner=OwnerView(email=computation.owner.email),
        created_at=computation.created_at,
        state=computation.state,
        epoch=computation.epoch,
        tee=computation.tee,
        delivery=computation.delivery,
        logs=computation.logs,
        max_output_bytes=computation.max_output_bytes,
        max_log_bytes=computation.max_log_bytes,
        max_seconds=computation.max_seconds,
        max_memory=computation.max_memory,
        participants=[_participant(row, code, launch) for row in computation.participants],
        code=_code(code),
        launches=[_launch(row) for row in computation.launches],
        runs=[_run(row.run, row.epoch) for row in computation.launches if row.run is not None],
        refusal=_refusal(computation),
        my_roles=[actor.value for actor in Actor if actor in who_is(computation, account).actors],
    )


def upload_view(upload: Upload, blobs: BlobStore) -> UploadView:
    """Show how far an upload is."""
    return UploadView(
        upload=upload.id,
        name=upload.name,
        size=upload.size,
        sha256=upload.sha256.hex(),
        received=received_bytes(upload, blobs),
        completed=upload.completed_at is not None,
    )


def _participant(row: ParticipantRow, code: CodeVersion | None, launch: Launch | None) -> ParticipantView:
    delivered = [
        delivery.received_at
        for delivery in (launch.deliveries if launch is not None else [])
        if delivery.participant_id == row.id and delivery.admitted is not False
    ]
    sends_code = row.role == Actor.CODE_PROVIDER.value
    return ParticipantView(
        role=Role(row.role),
        index=row.position,
        email=row.email,
        public_key=row.public_key.hex() if row.public_key else None,
        registered_at=row.registered_at,
        code_sent_at=code.sent_at if code is not None and sends_code else None,
        data_done_at=row.data_done_at,
        delivered_at=delivered[0] if delivered else None,
    )


def _code(code: CodeVersion | None) -> CodeView | None:
    if code is None:
        return None
    return CodeView(
        digest=code.digest.hex(), signature=code.signature.hex(), version=code.version, sent_at=code.sent_at
    )


def _launch(row: Launch) -> LaunchView:
    return LaunchView(
        epoch=row.epoch,
        launched_at=row.launched_at,
        evidence_at=row.evidence_at,
        ended_at=row.ended_at,
        deadline_at=row.deadline_at,
        mrenclave=row.mrenclave.hex() if row.mrenclave else None,
        ending=row.end_cause if row.ended_at is None else None,
        protections=protection_views(row),
    )


def protection_views(row: Launch) -> list[ProtectionView] | None:
    """Show what protects an enclave, once it runs."""
    if row.protections is None:
        return None
    return [ProtectionView.model_validate(protection) for protection in row.protections]


def _run(run: Run, epoch: int) -> RunView:
    return RunView(
        epoch=epoch,
        started_at=run.started_at,
        ended_at=run.ended_at,
        outcome=run.outcome,
        exit_code=run.exit_code,
    )


def _refusal(computation: ComputationRow) -> RefusalView | None:
    if computation.refusal_by is None or computation.refusal_epoch is None:
        return None
    return RefusalView(
        by=computation.refusal_by, reason=computation.refusal_reason or "", epoch=computation.refusal_epoch
    )
