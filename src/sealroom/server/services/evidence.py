"""The evidence of one launch: composed from its folder and its spool, once, and kept as one file.

Nothing is verified for the participants here: each of their clients does that. The server only refuses to
publish what could never verify, because its parts do not belong together.
"""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sealroom import __version__
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.reports import SgxReport
from sealroom.core.errors import MalformedError
from sealroom.core.wire.bundle import (
    MAX_COLLATERAL_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_PAL_BYTES,
    MAX_QUOTE_BYTES,
    EvidenceBundle,
    RawCollateral,
)
from sealroom.core.wire.code_list import REQUIREMENTS
from sealroom.core.wire.report_data import check_report_data
from sealroom.core.wire.spool import PUBLIC, PUBLIC_BYTES, QUOTE, PublicKeys
from sealroom.core.wire.terms import ENTRY
from sealroom.server.blobs import BlobStore
from sealroom.server.launchers.base import Launcher, Protection
from sealroom.server.schema import CodeVersion, Launch
from sealroom.server.services.code import code_list

MANIFEST = "manifest.sgx"
PAL = "pal"
COLLATERAL = "collateral.json"


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
    spool = launcher.spool(uuid, launch.epoch)
    public = spool.read(PUBLIC, max_bytes=PUBLIC_BYTES)
    quote = spool.read(QUOTE, max_bytes=MAX_QUOTE_BYTES)
    if public is None or quote is None:
        return None
    keys = PublicKeys.from_bytes(public)
    report = parse_quote(quote).body
    if not isinstance(report, SgxReport):
        raise MalformedError("quote: expected one of an SGX enclave")
    check_report_data(report.report_data, identity_pk=keys.identity_pk, box_pk=keys.box_pk)
    folder = launcher.folder(uuid, launch.epoch)
    bundle = EvidenceBundle(
        release=__version__,
        quote=quote,
        identity_pk=keys.identity_pk,
        collateral=_read_collateral(folder),
        manifest=_read(folder / MANIFEST, MAX_MANIFEST_BYTES),
        arguments=launch.arguments,
        entry_point=_clear_file(launch.code, blobs, ENTRY) or b"",
        requirements=_clear_file(launch.code, blobs, REQUIREMENTS),
        code_list=code_list(launch.code),
        code_signature=launch.code.signature,
        sigstruct=None,
        pal=_read(folder / PAL, MAX_PAL_BYTES),
    )
    protections = launcher.protections(uuid, launch.epoch)
    return Evidence(bundle=bundle, keys=keys, mrenclave=report.mrenclave, protections=protections)


def _read_collateral(folder: Path) -> RawCollateral | None:
    path = folder / COLLATERAL
    return RawCollateral.from_json(_read(path, MAX_COLLATERAL_BYTES)) if path.exists() else None


def _read(path: Path, max_bytes: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise MalformedError(f"{path.name}: larger than {max_bytes} bytes")
    return content


def _clear_file(code: CodeVersion, blobs: BlobStore, path: str) -> bytes | None:
    for row in code.files:
        if row.path == path:
            return blobs.read(row.blob)
    return None
