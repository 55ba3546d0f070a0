"""The evidence of one launch: composed from its folder and its spool, once, and kept as one file."""

from dataclasses import dataclass
from uuid import UUID

from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.code_list import REQUIREMENTS
from sealroom.core.wire.spool import PublicKeys
from sealroom.core.wire.terms import ENTRY
from sealroom.server.blobs import BlobStore
from sealroom.server.launchers.base import Launcher, Protection
from sealroom.server.launchers.published import PublicCode, compose_bundle
from sealroom.server.schema import CodeVersion, Launch
from sealroom.server.services.code import code_list


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A bundle, and what the server reads from it to sort deliveries."""

    bundle: EvidenceBundle
    keys: PublicKeys
    mrenclave: bytes
    protections: tuple[Protection, ...]


def compose_evidence(launch: Launch, launcher: Launcher, blobs: BlobStore) -> Evidence | None:
    """Compose the bundle once the enclave has shown its keys and its quote; None before.

    Raises `MalformedError` or `VerificationError` when what it showed does not belong together.
    """
    uuid = UUID(launch.computation_uuid)
    published = compose_bundle(
        launcher.folder(uuid, launch.epoch),
        launcher.spool(uuid, launch.epoch),
        arguments=launch.arguments,
        code=PublicCode(
            entry_point=_clear_file(launch.code, blobs, ENTRY) or b"",
            requirements=_clear_file(launch.code, blobs, REQUIREMENTS),
            listed=code_list(launch.code),
            signature=launch.code.signature,
        ),
    )
    if published is None:
        return None
    return Evidence(
        bundle=published.bundle,
        keys=published.keys,
        mrenclave=published.mrenclave,
        protections=launcher.protections(uuid, launch.epoch),
    )


def _clear_file(code: CodeVersion, blobs: BlobStore, path: str) -> bytes | None:
    for row in code.files:
        if row.path == path:
            return blobs.read(row.blob)
    return None
