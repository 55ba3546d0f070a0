"""What one launch publishes: the evidence bundle, from its folder, its spool and the readable code.

Nothing is verified for the participants here: each of their clients does that. What could never verify,
because its parts do not belong together, is refused. Spec page: docs/spec/evidence-bundle.md.
"""

from dataclasses import dataclass
from pathlib import Path

from sealroom import __version__
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.reports import SgxReport
from sealroom.core.errors import MalformedError
from sealroom.core.wire.bundle import (
    MAX_COLLATERAL_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_PAL_BYTES,
    SIGSTRUCT_SIZE,
    EvidenceBundle,
    RawCollateral,
)
from sealroom.core.wire.code_list import CodeList
from sealroom.core.wire.report_data import MAX_QUOTE_BYTES, check_report_data
from sealroom.core.wire.spool import PUBLIC, PUBLIC_BYTES, QUOTE, PublicKeys
from sealroom.server.launchers.sgx_files import SIGSTRUCT
from sealroom.server.launchers.spool_files import Spool

MANIFEST = "manifest.sgx"
PAL = "pal"
# Intel's documents for the quote; a host that could not have them says so, and nothing waits for them.
COLLATERAL = "collateral.json"
NO_COLLATERAL = b"null\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicCode:
    """What everybody may read of the code, and its provider's signature."""

    entry_point: bytes
    requirements: bytes | None
    listed: CodeList
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A bundle, and what is read from it to sort deliveries."""

    bundle: EvidenceBundle
    keys: PublicKeys
    mrenclave: bytes


def compose_bundle(folder: Path, spool: Spool, *, arguments: bytes, code: PublicCode) -> Published | None:
    """Compose the bundle once enclave and host have shown all of it: keys, quote, Intel's documents.

    Returns `None` before. Raises `MalformedError` or `VerificationError` when what was shown does not belong
    together.
    """
    public = spool.read(PUBLIC, max_bytes=PUBLIC_BYTES)
    quote = spool.read(QUOTE, max_bytes=MAX_QUOTE_BYTES)
    if public is None or quote is None or not (folder / COLLATERAL).exists():
        return None
    keys = PublicKeys.from_bytes(public)
    report = parse_quote(quote).body
    if not isinstance(report, SgxReport):
        raise MalformedError("quote: expected one of an SGX enclave")
    check_report_data(report.report_data, identity_pk=keys.identity_pk, box_pk=keys.box_pk)
    bundle = EvidenceBundle(
        release=__version__,
        quote=quote,
        identity_pk=keys.identity_pk,
        collateral=read_collateral(folder),
        manifest=read_part(folder / MANIFEST, MAX_MANIFEST_BYTES),
        arguments=arguments,
        entry_point=code.entry_point,
        requirements=code.requirements,
        code_list=code.listed,
        code_signature=code.signature,
        sigstruct=read_sigstruct(folder),
        pal=read_part(folder / PAL, MAX_PAL_BYTES),
    )
    return Published(bundle=bundle, keys=keys, mrenclave=report.mrenclave)


def read_collateral(folder: Path) -> RawCollateral | None:
    """Read Intel's documents for a quote, `None` where nobody had them."""
    raw = read_part(folder / COLLATERAL, MAX_COLLATERAL_BYTES)
    return None if raw == NO_COLLATERAL else RawCollateral.from_json(raw)


def read_sigstruct(folder: Path) -> bytes | None:
    """Read what the processor checked; a simulated enclave has none."""
    path = folder / SIGSTRUCT
    return read_part(path, SIGSTRUCT_SIZE) if path.exists() else None


def read_part(path: Path, max_bytes: int) -> bytes:
    """Read a file of a launch folder; raises `MalformedError` for more than `max_bytes`."""
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise MalformedError(f"{path.name}: larger than {max_bytes} bytes")
    return content
