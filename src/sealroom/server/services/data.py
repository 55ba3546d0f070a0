"""A Data Provider's sealed files: uploaded in pieces, checked whole, then declared done in one order.

The order, names, sizes and digests are what the provider's delivery commits to. Once that delivery is in, the
files of this launch cannot change; another launch needs another delivery.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.server.blobs import BlobStore, new_name
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.lifecycle import change, find_participant, who_is
from sealroom.server.platform import Platform
from sealroom.server.schema import Account, ComputationRow, ParticipantRow, Upload
from sealroom.server.services.launches import live_launch
from sealroom.server.states import Actor, Cause, State, check_allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadTarget:
    """What a piece of an upload needs to know; read once, then the transaction is over."""

    name: str
    size: int
    completed: bool


def data_provider(computation: ComputationRow, account: Account) -> ParticipantRow:
    """Return the account's item as a Data Provider, with its key registered, or refuse."""
    participant = find_participant(computation, account, Actor.DATA_PROVIDER)
    if participant.public_key is None:
        raise ServiceError(ErrorCode.NOT_REGISTERED, "register your public key as a data provider first")
    return participant


def begin_upload(
    session: Session,
    platform: Platform,
    computation: ComputationRow,
    account: Account,
    file: InputFile,
    *,
    now: datetime,
) -> Upload:
    """Make room for one file; asking again for the very same file gives the upload that is there."""
    participant = data_provider(computation, account)
    for upload in participant.uploads:
        if upload.name == file.name:
            return _same_upload(upload, file)
    limits = platform.config.limits
    if len(participant.uploads) >= limits.max_uploads:
        raise ServiceError(ErrorCode.TOO_MANY_UPLOADS, "too many files", expected=limits.max_uploads)
    if file.size > limits.max_upload_bytes:
        raise ServiceError(
            ErrorCode.TOO_LARGE, "file too large", got=file.size, expected=limits.max_upload_bytes
        )
    _change_data(
        session, computation, account, now=now, name=file.name, size=file.size, sha256=file.sha256.hex()
    )
    _not_done(participant)
    upload = Upload(id=new_name(), name=file.name, size=file.size, sha256=file.sha256, created_at=now)
    participant.uploads.append(upload)
    session.flush()
    return upload


def check_may_send(computation: ComputationRow, account: Account) -> None:
    """Refuse a piece of a file in a state, or after a delivery, where files cannot change."""
    check_allowed(Cause.DATA_CHANGED, State(computation.state), who_is(computation, account).actors)
    _check_not_delivered(computation, data_provider(computation, account))


def find_upload(computation: ComputationRow, account: Account, name: str) -> Upload:
    """Return one of the account's own uploads."""
    for upload in data_provider(computation, account).uploads:
        if upload.id == name:
            return upload
    raise ServiceError(ErrorCode.UNKNOWN_UPLOAD, "no such upload", got=name)


def received_bytes(upload: Upload, blobs: BlobStore) -> int:
    """Say how many bytes of an upload are here: where to continue."""
    return upload.size if upload.completed_at else blobs.partial_size(upload.id)


def complete_upload(upload: Upload, blobs: BlobStore, digest: bytes, *, now: datetime) -> None:
    """Compare a whole file's digest with what was announced and keep it; what differs is dropped.

    The caller hashes, because a large file takes longer than a transaction should.
    """
    if upload.completed_at is not None:
        return
    if digest != upload.sha256:
        blobs.delete(upload.id)
        raise ServiceError(
            ErrorCode.UPLOAD_DIGEST,
            "the file that arrived is not the one announced; it was dropped, send it again from offset 0",
            got=digest.hex(),
            expected=upload.sha256.hex(),
        )
    blobs.publish(upload.id)
    upload.completed_at = now


def drop_upload(
    session: Session, computation: ComputationRow, account: Account, name: str, *, now: datetime
) -> str:
    """Forget an upload; returns its blob, to be removed once this is committed."""
    upload = find_upload(computation, account, name)
    participant = data_provider(computation, account)
    _change_data(session, computation, account, now=now, removed=upload.name)
    _not_done(participant)
    participant.uploads.remove(upload)
    session.delete(upload)
    return name


def declare_done(
    session: Session, computation: ComputationRow, account: Account, files: InputList, *, now: datetime
) -> None:
    """Fix the provider's files and their order: exactly the completed uploads, no more and no fewer."""
    participant = data_provider(computation, account)
    if participant.data_done_at is not None and done_list(participant) == files:
        return
    uploads = {upload.name: upload for upload in participant.uploads}
    for file in files.files:
        upload = uploads.pop(file.name, None)
        if upload is None or (upload.size, upload.sha256) != (file.size, file.sha256):
            raise ServiceError(
                ErrorCode.DATA_DIFFERS, "a listed file is not the one uploaded under its name", got=file.name
            )
        if upload.completed_at is None:
            raise ServiceError(
                ErrorCode.UPLOAD_INCOMPLETE, "a listed file has not arrived whole", got=file.name
            )
    if uploads:
        raise ServiceError(
            ErrorCode.DATA_DIFFERS,
            "files were uploaded that the list does not name: delete them first",
            got=sorted(uploads),
        )
    who = who_is(computation, account)
    _check_not_delivered(computation, participant)
    change(
        session,
        computation,
        Cause.DATA_DONE,
        who,
        now=now,
        provider=participant.position,
        files=len(files.files),
    )
    places = {file.name: place for place, file in enumerate(files.files)}
    for upload in participant.uploads:
        upload.place = places[upload.name]
    participant.data_done_at = now


def done_uploads(participant: ParticipantRow) -> list[Upload]:
    """Return a provider's files in their declared order."""
    return sorted(
        (upload for upload in participant.uploads if upload.place is not None),
        key=lambda upload: upload.place or 0,
    )


def done_list(participant: ParticipantRow) -> InputList:
    """Return the list that the provider's delivery commits to."""
    return InputList(
        files=tuple(
            InputFile(name=upload.name, size=upload.size, sha256=upload.sha256)
            for upload in done_uploads(participant)
        )
    )


def _change_data(
    session: Session, computation: ComputationRow, account: Account, *, now: datetime, **details: object
) -> None:
    participant = data_provider(computation, account)
    _check_not_delivered(computation, participant)
    change(
        session,
        computation,
        Cause.DATA_CHANGED,
        who_is(computation, account),
        now=now,
        provider=participant.position,
        **details,
    )


def _check_not_delivered(computation: ComputationRow, participant: ParticipantRow) -> None:
    launch = live_launch(computation)
    if launch is None:
        return
    if any(
        delivery.participant_id == participant.id and delivery.admitted is not False
        for delivery in launch.deliveries
    ):
        raise ServiceError(
            ErrorCode.DATA_DELIVERED, "you delivered your key for these files; other files need a new launch"
        )


def _not_done(participant: ParticipantRow) -> None:
    participant.data_done_at = None
    for upload in participant.uploads:
        upload.place = None


def _same_upload(upload: Upload, file: InputFile) -> Upload:
    if (upload.size, upload.sha256) != (file.size, file.sha256):
        raise ServiceError(
            ErrorCode.UPLOAD_DIFFERS,
            "another file was uploaded under this name: delete it first",
            got=file.sha256.hex(),
            expected=upload.sha256.hex(),
            details={"upload": upload.id},
        )
    return upload
