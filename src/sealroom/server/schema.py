"""The tables: what the server remembers of computations, and of every launch, delivery and run of them.

No column ever holds a secret of a participant: keys arrive sealed to an enclave, tokens are kept as hashes.
Changes of these classes need a migration in `migrations/versions`; a test compares the two.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
BIG = BigInteger().with_variant(Integer, "sqlite")


class Utc(TypeDecorator[datetime]):
    """A moment, kept as microseconds since 1970: the same in every database, and never naive."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Refuse naive times on the way in."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("time: got a naive datetime, expected one with a zone")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Give back UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


class Base(DeclarativeBase):
    """Common metadata; names of constraints are fixed so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Account(Base):
    """Somebody with an e-mail address and a token."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    token_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(Utc)


class ComputationRow(Base):
    """One computation and where it stands. `uuid` was made by the owner's client."""

    __tablename__ = "computations"

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Utc)
    state: Mapped[str] = mapped_column(String(16), index=True)
    epoch: Mapped[int] = mapped_column(Integer, default=0)
    tee: Mapped[str] = mapped_column(String(16))
    delivery: Mapped[str] = mapped_column(String(16))
    logs: Mapped[str] = mapped_column(String(16))
    max_output_bytes: Mapped[int] = mapped_column(BIG)
    max_log_bytes: Mapped[int] = mapped_column(BIG)
    max_seconds: Mapped[int] = mapped_column(BIG)
    max_memory: Mapped[int] = mapped_column(BIG)
    # Why there is no run, where somebody or the enclave said so; cleared by the next launch.
    refusal_by: Mapped[str | None] = mapped_column(String(320))
    refusal_reason: Mapped[str | None] = mapped_column(Text)
    refusal_epoch: Mapped[int | None] = mapped_column(Integer)
    # Enclaves lost since a person last asked for a launch: bounds launching again by itself.
    lost_enclaves: Mapped[int] = mapped_column(Integer, default=0)

    owner: Mapped[Account] = relationship(lazy="joined")
    participants: Mapped[list["ParticipantRow"]] = relationship(
        order_by="ParticipantRow.slot", lazy="selectin"
    )
    launches: Mapped[list["Launch"]] = relationship(order_by="Launch.epoch", back_populates="computation")
    codes: Mapped[list["CodeVersion"]] = relationship(order_by="CodeVersion.version")
    wheels: Mapped[list["WheelRow"]] = relationship(order_by="WheelRow.sha256")


class ParticipantRow(Base):
    """One item of the participant list: a person in one role. `slot` is its place in the arguments."""

    __tablename__ = "participants"
    __table_args__ = (
        UniqueConstraint("computation_uuid", "slot"),
        UniqueConstraint("computation_uuid", "role", "email"),
    )

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    computation_uuid: Mapped[str] = mapped_column(ForeignKey("computations.uuid"))
    slot: Mapped[int] = mapped_column(Integer)
    role: Mapped[str] = mapped_column(String(16))
    position: Mapped[int] = mapped_column(Integer)
    email: Mapped[str] = mapped_column(String(320), index=True)
    public_key: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    registered_at: Mapped[datetime | None] = mapped_column(Utc)
    data_done_at: Mapped[datetime | None] = mapped_column(Utc)

    uploads: Mapped[list["Upload"]] = relationship(order_by="Upload.created_at, Upload.id")


class CodeVersion(Base):
    """One signed archive; the highest version is the one that the next launch takes."""

    __tablename__ = "code_versions"
    __table_args__ = (UniqueConstraint("computation_uuid", "version"),)

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    computation_uuid: Mapped[str] = mapped_column(ForeignKey("computations.uuid"))
    version: Mapped[int] = mapped_column(Integer)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    packages_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    signature: Mapped[bytes] = mapped_column(LargeBinary(64))
    sent_at: Mapped[datetime] = mapped_column(Utc)

    files: Mapped[list["CodeFileRow"]] = relationship(order_by="CodeFileRow.place", lazy="selectin")


class CodeFileRow(Base):
    """One file of an archive, in the order of the signed list."""

    __tablename__ = "code_files"
    __table_args__ = (UniqueConstraint("code_version_id", "place"),)

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    code_version_id: Mapped[int] = mapped_column(ForeignKey("code_versions.id"))
    place: Mapped[int] = mapped_column(Integer)
    path: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BIG)
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    blob: Mapped[str] = mapped_column(String(32))


class WheelRow(Base):
    """One wheel that a Code Provider announced; its blob has the row's own name."""

    __tablename__ = "wheels"
    __table_args__ = (UniqueConstraint("computation_uuid", "sha256"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    computation_uuid: Mapped[str] = mapped_column(ForeignKey("computations.uuid"))
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    size: Mapped[int] = mapped_column(BIG)
    announced_at: Mapped[datetime] = mapped_column(Utc)
    completed_at: Mapped[datetime | None] = mapped_column(Utc)


class Upload(Base):
    """One input file of a Data Provider; its blob has the same name as the upload."""

    __tablename__ = "uploads"
    __table_args__ = (UniqueConstraint("participant_id", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    participant_id: Mapped[int] = mapped_column(ForeignKey("participants.id"))
    name: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BIG)
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(Utc)
    completed_at: Mapped[datetime | None] = mapped_column(Utc)
    # Its place in the provider's signed order; set by "done", unset by any change.
    place: Mapped[int | None] = mapped_column(Integer)


class Launch(Base):
    """One enclave of a computation: an epoch. Written before anything is started."""

    __tablename__ = "launches"
    __table_args__ = (UniqueConstraint("computation_uuid", "epoch"),)

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    computation_uuid: Mapped[str] = mapped_column(ForeignKey("computations.uuid"))
    epoch: Mapped[int] = mapped_column(Integer)
    code_version_id: Mapped[int] = mapped_column(ForeignKey("code_versions.id"))
    nonce: Mapped[bytes] = mapped_column(LargeBinary(16))
    planned_at: Mapped[datetime] = mapped_column(Utc)
    deadline_at: Mapped[datetime] = mapped_column(Utc)
    launched_at: Mapped[datetime | None] = mapped_column(Utc)
    evidence_at: Mapped[datetime | None] = mapped_column(Utc)
    ended_at: Mapped[datetime | None] = mapped_column(Utc, index=True)
    # Folder of an ended launch: removed once what it held is stored.
    cleared_at: Mapped[datetime | None] = mapped_column(Utc, index=True)
    arguments: Mapped[bytes] = mapped_column(LargeBinary)
    agreement: Mapped[bytes] = mapped_column(LargeBinary(32))
    mrenclave: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    identity_pk: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    box_pk: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    bundle_blob: Mapped[str | None] = mapped_column(String(32))
    # What the sandbox around the enclave says of itself: name, on, detail.
    protections: Mapped[list[dict[str, object]] | None] = mapped_column(JSON)
    # What a person asked of a waiting enclave: a Cause's value, who asked, and why.
    end_cause: Mapped[str | None] = mapped_column(String(32))
    end_by: Mapped[str | None] = mapped_column(String(320))
    end_reason: Mapped[str | None] = mapped_column(Text)
    end_asked_at: Mapped[datetime | None] = mapped_column(Utc)
    # What the enclave signed instead of a run.
    refusal: Mapped[bytes | None] = mapped_column(LargeBinary)

    computation: Mapped[ComputationRow] = relationship(back_populates="launches")
    code: Mapped[CodeVersion] = relationship()
    deliveries: Mapped[list["DeliveryRow"]] = relationship(
        order_by="DeliveryRow.number", back_populates="launch"
    )
    run: Mapped["Run | None"] = relationship(back_populates="launch")


class DeliveryRow(Base):
    """One key delivery as it came: sealed to the enclave, signed by its sender."""

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("launch_id", "number"),)

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    launch_id: Mapped[int] = mapped_column(ForeignKey("launches.id"))
    number: Mapped[int] = mapped_column(Integer)
    participant_id: Mapped[int] = mapped_column(ForeignKey("participants.id"))
    received_at: Mapped[datetime] = mapped_column(Utc)
    raw: Mapped[bytes] = mapped_column(LargeBinary(402))
    answered_at: Mapped[datetime | None] = mapped_column(Utc)
    admitted: Mapped[bool | None] = mapped_column()
    refused: Mapped[str | None] = mapped_column(Text)

    launch: Mapped[Launch] = relationship(back_populates="deliveries")
    participant: Mapped[ParticipantRow] = relationship()


class Run(Base):
    """One run: from the signed opening to the closing, or to the end of a process that left none."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    launch_id: Mapped[int] = mapped_column(ForeignKey("launches.id"), unique=True)
    started_at: Mapped[datetime] = mapped_column(Utc)
    ended_at: Mapped[datetime | None] = mapped_column(Utc)
    outcome: Mapped[str | None] = mapped_column(String(32))
    exit_code: Mapped[int | None] = mapped_column(Integer)
    opening: Mapped[bytes] = mapped_column(LargeBinary)
    closing: Mapped[bytes | None] = mapped_column(LargeBinary)
    log_blob: Mapped[str | None] = mapped_column(String(32))
    log_keys_blob: Mapped[str | None] = mapped_column(String(32))

    launch: Mapped[Launch] = relationship(back_populates="run")
    results: Mapped[list["ResultRow"]] = relationship(order_by="ResultRow.consumer, ResultRow.place")


class ResultRow(Base):
    """One sealed result of a run, for one consumer."""

    __tablename__ = "results"
    __table_args__ = (UniqueConstraint("run_id", "consumer", "place"),)

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"))
    consumer: Mapped[int] = mapped_column(Integer)
    place: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BIG)
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    blob: Mapped[str] = mapped_column(String(32))


class Event(Base):
    """One line of a computation's log. Append-only: triggers refuse change and removal."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("computation_uuid", "number"),)

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    computation_uuid: Mapped[str] = mapped_column(ForeignKey("computations.uuid"))
    number: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(Utc)
    kind: Mapped[str] = mapped_column(String(32))
    by: Mapped[str] = mapped_column(String(320))
    source: Mapped[str | None] = mapped_column(String(16))
    target: Mapped[str] = mapped_column(String(16))
    epoch: Mapped[int] = mapped_column(Integer)
    details: Mapped[dict[str, object]] = mapped_column(JSON)
    previous: Mapped[bytes] = mapped_column(LargeBinary(32))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))


class IdempotencyKey(Base):
    """A POST that took effect, and what it answered. The key itself is kept only as its hash."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("scope", "key_sha256"),)

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    scope: Mapped[str] = mapped_column(String(32))
    key_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    request_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    answer: Mapped[dict[str, object]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Utc)


def known_blobs(session: Session) -> set[str]:
    """Return the name of every blob that a row speaks of."""
    columns = (
        Upload.id,
        WheelRow.id,
        CodeFileRow.blob,
        Launch.bundle_blob,
        Run.log_blob,
        Run.log_keys_blob,
        ResultRow.blob,
    )
    return {name for column in columns for name in session.scalars(select(column)) if name is not None}
