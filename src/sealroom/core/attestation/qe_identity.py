"""QE identity: which enclave may sign quotes, and how up to date each version of it is.

Read after its signature verified (`collateral.verify_qe_identity`), never before.
Specification: docs/spec/collateral.md, "TCB info and QE identity".
"""

from __future__ import annotations

from dataclasses import dataclass

from sealroom.core.attestation.document import (
    Issued,
    IsvLevel,
    JsonObject,
    hex_member,
    number_member,
    read_issued,
    read_isv_levels,
    text_member,
)
from sealroom.core.attestation.quote import TeeType
from sealroom.core.errors import MalformedError

# Intel publishes identities of other enclaves under the same form (QVE, QAE): never for quotes.
_TEES = {"QE": TeeType.SGX, "TD_QE": TeeType.TDX}


@dataclass(frozen=True, slots=True, kw_only=True)
class QeIdentity:
    """A QE identity as it reads. Miscselect and attributes are bytes in the order of a report."""

    tee: TeeType
    issued: Issued
    miscselect: bytes
    miscselect_mask: bytes
    attributes: bytes
    attributes_mask: bytes
    mrsigner: bytes
    isv_prod_id: int
    levels: tuple[IsvLevel, ...]


def read_qe_identity(source: JsonObject) -> QeIdentity:
    """Read a QE identity document of version 2, or raise `MalformedError`."""
    version = number_member(source, "version")
    if version != 2:
        raise MalformedError(f"qe identity: version {version}, expected 2")
    tee = _TEES.get(text_member(source, "id"))
    if tee is None:
        raise MalformedError("qe identity: id is neither QE nor TD_QE")
    return QeIdentity(
        tee=tee,
        issued=read_issued(source),
        miscselect=hex_member(source, "miscselect", size=4),
        miscselect_mask=hex_member(source, "miscselectMask", size=4),
        attributes=hex_member(source, "attributes", size=16),
        attributes_mask=hex_member(source, "attributesMask", size=16),
        mrsigner=hex_member(source, "mrsigner", size=32),
        isv_prod_id=number_member(source, "isvprodid"),
        levels=read_isv_levels(source),
    )
