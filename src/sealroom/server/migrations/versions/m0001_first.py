"""The first schema: accounts, computations, programs, uploads, launches, deliveries, runs, events.

Events are append-only by trigger, so that not even a mistake of ours rewrites them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create everything."""
    _create_accounts_and_idempotency_keys()
    _create_computations_and_participants()
    _create_code_versions_and_code_files()
    _create_events()
    _create_uploads()
    _create_launches()
    _create_deliveries_and_runs()
    _protect_events()


def _create_accounts_and_idempotency_keys() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", BIG, nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("email", name=op.f("uq_accounts_email")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_accounts_token_sha256")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("id", BIG, nullable=False),
        sa.Column("scope", sa.String(length=32), nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_keys")),
        sa.UniqueConstraint("scope", "key_sha256", name=op.f("uq_idempotency_keys_scope_key_sha256")),
    )


def _create_computations_and_participants() -> None:
    op.create_table(
        "computations",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("owner_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("tee", sa.String(length=16), nullable=False),
        sa.Column("delivery", sa.String(length=16), nullable=False),
        sa.Column("logs", sa.String(length=16), nullable=False),
        sa.Column("max_output_bytes", BIG, nullable=False),
        sa.Column("max_log_bytes", BIG, nullable=False),
        sa.Column("max_seconds", BIG, nullable=False),
        sa.Column("max_memory", BIG, nullable=False),
        sa.Column("refusal_by", sa.String(length=320), nullable=True),
        sa.Column("refusal_reason", sa.Text(), nullable=True),
        sa.Column("refusal_epoch", sa.Integer(), nullable=True),
        sa.Column("lost_enclaves", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["accounts.id"], name=op.f("fk_computations_owner_id")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_computations")),
    )
    op.create_index(op.f("ix_computations_owner_id"), "computations", ["owner_id"], unique=False)
    op.create_index(op.f("ix_computations_state"), "computations", ["state"], unique=False)
    op.create_table(
        "participants",
        sa.Column("id", BIG, nullable=False),
        sa.Column("computation_uuid", sa.String(length=36), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("public_key", sa.LargeBinary(length=32), nullable=True),
        sa.Column("registered_at", sa.BigInteger(), nullable=True),
        sa.Column("data_done_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["computation_uuid"], ["computations.uuid"], name=op.f("fk_participants_computation_uuid")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participants")),
        sa.UniqueConstraint(
            "computation_uuid", "role", "email", name=op.f("uq_participants_computation_uuid_role_email")
        ),
        sa.UniqueConstraint("computation_uuid", "slot", name=op.f("uq_participants_computation_uuid_slot")),
    )
    op.create_index(op.f("ix_participants_email"), "participants", ["email"], unique=False)


def _create_code_versions_and_code_files() -> None:
    op.create_table(
        "code_versions",
        sa.Column("id", BIG, nullable=False),
        sa.Column("computation_uuid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("packages_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=64), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["computation_uuid"], ["computations.uuid"], name=op.f("fk_code_versions_computation_uuid")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_versions")),
        sa.UniqueConstraint(
            "computation_uuid", "version", name=op.f("uq_code_versions_computation_uuid_version")
        ),
    )
    op.create_table(
        "code_files",
        sa.Column("id", BIG, nullable=False),
        sa.Column("code_version_id", BIG, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("blob", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["code_version_id"], ["code_versions.id"], name=op.f("fk_code_files_code_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_files")),
        sa.UniqueConstraint("code_version_id", "place", name=op.f("uq_code_files_code_version_id_place")),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", BIG, nullable=False),
        sa.Column("computation_uuid", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("by", sa.String(length=320), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=True),
        sa.Column("target", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("previous", sa.LargeBinary(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["computation_uuid"], ["computations.uuid"], name=op.f("fk_events_computation_uuid")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("computation_uuid", "number", name=op.f("uq_events_computation_uuid_number")),
    )


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("participant_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["participant_id"], ["participants.id"], name=op.f("fk_uploads_participant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        sa.UniqueConstraint("participant_id", "name", name=op.f("uq_uploads_participant_id_name")),
    )


def _create_launches() -> None:
    op.create_table(
        "launches",
        sa.Column("id", BIG, nullable=False),
        sa.Column("computation_uuid", sa.String(length=36), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("code_version_id", BIG, nullable=False),
        sa.Column("nonce", sa.LargeBinary(length=16), nullable=False),
        sa.Column("planned_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column("launched_at", sa.BigInteger(), nullable=True),
        sa.Column("evidence_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("cleared_at", sa.BigInteger(), nullable=True),
        sa.Column("arguments", sa.LargeBinary(), nullable=False),
        sa.Column("agreement", sa.LargeBinary(length=32), nullable=False),
        sa.Column("mrenclave", sa.LargeBinary(length=32), nullable=True),
        sa.Column("identity_pk", sa.LargeBinary(length=32), nullable=True),
        sa.Column("box_pk", sa.LargeBinary(length=32), nullable=True),
        sa.Column("bundle_blob", sa.String(length=32), nullable=True),
        sa.Column("protections", sa.JSON(), nullable=True),
        sa.Column("end_cause", sa.String(length=32), nullable=True),
        sa.Column("end_by", sa.String(length=320), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("end_asked_at", sa.BigInteger(), nullable=True),
        sa.Column("refusal", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["code_version_id"], ["code_versions.id"], name=op.f("fk_launches_code_version_id")
        ),
        sa.ForeignKeyConstraint(
            ["computation_uuid"], ["computations.uuid"], name=op.f("fk_launches_computation_uuid")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_launches")),
        sa.UniqueConstraint("computation_uuid", "epoch", name=op.f("uq_launches_computation_uuid_epoch")),
    )
    op.create_index(op.f("ix_launches_cleared_at"), "launches", ["cleared_at"], unique=False)
    op.create_index(op.f("ix_launches_ended_at"), "launches", ["ended_at"], unique=False)


def _create_deliveries_and_runs() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", BIG, nullable=False),
        sa.Column("launch_id", BIG, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("participant_id", BIG, nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(length=402), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("admitted", sa.Boolean(), nullable=True),
        sa.Column("refused", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["launch_id"], ["launches.id"], name=op.f("fk_deliveries_launch_id")),
        sa.ForeignKeyConstraint(
            ["participant_id"], ["participants.id"], name=op.f("fk_deliveries_participant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("launch_id", "number", name=op.f("uq_deliveries_launch_id_number")),
    )
    op.create_table(
        "runs",
        sa.Column("id", BIG, nullable=False),
        sa.Column("launch_id", BIG, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("opening", sa.LargeBinary(), nullable=False),
        sa.Column("closing", sa.LargeBinary(), nullable=True),
        sa.Column("log_blob", sa.String(length=32), nullable=True),
        sa.Column("log_keys_blob", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["launch_id"], ["launches.id"], name=op.f("fk_runs_launch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("launch_id", name=op.f("uq_runs_launch_id")),
    )
    op.create_table(
        "results",
        sa.Column("id", BIG, nullable=False),
        sa.Column("run_id", BIG, nullable=False),
        sa.Column("consumer", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("blob", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_results_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_results")),
        sa.UniqueConstraint("run_id", "consumer", "place", name=op.f("uq_results_run_id_consumer_place")),
    )


def _protect_events() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER events_no_{action.lower()} BEFORE {action} ON events "
                "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION events_append_only() RETURNS trigger AS "
        "$$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$ LANGUAGE plpgsql"
    )
    op.execute(
        "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events "
        "FOR EACH ROW EXECUTE FUNCTION events_append_only()"
    )
